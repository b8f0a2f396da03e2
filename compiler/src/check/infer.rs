//! Gives every expression and variable its type: rounds over the whole program until none learns anything new.
//!
//! A variable has one type everywhere. The last round, when all is known, reports what does not fit.

use super::context::Context;
use super::format::{arguments, settle};
use super::infer_call::Signature;
use crate::hir::{
    Expr, ExprKind, Foreach, FunctionId, Global, GlobalId, Local, Modify, Program, Slice, Stmt, StmtKind, Target, Type,
    Walked,
};
use crate::image::Format;
use tapster_lang::{Diagnostic, Span};

/// After so many rounds every other one goes backwards. Before, the order says which place told a type first.
const PATIENCE: u32 = 8;

/// Infers all types.
pub fn infer(program: &mut Program, cx: &mut Context) {
    let mut signatures: Vec<Signature> = program.functions.iter().map(Signature::new).collect();
    let mut reporting = false;
    for round in 0.. {
        let mut changed = false;
        // What only the end of a long script tells would need a round for every statement on its way to the start.
        let backwards = !reporting && round > PATIENCE && round % 2 == 1;
        let Program { globals, functions, probes, formats, .. } = &mut *program;
        let bodies = functions.iter_mut().enumerate().map(|(id, function)| (Some(id), &mut function.handler));
        let mut bodies: Vec<_> = bodies.chain(probes.iter_mut().map(|probe| (None, &mut probe.handler))).collect();
        if backwards {
            bodies.reverse();
        }
        for (function, handler) in bodies {
            let mut infer = Infer {
                globals,
                formats,
                signatures: &mut signatures,
                function,
                locals: &mut handler.locals,
                straight: false,
                backwards,
                changed: false,
                report: reporting.then_some(&mut *cx),
            };
            infer.take_parameters();
            infer.stmts(&mut handler.body);
            infer.give_parameters();
            changed |= infer.changed;
        }
        if reporting {
            break;
        }
        reporting = !changed;
    }
    for (function, signature) in program.functions.iter_mut().zip(signatures) {
        (function.result.ty, function.result_from) = signature.result;
    }
}

pub(super) struct Infer<'a, 'c> {
    pub(super) globals: &'a mut Vec<Global>,
    pub(super) formats: &'a mut Vec<Format>,
    pub(super) signatures: &'a mut Vec<Signature>,
    /// The function whose body this is.
    pub(super) function: Option<FunctionId>,
    pub(super) locals: &'a mut Vec<Local>,
    /// Statements are looked at last to first.
    backwards: bool,
    /// A number is being looked at that is an argument of a print, or an operand.
    straight: bool,
    pub(super) changed: bool,
    pub(super) report: Option<&'a mut Context<'c>>,
}

