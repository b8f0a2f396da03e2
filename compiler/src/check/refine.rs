//! Works out what is constant: globals that nothing writes, arithmetic of constants, and strings that a test has
//! just shown to equal one.

use crate::hir::walk::handler_mut;
use crate::hir::{Arith, Compare, Expr, ExprKind, Global, Program, Stmt, StmtKind, Type};
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
    program.handlers_mut().flat_map(|handler| &mut handler.body).for_each(fold_stmt);
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

fn fold_stmt(stmt: &mut Stmt) {
    match &mut stmt.kind {
        StmtKind::Expr(e) | StmtKind::Return(Some(e)) => fold(e),
        StmtKind::Block(stmts) => stmts.iter_mut().for_each(fold_stmt),
        StmtKind::If(cond, then, other) => {
            fold(cond);
            if let Some((text, value)) = shown_equal(cond) {
                replace_text(then, &text, &value);
            }
            fold_stmt(then);
            other.iter_mut().for_each(|s| fold_stmt(s));
        }
        StmtKind::Loop { cond, step, body } => {
            fold(cond);
            step.iter_mut().for_each(fold);
            fold_stmt(body);
        }
        StmtKind::Foreach(walk) => {
            walk.limit.iter_mut().for_each(fold);
            fold_stmt(&mut walk.body);
        }
        StmtKind::Try { body, catch, .. } => body.iter_mut().chain(catch).for_each(fold_stmt),
        StmtKind::Delete(_)
        | StmtKind::Break
        | StmtKind::Continue
        | StmtKind::Next
        | StmtKind::Handoff(_)
        | StmtKind::Return(None) => {}
    }
}

/// Folds arithmetic of constants, innermost first.
fn fold(e: &mut Expr) {
    crate::hir::walk::parts_mut(e, &mut fold);
    let folded = match &e.kind {
        ExprKind::Neg(a) => long(a).map(i64::wrapping_neg),
        ExprKind::BitNot(a) => long(a).map(|a| !a),
        ExprKind::Not(a) => long(a).map(|a| i64::from(a == 0)),
        ExprKind::Arith(op, a, b) => long(a).zip(long(b)).and_then(|(a, b)| arith(*op, a, b)),
        ExprKind::Compare(op, a, b) => compare(*op, a, b),
        _ => None,
    };
    if let Some(value) = folded {
        e.kind = ExprKind::Long(value);
    }
}

fn long(e: &Expr) -> Option<i64> {
    match e.kind {
        ExprKind::Long(number) => Some(number),
        _ => None,
    }
}

/// SystemTap's arithmetic; what faults at run time is left to it.
fn arith(op: Arith, a: i64, b: i64) -> Option<i64> {
    Some(match op {
        Arith::Add => a.wrapping_add(b),
        Arith::Sub => a.wrapping_sub(b),
        Arith::Mul => a.wrapping_mul(b),
        Arith::Div | Arith::Mod if b == 0 => return None,
        Arith::Div => a.wrapping_div(b),
        Arith::Mod => a.wrapping_rem(b),
        Arith::And => a & b,
        Arith::Or => a | b,
        Arith::Xor => a ^ b,
        Arith::Shl => a.wrapping_shl(b as u32),
        Arith::Shr => a.wrapping_shr(b as u32),
    })
}

fn compare(op: Compare, a: &Expr, b: &Expr) -> Option<i64> {
    let order = match (&a.kind, &b.kind) {
        (ExprKind::Long(a), ExprKind::Long(b)) => a.cmp(b),
        (ExprKind::Text(a), ExprKind::Text(b)) => a.cmp(b),
        _ => return None,
    };
    Some(i64::from(match op {
        Compare::Eq => order.is_eq(),
        Compare::Ne => order.is_ne(),
        Compare::Lt => order.is_lt(),
        Compare::Le => order.is_le(),
        Compare::Gt => order.is_gt(),
        Compare::Ge => order.is_ge(),
    }))
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
        (ExprKind::Load(a), ExprKind::Load(b)) => {
            (a.offset, a.size, a.signed, a.bits) == (b.offset, b.size, b.signed, b.bits) && same(&a.base, &b.base)
        }
        (ExprKind::Arg { source: a, .. }, ExprKind::Arg { source: b, .. }) => a == b,
        (ExprKind::Arith(p, a, b), ExprKind::Arith(q, c, d)) => p == q && same(a, c) && same(b, d),
        (ExprKind::Long(a), ExprKind::Long(b)) => a == b,
        _ => false,
    }
}
