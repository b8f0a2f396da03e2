//! From text to output, one step a line.

use crate::args::{COMMANDS, Goal, Options, Source};
use crate::example;
use crate::passes::{Pass, Passes};
use crate::picture::{Flames, Plot};
use crate::progress::Beside;
use crate::report::Reporter;
use crate::standard;
use crate::tapset;
use crate::top::{self, Top};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;
use tapster_compiler::check::{self, check, places};
use tapster_compiler::compile;
use tapster_compiler::hir::Program;
use tapster_compiler::image::Image;
use tapster_compiler::library;
use tapster_compiler::list::Listing;
use tapster_compiler::suggest::did_you_mean;
use tapster_compiler::world::World;
use tapster_lang::diagnostic::describe_token_at;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::Environment;
use tapster_lang::{Diagnostic, SourceMap, ast};
use tapster_runtime::command::Command;
use tapster_runtime::file::{OutputFile, Rotation, listen};
use tapster_runtime::privilege::Kept;
use tapster_runtime::watch::Watcher;
use tapster_runtime::{LoadError, Machine, Refusal, Session, host};

/// What ended a step early; it is said already.
struct Failed;

/// Runs a script, or prints what was asked for.
pub fn run(options: &Options, started: Instant) -> ExitCode {
    let reporter = Reporter::new(options);
    let mut passes = Passes::begin(options, &reporter, started);
    let code = steps(options, started, &reporter, &mut passes).unwrap_or(1);
    if code != 0 {
        passes.failed();
    }
    ExitCode::from(code)
}

