//! Types of functions: what calls tell of the parameters, and bodies of parameters and results.

use super::infer::Infer;
use crate::hir::{Expr, ExprKind, Function, FunctionId, Type};
use tapster_lang::Span;

/// What gave a parameter its type.
#[derive(Clone, Copy)]
struct From {
    span: Span,
    /// The script wrote it.
    is_definition: bool,
}

/// What is known of a function's types, with the places that told.
pub(super) struct Signature {
    /// Where the parameters are defined.
    pub(super) definitions: Vec<Span>,
    /// Types of the parameters.
    pub(super) params: Vec<(Type, Span)>,
    /// Type of the result.
    pub(super) result: (Type, Span),
    /// The overload that `next` passes to.
    pub(super) next: Option<FunctionId>,
}

impl Signature {
    /// What the definition says.
    pub(super) fn new(function: &Function) -> Signature {
        let params = &function.handler.locals[..function.params];
        Signature {
            definitions: params.iter().map(|param| param.span).collect(),
            params: params.iter().map(|param| (param.slot.ty, param.from)).collect(),
            result: (function.result.ty, function.result_from),
            next: function.next,
        }
    }
}

impl Infer<'_, '_> {
    /// What calls have told about the parameters.
    pub(super) fn take_parameters(&mut self) {
        let Some(function) = self.function else { return };
        for nth in 0..self.signatures[function].params.len() {
            let (ty, from) = self.signatures[function].params[nth];
            self.local(nth, ty, from);
        }
    }

    /// What the body has told about them.
    pub(super) fn give_parameters(&mut self) {
        let Some(function) = self.function else { return };
        for nth in 0..self.signatures[function].params.len() {
            let local = &self.locals[nth];
            let known = &mut self.signatures[function].params[nth];
            if known.0 == Type::Unknown && local.slot.ty != Type::Unknown {
                *known = (local.slot.ty, local.from);
                self.changed = true;
            }
        }
    }

    /// A call of a function and of those that `next` passes to.
    pub(super) fn call(&mut self, first: FunctionId, args: &mut [Expr], wanted: Type, span: Span) -> Type {
        let mut result = Type::Unknown;
        let mut types = vec![Type::Unknown; args.len()];
        let mut callee = Some(first);
        while let Some(id) = callee {
            for (nth, (arg, ty)) in args.iter_mut().zip(&mut types).enumerate() {
                let (known, from) = self.signatures[id].params[nth];
                let from = From { span: from, is_definition: from == self.signatures[id].definitions[nth] };
                *ty = self.argument(nth, (arg, *ty), known, from);
                let known = &mut self.signatures[id].params[nth];
                if known.0 == Type::Unknown && *ty != Type::Unknown {
                    *known = (*ty, arg.span);
                    self.changed = true;
                }
            }
            let known = self.result(id, wanted, span);
            result = if result == Type::Unknown { known } else { result };
            callee = self.signatures[id].next;
        }
        result
    }

    /// An argument, with the place that gave the parameter its type. Where an earlier overload told its type, only
    /// variables are looked at again: calls within calls would take the power of their depth.
    fn argument(&mut self, nth: usize, (arg, ty): (&mut Expr, Type), known: Type, from: From) -> Type {
        let open = match arg.kind {
            ExprKind::Local(_) | ExprKind::Global(_) => true,
            ExprKind::Element(..) => ty == Type::Unknown,
            _ => false,
        };
        let ty = match ty {
            Type::Unknown => self.expr(arg, if open { known } else { Type::Unknown }),
            _ if open => self.expr(arg, known),
            ty => ty,
        };
        if ty == Type::Unknown {
            return if open || known == Type::Unknown { ty } else { self.expr(arg, known) };
        }
        if !open && known != Type::Unknown && ty != known {
            if from.is_definition {
                self.check(arg, ty, known);
            } else {
                self.index_mismatch(nth, (ty, arg.span), (known, from.span));
            }
        }
        ty
    }

    /// A function's result type, learning `ty` where it has none.
    fn result(&mut self, function: FunctionId, ty: Type, span: Span) -> Type {
        let known = &mut self.signatures[function];
        if known.result.0 == Type::Unknown && ty != Type::Unknown {
            known.result = (ty, span);
            self.changed = true;
        }
        let (result, from) = known.result;
        self.mismatch(result, ty, span, from);
        result
    }

    pub(super) fn give_back(&mut self, value: &mut Option<Expr>, span: Span) {
        let Some(function) = self.function else { return };
        let (known, _) = self.signatures[function].result;
        match value {
            Some(value) => {
                let ty = self.expr(value, Type::Unknown);
                let ty = if ty == Type::Unknown { self.expr(value, known) } else { ty };
                self.result(function, ty, value.span);
            }
            None if known != Type::Unknown => {
                let message = format!("type mismatch: expected {} but found unknown", known.name());
                self.error("check::type", &message, span, "returns nothing");
            }
            None => {}
        }
    }
}
