//! Gives every expression and variable its type: rounds over the whole program until none learns anything new.
//!
//! A variable has one type everywhere. The last round, when all is known, reports what does not fit.

use super::context::Context;
use super::format::{arguments, settle};
use crate::hir::{Expr, ExprKind, Foreach, Global, GlobalId, Local, Probe, Program, Stmt, StmtKind, Target, Type};
use crate::image::Format;
use tapster_lang::{Diagnostic, Span};

/// Infers all types.
pub fn infer(program: &mut Program, cx: &mut Context) {
    let mut reporting = false;
    loop {
        let mut changed = false;
        for probe in &mut program.probes {
            let mut infer = Infer {
                globals: &mut program.globals,
                formats: &mut program.formats,
                locals: &mut probe.handler.locals,
                changed: false,
                report: reporting.then_some(&mut *cx),
            };
            infer.stmts(&mut probe.handler.body);
            changed |= infer.changed;
        }
        if reporting {
            break;
        }
        reporting = !changed;
    }
    unresolved(program, cx);
}

/// What still has no type after the last round.
fn unresolved(program: &mut Program, cx: &mut Context) {
    for Probe { handler, .. } in &mut program.probes {
        for local in &mut handler.locals {
            if !local.assigned {
                cx.report(never_assigned(local));
            }
            if local.slot.ty == Type::Unknown {
                // Nothing says what it is and nothing was ever put in: SystemTap's 0.
                local.slot.ty = Type::Long;
            }
        }
    }
    for global in &mut program.globals {
        let Some(keys) = &global.keys else {
            cx.report(unused(global));
            global.keys = Some(Vec::new());
            continue;
        };
        if keys.iter().chain([&global.value]).any(|slot| slot.ty == Type::Unknown) {
            let message = format!("unresolved type : identifier '{}'", global.name);
            cx.report(Diagnostic::error("check::unresolved-type", message).label(global.span, "long or string?"));
        }
    }
}

fn unused(global: &Global) -> Diagnostic {
    Diagnostic::warning("check::unused-global", format!("Eliding unused variable '{}'", global.name))
        .label(global.span, "nothing uses it")
}

fn never_assigned(local: &Local) -> Diagnostic {
    Diagnostic::warning("check::never-assigned", format!("never-assigned local variable '{}'", local.name))
        .label(local.span, "always 0 or \"\"")
        .help("a misspelt global? Globals are declared at the top")
}

struct Infer<'a, 'c> {
    globals: &'a mut Vec<Global>,
    formats: &'a mut Vec<Format>,
    locals: &'a mut Vec<Local>,
    changed: bool,
    report: Option<&'a mut Context<'c>>,
}

impl Infer<'_, '_> {
    fn stmts(&mut self, stmts: &mut [Stmt]) {
        stmts.iter_mut().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &mut Stmt) {
        match &mut stmt.kind {
            StmtKind::Expr(e) => {
                self.expr(e, Type::Unknown);
            }
            StmtKind::Block(stmts) => self.stmts(stmts),
            StmtKind::If(cond, then, other) => {
                self.expr(cond, Type::Long);
                self.stmt(then);
                other.iter_mut().for_each(|s| self.stmt(s));
            }
            StmtKind::Loop { cond, step, body } => {
                self.expr(cond, Type::Long);
                step.iter_mut().for_each(|e| {
                    self.expr(e, Type::Unknown);
                });
                self.stmt(body);
            }
            StmtKind::Foreach(walk) => self.foreach(walk),
            StmtKind::Delete(target) => {
                self.target(target, Type::Unknown, stmt.span);
            }
            StmtKind::Break | StmtKind::Continue | StmtKind::Next => {}
        }
    }

    fn foreach(&mut self, walk: &mut Foreach) {
        for (nth, local) in walk.keys.iter().enumerate() {
            let span = self.locals[*local].span;
            let ty = self.key(walk.global, nth, self.locals[*local].slot.ty, span);
            self.local(*local, ty, span);
        }
        if let Some(value) = walk.value {
            let span = self.locals[value].span;
            let ty = self.globals[walk.global].value.ty;
            if ty == Type::Stats {
                self.error("check::type", "invalid type stats", span, "the elements are statistics");
            } else {
                self.local(value, ty, span);
            }
        }
        if let Some(limit) = &mut walk.limit {
            self.expr(limit, Type::Long);
        }
        self.stmt(&mut walk.body);
    }

