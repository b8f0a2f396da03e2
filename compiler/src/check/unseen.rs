//! Leaves out what SystemTap computes though nobody can see it: counting in a variable that nothing looks at.
//!
//! Comes after types are known and warnings are said, so that both are SystemTap's, and drops no probe. Elements stay:
//! an array may be full, and that is an error.

use super::access::{Access, Accesses, Wants};
use crate::hir::walk::stmts_mut;
use crate::hir::{Expr, ExprKind, Program, StmtKind, Target};
use tapster_lang::Span;

/// Replaces changes of variables that nothing looks at by the values that they are made of.
pub fn unseen(program: &mut Program) {
    let mut changed = true;
    while changed {
        changed = false;
        let globals = Accesses::of_globals(program, Wants::Exactly);
        let mut accesses = Accesses::new(globals.len(), Wants::Exactly);
        for handler in program.handlers_mut() {
            accesses.body(handler);
            let seen = Seen { locals: &accesses.locals, globals: &globals };
            stmts_mut(&mut handler.body, &mut |stmt| match &mut stmt.kind {
                StmtKind::Expr(e) if seen.is_unseen(&e.kind) => {
                    stmt.kind = value_of(e).map_or_else(|| StmtKind::Block(Vec::new()), StmtKind::Expr);
                    changed = true;
                }
                StmtKind::Loop { step, .. } if step.as_ref().is_some_and(|step| seen.is_unseen(&step.kind)) => {
                    *step = step.as_mut().and_then(value_of);
                    changed = true;
                }
                _ => {}
            });
        }
    }
}

struct Seen<'a> {
    locals: &'a [Access],
    globals: &'a [Access],
}

impl Seen<'_> {
    /// Whether an expression whose value is unused only changes a variable that nothing looks at.
    fn is_unseen(&self, kind: &ExprKind) -> bool {
        match kind {
            ExprKind::Assign(Target::Local(local), ..) | ExprKind::Step(Target::Local(local), ..) => {
                !self.locals[*local].wanted
            }
            ExprKind::Assign(Target::Global(global), ..) | ExprKind::Step(Target::Global(global), ..) => {
                !self.globals[*global].wanted
            }
            ExprKind::Aggregate(global, keys, _) => keys.is_empty() && !self.globals[*global].wanted,
            _ => false,
        }
    }
}

/// What is put into the variable; nothing for `++`.
fn value_of(e: &mut Expr) -> Option<Expr> {
    match &mut e.kind {
        ExprKind::Assign(_, _, value) | ExprKind::Aggregate(_, _, value) => {
            Some(core::mem::replace(&mut **value, Expr::long(0, Span::NONE)))
        }
        _ => None,
    }
}
