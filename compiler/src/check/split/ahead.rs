//! What the kernel's part of a handler does for the rest of it: reads what that will ask for.
//!
//! Where user space goes on, the event is over: `$p->f`, `kernel_string()`, `backtrace()` and the functions made of such
//! are read before and travel as variables. A function that reads and needs user space as well is written out there, so
//! that the two parts come apart.

use super::{Needs, Splitter, calls, guarded};
use crate::check::refine::same;
use crate::check::shape::Scope;
use crate::hir::types::{Shape, Type};
use crate::hir::walk::{expr_mut, handler_mut, stmt_mut, stmts_mut};
use crate::hir::{Expr, ExprKind, Function, Handler, Local, LocalId, Program, Slot, Stmt, StmtKind, Target, reach};
use crate::intrinsic::{Intrinsic, Op, Point, Sides};

/// Whether a body reads memory, or what else a kernel probe stopped at.
pub(super) fn reads(handler: &mut Handler) -> bool {
    let mut reads = false;
    handler_mut(handler, &mut |e| reads |= is_read(&e.kind));
    reads
}

/// Whether a body mentions globals.
pub(super) fn mentions_globals(handler: &mut Handler) -> bool {
    let mut mentions = !Fixed::of(&mut handler.body).globals.is_empty();
    handler_mut(handler, &mut |e| {
        mentions |= matches!(
            e.kind,
            ExprKind::Global(_)
                | ExprKind::Element(..)
                | ExprKind::In(..)
                | ExprKind::Stat(..)
                | ExprKind::Histogram(..)
                | ExprKind::Bucket(..)
        );
    });
    mentions
}

/// Whether an expression itself reads what a kernel probe stopped at.
fn is_read(kind: &ExprKind) -> bool {
    match kind {
        ExprKind::Arg { .. } | ExprKind::Load(_) => true,
        ExprKind::Intrinsic(intrinsic, _) => {
            intrinsic.sides == Sides::Kernel
                || matches!(intrinsic.op, Op::ReadText(_) | Op::ReadNumber(..) | Op::Peek(..) | Op::PeekText(_))
        }
        _ => false,
    }
}

/// Whether an expression differs between the places that one program stands at.
fn of_the_place(kind: &ExprKind) -> bool {
    matches!(kind, ExprKind::Intrinsic(Intrinsic { op: Op::Point(point), .. }, _) if *point != Point::Written)
}

/// Whether a call does nothing but read, and the kernel can make it.
fn is_reading_call(e: &Expr, program: &Program, functions: &[Needs]) -> bool {
    let mut reads = false;
    let mut pure = true;
    for id in calls(e, program) {
        let needs = &functions[id];
        reads |= needs.reads;
        pure &= needs.user.is_none() && !needs.globals && !program.functions[id].effect;
    }
    reads && pure
}

/// What is read for the rest of a handler.
struct Captured {
    read: Expr,
    /// The variable that it is read into.
    value: LocalId,
    /// The variable that the error is kept in, where it is not raised at once.
    message: Option<LocalId>,
}

impl Captured {
    /// The statement that reads it.
    fn read(self) -> Stmt {
        let read = assignment(self.value, self.read);
        match self.message {
            Some(message) => guarded::caught(read, message),
            None => read,
        }
    }
}