    /// Infers an expression where `wanted` is expected; gives its type.
    fn expr(&mut self, e: &mut Expr, wanted: Type) -> Type {
        let span = e.span;
        let ty = match &mut e.kind {
            ExprKind::Long(_) | ExprKind::Arg { .. } => Type::Long,
            ExprKind::Text(_) => Type::String,
            ExprKind::Load(load) => self.all_long([&mut *load.base]),
            ExprKind::Local(local) => self.local(*local, wanted, span),
            ExprKind::Global(global) => self.read(*global, wanted, span),
            ExprKind::Element(global, keys) => {
                self.keys(*global, keys);
                self.read(*global, wanted, span)
            }
            ExprKind::Intrinsic(intrinsic, args) => {
                for (arg, ty) in args.iter_mut().zip(intrinsic.params) {
                    self.expr(arg, *ty);
                }
                intrinsic.result
            }
            ExprKind::Neg(a) | ExprKind::BitNot(a) | ExprKind::Not(a) => self.all_long([&mut **a]),
            ExprKind::Arith(_, a, b) | ExprKind::And(a, b) | ExprKind::Or(a, b) => self.all_long([&mut **a, &mut **b]),
            ExprKind::Compare(_, a, b) => {
                self.both(a, b, Type::Unknown);
                Type::Long
            }
            ExprKind::Choose(cond, a, b) => {
                self.expr(cond, Type::Long);
                self.both(a, b, wanted)
            }
            ExprKind::Assign(target, op, value) => self.assign(target, op.is_some(), value, wanted, span),
            ExprKind::Step(target, ..) => self.target(target, Type::Long, span),
            ExprKind::Aggregate(global, keys, value) => {
                self.keys(*global, keys);
                self.value(*global, Type::Stats, span);
                self.all_long([&mut **value])
            }
            ExprKind::Stat(_, global, keys) => {
                self.keys(*global, keys);
                self.value(*global, Type::Stats, span);
                Type::Long
            }
            ExprKind::PrintHistogram(global, keys) => {
                self.keys(*global, keys);
                self.value(*global, Type::Stats, span);
                Type::Unknown
            }
            ExprKind::In(global, keys) => {
                self.keys(*global, keys);
                Type::Long
            }
            ExprKind::Print(format, args) => self.print(*format, args),
        };
        // A variable has said itself what does not fit, with the place that gave it its type.
        if !matches!(e.kind, ExprKind::Local(_) | ExprKind::Global(_) | ExprKind::Element(..)) {
            self.check(ty, wanted, span);
        }
        if e.ty == Type::Unknown && ty != Type::Unknown {
            e.ty = ty;
            self.changed = true;
        }
        ty
    }

    /// A global's or an element's value. A statistic has none but through its extractors.
    fn read(&mut self, global: GlobalId, wanted: Type, span: Span) -> Type {
        let ty = self.value(global, wanted, span);
        if ty == Type::Stats {
            self.error("check::type", "invalid type stats", span, "read it with @count, @sum, @min, @max or @avg");
        }
        ty
    }

    fn all_long<const N: usize>(&mut self, parts: [&mut Expr; N]) -> Type {
        for part in parts {
            self.expr(part, Type::Long);
        }
        Type::Long
    }

    /// Two expressions of one type.
    fn both(&mut self, a: &mut Expr, b: &mut Expr, wanted: Type) -> Type {
        let (left, right) = (self.expr(a, wanted), self.expr(b, wanted));
        match (left, right) {
            (Type::Unknown, Type::Unknown) => Type::Unknown,
            (Type::Unknown, known) => self.expr(a, known),
            (known, Type::Unknown) => self.expr(b, known),
            (left, right) if left == right => left,
            (left, right) => {
                let message =
                    format!("type mismatch: left and right sides don't agree ({} vs {})", left.name(), right.name());
                if let Some(cx) = &mut self.report {
                    cx.report(
                        Diagnostic::error("check::type", message)
                            .label(a.span, format!("this is {}", left.name()))
                            .label(b.span, format!("this is {}", right.name())),
                    );
                }
                left
            }
        }
    }

