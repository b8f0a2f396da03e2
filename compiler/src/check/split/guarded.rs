//! Reads that a handler may not come to, or whose faults it catches, made before it: they fail where they stand.
//!
//! A read in a branch, in a loop or in a `try` is made in the kernel whatever will happen in user space. What it failed
//! with travels beside the value and is raised where the value is asked for, if it is. All others fail in the kernel.

use super::{Needs, calls};
use crate::hir::types::Type;
use crate::hir::walk::{expr_mut, handler_mut, parts_mut, stmts_mut};
use crate::hir::{Arith, Expr, ExprKind, Handler, LocalId, Program, Stmt, StmtKind, Target, Walked};
use crate::intrinsic::{self, Op};
use core::slice::from_mut;

/// How a handler comes to an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// For certain, and nothing catches what it raises.
    Sure,
    /// Perhaps.
    Perhaps,
    /// In a `try`.
    Caught,
}

impl Way {
    fn perhaps(self) -> Way {
        if self == Way::Sure { Way::Perhaps } else { self }
    }
}

/// Visits every expression; the visitor may change it before its parts are visited.
pub(super) fn each(stmts: &mut [Stmt], visit: &mut dyn FnMut(&mut Expr, Way)) {
    list(stmts, &mut { Way::Sure }, visit);
}

fn list(stmts: &mut [Stmt], way: &mut Way, visit: &mut dyn FnMut(&mut Expr, Way)) {
    for stmt in stmts {
        statement(stmt, way, visit);
        if leaves(stmt) {
            *way = way.perhaps();
        }
    }
}

fn statement(stmt: &mut Stmt, way: &mut Way, visit: &mut dyn FnMut(&mut Expr, Way)) {
    let now = *way;
    let branch =
        |stmt: &mut Stmt, visit: &mut dyn FnMut(&mut Expr, Way)| list(from_mut(stmt), &mut now.perhaps(), visit);
    match &mut stmt.kind {
        StmtKind::Expr(e) | StmtKind::Return(Some(e)) => expression(e, now, visit),
        StmtKind::Block(inner) => list(inner, way, visit),
        StmtKind::If(cond, then, other) => {
            expression(cond, now, visit);
            branch(then, visit);
            other.iter_mut().for_each(|stmt| branch(stmt, visit));
        }
        StmtKind::Loop { cond, step, body } => {
            expression(cond, now, visit);
            step.iter_mut().for_each(|e| expression(e, now.perhaps(), visit));
            branch(body, visit);
        }
        StmtKind::Foreach(walk) => {
            match &mut walk.over {
                Walked::Array(_, slice) => slice.iter_mut().flatten().for_each(|e| expression(e, now, visit)),
                Walked::Buckets(_, keys) => keys.iter_mut().for_each(|e| expression(e, now, visit)),
            }
            walk.limit.iter_mut().for_each(|e| expression(e, now, visit));
            branch(&mut walk.body, visit);
        }
        StmtKind::Delete(Target::Element(_, keys)) => keys.iter_mut().for_each(|e| expression(e, now, visit)),
        StmtKind::Delete(Target::Slice(_, keys)) => {
            keys.iter_mut().flatten().for_each(|e| expression(e, now, visit));
        }
        StmtKind::Try { body, catch, .. } => {
            list(body, &mut { Way::Caught }, visit);
            list(catch, &mut now.perhaps(), visit);
        }
        StmtKind::Delete(Target::Local(_) | Target::Global(_))
        | StmtKind::Break
        | StmtKind::Continue
        | StmtKind::Next
        | StmtKind::Return(None)
        | StmtKind::Handoff(_) => {}
    }
}

fn expression(e: &mut Expr, way: Way, visit: &mut dyn FnMut(&mut Expr, Way)) {
    visit(e, way);
    let first_alone = matches!(e.kind, ExprKind::And(..) | ExprKind::Or(..) | ExprKind::Choose(..));
    let mut nth = 0;
    parts_mut(e, &mut |part| {
        expression(part, if first_alone && nth > 0 { way.perhaps() } else { way }, visit);
        nth += 1;
    });
}

/// Whether what follows a statement may not be come to.
fn leaves(stmt: &mut Stmt) -> bool {
    let mut leaves = false;
    stmts_mut(from_mut(stmt), &mut |stmt| {
        leaves |= matches!(stmt.kind, StmtKind::Return(_) | StmtKind::Next | StmtKind::Break | StmtKind::Continue);
    });
    leaves
}

/// Whether an expression itself may raise an error: reads by address do, and divisions.
fn is_failing(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Intrinsic(function, _) => matches!(function.op, Op::ReadText(_) | Op::ReadNumber(..) | Op::Error),
        ExprKind::Arith(operator, ..) => matches!(operator, Arith::Div | Arith::Mod),
        ExprKind::Stat(..) | ExprKind::Bucket(..) => true,
        _ => false,
    }
}

/// Whether a function's own code may raise an error that it does not catch.
pub(super) fn fails(handler: &Handler) -> bool {
    any(handler, &is_failing)
}

/// Whether a function goes round in loops of its own.
pub(super) fn loops(handler: &mut Handler) -> bool {
    let mut loops = false;
    stmts_mut(&mut handler.body, &mut |stmt| {
        loops |= matches!(stmt.kind, StmtKind::Loop { .. } | StmtKind::Foreach(_))
    });
    loops
}

/// Whether a function calls one that may, and does not catch what that raises.
pub(super) fn fails_in(handler: &Handler, program: &Program, functions: &[Needs]) -> bool {
    any(handler, &|e| calls(e, program).any(|id| functions[id].fails))
}

/// Whether any expression that stands in no `try` is one of these.
fn any(handler: &Handler, is_one: &dyn Fn(&Expr) -> bool) -> bool {
    let mut handler = handler.clone();
    stmts_mut(&mut handler.body, &mut |stmt| {
        if let StmtKind::Try { body, .. } = &mut stmt.kind {
            body.clear();
        }
    });
    let mut any = false;
    handler_mut(&mut handler, &mut |e| any |= is_one(e));
    any
}

/// Whether what a read raises shall be raised where it stands.
pub(super) fn waits(e: &Expr, way: Way, program: &Program, (functions, loops_at_once): (&[Needs], bool)) -> bool {
    let at_once = || loops_at_once && calls(e, program).any(|id| functions[id].loops);
    may_fail(e, program, functions) && (way == Way::Caught || way == Way::Perhaps && !at_once())
}

/// Whether an expression may raise an error.
fn may_fail(e: &Expr, program: &Program, functions: &[Needs]) -> bool {
    let mut may = false;
    expr_mut(&mut e.clone(), &mut |part| {
        may |= is_failing(part) || calls(part, program).any(|id| functions[id].fails);
    });
    may
}

/// A read into a variable that does not fail: its message goes into another variable.
pub(super) fn caught(read: Stmt, message: LocalId) -> Stmt {
    let span = read.span;
    Stmt { kind: StmtKind::Try { body: vec![read], message: Some(message), catch: Vec::new() }, span }
}

/// The value of such a variable, or the error.
pub(super) fn value_or_error(read: &Expr, value: LocalId, message: LocalId) -> ExprKind {
    let name = if read.ty == Type::String { "__text_or_error" } else { "__number_or_error" };
    let function = intrinsic::find(name).expect("a function of the table");
    let local = |local, ty| Expr { kind: ExprKind::Local(local), ty, pointee: None, ..read.clone() };
    ExprKind::Intrinsic(function, vec![local(value, read.ty), local(message, Type::String)])
}
