//! What the steps of checking share.

use crate::world::{Rung, World};
use tapster_lang::{Diagnostic, Severity};

/// Limits and choices of a run, `-D` and `--attach`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of a string with its NUL.
    pub max_string: u32,
    /// Elements of an array that gives no size.
    pub max_entries: u32,
    /// Frames kept of a stack.
    pub max_backtrace: u32,
    /// Statements of a user handler.
    pub max_action: u32,
    /// The only rung to take.
    pub attach: Option<Rung>,
}

impl Default for Options {
    fn default() -> Options {
        use tapster_runtime_ebpf::limits;
        Options {
            max_string: limits::MAXSTRINGLEN,
            max_entries: limits::MAXMAPENTRIES,
            max_backtrace: limits::MAXBACKTRACE,
            max_action: limits::MAXACTION,
            attach: None,
        }
    }
}

/// What the steps share: the machine, the options and what was found wrong.
pub struct Context<'a> {
    /// The machine.
    pub world: &'a dyn World,
    /// Limits and choices.
    pub options: &'a Options,
    /// What was found, in order.
    pub diagnostics: Vec<Diagnostic>,
}

impl Context<'_> {
    /// Takes a diagnostic, once: several places of one probe find the same.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        if !self.diagnostics.contains(&diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
}
