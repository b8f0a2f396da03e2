//! Values that nobody looks at: the parts of `a + f()` that do something are all that has to be done of it.

use super::{Round, handlers};
use crate::hir::walk::stmts_mut;
use crate::hir::{Expr, ExprKind, Program, Stmt, StmtKind};
use tapster_lang::Span;

/// Replaces statements that compute an unused value by statements that only do what its parts do.
pub fn reduce(program: &mut Program, effects: &[bool], round: &mut Round) {
    for handler in handlers(program) {
        stmts_mut(&mut handler.body, &mut |stmt| {
            if let StmtKind::Expr(e) = &mut stmt.kind
                && is_plain(&e.kind, effects)
            {
                let value = core::mem::replace(e, Expr::long(0, Span::NONE));
                stmt.kind = parts(value);
                round.changed = true;
            }
        });
    }
}

/// Whether all that an expression does is in its parts. SystemTap leaves elements and statistics alone.
fn is_plain(kind: &ExprKind, effects: &[bool]) -> bool {
    match kind {
        ExprKind::Call(function, _) => !effects[*function],
        ExprKind::Intrinsic(row, _) => !row.effect,
        ExprKind::And(..)
        | ExprKind::Or(..)
        | ExprKind::Choose(..)
        | ExprKind::Neg(_)
        | ExprKind::BitNot(_)
        | ExprKind::Not(_)
        | ExprKind::Match(..)
        | ExprKind::Arith(..)
        | ExprKind::Compare(..)
        | ExprKind::Concat(..)
        | ExprKind::Load(_)
        | ExprKind::Format(..) => true,
        _ => false,
    }
}

/// The statement that does what the parts of a plain expression do.
fn parts(value: Expr) -> StmtKind {
    let (span, at) = (value.span, value.at);
    match value.kind {
        ExprKind::And(a, b) => StmtKind::If(*a, Box::new(alone(*b)), None),
        ExprKind::Or(a, b) => {
            let not = Expr { at, ..Expr::new(ExprKind::Not(a), span) };
            StmtKind::If(not, Box::new(alone(*b)), None)
        }
        ExprKind::Choose(cond, a, b) => StmtKind::If(*cond, Box::new(alone(*a)), Some(Box::new(alone(*b)))),
        ExprKind::Neg(a) | ExprKind::BitNot(a) | ExprKind::Not(a) | ExprKind::Match(a, ..) => StmtKind::Expr(*a),
        ExprKind::Load(load) => StmtKind::Expr(*load.base),
        ExprKind::Arith(_, a, b) | ExprKind::Compare(_, a, b) | ExprKind::Concat(a, b) => {
            StmtKind::Block(vec![alone(*a), alone(*b)])
        }
        ExprKind::Call(_, args) | ExprKind::Intrinsic(_, args) | ExprKind::Format(_, args) => {
            StmtKind::Block(args.into_iter().map(alone).collect())
        }
        kind => StmtKind::Expr(Expr { kind, ..value }),
    }
}

fn alone(e: Expr) -> Stmt {
    Stmt { span: e.span, kind: StmtKind::Expr(e) }
}
