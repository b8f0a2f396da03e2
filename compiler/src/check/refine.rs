//! Works out what is constant: globals that nothing writes, arithmetic of constants, and strings that a test has
//! just shown to equal one.

use super::elide::fold;
use crate::hir::walk::handler_mut;
use crate::hir::{Compare, Expr, ExprKind, Global, Program, Stmt, StmtKind, Type};
use tapster_lang::ast::Literal;

/// Replaces globals that nothing writes by their values.
pub fn constants(program: &mut Program) {
    let constants: Vec<Option<ExprKind>> = program.globals.iter().map(constant).collect();
    for handler in program.handlers_mut() {
        handler_mut(handler, &mut |e| {
            if let ExprKind::Global(global) = e.kind
                && let Some(value) = &constants[global]
            {
                e.kind = value.clone();
            }
        });
    }
}

/// Folds what is constant, and uses what tests have shown.
pub fn refine(program: &mut Program) {
    let effects: Vec<bool> = program.functions.iter().map(|function| function.effect).collect();
    program.handlers_mut().flat_map(|handler| &mut handler.body).for_each(|stmt| fold_stmt(stmt, &effects));
}

/// The value of a scalar that is never written.
fn constant(global: &Global) -> Option<ExprKind> {
    if global.written || global.is_array() {
        return None;
    }
    match (&global.init, global.value.ty) {
        (Some(Literal::Number(number)), _) => Some(ExprKind::Long(*number)),
        (Some(Literal::String(bytes)), _) => Some(ExprKind::Text(bytes.clone())),
        (None, Type::Long) => Some(ExprKind::Long(0)),
        (None, Type::String) => Some(ExprKind::Text(Vec::new())),
        (None, Type::Stats | Type::Unknown) => None,
    }
}

fn fold_stmt(stmt: &mut Stmt, effects: &[bool]) {
    let fold = |e: &mut Expr| {
        fold::expr(e, effects);
    };
    match &mut stmt.kind {
        StmtKind::Expr(e) | StmtKind::Return(Some(e)) => fold(e),
        StmtKind::Block(stmts) => stmts.iter_mut().for_each(|stmt| fold_stmt(stmt, effects)),
        StmtKind::If(cond, then, other) => {
            fold(cond);
            if let Some((text, value)) = shown_equal(cond) {
                replace_text(then, &text, &value);
            }
            fold_stmt(then, effects);
            other.iter_mut().for_each(|s| fold_stmt(s, effects));
        }
        StmtKind::Loop { cond, step, body } => {
            fold(cond);
            step.iter_mut().for_each(fold);
            fold_stmt(body, effects);
        }
        StmtKind::Foreach(walk) => {
            walk.limit.iter_mut().for_each(fold);
            fold_stmt(&mut walk.body, effects);
        }
        StmtKind::Try { body, catch, .. } => body.iter_mut().chain(catch).for_each(|stmt| fold_stmt(stmt, effects)),
        StmtKind::Delete(_)
        | StmtKind::Break
        | StmtKind::Continue
        | StmtKind::Next
        | StmtKind::Handoff(_)
        | StmtKind::Return(None) => {}
    }
}

/// `kernel_string(x) == "text"`: what follows may use the text and spare the read, and as a key it is as short as
/// the text is. Only reads of the probe's own arguments count, which nothing in the handler changes.
fn shown_equal(cond: &Expr) -> Option<(Expr, Vec<u8>)> {
    let ExprKind::Compare(Compare::Eq, a, b) = &cond.kind else { return None };
    let (read, text) = match (&a.kind, &b.kind) {
        (ExprKind::Text(text), _) => (b, text),
        (_, ExprKind::Text(text)) => (a, text),
        _ => return None,
    };
    matches!(&read.kind, ExprKind::Intrinsic(i, args) if i.name == "kernel_string" && from_arguments(&args[0]))
        .then(|| ((**read).clone(), text.clone()))
}

fn from_arguments(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Arg { .. } | ExprKind::Long(_) => true,
        ExprKind::Load(load) => from_arguments(&load.base),
        ExprKind::Arith(_, a, b) => from_arguments(a) && from_arguments(b),
        _ => false,
    }
}

fn replace_text(stmt: &mut Stmt, read: &Expr, value: &[u8]) {
    crate::hir::walk::stmt_mut(stmt, &mut |e| {
        if same(e, read) {
            e.kind = ExprKind::Text(value.to_vec());
        }
    });
}

/// Whether two expressions read the same thing; places in the text do not matter.
pub fn same(a: &Expr, b: &Expr) -> bool {
    match (&a.kind, &b.kind) {
        (ExprKind::Intrinsic(a, x), ExprKind::Intrinsic(b, y)) => {
            a == b && x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b))
        }
        (ExprKind::Call(a, x), ExprKind::Call(b, y)) => {
            a == b && x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b))
        }
        (ExprKind::Local(a), ExprKind::Local(b)) => a == b,
        (ExprKind::Text(a), ExprKind::Text(b)) => a == b,
        (ExprKind::Load(a), ExprKind::Load(b)) => {
            (a.memory, a.offset, a.size, a.signed, a.bits) == (b.memory, b.offset, b.size, b.signed, b.bits)
                && same(&a.base, &b.base)
        }
        (ExprKind::Arg { source: a, .. }, ExprKind::Arg { source: b, .. }) => a == b,
        (ExprKind::Arith(p, a, b), ExprKind::Arith(q, c, d)) => p == q && same(a, c) && same(b, d),
        (ExprKind::Long(a), ExprKind::Long(b)) => a == b,
        _ => false,
    }
}
