//! Visits every expression of a tree, syntax or hir, outermost first.

use crate::hir;
use tapster_lang::ast::{Access, Block, Expr, ExprKind, Index, Stmt, StmtKind, Walked};

/// Every expression of a block of the syntax tree.
pub fn exprs(block: &Block, visit: &mut dyn FnMut(&Expr)) {
    block.stmts.iter().for_each(|stmt| stmt_exprs(stmt, visit));
}

fn stmt_exprs(stmt: &Stmt, visit: &mut dyn FnMut(&Expr)) {
    match &stmt.kind {
        StmtKind::Expr(e) | StmtKind::Return(Some(e)) | StmtKind::Delete(e) => expr(e, visit),
        StmtKind::Block(block) => exprs(block, visit),
        StmtKind::If(cond, then, other) => {
            expr(cond, visit);
            stmt_exprs(then, visit);
            other.iter().for_each(|s| stmt_exprs(s, visit));
        }
        StmtKind::While(cond, body) => {
            expr(cond, visit);
            stmt_exprs(body, visit);
        }
        StmtKind::For(init, cond, step, body) => {
            [init, cond, step].into_iter().flatten().for_each(|e| expr(e, visit));
            stmt_exprs(body, visit);
        }
        StmtKind::Foreach(walk) => {
            match &walk.over {
                Walked::Array(_, slice) => indexes(slice, visit),
                Walked::Histogram(e) => expr(e, visit),
            }
            walk.limit.iter().for_each(|e| expr(e, visit));
            stmt_exprs(&walk.body, visit);
        }
        StmtKind::Try(body, _, catch) => {
            exprs(body, visit);
            exprs(catch, visit);
        }
        StmtKind::Null
        | StmtKind::Break
        | StmtKind::Continue
        | StmtKind::Return(None)
        | StmtKind::Next
        | StmtKind::EmbeddedC(_) => {}
    }
}

fn indexes(list: &[Index], visit: &mut dyn FnMut(&Expr)) {
    for index in list {
        if let Index::Expr(e) = index {
            expr(e, visit);
        }
    }
}

fn path(accesses: &[Access], visit: &mut dyn FnMut(&Expr)) {
    for access in accesses {
        if let Access::Index(e) = access {
            expr(e, visit);
        }
    }
}

fn expr(e: &Expr, visit: &mut dyn FnMut(&Expr)) {
    visit(e);
    match &e.kind {
        ExprKind::Literal(_) | ExprKind::Var(_) | ExprKind::EmbeddedC(_) => {}
        ExprKind::Index(_, list) | ExprKind::In(list, _) => indexes(list, visit),
        ExprKind::Call(_, args) | ExprKind::Print(_, args) | ExprKind::Operator(_, args) => {
            args.iter().for_each(|a| expr(a, visit));
        }
        ExprKind::Unary(_, a)
        | ExprKind::Step { target: a, .. }
        | ExprKind::Match { subject: a, .. }
        | ExprKind::AddressOf(a)
        | ExprKind::Stat(_, a, _)
        | ExprKind::HistLog(a)
        | ExprKind::HistLinear(a, _)
        | ExprKind::Defined(a) => expr(a, visit),
        ExprKind::Binary(_, a, b) | ExprKind::Assign(_, a, b) | ExprKind::Bucket(a, b) => {
            expr(a, visit);
            expr(b, visit);
        }
        ExprKind::Ternary(a, b, c) => [a, b, c].into_iter().for_each(|e| expr(e, visit)),
        ExprKind::Target(_, accesses) | ExprKind::GlobalVar { path: accesses, .. } => path(accesses, visit),
        ExprKind::Deref(a, accesses) | ExprKind::Cast { value: a, path: accesses, .. } => {
            expr(a, visit);
            path(accesses, visit);
        }
    }
}

/// Every expression of a handler, innermost last; the visitor may change it before its parts are visited.
pub fn handler_mut(handler: &mut hir::Handler, visit: &mut dyn FnMut(&mut hir::Expr)) {
    handler.body.iter_mut().for_each(|stmt| stmt_mut(stmt, visit));
}

