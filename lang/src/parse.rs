//! Text to syntax tree.
//!
//! A file is preprocessed, its tokens are checked, then one top-level form after the other is parsed by pest
//! (`stp.pest`) and made into a tree (`item`, `probe_point`, `stmt`, `expr`, `operand`, `at`, `print_call`). After an error
//! parsing goes on at the next form, so that a run reports several; no tree comes out of a file that has errors.
//!
//! No input breaks this: brackets nest up to [`NESTING_MAX`] (checked before pest recurses), trees up to [`DEPTH_MAX`]
//! levels, and the time is linear in the text.

mod at;
mod build;
mod check;
mod expected;
mod expr;
mod grammar;
mod item;
mod operand;
mod print_call;
mod probe_point;
mod stmt;

use crate::ast;
use crate::diagnostic::{Diagnostic, Kind};
use crate::lexer::{self, TokenKind};
use crate::preprocess::{Environment, Macros, preprocess};
use crate::source::{FileId, SourceMap};
use build::Builder;
use check::Check;
use grammar::{Grammar, Rule};
use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};

/// Brackets within each other.
pub const NESTING_MAX: usize = 256;
/// Levels of a tree, statements and operators together. Later stages may recurse.
pub const DEPTH_MAX: u32 = 600;
/// How many errors are worth reading.
const ERRORS_MAX: usize = 100;
const TOP_LEVEL: &str = "expected 'probe', 'global', 'private', 'function', or '%{'";

/// A parsed file.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The tree.
    pub script: ast::Script,
    /// What is odd but harmless. For the user's script that includes arguments nobody reads.
    pub warnings: Vec<Diagnostic>,
    /// Which script arguments the file names.
    pub used_args: Vec<bool>,
}

/// Parses a file. Errors come in order of the text, those of the preprocessor alone.
pub fn parse(
    file: FileId,
    sources: &mut SourceMap,
    env: &Environment,
    macros: &Macros,
) -> Result<Parsed, Vec<Diagnostic>> {
    if sources.file_text(file).contains('\0') {
        return Err(vec![binary(sources.name(file))]);
    }
    let typed_is_empty = lexer::scan(sources.file_text(file), 0).is_none();
    let expanded = preprocess(file, sources, env, macros)?;
    let found = check::check(expanded.file, sources, env);
    if found.is_empty && env.user_script {
        return Err(vec![empty(sources.name(file), typed_is_empty)]);
    }
    let mut script = parse_expanded(expanded.file, sources, env, &found)?;
    script.library = !env.user_script;
    let mut warnings = expanded.warnings;
    warnings.extend(found.warnings);
    if env.user_script && !found.reads_argv {
        warnings.extend(unused_arguments(&expanded.used_args));
    }
    Ok(Parsed { script, warnings, used_args: expanded.used_args })
}

fn binary(name: &str) -> Diagnostic {
    let error = Diagnostic::error("parse::binary", format!("Input file '{name}' is no text: it holds bytes of zero."));
    Diagnostic { kind: Kind::Bare, ..error }
}

fn empty(name: &str, typed: bool) -> Diagnostic {
    let after = if typed { "" } else { " after preprocessing" };
    let error = Diagnostic::error("parse::empty", format!("Input file '{name}' is empty{after}."));
    Diagnostic { kind: Kind::Bare, ..error }
}

fn unused_arguments(used: &[bool]) -> Vec<Diagnostic> {
    let unused = used.iter().enumerate().filter(|(_, used)| !**used).map(|(index, _)| index + 1);
    let warn = |n| Diagnostic::warning("parse::unused-argument", format!("unused command line option ${n}/@{n}"));
    unused.map(warn).collect()
}

fn parse_expanded(
    file: FileId,
    sources: &SourceMap,
    env: &Environment,
    found: &Check,
) -> Result<ast::Script, Vec<Diagnostic>> {
    if found.too_deep {
        return Err(found.errors.clone());
    }
    let (text, base) = (sources.file_text(file), sources.file_span(file).start);
    let bare = found.without_comments(text);
    let mut builder = Builder::new(text, base, env);
    let (mut items, mut errors) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(token) = lexer::scan(text, at).filter(|_| errors.len() < ERRORS_MAX) {
        builder.start_item(token.start);
        at = match Grammar::parse(Rule::item, &bare[token.start..]) {
            Ok(pairs) => {
                let mut end = token.end;
                for pair in pairs {
                    end = end.max(token.start + pair.as_span().end());
                    if let Err(error) = builder.item(pair, &mut items) {
                        errors.push(*error);
                    }
                }
                end
            }
            Err(error) => {
                let (error, place) = syntax_error(&builder, &error, token.start, base);
                errors.push(error);
                next_item(text, token.start, place)
            }
        };
    }
    finish(items, errors, found)
}

/// Merges errors of both looks at the text. A token that is none was met by the parser too: it is reported once.
fn finish(items: Vec<ast::Item>, errors: Vec<Diagnostic>, found: &Check) -> Result<ast::Script, Vec<Diagnostic>> {
    let of_token = |error: &Diagnostic| found.errors.iter().any(|other| other.span().start == error.span().start);
    let mut errors: Vec<_> = errors.into_iter().filter(|error| !of_token(error)).collect();
    errors.extend(found.errors.iter().take(ERRORS_MAX).cloned());
    errors.sort_by_key(|error| error.span().start);
    if errors.is_empty() { Ok(ast::Script { items, library: false }) } else { Err(errors) }
}

/// Our words for what pest met, and the offset at which it did.
fn syntax_error(builder: &Builder, error: &pest::error::Error<Rule>, item: usize, base: u32) -> (Diagnostic, usize) {
    let (InputLocation::Pos(reached) | InputLocation::Span((reached, _))) = error.location;
    let item_pos = base + item as u32;
    let at = builder.token_after(item_pos + reached as u32);
    let diagnostic = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => builder.syntax_error(positives, item_pos, at),
        // pest guards the stack by itself where a thread has little of it.
        ErrorVariant::CustomError { .. } => check::too_deep(at),
    };
    (diagnostic, (at.start - base) as usize)
}

/// Where parsing goes on after an error: the next word that starts a form. A keyword behind a dot is a part of a
/// probe point.
fn next_item(text: &str, item: usize, error: usize) -> usize {
    let mut at = error;
    let mut after_dot = text[item..error].trim_end().ends_with('.');
    while let Some(token) = lexer::scan(text, at) {
        let word = &text[token.start..token.end];
        let starts = match token.kind {
            TokenKind::Keyword => matches!(word, "probe" | "private" | "global" | "function") && !after_dot,
            TokenKind::EmbeddedC => true,
            _ => false,
        };
        if starts && token.start > item {
            return token.start;
        }
        after_dot = word == ".";
        at = token.end;
    }
    text.len()
}
