//! The command line. SystemTap's letters mean what they mean there.

use crate::limits;
use clap::{Parser, ValueEnum};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use std::time::Duration;
use tapster_compiler::check;
use tapster_compiler::world::Rung;
use tapster_lang::diagnostic::Format;
use tapster_runtime::command;

/// What was asked for.
pub enum Command {
    /// To run a script, or to show what it becomes.
    Run(Box<Options>),
    /// To explain a diagnostic or a function.
    Explain(String),
    /// Nothing that is left to do: help was printed, or an error.
    Done(ExitCode),
}

/// SystemTap scripts on stock kernels, through eBPF.
#[derive(Parser)]
#[command(name = "tapster", version, about, long_about = None, disable_version_flag = true, args_override_self = true)]
#[command(
    override_usage = "tapster [OPTIONS] SCRIPT [ARGUMENT]...\n       tapster [OPTIONS] -e TEXT [ARGUMENT]...\n       tapster explain CODE|FUNCTION"
)]
#[command(
    after_help = "Options stand before SCRIPT; what follows it belongs to the script: $1 is the first argument, @1 the \
                        same as a string.\nSCRIPT `-` is standard input."
)]
struct CommandLine {
    /// The script's text itself
    #[arg(short = 'e', value_name = "TEXT", action = clap::ArgAction::Append)]
    text: Vec<String>,

    /// Say more on standard error: the passes, what is attached where, and why; twice for more
    #[arg(short, action = clap::ArgAction::Count)]
    verbose: u8,

    /// As -v, for each pass by its own digit: 01 is pass 2 alone
    #[arg(long = "vp", value_name = "DIGITS", action = clap::ArgAction::Append)]
    verbose_passes: Vec<String>,

    /// Stop after this pass: 1 prints the parse tree, 2 the checked script, 3 Cranelift IR, 4 has the kernel check
    #[arg(short = 'p', value_name = "PASS")]
    last_pass: Option<String>,

    /// With -p4, do not show the programs to the kernel
    #[arg(long)]
    no_load: bool,

    /// End after so many seconds, as exit() does
    #[arg(short = 'T', value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<String>,

    /// Give a global variable another initial value
    #[arg(short = 'G', value_name = "NAME=VALUE")]
    global: Vec<String>,

    #[arg(short = 'D', value_name = "NAME=VALUE", help = limits::help())]
    define: Vec<String>,

    /// Guru mode: pieces of C may stand in the script, as long as nothing has to run them
    #[arg(short = 'g')]
    guru: bool,

    /// Take library files (`.stp`, `.stpm`) of this folder where a script uses names that are not ours
    #[arg(short = 'I', value_name = "FOLDER", action = clap::ArgAction::Append)]
    tapsets: Vec<String>,

    /// Run this program when all probes stand, and end with it; target() is its process id
    #[arg(short = 'c', value_name = "COMMAND")]
    command: Option<String>,

    /// What target() gives: a process id
    #[arg(short = 'x', value_name = "PID")]
    target: Option<u32>,

    /// Take only this way to stand at kernel functions
    #[arg(long, value_name = "RUNG", value_enum)]
    attach: Option<Attach>,

    /// Print a representation of the script instead of running it
    #[arg(long, value_name = "STAGE", value_enum, conflicts_with = "last_pass")]
    emit: Option<Emit>,

    /// List the probe points that PATTERN stands for, by name
    #[arg(short = 'l', value_name = "PATTERN", conflicts_with_all = ["text", "emit", "last_pass", "list_variables"])]
    list: Option<String>,

    /// As -l, with the variables that a handler can use there
    #[arg(short = 'L', value_name = "PATTERN", conflicts_with_all = ["text", "emit", "last_pass"])]
    list_variables: Option<String>,

    /// Do not print at the end what the script writes and never reads
    #[arg(long)]
    no_global_var_display: bool,

    /// Only count the run-time errors: none is said, none ends the run
    #[arg(long)]
    suppress_handler_errors: bool,

    /// Say at the end how often each probe was hit and missed, and what that took
    #[arg(short = 't')]
    timing: bool,

    /// Compile what has no effect, too
    #[arg(short = 'u')]
    unoptimized: bool,

    /// Exit with 1 if anything was lost
    #[arg(long)]
    strict: bool,

    /// Hide warnings and notes
    #[arg(short = 'w')]
    no_warnings: bool,

    /// Take warnings for errors
    #[arg(short = 'W')]
    warnings_are_errors: bool,

    /// Refused: there is no temporary directory to keep
    #[arg(short = 'k', hide = true)]
    keep: bool,

