//! Parameters where a function returns: what they were at its entry.

use super::{Step, address, load, scalar, split_pretty};
use crate::check::builder::Builder;
use crate::hir::Expr;
use crate::kernel::btf::Btf;
use crate::probe::{Arg, RESULT, Site};
use tapster_lang::Span;
use tapster_lang::ast::{Access, Ident};

impl Builder<'_, '_> {
    /// Such a variable's value at the entry. What is shown as text is looked at now, which takes user space.
    pub(super) fn gone(&mut self, name: &Ident, path: &[Access], span: Span) -> Option<Expr> {
        let (shown, pretty) = split_pretty(path);
        if pretty.is_none() {
            return self.at_entry(span, |builder| builder.target_variable(name, path, span));
        }
        let step = self.step_at_entry(span, |builder| builder.variable_step(name, shown, span))?;
        self.shown(step, pretty, span)
    }

    /// Where a path led to at the entry. Numbers are taken along: what lay on the stack may be gone.
    pub(super) fn step_at_entry(&mut self, span: Span, build: impl FnOnce(&mut Self) -> Option<Step>) -> Option<Step> {
        let mut found = (0, false);
        let value = self.at_entry(span, |builder| {
            let step = number_of(builder.btf?, build(builder)?, span);
            found = (step.ty, step.is_address);
            Some(if step.is_address { address(step.value, span) } else { step.value })
        })?;
        Some(Step { value, ty: found.0, is_address: found.1, typed: false })
    }

    /// A parameter as it was at the entry.
    pub(super) fn arg_at_entry(&mut self, btf: &Btf, arg: &Arg, span: Span) -> Option<Step> {
        self.step_at_entry(span, |builder| Some(builder.arg_step(btf, arg, span)))
    }

    /// Whether a variable is a parameter of a function that returns here, or something behind one: SystemTap gives what
    /// it was at the entry. A trampoline has kept the parameters themselves.
    pub(super) fn is_gone(&self, name: &Ident, path: &[Access]) -> bool {
        let name = name.name.trim_start_matches('$');
        let is_here = |site: &Site| site.context.args.iter().any(|arg| arg.name == name);
        self.site.is_some_and(|site| site.is_return() && name != RESULT && !(path.is_empty() && is_here(site)))
    }
}

/// A number by its value, anything else as it is.
fn number_of(btf: &Btf, step: Step, span: Span) -> Step {
    match scalar(btf, step.ty) {
        Some((size, signed)) if step.is_address => {
            let value = load(&step, size, signed, None, span);
            Step { value, is_address: false, typed: false, ..step }
        }
        _ => step,
    }
}
