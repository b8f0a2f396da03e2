//! What all parts of the tree builder share: places, errors and bounds.

use super::DEPTH_MAX;
use super::check::too_deep;
use super::grammar::{Pair, Rule};
use crate::ast::{Expr, ExprKind, Ident};
use crate::diagnostic::Diagnostic;
use crate::lexer;
use crate::literal;
use crate::preprocess::Environment;
use crate::source::{Span, bytes};
use std::collections::HashMap;

/// How much of a token messages repeat.
const FOUND_MAX: usize = 40;

/// Errors are rare and large.
pub(super) type Built<T> = Result<T, Box<Diagnostic>>;

/// An expression and how many levels it has.
pub(super) struct Node {
    pub(super) expr: Expr,
    pub(super) height: u32,
}

/// Makes the tree of one file.
pub(super) struct Builder<'a> {
    text: &'a str,
    /// The position of the text's start.
    base: u32,
    /// Where the piece that pest reads starts in the text.
    offset: u32,
    /// Embedded C and the operators that read raw memory are allowed.
    pub(super) privileged: bool,
    pub(super) before_4_0: bool,
    /// Within a function, where `return` is allowed.
    pub(super) in_function: bool,
    /// Names of globals so far, and whether they are private.
    pub(super) globals: HashMap<String, bool>,
    /// Bytes that braces in probe points copied.
    pub(super) copied: usize,
    depth: u32,
}

impl<'a> Builder<'a> {
    pub(super) fn new(text: &'a str, base: u32, env: &Environment) -> Builder<'a> {
        let major = env.compatible.split('.').next().and_then(|major| major.parse::<u32>().ok());
        Builder {
            text,
            base,
            offset: 0,
            privileged: env.guru || !env.user_script,
            before_4_0: major.is_some_and(|major| major < 4),
            in_function: false,
            globals: HashMap::new(),
            copied: 0,
            depth: 0,
        }
    }

    /// A new item starts at this offset of the text.
    pub(super) fn start_item(&mut self, offset: usize) {
        self.offset = offset as u32;
        self.depth = 0;
        self.in_function = false;
    }

    /// The place of a pair. Pairs that end in something optional include the blanks behind it: ask the last token.
    pub(super) fn span(&self, pair: &Pair) -> Span {
        let span = pair.as_span();
        let start = self.base + self.offset;
        Span::new(start + span.start() as u32, start + span.end() as u32)
    }

    /// The text at a place of this file.
    pub(super) fn text(&self, span: Span) -> &'a str {
        &self.text[(span.start - self.base) as usize..(span.end - self.base) as usize]
    }

    /// The place of the next token at or behind a position; the end of the file after the last one.
    pub(super) fn token_after(&self, pos: u32) -> Span {
        match lexer::scan(self.text, (pos - self.base) as usize) {
            Some(token) => Span::new(self.base + token.start as u32, self.base + token.end as u32),
            None => Span::new(self.base + self.text.len() as u32, self.base + self.text.len() as u32),
        }
    }

    pub(super) fn ident(&self, pair: &Pair) -> Ident {
        Ident { name: pair.as_str().to_owned(), span: self.span(pair) }
    }

    /// Something else had to stand at a place.
    pub(super) fn expected(&self, message: impl Into<String>, at: Span) -> Box<Diagnostic> {
        let (kind, token) = lexer::first_token(self.text(at));
        let found = match kind {
            _ if at.is_empty() => "the file ends here".to_owned(),
            lexer::TokenKind::Keyword => format!("found the keyword `{token}`"),
            lexer::TokenKind::String => "found a string".to_owned(),
            lexer::TokenKind::EmbeddedC => "found embedded C".to_owned(),
            _ if token.len() <= FOUND_MAX => format!("found `{token}`"),
            _ => String::new(),
        };
        Box::new(Diagnostic::error("parse::expected", message).label(at, found))
    }

    /// Another error met at a token.
    pub(super) fn error(&self, code: &'static str, message: impl Into<String>, at: Span) -> Box<Diagnostic> {
        Box::new(Diagnostic::error(code, message).label(at, ""))
    }

    /// One level down in the tree, from above.
    pub(super) fn enter(&mut self, at: Span) -> Built<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(Box::new(too_deep(at))) } else { Ok(()) }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// An expression on top of others of this height.
    pub(super) fn node(&self, kind: ExprKind, span: Span, at: Span, height: u32) -> Built<Node> {
        match height < DEPTH_MAX {
            true => Ok(Node { expr: Expr { kind, span, at }, height: height + 1 }),
            false => Err(Box::new(too_deep(at))),
        }
    }

    /// Adjacent string literals as one, with the place of all.
    pub(super) fn strings(&self, pair: Pair) -> (Vec<u8>, Span) {
        let (mut value, mut span) = (Vec::new(), Span::NONE);
        for part in pair.into_inner() {
            span = span.to(self.span(&part));
            if part.as_rule() == Rule::string {
                literal::push_string(part.as_str(), &mut value);
            }
        }
        (value, span)
    }

    /// The text between `%{` and `%}`; refused in unprivileged scripts.
    pub(super) fn embedded_c(&self, pair: &Pair, what: &str) -> Built<crate::ast::EmbeddedC> {
        let span = self.span(pair);
        if !self.privileged {
            let message = format!("embedded {what}code in unprivileged script; need stap -g");
            let error = Diagnostic::error("parse::embedded-code", message).label(span, "");
            return Err(Box::new(error.help("embedded C runs in kernel modules only; `-g` allows it to be parsed")));
        }
        let text = pair.as_str();
        let inner = text.strip_prefix("%{").and_then(|text| text.strip_suffix("%}")).unwrap_or(text);
        let text = String::from_utf8_lossy(&bytes::unescape(inner)).into_owned();
        Ok(crate::ast::EmbeddedC { text, span })
    }
}
