//! Visits every expression of a syntax tree, outermost first.

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

/// An expression and its parts.
pub fn expr(e: &Expr, visit: &mut dyn FnMut(&Expr)) {
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
