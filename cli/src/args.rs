//! The command line. SystemTap's letters mean what they mean there.

use clap::{Parser, ValueEnum};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use tapster_compiler::check;
use tapster_compiler::world::Rung;
use tapster_lang::diagnostic::Format;
use tapster_runtime_ebpf::limits;

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
#[command(name = "tapster", version, about, long_about = None, disable_version_flag = true)]
#[command(
    override_usage = "tapster [OPTIONS] SCRIPT [ARGUMENT]...\n       tapster [OPTIONS] -e TEXT [ARGUMENT]...\n       tapster explain CODE|FUNCTION"
)]
#[command(
    after_help = "Options stand before SCRIPT; what follows it belongs to the script: $1 is the first argument, @1 the \
                        same as a string.\nSCRIPT `-` is standard input."
)]
struct CommandLine {
    /// The script's text itself
    #[arg(short = 'e', value_name = "TEXT")]
    text: Option<String>,

    /// Say more on standard error: what is attached where, and why; twice for more
    #[arg(short, action = clap::ArgAction::Count)]
    verbose: u8,

    /// End after so many seconds, as exit() does
    #[arg(short = 'T', value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,

    /// Set a limit: MAXMAPENTRIES, MAXSTRINGLEN, MAXBACKTRACE, MAXACTION, MAXERRORS
    #[arg(short = 'D', value_name = "NAME=VALUE")]
    define: Vec<String>,

    /// Take only this way to stand at kernel functions
    #[arg(long, value_name = "RUNG", value_enum)]
    attach: Option<Attach>,

    /// Print a representation of the script instead of running it
    #[arg(long, value_name = "STAGE", value_enum)]
    emit: Option<Emit>,

    /// Exit with 1 if anything was lost
    #[arg(long)]
    strict: bool,

    /// Hide warnings and notes
    #[arg(short = 'w')]
    no_warnings: bool,

    /// How errors look
    #[arg(long, value_name = "LOOK", value_enum, default_value = "fancy")]
    diagnostics: Look,

    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    version: (),

    /// The script's file
    #[arg(value_name = "SCRIPT")]
    script: Option<OsString>,

    /// The script's arguments
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Attach {
    Fentry,
    #[value(name = "kprobe.multi")]
    KprobeMulti,
    Kprobe,
    Tracepoint,
}

/// A representation to print.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Emit {
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
    /// Run-time errors that do not end the run.
    pub errors_max: u32,
    /// How much to say.
    pub verbose: u32,
    /// Seconds to run.
    pub timeout: Option<u64>,
    /// What to print instead of running.
    pub emit: Option<Emit>,
    /// Any loss is a failure.
    pub strict: bool,
    /// Say no warnings.
    pub no_warnings: bool,
    /// How errors look.
    pub format: Format,
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
    let mut rest = line.script.into_iter().chain(line.args);
    let source = match line.text {
        Some(text) => Source::Text(text),
        None => Source::File(rest.next().ok_or("A script must be specified.")?),
    };
    let mut options = Options {
        source,
        args: rest.map(OsString::into_vec).collect(),
        check: check::Options { attach: line.attach.map(rung), ..check::Options::default() },
        errors_max: 0,
        verbose: u32::from(line.verbose),
        timeout: line.timeout,
        emit: line.emit,
        strict: line.strict,
        no_warnings: line.no_warnings,
        format: match line.diagnostics {
            Look::Fancy => Format::Fancy,
            Look::Stap => Format::Stap,
            Look::Json => Format::Json,
        },
    };
    line.define.iter().try_for_each(|define| set_limit(&mut options, define))?;
    Ok(options)
}

fn rung(attach: Attach) -> Rung {
    match attach {
        Attach::Fentry => Rung::Fentry,
        Attach::KprobeMulti => Rung::KprobeMulti,
        Attach::Kprobe => Rung::Kprobe,
        Attach::Tracepoint => Rung::Tracepoint,
    }
}

/// `-D NAME=VALUE`
fn set_limit(options: &mut Options, define: &str) -> Result<(), String> {
    let (name, value) = define.split_once('=').ok_or_else(|| format!("-D {define}: expected NAME=VALUE"))?;
    let number: u32 = value.parse().map_err(|_| format!("-D {define}: {value} is not a number"))?;
    let within = |low: u32, high: u32| match number {
        n if (low..=high).contains(&n) => Ok(n),
        _ => Err(format!("-D {define}: {name} goes from {low} to {high}")),
    };
    match name {
        "MAXMAPENTRIES" => options.check.max_entries = within(1, 1 << 26)?,
        "MAXSTRINGLEN" => options.check.max_string = within(16, 4096)?.next_multiple_of(8),
        "MAXBACKTRACE" => options.check.max_backtrace = within(1, limits::MAXBACKTRACE_KERNEL)?,
        "MAXACTION" => options.check.max_action = within(1, u32::MAX / 16)?,
        "MAXERRORS" => options.errors_max = number,
        _ => {
            return Err(format!(
                "-D {define}: unknown limit (known: MAXMAPENTRIES, MAXSTRINGLEN, MAXBACKTRACE, MAXACTION, MAXERRORS)"
            ));
        }
    }
    Ok(())
}
