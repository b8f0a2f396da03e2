//! Leaves out what has no effect, before types are inferred: what is gone cannot be of a wrong type.
//!
//! SystemTap's optimisation at the same place and in the same order, so that the same warnings come: rounds go on until
//! one finds nothing, and only the first warns, as what later ones find is nothing the reader wrote. Only writes to
//! variables, output, and calls that do something are effects. A division or a read of memory that nobody looks at is
//! left out although it might fail. `-u` leaves all of it in, except functions that nothing calls.

mod assignments;
pub(super) mod fold;
mod functions;
mod statements;
mod variables;
mod void;

use super::context::Context;
use super::origin::LibraryText;
use crate::hir::walk::{expr_mut, handler_mut, stmts_mut};
use crate::hir::{Expr, ExprKind, FunctionId, Handler, Program, Stmt, StmtKind, Target, Walked, reach};
use crate::host::SortBy;
use std::collections::HashSet;
use tapster_lang::{Diagnostic, Span};

/// Leaves out what has no effect.
pub fn elide(library: &LibraryText, program: &mut Program, cx: &mut Context) {
    let mut round = Round { library, cx, warns: true, changed: true, said: HashSet::new() };
    while round.changed {
        round.changed = false;
        let reached = functions::unreached(program, &mut round);
        if !round.cx.options.elide {
            break;
        }
        if round.warns {
            variables::unused(program, &mut round);
        }
        let effects = effects(program);
        assignments::unread(program, &effects, &mut round);
        statements::ineffective(program, &reached, &effects, &mut round);
        void::reduce(program, &effects, &mut round);
        fold::fold(program, &effects, &mut round);
        statements::unreachable(program, &mut round);
        functions::overloads(program, &reached, &mut round);
        round.warns = false;
    }
    if round.cx.options.elide {
        round.warns = true;
        empty_probes(program, &mut round);
    }
    variables::forget(program);
}

/// What the steps of a round share.
struct Round<'a, 'c> {
    library: &'a LibraryText,
    cx: &'a mut Context<'c>,
    /// Whether this round says what it does.
    warns: bool,
    /// Whether it did anything.
    changed: bool,
    /// What is said already: several places of one probe find the same.
    said: HashSet<(&'static str, Span)>,
}

impl Round<'_, '_> {
    /// Says what is left out, unless the library wrote it.
    fn warn(&mut self, warning: Diagnostic) {
        if self.is_news(warning.code, warning.span()) {
            self.said.insert((warning.code, warning.span()));
            self.cx.diagnostics.push(warning);
        }
    }

    /// Whether [`Self::warn`] would say this of a place.
    fn is_news(&self, code: &'static str, at: Span) -> bool {
        self.warns && !self.said.contains(&(code, at)) && !self.library.holds(at)
    }
}

/// Drops probes that do nothing any more.
fn empty_probes(program: &mut Program, round: &mut Round) {
    let before = program.probes.len();
    program.probes.retain(|probe| {
        let is_empty = probe.handler.body.is_empty();
        // A counter is named so that others read it.
        if is_empty && !probe.point.contains(".counter(") {
            let first = probe.point.split(['.', '(']).next().unwrap_or_default();
            let warning = Diagnostic::warning("elide::probe", format!("Probe '{first}' has been elided"));
            round.warn(warning.label(probe.span, "does nothing"));
        }
        !is_empty
    });
    if program.probes.is_empty() && before > 0 {
        let error = Diagnostic::error("check::no-probes", "no probes found");
        round.cx.report(error.help("nothing that is left of the script has an effect; `-u` keeps what has none"));
    }
}

/// Whether calling each function does something, itself or through others.
pub(super) fn effects(program: &mut Program) -> Vec<bool> {
    let mut effects = vec![false; program.functions.len()];
    let mut callers: Vec<Vec<FunctionId>> = vec![Vec::new(); effects.len()];
    let mut acting = Vec::new();
    for id in 0..effects.len() {
        let mut handler = core::mem::take(&mut program.functions[id].handler);
        // A call comes to the overloads that `next` passes to, too.
        let callees = reach::callees(&mut handler, program);
        callees.into_iter().chain(program.functions[id].next).for_each(|callee| callers[callee].push(id));
        if program.functions[id].embedded.is_some() || body_acts(&mut handler) {
            acting.push(id);
        }
        program.functions[id].handler = handler;
    }
    while let Some(id) = acting.pop() {
        if !core::mem::replace(&mut effects[id], true) {
            acting.extend(&callers[id]);
        }
    }
    effects
}

/// Whether a body itself does something that outlives it. A sorted walk leaves the array in that order.
fn body_acts(handler: &mut Handler) -> bool {
    let mut acts = false;
    stmts_mut(&mut handler.body, &mut |stmt| {
        acts |= match &stmt.kind {
            StmtKind::Delete(target) => target.global().is_some(),
            StmtKind::Foreach(walk) => walk.sort.by != SortBy::Unsorted,
            _ => false,
        };
    });
    handler_mut(handler, &mut |e| acts |= reach::has_effect(&e.kind));
    acts
}

/// Whether an expression does something beside giving a value.
pub(super) fn acts(e: &mut Expr, effects: &[bool]) -> bool {
    let mut acts = false;
    expr_mut(e, &mut |part| {
        acts |= match &part.kind {
            ExprKind::Assign(..) | ExprKind::Step(..) => true,
            ExprKind::Call(function, _) => effects[*function],
            kind => reach::has_effect(kind),
        };
    });
    acts
}

/// Every body, those of probes first, as SystemTap goes.
fn handlers(program: &mut Program) -> impl Iterator<Item = &mut Handler> {
    let probes = program.probes.iter_mut().map(|probe| &mut probe.handler);
    probes.chain(program.functions.iter_mut().map(|function| &mut function.handler))
}

/// Every expression of statements that is no part of another.
fn tops(stmts: &mut [Stmt], visit: &mut dyn FnMut(&mut Expr)) {
    stmts_mut(stmts, &mut |stmt| own(stmt, visit));
}

/// The expressions of a statement itself, those of statements within it and parts of others excepted.
pub fn own(stmt: &mut Stmt, visit: &mut dyn FnMut(&mut Expr)) {
    match &mut stmt.kind {
        StmtKind::Expr(e) | StmtKind::Return(Some(e)) | StmtKind::If(e, ..) => visit(e),
        StmtKind::Loop { cond, step, .. } => {
            visit(cond);
            step.iter_mut().for_each(visit);
        }
        StmtKind::Foreach(walk) => {
            match &mut walk.over {
                Walked::Array(_, slice) => slice.iter_mut().flatten().for_each(&mut *visit),
                Walked::Buckets(_, keys) => keys.iter_mut().for_each(&mut *visit),
            }
            walk.limit.iter_mut().for_each(visit);
        }
        StmtKind::Delete(Target::Element(_, keys)) => keys.iter_mut().for_each(visit),
        StmtKind::Delete(Target::Slice(_, slice)) => slice.iter_mut().flatten().for_each(visit),
        _ => {}
    }
}
