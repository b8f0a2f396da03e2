//! The command line. SystemTap's letters mean what they mean there.

mod foreign;
mod line;
mod rc;
mod refusal;

use crate::limits;
use clap::{CommandFactory, FromArgMatches};
use line::{Attach, Color, CommandLine, Emit, Look, Writing};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tapster_compiler::check;
use tapster_compiler::dump::Dump;
use tapster_compiler::world::Rung;
use tapster_lang::diagnostic::Format;
use tapster_runtime::command;
use tapster_runtime::file::Rotation;

/// The commands that stand where a script may, and how they are written.
pub const COMMANDS: [(&str, &str); 5] = [
    ("top", "top [OPTIONS] SCRIPT [ARGUMENT]..."),
    ("explain", "explain CODE|FUNCTION|PROBE"),
    ("doctor", "doctor [--json]"),
    ("man", "man"),
    ("completions", "completions SHELL"),
];

/// What was asked for.
pub enum Command {
    /// To run a script, or to show what it becomes.
    Run(Box<Options>),
    /// To explain a diagnostic or a function.
    Explain(String),
    /// To tell what this kernel and this user may do; whether for a machine.
    Doctor(bool),
    /// To print the manual page.
    Manual,
    /// To print what a shell needs to complete words.
    Completions(String),
    /// Nothing that is left to do: help was printed, or an error.
    Done(ExitCode),
}

/// How far to go, and what to print there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The syntax tree.
    Ast,
    /// The places that a probe point stands for; whether with their variables.
    Places(bool),
    /// What the library or the compiler has.
    Dump(Dump),
    /// The checked script, as `--emit hir` prints it.
    Hir,
    /// The checked script, as SystemTap lists it.
    List,
    /// Cranelift IR.
    Clif,
    /// eBPF instructions.
    Bpf,
    /// What would be loaded.
    Image,
    /// The same as an ELF object.
    Object,
    /// Nothing, but it must come about.
    Compiled,
    /// Nothing, but the kernel must take it.
    Loaded,
    /// The run.
    Run,
}

/// Where the script comes from.
pub enum Source {
    /// The command line.
    Text(String),
    /// A file, or standard input for `-`.
    File(OsString),
    /// One that comes along, by name.
    Example(String),
}

impl Source {
    /// What messages call it.
    pub fn name(&self) -> String {
        match self {
            Source::Text(_) => "<input>".into(),
            Source::File(path) => path.to_string_lossy().into_owned(),
            Source::Example(name) => name.clone(),
        }
    }
}

/// A run, as asked for.
pub struct Options {
    /// The script.
    pub source: Source,
    /// `-E`: texts to run in addition.
    pub more: Vec<String>,
    /// Its arguments.
    pub args: Vec<Vec<u8>>,
    /// Limits and choices of the compiler.
    pub check: check::Options,
    /// `-c`
    pub command: Option<command::CommandLine>,
    /// `-g`
    pub guru: bool,
    /// Folders of library files.
    pub tapsets: Vec<String>,
    /// `-d`: files and folders with debug information.
    pub debug: Vec<String>,
    /// Run-time errors that do not end the run.
    pub errors_max: u32,
    /// Run-time errors are only counted.
    pub suppress_errors: bool,
    /// How much to say in each pass.
    pub verbose: [u32; 5],
    /// How far to go.
    pub goal: Goal,
    /// How long to run.
    pub timeout: Option<Duration>,
    /// Say at the end how often probes were hit, and what that took.
    pub timing: bool,
    /// Any loss is a failure.
    pub strict: bool,
    /// Say no warnings.
    pub no_warnings: bool,
    /// Any warning is a failure.
    pub warnings_are_errors: bool,
    /// How errors look.
    pub format: Format,
    /// Whether in colour; as the terminal has it where nothing is said.
    pub colour: Option<bool>,
    /// The file to write to, with conversions of strftime(3), and when to begin another.
    pub output: Option<(OsString, Option<Rotation>)>,
    /// `top`: the globals stand on the terminal while the script runs.
    pub top: bool,
    /// Records instead of text.
    pub machine: bool,
    /// `--flame`: the file of a flame graph.
    pub flame: Option<OsString>,
    /// `--plot`: the file of charts over time.
    pub plot: Option<OsString>,
    /// Options that change nothing, a line each.
    pub idle: Vec<String>,
}

