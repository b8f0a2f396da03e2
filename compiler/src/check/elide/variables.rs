//! Variables that nothing uses, and those that nothing assigns.

use super::super::access::{Access, Accesses, Wants};
use super::Round;
use crate::hir::walk::{handler_mut, stmts_mut};
use crate::hir::{ExprKind, Global, Handler, Local, LocalId, Program, Slot, StmtKind, Target};
use crate::suggest::{did_you_mean, nearest};
use tapster_lang::{Diagnostic, Span};

/// Says which variables are never used, and which are looked at though nothing ever assigns them.
pub fn unused(program: &mut Program, round: &mut Round) {
    let globals: Vec<String> = program.globals.iter().map(|global| global.name.clone()).collect();
    let globals: Vec<&str> = globals.iter().map(String::as_str).collect();
    let mut accesses = Accesses::new(globals.len(), Wants::AsDisplayed);
    let functions = program.functions.iter_mut().map(|function| (function.params, &mut function.handler));
    for (params, handler) in program.probes.iter_mut().map(|probe| (0, &mut probe.handler)).chain(functions) {
        accesses.body(handler);
        let locals: Vec<&str> = handler.locals.iter().map(|local| local.name.as_str()).collect();
        for nth in (params..locals.len()).filter(|nth| !accesses.locals[*nth].written) {
            let names = || locals.iter().chain(&globals).copied();
            never_assigned("local", locals[nth], handler.locals[nth].span, names, round);
        }
    }
    for (global, access) in program.globals.iter().zip(&accesses.globals) {
        if *access == Access::default() {
            let warning = Diagnostic::warning("elide::variable", format!("Eliding unused variable '{}'", global.name));
            round.warn(warning.label(global.span, "nothing reads or writes it"));
        } else if !access.written && !is_initialised(global, round) {
            never_assigned("global", &global.name, global.span, || globals.iter().copied(), round);
        }
    }
}

fn is_initialised(global: &Global, round: &Round) -> bool {
    global.init.is_some() || round.cx.options.globals.iter().any(|(name, _)| *name == global.name)
}

/// So many warnings offer names that are near: every name is compared with all others.
const GUESSES: usize = 50;

fn never_assigned<'n, N: Iterator<Item = &'n str>>(
    kind: &str,
    name: &str,
    at: Span,
    names: impl FnOnce() -> N,
    round: &mut Round,
) {
    let code = "check::never-assigned";
    if !round.is_news(code, at) {
        return;
    }
    let near = if round.said.len() < GUESSES { nearest(name, names().filter(|other| *other != name)) } else { vec![] };
    let similar = if near.is_empty() { String::new() } else { format!(" (similar: {})", near.join(", ")) };
    let message = format!("never-assigned {kind} variable '{name}'{similar}");
    let warning = Diagnostic::warning(code, message).label(at, "always 0 or \"\"");
    round.warn(match did_you_mean(name, near) {
        Some(help) => warning.help(help),
        None if kind == "local" => warning.help("globals are declared at the top: `global NAME`"),
        None => warning.help("give it a value where it is declared, by `-G`, or in a probe"),
    });
}

/// Forgets what only that knew which is left out: locals that nothing uses, and how globals were used.
pub fn forget(program: &mut Program) {
    let mut accesses = Accesses::new(program.globals.len(), Wants::AsDisplayed);
    for probe in &mut program.probes {
        forget_locals(&mut probe.handler, 0, &mut accesses);
    }
    for function in &mut program.functions {
        forget_locals(&mut function.handler, function.params, &mut accesses);
    }
    let unused = program.globals.iter_mut().zip(accesses.globals).filter(|(_, access)| *access == Access::default());
    for (global, _) in unused.filter(|(global, _)| global.init.is_none()) {
        global.keys = None;
        global.value = Slot::default();
    }
}

/// Drops locals that nothing uses, the first `params` excepted.
fn forget_locals(handler: &mut Handler, params: usize, accesses: &mut Accesses) {
    accesses.body(handler);
    let mut kept: Vec<Local> = Vec::new();
    let mut numbers: Vec<LocalId> = Vec::new();
    for (nth, local) in core::mem::take(&mut handler.locals).into_iter().enumerate() {
        numbers.push(kept.len());
        if nth < params || accesses.locals[nth] != Access::default() {
            kept.push(local);
        }
    }
    let are_all = kept.len() == numbers.len();
    handler.locals = kept;
    if !are_all {
        renumber(handler, &numbers);
    }
}

fn renumber(handler: &mut Handler, numbers: &[LocalId]) {
    let target = |target: &mut Target| {
        if let Target::Local(local) = target {
            *local = numbers[*local];
        }
    };
    stmts_mut(&mut handler.body, &mut |stmt| match &mut stmt.kind {
        StmtKind::Foreach(walk) => {
            walk.keys.iter_mut().chain(&mut walk.value).for_each(|local| *local = numbers[*local]);
        }
        StmtKind::Try { message: Some(local), .. } => *local = numbers[*local],
        StmtKind::Delete(deleted) => target(deleted),
        _ => {}
    });
    handler_mut(handler, &mut |e| match &mut e.kind {
        ExprKind::Local(local) => *local = numbers[*local],
        ExprKind::Assign(assigned, ..) | ExprKind::Step(assigned, ..) => target(assigned),
        _ => {}
    });
}
