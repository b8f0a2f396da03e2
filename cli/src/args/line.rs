//! The options by name. `-h` shows those that everybody needs, on one screen; `--help` all.

use crate::limits;
use clap::{Parser, ValueEnum, ValueHint};
use clap_complete::ArgValueCompleter;
use std::ffi::OsString;

use crate::complete;

const TEMPLATE: &str = "{about}\n{usage-heading} {usage}\n{options}{after-help}";

/// SystemTap scripts on stock kernels, through eBPF.
#[derive(Parser)]
#[command(name = "tapster", version, about, long_about = None, disable_version_flag = true, args_override_self = true)]
#[command(infer_long_args = true, max_term_width = 120, help_template = TEMPLATE)]
#[command(
    override_usage = "tapster [OPTIONS] SCRIPT [ARGUMENT]...\n       tapster [OPTIONS] -e TEXT [ARGUMENT]...\n       tapster top [OPTIONS] SCRIPT [ARGUMENT]...\n       tapster explain CODE|FUNCTION | doctor [--json] | man | completions SHELL"
)]
#[command(after_help = "Options stand before SCRIPT. --help tells of all of them.")]
#[command(
    after_long_help = "Options stand before SCRIPT; what follows it belongs to the script: $1 is the first argument, @1 the \
                        same as a string.\nSCRIPT `-` is standard input.\n\nThe words of $SYSTEMTAP_DIR/rc \
                        (~/.systemtap/rc) stand before those of the command line.\n\nSystemTap's other options are taken \
                        where nothing has to be done for them, which -v says, and refused with what to use instead."
)]
pub struct CommandLine {
    /// The script's text itself
    #[arg(short = 'e', value_name = "TEXT", action = clap::ArgAction::Append, add = ArgValueCompleter::new(complete::text))]
    pub text: Vec<String>,

    /// Run this text in addition to the script
    #[arg(short = 'E', value_name = "TEXT", action = clap::ArgAction::Append, hide_short_help = true, add = ArgValueCompleter::new(complete::text))]
    pub more_text: Vec<String>,

    /// Run a script that comes with Tapster, or that SystemTap's folder of examples has
    #[arg(long, hide_short_help = true)]
    pub example: bool,

    /// Say more on standard error: passes, places, reasons
    #[arg(short, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// As -v, for each pass by its own digit: 01 is pass 2 alone
    #[arg(long = "vp", value_name = "DIGITS", action = clap::ArgAction::Append, hide_short_help = true)]
    pub verbose_passes: Vec<String>,

    /// Stop after this pass, and print what it made
    ///
    /// 1 prints the parse tree, 2 the checked script, 3 Cranelift IR; 4 has the kernel check the programs.
    #[arg(short = 'p', value_name = "PASS")]
    pub last_pass: Option<String>,

    /// With -p4, do not show the programs to the kernel
    #[arg(long, hide_short_help = true)]
    pub no_load: bool,

    /// End after so many seconds, as exit() does
    #[arg(short = 'T', value_name = "SECONDS", allow_negative_numbers = true)]
    pub timeout: Option<String>,

    /// Give a global variable another initial value
    #[arg(short = 'G', value_name = "NAME=VALUE")]
    pub global: Vec<String>,

    #[arg(short = 'D', value_name = "NAME=VALUE", help = "Set a limit", long_help = limits::help())]
    pub define: Vec<String>,

    /// Guru mode: pieces of C may stand in the script, as long as nothing has to run them
    #[arg(short = 'g', hide_short_help = true)]
    pub guru: bool,

    /// Take library files of this folder where names are not ours
    ///
    /// Its files end in `.stp` and `.stpm`. $SYSTEMTAP_TAPSET names one more folder.
    #[arg(short = 'I', value_name = "FOLDER", action = clap::ArgAction::Append, value_hint = ValueHint::DirPath)]
    pub tapsets: Vec<String>,

    /// Look for debug information and symbols of programs and the kernel in this file or folder, too
    ///
    /// A file is taken for the build that it is of; a folder is searched as /usr/lib/debug is.
    #[arg(short = 'd', value_name = "FILE", hide_short_help = true, action = clap::ArgAction::Append, value_hint = ValueHint::AnyPath)]
    pub debug_places: Vec<String>,

    /// Run this program when all probes stand, and end with it
    ///
    /// target() is its process id.
    #[arg(short = 'c', value_name = "COMMAND")]
    pub command: Option<String>,

    /// What target() gives: a process id
    #[arg(short = 'x', value_name = "PID")]
    pub target: Option<String>,

    /// Write to this file instead of standard output
    ///
    /// Conversions of strftime(3) are replaced: `trace-%F.log`.
    #[arg(short = 'o', value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<OsString>,

