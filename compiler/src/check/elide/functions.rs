//! Functions that nothing comes to.

use super::Round;
use crate::hir::walk::stmts_mut;
use crate::hir::{Handler, Program, StmtKind, reach};
use tapster_lang::Diagnostic;

/// Empties the functions that no probe reaches; their numbers stay. Gives which ones are reached.
pub fn unreached(program: &mut Program, round: &mut Round) -> Vec<bool> {
    let mut first = Vec::new();
    for nth in 0..program.probes.len() {
        let mut handler = core::mem::take(&mut program.probes[nth].handler);
        first.extend(reach::callees(&mut handler, program));
        program.probes[nth].handler = handler;
    }
    let mut reached = vec![false; program.functions.len()];
    reach::reached_from(program, first).into_iter().for_each(|id| reached[id] = true);
    for (function, _) in program.functions.iter_mut().zip(&reached).filter(|(_, reached)| !**reached) {
        let warning = Diagnostic::warning("elide::function", format!("Eliding unused function '{}'", function.name));
        round.warn(warning.label(function.span, "no probe comes to it"));
        round.changed |= !function.handler.body.is_empty();
        function.handler.body.clear();
        function.handler.locals.truncate(function.params);
    }
    reached
}

/// Drops overloads behind one that has no `next`.
pub fn overloads(program: &mut Program, reached: &[bool], round: &mut Round) {
    let mut reached = reached.to_vec();
    for id in 0..program.functions.len() {
        // What C does is not known.
        if !reached[id] || program.functions[id].embedded.is_some() || passes(&mut program.functions[id].handler) {
            continue;
        }
        let before = program.functions[id].span;
        let mut next = program.functions[id].next.take();
        round.changed |= next.is_some();
        while let Some(later) = next {
            let message = "instance of overloaded function will never be reached";
            let warning = Diagnostic::warning("elide::overload", message);
            let warning = warning.label(program.functions[later].span, "never called");
            round.warn(warning.label(before, "this one comes first and has no `next`"));
            reached[later] = false;
            next = program.functions[later].next.take();
        }
    }
}

/// Whether a body has a `next`.
fn passes(handler: &mut Handler) -> bool {
    let mut passes = false;
    stmts_mut(&mut handler.body, &mut |stmt| passes |= matches!(stmt.kind, StmtKind::Next));
    passes
}
