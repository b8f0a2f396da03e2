//! Conditionals: `%( kernel_v >= "5.8" && arch == "x86_64" %? … %: … %)`.

use super::compare::{glob, versions};
use super::macros::{Expander, error};
use super::paste::unpasted_argument;
use super::{Environment, Fallible, PreToken};
use crate::diagnostic::Diagnostic;
use crate::lexer::TokenKind;
use crate::literal;
use crate::source::{ExpansionSite, SourceMap};
use std::cmp::Ordering;

/// The tokens that conditionals leave.
pub(super) struct Conditionals<'a, 'e> {
    pub(super) expander: Expander<'a>,
    env: &'e Environment<'e>,
    /// The `%(` that are open, innermost last.
    open: Vec<Open>,
}

struct Open {
    start: PreToken,
    /// The tokens read now stay.
    keep: bool,
    in_else: bool,
    /// Its condition is wrong: everything up to `%)` is dropped, so that one mistake is one error.
    broken: bool,
}

const CODE: &str = "parse::conditional";

impl<'a, 'e> Conditionals<'a, 'e> {
    pub(super) fn new(expander: Expander<'a>, env: &'e Environment<'e>) -> Self {
        Conditionals { expander, env, open: Vec::new() }
    }

    pub(super) fn into_history(self) -> (Vec<ExpansionSite>, Vec<Diagnostic>) {
        self.expander.into_history()
    }

    /// The next token that stays.
    pub(super) fn next(&mut self) -> Fallible<Option<PreToken>> {
        loop {
            let skipping = self.open.last().is_some_and(|open| !open.keep);
            let token = if skipping { self.skip() } else { self.expander.next()? };
            let Some(token) = token else {
                return match self.open.pop() {
                    Some(open) => Err(error(CODE, "incomplete conditional at end of file", open.start.span)),
                    None => Ok(None),
                };
            };
            if token.kind != TokenKind::Operator {
                return Ok(Some(token));
            }
            match token.text(self.expander.sources) {
                "%(" => {
                    let condition = self.condition(token);
                    let (keep, broken) = (*condition.as_ref().unwrap_or(&false), condition.is_err());
                    self.open.push(Open { start: token, keep, in_else: false, broken });
                    condition?;
                }
                "%?" => return Err(error(CODE, "incomplete conditional - missing '%('", token.span)),
                "%:" => self.other_branch(token)?,
                "%)" if self.open.pop().is_none() => {
                    return Err(error(CODE, "incomplete conditional - missing '%('", token.span));
                }
                "%)" => {}
                _ => return Ok(Some(token)),
            }
        }
    }

    /// Drops tokens up to the mark that ends this branch. Nothing in it is looked at, errors included.
    fn skip(&mut self) -> Option<PreToken> {
        let mut nesting = 0u32;
        let broken = self.open.last().is_some_and(|open| open.broken);
        loop {
            let token = self.expander.unexpanded()?;
            if token.kind != TokenKind::Operator {
                continue;
            }
            match token.text(self.expander.sources) {
                "%(" => nesting += 1,
                "%)" if nesting > 0 => nesting -= 1,
                "%)" => return Some(token),
                "%:" | "%?" if nesting == 0 && !broken => return Some(token),
                _ => {}
            }
        }
    }

    fn other_branch(&mut self, token: PreToken) -> Fallible<()> {
        match self.open.last_mut() {
            None => Err(error(CODE, "incomplete conditional - missing '%('", token.span)),
            Some(open) if open.in_else => Err(error(CODE, "invalid conditional - duplicate '%:'", token.span)),
            Some(open) => {
                open.in_else = true;
                open.keep = !open.keep;
                Ok(())
            }
        }
    }

    /// Reads `COND && COND || COND %?` behind `%(`; `&&` binds tighter.
    fn condition(&mut self, start: PreToken) -> Fallible<bool> {
        let (mut any, mut all) = (false, true);
        let marker = loop {
            let mut part = || self.expander.next();
            let (Some(left), Some(op), Some(right)) = (part()?, part()?, part()?) else {
                return Err(error(CODE, "incomplete condition after '%('", start.span));
            };
            let condition = Condition { sources: self.expander.sources, env: self.env, left, op, right };
            all &= condition.holds()?;
            let next = self.expander.next()?;
            if next.is_some_and(|next| next.is_operator(self.expander.sources, "&&")) {
                continue;
            }
            any |= all;
            all = true;
            if !next.is_some_and(|next| next.is_operator(self.expander.sources, "||")) {
                break next;
            }
        };
        if !marker.is_some_and(|marker| marker.is_operator(self.expander.sources, "%?")) {
            return Err(error(CODE, "expected '%?' marker for conditional", start.span));
        }
        Ok(any)
    }
}

/// `left op right`.
struct Condition<'a> {
    sources: &'a SourceMap,
    env: &'a Environment<'a>,
    left: PreToken,
    op: PreToken,
    right: PreToken,
}

impl<'a> Condition<'a> {
    fn holds(&self) -> Fallible<bool> {
        let left = self.left.text(self.sources);
        match (self.left.kind, self.right.kind) {
            (TokenKind::Identifier, _) => self.fact(left),
            (TokenKind::String, TokenKind::String) => self.ordered(self.string(self.left).cmp(self.right_string()?)),
            (TokenKind::Number, TokenKind::Number) => {
                self.ordered(self.number(self.left)?.cmp(&self.number(self.right)?))
            }
            (TokenKind::String, TokenKind::Number) => self.wrong("expected string literal as right value", self.right),
            (TokenKind::Number, TokenKind::String) => self.wrong("expected number literal as right value", self.right),
            _ => self.unknown(),
        }
    }