    fn assign(&mut self, target: &mut Target, arithmetic: bool, value: &mut Expr, wanted: Type, span: Span) -> Type {
        if arithmetic {
            self.expr(value, Type::Long);
            return self.target(target, Type::Long, span);
        }
        let known = self.target(target, wanted, span);
        let ty = self.expr(value, known);
        self.target(target, ty, span)
    }

    fn target(&mut self, target: &mut Target, wanted: Type, span: Span) -> Type {
        match target {
            Target::Local(local) => self.local(*local, wanted, span),
            Target::Global(global) => self.value(*global, wanted, span),
            Target::Element(global, keys) => {
                self.keys(*global, keys);
                self.value(*global, wanted, span)
            }
        }
    }

    fn print(&mut self, format: usize, args: &mut [Expr]) -> Type {
        let wanted = arguments(&self.formats[format]);
        let types: Vec<Type> = args.iter_mut().zip(wanted).map(|(arg, ty)| self.expr(arg, ty)).collect();
        if self.report.is_some() {
            settle(&mut self.formats[format], &types);
        }
        Type::Unknown
    }

    /// A local's type, learning `ty` where it has none.
    fn local(&mut self, local: usize, ty: Type, span: Span) -> Type {
        let known = &mut self.locals[local];
        if known.slot.ty == Type::Unknown && ty != Type::Unknown {
            known.slot.ty = ty;
            known.from = span;
            self.changed = true;
        }
        let (ty_known, from, name) = (known.slot.ty, known.from, known.name.clone());
        self.mismatch(ty_known, ty, span, from, &name);
        ty_known
    }

    /// A global's value type, learning `ty` where it has none.
    fn value(&mut self, global: GlobalId, ty: Type, span: Span) -> Type {
        let known = &mut self.globals[global];
        if known.value.ty == Type::Unknown && ty != Type::Unknown {
            known.value.ty = ty;
            known.value_from = span;
            self.changed = true;
        }
        let (ty_known, from, name) = (known.value.ty, known.value_from, known.name.clone());
        self.mismatch(ty_known, ty, span, from, &name);
        ty_known
    }

    fn keys(&mut self, global: GlobalId, keys: &mut [Expr]) {
        for (nth, key) in keys.iter_mut().enumerate() {
            let wanted = self.key(global, nth, Type::Unknown, key.span);
            let ty = self.expr(key, wanted);
            self.key(global, nth, ty, key.span);
        }
    }

    /// The type of a global's n-th key, learning `ty` where it has none.
    fn key(&mut self, global: GlobalId, nth: usize, ty: Type, span: Span) -> Type {
        let known = &mut self.globals[global];
        let from = known.keys_from;
        let Some(slot) = known.keys.as_mut().and_then(|keys| keys.get_mut(nth)) else { return ty };
        if slot.ty == Type::Unknown && ty != Type::Unknown {
            slot.ty = ty;
            self.changed = true;
        }
        let ty_known = slot.ty;
        if ty_known != ty && ty != Type::Unknown && ty_known != Type::Unknown {
            let message = format!("index {nth} type mismatch ({})", ty.name());
            if let Some(cx) = &mut self.report {
                let first = format!("type of index {nth} was first inferred here ({})", ty_known.name());
                cx.report(Diagnostic::error("check::type", message).label(span, ty.name()).label(from, first));
            }
        }
        ty_known
    }

    /// A variable used as another type than it has.
    fn mismatch(&mut self, known: Type, used: Type, span: Span, from: Span, name: &str) {
        if known == used || used == Type::Unknown || known == Type::Unknown {
            return;
        }
        if let Some(cx) = &mut self.report {
            let message = format!("type mismatch ({}): identifier '{name}'", used.name());
            let first = format!("type was first inferred here ({})", known.name());
            cx.report(
                Diagnostic::error("check::type", message)
                    .label(span, format!("used as {}", used.name()))
                    .label(from, first),
            );
        }
    }

    /// An expression of another type than wanted.
    fn check(&mut self, ty: Type, wanted: Type, span: Span) {
        if ty == wanted || wanted == Type::Unknown || ty == Type::Unknown {
            return;
        }
        let message = format!("type mismatch: expected {} but found {}", wanted.name(), ty.name());
        self.error("check::type", &message, span, &format!("this is {}", ty.name()));
    }

    fn error(&mut self, code: &'static str, message: &str, span: Span, label: &str) {
        if let Some(cx) = &mut self.report {
            cx.report(Diagnostic::error(code, message).label(span, label));
        }
    }
}
