//! How a script is run, and how that ended.

use crate::command::Command;
use crate::privilege::Kept;
use crate::watch::Watcher;
use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

/// What a session is at, for whoever waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Probes are being attached.
    Attaching {
        /// So many are.
        done: usize,
        /// Of so many.
        all: usize,
    },
    /// The script runs.
    Running,
    /// The end handlers read and print what was gathered.
    Ending,
}

/// How a script is run.
pub struct Options {
    /// Says what is attached where and why, from 1 on.
    pub verbose: u32,
    /// Says at the end how often programs ran and what that took.
    pub timing: bool,
    /// Any loss makes the exit code 1.
    pub strict: bool,
    /// Ends the run, as `exit()` does.
    pub timeout: Option<Duration>,
    /// Run-time errors that do not end the run yet (`-DMAXERRORS`).
    pub errors_max: u32,
    /// Run-time errors are only counted: none is said, none ends the run (`--suppress-handler-errors`).
    pub suppress_errors: bool,
    /// Programs are attached; otherwise they are loaded alone.
    pub attaches: bool,
    /// What `target()` gives.
    pub target: i64,
    /// The program to run as soon as everything is attached; its end is the session's.
    pub command: Option<Command>,
    /// When this process started to work on the script: `attached … in` counts from here.
    pub started: Instant,
    /// Tells of a source position what stands there: `operator '/' at slab.stp:1:43`; empty where it is none.
    pub place: Box<dyn Fn(u32) -> String>,
    /// Is told of every stage.
    pub progress: Box<dyn Fn(Stage)>,
    /// Records for machines instead of text.
    pub machine: bool,
    /// What this thread keeps of its capabilities while the script runs.
    pub kept: Kept,
    /// Who looks at the globals while the script runs.
    pub watchers: Vec<Box<dyn Watcher>>,
    /// Files and folders with symbols of programs, beside those of packages.
    pub debug_places: Vec<String>,
    /// Standard output.
    pub out: Box<dyn Write>,
    /// Standard error.
    pub err: Box<dyn Write>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            verbose: 0,
            timing: false,
            strict: false,
            timeout: None,
            errors_max: 0,
            suppress_errors: false,
            attaches: true,
            target: 0,
            command: None,
            started: Instant::now(),
            place: Box::new(|_| String::new()),
            progress: Box::new(|_| ()),
            machine: false,
            kept: Kept::All,
            watchers: Vec::new(),
            debug_places: Vec::new(),
            out: Box::new(std::io::stdout()),
            err: Box::new(std::io::stderr()),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("verbose", &self.verbose)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the process shall exit with.
    pub code: i32,
    /// Run-time errors.
    pub errors: u32,
    /// What was lost, a line each; already said on standard error.
    pub losses: Vec<String>,
}
