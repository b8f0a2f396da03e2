//! Makes a failing program smaller while it fails in the same way.
//!
//! Greedy: statements go, or give way to what is in them; expressions give way to their parts, then to the simplest
//! value of their type. What stays well typed is all that matters, so every step is a candidate.

use crate::judge::{Failure, Verdict, judge};
use crate::sample::{Sample, long, text};
use crate::sides::Workbench;
use std::time::{Duration, Instant};
use tapster_compiler::hir::walk::{handler_mut, parts_mut, stmts_mut};
use tapster_compiler::hir::{Expr, ExprKind, Handler, Stmt, StmtKind, Target, Type};

/// Shrinking ends after this.
const PATIENCE: Duration = Duration::from_secs(20);

/// The smallest program found that fails as this one does, its text and what is wrong with it.
pub fn shrink(bench: &Workbench, sample: Sample, text: String, failure: Failure) -> (String, Failure, Sample) {
    let mut best = (text, failure, sample);
    let end = Instant::now() + PATIENCE;
    let mut progress = true;
    while progress {
        progress = false;
        for pass in [drop_stmt, unwrap_stmt, simplify_expr, shorten_text] {
            // From the end: what comes later seldom matters to what came before.
            let mut nth = count(&best.2, pass);
            while nth > 0 {
                nth -= 1;
                if Instant::now() > end {
                    return best;
                }
                for variant in 0.. {
                    let mut smaller = best.2.clone();
                    if !pass(&mut smaller, nth, variant) {
                        break;
                    }
                    if let (text, Verdict::Failed(failure)) = judge(bench, &mut smaller)
                        && failure.kind == best.1.kind
                    {
                        best = (text, failure, smaller);
                        progress = true;
                        break;
                    }
                }
            }
        }
    }
    best
}

/// Makes the n-th thing smaller in one of several ways; gives whether there is that thing and that way.
type Pass = fn(&mut Sample, usize, usize) -> bool;

/// How many things a pass may try.
fn count(sample: &Sample, pass: Pass) -> usize {
    (0..).take_while(|nth| pass(&mut sample.clone(), *nth, 0)).count()
}

fn handlers(sample: &mut Sample) -> impl Iterator<Item = &mut Handler> {
    sample.functions.iter_mut().map(|function| &mut function.handler).chain([&mut sample.handler])
}

/// Lists of statements, outermost first.
fn lists(stmts: &mut Vec<Stmt>, visit: &mut dyn FnMut(&mut Vec<Stmt>)) {
    visit(stmts);
    for stmt in stmts {
        within(stmt, visit);
    }
}

fn within(stmt: &mut Stmt, visit: &mut dyn FnMut(&mut Vec<Stmt>)) {
    match &mut stmt.kind {
        StmtKind::Block(inner) => lists(inner, visit),
        StmtKind::If(_, then, other) => {
            within(then, visit);
            other.iter_mut().for_each(|other| within(other, visit));
        }
        StmtKind::Loop { body, .. } => within(body, visit),
        StmtKind::Foreach(walk) => within(&mut walk.body, visit),
        StmtKind::Try { body, catch, .. } => {
            lists(body, visit);
            lists(catch, visit);
        }
        _ => {}
    }
}

/// Removes a statement: all behind it as well, or itself.
fn drop_stmt(sample: &mut Sample, nth: usize, variant: usize) -> bool {
    let (mut left, mut done) = (nth, false);
    for handler in handlers(sample) {
        lists(&mut handler.body, &mut |stmts| {
            if done {
                return;
            }
            if left >= stmts.len() {
                left -= stmts.len();
                return;
            }
            match variant {
                0 => stmts.truncate(left),
                1 => drop(stmts.remove(left)),
                _ => return,
            }
            done = true;
        });
    }
    done
}

/// Puts what is in a statement into its place.
fn unwrap_stmt(sample: &mut Sample, nth: usize, variant: usize) -> bool {
    let (mut left, mut done) = (nth, false);
    for handler in handlers(sample) {
        stmts_mut(&mut handler.body, &mut |stmt| {
            let mut inner = inner(stmt);
            if done || inner.is_empty() {
                return;
            }
            if left > 0 {
                left -= 1;
                return;
            }
            left = usize::MAX;
            if variant < inner.len() {
                *stmt = inner.swap_remove(variant);
                done = true;
            }
        });
    }
    done && handlers(sample).all(|handler| leaves_loops_only(&handler.body, false))
}

