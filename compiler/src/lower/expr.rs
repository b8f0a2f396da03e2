//! Expressions: numbers, strings and conditions.

use super::code::Addr;
use super::handler::{Bound, Home, Lowerer};
use super::plan::text_size;
use super::target::{PrintArg, Raise, Target, Text};
use crate::check::shape::shape_of;
use crate::hir::{self, Arith, Compare, Expr, ExprKind, Load, Shape, Type};
use crate::image::{Storage, Value as Element};
use crate::intrinsic::{Intrinsic, Op};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::limits::INLINE_KEY_TEXT;
use tapster_runtime_ebpf::record::Fault;

impl<T: Target> Lowerer<'_, '_, T> {
    /// An expression for its effect alone.
    pub(super) fn effect(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Intrinsic(intrinsic, args) if intrinsic.result == Type::Unknown => self.act(intrinsic, args),
            ExprKind::Aggregate(..) | ExprKind::Assign(..) | ExprKind::Step(..) => drop(self.bound(e)),
            ExprKind::Print(format, args) => self.print(*format, args, e.span),
            ExprKind::PrintHistogram(global, keys) => {
                let key = self.key(*global, keys);
                self.target.print_histogram(&mut self.code, *global, key, e.at);
            }
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
        match e.ty {
            Type::String => match self.text(e) {
                Text::Stack(handle) => Bound::Stack(handle),
                text => Bound::Text(text),
            },
            _ => Bound::Word(self.long(e)),
        }
    }

