//! Visits every expression or statement of a handler.

use super::{Expr, ExprKind, Handler, Stmt, StmtKind, Target, Walked};

/// Every expression of a handler, innermost last; the visitor may change it before its parts are visited.
pub fn handler_mut(handler: &mut Handler, visit: &mut dyn FnMut(&mut Expr)) {
    handler.body.iter_mut().for_each(|stmt| stmt_mut(stmt, visit));
}

/// Every expression of a statement, innermost last.
pub fn stmt_mut(stmt: &mut Stmt, visit: &mut dyn FnMut(&mut Expr)) {
    match &mut stmt.kind {
        StmtKind::Expr(e) | StmtKind::Return(Some(e)) => expr_mut(e, visit),
        StmtKind::Block(stmts) => stmts.iter_mut().for_each(|s| stmt_mut(s, visit)),
        StmtKind::If(cond, then, other) => {
            expr_mut(cond, visit);
            stmt_mut(then, visit);
            other.iter_mut().for_each(|s| stmt_mut(s, visit));
        }
        StmtKind::Loop { cond, step, body } => {
            expr_mut(cond, visit);
            step.iter_mut().for_each(|e| expr_mut(e, visit));
            stmt_mut(body, visit);
        }
        StmtKind::Foreach(walk) => {
            walked_mut(&mut walk.over, &mut |e| expr_mut(e, visit));
            walk.limit.iter_mut().for_each(|e| expr_mut(e, visit));
            stmt_mut(&mut walk.body, visit);
        }
        StmtKind::Delete(target) => target_mut(target, &mut |e| expr_mut(e, visit)),
        StmtKind::Try { body, catch, .. } => body.iter_mut().chain(catch).for_each(|s| stmt_mut(s, visit)),
        StmtKind::Break | StmtKind::Continue | StmtKind::Next | StmtKind::Return(None) | StmtKind::Handoff(_) => {}
    }
}

fn target_mut(target: &mut Target, visit: &mut dyn FnMut(&mut Expr)) {
    match target {
        Target::Element(_, keys) => keys.iter_mut().for_each(visit),
        Target::Slice(_, keys) => keys.iter_mut().flatten().for_each(visit),
        Target::Local(_) | Target::Global(_) => {}
    }
}

fn walked_mut(over: &mut Walked, visit: &mut dyn FnMut(&mut Expr)) {
    match over {
        Walked::Array(_, slice) => slice.iter_mut().flatten().for_each(visit),
        Walked::Buckets(_, keys) => keys.iter_mut().for_each(visit),
    }
}

/// An expression and its parts, innermost last; the visitor may change it before its parts are visited.
pub fn expr_mut(e: &mut Expr, visit: &mut dyn FnMut(&mut Expr)) {
    visit(e);
    parts_mut(e, &mut |part| expr_mut(part, visit));
}

/// The expressions that an expression is made of, one level down.
pub fn parts_mut(e: &mut Expr, visit: &mut dyn FnMut(&mut Expr)) {
    match &mut e.kind {
        ExprKind::Long(_) | ExprKind::Text(_) | ExprKind::Local(_) | ExprKind::Global(_) | ExprKind::Arg { .. } => {}
        ExprKind::Load(load) => visit(&mut load.base),
        ExprKind::Element(_, list)
        | ExprKind::Call(_, list)
        | ExprKind::Intrinsic(_, list)
        | ExprKind::Stat(_, _, list)
        | ExprKind::Print(_, list)
        | ExprKind::Format(_, list)
        | ExprKind::Histogram(_, list) => list.iter_mut().for_each(visit),
        ExprKind::In(_, slice) => slice.iter_mut().flatten().for_each(visit),
        ExprKind::Bucket(_, keys, number) => {
            keys.iter_mut().for_each(&mut *visit);
            visit(number);
        }
        ExprKind::Neg(a) | ExprKind::BitNot(a) | ExprKind::Not(a) | ExprKind::Match(a, ..) => visit(a),
        ExprKind::Arith(_, a, b)
        | ExprKind::Concat(a, b)
        | ExprKind::Compare(_, a, b)
        | ExprKind::And(a, b)
        | ExprKind::Or(a, b) => {
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
pub fn stmts_mut(stmts: &mut [Stmt], visit: &mut dyn FnMut(&mut Stmt)) {
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
            StmtKind::Try { body, catch, .. } => {
                stmts_mut(body, visit);
                stmts_mut(catch, visit);
            }
            StmtKind::Expr(_)
            | StmtKind::Break
            | StmtKind::Continue
            | StmtKind::Next
            | StmtKind::Return(_)
            | StmtKind::Handoff(_)
            | StmtKind::Delete(_) => {}
        }
    }
}
