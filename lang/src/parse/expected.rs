//! What the parser missed, in SystemTap's words.
//!
//! pest gives the furthest place it reached and the rules it tried there. Rules are tried in many places, so the
//! telling ones come first: the end of a block means that a statement could have started, and so on down.

use super::TOP_LEVEL;
use super::build::Builder;
use super::grammar::Rule;
use crate::diagnostic::Diagnostic;
use crate::lexer::{self, TokenKind};
use crate::source::Span;

/// Where bpftrace's probes stand, by the word they begin with, and how such a probe is written here.
const OF_BPFTRACE: &[(&[&str], &str)] = &[
    (&["BEGIN"], "probe begin { … }"),
    (&["END"], "probe end { … }"),
    (&["kprobe", "fentry", "kfunc"], "probe kernel.function(\"NAME\") { … }"),
    (&["kretprobe", "fexit", "kretfunc"], "probe kernel.function(\"NAME\").return { … }"),
    (&["tracepoint", "rawtracepoint"], "probe kernel.trace(\"NAME\") { … }"),
    (&["uprobe"], "probe process(\"PATH\").function(\"NAME\") { … }"),
    (&["uretprobe"], "probe process(\"PATH\").function(\"NAME\").return { … }"),
    (&["usdt"], "probe process(\"PATH\").mark(\"NAME\") { … }"),
    (&["interval"], "probe timer.s(1) { … }"),
    (&["profile"], "probe timer.profile.freq.hz(99) { … }"),
    (&["software"], "probe perf.sw.NAME { … }"),
    (&["hardware"], "probe perf.hw.NAME { … }"),
];

fn of_bpftrace(word: &str) -> Option<String> {
    let (_, here) = OF_BPFTRACE.iter().find(|(words, _)| words.contains(&word))?;
    Some(format!("bpftrace's `{word}` is written `{here}` here"))
}

impl Builder<'_> {
    /// The error for what stands at `at`, where these rules could have matched. `item` is where the form starts.
    pub(super) fn syntax_error(&self, tried: &[Rule], item: u32, at: Span) -> Diagnostic {
        let (kind, _) = lexer::first_token(self.text(at));
        let found = if at.is_empty() { Found::End } else { Found::Token(kind) };
        if item == at.start {
            let error = *self.expected(TOP_LEVEL, at);
            return match of_bpftrace(self.text(at)) {
                Some(help) => error.help(help),
                None => error,
            };
        }
        let message = self
            .call(item, at)
            .or_else(|| statement(tried, found))
            .or_else(|| operand(tried, found))
            .or_else(|| self.closing(tried, found, item, at))
            .or_else(|| word(tried, found))
            .unwrap_or(TOP_LEVEL);
        let mut error = *self.expected(message, at);
        let ends = at.is_empty() || matches!(self.text(at), "probe" | "function" | "global" | "private");
        if tried.contains(&Rule::block_end) && ends {
            error = error.help("a block before this is not closed: its `}` is missing");
        }
        match self.opened(tried, item, at) {
            Some(open) => error.label(open, "opened here"),
            None => error,
        }
    }

    /// What follows a word that prints, which is no variable.
    fn call(&self, item: u32, at: Span) -> Option<&'static str> {
        let before = self.text(Span::new(item, at.start)).trim_end();
        let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        super::print_call::print_op(word).map(|_| "expected '('")
    }

    /// What ends or separates the parts between brackets.
    fn closing(&self, tried: &[Rule], found: Found, item: u32, at: Span) -> Option<&'static str> {
        let wanted = match tried.iter().find(|rule| CLOSERS.contains(rule))? {
            Rule::close_args => match self.callee(item, at) {
                name if name.starts_with('@') => "expected ')'",
                name if super::print_call::print_op(name).is_some() => "expected one of ', )'",
                _ => "expected one of ') ,'",
            },
            Rule::close_index => "expected one of '] ,'",
            Rule::close_row => "expected ',' or ']'",
            Rule::close_params if tried.contains(&Rule::parameter) || tried.contains(&Rule::name) => {
                "expected identifier"
            }
            Rule::close_params => "expected ',' or ')'",
            Rule::close_size => "expected ']'",
            Rule::semicolon => "expected ';'",
            _ => "expected ')'",
        };
        Some(if matches!(found, Found::End) { "unexpected end-of-file" } else { wanted })
    }

    /// The word before the innermost bracket that is open at a place.
    fn callee(&self, item: u32, at: Span) -> &str {
        self.brackets(item, at).last().map_or("", |(_, word)| word)
    }

    /// The bracket that lacks its end, where that is in another line: else it is plain to see.
    fn opened(&self, tried: &[Rule], item: u32, at: Span) -> Option<Span> {
        let closes = tried.iter().any(|rule| CLOSERS.contains(rule) || *rule == Rule::block_end);
        let (open, _) = self.brackets(item, at).pop().filter(|_| closes)?;
        self.text(Span::new(open.start, at.start)).contains('\n').then_some(open)
    }

    /// The brackets open at a place, with the word before each.
    fn brackets(&self, item: u32, at: Span) -> Vec<(Span, &str)> {
        let mut open = Vec::new();
        let mut word = "";
        let mut next = self.token_after(item);
        while next.start < at.start {
            let token = self.text(next);
            match token {
                "(" | "[" | "{" => open.push((next, word)),
                ")" | "]" | "}" => {
                    open.pop();
                }
                _ => {}
            }
            word = token;
            next = self.token_after(next.end);
        }
        open
    }
}

