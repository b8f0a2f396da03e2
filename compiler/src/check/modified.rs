//! Refuses to change an array while it is walked.
//!
//! As SystemTap does, this concerns single elements: deleting the whole array is allowed.

use super::context::Context;
use super::elide::own;
use crate::hir::walk::{expr_mut, handler_mut, stmts_mut};
use crate::hir::{Expr, ExprKind, FunctionId, GlobalId, Handler, Program, Stmt, StmtKind, Target, Walked, reach};
use std::collections::{BTreeMap, BTreeSet};
use tapster_lang::{Diagnostic, Span};

/// Reports elements that are changed, here or by a function, within a walk over their array.
pub fn modified(program: &mut Program, cx: &mut Context) {
    let names: Vec<String> = program.globals.iter().map(|global| global.name.clone()).collect();
    let functions = Functions::new(program);
    let mut check = Check { names: &names, functions, walked: Vec::new(), cx };
    for handler in program.handlers_mut() {
        handler.body.iter_mut().for_each(|stmt| check.stmt(stmt));
    }
}

/// What functions change.
struct Functions {
    /// The globals whose elements, or statistic, each function changes itself.
    own: Vec<BTreeSet<GlobalId>>,
    /// Who calls each function.
    callers: Vec<Vec<FunctionId>>,
    /// The functions that change a global, themselves or through others, as far as anybody asked.
    changers: BTreeMap<GlobalId, Vec<bool>>,
}

impl Functions {
    fn new(program: &mut Program) -> Functions {
        let own = program.functions.iter_mut().map(|function| changed(&mut function.handler)).collect();
        let mut callers = vec![Vec::new(); program.functions.len()];
        for id in 0..callers.len() {
            let mut handler = core::mem::take(&mut program.functions[id].handler);
            let callees = reach::callees(&mut handler, program);
            callees.into_iter().chain(program.functions[id].next).for_each(|callee| callers[callee].push(id));
            program.functions[id].handler = handler;
        }
        Functions { own, callers, changers: BTreeMap::new() }
    }

    /// Whether a call of a function, or of those that its `next` passes to, changes a global.
    fn changes(&mut self, function: FunctionId, global: GlobalId) -> bool {
        let Functions { own, callers, changers } = self;
        let changers = changers.entry(global).or_insert_with(|| {
            let mut found = vec![false; own.len()];
            let mut open: Vec<FunctionId> = (0..own.len()).filter(|id| own[*id].contains(&global)).collect();
            while let Some(id) = open.pop() {
                if !core::mem::replace(&mut found[id], true) {
                    open.extend(&callers[id]);
                }
            }
            found
        });
        changers[function]
    }
}

fn changed(handler: &mut Handler) -> BTreeSet<GlobalId> {
    let mut globals = BTreeSet::new();
    stmts_mut(&mut handler.body, &mut |stmt| {
        if let StmtKind::Delete(target) = &stmt.kind {
            globals.extend(element_of(target));
        }
    });
    handler_mut(handler, &mut |e| {
        globals.extend(changed_here(e));
        if let ExprKind::Aggregate(global, ..) = &e.kind {
            globals.insert(*global);
        }
    });
    globals
}

/// The array of which an expression itself changes an element.
fn changed_here(e: &Expr) -> Option<GlobalId> {
    match &e.kind {
        ExprKind::Assign(target, ..) | ExprKind::Step(target, ..) => element_of(target),
        ExprKind::Aggregate(global, keys, _) if !keys.is_empty() => Some(*global),
        _ => None,
    }
}

fn element_of(target: &Target) -> Option<GlobalId> {
    match target {
        Target::Element(global, _) | Target::Slice(global, _) => Some(*global),
        Target::Local(_) | Target::Global(_) => None,
    }
}

struct Check<'a, 'c> {
    names: &'a [String],
    functions: Functions,
    /// What is being walked, outermost first, with the walks.
    walked: Vec<(GlobalId, Span)>,
    cx: &'a mut Context<'c>,
}

impl Check<'_, '_> {
    fn stmt(&mut self, stmt: &mut Stmt) {
        own(stmt, &mut |e| self.expr(e));
        match &mut stmt.kind {
            StmtKind::Foreach(walk) => {
                let (Walked::Array(global, _) | Walked::Buckets(global, _)) = walk.over;
                self.walked.push((global, stmt.span));
                self.stmt(&mut walk.body);
                self.walked.pop();
            }
            StmtKind::Block(stmts) => stmts.iter_mut().for_each(|stmt| self.stmt(stmt)),
            StmtKind::If(_, then, other) => {
                self.stmt(then);
                other.iter_mut().for_each(|stmt| self.stmt(stmt));
            }
            StmtKind::Loop { body, .. } => self.stmt(body),
            StmtKind::Try { body, catch, .. } => body.iter_mut().chain(catch).for_each(|stmt| self.stmt(stmt)),
            StmtKind::Delete(target) => {
                if let Some(global) = element_of(target) {
                    // The array's name, behind `delete` and a blank.
                    let start = stmt.span.start + "delete ".len() as u32;
                    self.changes(global, Span::new(start, stmt.span.end));
                }
            }
            _ => {}
        }
    }

    fn expr(&mut self, e: &mut Expr) {
        expr_mut(e, &mut |e| {
            if let Some(global) = changed_here(e) {
                // The text starts with the array, whatever stands before it.
                self.changes(global, e.span);
            }
            if let ExprKind::Call(function, _) = e.kind {
                self.calls(function, e.at);
            }
        });
    }

    fn changes(&mut self, global: GlobalId, at: Span) {
        let walks = self.walked.iter().filter(|(walked, _)| *walked == global);
        for (_, walk) in walks {
            let message = format!("variable '{}' modified during 'foreach' iteration", self.names[global]);
            let error = Diagnostic::error("check::modified", message).label(at, "changed here");
            self.cx.report(error.label(start(*walk), "while it is walked").help(HELP));
        }
    }

    fn calls(&mut self, function: FunctionId, at: Span) {
        for &(global, walk) in &self.walked {
            if self.functions.changes(function, global) {
                let message = format!("function call modifies var '{}' during 'foreach' iteration", self.names[global]);
                let error = Diagnostic::error("check::modified", message).label(at, "changes it, itself or by others");
                self.cx.report(error.label(start(walk), "while it is walked").help(HELP));
            }
        }
    }
}

const HELP: &str = "collect the keys in another array, and change the elements in a walk over that one";

/// The word `foreach`: the walk's text is all of its body.
fn start(walk: Span) -> Span {
    Span::new(walk.start, walk.start + "foreach".len() as u32)
}
