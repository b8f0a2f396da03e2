//! Operators: flat rows to trees by precedence climbing.
//!
//! The levels are those of SystemTap, from assignment to multiplication; prefix and postfix operators belong to the
//! operands (`operand.rs`). What follows an operand is bounded from both sides: from below by the caller, from above
//! by what was built last, as `a in b` takes no further comparison and `=~` stands alone among them.

use super::build::{Builder, Built, Node};
use super::grammar::{Pair, Pairs, Rule};
use crate::ast::{AssignOp, BinaryOp, ExprKind, Ident, Index};
use crate::source::Span;
use std::iter::Peekable;

/// What is left of an expression's flat row.
pub(super) type Row<'i> = Peekable<Pairs<'i>>;

/// Levels of precedence, low to high.
pub(super) mod level {
    pub(crate) const NOTHING: u8 = 0;
    pub(crate) const ASSIGN: u8 = 1;
    pub(crate) const TERNARY: u8 = 2;
    pub(crate) const OR: u8 = 3;
    pub(crate) const AND: u8 = 4;
    pub(crate) const BIT_OR: u8 = 5;
    pub(crate) const BIT_XOR: u8 = 6;
    pub(crate) const BIT_AND: u8 = 7;
    pub(crate) const IN: u8 = 8;
    pub(crate) const COMPARE: u8 = 9;
    pub(crate) const SHIFT: u8 = 10;
    pub(crate) const CONCAT: u8 = 11;
    pub(crate) const ADD: u8 = 12;
    pub(crate) const MUL: u8 = 13;
    pub(crate) const ANYTHING: u8 = 14;
}

/// What may stand behind an operand.
#[derive(Copy, Clone)]
enum Tail {
    Binary(BinaryOp, u8),
    Assign(AssignOp),
    Question,
    /// Ends what stands between `?` and `:`.
    Colon,
    In,
    Match,
}

impl Tail {
    fn of(pair: &Pair) -> Option<Tail> {
        match pair.as_rule() {
            Rule::infix => infix(pair.as_str()),
            Rule::kw_in => Some(Tail::In),
            Rule::match_op => Some(Tail::Match),
            _ => None,
        }
    }

    fn level(self) -> u8 {
        match self {
            Tail::Binary(_, level) => level,
            Tail::Assign(_) => level::ASSIGN,
            Tail::Question => level::TERNARY,
            Tail::Colon => level::NOTHING,
            Tail::In => level::IN,
            Tail::Match => level::COMPARE,
        }
    }

    /// Whether it may follow when everything up to `top` may.
    fn follows(self, top: u8) -> bool {
        // A second comparison may follow the first, a match may not.
        if matches!(self, Tail::Match) { top > level::COMPARE } else { self.level() <= top }
    }
}

fn infix(text: &str) -> Option<Tail> {
    use BinaryOp::*;
    let binary = |op, level| Some(Tail::Binary(op, level));
    let compound = |op| Some(Tail::Assign(AssignOp::Compound(op)));
    match text {
        "=" => Some(Tail::Assign(AssignOp::Set)),
        "<<<" => Some(Tail::Assign(AssignOp::Aggregate)),
        "+=" => compound(Add),
        "-=" => compound(Sub),
        "*=" => compound(Mul),
        "/=" => compound(Div),
        "%=" => compound(Mod),
        "<<=" => compound(ShiftLeft),
        ">>=" => compound(ShiftRight),
        "&=" => compound(BitAnd),
        "^=" => compound(BitXor),
        "|=" => compound(BitOr),
        ".=" => compound(Concat),
        "?" => Some(Tail::Question),
        ":" => Some(Tail::Colon),
        "||" => binary(LogicalOr, level::OR),
        "&&" => binary(LogicalAnd, level::AND),
        "|" => binary(BitOr, level::BIT_OR),
        "^" => binary(BitXor, level::BIT_XOR),
        "&" => binary(BitAnd, level::BIT_AND),
        "<" => binary(Lt, level::COMPARE),
        "<=" => binary(Le, level::COMPARE),
        ">" => binary(Gt, level::COMPARE),
        ">=" => binary(Ge, level::COMPARE),
        "==" => binary(Eq, level::COMPARE),
        "!=" => binary(Ne, level::COMPARE),
        "<<" => binary(ShiftLeft, level::SHIFT),
        ">>" => binary(ShiftRight, level::SHIFT),
        ">>>" => binary(ShiftRightUnsigned, level::SHIFT),
        "." => binary(Concat, level::CONCAT),
        "+" => binary(Add, level::ADD),
        "-" => binary(Sub, level::ADD),
        "*" => binary(Mul, level::MUL),
        "/" => binary(Div, level::MUL),
        "%" => binary(Mod, level::MUL),
        _ => None,
    }
}

