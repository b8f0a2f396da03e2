//! Script arguments, pasted as characters where a token starts.
//!
//! `$1` is raw text that joins what follows it, `@1` a quoted string, `$#` and `@#` their number. A pasted text is
//! scanned again, so an argument may be any part of a script; further arguments in it are not replaced.

use super::Environment;
use crate::diagnostic::Diagnostic;
use crate::lexer::{self, Joined, Text, TokenKind};
use crate::literal;
use crate::source::{Expanded, Expansion, ExpansionSite, FileId, Piece, SourceMap, Span, bytes};

/// Bytes of text, behind which arguments stay as they are written: a long one that is named often enough fills any memory.
const PASTED_MAX: usize = 64 << 20;

/// Whether a text may hold arguments.
pub(super) fn is_needed(text: &str) -> bool {
    let is_mark = |pair: &[u8]| matches!(pair, [b'$' | b'@', b'#' | b'0'..=b'9']);
    text.as_bytes().windows(2).any(is_mark)
}

/// Makes the file with arguments in their places, and notes which were used.
pub(super) fn paste(file: FileId, sources: &mut SourceMap, args: &[Vec<u8>], used: &mut [bool]) -> FileId {
    let mut paste = Paste {
        file: sources.file_text(file),
        base: sources.file_span(file).start,
        at: 0,
        pasted: String::new(),
        pasted_at: 0,
        text: String::new(),
        expanded: Expanded::default(),
    };
    while let Some(argument) = paste.next_argument() {
        let mark = &paste.file[argument.0..argument.1];
        if paste.text.len() < PASTED_MAX
            && let Some(text) = value(mark, args, used)
        {
            paste.put(argument, text);
        } else {
            // No such argument: it stays, and is reported unless a conditional drops it.
            paste.take(argument.1 - argument.0);
        }
    }
    let (text, expanded) = (paste.text, paste.expanded);
    let name = sources.name(file).to_owned();
    sources.add_expanded(name, text, expanded)
}

/// What an argument mark stands for.
fn value(mark: &str, args: &[Vec<u8>], used: &mut [bool]) -> Option<String> {
    let raw = mark.starts_with('$');
    if mark.ends_with('#') {
        return Some(if raw { args.len().to_string() } else { format!("\"{}\"", args.len()) });
    }
    let index = mark[1..].parse::<usize>().ok()?.checked_sub(1)?;
    let arg = args.get(index)?;
    used[index] = true;
    Some(if raw { bytes::escape(arg) } else { literal::quote(arg) })
}

struct Paste<'a> {
    file: &'a str,
    base: u32,
    /// How much of the file was read.
    at: usize,
    /// The argument pasted last, and how much of it was read.
    pasted: String,
    pasted_at: usize,
    text: String,
    expanded: Expanded,
}

impl Paste<'_> {
    /// Copies everything up to the next argument in the file; gives its range.
    fn next_argument(&mut self) -> Option<(usize, usize)> {
        loop {
            let rest = Joined(&self.pasted[self.pasted_at..], &self.file[self.at..]);
            let Some(token) = lexer::scan(&rest, 0) else {
                self.take(rest.len());
                return None;
            };
            let in_file = token.start >= rest.0.len();
            if token.kind == TokenKind::Argument && in_file {
                self.take(token.start);
                return Some((self.at, self.at + token.end - token.start));
            }
            self.take(token.end);
        }
    }

    /// Copies characters: first those of a pasted argument, then of the file.
    fn take(&mut self, len: usize) {
        let pasted = len.min(self.pasted.len() - self.pasted_at);
        self.text.push_str(&self.pasted[self.pasted_at..self.pasted_at + pasted]);
        self.pasted_at += pasted;
        let from_file = len - pasted;
        if from_file == 0 {
            return;
        }
        let start = self.base + self.at as u32;
        let continues = self.expanded.pieces.last().is_some_and(|last| last.verbatim && last.origin.end == start);
        if !continues {
            let origin = Span::new(start, start);
            self.expanded.pieces.push(Piece { at: self.text.len() as u32, origin, verbatim: true, site: None });
        }
        self.text.push_str(&self.file[self.at..self.at + from_file]);
        self.at += from_file;
        if let Some(last) = self.expanded.pieces.last_mut() {
            last.origin.end = self.base + self.at as u32;
        }
    }

    /// Puts an argument in the place of its mark.
    fn put(&mut self, mark: (usize, usize), text: String) {
        let call_site = Span::new(self.base + mark.0 as u32, self.base + mark.1 as u32);
        // A token starts here: it must not join the one before, as in `1$1`.
        if merges(self.text.bytes().last(), text.bytes().next()) {
            self.text.push(' ');
        }
        let site = self.expanded.sites.len() as u32;
        let expansion = Expansion { name: self.file[mark.0..mark.1].to_owned(), call_site };
        self.expanded.sites.push(ExpansionSite { expansion, outer: None });
        let at = self.text.len() as u32;
        self.expanded.pieces.push(Piece { at, origin: call_site, verbatim: false, site: Some(site) });
        self.at = mark.1;
        self.pasted = text;
        self.pasted_at = 0;
    }
}

/// Whether two characters side by side may be parts of one token.
fn merges(left: Option<u8>, right: Option<u8>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return false };
    lexer::is_word(left) && lexer::is_word(right) || left.is_ascii_punctuation() && right.is_ascii_punctuation()
}

/// Why `$1` or its kind still stands where it is.
pub(crate) fn unpasted_argument(span: Span, sources: &SourceMap, env: &Environment) -> Diagnostic {
    if sources.expansions(span).iter().any(Expansion::is_argument) {
        let error =
            Diagnostic::error("parse::nested-argument", "invalid nested substitution of command line arguments");
        return error.label(span, "pasted text holds an argument itself").at_token();
    }
    let message = format!("command line argument out of range [1-{}]", env.args.len());
    let given = match env.args.len() {
        0 => "no arguments were given".to_owned(),
        1 => "1 argument was given".to_owned(),
        n => format!("{n} arguments were given"),
    };
    let error = Diagnostic::error("parse::missing-argument", message).label(span, given).at_token();
    match usage(span, sources) {
        Some(usage) => error.help(format!("usage: {usage}")),
        None => error.help("give the script's arguments after its name: `tapster SCRIPT ARG…`"),
    }
}

/// What a script says in the comment at its head of how it is called: the rest of a line that begins with `Usage:`, the
/// command and what it does, with blanks between.
fn usage(span: Span, sources: &SourceMap) -> Option<String> {
    const WORD: &str = "usage:";
    let text = sources.file_text(sources.file_at(sources.origin(span).start)?);
    let head =
        text.lines().map(str::trim_start).take_while(|line| line.is_empty() || line.starts_with(['#', '/', '*']));
    let mut said = head.map(|line| line.trim_start_matches(['#', '/', '*', ' ', '\t']));
    let line = said.find(|line| line.get(..WORD.len()).is_some_and(|word| word.eq_ignore_ascii_case(WORD)))?;
    let usage = line[WORD.len()..].trim();
    let usage = usage.split_once("   ").map_or(usage.into(), |(command, what)| format!("{command}: {}", what.trim()));
    (!usage.is_empty()).then_some(usage)
}
