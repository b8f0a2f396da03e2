//! What the compiler tells the user: errors and warnings of every stage, and the ways to show them.
//!
//! A [`Diagnostic`] is built beside the check that finds the fault and only holds data. Messages keep SystemTap's
//! wording; the code is ours, is stable, and has a text that [`explain`] gives.

mod explain;
mod fancy;
mod json;
mod stap;

pub use explain::{codes, explain};
pub use json::string as json_string;

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
    /// What was being done when it was met, and where: SystemTap writes an error of its own before this one.
    pub during: Option<Label>,
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
            during: None,
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

    /// Says what was being done.
    pub fn during(mut self, text: &str, span: Span) -> Diagnostic {
        self.during = Some(Label { span, text: text.into() });
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

/// A token as SystemTap names it in messages, run-time errors included: `operator '/' at script.stp:2:25`.
pub fn describe_token(sources: &SourceMap, span: Span) -> String {
    stap::Writer::new(sources, false).describe(span)
}

/// The same for the token that starts at a position.
pub fn describe_token_at(sources: &SourceMap, pos: u32) -> String {
    let Some(file) = sources.file_at(pos) else { return String::new() };
    let base = sources.file_span(file).start;
    let end =
        crate::lexer::scan(sources.file_text(file), (pos - base) as usize).map_or(pos + 1, |t| base + t.end as u32);
    describe_token(sources, Span::new(pos, end))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A map with one script, and the place of a text in it.
    fn script(text: &str) -> (SourceMap, impl Fn(&str) -> Span) {
        let mut sources = SourceMap::new();
        let file = sources.add("<input>", text);
        let start = sources.file_span(file).start;
        let text = text.to_owned();
        let find = move |part: &str| {
            let at = text.find(part).expect("part of the text") as u32;
            Span::new(start + at, start + at + part.len() as u32)
        };
        (sources, find)
    }

    fn stap(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
        render_all(diagnostics, sources, Format::Stap, false, 80)
    }

    // The expected texts of these tests are those of stap 4.8 (reference/cli_error_samples.txt).

    #[test]
    fn a_second_token_follows_without_a_prefix() {
        let (sources, at) = script("function f(x) { return x } probe begin { f(1,2) exit() }");
        let error = Diagnostic::error("check::arity", "arity mismatch found (function 'f' takes 1 args)");
        let name = at("f(x)");
        let error = error.label(at("f(1"), "").label(Span::new(name.start, name.start + 1), "");
        let expected = "\
semantic error: arity mismatch found (function 'f' takes 1 args): identifier 'f' at <input>:1:42
        source: function f(x) { return x } probe begin { f(1,2) exit() }
                                                         ^
identifier 'f' at :1:10
        source: function f(x) { return x } probe begin { f(1,2) exit() }
                         ^

";
        assert_eq!(stap(&[error], &sources), expected);
    }

    #[test]
    fn a_cause_follows_as_a_paragraph() {
        let (sources, at) = script("probe foo.bar { }");
        let cause = Diagnostic::error("probe::no-match", "probe point mismatch (similar: nfs, nfsd, vfs, vm, _nfs)");
        let error = Diagnostic::error("probe::no-match", "while resolving probe point").label(at("foo"), "");
        let error = error.cause(cause.label(at("foo"), ""));
        let expected = "\
semantic error: while resolving probe point: identifier 'foo' at <input>:1:7
        source: probe foo.bar { }
                      ^

semantic error: probe point mismatch (similar: nfs, nfsd, vfs, vm, _nfs): identifier 'foo' at :1:7
        source: probe foo.bar { }
                      ^

";
        assert_eq!(stap(&[error], &sources), expected);
    }

    #[test]
    fn warnings_have_one_blank_and_keywords_no_text() {
        let (sources, at) = script("probe begin if (1) {}");
        let warning = Diagnostic::warning("check::elided", "Probe 'begin' has been elided").label(at("probe"), "");
        let error = Diagnostic::error("check::no-probes", "no probes found");
        let expected = "\
WARNING: Probe 'begin' has been elided: keyword at <input>:1:1
 source: probe begin if (1) {}
         ^
semantic error: no probes found

";
        assert_eq!(stap(&[warning, error], &sources), expected);
    }

    #[test]
    fn colours_are_those_of_systemtap() {
        let (sources, at) = script("probe x {}");
        let error = Diagnostic::error("probe::no-match", "no match").label(at("x"), "");
        let shown = render_all(&[error], &sources, Format::Stap, true, 80);
        let expected = "\
\x1b[01;31m\x1b[Ksemantic error:\x1b[m\x1b[K no match: identifier 'x' at \x1b[00;34m\x1b[K<input>:1:7\x1b[m\x1b[K
        source: probe \x1b[01m\x1b[Kx\x1b[m\x1b[K {}
                      \x1b[01m\x1b[K^\x1b[m\x1b[K

";
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_caret_keeps_tabs_and_counts_bytes() {
        let (sources, at) = script("\t\"\u{e9}\"\t+ 1");
        let error = Diagnostic::error("check::type", "type mismatch").label(at("+"), "");
        let lines: Vec<String> = stap(&[error], &sources).lines().map(str::to_owned).collect();
        assert_eq!(lines[0], "semantic error: type mismatch: operator '+' at <input>:1:7");
        assert_eq!(lines[2], "                \t   \t^");
    }

    #[test]
    fn tokens_are_named_for_runtime_errors() {
        let (sources, at) = script("probe begin { z=0; println(1/z) }");
        assert_eq!(describe_token(&sources, at("/z")), "operator '/' at <input>:1:29");
        assert_eq!(describe_token(&sources, at("probe")), "keyword at <input>:1:1");
    }

    #[test]
    fn people_see_source_labels_help_and_notes() {
        let (sources, at) = script("probe kernel.function(\"nosuch\") {}\n");
        let error = Diagnostic::error("probe::no-match", "no kernel function matches `nosuch`");
        let error = error.label(at("\"nosuch\""), "matches nothing").help("did you mean `nosync`?").note("6.18.44");
        let expected = "\
semantic error: no kernel function matches `nosuch`
   ╭─[<input>:1:23]
 1 │ probe kernel.function(\"nosuch\") {}
   ·                       ────┬───
   ·                           ╰── matches nothing
   ╰────
  help: did you mean `nosync`?

  note: 6.18.44
  more: tapster explain probe::no-match

";
        assert_eq!(error.render(&sources, Format::Fancy, false, 80), expected);
    }

    #[test]
    fn nothing_in_a_script_steers_the_terminal() {
        let (sources, at) = script("probe \u{1b}[31m\u{9b}x {}");
        let error = Diagnostic::error("probe::no-match", "no \u{1b}[1mmatch").label(at("x"), "\u{1b}[5m");
        for format in [Format::Fancy, Format::Stap, Format::Json] {
            let shown = error.render(&sources, format, false, 80);
            assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown:?}");
        }
    }
}
