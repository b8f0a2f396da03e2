//! From text to output, one step a line.

use crate::args::{Emit, Options, Source};
use crate::report::Reporter;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tapster_compiler::check::check;
use tapster_compiler::compile;
use tapster_compiler::world::World;
use tapster_lang::diagnostic::describe_token_at;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};
use tapster_lang::{Diagnostic, SourceMap, ast};
use tapster_runtime::{LoadError, Machine, Session, host};

/// What ended a step early; it is said already.
struct Failed;

/// Runs a script, or prints what was asked for.
pub fn run(options: &Options, started: Instant) -> ExitCode {
    match steps(options, started) {
        Ok(code) => ExitCode::from(code),
        Err(Failed) => ExitCode::FAILURE,
    }
}

fn steps(options: &Options, started: Instant) -> Result<u8, Failed> {
    let reporter = Reporter::new(options);
    let machine = Machine::new();
    let (name, text) = read(&options.source, &reporter)?;
    let mut sources = SourceMap::new();
    let file = sources.add_bytes(name.clone(), &text);
    let script = parse_script(file, &mut sources, options, &machine, &reporter)?;
    if options.emit == Some(Emit::Ast) {
        return shown(&tapster_lang::print::print(&name, &script));
    }
    let mut checked = check(&[script], &machine, &options.check).map_err(|all| reporter.all(&all, &sources))?;
    reporter.warnings(&checked.warnings, &sources);
    reporter.notes(&checked.notes);
    if options.emit == Some(Emit::Hir) {
        return shown(&checked.program.to_string());
    }
    let lowered = compile::lower_checked(&mut checked, &options.check);
    if options.emit == Some(Emit::Clif) {
        return shown(&tapster_compiler::emit::clif(&lowered));
    }
    let image = compile::image(&checked, lowered, &sources, &machine, &host::table())
        .map_err(|all| reporter.all(&all, &sources))?;
    match options.emit {
        Some(Emit::Bpf) => return shown(&tapster_compiler::emit::bpf(&image, &sources)),
        Some(Emit::Image) => return shown(&tapster_compiler::emit::image(&image)),
        Some(Emit::Obj) => return object(&image, &sources, &reporter),
        _ => {}
    }
    drop(checked);
    let sources = Rc::new(sources);
    run_image(image, Rc::clone(&sources), options, started).map_err(|error| reporter.load(&error, &sources))
}

fn read(source: &Source, reporter: &Reporter) -> Result<(String, Vec<u8>), Failed> {
    let path = match source {
        Source::Text(text) => return Ok(("<input>".into(), text.clone().into_bytes())),
        Source::File(path) => path,
    };
    let name = path.to_string_lossy().into_owned();
    let text = if path == "-" {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text).map(|_| text)
    } else {
        std::fs::read(path)
    };
    text.map(|text| (name.clone(), text)).map_err(|error| {
        reporter.line(&match error.kind() {
            std::io::ErrorKind::NotFound => format!("error: Input file '{name}' is missing."),
            _ => format!("error: cannot read '{name}': {error}"),
        });
        Failed
    })
}

fn parse_script(
    file: tapster_lang::FileId,
    sources: &mut SourceMap,
    options: &Options,
    machine: &Machine,
    reporter: &Reporter,
) -> Result<ast::Script, Failed> {
    let environment = Environment {
        args: &options.args,
        kernel_release: machine.release(),
        arch: std::env::consts::ARCH,
        ..Environment::default()
    };
    let parsed = parse(file, sources, &environment, &Macros::default()).map_err(|all| reporter.all(&all, sources))?;
    reporter.warnings(&parsed.warnings, sources);
    Ok(parsed.script)
}

/// Prints a representation.
fn shown(text: &str) -> Result<u8, Failed> {
    // A reader that has seen enough is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(0)
}

fn object(image: &tapster_compiler::image::Image, sources: &SourceMap, reporter: &Reporter) -> Result<u8, Failed> {
    let bytes = tapster_compiler::emit::object(image, sources).map_err(|error| {
        reporter.line(&format!("error: {error}"));
        Failed
    })?;
    match std::io::stdout().write_all(&bytes) {
        Ok(()) => Ok(0),
        Err(_) => Err(Failed),
    }
}

fn run_image(
    image: tapster_compiler::image::Image,
    sources: Rc<SourceMap>,
    options: &Options,
    started: Instant,
) -> Result<u8, LoadError> {
    let session = tapster_runtime::Options {
        verbose: options.verbose,
        strict: options.strict,
        timeout: options.timeout.map(Duration::from_secs),
        errors_max: options.errors_max,
        started,
        place: Box::new(move |position| describe_token_at(&sources, position)),
        ..tapster_runtime::Options::default()
    };
    let outcome = Session::load(image, session)?.begin().attach()?.run().finish();
    Ok(outcome.code as u8)
}

impl Reporter {
    /// Reports errors; gives what a step fails with.
    fn all(&self, errors: &[Diagnostic], sources: &SourceMap) -> Failed {
        self.diagnostics(errors, sources);
        Failed
    }

    fn load(&self, error: &LoadError, sources: &SourceMap) -> Failed {
        self.load_error(error, sources);
        Failed
    }
}