impl Options {
    /// Whether files are created that are not there when the script starts.
    pub fn creates_files(&self) -> bool {
        let turns = matches!(&self.output, Some((_, Some(_))));
        turns || self.flame.is_some() || self.plot.is_some()
    }
}

/// The options, as whoever prints or completes them needs them.
pub fn command() -> clap::Command {
    foreign::known(CommandLine::command())
}

/// Reads the command line; what is wrong with it is said already.
pub fn parse() -> Command {
    let mut words = match rc::words() {
        Ok(words) => words,
        Err(message) => return Command::Done(refusal::of_meaning(&message, false)),
    };
    let as_stap = words.first().is_some_and(|name| Path::new(name).file_name() == Some(OsStr::new("stap")));
    let top = !as_stap && take_top(&mut words);
    if !as_stap && let Some(command) = by_name(&std::env::args_os().skip(1).collect::<Vec<_>>()) {
        return command;
    }
    let given = match command().try_get_matches_from(words) {
        Ok(given) => given,
        Err(error) => return Command::Done(refusal::of_words(&error, as_stap)),
    };
    let read = CommandLine::from_arg_matches(&given).map_err(|error| error.to_string());
    match read
        .and_then(|line| options(line, foreign::judge(&given)?, as_stap))
        .and_then(|options| watched(options, top))
    {
        Ok(options) => Command::Run(Box::new(options)),
        Err(message) => Command::Done(refusal::of_meaning(&message, as_stap)),
    }
}

/// `tapster top …`: takes the word out of those of the command line, which stand behind those of the rc file.
fn take_top(words: &mut Vec<OsString>) -> bool {
    let given: Vec<OsString> = std::env::args_os().skip(1).collect();
    let is_top = given.first().is_some_and(|word| word == "top");
    if is_top {
        words.remove(words.len() - given.len());
    }
    is_top
}

/// A run whose globals are watched on the terminal.
fn watched(mut options: Options, top: bool) -> Result<Options, String> {
    if top && (options.goal != Goal::Run || options.machine) {
        return Err("top: only for a script that runs, and not with -f json".into());
    }
    options.top = top;
    options.check.keep_all |= top;
    Ok(options)
}

/// What the first word alone asks for.
fn by_name(words: &[OsString]) -> Option<Command> {
    let words: Vec<&str> = words.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    match words.as_slice() {
        ["explain", topic] => Some(Command::Explain((*topic).into())),
        ["doctor"] => Some(Command::Doctor(false)),
        ["doctor", "--json"] => Some(Command::Doctor(true)),
        ["man"] => Some(Command::Manual),
        ["completions", shell] => Some(Command::Completions((*shell).into())),
        _ => None,
    }
}

