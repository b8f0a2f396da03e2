//! What is wrong with a text before it is parsed: tokens that are none, arguments that do not exist, brackets nested
//! too deep for any parser.

use super::NESTING_MAX;
use crate::diagnostic::Diagnostic;
use crate::lexer::{self, Junk, TokenKind};
use crate::preprocess::Environment;
use crate::preprocess::paste::unpasted_argument;
use crate::source::{FileId, SourceMap, Span};
use std::borrow::Cow;

/// What one look at all tokens finds.
#[derive(Default)]
pub(super) struct Check {
    /// In order of the text.
    pub(super) errors: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
    /// There is nothing but blanks.
    pub(super) is_empty: bool,
    /// The text reads its arguments by other means: `argv`, `argc`.
    pub(super) reads_argv: bool,
    /// Nesting exceeds what the parser takes: it must not be tried.
    pub(super) too_deep: bool,
    /// Ranges that hold comments.
    comments: Vec<(usize, usize)>,
}

impl Check {
    /// Notes a range between tokens that holds more than blanks.
    fn comment(&mut self, text: &str, start: usize, end: usize) {
        if text.as_bytes()[start..end].iter().any(|byte| matches!(byte, b'#' | b'/')) {
            self.comments.push((start, end));
        }
    }

    /// The text with blanks in the place of comments, which the grammar does not know.
    pub(super) fn without_comments<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.comments.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut blank = text.as_bytes().to_vec();
        for (start, end) in &self.comments {
            blank[*start..*end].fill(b' ');
        }
        Cow::Owned(String::from_utf8(blank).expect("comments are whole characters"))
    }
}

/// Looks at every token of a file.
pub(super) fn check(file: FileId, sources: &SourceMap, env: &Environment) -> Check {
    let (text, base) = (sources.file_text(file), sources.file_span(file).start);
    let mut found = Check { is_empty: true, ..Check::default() };
    let (mut at, mut depth) = (0, 0usize);
    while let Some(token) = lexer::scan(text, at) {
        found.comment(text, token.trivia, token.start);
        at = token.end;
        found.is_empty = false;
        let span = Span::new(base + token.start as u32, base + token.end as u32);
        match token.kind {
            TokenKind::Operator => match text.as_bytes()[token.start] {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            },
            TokenKind::Identifier => {
                found.reads_argv |= matches!(text.get(token.start..token.start + 4), Some("argv" | "argc"))
            }
            TokenKind::EmbeddedC => found.warnings.extend(odd_close(&text[token.start..token.end], span)),
            TokenKind::Argument => found.errors.push(unpasted_argument(span, sources, env)),
            TokenKind::Junk(junk) => found.errors.extend(junk_error(junk, span)),
            _ => {}
        }
        if depth > NESTING_MAX && !found.too_deep {
            found.too_deep = true;
            found.errors.push(too_deep(span));
        }
    }
    found.comment(text, at, text.len());
    found
}

/// Brackets, statements or operators within each other beyond what is sane.
pub(super) fn too_deep(at: Span) -> Diagnostic {
    let error = Diagnostic::error("parse::too-deep", "nested too deep").label(at, "one level too many").at_token();
    error.help("split the expression or statement, for instance into functions")
}

fn junk_error(junk: Junk, span: Span) -> Option<Diagnostic> {
    let (code, message, text) = match junk {
        Junk::UnclosedString => {
            ("parse::unclosed-string", "Could not find matching closing quote", "the line ends before the string does")
        }
        Junk::UnclosedEmbeddedC => {
            let message = "Could not find matching '%}' to close embedded function block";
            ("parse::unclosed-code", message, "opened here")
        }
        // The parser stumbles over it and says what it expected instead.
        Junk::Byte => return None,
    };
    Some(Diagnostic::error(code, message).label(span, text).at_token())
}

/// `}%` where `%}` was meant.
fn odd_close(code: &str, span: Span) -> Option<Diagnostic> {
    code.match_indices("}%").find(|(at, _)| !code[*at..].starts_with("}%}"))?;
    let warning = Diagnostic::warning("parse::odd-close", "possible erroneous closing '}%', use '%}'?");
    Some(warning.label(span, ""))
}
