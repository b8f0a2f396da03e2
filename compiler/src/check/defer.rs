//! Puts off what an alias works out for its user until the user's handler asks for it.
//!
//! `argstr` of a system call can only be made in user space. Made at the start of a handler it would send every event
//! there, those that `if (pid() == target())` passes over as well. A variable that an alias sets once, from what does
//! not change during the event, is replaced by its value where that needs user space. What another alias sets anew before
//! anybody looks is not worked out at all.

use super::elide;
use super::origin::LibraryText;
use crate::hir::walk::{expr_mut, handler_mut, stmt_mut, stmts_mut};
use crate::hir::{Expr, ExprKind, Handler, LocalId, Place, Program, Stmt, StmtKind, Target};
use crate::intrinsic::Sides;

/// Puts off what kernel handlers can.
pub fn defer(library: &LibraryText, program: &mut Program) {
    let effects = elide::effects(program);
    let in_kernel = |place: &Place| matches!(place, Place::Kernel { .. });
    program.probes.iter_mut().filter(|probe| in_kernel(&probe.place)).for_each(|probe| {
        drop_overridden(library, &mut probe.handler, &effects);
        put_off(library, &mut probe.handler);
    });
}

/// Drops what the library assigns to a variable that gets another value before it is read.
fn drop_overridden(library: &LibraryText, handler: &mut Handler, effects: &[bool]) {
    let mut at = 0;
    while at < handler.body.len() {
        let (before, behind) = handler.body.split_at_mut(at + 1);
        let dead = assigns(&before[at]).is_some_and(|(local, value)| {
            library.holds(before[at].span) && !elide::acts(&mut value.clone(), effects) && is_overridden(local, behind)
        });
        if dead {
            handler.body.remove(at);
        } else {
            at += 1;
        }
    }
}

/// Whether statements that are come to one after the other assign a variable before they look at it.
fn is_overridden(local: LocalId, stmts: &mut [Stmt]) -> bool {
    for stmt in stmts {
        let is_set = assigns(stmt).is_some_and(|(set, _)| set == local);
        let mut is_read = false;
        stmt_mut(stmt, &mut |e| {
            is_read |= match &e.kind {
                ExprKind::Local(read) => *read == local,
                ExprKind::Assign(Target::Local(changed), Some(_), _) | ExprKind::Step(Target::Local(changed), ..) => {
                    *changed == local
                }
                _ => false,
            };
        });
        if is_read || is_set {
            return is_set && !is_read;
        }
    }
    false
}

/// What a statement assigns to which variable, if it does nothing else.
fn assigns(stmt: &Stmt) -> Option<(LocalId, &Expr)> {
    match &stmt.kind {
        StmtKind::Expr(Expr { kind: ExprKind::Assign(Target::Local(local), None, value), .. }) => Some((*local, value)),
        _ => None,
    }
}

fn put_off(library: &LibraryText, handler: &mut Handler) {
    let writes = writes(handler);
    let mut at = 0;
    while at < handler.body.len() {
        let Some((local, value)) = assigned(&handler.body[at], &writes, library) else {
            at += 1;
            continue;
        };
        let mut replaced = |e: &mut Expr| {
            if matches!(e.kind, ExprKind::Local(read) if read == local) {
                *e = Expr { span: e.span, at: e.at, ..value.clone() };
            }
        };
        handler.body.remove(at);
        handler_mut(handler, &mut replaced);
    }
}

/// How often each variable is written.
fn writes(handler: &mut Handler) -> Vec<u32> {
    let mut writes = vec![0; handler.locals.len()];
    let mut count = |target: &Target| {
        if let Target::Local(local) = target {
            writes[*local] += 1;
        }
    };
    handler_mut(handler, &mut |e| {
        if let ExprKind::Assign(target, ..) | ExprKind::Step(target, ..) = &e.kind {
            count(target);
        }
    });
    stmts_mut(&mut handler.body, &mut |stmt| match &stmt.kind {
        StmtKind::Foreach(walk) => walk.keys.iter().chain(&walk.value).for_each(|local| writes[*local] += 1),
        StmtKind::Try { message, .. } => message.iter().for_each(|local| writes[*local] += 1),
        StmtKind::Delete(Target::Local(local)) => writes[*local] += 1,
        _ => {}
    });
    writes
}

/// The variable and the value of an assignment that can be put off.
fn assigned(stmt: &Stmt, writes: &[u32], library: &LibraryText) -> Option<(LocalId, Expr)> {
    let (local, value) = assigns(stmt)?;
    let (mut needs_user, mut lasts) = (false, library.holds(stmt.span) && writes[local] == 1);
    expr_mut(&mut value.clone(), &mut |part| match &part.kind {
        ExprKind::Intrinsic(intrinsic, _) => {
            needs_user |= intrinsic.sides == Sides::User;
            lasts &= !intrinsic.effect;
        }
        ExprKind::Local(read) => lasts &= writes[*read] <= 1,
        ExprKind::Long(_) | ExprKind::Text(_) | ExprKind::Arg { .. } | ExprKind::Load(_) | ExprKind::Arith(..) => {}
        ExprKind::Compare(..) | ExprKind::Choose(..) | ExprKind::Neg(_) | ExprKind::Not(_) | ExprKind::Format(..) => {}
        _ => lasts = false,
    });
    (needs_user && lasts).then(|| (local, value.clone()))
}
