//! Assignments to locals that nothing reads.

use super::{Round, acts, handlers, tops};
use crate::hir::walk::{expr_mut, handler_mut, parts_mut, stmts_mut};
use crate::hir::{Expr, ExprKind, Handler, Local, LocalId, Program, Stmt, StmtKind, Target};
use tapster_lang::{Diagnostic, Span};

/// Replaces assignments to locals that nothing reads by what was assigned. `x++` and `x += 1` read: SystemTap keeps
/// them, and so does this.
pub fn unread(program: &mut Program, effects: &[bool], round: &mut Round) {
    for handler in handlers(program) {
        let mut reads = reads(handler);
        if !round.warns {
            forgo(&mut handler.body, effects, &mut reads);
        }
        let Handler { locals, body } = handler;
        let mut unread = Unread { locals, reads: &reads, round: &mut *round };
        tops(body, &mut |e| unread.expr(e));
    }
}

/// How often each local is read.
fn reads(handler: &mut Handler) -> Vec<u32> {
    let mut reads = vec![0; handler.locals.len()];
    handler_mut(handler, &mut |e| match e.kind {
        ExprKind::Local(local)
        | ExprKind::Assign(Target::Local(local), Some(_), _)
        | ExprKind::Step(Target::Local(local), ..) => reads[local] += 1,
        _ => {}
    });
    stmts_mut(&mut handler.body, &mut |stmt| {
        if let StmtKind::Delete(Target::Local(local)) = stmt.kind {
            reads[local] += 1;
        }
    });
    reads
}

/// Takes away reads that are for locals which nothing reads. SystemTap finds them in as many rounds as
/// `a = 1; b = a; c = b` has assignments; no round but the first one warns.
fn forgo(body: &mut [Stmt], effects: &[bool], reads: &mut [u32]) {
    let mut values: Vec<Vec<LocalId>> = vec![Vec::new(); reads.len()];
    stmts_mut(body, &mut |stmt| {
        if let StmtKind::Expr(Expr { kind: ExprKind::Assign(Target::Local(local), None, value), .. }) = &mut stmt.kind
            && !acts(value, effects)
        {
            expr_mut(value, &mut |e| {
                if let ExprKind::Local(read) = e.kind {
                    values[*local].push(read);
                }
            });
        }
    });
    let mut unread: Vec<LocalId> = (0..reads.len()).filter(|local| reads[*local] == 0).collect();
    while let Some(local) = unread.pop() {
        for value in core::mem::take(&mut values[local]) {
            reads[value] -= 1;
            if reads[value] == 0 {
                unread.push(value);
            }
        }
    }
}

struct Unread<'a, 'r, 'c> {
    locals: &'a [Local],
    reads: &'a [u32],
    round: &'a mut Round<'r, 'c>,
}

impl Unread<'_, '_, '_> {
    /// Innermost first.
    fn expr(&mut self, e: &mut Expr) {
        parts_mut(e, &mut |part| self.expr(part));
        if let ExprKind::Assign(Target::Local(local), None, value) = &mut e.kind
            && self.reads[*local] == 0
        {
            let message = format!("Eliding assignment to '{}'", self.locals[*local].name);
            let value = core::mem::replace(&mut **value, Expr::long(0, Span::NONE));
            self.round.warn(Diagnostic::warning("elide::assignment", message).label(e.at, "nothing reads it"));
            self.round.changed = true;
            *e = value;
        }
    }
}