fn inner(stmt: &Stmt) -> Vec<Stmt> {
    let block = |kind| Stmt { kind, span: stmt.span };
    match &stmt.kind {
        StmtKind::If(cond, then, other) => {
            let cond = block(StmtKind::Expr(cond.clone()));
            let without = block(StmtKind::If(
                match &cond.kind {
                    StmtKind::Expr(e) => e.clone(),
                    _ => unreachable!("just made"),
                },
                then.clone(),
                None,
            ));
            let mut inner = vec![(**then).clone(), cond];
            if let Some(other) = other {
                inner.extend([(**other).clone(), without]);
            }
            inner
        }
        StmtKind::Loop { body, .. } => vec![(**body).clone()],
        StmtKind::Foreach(walk) => vec![walk.body.clone()],
        StmtKind::Try { body, catch, .. } => {
            vec![block(StmtKind::Block(body.clone())), block(StmtKind::Block(catch.clone()))]
        }
        StmtKind::Block(stmts) if stmts.len() == 1 => stmts.clone(),
        _ => Vec::new(),
    }
}

/// Whether every `break` and `continue` is in a loop.
fn leaves_loops_only(stmts: &[Stmt], in_loop: bool) -> bool {
    stmts.iter().all(|stmt| match &stmt.kind {
        StmtKind::Break | StmtKind::Continue => in_loop,
        StmtKind::Block(inner) => leaves_loops_only(inner, in_loop),
        StmtKind::If(_, then, other) => {
            let then = leaves_loops_only(core::slice::from_ref(then), in_loop);
            then && other.as_ref().is_none_or(|other| leaves_loops_only(core::slice::from_ref(other), in_loop))
        }
        StmtKind::Loop { body, .. } => leaves_loops_only(core::slice::from_ref(body), true),
        StmtKind::Foreach(walk) => leaves_loops_only(core::slice::from_ref(&walk.body), true),
        StmtKind::Try { body, catch, .. } => leaves_loops_only(body, in_loop) && leaves_loops_only(catch, in_loop),
        _ => true,
    })
}

/// The n-th expression.
fn nth_expr(sample: &mut Sample, nth: usize, change: &mut dyn FnMut(&mut Expr) -> bool) -> bool {
    let (mut left, mut done) = (nth as i64, false);
    for handler in handlers(sample) {
        handler_mut(handler, &mut |e| {
            left -= 1;
            if left == -1 {
                done = change(e);
            }
        });
    }
    done
}

/// Replaces an expression by a part of it, or by a constant.
fn simplify_expr(sample: &mut Sample, nth: usize, variant: usize) -> bool {
    nth_expr(sample, nth, &mut |e| {
        let mut simpler: Vec<Expr> = Vec::new();
        let is_constant = |e: &Expr| matches!(e.kind, ExprKind::Long(0 | 1) | ExprKind::Text(_));
        if !is_constant(e) && !matches!(e.kind, ExprKind::Print(..)) {
            let constants = if e.ty == Type::String {
                vec![text(ExprKind::Text(Vec::new()))]
            } else {
                vec![long(ExprKind::Long(0)), long(ExprKind::Long(1))]
            };
            simpler.extend(constants.into_iter().filter(|_| e.ty != Type::Unknown));
        }
        let ty = e.ty;
        parts_mut(e, &mut |part| {
            if part.ty == ty {
                simpler.push(part.clone());
            }
        });
        if let ExprKind::Assign(target @ (Target::Local(_) | Target::Global(_)), Some(_), value) = &e.kind {
            simpler.push(Expr { kind: ExprKind::Assign(target.clone(), None, value.clone()), ..e.clone() });
        }
        match simpler.into_iter().nth(variant) {
            Some(simple) => {
                *e = simple;
                true
            }
            // A candidate without ways still counts as one.
            None => variant == 0,
        }
    })
}

/// Shortens a literal by half, or by one.
fn shorten_text(sample: &mut Sample, nth: usize, variant: usize) -> bool {
    nth_expr(sample, nth, &mut |e| match &mut e.kind {
        ExprKind::Text(bytes) if !bytes.is_empty() && variant < 2 => {
            let length = if variant == 0 { bytes.len() / 2 } else { bytes.len() - 1 };
            bytes.truncate(length);
            true
        }
        _ => variant == 0,
    })
}