    /// How errors look
    #[arg(long, value_name = "LOOK", value_enum, default_value = "fancy")]
    diagnostics: Look,

    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: (),

    /// The script's file, unless there is -e, and the script's arguments
    #[arg(value_name = "SCRIPT", trailing_var_arg = true)]
    words: Vec<OsString>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Attach {
    Fentry,
    #[value(name = "kprobe.multi")]
    KprobeMulti,
    Kprobe,
    Tracepoint,
}

#[derive(Clone, Copy, ValueEnum)]
enum Emit {
    /// The syntax tree
    Ast,
    /// The checked script
    Hir,
    /// Cranelift IR
    Clif,
    /// eBPF instructions
    Bpf,
    /// What is loaded
    Image,
    /// An ELF object, on standard output
    Obj,
}

#[derive(Clone, Copy, ValueEnum)]
enum Look {
    Fancy,
    Stap,
    Json,
}

/// How far to go, and what to print there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The syntax tree.
    Ast,
    /// The places that a probe point stands for; whether with their variables.
    Places(bool),
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
}

/// A run, as asked for.
pub struct Options {
    /// The script.
    pub source: Source,
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
    /// Options that change nothing, a line each.
    pub idle: Vec<String>,
}

/// Reads the command line; what is wrong with it is said already.
pub fn parse() -> Command {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let [_, word, topic] = words.as_slice()
        && word == "explain"
    {
        return Command::Explain(topic.to_string_lossy().into_owned());
    }
    let line = match CommandLine::try_parse_from(words) {
        Ok(line) => line,
        Err(error) => {
            // Nothing is left to say where even this cannot be printed.
            let _ = error.print();
            return Command::Done(if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
        }
    };
    match options(line) {
        Ok(options) => Command::Run(Box::new(options)),
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "error: {message}\n\nFor more information, try '--help'.");
            Command::Done(ExitCode::FAILURE)
        }
    }
}

fn options(line: CommandLine) -> Result<Options, String> {
    if line.keep {
        return Err(
            "-k: there is no temporary directory to keep; --emit STAGE and -p PASS print what would be there".into()
        );
    }
    if line.command.is_some() && line.target.is_some() {
        return Err("You can't specify -c and -x together.".into());
    }
    let mut rest = line.words.into_iter();
    let listed = line.list.as_ref().map(|_| false).or(line.list_variables.as_ref().map(|_| true));
    let source = match line.list.or(line.list_variables) {
        Some(pattern) => Source::Text(format!("probe {pattern} {{ }}")),
        None => source(line.text, &mut rest)?,
    };
    let mut options = Options {
        source,
        args: rest.map(OsString::into_vec).collect(),
        check: check::Options {
            attach: line.attach.map(rung),
            globals: line.global.iter().map(|global| initial_value(global)).collect::<Result<_, _>>()?,
            display: !line.no_global_var_display,
            elide: !line.unoptimized,
            guru: line.guru,
            target: line.target.map_or(0, i64::from),
            own_pid: i64::from(std::process::id()),
            ..check::Options::default()
        },
        command: line.command.as_deref().map(command::CommandLine::parse),
        guru: line.guru,
        tapsets: line.tapsets,
        errors_max: 0,
        suppress_errors: line.suppress_handler_errors,
        verbose: verbosity(line.verbose, &line.verbose_passes)?,
        goal: match listed {
            Some(with_variables) => Goal::Places(with_variables),
            None => goal(line.emit, line.last_pass.as_deref(), line.no_load)?,
        },
        timeout: line.timeout.as_deref().map(seconds).transpose()?,
        timing: line.timing,
        strict: line.strict,
        no_warnings: line.no_warnings,
        warnings_are_errors: line.warnings_are_errors,
        format: match line.diagnostics {
            Look::Fancy => Format::Fancy,
            Look::Stap => Format::Stap,
            Look::Json => Format::Json,
        },
        idle: Vec::new(),
    };
    line.define.iter().try_for_each(|define| limits::define(&mut options, define))?;
    Ok(options)
}

fn source(mut text: Vec<String>, rest: &mut impl Iterator<Item = OsString>) -> Result<Source, String> {
    match (text.pop(), text.is_empty()) {
        (Some(_), false) => Err("Only one script can be given on the command line.".into()),
        (Some(text), true) => Ok(Source::Text(text)),
        (None, _) => Ok(Source::File(rest.next().ok_or("A script must be specified.")?)),
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
        options(CommandLine::try_parse_from(words).map_err(|error| error.to_string())?)
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
        ] {
            let error = read(words).err().unwrap_or_else(|| panic!("{words} is taken"));
            assert!(error.contains(message), "{words}: {error}");
        }
    }
}
