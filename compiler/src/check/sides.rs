//! What a handler may not do on its side of the kernel boundary. Each refusal says what to do instead.

use super::context::Context;
use super::shape::shape_of;
use crate::hir::walk::{handler_mut, stmts_mut};
use crate::hir::{Compare, Expr, ExprKind, Global, Local, Place, Program, Shape, StmtKind, Target, Type};
use crate::intrinsic::{Intrinsic, Op, Sides};
use tapster_lang::{Diagnostic, Span};

const AT_THE_END: &str = "this version does it in begin, end and timer probes only";
const IN_THE_KERNEL: &str = "it looks at what a kernel probe stopped at";
const PRINT_STACK: &str = "collect backtrace() as a key of a statistic and print it in an end or timer probe";
const COMPARE_LITERAL: &str = "this version compares with a literal, by == and !=, in kernel handlers";
const STACK_TEXT: &str = "keep the stack as a stack: a variable that holds backtrace() may hold nothing else";
const STACK_ONLY: &str = "print_stack() takes what backtrace() gave";

/// What is refused, where, and what to do instead.
struct Refusal {
    what: String,
    span: Span,
    help: &'static str,
}

/// Refuses what a side cannot do.
pub fn refuse(program: &mut Program, max: u32, cx: &mut Context) {
    let Program { globals, probes, .. } = program;
    for probe in probes {
        let in_kernel = matches!(probe.place, Place::Kernel { .. });
        let mut found = Vec::new();
        let locals = probe.handler.locals.clone();
        let side = Side { globals, locals: &locals, max, in_kernel };
        stmts_mut(&mut probe.handler.body, &mut |stmt| found.extend(side.stmt(&stmt.kind, stmt.span)));
        handler_mut(&mut probe.handler, &mut |e| found.extend(side.expr(e)));
        for Refusal { what, span, help } in found {
            let (name, place) = if in_kernel { ("kernel", "in the kernel") } else { ("user", "in user space") };
            let error = Diagnostic::error("check::side", format!("{what} is not supported in {name} handlers"));
            cx.report(error.label(span, format!("this handler runs {place}")).help(help));
        }
    }
}

struct Side<'a> {
    globals: &'a [Global],
    locals: &'a [Local],
    max: u32,
    in_kernel: bool,
}

impl Side<'_> {
    fn stmt(&self, stmt: &StmtKind, span: Span) -> Option<Refusal> {
        let what = match stmt {
            StmtKind::Foreach(_) => "`foreach`",
            StmtKind::Loop { .. } => "a loop",
            StmtKind::Delete(Target::Global(_)) => "`delete` of a whole variable",
            _ => return None,
        };
        self.in_kernel.then(|| Refusal { what: what.into(), span, help: AT_THE_END })
    }

    fn expr(&self, e: &Expr) -> Option<Refusal> {
        let refusal = |what: &str, help| Some(Refusal { what: what.into(), span: e.span, help });
        match &e.kind {
            ExprKind::Intrinsic(intrinsic, args) => self.intrinsic(intrinsic, args, e.span),
            _ if !self.in_kernel => None,
            ExprKind::Stat(..) | ExprKind::PrintHistogram(..) => refusal("reading a statistic", AT_THE_END),
            ExprKind::Compare(op, a, b) if a.ty == Type::String && !self.can_compare(*op, a, b) => {
                refusal("this comparison of strings", COMPARE_LITERAL)
            }
            ExprKind::Assign(target, None, value) if self.loses_stack(self.target_shape(target), value) => {
                refusal("a stack as text", STACK_TEXT)
            }
            ExprKind::Aggregate(global, keys, _) => {
                let slots = self.globals[*global].keys.iter().flatten();
                let lost = slots.zip(keys).any(|(slot, key)| self.loses_stack(slot.shape, key));
                lost.then(|| refusal("a stack as text", STACK_TEXT)).flatten()
            }
            _ => None,
        }
    }

    fn intrinsic(&self, intrinsic: &Intrinsic, args: &[Expr], span: Span) -> Option<Refusal> {
        let refusal = |what: String, help| Some(Refusal { what, span, help });
        match intrinsic.sides {
            Sides::User if self.in_kernel => {
                let help = if intrinsic.op == Op::PrintStack { PRINT_STACK } else { AT_THE_END };
                refusal(format!("{}()", intrinsic.name), help)
            }
            Sides::Kernel if !self.in_kernel => refusal(format!("{}()", intrinsic.name), IN_THE_KERNEL),
            _ if intrinsic.op == Op::PrintStack && self.shape(&args[0]) != Shape::Stack => {
                refusal("print_stack() of a string".into(), STACK_ONLY)
            }
            _ => None,
        }
    }

    fn shape(&self, e: &Expr) -> Shape {
        shape_of(e, self.globals, self.locals, self.max)
    }

    fn target_shape(&self, target: &Target) -> Shape {
        match target {
            Target::Local(local) => self.locals[*local].slot.shape,
            Target::Global(global) | Target::Element(global, _) => self.globals[*global].value.shape,
        }
    }

    fn can_compare(&self, op: Compare, a: &Expr, b: &Expr) -> bool {
        let literal = |e: &Expr| matches!(e.kind, ExprKind::Text(_));
        let stack = |e: &Expr| self.shape(e) == Shape::Stack;
        matches!(op, Compare::Eq | Compare::Ne) && (literal(a) || literal(b)) && !stack(a) && !stack(b)
    }

    fn loses_stack(&self, into: Shape, value: &Expr) -> bool {
        matches!(into, Shape::Text(_)) && self.shape(value) == Shape::Stack
    }
}
