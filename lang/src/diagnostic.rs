//! What the compiler tells the user: errors and warnings of every stage, and the ways to show them.
//!
//! A [`Diagnostic`] is built beside the check that finds the fault and only holds data. Messages keep SystemTap's
//! wording; the code is ours, is stable, and has a text that [`explain`] gives.

mod explain;
mod fancy;
mod json;
mod stap;

pub use explain::{codes, explain};

use crate::source::{SourceMap, Span};

/// How bad it is.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Severity {
    /// The script does not run.
    Error,
    /// The script runs, maybe not as meant.
    Warning,
    /// Worth knowing.
    Note,
}

/// The stage a diagnostic comes from, which SystemTap puts before the message.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `parse error`
    Parse,
    /// `semantic error`
    Semantic,
    /// `internal error`: ours, not the user's.
    Internal,
    /// The message is a sentence of its own.
    Bare,
}

impl Kind {
    fn of_code(code: &str) -> Kind {
        match code.split("::").next() {
            Some("parse") => Kind::Parse,
            Some("internal") => Kind::Internal,
            _ => Kind::Semantic,
        }
    }
}

/// A place in the source and what is to be said about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A few words; empty for a bare mark.
    pub text: String,
}

/// One message to the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable name, `stage::fault`.
    pub code: &'static str,
    /// The stage; taken from the code.
    pub kind: Kind,
    /// SystemTap's wording, without the `parse error: ` before it.
    pub message: String,
    /// Places, the primary one first.
    pub labels: Vec<Label>,
    /// What to type next.
    pub help: Option<String>,
    /// Further facts.
    pub notes: Vec<String>,
    /// What led to it, shown behind it: SystemTap's chained errors.
    pub causes: Vec<Diagnostic>,
    /// The primary label is the faulty token itself, not the one met where another was expected: SystemTap
    /// writes `at:` for the former and `saw:` for the latter. Parse errors only.
    pub at_token: bool,
}

/// How to show diagnostics.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// Source lines, labels and help, drawn for people.
    Fancy,
    /// Byte for byte as `stap` prints them.
    Stap,
    /// One JSON object a line.
    Json,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            kind: Kind::of_code(code),
            message: message.into(),
            labels: Vec::new(),
            help: None,
            notes: Vec::new(),
            causes: Vec::new(),
            at_token: false,
        }
    }

    /// A warning without a place.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// Marks a place; the first one is the primary.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says what to type next.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// Adds a fact.
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// Adds what led to it.
    pub fn cause(mut self, cause: Diagnostic) -> Diagnostic {
        self.causes.push(cause);
        self
    }

    /// The primary label marks the faulty token itself; see [`Diagnostic::at_token`].
    pub fn at_token(mut self) -> Diagnostic {
        self.at_token = true;
        self
    }

    /// The primary place, [`Span::NONE`] without labels.
    pub fn span(&self) -> Span {
        self.labels.first().map_or(Span::NONE, |label| label.span)
    }

    /// The first line without a place: `parse error: expected statement`.
    pub fn headline(&self) -> String {
        match self.prefix() {
            "" => self.message.clone(),
            prefix => format!("{prefix}: {}", self.message),
        }
    }

    /// What stands before the message.
    fn prefix(&self) -> &'static str {
        match (self.severity, self.kind) {
            (Severity::Warning, _) => "WARNING",
            (Severity::Note, _) => "NOTE",
            (Severity::Error, Kind::Parse) => "parse error",
            (Severity::Error, Kind::Semantic) => "semantic error",
            (Severity::Error, Kind::Internal) => "internal error",
            (Severity::Error, Kind::Bare) => "",
        }
    }

    /// Shows it alone; see [`render_all`]. `width` is the terminal's, in columns.
    pub fn render(&self, sources: &SourceMap, format: Format, colour: bool, width: usize) -> String {
        render_all(std::slice::from_ref(self), sources, format, colour, width)
    }
}

/// Shows several diagnostics in order. SystemTap's layout names a file only when it differs from the one before.
pub fn render_all(
    diagnostics: &[Diagnostic],
    sources: &SourceMap,
    format: Format,
    colour: bool,
    width: usize,
) -> String {
    let mut out = String::new();
    match format {
        Format::Fancy => {
            for diagnostic in diagnostics {
                fancy::render(diagnostic, sources, colour, width, &mut out);
            }
        }
        Format::Stap => {
            let mut writer = stap::Writer::new(sources, colour);
            for diagnostic in diagnostics {
                writer.write(diagnostic, &mut out);
            }
        }
        Format::Json => {
            for diagnostic in diagnostics {
                json::render(diagnostic, sources, &mut out);
            }
        }
    }
    out
}