impl Infer<'_, '_> {
    fn stmts(&mut self, stmts: &mut [Stmt]) {
        match self.backwards {
            false => stmts.iter_mut().for_each(|stmt| self.stmt(stmt)),
            true => stmts.iter_mut().rev().for_each(|stmt| self.stmt(stmt)),
        }
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
            StmtKind::Return(value) => self.give_back(value, stmt.span),
            StmtKind::Try { body, message, catch } => {
                self.stmts(body);
                if let Some(message) = message {
                    self.local(*message, Type::String, self.locals[*message].span);
                }
                self.stmts(catch);
            }
            StmtKind::Break | StmtKind::Continue | StmtKind::Next | StmtKind::Handoff(_) => {}
        }
    }

    fn foreach(&mut self, walk: &mut Foreach) {
        match &mut walk.over {
            Walked::Array(global, slice) => {
                let global = *global;
                self.slice(global, slice);
                for (nth, local) in walk.keys.iter().enumerate() {
                    let span = self.locals[*local].span;
                    let ty = self.key(global, nth, self.locals[*local].slot.ty, span);
                    self.local(*local, ty, span);
                }
                self.walked_value(global, walk.value);
            }
            Walked::Buckets(global, keys) => {
                self.keys(*global, keys);
                self.value(*global, Type::Stats, walk.body.span);
                for local in walk.keys.iter().chain(&walk.value) {
                    self.local(*local, Type::Long, self.locals[*local].span);
                }
            }
        }
        if let Some(limit) = &mut walk.limit {
            self.expr(limit, Type::Long);
        }
        self.stmt(&mut walk.body);
    }

    /// The variable that holds the element's value in a walk.
    fn walked_value(&mut self, global: GlobalId, value: Option<usize>) {
        if let Some(value) = value {
            let span = self.locals[value].span;
            let ty = self.globals[global].value.ty;
            if ty == Type::Stats {
                self.error("check::type", "invalid type stats", span, "the elements are statistics");
            } else {
                let known = self.local(value, ty, span);
                if ty == Type::Unknown {
                    self.value(global, known, span);
                }
            }
        }
    }

    /// Infers an expression where `wanted` is expected; gives its type.
    pub(super) fn expr(&mut self, e: &mut Expr, wanted: Type) -> Type {
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
            ExprKind::Call(function, args) => self.call(*function, args, wanted, span),
            ExprKind::Concat(a, b) => {
                self.operand(a);
                self.operand(b);
                Type::String
            }
            ExprKind::Match(subject, ..) => {
                self.operand(subject);
                Type::Long
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
            ExprKind::Assign(target, op, value) => self.assign(target, *op, value, wanted, span),
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
            ExprKind::Histogram(global, keys) => {
                self.keys(*global, keys);
                self.value(*global, Type::Stats, span);
                Type::String
            }
            ExprKind::Bucket(global, keys, number) => {
                self.keys(*global, keys);
                self.value(*global, Type::Stats, span);
                self.all_long([&mut **number])
            }
            ExprKind::In(global, keys) => {
                self.slice(*global, keys);
                Type::Long
            }
            ExprKind::Print(format, args) => {
                self.print(*format, args);
                Type::Unknown
            }
            ExprKind::Format(format, args) => {
                self.print(*format, args);
                Type::String
            }
        };
        // A variable has said itself what does not fit, with the place that gave it its type.
        if !matches!(e.kind, ExprKind::Local(_) | ExprKind::Global(_) | ExprKind::Element(..)) {
            self.check(e, ty, wanted);
        }
        if e.ty == Type::Unknown && ty != Type::Unknown {
            e.ty = ty;
            self.changed = true;
        }
        if ty == Type::Unknown && gives_nothing(&e.kind, wanted) {
            self.error("check::unresolved-type", "unresolved type ", e.at, "this gives no value");
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
            // What gives nothing is refused: the whole has the type of the other side.
            (Type::Unknown, known) => {
                self.expr(a, known);
                known
            }
            (known, Type::Unknown) => {
                self.expr(b, known);
                known
            }
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

    fn assign(
        &mut self,
        target: &mut Target,
        modify: Option<Modify>,
        value: &mut Expr,
        wanted: Type,
        span: Span,
    ) -> Type {
        if let Some(modify) = modify {
            let ty = if modify == Modify::Append { Type::String } else { Type::Long };
            self.expr(value, ty);
            return self.target(target, ty, span);
        }
        let known = self.target(target, wanted, span);
        // A literal of another type is the variable's fault.
        let literal = matches!(value.kind, ExprKind::Long(_) | ExprKind::Text(_));
        let ty = self.expr(value, if literal { Type::Unknown } else { known });
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
            Target::Slice(global, slice) => {
                self.slice(*global, slice);
                self.value(*global, wanted, span)
            }
        }
    }

    /// What `.` and `=~` take.
    fn operand(&mut self, text: &mut Expr) {
        self.straight = matches!(text.kind, ExprKind::Long(_));
        self.expr(text, Type::String);
        self.straight = false;
    }

    fn print(&mut self, format: usize, args: &mut [Expr]) {
        let wanted = arguments(&self.formats[format]);
        let types: Vec<Type> = args
            .iter_mut()
            .zip(wanted)
            .map(|(arg, ty)| {
                self.straight = matches!(arg.kind, ExprKind::Long(_));
                let found = self.expr(arg, ty);
                self.straight = false;
                found
            })
            .collect();
        for (arg, ty) in args.iter().zip(&types) {
            if *ty == Type::Unknown && matches!(arg.kind, ExprKind::Call(..) | ExprKind::Intrinsic(..)) {
                self.error("check::unresolved-type", "unresolved type ", arg.at, "this function returns nothing");
            }
        }
        if self.report.is_some() {
            settle(&mut self.formats[format], &types);
        }
    }

    /// A local's type, learning `ty` where it has none.
    pub(super) fn local(&mut self, local: usize, ty: Type, span: Span) -> Type {
        let known = &mut self.locals[local];
        if known.slot.ty == Type::Unknown && ty != Type::Unknown {
            known.slot.ty = ty;
            known.from = span;
            self.changed = true;
        }
        let (ty_known, from) = (known.slot.ty, known.from);
        self.mismatch(ty_known, ty, span, from);
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
        let (ty_known, from) = (known.value.ty, known.value_from);
        self.mismatch(ty_known, ty, span, from);
        ty_known
    }

    fn keys(&mut self, global: GlobalId, keys: &mut [Expr]) {
        for (nth, key) in keys.iter_mut().enumerate() {
            self.one_key(global, nth, key);
        }
    }

    fn slice(&mut self, global: GlobalId, keys: &mut Slice) {
        for (nth, key) in keys.iter_mut().enumerate() {
            if let Some(key) = key {
                self.one_key(global, nth, key);
            }
        }
    }

    fn one_key(&mut self, global: GlobalId, nth: usize, key: &mut Expr) {
        let wanted = self.key(global, nth, Type::Unknown, key.span);
        let literal = matches!(key.kind, ExprKind::Long(_) | ExprKind::Text(_));
        let ty = self.expr(key, if literal { Type::Unknown } else { wanted });
        self.key(global, nth, ty, key.span);
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
            self.index_mismatch(nth, (ty, span), (ty_known, from));
        }
        ty_known
    }

    /// A key or an argument of another type than it had before.
    pub(super) fn index_mismatch(&mut self, nth: usize, (used, span): (Type, Span), (known, from): (Type, Span)) {
        if let Some(cx) = &mut self.report {
            let message = format!("index {nth} type mismatch ({})", used.name());
            let first = format!("type of index {nth} was first inferred here ({})", known.name());
            cx.report(Diagnostic::error("check::type", message).label(span, used.name()).label(from, first));
        }
    }

    /// A variable used as another type than it has.
    pub(super) fn mismatch(&mut self, known: Type, used: Type, span: Span, from: Span) {
        if known == used || used == Type::Unknown || known == Type::Unknown {
            return;
        }
        if let Some(cx) = &mut self.report {
            let message = format!("type mismatch ({})", used.name());
            let first = format!("type was first inferred here ({})", known.name());
            cx.report(
                Diagnostic::error("check::type", message)
                    .label(span, format!("used as {}", used.name()))
                    .label(from, first),
            );
        }
    }

    /// An expression of another type than wanted.
    pub(super) fn check(&mut self, e: &Expr, ty: Type, wanted: Type) {
        if ty == wanted || wanted == Type::Unknown || ty == Type::Unknown {
            return;
        }
        // SystemTap says it the other way round where a number is no string, formats and operands excepted.
        let turned = matches!(e.kind, ExprKind::Long(_)) && !self.straight;
        let (expected, found) = if turned { (ty, wanted) } else { (wanted, ty) };
        let message = format!("type mismatch: expected {} but found {}", expected.name(), found.name());
        self.error("check::type", &message, e.span, &format!("this is {}", ty.name()));
    }

    pub(super) fn error(&mut self, code: &'static str, message: &str, span: Span, label: &str) {
        if let Some(cx) = &mut self.report {
            cx.report(Diagnostic::error(code, message).label(span, label));
        }
    }
}

/// Whether there is nothing where a value is wanted. A print is 0 as a number, as it is to SystemTap.
fn gives_nothing(kind: &ExprKind, wanted: Type) -> bool {
    match kind {
        ExprKind::Intrinsic(..) => wanted != Type::Unknown,
        ExprKind::Print(..) => wanted == Type::String,
        _ => false,
    }
}
