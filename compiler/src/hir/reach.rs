//! Which functions reach which: recursion, effects, and what a probe can come to.

use super::walk::{handler_mut, stmts_mut};
use super::{ExprKind, FunctionId, Handler, Place, Program, StmtKind, Target};

/// How deep calls nest where none is recursive, and how often a recursive one is let into itself beyond that.
pub const RECURSIONS: u32 = 10;

/// The longest chain of calls in which no function stands twice.
pub fn depth(program: &mut Program) -> u32 {
    let count = program.functions.len();
    let calls: Vec<Vec<FunctionId>> = (0..count)
        .map(|id| {
            let mut handler = core::mem::take(&mut program.functions[id].handler);
            let calls = callees(&mut handler, program);
            program.functions[id].handler = handler;
            calls
        })
        .collect();
    // Rounds of growing chains; those through recursive functions end when they are as long as there are functions.
    let mut depths = vec![1; count];
    for _ in 0..count {
        let longer = |id: FunctionId| 1 + calls[id].iter().filter(|c| **c != id).map(|c| depths[*c]).max().unwrap_or(0);
        let next: Vec<u32> = (0..count).map(|id| longer(id).min(count as u32)).collect();
        if next == depths {
            break;
        }
        depths = next;
    }
    depths.into_iter().max().unwrap_or(0)
}

/// Finds out which functions are recursive and which do something beside giving a result.
pub fn reach(program: &mut Program) {
    let count = program.functions.len();
    let calls: Vec<Vec<FunctionId>> = (0..count)
        .map(|id| {
            let mut handler = core::mem::take(&mut program.functions[id].handler);
            let calls = callees(&mut handler, program);
            program.functions[id].effect = acts(&mut handler);
            program.functions[id].passes = passes(&mut handler);
            program.functions[id].handler = handler;
            calls
        })
        .collect();
    for id in 0..count {
        let reached = closure(&calls, &calls[id]);
        program.functions[id].recursive = reached[id];
    }
    // Until none learns that it calls one that acts.
    loop {
        let acting = |id: FunctionId| calls[id].iter().any(|callee| program.functions[*callee].effect);
        let new: Vec<FunctionId> = (0..count).filter(|id| !program.functions[*id].effect && acting(*id)).collect();
        if new.is_empty() {
            break;
        }
        new.into_iter().for_each(|id| program.functions[id].effect = true);
    }
}

/// The functions that a handler can come to, itself and through others.
pub fn reached(program: &mut Program, probe: usize) -> Vec<FunctionId> {
    let mut handler = core::mem::take(&mut program.probes[probe].handler);
    let first = callees(&mut handler, program);
    program.probes[probe].handler = handler;
    reached_from(program, first)
}

/// The functions that handlers in user space can come to, ascending.
pub fn reached_from_user(program: &mut Program) -> Vec<FunctionId> {
    let mut first = Vec::new();
    for nth in 0..program.probes.len() {
        if matches!(program.probes[nth].place, Place::User(_)) {
            let mut handler = core::mem::take(&mut program.probes[nth].handler);
            first.extend(callees(&mut handler, program));
            program.probes[nth].handler = handler;
        }
    }
    for nth in 0..program.handoffs.len() {
        let mut handler = core::mem::take(&mut program.handoffs[nth].handler);
        first.extend(callees(&mut handler, program));
        program.handoffs[nth].handler = handler;
    }
    reached_from(program, first)
}

/// The functions that these can come to, themselves included, ascending.
pub fn reached_from(program: &mut Program, first: Vec<FunctionId>) -> Vec<FunctionId> {
    let mut found = vec![false; program.functions.len()];
    let mut open = first;
    while let Some(id) = open.pop() {
        if !core::mem::replace(&mut found[id], true) {
            let mut handler = core::mem::take(&mut program.functions[id].handler);
            open.extend(callees(&mut handler, program));
            program.functions[id].handler = handler;
        }
    }
    (0..found.len()).filter(|id| found[*id]).collect()
}

/// The functions that a body calls, and those that `next` passes to.
pub fn callees(handler: &mut Handler, program: &Program) -> Vec<FunctionId> {
    let mut found = Vec::new();
    handler_mut(handler, &mut |e| {
        if let ExprKind::Call(first, _) = e.kind {
            let chain = core::iter::successors(Some(first), |id| program.functions[*id].next);
            found.extend(chain);
        }
    });
    found.sort_unstable();
    found.dedup();
    found
}

fn closure(calls: &[Vec<FunctionId>], first: &[FunctionId]) -> Vec<bool> {
    let mut found = vec![false; calls.len()];
    let mut open = first.to_vec();
    while let Some(id) = open.pop() {
        if !core::mem::replace(&mut found[id], true) {
            open.extend(&calls[id]);
        }
    }
    found
}

/// Whether a body itself does something that outlives it.
fn acts(handler: &mut Handler) -> bool {
    let mut acts = false;
    stmts_mut(&mut handler.body, &mut |stmt| {
        acts |= matches!(&stmt.kind, StmtKind::Delete(target) if !matches!(target, Target::Local(_)));
    });
    handler_mut(handler, &mut |e| acts |= has_effect(&e.kind));
    acts
}

/// Whether a body has a `next`.
fn passes(handler: &mut Handler) -> bool {
    let mut passes = false;
    stmts_mut(&mut handler.body, &mut |stmt| passes |= matches!(stmt.kind, StmtKind::Next));
    passes
}

/// Whether an expression itself, without its parts and the functions it calls, does something that outlives it.
pub fn has_effect(kind: &ExprKind) -> bool {
    match kind {
        ExprKind::Aggregate(..) | ExprKind::Print(..) => true,
        ExprKind::Assign(target, ..) | ExprKind::Step(target, ..) => !matches!(target, Target::Local(_)),
        ExprKind::Intrinsic(intrinsic, _) => intrinsic.effect,
        _ => false,
    }
}