    /// A number.
    pub(super) fn long(&mut self, e: &Expr) -> Value {
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
            ExprKind::Intrinsic(intrinsic, args) => self.intrinsic_word(intrinsic, args),
            ExprKind::Neg(a) => {
                let a = self.long(a);
                self.code.b.ins().ineg(a)
            }
            ExprKind::BitNot(a) => {
                let a = self.long(a);
                self.code.b.ins().bnot(a)
            }
            ExprKind::Arith(op, a, b) => {
                let (a, b) = (self.long(a), self.long(b));
                self.arith(*op, a, b, e.at)
            }
            ExprKind::Not(_) | ExprKind::Compare(..) | ExprKind::And(..) | ExprKind::Or(..) => self.truth(e),
            ExprKind::Choose(cond, a, b) => self.choose(cond, a, b),
            ExprKind::Assign(target, op, value) => self.assign(target, *op, value, e.at),
            ExprKind::Step(target, by, prefix) => self.step(target, *by, *prefix, e.at),
            ExprKind::Aggregate(global, keys, value) => {
                let value = self.long(value);
                let key = self.key(*global, keys);
                self.target.aggregate(&mut self.code, *global, key, value, e.at);
                value
            }
            ExprKind::Stat(extractor, global, keys) => {
                let key = self.key(*global, keys);
                self.target.statistic(&mut self.code, *extractor, *global, key, e.at)
            }
            ExprKind::In(global, keys) => match self.key(*global, keys) {
                Some(key) => self.target.has(&mut self.code, *global, key),
                None => self.code.k(0),
            },
            ExprKind::Print(..) | ExprKind::PrintHistogram(..) => {
                self.effect(e);
                self.code.k(0)
            }
            ExprKind::Text(_) => unreachable!("types were checked"),
        }
    }

    fn local_word(&mut self, local: hir::LocalId) -> Value {
        match self.homes[local] {
            Home::Word(variable) => self.code.b.use_var(variable),
            Home::Text(..) => unreachable!("types were checked"),
        }
    }

    fn global_word(&mut self, global: hir::GlobalId) -> Value {
        match self.plan.globals[global].storage {
            Storage::Long { offset } => {
                let place = self.target.state(&mut self.code, offset);
                self.code.load(I64, place)
            }
            _ => self.code.k(0),
        }
    }

    fn element(&mut self, global: hir::GlobalId, keys: &[Expr]) -> Bound {
        let key = self.key(global, keys).expect("an element has keys");
        self.element_at(global, key)
    }

    fn load(&mut self, load: &Load, span: Span) -> Value {
        let base = self.long(&load.base);
        let at = Addr::at(base).plus(load.offset);
        let word = if load.direct {
            self.code.load_sized(at, load.size, load.signed)
        } else {
            self.target.read(&mut self.code, at, load.size, load.signed, span)
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
    fn arith(&mut self, op: Arith, a: Value, b: Value, span: Span) -> Value {
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

    /// A condition as 1 or 0.
    fn truth(&mut self, e: &Expr) -> Value {
        if let ExprKind::Compare(op, a, b) = &e.kind
            && a.ty == Type::Long
        {
            let (a, b) = (self.long(a), self.long(b));
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
        match &e.kind {
            ExprKind::Not(a) => self.cond(a, no, yes),
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
                let (a, b) = (self.long(a), self.long(b));
                let cond = self.code.b.ins().icmp(condition(*op), a, b);
                self.code.branch(cond, yes, no);
            }
            _ => {
                let value = self.long(e);
                self.code.branch_if(IntCC::NotEqual, value, 0, yes, no);
            }
        }
    }

    fn cond_text(&mut self, op: Compare, a: &Expr, b: &Expr, yes: Block, no: Block) {
        let (yes_eq, no_eq) = if op == Compare::Eq { (yes, no) } else { (no, yes) };
        let (left, right) = (self.text(a), self.text(b));
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

    fn assign(&mut self, target: &hir::Target, op: Option<Arith>, value: &Expr, span: Span) -> Value {
        let Some(op) = op else {
            let value = self.bound(value);
            let word = match &value {
                Bound::Word(word) | Bound::Stack(word) => *word,
                Bound::Text(_) => self.code.k(0),
            };
            self.store(target, value, span);
            return word;
        };
        let by = self.long(value);
        match (target, op) {
            (hir::Target::Global(global), Arith::Add) => return self.add_to_global(*global, by),
            (hir::Target::Element(global, keys), Arith::Add) => return self.add_to_element(*global, keys, by, span),
            _ => {}
        }
        self.update(target, span, |this, old| this.arith(op, old, by, span)).1
    }

    /// Adds to a scalar global: atomically, as several CPUs may do it at once. Gives the new value.
    fn add_to_global(&mut self, global: hir::GlobalId, by: Value) -> Value {
        let Storage::Long { offset } = self.plan.globals[global].storage else { return self.code.k(0) };
        let place = self.target.state(&mut self.code, offset);
        let old = self.code.atomic_add(place, by);
        self.code.b.ins().iadd(old, by)
    }

    fn add_to_element(&mut self, global: hir::GlobalId, keys: &[Expr], by: Value, span: Span) -> Value {
        let key = self.key(global, keys).expect("an element has keys");
        self.target.add_to(&mut self.code, global, key, by, span)
    }

    fn step(&mut self, target: &hir::Target, by: i64, prefix: bool, span: Span) -> Value {
        let by = self.code.k(by);
        if let hir::Target::Global(global) = target {
            let new = self.add_to_global(*global, by);
            return if prefix { new } else { self.code.b.ins().isub(new, by) };
        }
        if let hir::Target::Element(global, keys) = target {
            let new = self.add_to_element(*global, keys, by, span);
            return if prefix { new } else { self.code.b.ins().isub(new, by) };
        }
        let (old, new) = self.update(target, span, |this, old| this.code.b.ins().iadd(old, by));
        if prefix { new } else { old }
    }

    /// Reads, changes and writes a number; gives the old and the new one.
    fn update(
        &mut self,
        target: &hir::Target,
        span: Span,
        change: impl FnOnce(&mut Self, Value) -> Value,
    ) -> (Value, Value) {
        match target {
            hir::Target::Local(local) => {
                let old = self.local_word(*local);
                let new = change(self, old);
                self.set_local(*local, Bound::Word(new));
                (old, new)
            }
            hir::Target::Global(global) => {
                let old = self.global_word(*global);
                let new = change(self, old);
                self.store(target, Bound::Word(new), span);
                (old, new)
            }
            hir::Target::Element(global, keys) => {
                let key = self.key(*global, keys).expect("an element has keys");
                let place = self.code.slot(8);
                self.target.get(&mut self.code, *global, key, place);
                let old = self.code.load(I64, place);
                let new = change(self, old);
                self.code.store(new, place);
                self.target.set(&mut self.code, *global, key, place, span);
                (old, new)
            }
        }
    }

    fn store(&mut self, target: &hir::Target, value: Bound, span: Span) {
        match target {
            hir::Target::Local(local) => self.set_local(*local, value),
            hir::Target::Global(global) => self.store_global(*global, value),
            hir::Target::Element(global, keys) => {
                let element = self.plan.array(*global).map_or(Element::Long, |array| array.value);
                let from = self.element_memory(element);
                match (element, value) {
                    (Element::Text(size), Bound::Text(text)) => {
                        // The whole of a short value is read from the stack, so all of it must be written.
                        let fill = size <= INLINE_KEY_TEXT;
                        self.target.put_text(&mut self.code, &text, from, size, fill);
                    }
                    (_, Bound::Word(word) | Bound::Stack(word)) => self.code.store(word, from),
                    (_, Bound::Text(_)) => unreachable!("types were checked"),
                }
                let key = self.key(*global, keys).expect("an element has keys");
                self.target.set(&mut self.code, *global, key, from, span);
            }
        }
    }

    /// Memory for an element on its way to or from an array.
    pub(super) fn element_memory(&mut self, element: Element) -> Addr {
        match element {
            Element::Text(size) => self.target.text_home(&mut self.code, size),
            Element::Long | Element::Stack | Element::Aggregate(_) => self.code.slot(8),
        }
    }

    fn store_global(&mut self, global: hir::GlobalId, value: Bound) {
        match (&self.plan.globals[global].storage, value) {
            (Storage::Long { offset }, Bound::Word(word) | Bound::Stack(word)) => {
                let place = self.target.state(&mut self.code, *offset);
                self.code.store(word, place);
            }
            (Storage::Text { offset, size }, value) => {
                let text = match value {
                    Bound::Text(text) => text,
                    Bound::Word(word) | Bound::Stack(word) => Text::Stack(word),
                };
                let place = self.target.state(&mut self.code, *offset);
                self.target.put_text(&mut self.code, &text, place, *size, false);
            }
            _ => {}
        }
    }

    /// A string.
    pub(super) fn text(&mut self, e: &Expr) -> Text {
        match &e.kind {
            ExprKind::Text(bytes) => Text::Literal(bytes.clone()),
            ExprKind::Local(local) => match self.homes[*local] {
                Home::Text(home, size) => Text::At(home, size),
                Home::Word(variable) => Text::Stack(self.code.b.use_var(variable)),
            },
            ExprKind::Global(global) => self.global_text(*global),
            ExprKind::Element(global, keys) => match self.element(*global, keys) {
                Bound::Text(text) => text,
                Bound::Word(word) | Bound::Stack(word) => Text::Stack(word),
            },
            ExprKind::Intrinsic(intrinsic, args) => match intrinsic.op {
                Op::Execname => Text::Execname,
                Op::Backtrace => Text::Stack(self.target.backtrace(&mut self.code)),
                Op::KernelString => Text::KernelString(self.long(&args[0]), e.at),
                Op::Fact(..) | Op::PrintStack | Op::Exit => unreachable!("types were checked"),
            },
            ExprKind::Choose(cond, a, b) => self.choose_text(e, cond, a, b),
            ExprKind::Assign(target, _, value) => {
                let value = self.bound(value);
                self.store(target, value.clone(), e.at);
                match value {
                    Bound::Text(text) => text,
                    Bound::Word(word) | Bound::Stack(word) => Text::Stack(word),
                }
            }
            _ => unreachable!("types were checked"),
        }
    }

    fn global_text(&mut self, global: hir::GlobalId) -> Text {
        match self.plan.globals[global].storage {
            Storage::Text { offset, size } => Text::At(self.target.state(&mut self.code, offset), size),
            Storage::Long { .. } => Text::Stack(self.global_word(global)),
            _ => Text::Literal(Vec::new()),
        }
    }

    fn choose_text(&mut self, e: &Expr, cond: &Expr, a: &Expr, b: &Expr) -> Text {
        let shape = shape_of(e, self.globals, self.locals, self.plan.max_string);
        if shape == Shape::Stack {
            let (yes, no) = (self.code.block(), self.code.block());
            let (done, result) = self.code.block_with();
            self.cond(cond, yes, no);
            for (block, e) in [(yes, a), (no, b)] {
                self.to(block);
                let Bound::Stack(handle) = self.bound(e) else { unreachable!("shapes were joined") };
                self.code.jump(done, &[handle]);
            }
            self.to(done);
            return Text::Stack(result);
        }
        let size = text_size(shape, self.plan.max_string);
        let home = self.target.text_home(&mut self.code, size);
        let (yes, no, done) = (self.code.block(), self.code.block(), self.code.block());
        self.cond(cond, yes, no);
        for (block, e) in [(yes, a), (no, b)] {
            self.to(block);
            let text = self.text(e);
            self.target.put_text(&mut self.code, &text, home, size, false);
            self.code.jump(done, &[]);
        }
        self.to(done);
        Text::At(home, size)
    }

    fn intrinsic_word(&mut self, intrinsic: &Intrinsic, args: &[Expr]) -> Value {
        match intrinsic.op {
            Op::Fact(fact, divisor) => {
                let value = self.target.fact(&mut self.code, fact);
                if divisor == 1 { value } else { self.code.b.ins().udiv_imm_u(value, divisor) }
            }
            Op::Execname | Op::KernelString | Op::Backtrace => unreachable!("types were checked"),
            Op::PrintStack | Op::Exit => {
                self.act(intrinsic, args);
                self.code.k(0)
            }
        }
    }

    /// A function without result.
    fn act(&mut self, intrinsic: &Intrinsic, args: &[Expr]) {
        match intrinsic.op {
            Op::Exit => self.target.exit(&mut self.code),
            Op::PrintStack => {
                let handle = match self.text(&args[0]) {
                    Text::Stack(handle) => handle,
                    // A string is no stack: prints nothing, as an empty backtrace does.
                    _ => self.code.k(0),
                };
                self.target.print_stack(&mut self.code, handle);
            }
            Op::Fact(..) | Op::Execname | Op::KernelString | Op::Backtrace => unreachable!("these have results"),
        }
    }

    fn print(&mut self, format: usize, args: &[Expr], span: Span) {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            values.push(match self.bound(arg) {
                Bound::Word(word) => PrintArg::Long(word),
                Bound::Stack(handle) => PrintArg::Long(handle),
                Bound::Text(text) => {
                    let shape = shape_of(arg, self.globals, self.locals, self.plan.max_string);
                    PrintArg::Text(text, text_size(shape, self.plan.max_string))
                }
            });
        }
        self.target.print(&mut self.code, format, &values, span);
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