/// Every expression of a statement, innermost last.
pub fn stmt_mut(stmt: &mut hir::Stmt, visit: &mut dyn FnMut(&mut hir::Expr)) {
    use hir::StmtKind;
    match &mut stmt.kind {
        StmtKind::Expr(e) => hir_expr_mut(e, visit),
        StmtKind::Block(stmts) => stmts.iter_mut().for_each(|s| stmt_mut(s, visit)),
        StmtKind::If(cond, then, other) => {
            hir_expr_mut(cond, visit);
            stmt_mut(then, visit);
            other.iter_mut().for_each(|s| stmt_mut(s, visit));
        }
        StmtKind::Loop { cond, step, body } => {
            hir_expr_mut(cond, visit);
            step.iter_mut().for_each(|e| hir_expr_mut(e, visit));
            stmt_mut(body, visit);
        }
        StmtKind::Foreach(walk) => {
            walk.limit.iter_mut().for_each(|e| hir_expr_mut(e, visit));
            stmt_mut(&mut walk.body, visit);
        }
        StmtKind::Delete(target) => target_mut(target, visit),
        StmtKind::Break | StmtKind::Continue | StmtKind::Next => {}
    }
}

fn target_mut(target: &mut hir::Target, visit: &mut dyn FnMut(&mut hir::Expr)) {
    if let hir::Target::Element(_, keys) = target {
        keys.iter_mut().for_each(|e| hir_expr_mut(e, visit));
    }
}

fn hir_expr_mut(e: &mut hir::Expr, visit: &mut dyn FnMut(&mut hir::Expr)) {
    visit(e);
    parts_mut(e, &mut |part| hir_expr_mut(part, visit));
}

/// The expressions that an expression is made of, one level down.
pub fn parts_mut(e: &mut hir::Expr, visit: &mut dyn FnMut(&mut hir::Expr)) {
    use hir::ExprKind;
    match &mut e.kind {
        ExprKind::Long(_) | ExprKind::Text(_) | ExprKind::Local(_) | ExprKind::Global(_) | ExprKind::Arg { .. } => {}
        ExprKind::Load(load) => visit(&mut load.base),
        ExprKind::Element(_, list)
        | ExprKind::Intrinsic(_, list)
        | ExprKind::Stat(_, _, list)
        | ExprKind::In(_, list)
        | ExprKind::Print(_, list)
        | ExprKind::PrintHistogram(_, list) => list.iter_mut().for_each(visit),
        ExprKind::Neg(a) | ExprKind::BitNot(a) | ExprKind::Not(a) => visit(a),
        ExprKind::Arith(_, a, b) | ExprKind::Compare(_, a, b) | ExprKind::And(a, b) | ExprKind::Or(a, b) => {
            visit(a);
            visit(b);
        }
        ExprKind::Choose(a, b, c) => [a, b, c].into_iter().for_each(|e| visit(e)),
        ExprKind::Assign(target, _, value) => {
            target_mut(target, visit);
            visit(value);
        }
        ExprKind::Step(target, ..) => target_mut(target, visit),
        ExprKind::Aggregate(_, keys, value) => {
            keys.iter_mut().for_each(&mut *visit);
            visit(value);
        }
    }
}

/// Every statement of a handler that the visitor wants to see, outermost first.
pub fn stmts_mut(stmts: &mut [hir::Stmt], visit: &mut dyn FnMut(&mut hir::Stmt)) {
    use hir::StmtKind;
    for stmt in stmts {
        visit(stmt);
        match &mut stmt.kind {
            StmtKind::Block(inner) => stmts_mut(inner, visit),
            StmtKind::If(_, then, other) => {
                stmts_mut(core::slice::from_mut(then), visit);
                other.iter_mut().for_each(|s| stmts_mut(core::slice::from_mut(s), visit));
            }
            StmtKind::Loop { body, .. } => stmts_mut(core::slice::from_mut(body), visit),
            StmtKind::Foreach(walk) => stmts_mut(core::slice::from_mut(&mut walk.body), visit),
            StmtKind::Expr(_) | StmtKind::Break | StmtKind::Continue | StmtKind::Next | StmtKind::Delete(_) => {}
        }
    }
}
