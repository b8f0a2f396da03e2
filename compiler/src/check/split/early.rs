//! What pretty-printed variables read, where the statement goes on in user space: it is read in the kernel.
//!
//! Such reads stand together in a `try` and set variables that nothing else sets. They can be made before everything
//! that goes over, as long as what they read of is not changed there; in a loop over pointers they stay, and the
//! kernel's memory is read from user space.

use super::Fixed;
use crate::hir::walk::{stmt_mut, stmts_mut};
use crate::hir::{Expr, ExprKind, Local, LocalId, Stmt, StmtKind, Target};
use crate::intrinsic::{Memory, Op};
use core::slice::from_mut;

/// Takes the reads that can be made before these statements out of them.
pub(super) fn take(body: &mut [Stmt], locals: &[Local]) -> Vec<Stmt> {
    let fixed = Fixed::of(body);
    let mut taken = Vec::new();
    stmts_mut(body, &mut |stmt| {
        if !is_read(stmt, locals) {
            return;
        }
        match holds(stmt, &fixed) {
            true => taken.push(core::mem::replace(stmt, Stmt { kind: StmtKind::Block(Vec::new()), span: stmt.span })),
            false => forget_process(stmt),
        }
    });
    taken
}

/// Whether a statement does nothing but read for a pretty-printed variable.
fn is_read(stmt: &mut Stmt, locals: &[Local]) -> bool {
    let StmtKind::Try { message: None, .. } = stmt.kind else { return false };
    let own = own(stmt);
    !own.is_empty() && own.iter().all(|local| locals[*local].hidden)
}

/// The variables that a statement sets.
fn own(stmt: &mut Stmt) -> Vec<LocalId> {
    Fixed::of(from_mut(stmt)).locals
}

/// Whether a read means the same before the statements that change all but what is `fixed`.
fn holds(stmt: &mut Stmt, fixed: &Fixed) -> bool {
    let own = own(stmt);
    let mut holds = true;
    stmt_mut(stmt, &mut |e| match &e.kind {
        ExprKind::Local(local) => holds &= own.contains(local) || !fixed.locals.contains(local),
        ExprKind::Global(global) | ExprKind::Element(global, _) => holds &= !fixed.globals.contains(global),
        ExprKind::Assign(Target::Local(local), None, _) => holds &= own.contains(local),
        ExprKind::Assign(..) | ExprKind::Step(..) | ExprKind::Aggregate(..) | ExprKind::Call(..) => holds = false,
        _ => {}
    });
    holds
}

/// Where the rest of the handler runs, the process is another: its memory is not looked at.
fn forget_process(stmt: &mut Stmt) {
    stmts_mut(from_mut(stmt), &mut |stmt| {
        if let StmtKind::Try { body, catch, .. } = &mut stmt.kind
            && body.iter().any(of_process)
        {
            stmt.kind = StmtKind::Block(core::mem::take(catch));
        }
    });
}

fn of_process(stmt: &Stmt) -> bool {
    let StmtKind::Expr(Expr { kind: ExprKind::Assign(_, _, value), .. }) = &stmt.kind else { return false };
    matches!(&value.kind, ExprKind::Intrinsic(function, _) if function.op == Op::ReadText(Memory::User))
}
