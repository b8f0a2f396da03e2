//! SystemTap's own layout, for programs and eyes that expect it.
//!
//! `parse error` names the token on a line of its own (`saw:`, `at:`), the others at the end of the message; the
//! source line follows with a caret. A file is named only when it differs from the one named last.

use super::{Diagnostic, Kind, Severity};
use crate::lexer;
use crate::source::{SourceMap, Span, bytes};

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

impl<'a> Writer<'a> {
    pub(super) fn new(sources: &'a SourceMap, colour: bool) -> Writer<'a> {
        Writer { sources, colour, last_file: String::new() }
    }

    pub(super) fn write(&mut self, diagnostic: &Diagnostic, out: &mut String) {
        match (diagnostic.severity, diagnostic.kind) {
            (Severity::Error, Kind::Parse) => self.parse_error(diagnostic, out),
            (Severity::Error, Kind::Bare) => *out += &format!("{}\n", bytes::printable(&diagnostic.message)),
            (Severity::Error, _) => self.paragraph(diagnostic, "        ", ERROR, out),
            _ => self.paragraph(diagnostic, " ", WARNING, out),
        }
        for cause in &diagnostic.causes {
            self.write(cause, out);
        }
    }

    fn parse_error(&mut self, diagnostic: &Diagnostic, out: &mut String) {
        self.headline(diagnostic, ERROR, out);
        out.push('\n');
        if let Some(label) = diagnostic.labels.first() {
            if self.is_end_of_file(label.span) {
                let file = self.sources.locate(label.span.start).file;
                *out += &format!("        saw: {file} EOF\n");
            } else {
                *out += if diagnostic.at_token { "         at: " } else { "        saw: " };
                self.token(label.span, out);
                self.source_lines(label.span, "     ", out);
                self.expansions(label.span, out);
            }
        }
        for label in diagnostic.labels.iter().skip(1) {
            *out += "         at: ";
            self.token(label.span, out);
            self.source_lines(label.span, "     ", out);
        }
        out.push('\n');
    }

    /// Semantic errors and warnings: message and token on one line.
    fn paragraph(&mut self, diagnostic: &Diagnostic, indent: &str, colour: &str, out: &mut String) {
        self.headline(diagnostic, colour, out);
        match diagnostic.labels.first() {
            Some(label) => {
                *out += ": ";
                self.token(label.span, out);
                self.source_lines(label.span, indent, out);
                self.expansions(label.span, out);
            }
            None => out.push('\n'),
        }
        for label in diagnostic.labels.iter().skip(1) {
            self.token(label.span, out);
            self.source_lines(label.span, indent, out);
        }
        if diagnostic.severity == Severity::Error {
            out.push('\n');
        }
    }

    fn headline(&self, diagnostic: &Diagnostic, colour: &str, out: &mut String) {
        self.paint(&format!("{}:", diagnostic.prefix()), colour, out);
        out.push(' ');
        *out += &bytes::printable(&diagnostic.message);
    }

    fn is_end_of_file(&self, span: Span) -> bool {
        let place = self.sources.file_at(span.start).map(|file| self.sources.file_span(file));
        place.is_some_and(|file| file.end == span.start)
    }

    /// `operator '}' at F:L:C` and a line break.
    fn token(&mut self, span: Span, out: &mut String) {
        let text = self.sources.text(span);
        let (kind, token) = lexer::first_token(text);
        *out += kind.stap_name();
        if kind.shows_text() {
            *out += " '";
            let shown: String = token.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
            self.paint(&shown, TOKEN, out);
            out.push('\'');
        }
        *out += " at ";
        self.place(span, out);
    }

    fn place(&mut self, span: Span, out: &mut String) {
        let place = self.sources.locate(span.start);
        let file = if self.last_file == place.file { "" } else { place.file };
        self.paint(&format!("{file}:{}:{}", place.line, place.column), TOKEN, out);
        self.last_file = place.file.to_owned();
        out.push('\n');
    }

    /// `source: <line>` and the caret; tabs before it are kept so that it stands right.
    fn source_lines(&self, span: Span, indent: &str, out: &mut String) {
        let line = self.sources.line_text(span.start);
        let column = self.sources.locate(span.start).column as usize;
        *out += indent;
        *out += "source: ";
        self.paint(&bytes::printable(line), SOURCE, out);
        out.push('\n');
        *out += indent;
        *out += "        ";
        let mut width = 0;
        for c in line.chars() {
            if width + 1 >= column {
                break;
            }
            width += if bytes::is_escape(c) { 1 } else { c.len_utf8() };
            out.push(if c == '\t' { '\t' } else { ' ' });
        }
        self.paint("^", CARET, out);
        out.push('\n');
    }

    /// Macros through which the token came. Pasted arguments are not named, as SystemTap does not.
    fn expansions(&mut self, span: Span, out: &mut String) {
        for expansion in self.sources.expansions(span) {
            if expansion.is_argument() {
                continue;
            }
            *out += "\tin expansion of macro: operator '";
            self.paint(&expansion.name, TOKEN, out);
            *out += "' at ";
            self.place(expansion.call_site, out);
            self.source_lines(expansion.call_site, "        ", out);
        }
    }

    fn paint(&self, text: &str, code: &str, out: &mut String) {
        match self.colour {
            true => *out += &format!("\x1b[{code}m{text}\x1b[m"),
            false => *out += text,
        }
    }
}
