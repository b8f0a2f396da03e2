//! Statements that do nothing, and those that are never reached.

use super::super::access::{Access, Accesses, Wants};
use super::{Round, acts};
use crate::hir::walk::stmts_mut;
use crate::hir::{Expr, ExprKind, Foreach, Handler, Program, Stmt, StmtKind, Walked};
use crate::intrinsic::Op;
use tapster_lang::{Diagnostic, Span};

/// Drops statements without effect, and what holds nothing else.
pub fn ineffective(program: &mut Program, reached: &[bool], effects: &[bool], round: &mut Round) {
    let mut accesses = Accesses::new(program.globals.len(), Wants::AsDisplayed);
    for probe in &mut program.probes {
        drop_ineffective(&mut probe.handler, &mut accesses, effects, round);
    }
    for (function, _) in program.functions.iter_mut().zip(reached).filter(|(_, reached)| **reached) {
        drop_ineffective(&mut function.handler, &mut accesses, effects, round);
        if function.handler.body.is_empty() && function.embedded.is_none() {
            let message = format!("side-effect-free function '{}'", function.name);
            let warning = Diagnostic::warning("elide::pure-function", message);
            round.warn(warning.label(function.span, "does nothing and gives nothing"));
        }
    }
}

fn drop_ineffective(handler: &mut Handler, accesses: &mut Accesses, effects: &[bool], round: &mut Round) {
    accesses.body(handler);
    Ineffective { locals: &accesses.locals, effects, round }.list(&mut handler.body);
}

struct Ineffective<'a, 'r, 'c> {
    locals: &'a [Access],
    effects: &'a [bool],
    round: &'a mut Round<'r, 'c>,
}

impl Ineffective<'_, '_, '_> {
    /// What is left of statements, blocks within them dissolved.
    fn list(&mut self, stmts: &mut Vec<Stmt>) {
        for mut stmt in core::mem::take(stmts) {
            if !self.is_left(&mut stmt) {
                self.round.changed = true;
                continue;
            }
            match stmt.kind {
                StmtKind::Block(inner) => stmts.extend(inner),
                _ => stmts.push(stmt),
            }
        }
    }

    /// Whether anything is left of a statement.
    fn is_left(&mut self, stmt: &mut Stmt) -> bool {
        match &mut stmt.kind {
            StmtKind::Expr(e) => {
                let is_left = self.acts(e);
                if !is_left {
                    // With SystemTap's blank at the end.
                    let warning = Diagnostic::warning("elide::expression", "Eliding side-effect-free expression ");
                    self.round.warn(warning.label(stmt.span, "does nothing"));
                }
                is_left
            }
            StmtKind::Block(stmts) => {
                self.list(stmts);
                !stmts.is_empty()
            }
            StmtKind::If(cond, then, other) => {
                let is_then_left = self.is_left(then);
                if !is_then_left {
                    then.kind = StmtKind::Block(Vec::new());
                }
                if other.as_mut().is_some_and(|other| !self.is_left(other)) {
                    *other = None;
                    self.round.changed = true;
                }
                if is_then_left || other.is_some() {
                    return true;
                }
                let is_left = self.acts(cond);
                let cond = core::mem::replace(cond, Expr::long(0, Span::NONE));
                stmt.kind = StmtKind::Expr(cond);
                self.round.changed = true;
                is_left
            }
            StmtKind::Loop { cond, step, body } => {
                if step.as_mut().is_some_and(|step| !self.acts(step)) {
                    *step = None;
                    self.round.changed = true;
                }
                self.is_body_left(body) || self.acts(cond) || step.is_some()
            }
            StmtKind::Foreach(walk) => self.is_walk_left(walk),
            StmtKind::Try { body, catch, .. } => {
                self.list(body);
                self.list(catch);
                !body.is_empty()
            }
            StmtKind::Break
            | StmtKind::Continue
            | StmtKind::Next
            | StmtKind::Return(_)
            | StmtKind::Handoff(_)
            | StmtKind::Delete(_) => true,
        }
    }

    /// The body of a loop is a statement, if only an empty block.
    fn is_body_left(&mut self, body: &mut Stmt) -> bool {
        let is_left = self.is_left(body);
        if !is_left {
            body.kind = StmtKind::Block(Vec::new());
        }
        is_left
    }

    /// A walk that does nothing may still be there for where its variables end.
    fn is_walk_left(&mut self, walk: &mut Foreach) -> bool {
        let slice: Vec<&mut Expr> = match &mut walk.over {
            Walked::Array(_, slice) => slice.iter_mut().flatten().collect(),
            Walked::Buckets(_, keys) => keys.iter_mut().collect(),
        };
        let acts = slice.into_iter().chain(&mut walk.limit).any(|e| self.acts(e));
        let is_read = walk.keys.iter().chain(&walk.value).any(|local| self.locals[*local].read);
        self.is_body_left(&mut walk.body) || acts || is_read
    }

    fn acts(&self, e: &mut Expr) -> bool {
        acts(e, self.effects)
    }
}

/// Drops what stands behind a statement that leads elsewhere.
pub fn unreachable(program: &mut Program, round: &mut Round) {
    // What follows `abort()` in a function may be the `return` that says its type.
    program.probes.iter_mut().for_each(|probe| drop_all_unreachable(&mut probe.handler, true, round));
    program.functions.iter_mut().for_each(|function| drop_all_unreachable(&mut function.handler, false, round));
}

fn drop_all_unreachable(handler: &mut Handler, aborts: bool, round: &mut Round) {
    drop_unreachable(&mut handler.body, aborts, round);
    stmts_mut(&mut handler.body, &mut |stmt| match &mut stmt.kind {
        StmtKind::Block(stmts) => drop_unreachable(stmts, aborts, round),
        StmtKind::Try { body, catch, .. } => {
            drop_unreachable(body, aborts, round);
            drop_unreachable(catch, aborts, round);
        }
        _ => {}
    });
}

fn drop_unreachable(stmts: &mut Vec<Stmt>, aborts: bool, round: &mut Round) {
    let Some(last) = stmts.iter().position(|stmt| leads_elsewhere(stmt, aborts)) else { return };
    if let Some(dead) = stmts.get(last + 1) {
        let warning = Diagnostic::warning("elide::unreachable", "statement will never be reached");
        round.warn(warning.label(dead.span, "never reached").label(stmts[last].span, "leads elsewhere"));
        round.changed = true;
        stmts.truncate(last + 1);
    }
}

/// Whether what follows a statement is never come to from it; `aborts` says whether `abort()` counts.
fn leads_elsewhere(stmt: &Stmt, aborts: bool) -> bool {
    match &stmt.kind {
        StmtKind::Break | StmtKind::Continue | StmtKind::Next | StmtKind::Return(_) | StmtKind::Handoff(_) => true,
        StmtKind::Expr(e) => aborts && matches!(&e.kind, ExprKind::Intrinsic(row, _) if row.op == Op::Abort),
        StmtKind::Block(stmts) => stmts.iter().any(|stmt| leads_elsewhere(stmt, aborts)),
        StmtKind::If(_, then, Some(other)) => leads_elsewhere(then, aborts) && leads_elsewhere(other, aborts),
        _ => false,
    }
}
