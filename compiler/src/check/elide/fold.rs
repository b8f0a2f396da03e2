//! What is constant, and the branches and loops that it decides.

use super::{Round, acts, handlers, tops};
use crate::hir::walk::{parts_mut, stmts_mut};
use crate::hir::{Arith, Compare, Expr, ExprKind, Program, Stmt, StmtKind};
use tapster_lang::Span;

/// Folds constants, and leaves the taken branch alone where one decides.
pub(super) fn fold(program: &mut Program, effects: &[bool], round: &mut Round) {
    for handler in handlers(program) {
        tops(&mut handler.body, &mut |e| round.changed |= expr(e, effects));
        stmts_mut(&mut handler.body, &mut |stmt| {
            if let Some(left) = decided(stmt) {
                stmt.kind = left;
                round.changed = true;
            }
        });
    }
}

/// What a constant leaves of a statement.
fn decided(stmt: &mut Stmt) -> Option<StmtKind> {
    let nothing = || StmtKind::Block(Vec::new());
    match &mut stmt.kind {
        StmtKind::If(cond, then, other) => {
            let taken = if long(cond)? != 0 { Some(then) } else { other.as_mut() };
            Some(taken.map_or_else(nothing, |taken| core::mem::replace(&mut taken.kind, nothing())))
        }
        StmtKind::Loop { cond, .. } => (long(cond)? == 0).then(nothing),
        StmtKind::Foreach(walk) => (walk.limit.as_ref().and_then(long)? <= 0).then(nothing),
        _ => None,
    }
}

/// Folds an expression, innermost first. Whether anything was.
pub fn expr(e: &mut Expr, effects: &[bool]) -> bool {
    let mut changed = false;
    parts_mut(e, &mut |part| changed |= expr(part, effects));
    let Some(folded) = folded(&mut e.kind, effects) else { return changed };
    *e = match folded {
        Folded::Long(number) => Expr { at: e.at, ..Expr::long(number, e.span) },
        Folded::Text(bytes) => Expr { at: e.at, ..Expr::text(bytes, e.span) },
        Folded::Part(part) => part,
    };
    true
}

enum Folded {
    Long(i64),
    Text(Vec<u8>),
    Part(Expr),
}

fn folded(kind: &mut ExprKind, effects: &[bool]) -> Option<Folded> {
    let truth = |holds: bool| Some(Folded::Long(i64::from(holds)));
    match kind {
        ExprKind::Neg(a) => long(a).map(|a| Folded::Long(a.wrapping_neg())),
        ExprKind::BitNot(a) => long(a).map(|a| Folded::Long(!a)),
        ExprKind::Not(a) => truth(long(a)? == 0),
        ExprKind::Arith(op, a, b) => arith(*op, long(a)?, long(b)?).map(Folded::Long),
        ExprKind::Compare(op, a, b) => truth(compare(*op, a, b)?),
        ExprKind::And(a, b) => truth(either(a, b, false, effects)?),
        ExprKind::Or(a, b) => truth(either(a, b, true, effects)?),
        ExprKind::Choose(cond, a, b) => {
            let taken = if long(cond)? != 0 { a } else { b };
            Some(Folded::Part(core::mem::replace(&mut **taken, Expr::long(0, Span::NONE))))
        }
        ExprKind::Concat(a, b) => match (&a.kind, &b.kind) {
            // A string that is put together is cut to MAXSTRINGLEN, which is 16 at least; a literal is not.
            (ExprKind::Text(a), ExprKind::Text(b)) if a.len() + b.len() < 16 => {
                Some(Folded::Text([a.as_slice(), b].concat()))
            }
            _ => None,
        },
        _ => None,
    }
}

fn long(e: &Expr) -> Option<i64> {
    match e.kind {
        ExprKind::Long(number) => Some(number),
        _ => None,
    }
}

/// `&&` and `||`, which a side that is false or true decides: the left one at once, the right one where the left one
/// does nothing.
fn either(a: &mut Expr, b: &Expr, decisive: bool, effects: &[bool]) -> Option<bool> {
    let (left, right) = (long(a).map(|a| a != 0), long(b).map(|b| b != 0));
    match (left, right) {
        (Some(left), _) if left == decisive => Some(decisive),
        (_, Some(right)) if right == decisive && !acts(a, effects) => Some(decisive),
        (Some(_), Some(right)) => Some(right),
        _ => None,
    }
}

/// SystemTap's arithmetic; what faults at run time is left to it.
fn arith(op: Arith, a: i64, b: i64) -> Option<i64> {
    Some(match op {
        Arith::Add => a.wrapping_add(b),
        Arith::Sub => a.wrapping_sub(b),
        Arith::Mul => a.wrapping_mul(b),
        Arith::Div | Arith::Mod if b == 0 => return None,
        Arith::Div => a.wrapping_div(b),
        Arith::Mod => a.wrapping_rem(b),
        Arith::And => a & b,
        Arith::Or => a | b,
        Arith::Xor => a ^ b,
        Arith::Shl => a.wrapping_shl(b as u32),
        Arith::Shr => a.wrapping_shr(b as u32),
    })
}

fn compare(op: Compare, a: &Expr, b: &Expr) -> Option<bool> {
    let order = match (&a.kind, &b.kind) {
        (ExprKind::Long(a), ExprKind::Long(b)) => a.cmp(b),
        (ExprKind::Text(a), ExprKind::Text(b)) => a.cmp(b),
        _ => return None,
    };
    Some(match op {
        Compare::Eq => order.is_eq(),
        Compare::Ne => order.is_ne(),
        Compare::Lt => order.is_lt(),
        Compare::Le => order.is_le(),
        Compare::Gt => order.is_gt(),
        Compare::Ge => order.is_ge(),
    })
}
