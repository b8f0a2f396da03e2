//! SystemTap's own layout, for programs and eyes that expect it.
//!
//! `parse error` names the token on a line of its own (`saw:`, `at:`), the others at the end of the message; the
//! source line follows with a caret. Outside of parse errors a file is named only when it is not the one named last.

use super::{Diagnostic, Kind, Label, Severity};
use crate::lexer;
use crate::source::{Location, SourceMap, Span, bytes};

/// How the label of a first use starts or goes on.
const FIRST_INFERRED: &str = "first inferred here";

/// An error of the same severity and code, with nothing in it.
fn bare(diagnostic: &Diagnostic) -> Diagnostic {
    let empty = Diagnostic::error(diagnostic.code, "");
    Diagnostic { severity: diagnostic.severity, ..empty }
}

fn plain(label: &Label) -> Label {
    Label { span: label.span, text: String::new() }
}

/// Remembers which file was named last.
pub(super) struct Writer<'a> {
    sources: &'a SourceMap,
    colour: bool,
    last_file: String,
}

/// SGR codes as in the default SYSTEMTAP_COLORS.
const ERROR: &str = "01;31";
const WARNING: &str = "00;33";
const SOURCE: &str = "00;34";
const CARET: &str = "01";
const TOKEN: &str = "01";

/// Bytes that are shown on each side of a token, at most.
const NEAR_BYTES: usize = 4_000;

/// Blanks before `source:`.
const PARSE_INDENT: &str = "     ";
const SEMANTIC_INDENT: &str = "        ";
const WARNING_INDENT: &str = " ";