fn steps(options: &Options, started: Instant, reporter: &Reporter, passes: &mut Passes) -> Result<u8, Failed> {
    if passes.verbose() > 0 {
        reporter.notes(&options.idle);
    }
    let machine = Machine::with_debug_places(&options.debug);
    if let Goal::Dump(what) = options.goal {
        let option = |name: &str| machine.option(name);
        let lines = tapster_compiler::dump::dump(what, &environment(options, &machine, &option));
        return shown(reporter, &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    }
    let (name, text) = read(&options.source, reporter)?;
    let mut sources = SourceMap::new();
    let scripts = parse_scripts((&name, &text), &mut sources, options, &machine, reporter)?;
    passes.done(|| format!("parsed user script and {}", count(scripts.len() - 1, "library script")));
    if options.goal == Goal::Ast {
        return shown(reporter, &tapster_lang::print::print(&name, &scripts[0]));
    }
    reporter.warn(gone(options).as_slice(), &sources)?;
    reporter.progress.step("looking for probe points, reading types");
    let (check_options, command) = with_command(options, &machine, reporter)?;
    if let Goal::Places(variables) = options.goal {
        let places = places(&scripts, &machine, &options.check, variables);
        // Programs take silence and the exit code for an answer, as they do of SystemTap.
        if places.is_empty() && reporter.is_on_screen() {
            let all = check(&scripts, &machine, &check_options).err().unwrap_or_default();
            reporter.diagnostics(&all, &sources);
        }
        let text = places.iter().flat_map(|place| [place.as_str(), "\n"]).collect::<String>();
        return shown(reporter, &text).map(|_| places.is_empty().into());
    }
    let mut checked = check(&scripts, &machine, &check_options).map_err(|all| reporter.all(&all, &sources))?;
    reporter.warn(&checked.warnings, &sources)?;
    reporter.notes(&checked.notes);
    let bodies = passes.verbose() > 0;
    let listing = || Listing::new(&checked.program, !options.check.elide);
    passes.done(|| format!("analyzed script: {}", listing().counts()));
    if passes.verbose() > 0 {
        going_over(&checked.program, &sources).for_each(|line| reporter.line(&line));
    }
    match options.goal {
        Goal::Hir => return shown(reporter, &checked.program.to_string()),
        Goal::List => return shown(reporter, &listing().text(&scripts, bodies)),
        _ => {}
    }
    reporter.progress.step("compiling");
    let lowered = compile::lower_checked(&mut checked, &check_options).map_err(|all| reporter.all(&all, &sources))?;
    passes.done(|| "translated to Cranelift IR".into());
    if options.goal == Goal::Clif {
        return shown(reporter, &tapster_compiler::emit::clif(&lowered));
    }
    let image = compile::image(&checked, lowered, &sources, &machine, &host::table());
    drop(checked);
    let mut again =
        Again { scripts, machine: &machine, choices: check_options, reporter, verbose: passes.verbose() > 0 };
    let image = image.or_else(|all| again.smaller(&sources).ok_or_else(|| reporter.all(&all, &sources)))?;
    match options.goal {
        Goal::Bpf => shown(reporter, &tapster_compiler::emit::bpf(&image, &sources)),
        Goal::Image => shown(reporter, &tapster_compiler::emit::image(&image)),
        Goal::Object => object(&image, &sources, reporter),
        Goal::Compiled => {
            passes.done(|| compiled(&image));
            Ok(0)
        }
        _ => run_image((image, &mut again), sources, (options, command), reporter, passes, started),
    }
}

/// Which kernel handlers go on in user space, and where: such events take microseconds instead of nanoseconds.
fn going_over<'a>(program: &'a Program, sources: &'a SourceMap) -> impl Iterator<Item = String> + 'a {
    program.handoffs.iter().filter_map(|handoff| {
        let first = handoff.handler.body.first()?;
        let point = &program.probes[handoff.probe].point;
        Some(format!("{point}: goes on in user space from {}", describe_token_at(sources, first.span.start)))
    })
}

/// What there is to say of a process of `-x` that is no more: SystemTap says nothing, and its script waits for ever.
fn gone(options: &Options) -> Option<Diagnostic> {
    let pid = options.check.target;
    let is_gone = options.goal == Goal::Run && pid != 0 && !tapster_runtime::binary::is_there(pid);
    is_gone.then(|| Diagnostic::warning("probe::target-gone", format!("-x: there is no process {pid}")))
}

/// Starts the program of `-c`, which waits until the probes stand; gives the choices with what is known of it.
fn with_command(
    options: &Options,
    machine: &Machine,
    reporter: &Reporter,
) -> Result<(check::Options, Option<Command>), Failed> {
    let mut choices = options.check.clone();
    let Some(line) = &options.command else { return Ok((choices, None)) };
    choices.program = machine.executable(line.program());
    if choices.program.is_none() {
        return Err(reporter.all_said(&format!("-c: there is no program `{}`", line.program())));
    }
    if options.goal != Goal::Run {
        return Ok((choices, None));
    }
    let command = Command::start(line)
        .map_err(|error| reporter.all_said(&format!("-c: cannot start `{}`: {error}", line.program())))?;
    choices.target = command.pid().into();
    Ok((choices, Some(command)))
}

fn read(source: &Source, reporter: &Reporter) -> Result<(String, Vec<u8>), Failed> {
    let path = match source {
        Source::Text(text) => return Ok((source.name(), text.clone().into_bytes())),
        Source::Example(name) => return example::read(name).map_err(|message| reporter.all_said(&message)),
        Source::File(path) => path,
    };
    let name = source.name();
    let text = if path == "-" {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).map(|_| text)
    } else {
        std::fs::read(path)
    };
    text.map(|text| (name.clone(), without_mark(text))).map_err(|error| {
        reporter.all_said(&match error.kind() {
            std::io::ErrorKind::NotFound => missing(&name),
            _ => format!("cannot read '{name}': {error}"),
        })
    })
}

/// The mark of byte order that some editors write before a text is no part of it.
fn without_mark(text: Vec<u8>) -> Vec<u8> {
    text.strip_prefix("\u{feff}".as_bytes()).map(<[u8]>::to_vec).unwrap_or(text)
}

/// What to say of a script that is not there: it may have been meant as a command.
fn missing(name: &str) -> String {
    let usage = COMMANDS.iter().find(|(command, _)| *command == name);
    let help = match usage {
        Some((_, usage)) => Some(format!("the command is: tapster {usage}")),
        None if example::names().any(|known| name.trim_end_matches(".stp") == known) => {
            Some(format!("it comes with Tapster: tapster --example {name}"))
        }
        None => did_you_mean(name, COMMANDS.iter().map(|(command, _)| *command)),
    };
    let help = help.map(|help| format!(" ({help})"));
    format!("Input file '{name}' is missing.{}", help.unwrap_or_default())
}

/// What texts are read with.
fn environment<'a>(
    options: &'a Options,
    machine: &'a Machine,
    config: &'a dyn Fn(&str) -> Option<String>,
) -> Environment<'a> {
    Environment {
        config,
        args: &options.args,
        guru: options.guru,
        kernel_release: machine.release(),
        arch: std::env::consts::ARCH,
        ..Environment::default()
    }
}

