//! Operands: values with what stands directly before and behind them.

use super::build::{Builder, Built, Node};
use super::expr::{Row, level};
use super::grammar::{Pair, Rule};
use crate::ast::{Access, ExprKind, Ident, Index, Literal, UnaryOp};
use crate::literal;
use crate::source::Span;

/// What stands before a value, outermost first.
#[derive(Default)]
struct Prefixes {
    unary: Vec<(UnaryOp, Span)>,
    /// `++` or `--`, and its place.
    step: Option<(bool, Span)>,
    address: Option<Span>,
}

impl Builder<'_> {
    /// An operand, and the highest level that may follow it. One that stands where only operators above `in` are
    /// read cannot be a row of keys.
    pub(super) fn operand(&mut self, row: &mut Row, min: u8) -> Built<(Node, u8)> {
        if let Some(keys) = row.next_if(|pair| pair.as_rule() == Rule::row) {
            return self.keys(keys, row, min);
        }
        let prefixes = self.prefixes(row);
        let mut node = self.value(row)?;
        if let Some(address) = prefixes.address {
            node = self.address_of(node, address)?;
        }
        node = self.steps(node, prefixes.step, row)?;
        for (op, at) in prefixes.unary.into_iter().rev() {
            let span = at.to(node.expr.span);
            node = self.node(ExprKind::Unary(op, Box::new(node.expr)), span, at, node.height)?;
        }
        Ok((node, level::ANYTHING))
    }

    fn prefixes(&self, row: &mut Row) -> Prefixes {
        let mut found = Prefixes::default();
        let is_prefix = |pair: &Pair| matches!(pair.as_rule(), Rule::prefix | Rule::pre_step | Rule::address);
        while let Some(pair) = row.next_if(is_prefix) {
            let at = self.span(&pair);
            match pair.as_str() {
                "+" => found.unary.push((UnaryOp::Plus, at)),
                "-" => found.unary.push((UnaryOp::Minus, at)),
                "!" => found.unary.push((UnaryOp::Not, at)),
                "~" => found.unary.push((UnaryOp::BitNot, at)),
                "&" => found.address = Some(at),
                step => found.step = Some((step == "--", at)),
            }
        }
        found
    }

    /// `++v`, or `v++` which the row continues with.
    fn steps(&self, node: Node, before: Option<(bool, Span)>, row: &mut Row) -> Built<Node> {
        let after = row.next_if(|pair| pair.as_rule() == Rule::post_step);
        let after = after.map(|pair| (pair.as_str() == "--", self.span(&pair)));
        let Some((down, at)) = before.or(after) else { return Ok(node) };
        let span = node.expr.span.to(at);
        let kind = ExprKind::Step { target: Box::new(node.expr), down, prefix: before.is_some() };
        self.node(kind, span, at, node.height)
    }

    fn address_of(&self, node: Node, at: Span) -> Built<Node> {
        if matches!(node.expr.kind, ExprKind::AddressOf(_)) {
            return Err(self.expected("cannot take address more than once", at));
        }
        let span = at.to(node.expr.span);
        // Messages name the variable; where there is none, the mark.
        let named = matches!(node.expr.kind, ExprKind::Target(..) | ExprKind::Cast { .. } | ExprKind::GlobalVar { .. });
        let name = if named { node.expr.at } else { at };
        self.node(ExprKind::AddressOf(Box::new(node.expr)), span, name, node.height)
    }

    /// `[a, *] in array`. Without `in`, brackets around one expression mean nothing.
    fn keys(&mut self, keys: Pair, row: &mut Row, min: u8) -> Built<(Node, u8)> {
        let span = self.span(&keys);
        if min > level::IN {
            return Err(self.expected("expected literal string or number", Span::new(span.start, span.start + 1)));
        }
        let (mut keys, height) = self.elements(keys)?;
        let Some(keyword) = row.next_if(|pair| pair.as_rule() == Rule::kw_in) else {
            return match (keys.pop(), keys.is_empty()) {
                (Some(Index::Expr(expr)), true) => Ok((Node { expr, height }, level::BIT_AND)),
                _ => {
                    let at = self.token_after(span.end);
                    Err(self.expected("unexpected comma-separated expression list", at))
                }
            };
        };
        let (array, end) = self.array(row)?;
        let node = self.node(ExprKind::In(keys, array), span.to(end), self.span(&keyword), height)?;
        Ok((node, level::BIT_AND))
    }

    /// `[e, *, …]`, and the greatest height in it.
    pub(super) fn elements(&mut self, pair: Pair) -> Built<(Vec<Index>, u32)> {
        let (mut elements, mut height) = (Vec::new(), 0);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::any => elements.push(Index::Any(self.span(&part))),
                Rule::expr => {
                    let node = self.expr(part)?;
                    height = height.max(node.height);
                    elements.push(Index::Expr(node.expr));
                }
                _ => {}
            }
        }
        Ok((elements, height))
    }

    /// A value and the steps into it.
    fn value(&mut self, row: &mut Row) -> Built<Node> {
        let pair = row.next().expect("the grammar puts a value behind its prefixes");
        let span = self.span(&pair);
        match pair.as_rule() {
            Rule::name => {
                let node = self.named(pair, row)?;
                self.autocast(node, row)
            }
            Rule::target => self.target(pair, row),
            Rule::at_word => self.at_operator(pair, row),
            rule => {
                let node = match rule {
                    Rule::number => self.number(&pair)?,
                    Rule::strings => {
                        let (value, span) = self.strings(pair);
                        self.node(ExprKind::Literal(Literal::String(value)), span, span, 0)?
                    }
                    Rule::paren => self.paren(pair)?,
                    Rule::embedded_c => {
                        let code = self.embedded_c(&pair, "expression ")?;
                        self.node(ExprKind::EmbeddedC(code), span, span, 0)?
                    }
                    other => unreachable!("no value is a {other:?}"),
                };
                self.autocast(node, row)
            }
        }
    }

    /// `(e)`: the tree needs no trace of the brackets, but places include them.
    fn paren(&mut self, pair: Pair) -> Built<Node> {
        let span = self.span(&pair);
        let inner = pair.into_inner().next().expect("brackets hold an expression");
        let mut node = self.expr(inner)?;
        node.expr.span = span;
        Ok(node)
    }

    fn number(&self, pair: &Pair) -> Built<Node> {
        let span = self.span(pair);
        match literal::signed_number(pair.as_str(), false) {
            Some(value) => self.node(ExprKind::Literal(Literal::Number(value)), span, span, 0),
            None => Err(self.out_of_range(span)),
        }
    }

    pub(super) fn out_of_range(&self, at: Span) -> Box<crate::Diagnostic> {
        let help = "numbers are decimal, 0x hexadecimal or 0 octal, from -2^63 to 2^64-1";
        Box::new(self.error("parse::number", "number invalid or out of range", at).help(help))
    }

    /// A variable, an element, or a call.
    fn named(&mut self, pair: Pair, row: &mut Row) -> Built<Node> {
        let name = self.ident(&pair);
        let at = name.span;
        let is_tail = |pair: &Pair| matches!(pair.as_rule(), Rule::args | Rule::subscript);
        let tail = row.next_if(is_tail);
        if let Some(op) = super::print_call::print_op(&name.name) {
            let Some(args) = tail.filter(|tail| tail.as_rule() == Rule::args) else {
                return Err(self.expected("expected '('", self.token_after(at.end)));
            };
            return self.print(op, at, args);
        }
        let Some(tail) = tail else { return self.node(ExprKind::Var(name.name), at, at, 0) };
        let span = at.to(self.span(&tail));
        if tail.as_rule() == Rule::subscript {
            let (indexes, height) = self.elements(tail)?;
            return self.node(ExprKind::Index(name, indexes), span, at, height);
        }
        let (args, height) = self.args(tail)?;
        self.node(ExprKind::Call(name, args), span, at, height)
    }

    /// The arguments of a call, and the greatest height of them.
    pub(super) fn args(&mut self, pair: Pair) -> Built<(Vec<crate::ast::Expr>, u32)> {
        let (mut args, mut height) = (Vec::new(), 0);
        for part in pair.into_inner().filter(|part| part.as_rule() == Rule::expr) {
            let node = self.expr(part)?;
            height = height.max(node.height);
            args.push(node.expr);
        }
        Ok((args, height))
    }

    /// `$x->y[0]$`.
    fn target(&mut self, pair: Pair, row: &mut Row) -> Built<Node> {
        let mut name = self.ident(&pair);
        let at = name.span;
        let mut path = Vec::new();
        if let Some((bare, mark)) = pretty_suffix(&name.name) {
            let mark_span = Span::new(at.end - mark.len() as u32, at.end);
            path.push(Access::Pretty { deep: mark.len() > 1, span: mark_span });
            name = Ident { name: bare.to_owned(), span: Span::new(at.start, mark_span.start) };
        }
        let (end, height) = self.path(&mut path, row)?;
        self.node(ExprKind::Target(name, path), at.to(end), at, height)
    }

    /// Steps from a value that is no target variable: its type must be a pointer's.
    fn autocast(&mut self, node: Node, row: &mut Row) -> Built<Node> {
        let mut path = Vec::new();
        let at = row.peek().map_or(Span::NONE, |pair| self.span(pair));
        let (end, height) = self.path(&mut path, row)?;
        if path.is_empty() {
            return Ok(node);
        }
        let (span, height) = (node.expr.span.to(end), height.max(node.height + path.len() as u32));
        let at = Span::new(at.start, at.start + if self.text(at).starts_with("->") { 2 } else { 1 });
        self.node(ExprKind::Deref(Box::new(node.expr), path), span, at, height)
    }

    /// Reads steps; gives their end and their height: each is a level on top of those before it and of its index.
    pub(super) fn path(&mut self, path: &mut Vec<Access>, row: &mut Row) -> Built<(Span, u32)> {
        let (mut end, mut height) = (Span::NONE, 0);
        let is_access = |pair: &Pair| matches!(pair.as_rule(), Rule::member | Rule::subscript | Rule::pretty);
        while let Some(pair) = row.next_if(is_access) {
            let span = self.span(&pair);
            if matches!(path.last(), Some(Access::Pretty { .. })) && pair.as_rule() != Rule::pretty {
                let message = "-> and [ are not accepted for a pretty-printing variable";
                return Err(self.error("parse::pretty-print", message, span));
            }
            end = end.to(span);
            match pair.as_rule() {
                Rule::member => self.member(pair, path),
                Rule::subscript => height = height.max(self.index(pair, path)?),
                _ => path.push(Access::Pretty { deep: pair.as_str().len() > 1, span }),
            }
        }
        Ok((end, height.saturating_add(path.len() as u32)))
    }

    /// `->name`, `->name$`, `->$`.
    fn member(&self, pair: Pair, path: &mut Vec<Access>) {
        let name = pair.into_inner().next().expect("a member has a name");
        let mut member = self.ident(&name);
        let bare = member.name.trim_end_matches('$').len();
        let marks = member.name.len() - bare;
        let mark = Span::new(member.span.end - marks as u32, member.span.end);
        member.name.truncate(bare);
        member.span.end = mark.start;
        if !member.name.is_empty() {
            path.push(Access::Member(member));
        }
        if marks > 0 {
            path.push(Access::Pretty { deep: marks > 1, span: mark });
        }
    }

    /// `[e]`; gives its height.
    fn index(&mut self, pair: Pair, path: &mut Vec<Access>) -> Built<u32> {
        let open = self.span(&pair);
        let (mut elements, height) = self.elements(pair)?;
        match (elements.pop(), elements.pop()) {
            (Some(Index::Expr(expr)), None) => {
                path.push(Access::Index(expr));
                Ok(height)
            }
            (_, Some(Index::Expr(first))) => Err(self.expected("expected ']'", self.token_after(first.span.end))),
            _ => Err(self.expected("expected literal string or number", self.token_after(open.start + 1))),
        }
    }
}

/// `$x$` is `$x` with a mark; `$$vars` alone has none.
fn pretty_suffix(name: &str) -> Option<(&str, &str)> {
    let bare = name.trim_end_matches('$');
    let is_marked = !bare.is_empty() && bare.len() < name.len();
    is_marked.then(|| name.split_at(bare.len()))
}