impl Splitter<'_> {
    /// Replaces what the body reads of the kernel by variables; gives the assignments that fill them.
    pub(super) fn read_ahead(&mut self, body: &mut [Stmt]) -> Vec<Stmt> {
        let fixed = Fixed::of(body);
        let mut ahead: Vec<Captured> = Vec::new();
        let locals = &mut self.locals;
        let program = &*self.program;
        let shared = !program.probes[self.probe].sites.is_empty();
        let Program { globals, functions, formats, .. } = program;
        let max = self.max;
        let (needs, loops_at_once) = (self.functions, self.loops_at_once);
        let calls_ahead = |e: &Expr| is_reading_call(e, program, needs);
        guarded::each(body, &mut |e, way| {
            if !(is_read(&e.kind) || shared && of_the_place(&e.kind) || calls_ahead(e)) || !fixed.holds(e, &calls_ahead)
            {
                return;
            }
            let nth = ahead.iter().position(|known| same(&known.read, e)).unwrap_or_else(|| {
                let shape = Scope { globals, functions, formats, locals, max }.shape(e);
                let mut new = |ty: Type, shape: Shape| {
                    let (name, slot) = (format!("captured {}", locals.len()), Slot { ty, shape });
                    locals.push(Local { name, span: e.span, slot, from: e.span, assigned: true, ..Local::default() });
                    locals.len() - 1
                };
                let value = new(e.ty, shape);
                let waits = shape != Shape::Stack && guarded::waits(e, way, program, (needs, loops_at_once));
                let message = waits.then(|| new(Type::String, Shape::Text(max)));
                ahead.push(Captured { read: e.clone(), value, message });
                ahead.len() - 1
            });
            e.kind = match ahead[nth] {
                Captured { value, message: None, .. } => ExprKind::Local(value),
                Captured { value, message: Some(message), .. } => guarded::value_or_error(e, value, message),
            };
        });
        ahead.into_iter().map(Captured::read).collect()
    }

    /// Writes out calls of functions that read the kernel and need user space as well.
    pub(super) fn inline(&mut self, body: &mut [Stmt]) {
        let Splitter { program, functions, locals, .. } = self;
        stmts_mut(body, &mut |stmt| {
            let StmtKind::Expr(e) = &stmt.kind else { return };
            let Some((function, args)) = mixed(e, program, functions) else { return };
            let mut copy = function.handler.body.clone();
            if leaves(&mut copy) {
                return;
            }
            let first = locals.len();
            locals.extend(function.handler.locals.iter().cloned());
            let changed = Fixed::of(&mut copy);
            let by_value = |nth: usize| !is_pure(&args[nth], program) || changed.locals.contains(&nth);
            for inner in &mut copy {
                rename(inner, &mut |local| match args.get(local) {
                    Some(arg) if !by_value(local) => arg.kind.clone(),
                    _ => ExprKind::Local(first + local),
                });
            }
            shift(&mut copy, first);
            let given = args.iter().enumerate().filter(|(nth, _)| by_value(*nth));
            let mut block: Vec<Stmt> = given.map(|(nth, arg)| assignment(first + nth, arg.clone())).collect();
            block.extend(copy);
            stmt.kind = StmtKind::Block(block);
        });
        for stmt in body {
            stmt_mut(stmt, &mut |e| {
                while let Some((function, args)) = mixed(e, program, functions)
                    && let Some(value) = only_value(&function.handler.body)
                    && args.iter().all(|arg| is_pure(arg, program))
                    && (is_pure(value, program) || args.iter().all(is_settled) && assigns_nothing(value))
                {
                    let mut value = value.clone();
                    replace(&mut value, &mut |local| args.get(local).map(|arg| arg.kind.clone()));
                    *e = Expr { ty: e.ty, ..value };
                }
            });
        }
    }
}

/// The function that an expression calls, and what with, where it reads the kernel and needs user space as well.
fn mixed<'a>(e: &'a Expr, program: &'a Program, functions: &[Needs]) -> Option<(&'a Function, &'a [Expr])> {
    let ExprKind::Call(id, args) = &e.kind else { return None };
    let (function, needs) = (&program.functions[*id], &functions[*id]);
    let is_mixed = needs.reads && needs.user.is_some() && !function.recursive && !function.passes;
    is_mixed.then_some((function, args))
}

/// The expression that a body of one `return` gives.
fn only_value(body: &[Stmt]) -> Option<&Expr> {
    match body {
        [Stmt { kind: StmtKind::Return(Some(value)), .. }] => Some(value),
        [Stmt { kind: StmtKind::Block(inner), .. }] => only_value(inner),
        _ => None,
    }
}

/// Whether statements leave their function before its end.
fn leaves(body: &mut [Stmt]) -> bool {
    let mut leaves = false;
    stmts_mut(body, &mut |stmt| leaves |= matches!(stmt.kind, StmtKind::Return(_) | StmtKind::Next));
    leaves
}

/// Whether an expression does nothing but give a value.
fn is_pure(e: &Expr, program: &Program) -> bool {
    let mut pure = true;
    expr_mut(&mut e.clone(), &mut |part| {
        pure &= match &part.kind {
            ExprKind::Assign(..) | ExprKind::Step(..) => false,
            ExprKind::Call(id, _) => !program.functions[*id].effect,
            kind => !reach::has_effect(kind),
        };
    });
    pure
}

/// Whether an expression means the same however often it is looked at, whatever the script does in between.
fn is_settled(e: &Expr) -> bool {
    let mut settled = true;
    expr_mut(&mut e.clone(), &mut |part| {
        settled &= !matches!(part.kind, ExprKind::Global(_) | ExprKind::Element(..) | ExprKind::Call(..));
    });
    settled
}