fn options(line: CommandLine, mut idle: Vec<String>, as_stap: bool) -> Result<Options, String> {
    if line.command.is_some() && line.target.is_some() {
        return Err("You can't specify -c and -x together.".into());
    }
    if line.suppress_time_limits && !line.guru {
        return Err("--suppress-time-limits requires guru mode (-g)".into());
    }
    let goal = listing(&line).map_or_else(|| goal(line.emit, line.last_pass.as_deref(), line.no_load), Ok)?;
    let mut rest = line.words.into_iter();
    let source = match line.list.or(line.list_variables) {
        Some(_) if !line.text.is_empty() => return Err(NO_SCRIPT_TO_LIST.into()),
        Some(pattern) => Source::Text(format!("probe {pattern} {{ }}")),
        None if matches!(goal, Goal::Dump(_)) => match (line.text.is_empty(), rest.next()) {
            (true, None) => Source::Text(String::new()),
            _ => return Err(NO_SCRIPT_TO_LIST.into()),
        },
        None => source(line.text, line.example, &mut rest)?,
    };
    let rotation = line.file_size.as_deref().map(rotation).transpose()?;
    if rotation.is_some() && line.output.is_none() {
        return Err("-S: only with -o FILE, standard output is one file".into());
    }
    let mut tapsets = line.tapsets;
    tapsets.extend(std::env::var("SYSTEMTAP_TAPSET"));
    let debug = debug_places(line.debug_places, &mut idle)?;
    let mut options = Options {
        source,
        more: line.more_text,
        args: rest.map(OsString::into_vec).collect(),
        check: check::Options {
            attach: line.attach.map(rung),
            globals: line.global.iter().map(|global| initial_value(global)).collect::<Result<_, _>>()?,
            display: !line.no_global_var_display,
            elide: !line.unoptimized,
            keep_all: line.format == Writing::Json || line.flame.is_some() || line.plot.is_some(),
            guru: line.guru,
            skip_badvars: line.skip_badvars,
            target: line.target.as_deref().map_or(Ok(0), process)?,
            own_pid: i64::from(std::process::id()),
            // A process's folder belongs to its effective user.
            own_uid: std::fs::metadata("/proc/self").map_or(0, |folder| MetadataExt::uid(&folder).into()),
            ..check::Options::default()
        },
        command: line.command.as_deref().map(command::CommandLine::parse),
        guru: line.guru,
        tapsets,
        debug,
        errors_max: 0,
        suppress_errors: line.suppress_handler_errors,
        verbose: verbosity(line.verbose, &line.verbose_passes)?,
        goal,
        timeout: line.timeout.as_deref().map(seconds).transpose()?,
        timing: line.timing,
        strict: line.strict,
        no_warnings: line.no_warnings,
        warnings_are_errors: line.warnings_are_errors,
        format: format(line.diagnostics, as_stap),
        colour: colour(line.color),
        output: line.output.map(|file| (file, rotation)),
        top: false,
        machine: line.format == Writing::Json,
        flame: line.flame,
        plot: line.plot,
        idle,
    };
    line.define.iter().try_for_each(|define| limits::define(&mut options, define))?;
    if let Some(megabytes) = &line.ring {
        options.check.event_ring = ring(megabytes)?;
    }
    if line.suppress_time_limits {
        limits::unlimited(&mut options.check);
    }
    Ok(options)
}

/// Files and folders with debug information; what is none of these may be the name of a module, whose symbols need none.
fn debug_places(given: Vec<String>, idle: &mut Vec<String>) -> Result<Vec<String>, String> {
    let (there, missing): (Vec<_>, Vec<_>) = given.into_iter().partition(|place| Path::new(place).exists());
    if let Some(missing) = missing.iter().find(|place| place.contains('/')) {
        return Err(format!("-d {missing}: no such file or folder"));
    }
    idle.extend(missing.iter().map(|name| format!("-d {name} changes nothing: {}", foreign::SYMBOLS)));
    Ok(there)
}

const NO_SCRIPT_TO_LIST: &str = "Cannot specify a script with -l/-L/--dump-* switches.";

/// What is only listed.
fn listing(line: &CommandLine) -> Option<Goal> {
    match line {
        CommandLine { list: Some(_), .. } => Some(Goal::Places(false)),
        CommandLine { list_variables: Some(_), .. } => Some(Goal::Places(true)),
        CommandLine { dump_probe_types: true, .. } => Some(Goal::Dump(Dump::ProbeTypes)),
        CommandLine { dump_probe_aliases: true, .. } => Some(Goal::Dump(Dump::ProbeAliases)),
        CommandLine { dump_functions: true, .. } => Some(Goal::Dump(Dump::Functions)),
        _ => None,
    }
}