/// Parses the user's script with what is run in addition, and what both need of the library.
fn parse_scripts(
    (name, text): (&str, &[u8]),
    sources: &mut SourceMap,
    options: &Options,
    machine: &Machine,
    reporter: &Reporter,
) -> Result<Vec<ast::Script>, Failed> {
    let option = |name: &str| machine.option(name);
    let environment = environment(options, machine, &option);
    let extras = tapset::read(&options.tapsets);
    let all = options.more.iter().fold(text.to_vec(), |all, more| [&all, more.as_bytes()].join(&b'\n'));
    let macros =
        library::extra_macros(&all, &extras, sources, &environment).map_err(|all| reporter.all(&all, sources))?;
    let more = options.more.iter().enumerate().map(|(nth, text)| (format!("<input{}>", nth + 1), text.as_bytes()));
    let mut script = ast::Script::default();
    for (name, text) in [(name.to_owned(), text)].into_iter().chain(more) {
        let file = sources.add_bytes(name, text);
        let parsed = parse(file, sources, &environment, &macros).map_err(|all| {
            reporter.parse_errors(&all, sources);
            Failed
        })?;
        reporter.warn(&parsed.warnings, sources)?;
        script.items.extend(parsed.script.items);
    }
    let mut scripts = vec![script];
    library::extend(&mut scripts, &extras, sources, &environment, &macros)
        .map_err(|all| reporter.all(&all, sources))?;
    library::complete(&mut scripts, sources, &environment).map_err(|all| reporter.all(&all, sources))?;
    Ok(scripts)
}

/// Prints a representation.
fn shown(reporter: &Reporter, text: &str) -> Result<u8, Failed> {
    reporter.progress.clear();
    if standard::write(text.as_bytes()) { Ok(0) } else { Err(Failed) }
}

fn object(image: &Image, sources: &SourceMap, reporter: &Reporter) -> Result<u8, Failed> {
    let bytes =
        tapster_compiler::emit::object(image, sources).map_err(|error| reporter.all_said(&error.to_string()))?;
    if standard::write(&bytes) { Ok(0) } else { Err(Failed) }
}

/// What became of a script.
fn compiled(image: &Image) -> String {
    let instructions: usize = image.programs.iter().map(|program| program.insns.len()).sum();
    format!(
        "compiled into {} with {} and {}",
        count(image.programs.len(), "eBPF program"),
        count(instructions, "instruction"),
        count(image.handlers.len(), "native handler")
    )
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What it takes to compile a script once more.
struct Again<'a> {
    scripts: Vec<ast::Script>,
    machine: &'a Machine,
    choices: check::Options,
    reporter: &'a Reporter,
    verbose: bool,
}

impl Again<'_> {
    /// The image that does without what the kernel has refused; nothing where that would change nothing.
    fn compile(&mut self, refusal: &Refusal, sources: &SourceMap) -> Option<Image> {
        let known = |choices: &check::Options| {
            choices.turned_down.len() + choices.refused.len() + usize::from(choices.loops_at_once)
        };
        let before = known(&self.choices);
        let said = match refusal {
            Refusal::Rejected(rejection) => {
                self.choices.turned_down.extend(rejection.places.iter().cloned());
                self.choices.loops_at_once = true;
                let (places, reason) = (rejection.places.join(", "), rejection.reason());
                vec![format!("the arguments of {places} are copied: the verifier says, {reason}")]
            }
            Refusal::Places(places) => {
                self.choices.refused.extend(places.iter().cloned());
                places
                    .iter()
                    .map(|(place, why)| format!("{place} is refused ({why}): the next rung is tried"))
                    .collect()
            }
        };
        if known(&self.choices) == before {
            return None;
        }
        if self.verbose {
            said.iter().for_each(|line| self.reporter.line(line));
        }
        self.image(sources)
    }

    /// The image where handlers keep less, for one that was too large.
    fn smaller(&mut self, sources: &SourceMap) -> Option<Image> {
        self.choices.loops_at_once = true;
        self.image(sources)
    }

    fn image(&self, sources: &SourceMap) -> Option<Image> {
        let mut checked = check(&self.scripts, self.machine, &self.choices).ok()?;
        let lowered = compile::lower_checked(&mut checked, &self.choices).ok()?;
        compile::image(&checked, lowered, sources, self.machine, &host::table()).ok()
    }
}

