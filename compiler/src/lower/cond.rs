//! Conditions: where to go on.

use super::handler::{Bound, Lowerer};
use super::target::{Target, Text};
use crate::hir::{Compare, Expr, ExprKind, Type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder, Value};

impl<T: Target> Lowerer<'_, '_, T> {
    /// A condition as 1 or 0.
    pub(super) fn truth(&mut self, e: &Expr) -> Value {
        if let ExprKind::Compare(op, a, b) = &e.kind
            && a.ty == Type::Long
        {
            let (a, b) = self.compared(a, b);
            return self.code.compare(condition(*op), a, b);
        }
        let (yes, no) = (self.code.block(), self.code.block());
        let (done, result) = self.code.block_with();
        self.cond(e, yes, no);
        for (block, number) in [(yes, 1), (no, 0)] {
            self.to(block);
            let number = self.code.k(number);
            self.code.jump(done, &[number]);
        }
        self.to(done);
        result
    }

    /// Goes to one of two blocks.
    pub(super) fn cond(&mut self, e: &Expr, yes: Block, no: Block) {
        self.code.at(e.span);
        let mark = self.code.mark();
        self.branch_on(e, yes, no);
        self.code.release(mark);
    }

    fn branch_on(&mut self, e: &Expr, yes: Block, no: Block) {
        match &e.kind {
            ExprKind::Not(a) => self.cond(a, no, yes),
            // What the script's arguments decided.
            ExprKind::And(a, b) if matches!(a.kind, ExprKind::Long(n) if n != 0) => self.branch_on(b, yes, no),
            ExprKind::Or(a, b) if matches!(a.kind, ExprKind::Long(0)) => self.branch_on(b, yes, no),
            ExprKind::And(a, b) => {
                let both = self.code.block();
                self.cond(a, both, no);
                self.to(both);
                self.cond(b, yes, no);
            }
            ExprKind::Or(a, b) => {
                let second = self.code.block();
                self.cond(a, yes, second);
                self.to(second);
                self.cond(b, yes, no);
            }
            ExprKind::Compare(op, a, b) if a.ty == Type::String => self.cond_text(*op, a, b, yes, no),
            ExprKind::Compare(op, a, b) => {
                let (a, b) = self.compared(a, b);
                let cond = self.code.b.ins().icmp(condition(*op), a, b);
                self.code.branch(cond, yes, no);
            }
            _ => {
                let value = self.plain(e);
                self.code.branch_if(IntCC::NotEqual, value, 0, yes, no);
            }
        }
    }

    /// Both sides of a comparison of numbers. From 6.4 on the verifier takes a tracepoint's pointers for none that can be
    /// NULL, and cuts off what stands behind a test that says otherwise: it is shown a number that it knows nothing of,
    /// unless it knows nothing of the other side.
    fn compared(&mut self, a: &Expr, b: &Expr) -> (Value, Value) {
        let is_unknown = |e: &Expr| matches!(e.kind, ExprKind::Global(_));
        match is_unknown(a) || is_unknown(b) {
            true => (self.long(a), self.long(b)),
            false => (self.plain(a), self.plain(b)),
        }
    }

    fn cond_text(&mut self, op: Compare, a: &Expr, b: &Expr, yes: Block, no: Block) {
        let (yes_eq, no_eq) = if op == Compare::Eq { (yes, no) } else { (no, yes) };
        let mut values = self.values(&[a, b]).into_iter().map(Bound::text);
        let (Some(left), Some(right)) = (values.next(), values.next()) else { unreachable!("there are two") };
        match (&left, &right, op) {
            (Text::Literal(literal), text, Compare::Eq | Compare::Ne)
            | (text, Text::Literal(literal), Compare::Eq | Compare::Ne) => {
                self.target.branch_text(&mut self.code, text, literal, yes_eq, no_eq);
            }
            _ => {
                let size = self.plan.max_string;
                let order = self.target.compare_text(&mut self.code, &left, &right, size);
                self.code.branch_if(condition(op), order, 0, yes, no);
            }
        }
    }
}

fn condition(op: Compare) -> IntCC {
    match op {
        Compare::Eq => IntCC::Equal,
        Compare::Ne => IntCC::NotEqual,
        Compare::Lt => IntCC::SignedLessThan,
        Compare::Le => IntCC::SignedLessThanOrEqual,
        Compare::Gt => IntCC::SignedGreaterThan,
        Compare::Ge => IntCC::SignedGreaterThanOrEqual,
    }
}