fn format(look: Option<Look>, as_stap: bool) -> Format {
    match look {
        Some(Look::Fancy) => Format::Fancy,
        Some(Look::Json) => Format::Json,
        None if !as_stap => Format::Fancy,
        Some(Look::Stap) | None => Format::Stap,
    }
}

fn colour(when: Color) -> Option<bool> {
    (when != Color::Auto).then_some(when == Color::Always)
}

/// `-x PID`
fn process(text: &str) -> Result<i64, String> {
    let number = text.parse::<u32>().ok().filter(|number| *number > 0);
    number.map(i64::from).ok_or_else(|| "Invalid target process ID number.".into())
}

/// `-s MEGABYTES`; the kernel makes rings of a power of two alone.
fn ring(text: &str) -> Result<u32, String> {
    let megabytes = text.parse().ok().filter(|megabytes| (1..=2048u32).contains(megabytes));
    let megabytes = megabytes.ok_or("Invalid buffer size (should be 1-2048).")?;
    Ok(megabytes.next_power_of_two() << 20)
}

/// `-S MEGABYTES[,FILES]`
fn rotation(text: &str) -> Result<Rotation, String> {
    let (size, files) = text.split_once(',').map_or((text, None), |(size, files)| (size, Some(files)));
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
    let files = files.map(|files| number(files).ok_or(files)).transpose();
    match (number(size), files) {
        (Some(megabytes), Ok(files)) => Ok(Rotation { bytes: u64::from(megabytes) << 20, files }),
        _ => Err(format!("-S {text}: expected MEGABYTES or MEGABYTES,FILES")),
    }
}

fn source(mut text: Vec<String>, example: bool, rest: &mut impl Iterator<Item = OsString>) -> Result<Source, String> {
    match (text.pop(), text.is_empty()) {
        (Some(_), false) => Err("Only one script can be given on the command line.".into()),
        (Some(text), true) => Ok(Source::Text(text)),
        (None, _) => {
            let name = rest.next().ok_or("A script must be specified.")?;
            Ok(if example { Source::Example(name.to_string_lossy().into_owned()) } else { Source::File(name) })
        }
    }
}

fn rung(attach: Attach) -> Rung {
    match attach {
        Attach::Fentry => Rung::Fentry,
        Attach::KprobeMulti => Rung::KprobeMulti,
        Attach::Kprobe => Rung::Kprobe,
        Attach::Tracepoint => Rung::Tracepoint,
    }
}

/// `--emit STAGE` or `-p PASS`, `--no-load`
fn goal(emit: Option<Emit>, last_pass: Option<&str>, no_load: bool) -> Result<Goal, String> {
    let goal = match (emit, last_pass) {
        (Some(Emit::Ast), _) | (None, Some("1")) => Goal::Ast,
        (Some(Emit::Hir), _) => Goal::Hir,
        (None, Some("2")) => Goal::List,
        (Some(Emit::Clif), _) | (None, Some("3")) => Goal::Clif,
        (Some(Emit::Bpf), _) => Goal::Bpf,
        (Some(Emit::Image), _) => Goal::Image,
        (Some(Emit::Obj), _) => Goal::Object,
        (None, Some("4")) if no_load => Goal::Compiled,
        (None, Some("4")) => Goal::Loaded,
        (None, None | Some("5")) => Goal::Run,
        (None, Some(_)) => return Err("Invalid pass number (should be 1-5).".into()),
    };
    match goal {
        Goal::Run if no_load => Err("--no-load: only with -p4, nothing runs that is not loaded".into()),
        goal => Ok(goal),
    }
}

/// `-T SECONDS`, in parts of a second where they are given.
fn seconds(text: &str) -> Result<Duration, String> {
    let duration = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.filter(|duration| duration.as_millis() > 0).ok_or_else(|| "Invalid timeout interval.".into())
}