fn run_image(
    (image, again): (Image, &mut Again),
    sources: SourceMap,
    (options, command): (&Options, Option<Command>),
    reporter: &Reporter,
    passes: &mut Passes,
    started: Instant,
) -> Result<u8, Failed> {
    let sources = Rc::new(sources);
    let places = Rc::clone(&sources);
    let Sinks { out, err, watchers } = sinks(options, reporter)?;
    let progress = Rc::clone(&reporter.progress);
    let session = tapster_runtime::Options {
        out,
        err,
        progress: Box::new(move |stage| progress.stage(stage)),
        machine: options.machine,
        attaches: options.goal == Goal::Run,
        watchers,
        kept: if options.creates_files() { Kept::NamesAndFiles } else { Kept::Names },
        verbose: options.verbose[Pass::Run.index()],
        timing: options.timing,
        strict: options.strict,
        timeout: options.timeout,
        errors_max: options.errors_max,
        suppress_errors: options.suppress_errors,
        command,
        started,
        debug_places: options.debug.clone(),
        place: Box::new(move |position| describe_token_at(&places, position)),
        ..tapster_runtime::Options::default()
    };
    let failed = |error: LoadError| reporter.load(&error, &sources);
    let made = compiled(&image);
    reporter.progress.step("loading programs into the kernel");
    let session = Session::load_or(image, session, &mut |refusal| again.compile(refusal, &sources));
    let session = session.map_err(failed)?;
    passes.done(|| format!("{made}, loaded"));
    if options.goal == Goal::Loaded {
        return Ok(0);
    }
    passes.running();
    reporter.progress.clear();
    let outcome = session.begin().attach().map_err(failed)?.run().finish();
    passes.done(|| "run completed".into());
    Ok(outcome.code as u8)
}

/// Where a script's output goes, and who looks at its globals while it runs.
struct Sinks {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    watchers: Vec<Box<dyn Watcher>>,
}

fn sinks(options: &Options, reporter: &Reporter) -> Result<Sinks, Failed> {
    listen();
    let mut sinks = Sinks {
        out: match &options.output {
            Some((file, rotation)) => Box::new(output(file, *rotation, reporter)?),
            None => Box::new(Beside::new(std::io::stdout(), &reporter.progress)),
        },
        err: Box::new(Beside::new(std::io::stderr(), &reporter.progress)),
        watchers: Vec::new(),
    };
    let failed = |option: &str, file: &OsStr, error: std::io::Error| {
        reporter.all_said(&format!("{option}: cannot write '{}': {error}", file.to_string_lossy()))
    };
    if let Some(file) = &options.flame {
        sinks.watchers.push(Box::new(Flames::create(file).map_err(|error| failed("--flame", file, error))?));
    }
    if let Some(file) = &options.plot {
        sinks.watchers.push(Box::new(Plot::create(file).map_err(|error| failed("--plot", file, error))?));
    }
    if options.top {
        let top = Top::new(options.source.name()).map_err(|message| reporter.all_said(&message))?;
        if options.output.is_none() {
            sinks.out = Box::new(top::Beside::new(top.prints(), sinks.out));
        }
        sinks.err = Box::new(top::Beside::new(top.prints(), sinks.err));
        sinks.watchers.push(Box::new(top));
    }
    Ok(sinks)
}

/// The file of `-o`.
fn output(file: &OsStr, rotation: Option<Rotation>, reporter: &Reporter) -> Result<OutputFile, Failed> {
    let failed = |error| reporter.all_said(&format!("-o: cannot write '{}': {error}", file.to_string_lossy()));
    OutputFile::create(file, rotation).map_err(failed)
}

impl Reporter {
    /// Says what a step fails with.
    fn all_said(&self, message: &str) -> Failed {
        self.error(message);
        Failed
    }

    /// Reports errors; gives what a step fails with.
    fn all(&self, errors: &[Diagnostic], sources: &SourceMap) -> Failed {
        self.diagnostics(errors, sources);
        Failed
    }

    /// Says warnings; fails where they are taken for errors.
    fn warn(&self, warnings: &[Diagnostic], sources: &SourceMap) -> Result<(), Failed> {
        if self.warnings(warnings, sources) { Ok(()) } else { Err(Failed) }
    }

    fn load(&self, error: &LoadError, sources: &SourceMap) -> Failed {
        self.load_error(error, sources);
        Failed
    }
}