#[derive(Copy, Clone)]
enum Found {
    Token(TokenKind),
    End,
}

const CLOSERS: [Rule; 7] = [
    Rule::close_args,
    Rule::close_index,
    Rule::close_row,
    Rule::close_params,
    Rule::close_size,
    Rule::close_paren,
    Rule::semicolon,
];

fn statement(tried: &[Rule], found: Found) -> Option<&'static str> {
    if !tried.contains(&Rule::block_end) {
        return None;
    }
    Some(match found {
        Found::End | Found::Token(TokenKind::Keyword | TokenKind::Junk(_)) => "expected statement",
        Found::Token(_) => "expected literal string or number",
    })
}

fn operand(tried: &[Rule], found: Found) -> Option<&'static str> {
    let tries = |rule| tried.contains(&rule);
    if tries(Rule::operand) || tries(Rule::expr) || (tries(Rule::number) && tries(Rule::name)) {
        return Some(match found {
            Found::End => "expected value",
            Found::Token(_) => "expected literal string or number",
        });
    }
    let wanted = match () {
        () if tries(Rule::size_number) => "expected number",
        () if tries(Rule::literal) || tries(Rule::number) => "expected literal string or number",
        // Behind a string another one may follow; what ends the list is the likelier thing to be missing.
        () if (tries(Rule::strings) || tries(Rule::string)) && !tried.iter().any(|rule| CLOSERS.contains(rule)) => {
            return Some(end_or(found, "expected literal string"));
        }
        () => return None,
    };
    Some(end_or(found, wanted))
}

fn end_or(found: Found, wanted: &'static str) -> &'static str {
    if matches!(found, Found::End) { "unexpected end-of-file" } else { wanted }
}

/// What remains: words and openings, the most telling first.
fn word(tried: &[Rule], found: Found) -> Option<&'static str> {
    const WORDS: [(Rule, &str); 18] = [
        (Rule::component, "expected identifier or '*' or '{'"),
        (Rule::component_name, "expected identifier or '*' or '{'"),
        (Rule::points, "expected identifier or '*' or '{'"),
        (Rule::point, "expected identifier or '*' or '{'"),
        (Rule::private_function, "expected 'function' or identifier"),
        (Rule::alias_op, "expected one of ', { } = +='"),
        (Rule::close_brace, "expected one of ', { } = +='"),
        (Rule::kw_catch, "expected 'catch'"),
        (Rule::member_name, "expected identifier or keyword"),
        (Rule::type_name, "expected 'string' or 'long'"),
        (Rule::walked, "expected identifier or statistical operation"),
        (Rule::key, "expected identifier"),
        (Rule::function_name, "expected identifier"),
        (Rule::variable, "expected identifier"),
        (Rule::name, "expected identifier"),
        (Rule::open_paren, "expected '('"),
        (Rule::block, "expected '{'"),
        (Rule::kw_in, "expected 'in'"),
    ];
    let (rule, wanted) = WORDS.iter().find(|(rule, _)| tried.contains(rule))?;
    // SystemTap looks at what follows a probe point without reading it, so that a missing `{` is named.
    let peeks = matches!(rule, Rule::alias_op | Rule::close_brace);
    Some(if peeks { wanted } else { end_or(found, wanted) })
}
