//! Several values in a row. A string is not copied out of its variable until somebody needs it: where an expression
//! behind it may change the variable, it is copied before.

use super::handler::{Bound, Lowerer};
use super::target::{Target, Text};
use crate::hir::walk::expr_mut;
use crate::hir::{Expr, ExprKind, Type};

impl<T: Target> Lowerer<'_, '_, T> {
    /// The values of expressions, from left to right.
    pub(super) fn values(&mut self, list: &[&Expr]) -> Vec<Bound> {
        let mut values = Vec::with_capacity(list.len());
        for (nth, e) in list.iter().enumerate() {
            let value = self.bound(e);
            let changes = list[nth + 1..].iter().any(|behind| may_change_text(behind));
            values.push(if changes { self.kept(value, e) } else { value });
        }
        values
    }

    /// The value of an expression, whatever becomes of the variable it lies in.
    pub(super) fn kept(&mut self, value: Bound, e: &Expr) -> Bound {
        let Bound::Text(text @ Text::At(..)) = value else { return value };
        let size = self.size_of(e);
        let home = self.target.text_temp(&mut self.code, size);
        self.target.put_text(&mut self.code, &text, home, size, false);
        Bound::Text(Text::At(home, size))
    }
}

/// Whether an expression may change a variable that holds a string.
fn may_change_text(e: &Expr) -> bool {
    let mut changes = false;
    expr_mut(&mut e.clone(), &mut |part| match part.kind {
        ExprKind::Assign(..) => changes |= part.ty == Type::String,
        ExprKind::Call(..) => changes = true,
        _ => {}
    });
    changes
}
