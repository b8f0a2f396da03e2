//! Which statistics user handlers add to. The kernel does not see what user space has added: reading such a statistic,
//! or deleting an element of it, is user space's business.

use crate::hir::walk::handler_mut;
use crate::hir::{ExprKind, GlobalId, Handler, Place, Program, reach};
use crate::image::When;

/// Notes them; gives whether there are some that were not known before.
pub fn note(program: &mut Program) -> bool {
    let mut added = Vec::new();
    for nth in 0..program.probes.len() {
        // Kernel handlers are over when these run.
        let over = matches!(program.probes[nth].place, Place::User(When::End(_) | When::Error(_)));
        if !over && matches!(program.probes[nth].place, Place::User(_)) {
            let mut handler = core::mem::take(&mut program.probes[nth].handler);
            added.extend(added_by(program, &mut handler));
            program.probes[nth].handler = handler;
        }
    }
    for nth in 0..program.handoffs.len() {
        let mut handler = core::mem::take(&mut program.handoffs[nth].handler);
        added.extend(added_by(program, &mut handler));
        program.handoffs[nth].handler = handler;
    }
    let mut changed = false;
    for global in added {
        changed |= !core::mem::replace(&mut program.globals[global].added_in_user, true);
    }
    changed
}

/// What a handler adds to, with the functions it calls.
fn added_by(program: &mut Program, handler: &mut Handler) -> Vec<GlobalId> {
    let mut added = aggregates(handler);
    let called = reach::callees(handler, program);
    for id in reach::reached_from(program, called) {
        added.extend(aggregates(&mut program.functions[id].handler));
    }
    added
}

fn aggregates(handler: &mut Handler) -> Vec<GlobalId> {
    let mut added = Vec::new();
    handler_mut(handler, &mut |e| {
        if let ExprKind::Aggregate(global, ..) = e.kind {
            added.push(global);
        }
    });
    added
}
