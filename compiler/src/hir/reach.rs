//! Which functions reach which: recursion, effects, and what a probe can come to.

use super::walk::{handler_mut, stmts_mut};
use super::{ExprKind, FunctionId, Handler, Place, Program, StmtKind, Target};

/// How deep calls nest where none is recursive, and how often a recursive one is let into itself beyond that.
pub const RECURSIONS: u32 = 10;

/// The longest chain of calls in which no function stands twice; as long as there are functions where one comes to
/// itself through others.
pub fn depth(program: &mut Program) -> u32 {
    let (calls, groups) = (calls(program), groups(program));
    let count = calls.len() as u32;
    let mut depths = vec![0; calls.len()];
    for group in groups {
        let longest = group.iter().flat_map(|id| &calls[*id]).map(|callee| depths[*callee]).max().unwrap_or(0);
        let depth = if group.len() > 1 { count } else { (1 + longest).min(count) };
        group.into_iter().for_each(|id| depths[id] = depth);
    }
    depths.into_iter().max().unwrap_or(0)
}

/// Finds out which functions are recursive and which do something beside giving a result.
pub fn reach(program: &mut Program) {
    for function in &mut program.functions {
        function.effect = acts(&mut function.handler);
        function.passes = passes(&mut function.handler);
    }
    let (calls, groups) = (calls(program), groups(program));
    for group in groups {
        let effect = group.iter().any(|id| {
            program.functions[*id].effect || calls[*id].iter().any(|callee| program.functions[*callee].effect)
        });
        let recursive = group.len() > 1 || calls[group[0]].contains(&group[0]);
        for id in group {
            (program.functions[id].effect, program.functions[id].recursive) = (effect, recursive);
        }
    }
}

/// The functions that each function calls, those that `next` passes to among them.
pub fn calls(program: &mut Program) -> Vec<Vec<FunctionId>> {
    let mut calls = Vec::with_capacity(program.functions.len());
    for id in 0..program.functions.len() {
        let mut handler = core::mem::take(&mut program.functions[id].handler);
        calls.push(callees(&mut handler, program));
        program.functions[id].handler = handler;
    }
    calls
}

/// Functions in groups that come to each other, each behind those that it calls (Kosaraju's algorithm: Sharir, "A
/// strong-connectivity algorithm and its applications in data flow analysis").
pub fn groups(program: &mut Program) -> Vec<Vec<FunctionId>> {
    let calls = calls(program);
    let mut callers = vec![Vec::new(); calls.len()];
    for (caller, callees) in calls.iter().enumerate() {
        callees.iter().for_each(|callee| callers[*callee].push(caller));
    }
    let mut seen = vec![false; calls.len()];
    let order: Vec<FunctionId> = (0..calls.len()).flat_map(|id| finished(id, &calls, &mut seen)).collect();
    seen.fill(false);
    let groups = order.iter().rev().map(|id| finished(*id, &callers, &mut seen));
    let mut groups: Vec<Vec<FunctionId>> = groups.filter(|group| !group.is_empty()).collect();
    groups.reverse();
    groups
}

/// What can be come to from here and is not seen yet, each behind what it leads to; calls may be nested too deep for
/// the stack of this process.
fn finished(from: FunctionId, edges: &[Vec<FunctionId>], seen: &mut [bool]) -> Vec<FunctionId> {
    let mut finished = Vec::new();
    let mut open: Vec<(FunctionId, usize)> = Vec::new();
    if !core::mem::replace(&mut seen[from], true) {
        open.push((from, 0));
    }
    while let Some((id, next)) = open.last_mut() {
        match edges[*id].get(*next) {
            Some(to) => {
                *next += 1;
                if !core::mem::replace(&mut seen[*to], true) {
                    open.push((*to, 0));
                }
            }
            None => {
                finished.push(*id);
                open.pop();
            }
        }
    }
    finished
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