impl<'a> Writer<'a> {
    pub(super) fn new(sources: &'a SourceMap, colour: bool) -> Writer<'a> {
        Writer { sources, colour, last_file: String::new() }
    }

    /// A token with its place.
    pub(super) fn describe(&self, span: Span) -> String {
        let mut out = String::new();
        self.token(span, &mut out);
        out + self.place(span, true).trim_end()
    }

    pub(super) fn write(&mut self, diagnostic: &Diagnostic, out: &mut String) {
        if let Some(during) = &diagnostic.during {
            let context = Diagnostic { message: during.text.clone(), labels: vec![during.clone()], ..bare(diagnostic) };
            self.write(&context, out);
        }
        match (diagnostic.severity, diagnostic.kind) {
            (Severity::Error, Kind::Bare) => *out += &format!("{}\n", bytes::printable(&diagnostic.message)),
            (Severity::Error, Kind::Parse) => self.parse_error(diagnostic, out),
            (Severity::Error, _) => self.paragraph(diagnostic, SEMANTIC_INDENT, ERROR, out),
            _ => self.paragraph(diagnostic, WARNING_INDENT, WARNING, out),
        }
        for cause in &diagnostic.causes {
            self.write(cause, out);
        }
    }

    fn parse_error(&mut self, diagnostic: &Diagnostic, out: &mut String) {
        self.headline(diagnostic, ERROR, out);
        out.push('\n');
        // Further labels are ours: SystemTap has one token here.
        let span = diagnostic.span();
        if self.is_end_of_file(span) {
            let file = self.sources.locate(span.start).file;
            *out += &format!("{PARSE_INDENT}   saw: {} EOF\n", bytes::printable(file));
        } else if !span.is_none() {
            let label = if diagnostic.at_token { "    at: " } else { "   saw: " };
            *out += PARSE_INDENT;
            *out += label;
            self.token(span, out);
            *out += &self.place(span, true);
            self.source_lines(span, PARSE_INDENT, out);
        }
        out.push('\n');
    }

    /// Semantic errors and warnings: message and token on one line, further tokens below.
    fn paragraph(&mut self, diagnostic: &Diagnostic, indent: &str, colour: &str, out: &mut String) {
        self.headline(diagnostic, colour, out);
        *out += if diagnostic.labels.is_empty() { "\n" } else { ": " };
        // What was inferred elsewhere is an error of its own.
        let is_apart = |label: &&Label| label.text.contains(FIRST_INFERRED);
        for label in diagnostic.labels.iter().filter(|label| !is_apart(label)) {
            self.token(label.span, out);
            let is_named = self.sources.locate(label.span.start).file == self.last_file;
            *out += &self.place(label.span, !is_named);
            self.last_file = self.sources.locate(label.span.start).file.to_owned();
            self.source_lines(label.span, indent, out);
        }
        if diagnostic.severity == Severity::Error {
            out.push('\n');
        }
        for label in diagnostic.labels.iter().filter(is_apart) {
            self.write(
                &Diagnostic { message: label.text.clone(), labels: vec![plain(label)], ..bare(diagnostic) },
                out,
            );
        }
    }

    fn headline(&self, diagnostic: &Diagnostic, colour: &str, out: &mut String) {
        *out += &self.paint(&format!("{}:", diagnostic.prefix()), colour);
        out.push(' ');
        *out += &bytes::printable(&diagnostic.message);
    }

    fn is_end_of_file(&self, span: Span) -> bool {
        let file = self.sources.file_at(span.start).map(|file| self.sources.file_span(file));
        file.is_some_and(|file| file.end == span.start)
    }

    /// `operator '}' at `
    fn token(&self, span: Span, out: &mut String) {
        let (kind, token) = lexer::first_token(self.sources.text(span));
        *out += kind.stap_name();
        if kind.shows_text() {
            let shown = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
            *out += " '";
            match kind {
                lexer::TokenKind::Junk(lexer::Junk::Byte) => {
                    *out += &bytes::unescape(token).first().map_or_else(String::new, |byte| format!("\\x{byte:02x}"));
                }
                _ => out.extend(token.chars().map(shown)),
            }
            out.push('\'');
        }
        *out += " at ";
    }

    /// `F:L:C` or `:L:C`, and a line break.
    fn place(&self, span: Span, with_file: bool) -> String {
        let Location { file, line, column } = self.sources.locate(span.start);
        let file = if with_file { file } else { "" };
        self.paint(&format!("{}:{line}:{column}", bytes::printable(file)), SOURCE) + "\n"
    }

    /// `source: <line>` and the caret; tabs before it are kept so that it stands right. Then the macros through
    /// which the token came, each with its line. Pasted arguments are not named.
    fn source_lines(&self, span: Span, indent: &str, out: &mut String) {
        self.line_and_caret(span, indent, out);
        for expansion in self.sources.expansions(span).iter().filter(|expansion| !expansion.is_argument()) {
            let place = self.place(expansion.call_site, true);
            *out += &format!("\tin expansion of macro: operator '{}' at {place}", expansion.name);
            self.line_and_caret(expansion.call_site, indent, out);
        }
    }

    fn line_and_caret(&self, span: Span, indent: &str, out: &mut String) {
        let line = self.sources.line_text(span.start);
        let (left, right) = line.split_at(self.sources.offset_in_line(span.start));
        let (_, token) = lexer::first_token(self.sources.text(span));
        let (marked, rest) = right.split_at(if right.starts_with(token) { token.len() } else { 0 });
        // Of a very long line only what is near: SystemTap shows all of it, for every token that it names.
        let left = &left[left.ceil_char_boundary(left.len().saturating_sub(NEAR_BYTES))..];
        let rest = &rest[..rest.floor_char_boundary(NEAR_BYTES)];
        let marked = self.paint(&bytes::printable(marked), TOKEN);
        *out += &format!("{indent}source: {}{marked}{}\n", bytes::printable(left), bytes::printable(rest));
        let blanks: String = left.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        *out += &format!("{indent}        {blanks}{}\n", self.paint("^", CARET));
    }

    fn paint(&self, text: &str, code: &str) -> String {
        match self.colour && !text.is_empty() {
            true => format!("\x1b[{code}m\x1b[K{text}\x1b[m\x1b[K"),
            false => text.to_owned(),
        }
    }
}
