//! What each side of the kernel boundary can do by itself, one statement or expression at a time.

use super::shape::Scope;
use crate::hir::{Compare, Expr, ExprKind, GlobalId, Local, Modify, Program, Shape, StmtKind, Target, Type};
use crate::host::{Extractor, LibraryFn};
use crate::image::Piece;
use crate::intrinsic::{Intrinsic, Op, Sides};
use crate::regex::Pattern;
use tapster_lang::Span;

const AT_THE_END: &str = "this version does it in begin, end and timer probes only";
const IN_THE_KERNEL: &str = "it looks at what a kernel probe stopped at: keep the result in a variable there";
/// What to do about a read that cannot wait.
pub const READ_BEFORE: &str = "assign it to a variable before the loop or the function that needs user space";
const PRINT_STACK: &str = "collect backtrace() as a key of a statistic and print it in an end or timer probe";
const COMPARE_STACKS: &str = "stacks can be equal or not, to stacks alone";
const STACK_TEXT: &str = "keep the stack as a stack: a variable that holds backtrace() may hold nothing else";

/// What a side cannot do, where, and what to do instead.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What it is.
    pub what: String,
    /// Where it stands.
    pub span: Span,
    /// What to do instead.
    pub help: &'static str,
}

impl Refusal {
    /// Of something that only user space does.
    pub fn new(what: &str, span: Span) -> Refusal {
        Refusal { what: what.into(), span, help: AT_THE_END }
    }
}

/// A side, and what decides how strings are held in the body that is looked at.
pub struct Side<'a> {
    /// How strings are held.
    scope: Scope<'a>,
    /// Which side.
    in_kernel: bool,
    /// Patterns of `=~`; none where what was found has to be remembered, which the kernel does not.
    patterns: Option<&'a [Pattern]>,
}

impl<'a> Side<'a> {
    /// A side, for a body with these locals.
    pub fn new(program: &'a Program, locals: &'a [Local], max: u32, in_kernel: bool) -> Side<'a> {
        let Program { globals, functions, formats, regexes, .. } = program;
        let patterns = (!program.remembers_match).then_some(regexes.as_slice());
        Side { scope: Scope { globals, functions, formats, locals, max }, in_kernel, patterns }
    }

    /// What of a statement itself the side cannot do.
    pub fn stmt(&self, stmt: &StmtKind, span: Span) -> Option<Refusal> {
        let what = match stmt {
            StmtKind::Foreach(_) => "`foreach`",
            StmtKind::Delete(Target::Element(global, _)) if self.scope.globals[*global].added_in_user => {
                "`delete` of a statistic that user space adds to"
            }
            StmtKind::Delete(Target::Slice(..)) => "`delete` of several elements",
            StmtKind::Delete(Target::Global(global)) if !self.is_scalar(*global) => "`delete` of a whole variable",
            _ => return None,
        };
        self.in_kernel.then(|| Refusal { what: what.into(), span, help: AT_THE_END })
    }

    /// What of an expression itself the side cannot do.
    pub fn expr(&self, e: &Expr) -> Option<Refusal> {
        let refusal = |what: &str, help| Some(Refusal { what: what.into(), span: e.span, help });
        match &e.kind {
            ExprKind::Intrinsic(intrinsic, args) => self.intrinsic(intrinsic, args, e.span),
            ExprKind::Arg { .. } if !self.in_kernel => refusal("a variable of the probe", READ_BEFORE),
            _ if !self.in_kernel => None,
            ExprKind::Stat(_, global, _) if self.scope.globals[*global].added_in_user => {
                refusal("reading a statistic that user space adds to", AT_THE_END)
            }
            ExprKind::Stat(Extractor::Variance, ..) | ExprKind::Histogram(..) | ExprKind::Bucket(..) => {
                refusal("reading a statistic", AT_THE_END)
            }
            ExprKind::Match(subject, ..) if self.is_stack(subject) => refusal("a stack as text", STACK_TEXT),
            ExprKind::Match(_, regex, _) if !self.can_search(*regex) => refusal("this regular expression", AT_THE_END),
            ExprKind::Concat(a, b) if self.is_stack(a) || self.is_stack(b) => refusal("a stack as text", STACK_TEXT),
            ExprKind::Format(format, _) if !self.is_kernels(*format) => refusal("this format", AT_THE_END),
            ExprKind::In(_, slice) if slice.iter().any(Option::is_none) => {
                refusal("a search by part of a key", AT_THE_END)
            }
            ExprKind::Assign(_, Some(Modify::Append), value) if self.is_stack(value) => {
                refusal("a stack as text", STACK_TEXT)
            }
            ExprKind::Compare(op, a, b) if a.ty == Type::String && !self.can_compare(*op, a, b) => {
                refusal("this comparison of strings", COMPARE_STACKS)
            }
            ExprKind::Assign(target, None, value) if self.loses_stack(self.target_shape(target), value) => {
                refusal("a stack as text", STACK_TEXT)
            }
            ExprKind::Aggregate(global, keys, _) => {
                let slots = self.scope.globals[*global].keys.iter().flatten();
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
            _ if self.in_kernel && intrinsic.op == Op::Library(LibraryFn::strlen) && self.is_stack(&args[0]) => {
                refusal("a stack as text".into(), STACK_TEXT)
            }
            _ => None,
        }
    }

    /// Whether a global is one number or one string.
    fn is_scalar(&self, global: GlobalId) -> bool {
        let global = &self.scope.globals[global];
        !global.is_array() && global.value.ty != Type::Stats
    }

    fn shape(&self, e: &Expr) -> Shape {
        self.scope.shape(e)
    }

    fn target_shape(&self, target: &Target) -> Shape {
        match target {
            Target::Local(local) => self.scope.locals[*local].slot.shape,
            Target::Global(global) | Target::Element(global, _) | Target::Slice(global, _) => {
                self.scope.globals[*global].value.shape
            }
        }
    }

    /// Stacks are equal or not; strings are ordered.
    fn can_compare(&self, op: Compare, a: &Expr, b: &Expr) -> bool {
        match (self.is_stack(a), self.is_stack(b)) {
            (false, false) => true,
            (true, true) => matches!(op, Compare::Eq | Compare::Ne),
            _ => false,
        }
    }

    fn can_search(&self, regex: usize) -> bool {
        self.patterns.is_some_and(|patterns| patterns[regex].automaton().is_some())
    }

    fn is_stack(&self, e: &Expr) -> bool {
        e.ty == Type::String && self.shape(e) == Shape::Stack
    }

    /// Whether the kernel can make a string of a format.
    fn is_kernels(&self, format: usize) -> bool {
        self.scope.formats[format].pieces.iter().all(|piece| match piece {
            Piece::Literal(_) => true,
            Piece::Conversion(conversion) => conversion.is_kernels(),
        })
    }

    fn loses_stack(&self, into: Shape, value: &Expr) -> bool {
        matches!(into, Shape::Text(_)) && self.shape(value) == Shape::Stack
    }
}