/// `-v` counts for every pass, each digit of `--vp` for its own.
fn verbosity(all: u8, passes: &[String]) -> Result<[u32; 5], String> {
    let mut verbose = [u32::from(all); 5];
    for digits in passes {
        let numbers: Option<Vec<u32>> = digits.chars().map(|digit| digit.to_digit(10)).collect();
        let numbers = numbers.filter(|numbers| (1..=verbose.len()).contains(&numbers.len()));
        let numbers = numbers.ok_or("Invalid --vp argument: it takes 1 to 5 digits.")?;
        verbose.iter_mut().zip(numbers).for_each(|(verbose, number)| *verbose += number);
    }
    Ok(verbose)
}

/// `-G NAME=VALUE`
fn initial_value(global: &str) -> Result<(String, String), String> {
    let is_name = |name: &str| {
        let mut chars = name.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match global.split_once('=') {
        Some((name, value)) if is_name(name) => Ok((name.into(), value.into())),
        _ => Err(format!("-G {global}: expected NAME=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Options, String> {
        let words = ["tapster"].into_iter().chain(words.split_whitespace());
        let given = command().try_get_matches_from(words).map_err(|error| error.to_string())?;
        let line = CommandLine::from_arg_matches(&given).map_err(|error| error.to_string())?;
        options(line, foreign::judge(&given)?, false)
    }

    #[test]
    fn what_follows_the_script_belongs_to_it() {
        let options = read("-vp2 -w -w x.stp -v --emit -p9").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((options.verbose, options.goal), ([1; 5], Goal::List));
        assert_eq!(options.args, [&b"-v"[..], b"--emit", b"-p9"]);
        let options = read("-e text one -v").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((options.verbose, options.args.len()), ([0; 5], 2));
    }

    #[test]
    fn files_and_rings_have_sizes() {
        let options = read("-o f-%F -S 2,3 -s 9 x.stp").unwrap_or_else(|e| panic!("{e}"));
        let rotation = Rotation { bytes: 2 << 20, files: Some(3) };
        assert_eq!(options.output, Some(("f-%F".into(), Some(rotation))));
        assert_eq!(options.check.event_ring, 16 << 20);
    }

    #[test]
    fn a_short_help_fits_a_screen() {
        let help = command().term_width(80).render_help().to_string();
        assert!(help.lines().count() <= 24, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }

    #[test]
    fn passes_have_verbosities_of_their_own() {
        let options = read("-v --vp 02 --vp=00001 -p 4 x.stp").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(options.verbose, [1, 3, 1, 1, 2]);
    }

    #[test]
    fn seconds_have_parts() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "1e99", "nan", "soon", "0.0001"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (words, message) in [
            ("-p0 x.stp", "Invalid pass number (should be 1-5)."),
            ("-p6 x.stp", "Invalid pass number (should be 1-5)."),
            ("-e a -e b", "Only one script can be given on the command line."),
            ("-G 1=2 x.stp", "-G 1=2: expected NAME=VALUE"),
            ("--no-load x.stp", "--no-load: only with -p4"),
            ("-x 1 -c true x.stp", "You can't specify -c and -x together."),
            ("-p2", "A script must be specified."),
            ("--emit hir -p2 x.stp", "cannot be used with"),
            ("-l begin -e x", "Cannot specify a script with -l/-L/--dump-* switches."),
            ("--dump-functions x.stp", "Cannot specify a script with"),
            ("-x soon x.stp", "Invalid target process ID number."),
            ("-s 0 x.stp", "Invalid buffer size (should be 1-2048)."),
            ("-S 1 x.stp", "-S: only with -o FILE"),
            ("-o x -S 1,x x.stp", "-S 1,x: expected MEGABYTES"),
            ("--suppress-time-limits x.stp", "requires guru mode (-g)"),
        ] {
            let error = read(words).err().unwrap_or_else(|| panic!("{words} is taken"));
            assert!(error.contains(message), "{words}: {error}");
        }
    }
}
