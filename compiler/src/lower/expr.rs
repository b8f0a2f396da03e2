//! Expressions that are numbers.

use super::code::Addr;
use super::handler::{Bound, Home, Lowerer};
use super::target::{Raise, Target, Text};
use crate::hir::{self, Arith, Expr, ExprKind, Load, Type};
use crate::image::Storage;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::record::Fault;

impl<T: Target> Lowerer<'_, '_, T> {
    /// An expression for its effect alone.
    pub(super) fn effect(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Intrinsic(intrinsic, args) if intrinsic.result == Type::Unknown => {
                self.act(intrinsic, args, e.at);
            }
            ExprKind::Aggregate(..) | ExprKind::Assign(..) | ExprKind::Step(..) | ExprKind::Call(..) => {
                drop(self.bound(e));
            }
            ExprKind::Print(format, args) => self.print(*format, args, e.at),
            ExprKind::And(..) | ExprKind::Or(..) => {
                let end = self.code.block();
                self.cond(e, end, end);
                self.to(end);
            }
            // The parts of anything else may still do something: a function that reads kernel memory may fault.
            _ if e.ty == Type::String => drop(self.text(e)),
            _ => drop(self.long(e)),
        }
    }

    /// A value of any type.
    pub(super) fn bound(&mut self, e: &Expr) -> Bound {
        if let ExprKind::Call(function, args) = &e.kind {
            return self.call(*function, args, e.at);
        }
        match e.ty {
            Type::String => match self.text(e) {
                Text::Stack(handle) => Bound::Stack(handle),
                text => Bound::Text(text),
            },
            _ => Bound::Word(self.long(e)),
        }
    }

    /// A number. It needs nothing more of what was built on the way to it.
    pub(super) fn long(&mut self, e: &Expr) -> Value {
        let mark = self.code.mark();
        let value = self.number(e);
        self.code.release(mark);
        value
    }

    fn number(&mut self, e: &Expr) -> Value {
        match &e.kind {
            ExprKind::Long(number) => self.code.k(*number),
            ExprKind::Local(local) => self.local_word(*local),
            ExprKind::Global(global) => self.global_word(*global),
            ExprKind::Element(global, keys) => match self.element(*global, keys) {
                Bound::Word(word) | Bound::Stack(word) => word,
                Bound::Text(_) => unreachable!("types were checked"),
            },
            ExprKind::Arg { source, size, signed, .. } => {
                let word = self.target.arg(&mut self.code, source);
                self.code.narrow(word, *size, *signed)
            }
            ExprKind::Load(load) => self.load(load, e.at),
            ExprKind::Intrinsic(intrinsic, args) => self.intrinsic_word(intrinsic, args, e.at),
            ExprKind::Call(..) => self.bound(e).word(),
            ExprKind::Match(subject, regex, negated) => {
                let text = self.text(subject);
                let size = self.size_of(subject);
                let found = self.target.match_text(&mut self.code, *regex, &text, size);
                if *negated { self.code.b.ins().bxor_imm_u(found, 1) } else { found }
            }
            ExprKind::Bucket(global, keys, number) => {
                let number = self.long(number);
                let key = self.key(*global, keys);
                self.target.bucket(&mut self.code, *global, key, number, e.at)
            }
            ExprKind::Neg(a) => {
                let a = self.plain(a);
                self.code.b.ins().ineg(a)
            }
            ExprKind::BitNot(a) => {
                let a = self.plain(a);
                self.code.b.ins().bnot(a)
            }
            // A pointer with a known distance is still one.
            ExprKind::Arith(op @ (Arith::Add | Arith::Sub), a, b) if matches!(b.kind, ExprKind::Long(_)) => {
                let (a, b) = (self.long(a), self.long(b));
                self.arith(*op, a, b, e.at)
            }
            ExprKind::Arith(op, a, b) => {
                let (a, b) = (self.plain(a), self.plain(b));
                self.arith(*op, a, b, e.at)
            }
            ExprKind::Not(_) | ExprKind::Compare(..) | ExprKind::And(..) | ExprKind::Or(..) => self.truth(e),
            ExprKind::Choose(cond, a, b) => self.choose(cond, a, b),
            ExprKind::Assign(target, op, value) => self.assign(target, *op, value, e),
            ExprKind::Step(target, by, prefix) => self.step(target, *by, *prefix, e.span),
            ExprKind::Aggregate(global, keys, value) => {
                let key = self.key(*global, keys);
                let value = self.long(value);
                // An array that is full is named by the array, which the text of the expression starts with.
                self.target.aggregate(&mut self.code, *global, key, value, e.span);
                value
            }
            ExprKind::Stat(extractor, global, keys) => {
                let key = self.key(*global, keys);
                self.target.statistic(&mut self.code, *extractor, *global, key, e.at)
            }
            ExprKind::In(global, slice) => self.is_in(*global, slice),
            ExprKind::Print(..) => {
                self.effect(e);
                self.code.k(0)
            }
            ExprKind::Text(_) | ExprKind::Concat(..) | ExprKind::Format(..) | ExprKind::Histogram(..) => {
                unreachable!("types were checked")
            }
        }
    }

    /// A number that the verifier does not take for a pointer.
    pub(super) fn plain(&mut self, e: &Expr) -> Value {
        let value = self.long(e);
        if is_pointer(e) { self.target.as_number(&mut self.code, value) } else { value }
    }

    fn is_in(&mut self, global: hir::GlobalId, slice: &hir::Slice) -> Value {
        let whole = slice.iter().all(Option::is_some);
        match self.slice_key(global, slice) {
            Some((key, _)) if whole => self.target.has(&mut self.code, global, key),
            Some((key, mask)) => self.target.has_slice(&mut self.code, global, Some((key, mask))),
            None => {
                // Any key will do: none of its parts is compared.
                let size = self.plan.array(global).map_or(8, |array| array.key_size);
                let key = self.code.slot(size);
                self.target.has_slice(&mut self.code, global, Some((key, 0)))
            }
        }
    }

    pub(super) fn local_word(&mut self, local: hir::LocalId) -> Value {
        match self.frame.homes[local] {
            Home::Word(variable) => self.code.b.use_var(variable),
            Home::Stored(home) => self.code.load(I64, home),
            Home::Text(..) => unreachable!("types were checked"),
        }
    }

    pub(super) fn global_word(&mut self, global: hir::GlobalId) -> Value {
        match self.plan.globals[global].storage {
            Storage::Long { offset } => {
                let place = self.target.state(&mut self.code, offset);
                self.code.load(I64, place)
            }
            _ => self.code.k(0),
        }
    }

    pub(super) fn element(&mut self, global: hir::GlobalId, keys: &[Expr]) -> Bound {
        let key = self.key(global, keys).expect("an element has keys");
        self.element_at(global, key)
    }

    fn load(&mut self, load: &Load, span: Span) -> Value {
        let base = self.long(&load.base);
        let at = Addr::at(base).plus(load.offset);
        let word = if load.direct && T::IN_KERNEL {
            self.code.load_sized(at, load.size, load.signed)
        } else {
            self.target.read(&mut self.code, load.memory, at, (load.size, load.signed), (Fault::KernelReadFault, span))
        };
        match load.bits {
            None => word,
            Some((first, width)) => {
                let up = self.code.b.ins().ishl_imm_u(word, i64::from(64 - first - width));
                let down = i64::from(64 - width);
                if load.signed {
                    self.code.b.ins().sshr_imm_u(up, down)
                } else {
                    self.code.b.ins().ushr_imm_u(up, down)
                }
            }
        }
    }

    /// Arithmetic with SystemTap's edges: division by zero is an error, INT64_MIN / -1 is INT64_MIN, and shifts take
    /// the low six bits.
    pub(super) fn arith(&mut self, op: Arith, a: Value, b: Value, span: Span) -> Value {
        match op {
            Arith::Add => self.code.b.ins().iadd(a, b),
            Arith::Sub => self.code.b.ins().isub(a, b),
            Arith::Mul => self.code.b.ins().imul(a, b),
            Arith::And => self.code.b.ins().band(a, b),
            Arith::Or => self.code.b.ins().bor(a, b),
            Arith::Xor => self.code.b.ins().bxor(a, b),
            Arith::Shl => self.code.b.ins().ishl(a, b),
            Arith::Shr => self.code.b.ins().sshr(a, b),
            Arith::Div | Arith::Mod => self.divide(op, a, b, span),
        }
    }

    fn divide(&mut self, op: Arith, a: Value, b: Value, span: Span) -> Value {
        let (zero, ok) = (self.code.block(), self.code.block());
        self.code.branch_if(IntCC::Equal, b, 0, zero, ok);
        self.to(zero);
        self.code.cold(zero);
        self.target.raise(&mut self.code, Raise { fault: Fault::DivisionByZero, detail: None, span });
        self.to(ok);
        // The processor traps on INT64_MIN / -1, so -1 goes its own way: the quotient is -a, the rest 0.
        let (minus, plain) = (self.code.block(), self.code.block());
        let (done, result) = self.code.block_with();
        self.code.branch_if(IntCC::Equal, b, -1, minus, plain);
        self.to(minus);
        let negated = if op == Arith::Div { self.code.b.ins().ineg(a) } else { self.code.k(0) };
        self.code.jump(done, &[negated]);
        self.to(plain);
        let value = if op == Arith::Div { self.code.b.ins().sdiv(a, b) } else { self.code.b.ins().srem(a, b) };
        self.code.jump(done, &[value]);
        self.to(done);
        result
    }

    fn choose(&mut self, cond: &Expr, a: &Expr, b: &Expr) -> Value {
        let (yes, no) = (self.code.block(), self.code.block());
        let (done, result) = self.code.block_with();
        self.cond(cond, yes, no);
        for (block, e) in [(yes, a), (no, b)] {
            self.to(block);
            let value = self.long(e);
            self.code.jump(done, &[value]);
        }
        self.to(done);
        result
    }
}

/// Whether the verifier may know what an expression points to.
pub(super) fn is_pointer(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Arg { typed, .. } => *typed,
        ExprKind::Load(load) => load.direct && load.size == 8 && e.pointee.is_some(),
        ExprKind::Arith(Arith::Add | Arith::Sub, a, b) => matches!(b.kind, ExprKind::Long(_)) && is_pointer(a),
        ExprKind::Choose(_, a, b) => is_pointer(a) || is_pointer(b),
        _ => false,
    }
}
