//! What goes to standard error.

use crate::args::Options;
use std::io::{IsTerminal, Write};
use tapster_lang::diagnostic::{Format, render_all};
use tapster_lang::{Diagnostic, SourceMap, Span};
use tapster_runtime::LoadError;

/// Columns where nobody tells.
const WIDTH: usize = 100;

/// Says what went wrong and what was noticed.
pub struct Reporter {
    format: Format,
    colour: bool,
    width: usize,
    quiet: bool,
}

impl Reporter {
    /// As the options and the terminal have it.
    pub fn new(options: &Options) -> Reporter {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width = columns.unwrap_or(WIDTH).clamp(40, 160);
        Reporter { format: options.format, colour, width, quiet: options.no_warnings }
    }

    /// A line as it is.
    pub fn line(&self, line: &str) {
        // Nothing is left to say where standard error is closed.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Errors and warnings in order.
    pub fn diagnostics(&self, all: &[Diagnostic], sources: &SourceMap) {
        let text = render_all(all, sources, self.format, self.colour, self.width);
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    /// Warnings, unless they are hidden.
    pub fn warnings(&self, all: &[Diagnostic], sources: &SourceMap) {
        if !self.quiet && !all.is_empty() {
            self.diagnostics(all, sources);
        }
    }

    /// Names that were translated, one line each.
    pub fn notes(&self, notes: &[String]) {
        if !self.quiet {
            notes.iter().for_each(|note| self.line(&format!("note: {note}")));
        }
    }

    /// Why a script could not be loaded. The verifier's complaint names the script's line.
    pub fn load_error(&self, error: &LoadError, sources: &SourceMap) {
        let LoadError::Rejected(rejection) = error else {
            return self.line(&format!("error: {error}"));
        };
        let report = Diagnostic::error("internal::rejected", error.to_string())
            .label(Span { start: rejection.position, end: rejection.position + 1 }, rejection.reason())
            .help("this is a bug of Tapster, not of the script: please report it with the lines below")
            .note(rejection.tail(12).to_owned());
        self.diagnostics(&[report], sources);
    }
}