fn assigns_nothing(e: &Expr) -> bool {
    let mut nothing = true;
    expr_mut(&mut e.clone(), &mut |part| {
        nothing &= !matches!(part.kind, ExprKind::Assign(..) | ExprKind::Step(..));
    });
    nothing
}

/// Replaces variables that are read.
fn rename(stmt: &mut Stmt, by: &mut dyn FnMut(LocalId) -> ExprKind) {
    stmts_exprs(stmt, &mut |e| replace(e, &mut |local| Some(by(local))));
}

/// The outermost expressions of a statement.
fn stmts_exprs(stmt: &mut Stmt, visit: &mut dyn FnMut(&mut Expr)) {
    stmts_mut(core::slice::from_mut(stmt), &mut |inner| crate::check::elide::own(inner, visit));
}

/// Replaces variables that an expression reads; what takes their place is not looked at again.
fn replace(e: &mut Expr, by: &mut dyn FnMut(LocalId) -> Option<ExprKind>) {
    if let ExprKind::Local(local) = e.kind {
        if let Some(kind) = by(local) {
            e.kind = kind;
        }
        return;
    }
    crate::hir::walk::parts_mut(e, &mut |part| replace(part, by));
}

/// Gives variables that are written other numbers.
fn shift(body: &mut [Stmt], first: usize) {
    let moved = |target: &mut Target| {
        if let Target::Local(local) = target {
            *local += first;
        }
    };
    stmts_mut(body, &mut |stmt| match &mut stmt.kind {
        StmtKind::Foreach(walk) => walk.keys.iter_mut().chain(&mut walk.value).for_each(|local| *local += first),
        StmtKind::Try { message, .. } => message.iter_mut().for_each(|local| *local += first),
        StmtKind::Delete(target) => moved(target),
        _ => {}
    });
    for stmt in body {
        stmt_mut(stmt, &mut |e| match &mut e.kind {
            ExprKind::Assign(target, ..) | ExprKind::Step(target, ..) => moved(target),
            _ => {}
        });
    }
}

/// What statements do not change: reads of that can be made before them.
pub(super) struct Fixed {
    pub(super) locals: Vec<LocalId>,
    pub(super) globals: Vec<usize>,
}

impl Fixed {
    /// Notes what statements change.
    pub(super) fn of(body: &mut [Stmt]) -> Fixed {
        let mut changed = Fixed { locals: Vec::new(), globals: Vec::new() };
        stmts_mut(body, &mut |stmt| match &stmt.kind {
            StmtKind::Foreach(walk) => changed.locals.extend(walk.keys.iter().chain(&walk.value)),
            StmtKind::Try { message, .. } => changed.locals.extend(message),
            StmtKind::Delete(target) => changed.target(target),
            _ => {}
        });
        for stmt in body {
            stmt_mut(stmt, &mut |e| match &e.kind {
                ExprKind::Assign(target, ..) | ExprKind::Step(target, ..) => changed.target(target),
                ExprKind::Aggregate(global, ..) => changed.globals.push(*global),
                _ => {}
            });
        }
        changed
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Local(local) => self.locals.push(*local),
            Target::Global(global) | Target::Element(global, _) | Target::Slice(global, _) => {
                self.globals.push(*global);
            }
        }
    }

    /// Whether an expression means the same before the statements.
    fn holds(&self, e: &Expr, may_call: &dyn Fn(&Expr) -> bool) -> bool {
        let mut holds = true;
        expr_mut(&mut e.clone(), &mut |part| match &part.kind {
            ExprKind::Local(local) => holds &= !self.locals.contains(local),
            ExprKind::Global(global) | ExprKind::Element(global, _) => holds &= !self.globals.contains(global),
            ExprKind::Assign(..) | ExprKind::Step(..) | ExprKind::Aggregate(..) => holds = false,
            ExprKind::Call(..) => holds &= may_call(part),
            _ => {}
        });
        holds
    }
}

fn assignment(local: LocalId, value: Expr) -> Stmt {
    let (ty, span, at) = (value.ty, value.span, value.at);
    let kind = ExprKind::Assign(Target::Local(local), None, Box::new(value));
    Stmt { kind: StmtKind::Expr(Expr { kind, ty, span, at, pointee: None }), span }
}
