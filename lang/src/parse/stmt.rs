//! Statements: heads and bodies, which the grammar reads in a flat row, put together.
//!
//! Each kind is `#[inline(never)]`: nested statements recurse through one of them, and would otherwise hold the locals
//! of all on the stack.

use super::build::{Builder, Built};
use super::expr::Row;
use super::grammar::{Pair, Rule};
use crate::ast::{Block, Expr, ExprKind, Extractor, Foreach, Ident, SortBy, SortOrder, Stmt, StmtKind, Walked};
use crate::source::Span;

impl Builder<'_> {
    /// `{ … }`
    pub(super) fn block(&mut self, pair: Pair) -> Built<Block> {
        let span = self.span(&pair);
        let mut row = pair.into_inner().peekable();
        let mut stmts = Vec::new();
        while row.peek().is_some_and(|pair| pair.as_rule() != Rule::block_end) {
            stmts.push(self.statement(&mut row)?);
        }
        Ok(Block { stmts, span })
    }

    fn statement(&mut self, row: &mut Row) -> Built<Stmt> {
        let pair = row.next().expect("a block ends in its bracket");
        let start = self.span(&pair);
        self.enter(start)?;
        let (kind, end) = match pair.as_rule() {
            Rule::expr => self.expression_statement(pair)?,
            Rule::null => (StmtKind::Null, start),
            Rule::block => (StmtKind::Block(self.block(pair)?), start),
            Rule::if_head => self.if_statement(pair, row)?,
            Rule::while_head => self.while_loop(pair, row)?,
            Rule::for_head => self.for_loop(pair, row)?,
            Rule::foreach_head => self.foreach(pair, row)?,
            Rule::return_statement => self.return_statement(pair)?,
            Rule::delete_statement => self.delete_statement(pair)?,
            Rule::next => (StmtKind::Next, self.keyword(pair)),
            Rule::break_loop => (StmtKind::Break, self.keyword(pair)),
            Rule::continue_loop => (StmtKind::Continue, self.keyword(pair)),
            Rule::try_statement => self.try_statement(pair)?,
            Rule::else_head => return Err(self.expected("expected statement", start)),
            // A head without its body.
            _ => return Err(self.expected("expected literal string or number", start)),
        };
        self.leave();
        Ok(Stmt { kind, span: Span::new(start.start, end.end) })
    }

    /// The place of the word that a statement consists of.
    fn keyword(&self, pair: Pair) -> Span {
        pair.into_inner().next().map_or(Span::NONE, |word| self.span(&word))
    }

    #[inline(never)]
    fn expression_statement(&mut self, pair: Pair) -> Built<(StmtKind, Span)> {
        let expr = self.expr(pair)?.expr;
        let span = expr.span;
        match expr.kind {
            ExprKind::EmbeddedC(code) => Ok((StmtKind::EmbeddedC(code), span)),
            _ => Ok((StmtKind::Expr(expr), span)),
        }
    }

    /// The first expression in a pair.
    fn only_expr(&mut self, pair: Pair) -> Built<Option<Expr>> {
        match pair.into_inner().find(|part| part.as_rule() == Rule::expr) {
            Some(expr) => Ok(Some(self.expr(expr)?.expr)),
            None => Ok(None),
        }
    }

    fn condition_of(&mut self, head: Pair) -> Built<Expr> {
        Ok(self.only_expr(head)?.expect("a head has a condition"))
    }

    fn body(&mut self, row: &mut Row) -> Built<(Box<Stmt>, Span)> {
        let body = self.statement(row)?;
        let span = body.span;
        Ok((Box::new(body), span))
    }

    #[inline(never)]
    fn if_statement(&mut self, head: Pair, row: &mut Row) -> Built<(StmtKind, Span)> {
        let condition = self.condition_of(head)?;
        let (then, mut end) = self.body(row)?;
        let mut otherwise = None;
        if row.next_if(|pair| pair.as_rule() == Rule::else_head).is_some() {
            let (body, span) = self.body(row)?;
            otherwise = Some(body);
            end = span;
        }
        Ok((StmtKind::If(condition, then, otherwise), end))
    }

    #[inline(never)]
    fn while_loop(&mut self, head: Pair, row: &mut Row) -> Built<(StmtKind, Span)> {
        let condition = self.condition_of(head)?;
        let (body, end) = self.body(row)?;
        Ok((StmtKind::While(condition, body), end))
    }

    #[inline(never)]
    fn for_loop(&mut self, head: Pair, row: &mut Row) -> Built<(StmtKind, Span)> {
        let mut parts = [None, None, None];
        let mut index = 0;
        for part in head.into_inner() {
            match part.as_rule() {
                Rule::expr => parts[index] = Some(self.expr(part)?.expr),
                Rule::semicolon => index += 1,
                _ => {}
            }
        }
        let (body, end) = self.body(row)?;
        let [init, condition, step] = parts;
        Ok((StmtKind::For(init, condition, step, body), end))
    }

    #[inline(never)]
    fn return_statement(&mut self, pair: Pair) -> Built<(StmtKind, Span)> {
        let word = self.keyword(pair.clone());
        if !self.in_function {
            let error = self.error("parse::return", "found 'return' not in function context", word);
            return Err(Box::new(error.help("`next` leaves a probe")));
        }
        let value = self.only_expr(pair)?;
        let end = value.as_ref().map_or(word, |value| value.span);
        Ok((StmtKind::Return(value), end))
    }

    #[inline(never)]
    fn delete_statement(&mut self, pair: Pair) -> Built<(StmtKind, Span)> {
        let target = self.only_expr(pair)?.expect("delete has a target");
        let end = target.span;
        Ok((StmtKind::Delete(target), end))
    }

    #[inline(never)]
    fn try_statement(&mut self, pair: Pair) -> Built<(StmtKind, Span)> {
        let (mut blocks, mut variable) = (Vec::new(), None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::block => blocks.push(self.block(part)?),
                Rule::name => variable = Some(self.ident(&part)),
                _ => {}
            }
        }
        let handler = blocks.pop().expect("catch has a block");
        let body = blocks.pop().expect("try has a block");
        let end = handler.span;
        Ok((StmtKind::Try(body, variable, handler), end))
    }

    #[inline(never)]
    fn foreach(&mut self, head: Pair, row: &mut Row) -> Built<(StmtKind, Span)> {
        let mut walk = Walk::default();
        for part in head.into_inner() {
            self.foreach_part(part, &mut walk)?;
        }
        let (body, end) = self.body(row)?;
        let Walk { value, keys, over, slice, sort, limit, .. } = walk;
        let over = match over.expect("foreach has an array") {
            Walked::Array(name, _) => Walked::Array(name, slice),
            histogram => histogram,
        };
        let foreach = Foreach { value, keys, over, sort, limit, body: *body };
        Ok((StmtKind::Foreach(Box::new(foreach)), end))
    }

    fn foreach_part(&mut self, part: Pair, walk: &mut Walk) -> Built<()> {
        let span = self.span(&part);
        match part.as_rule() {
            Rule::key => self.key(part, walk)?,
            Rule::keys => {
                for key in part.into_inner().filter(|part| part.as_rule() == Rule::key) {
                    self.key(key, walk)?;
                }
            }
            // What looked like the first key is the value.
            Rule::foreach_set => {
                walk.value = walk.keys.pop();
                walk.sort = walk.sort.map(|(_, order, at)| (SortBy::Value(None), order, at));
            }
            Rule::walked => walk.over = Some(self.walked(part)?),
            Rule::subscript => walk.slice = self.elements(part)?.0,
            Rule::stat_sort => walk.extractor = Some(self.sort_extractor(&part)?),
            Rule::sort_mark => {
                let by = SortBy::Value(walk.extractor.take());
                self.sort(by, part.as_str(), span, walk)?;
            }
            Rule::expr => walk.limit = Some(self.expr(part)?.expr),
            _ => {}
        }
        Ok(())
    }

    fn key(&mut self, pair: Pair, walk: &mut Walk) -> Built<()> {
        for part in pair.into_inner() {
            let span = self.span(&part);
            match part.as_rule() {
                Rule::name => walk.keys.push(self.ident(&part)),
                _ => self.sort(SortBy::Key(walk.keys.len() - 1), part.as_str(), span, walk)?,
            }
        }
        Ok(())
    }

    fn sort(&self, by: SortBy, mark: &str, at: Span, walk: &mut Walk) -> Built<()> {
        if walk.sort.is_some() {
            return Err(self.error("parse::sort", "multiple sort directives", at));
        }
        let order = if mark == "+" { SortOrder::Ascending } else { SortOrder::Descending };
        walk.sort = Some((by, order, at));
        Ok(())
    }

    /// `@count` and its kind before a mark, which may not be missing.
    fn sort_extractor(&self, pair: &Pair) -> Built<Extractor> {
        let at = self.span(pair);
        let extractor = match pair.as_str() {
            "@avg" => Extractor::Avg,
            "@min" => Extractor::Min,
            "@max" => Extractor::Max,
            "@count" => Extractor::Count,
            "@sum" => Extractor::Sum,
            "@variance" => Extractor::Variance,
            _ => return Err(self.error("parse::sort", "expected statistical operation", at)),
        };
        let mark = self.token_after(at.end);
        match self.text(mark) {
            "+" | "-" => Ok(extractor),
            _ => Err(self.error("parse::sort", "expected sort directive", mark)),
        }
    }

    fn walked(&mut self, pair: Pair) -> Built<Walked> {
        let mut row = pair.into_inner().peekable();
        let name = row.next().expect("an array has a name");
        match name.as_rule() {
            Rule::name => Ok(Walked::Array(self.ident(&name), Vec::new())),
            _ if matches!(name.as_str(), "@hist_log" | "@hist_linear") => {
                Ok(Walked::Histogram(self.histogram(&name, &mut row)?.expr))
            }
            _ => Err(self.expected("expected identifier or statistical operation", self.span(&name))),
        }
    }
}

/// The parts of a `foreach` head as they are found.
#[derive(Default)]
struct Walk {
    value: Option<Ident>,
    keys: Vec<Ident>,
    over: Option<Walked>,
    slice: Vec<crate::ast::Index>,
    extractor: Option<Extractor>,
    sort: Option<(SortBy, SortOrder, Span)>,
    limit: Option<Expr>,
}