    /// With -o, begin another file after so many megabytes, and keep so many files
    #[arg(short = 'S', value_name = "MEGABYTES[,FILES]", hide_short_help = true)]
    pub file_size: Option<String>,

    /// Room for what is on its way to user space, 1 to 2048
    #[arg(short = 's', value_name = "MEGABYTES", hide_short_help = true)]
    pub ring: Option<String>,

    /// Take only this way to stand at kernel functions
    #[arg(long, value_name = "RUNG", value_enum, hide_short_help = true)]
    pub attach: Option<Attach>,

    /// Print a representation of the script instead of running it
    #[arg(long, value_name = "STAGE", value_enum, conflicts_with = "last_pass", hide_short_help = true)]
    pub emit: Option<Emit>,

    /// List the probe points that PATTERN stands for, by name
    #[arg(short = 'l', value_name = "PATTERN", conflicts_with_all = ["emit", "last_pass", "list_variables"], add = ArgValueCompleter::new(complete::point))]
    pub list: Option<String>,

    /// As -l, with the variables that a handler can use there
    #[arg(short = 'L', value_name = "PATTERN", conflicts_with_all = ["emit", "last_pass"], add = ArgValueCompleter::new(complete::point))]
    pub list_variables: Option<String>,

    /// List the forms of probe points
    #[arg(long, hide_short_help = true)]
    pub dump_probe_types: bool,

    /// List the library's aliases of probe points
    #[arg(long, hide_short_help = true)]
    pub dump_probe_aliases: bool,

    /// List the library's functions
    #[arg(long, hide_short_help = true)]
    pub dump_functions: bool,

    /// How to write: text, or json, one object a line, with all globals at the end
    #[arg(
        short = 'f',
        long = "format",
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        hide_short_help = true
    )]
    pub format: Writing,

    /// Draw arrays keyed by stacks as a flame graph when the script has ended
    ///
    /// Where several arrays are, those after the largest are drawn into FILE-NAME.svg.
    #[arg(long, value_name = "FILE.svg", value_hint = ValueHint::FilePath, hide_short_help = true)]
    pub flame: Option<OsString>,

    /// Draw histograms over time as heat maps, numbers and rates as lines
    #[arg(long, value_name = "FILE.svg", value_hint = ValueHint::FilePath, hide_short_help = true)]
    pub plot: Option<OsString>,

    /// Do not print at the end what the script writes and never reads
    #[arg(long, hide_short_help = true)]
    pub no_global_var_display: bool,

    /// Take 0 for target variables that are not there
    #[arg(long, hide_short_help = true)]
    pub skip_badvars: bool,

    /// Only count the run-time errors: none is said, none ends the run
    #[arg(long, hide_short_help = true)]
    pub suppress_handler_errors: bool,

    /// With -g, count no statements of handlers
    #[arg(long, hide_short_help = true)]
    pub suppress_time_limits: bool,

    /// Say at the end how often each probe was hit and missed
    ///
    /// And what that took.
    #[arg(short = 't')]
    pub timing: bool,

    /// Compile what has no effect, too
    #[arg(short = 'u', hide_short_help = true)]
    pub unoptimized: bool,

    /// Exit with 1 if anything was lost
    #[arg(long, hide_short_help = true)]
    pub strict: bool,

    /// Hide warnings and notes
    #[arg(short = 'w')]
    pub no_warnings: bool,

    /// Take warnings for errors
    #[arg(short = 'W')]
    pub warnings_are_errors: bool,

    /// How errors look
    #[arg(long, value_name = "LOOK", value_enum, hide_short_help = true)]
    pub diagnostics: Option<Look>,

    /// Colours in errors; SystemTap's way of saying `--color` alone means always
    #[arg(long, alias = "colour", value_name = "WHEN", value_enum, num_args = 0..=1, require_equals = true, default_value = "auto", default_missing_value = "always", hide_short_help = true)]
    pub color: Color,

    /// Print the version
    #[arg(short = 'V', long, action = clap::ArgAction::Version)]
    pub version: (),

    /// The script's file, unless there is -e, and the script's arguments
    #[arg(value_name = "SCRIPT", trailing_var_arg = true, value_hint = ValueHint::FilePath, add = ArgValueCompleter::new(complete::script))]
    pub words: Vec<OsString>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Attach {
    Fentry,
    #[value(name = "kprobe.multi")]
    KprobeMulti,
    Kprobe,
    Tracepoint,
}

#[derive(Clone, Copy, ValueEnum)]
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Writing {
    /// As SystemTap writes
    Text,
    /// For machines: docs/json.md
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Look {
    Fancy,
    Stap,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    Always,
    Never,
}
