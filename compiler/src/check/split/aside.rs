//! Statements that user space runs while the kernel's part of the handler goes on: what follows reads the process's
//! memory in a loop, which can be done at the event alone, and nothing in it depends on them.

use super::ahead::Fixed;
use super::{Splitter, calls, guarded};
use crate::hir::walk::{handler_mut, stmt_mut, stmts_mut};
use crate::hir::{Expr, ExprKind, GlobalId, Handler, Handoff, Stmt, StmtKind, Walked, reach};
use crate::intrinsic::{Memory, Op};
use tapster_lang::Span;

/// So many statements go aside together.
const MOST: usize = 8;

impl Splitter<'_> {
    /// How many of these statements, from the first on, can go aside; `rest` follows them.
    pub(super) fn aside(&mut self, stmts: &[Stmt], rest: &[Stmt]) -> Option<usize> {
        let mut following: Vec<Stmt> = stmts.iter().chain(rest).cloned().collect();
        if !self.reads_in_loops(&mut following) {
            return None;
        }
        let able = stmts.iter().take(MOST).take_while(|stmt| matches!(stmt.kind, StmtKind::Expr(_))).count();
        (1..=able).find(|count| self.stand_apart(&stmts[..*count], &following[*count..]))
    }

    /// Hands statements over, and goes on.
    pub(super) fn hand_aside(&mut self, mut body: Vec<Stmt>, span: Span) -> Vec<Stmt> {
        let mut ahead = self.prepare(&mut body);
        let number = self.program.handoffs.len();
        let handler = Handler { locals: Vec::new(), body };
        self.program.handoffs.push(Handoff { probe: self.probe, handler, captures: Vec::new(), aside: true });
        ahead.push(Stmt { kind: StmtKind::Handoff(number), span });
        ahead
    }

    /// Whether a loop that the kernel can run reads the memory of the process.
    fn reads_in_loops(&self, stmts: &mut [Stmt]) -> bool {
        let mut reads = false;
        stmts_mut(stmts, &mut |stmt| {
            if matches!(stmt.kind, StmtKind::Loop { .. }) && !self.needs_user(stmt) {
                stmt_mut(stmt, &mut |e| {
                    reads |= is_of_the_process(e) || calls(e, self.program).any(|id| self.functions[id].process);
                });
            }
        });
        reads
    }

    /// Whether neither of two lists of statements changes what the other looks at, and the first raises no error.
    fn stand_apart(&mut self, first: &[Stmt], second: &[Stmt]) -> bool {
        let (first, second) = (self.whole(first), self.whole(second));
        let apart = |one: &Touched, other: &Touched| {
            one.changed.iter().all(|global| !other.mentioned.contains(global))
                && one.locals.iter().all(|local| !other.read.contains(local))
        };
        !first.fails && apart(&first, &second) && apart(&second, &first)
    }

    /// What statements touch, with the functions that they call.
    fn whole(&mut self, stmts: &[Stmt]) -> Touched {
        let mut handler = Handler { locals: Vec::new(), body: stmts.to_vec() };
        let mut touched = Touched { locals: Fixed::of(&mut handler.body).locals, ..Touched::default() };
        touched.fails = guarded::fails(&handler) || guarded::fails_in(&handler, self.program, self.functions);
        handler_mut(&mut handler, &mut |e| touched.read.extend(local(e)));
        touched.globals(&mut handler);
        for id in reach::reached_from(self.program, reach::callees(&mut handler, self.program)) {
            touched.globals(&mut self.program.functions[id].handler);
        }
        touched
    }
}

/// What statements look at and change.
#[derive(Default)]
struct Touched {
    mentioned: Vec<GlobalId>,
    changed: Vec<GlobalId>,
    read: Vec<usize>,
    locals: Vec<usize>,
    fails: bool,
}

impl Touched {
    fn globals(&mut self, handler: &mut Handler) {
        let changed = Fixed::of(&mut handler.body).globals;
        self.mentioned.extend(&changed);
        self.changed.extend(changed);
        stmts_mut(&mut handler.body, &mut |stmt| {
            if let StmtKind::Foreach(walk) = &stmt.kind {
                let (Walked::Array(global, _) | Walked::Buckets(global, _)) = walk.over;
                self.mentioned.push(global);
            }
        });
        handler_mut(handler, &mut |e| self.mentioned.extend(global(e)));
    }
}

fn local(e: &Expr) -> Option<usize> {
    if let ExprKind::Local(local) = e.kind { Some(local) } else { None }
}

/// The global that an expression itself looks at.
fn global(e: &Expr) -> Option<GlobalId> {
    match &e.kind {
        ExprKind::Global(global)
        | ExprKind::Element(global, _)
        | ExprKind::In(global, _)
        | ExprKind::Stat(_, global, _)
        | ExprKind::Histogram(global, _)
        | ExprKind::Bucket(global, ..) => Some(*global),
        _ => None,
    }
}

/// Whether a body reads the memory of the process.
pub(super) fn reads_process(handler: &mut Handler) -> bool {
    let mut reads = false;
    handler_mut(handler, &mut |e| reads |= is_of_the_process(e));
    reads
}

/// Whether an expression itself does.
pub(super) fn is_of_the_process(e: &Expr) -> bool {
    matches!(&e.kind, ExprKind::Intrinsic(intrinsic, _) if matches!(
        intrinsic.op,
        Op::ReadText(Memory::User) | Op::ReadNumber(Memory::User, ..) | Op::Peek(Memory::User, ..) | Op::PeekText(Memory::User)
    ))
}
