//! What has to be done before a statement: pretty-printed variables are read there.

use super::builder::Builder;
use crate::hir::{Expr, ExprKind, Stmt, StmtKind};
use tapster_lang::ast;

impl Builder<'_, '_> {
    /// A statement, behind what has to be done before it.
    pub(super) fn stmt(&mut self, stmt: &ast::Stmt) -> Option<Stmt> {
        let outer = core::mem::take(&mut self.ahead);
        let built = self.stmt_itself(stmt);
        let mut ahead = core::mem::replace(&mut self.ahead, outer);
        if ahead.is_empty() {
            return built;
        }
        ahead.extend(built);
        Some(Stmt { kind: StmtKind::Block(ahead), span: stmt.span })
    }

    /// A loop. What its condition needs to have done before, from the n-th on, is done in each round.
    pub(super) fn conditional_loop(
        &mut self,
        cond: Expr,
        before: usize,
        step: Option<Expr>,
        body: &ast::Stmt,
    ) -> StmtKind {
        let mut ahead = self.ahead.split_off(before);
        let body = Box::new(self.loop_body(body));
        if ahead.is_empty() {
            return StmtKind::Loop { cond, step, body };
        }
        let span = cond.span;
        let done = Expr::new(ExprKind::Not(Box::new(cond)), span);
        let leave = Box::new(Stmt { kind: StmtKind::Break, span });
        ahead.extend([Stmt { kind: StmtKind::If(done, leave, None), span }, *body]);
        let body = Box::new(Stmt { kind: StmtKind::Block(ahead), span });
        StmtKind::Loop { cond: Expr::long(1, span), step, body }
    }
}
