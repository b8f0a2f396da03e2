//! What values point to: types of the kernel flow along with pointers, through variables and calls.

use super::builder::Builder;
use crate::hir::{Expr, ExprKind, Target};
use crate::kernel::btf::TypeId;

/// `void`: what pointers to several types point to.
const NOTHING: TypeId = 0;

/// Notes what else a variable points to. One that points to several types has none of them.
pub fn learn(known: &mut Option<TypeId>, pointee: Option<TypeId>) {
    match (*known, pointee) {
        (_, None | Some(NOTHING)) => {}
        (None, pointee) => *known = pointee,
        (Some(before), Some(pointee)) if before == pointee => {}
        _ => *known = Some(NOTHING),
    }
}

impl Builder<'_, '_> {
    /// What an expression points to.
    pub(super) fn pointee(&self, kind: &ExprKind) -> Option<TypeId> {
        match kind {
            ExprKind::Local(local) => self.handler.locals[*local].pointee,
            ExprKind::Global(global) | ExprKind::Element(global, _) => self.program.globals[*global].pointee,
            ExprKind::Call(function, _) => self.program.functions[*function].pointee,
            ExprKind::Assign(_, None, value) => value.pointee,
            ExprKind::Choose(_, a, b) => {
                let mut both = a.pointee;
                learn(&mut both, b.pointee);
                both
            }
            _ => None,
        }
    }

    /// Notes what a variable points to from now on.
    pub(super) fn point(&mut self, target: &Target, value: &Expr) {
        match target {
            Target::Local(local) => learn(&mut self.handler.locals[*local].pointee, value.pointee),
            Target::Global(global) | Target::Element(global, _) | Target::Slice(global, _) => {
                learn(&mut self.program.globals[*global].pointee, value.pointee);
            }
        }
    }
}