    /// Something known about the machine or the session.
    fn fact(&self, name: &str) -> Fallible<bool> {
        let release = self.env.kernel_release;
        match name {
            "kernel_v" => self.version(release.split('-').next().unwrap_or(release)),
            "kernel_vr" => self.version(release),
            "systemtap_v" => self.version(self.env.compatible),
            "systemtap_privilege" => {
                let same = self.env.privilege == self.right_string()?;
                self.equal(same)
            }
            "guru_mode" => self.guru(),
            "arch" => self.pattern(self.env.arch),
            "runtime" => self.pattern(self.env.runtime),
            _ if name.starts_with("CONFIG_") => self.config(name),
            _ => self.unknown(),
        }
    }

    fn unknown(&self) -> Fallible<bool> {
        if let Some(argument) = [self.left, self.right].into_iter().find(|token| token.kind == TokenKind::Argument) {
            return Err(Box::new(unpasted_argument(argument.span, self.sources, self.env)));
        }
        let wanted = "expected 'arch', 'kernel_v', 'kernel_vr', 'systemtap_v',\n             \
                      'runtime', 'systemtap_privilege', 'CONFIG_...', or\n             \
                      comparison between strings or integers";
        self.wrong(wanted, self.left)
    }

    fn wrong<T>(&self, message: &str, at: PreToken) -> Fallible<T> {
        Err(error(CODE, message, at.span))
    }

    fn string(&self, token: PreToken) -> &'a str {
        let text = token.text(self.sources);
        text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
    }

    fn right_string(&self) -> Fallible<&'a str> {
        match self.right.kind {
            TokenKind::String => Ok(self.string(self.right)),
            _ => self.wrong("expected string literal", self.right),
        }
    }

    fn number(&self, token: PreToken) -> Fallible<i64> {
        match (token.kind, literal::signed_number(token.text(self.sources), false)) {
            (TokenKind::Number, Some(value)) => Ok(value),
            (TokenKind::Number, None) => self.wrong("number invalid or out of range", token),
            _ => self.wrong("expected number", token),
        }
    }

    /// The operator's text; comparisons with anything else are errors.
    fn operator(&self) -> &'a str {
        match self.op.kind {
            TokenKind::Operator => self.op.text(self.sources),
            _ => "",
        }
    }

    fn ordered(&self, order: Ordering) -> Fallible<bool> {
        match self.operator() {
            "<" => Ok(order.is_lt()),
            "<=" => Ok(order.is_le()),
            ">" => Ok(order.is_gt()),
            ">=" => Ok(order.is_ge()),
            "==" => Ok(order.is_eq()),
            "!=" => Ok(order.is_ne()),
            _ => self.wrong("expected comparison operator", self.op),
        }
    }

    fn equal(&self, same: bool) -> Fallible<bool> {
        match self.operator() {
            "==" => Ok(same),
            "!=" => Ok(!same),
            _ => self.wrong("expected '==' or '!='", self.op),
        }
    }

    fn pattern(&self, fact: &str) -> Fallible<bool> {
        self.equal(glob(self.right_string()?.as_bytes(), fact.as_bytes()))
    }

    fn version(&self, fact: &str) -> Fallible<bool> {
        let wanted = self.right_string()?;
        if !wanted.contains(['*', '?', '[']) {
            return self.ordered(versions(fact.as_bytes(), wanted.as_bytes()));
        }
        match self.operator() {
            "==" | "!=" => self.pattern(fact),
            "<" | "<=" | ">" | ">=" => self.wrong("wildcard not allowed with order comparison operators", self.op),
            _ => self.wrong("expected comparison operator", self.op),
        }
    }

    fn guru(&self) -> Fallible<bool> {
        match self.number(self.right)? {
            wanted @ (0 | 1) => self.equal(wanted == i64::from(self.env.guru)),
            _ => self.wrong("expected 0 or 1", self.op),
        }
    }

    fn config(&self, name: &str) -> Fallible<bool> {
        let fact = (self.env.config)(name).unwrap_or_default();
        match self.right.kind {
            TokenKind::String => self.pattern(&fact),
            TokenKind::Number => match config_number(&fact) {
                Some(value) => self.ordered(value.cmp(&self.number(self.right)?)),
                None => self.wrong("Config option value not a number", self.left),
            },
            TokenKind::Identifier if self.right.text(self.sources).starts_with("CONFIG_") => {
                let other = (self.env.config)(self.right.text(self.sources)).unwrap_or_default();
                match (config_number(&fact), config_number(&other)) {
                    (Some(left), Some(right)) => self.ordered(left.cmp(&right)),
                    _ => self.ordered(fact.cmp(&other)),
                }
            }
            _ => {
                let wanted = "expected string, number literal or other CONFIG_... as right side operand";
                self.wrong(wanted, self.right)
            }
        }
    }
}

/// The number of an option's value; an option that is not set counts as 0, as `strtoll` reads it.
fn config_number(value: &str) -> Option<i64> {
    let (negative, digits) = value.strip_prefix('-').map_or((false, value), |digits| (true, digits));
    if value.is_empty() { Some(0) } else { literal::signed_number(digits, negative) }
}