impl Builder<'_> {
    /// A whole expression.
    pub(super) fn expr(&mut self, pair: Pair) -> Built<Node> {
        let mut row = pair.into_inner().peekable();
        let node = self.climb(&mut row, level::ASSIGN)?;
        match row.next() {
            None => Ok(node),
            Some(left) => Err(self.left_over(&left)),
        }
    }

    /// An operator that may not stand where it does.
    fn left_over(&self, pair: &Pair) -> Box<crate::Diagnostic> {
        let wanted = match pair.as_rule() {
            Rule::kw_in => "expected statement",
            _ => "expected literal string or number",
        };
        self.expected(wanted, self.span(pair))
    }

    /// An operand and every operator behind it that binds at least as `min`.
    fn climb(&mut self, row: &mut Row, min: u8) -> Built<Node> {
        self.enter(row.peek().map_or(Span::NONE, |pair| self.span(pair)))?;
        let (mut left, mut top) = self.operand(row, min)?;
        while let Some(pair) = row.peek() {
            let Some(tail) = Tail::of(pair).filter(|tail| tail.level() >= min && tail.follows(top)) else { break };
            let at = self.span(pair);
            row.next();
            left = self.apply(tail, left, at, row)?;
            top = match tail {
                Tail::Binary(_, level) => level,
                // Neither assignment nor `?:`, `in`, `=~` is followed by its own kind.
                other => other.level() - 1,
            };
        }
        self.leave();
        Ok(left)
    }

    fn apply(&mut self, tail: Tail, left: Node, at: Span, row: &mut Row) -> Built<Node> {
        match tail {
            Tail::Binary(op, level) => self.binary(op, left, at, row, level),
            Tail::Assign(op) => {
                let right = self.climb(row, level::ASSIGN)?;
                self.join(left, right, at, |left, right| ExprKind::Assign(op, left, right))
            }
            Tail::Question => self.ternary(left, at, row),
            Tail::In => {
                let (array, span) = self.array(row)?;
                let (span, height) = (left.expr.span.to(span), left.height);
                self.node(ExprKind::In(vec![Index::Expr(left.expr)], array), span, at, height)
            }
            Tail::Match => self.matching(left, at, row),
            Tail::Colon => unreachable!("a colon binds less than anything"),
        }
    }

    fn binary(&mut self, op: BinaryOp, left: Node, at: Span, row: &mut Row, level: u8) -> Built<Node> {
        let right = self.climb(row, level + 1)?;
        self.join(left, right, at, |left, right| ExprKind::Binary(op, left, right))
    }

    fn ternary(&mut self, condition: Node, at: Span, row: &mut Row) -> Built<Node> {
        let then = self.climb(row, level::ASSIGN)?;
        let colon = row.next().filter(|pair| pair.as_str() == ":");
        if colon.is_none() {
            return Err(self.expected("expected ':'", self.token_after(then.expr.span.end)));
        }
        // Up to SystemTap 3.3 the second arm took assignments too.
        let lowest = if self.before_4_0 { level::ASSIGN } else { level::TERNARY };
        let other = self.climb(row, lowest)?;
        let span = condition.expr.span.to(other.expr.span);
        let height = condition.height.max(then.height).max(other.height);
        let kind = ExprKind::Ternary(Box::new(condition.expr), Box::new(then.expr), Box::new(other.expr));
        self.node(kind, span, at, height)
    }

    fn matching(&mut self, subject: Node, at: Span, row: &mut Row) -> Built<Node> {
        let pattern = row.next().expect("the grammar puts a literal behind =~");
        let pattern = self.strings(pattern);
        let span = subject.expr.span.to(pattern.1);
        let negated = self.text(at).starts_with('!');
        let kind = ExprKind::Match { subject: Box::new(subject.expr), negated, pattern };
        self.node(kind, span, at, subject.height)
    }

    /// What stands behind `in`.
    pub(super) fn array(&mut self, row: &mut Row) -> Built<(Ident, Span)> {
        let walked = row.next().expect("the grammar puts an array behind in");
        let name = walked.into_inner().next().expect("an array has a name");
        match name.as_rule() {
            Rule::name => {
                let name = self.ident(&name);
                let span = name.span;
                Ok((name, span))
            }
            _ => Err(self.expected("expected identifier", self.span(&name))),
        }
    }

    fn join(
        &mut self,
        left: Node,
        right: Node,
        at: Span,
        make: impl FnOnce(Box<crate::ast::Expr>, Box<crate::ast::Expr>) -> ExprKind,
    ) -> Built<Node> {
        let span = left.expr.span.to(right.expr.span);
        let height = left.height.max(right.height);
        self.node(make(Box::new(left.expr), Box::new(right.expr)), span, at, height)
    }
}
