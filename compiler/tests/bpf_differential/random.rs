//! Random functions: everything the selector knows, in any type, with branches, loops and checked accesses.
use crate::Rng;
use crate::build::{Body, build, flags};
use crate::host::Host;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{AtomicRmwOp, Function, InstBuilder, StackSlot, Type, Value};

const TYPES: [Type; 4] = [I8, I16, I32, I64];
const SLOT_WORDS: i32 = 9;

struct Generator {
    rng: Rng,
    values: Vec<Value>,
    slot: StackSlot,
    data: Value,
    callee: Option<usize>,
}

/// The program of a seed: one function, or one that calls another.
pub fn program(host: &mut Host, seed: u64) -> Vec<Function> {
    let mut rng = Rng::new(seed);
    let length = 8 + rng.below(30);
    let has_callee = rng.below(3) == 0;
    let callee_rng = Rng::new(rng.bits());
    let main = host.declare(1);
    let callee = has_callee.then(|| host.declare(2));
    let mut functions = vec![build(host, main, 1, |p| {
        let args = (0..4).map(|i| p.arg(i)).collect();
        let (generator, results) = generate(p, rng, args, callee, length);
        _ = generator;
        p.finish(&results);
    })];
    if let Some(callee) = callee {
        functions.push(build(host, callee, 2, |p| {
            let (_, results) = generate(p, callee_rng, p.params.clone(), None, length / 3);
            p.b.ins().return_(&results[..1]);
        }));
    }
    functions
}

fn generate(p: &mut Body, rng: Rng, args: Vec<Value>, callee: Option<usize>, length: usize) -> (Generator, Vec<Value>) {
    let slot = p.slot(8 * SLOT_WORDS as u32);
    for i in 0..SLOT_WORDS {
        let k = p.k(i64::from(i) * 0x0102_0304_0506);
        p.b.ins().stack_store(I64, k, slot, 8 * i);
    }
    let data = p.array(1);
    let mut generator = Generator { rng, values: args, slot, data, callee };
    for _ in 0..length {
        generator.step(p, 2);
    }
    let results = generator.digest(p);
    (generator, results)
}

impl Generator {
    fn constant(&mut self, p: &mut Body, ty: Type) -> Value {
        let k = match self.rng.below(4) {
            0 => self.rng.below(20) as i64,
            1 => -(self.rng.below(20) as i64),
            2 => self.rng.interesting() as i64,
            _ => 1 << self.rng.below(64),
        };
        let mask = if ty == I64 { -1 } else { (1 << ty.bits()) - 1 };
        p.b.ins().iconst(ty, k & mask)
    }

    /// A value of a type: a constant, one we have, or one we have, converted.
    fn pick(&mut self, p: &mut Body, ty: Type) -> Value {
        if self.rng.below(5) == 0 {
            return self.constant(p, ty);
        }
        let of_type: Vec<Value> = self.values.iter().copied().filter(|v| p.b.func.dfg.value_type(*v) == ty).collect();
        if !of_type.is_empty() && self.rng.below(8) != 0 {
            return of_type[self.rng.below(of_type.len())];
        }
        let value = self.values[self.rng.below(self.values.len())];
        let from = p.b.func.dfg.value_type(value);
        match from.bits().cmp(&ty.bits()) {
            std::cmp::Ordering::Equal => value,
            std::cmp::Ordering::Greater => p.b.ins().ireduce(ty, value),
            std::cmp::Ordering::Less if self.rng.below(2) == 0 => p.b.ins().uextend(ty, value),
            std::cmp::Ordering::Less => p.b.ins().sextend(ty, value),
        }
    }

    fn cond(&mut self) -> IntCC {
        IntCC::all()[self.rng.below(10)]
    }

    fn step(&mut self, p: &mut Body, depth: u32) {
        let ty = TYPES[self.rng.below(4)];
        let value = match self.rng.below(if depth > 0 { 20 } else { 15 }) {
            0..=2 => self.binary(p, ty),
            3 | 4 => self.shift(p, ty),
            5 => {
                let (x, y) = (self.pick(p, ty), self.pick(p, ty));
                p.b.ins().icmp(self.cond(), x, y)
            }
            6 | 7 => self.select(p, ty),
            8 => self.divide(p, ty),
            9 => self.unary(p, ty),
            10 => self.min_max(p, ty),
            11 | 12 => self.memory(p, ty),
            13 => self.atomic(p, ty),
            14 => self.call(p),
            15 | 16 => self.diamond(p, ty, depth),
            17 => self.counted_loop(p, ty, depth),
            18 => self.checked_access(p, depth),
            _ => self.switch(p, ty),
        };
        self.values.push(value);
    }

    fn binary(&mut self, p: &mut Body, ty: Type) -> Value {
        let (x, y) = (self.pick(p, ty), self.pick(p, ty));
        match self.rng.below(8) {
            0 => p.b.ins().iadd(x, y),
            1 => p.b.ins().isub(x, y),
            2 => p.b.ins().imul(x, y),
            3 => p.b.ins().band(x, y),
            4 => p.b.ins().bor(x, y),
            5 => p.b.ins().bxor(x, y),
            6 if ty == I64 => p.b.ins().umulhi(x, y),
            7 if ty.bits() >= 16 => p.b.ins().smulhi(x, y),
            _ => p.b.ins().iadd(y, x),
        }
    }

    fn shift(&mut self, p: &mut Body, ty: Type) -> Value {
        let (x, count) = (self.pick(p, ty), self.pick(p, ty));
        match self.rng.below(5) {
            0 => p.b.ins().ishl(x, count),
            1 => p.b.ins().ushr(x, count),
            2 => p.b.ins().sshr(x, count),
            3 => p.b.ins().rotl(x, count),
            _ => p.b.ins().rotr(x, count),
        }
    }

    fn select(&mut self, p: &mut Body, ty: Type) -> Value {
        let (x, y) = (self.pick(p, ty), self.pick(p, ty));
        let condition = match self.rng.below(3) {
            0 => self.pick(p, I8),
            1 => {
                let (a, b) = (self.pick(p, ty), self.pick(p, ty));
                p.b.ins().icmp(self.cond(), a, b)
            }
            _ => p.b.ins().icmp(self.cond(), x, y),
        };
        p.b.ins().select(condition, x, y)
    }

    /// Divisors are never zero, and never -1 where that overflows.
    fn divide(&mut self, p: &mut Body, ty: Type) -> Value {
        let x = self.pick(p, ty);
        let divisor = if self.rng.below(2) == 0 {
            p.b.ins().iconst(ty, self.rng.below(100) as i64 + 1)
        } else {
            let y = self.pick(p, ty);
            let half = p.b.ins().ushr_imm_u(y, 1);
            p.b.ins().bor_imm_u(half, 1)
        };
        match self.rng.below(4) {
            0 => p.b.ins().udiv(x, divisor),
            1 => p.b.ins().urem(x, divisor),
            2 => p.b.ins().sdiv(x, divisor),
            _ => p.b.ins().srem(x, divisor),
        }
    }

    fn unary(&mut self, p: &mut Body, ty: Type) -> Value {
        let x = self.pick(p, ty);
        match self.rng.below(9) {
            0 => p.b.ins().ineg(x),
            1 => p.b.ins().bnot(x),
            2 => p.b.ins().iabs(x),
            3 if ty != I8 => p.b.ins().bswap(x),
            4 => p.b.ins().popcnt(x),
            5 => p.b.ins().clz(x),
            6 => p.b.ins().ctz(x),
            7 => {
                let (y, z) = (self.pick(p, ty), self.pick(p, ty));
                p.b.ins().bitselect(x, y, z)
            }
            _ => {
                let x = self.pick(p, I64);
                p.call("opaque", &[x])
            }
        }
    }

    fn min_max(&mut self, p: &mut Body, ty: Type) -> Value {
        let (x, y) = (self.pick(p, ty), self.pick(p, ty));
        match self.rng.below(4) {
            0 => p.b.ins().umin(x, y),
            1 => p.b.ins().umax(x, y),
            2 => p.b.ins().smin(x, y),
            _ => p.b.ins().smax(x, y),
        }
    }

    /// An aligned place in the stack slot, a looked-up value or a directly addressed one.
    fn pointer(&mut self, p: &mut Body, ty: Type, kinds: usize) -> Value {
        let size = i64::from(ty.bytes());
        let base = match self.rng.below(kinds) {
            0 => self.data,
            1 => p.map_value(1),
            _ => p.at(self.slot, 0),
        };
        if self.rng.below(2) == 0 {
            let offset = self.rng.below(64 / size as usize) as i64 * size;
            return p.b.ins().iadd_imm_s(base, offset);
        }
        let index = self.pick(p, I64);
        let index = p.b.ins().band_imm_u(index, 63 & -size);
        p.b.ins().iadd(base, index)
    }

    fn memory(&mut self, p: &mut Body, ty: Type) -> Value {
        let pointer = self.pointer(p, ty, 3);
        match self.rng.below(4) {
            0 => {
                let x = self.pick(p, ty);
                p.store(x, pointer, 0);
                x
            }
            1 if ty.bits() < 64 => match ty.bits() {
                8 => p.b.ins().sload8(I64, flags(), pointer, 0),
                16 => p.b.ins().sload16(I32, flags(), pointer, 0),
                _ => p.b.ins().sload32(flags(), pointer, 0),
            },
            _ => p.load(ty, pointer, 0),
        }
    }

    fn atomic(&mut self, p: &mut Body, ty: Type) -> Value {
        let ty = if ty.bits() < 32 { I64 } else { ty };
        let pointer = self.pointer(p, ty, 2);
        let x = self.pick(p, ty);
        let op = match self.rng.below(7) {
            0 => AtomicRmwOp::Add,
            1 => AtomicRmwOp::Sub,
            2 => AtomicRmwOp::And,
            3 => AtomicRmwOp::Or,
            4 => AtomicRmwOp::Xor,
            5 => AtomicRmwOp::Xchg,
            _ => {
                let expected = self.pick(p, ty);
                return p.b.ins().atomic_cas(flags(), pointer, expected, x);
            }
        };
        let old = p.b.ins().atomic_rmw(ty, flags(), op, pointer, x);
        // Without a use of the old value it is another instruction.
        if self.rng.below(2) == 0 { old } else { x }
    }

    fn call(&mut self, p: &mut Body) -> Value {
        let (x, y) = (self.pick(p, I64), self.pick(p, I64));
        match self.callee {
            Some(callee) => p.call_function(callee, &[x, y]),
            None => {
                p.call("ktime", &[]);
                p.b.ins().iadd(x, y)
            }
        }
    }

    /// Two branches that join with a value each.
    fn diamond(&mut self, p: &mut Body, ty: Type, depth: u32) -> Value {
        let (a, b) = (self.pick(p, ty), self.pick(p, ty));
        let condition = p.b.ins().icmp(self.cond(), a, b);
        let (yes, no) = (p.block(), p.block());
        let (join, joined) = p.block_with(ty);
        if self.rng.below(4) == 0 {
            p.b.set_cold_block(if self.rng.below(2) == 0 { yes } else { no });
        }
        p.branch(condition, yes, no);
        for block in [yes, no] {
            p.to(block);
            self.nested(p, depth, 5, |generator, p| {
                let value = generator.pick(p, ty);
                p.jump(join, &[value]);
            });
        }
        p.to(join);
        joined
    }

    /// A few steps whose values are not seen outside.
    fn nested(&mut self, p: &mut Body, depth: u32, steps: usize, end: impl FnOnce(&mut Self, &mut Body)) {
        let outside = self.values.clone();
        for _ in 0..self.rng.below(steps) {
            self.step(p, depth - 1);
        }
        end(self, p);
        self.values = outside;
    }

    fn counted_loop(&mut self, p: &mut Body, ty: Type, depth: u32) -> Value {
        let first = self.pick(p, ty);
        let (head, i) = p.block_with(I64);
        let total = p.b.append_block_param(head, ty);
        let (body, done) = (p.block(), p.block());
        let zero = p.k(0);
        p.jump(head, &[zero, first]);
        p.to(head);
        let condition = p.cmp(IntCC::UnsignedLessThan, i, self.rng.below(4) as i64 + 1);
        p.branch(condition, body, done);
        p.to(body);
        self.values.extend([i, total]);
        self.nested(p, depth, 5, |generator, p| {
            let value = generator.pick(p, ty);
            let value = p.b.ins().iadd(value, total);
            let next = p.b.ins().iadd_imm_s(i, 1);
            p.jump(head, &[next, value]);
        });
        self.values.truncate(self.values.len() - 2);
        p.to(done);
        total
    }

    /// A bounded access to a map's value, with other code and calls between the check and the use.
    fn checked_access(&mut self, p: &mut Body, depth: u32) -> Value {
        let x = self.pick(p, I64);
        let index = match self.rng.below(4) {
            0 => p.b.ins().band_imm_u(x, 0x1ff),
            1 => {
                let low = p.b.ins().band_imm_u(x, 0xffff);
                p.b.ins().iadd_imm_s(low, self.rng.below(9) as i64)
            }
            2 => {
                let byte = p.b.ins().ireduce(I8, x);
                p.b.ins().uextend(I64, byte)
            }
            _ => x,
        };
        let (within, beyond) = (p.block(), p.block());
        let (join, joined) = p.block_with(I64);
        let condition = p.cmp(IntCC::UnsignedLessThan, index, 240);
        p.branch(condition, within, beyond);
        p.to(within);
        let data = self.data;
        self.nested(p, depth, 3, |_, p| {
            p.call("ktime", &[]);
            let limit = p.k(240);
            let pointer = p.call("ptrchk", &[data, index, limit]);
            let value = p.load(I64, pointer, 8);
            p.jump(join, &[value]);
        });
        p.to(beyond);
        let minus = p.k(-1);
        p.jump(join, &[minus]);
        p.to(join);
        joined
    }

    fn switch(&mut self, p: &mut Body, ty: Type) -> Value {
        let index = self.pick(p, I32);
        let index = p.b.ins().band_imm_u(index, 7);
        let (join, joined) = p.block_with(ty);
        let mut switch = cranelift_frontend::Switch::new();
        let blocks: Vec<_> = (0..self.rng.below(5) + 1).map(|_| p.block()).collect();
        for (i, block) in blocks.iter().enumerate().skip(1) {
            switch.set_entry(i as u128, *block);
        }
        switch.emit(&mut p.b, index, blocks[0]);
        for block in blocks {
            p.to(block);
            let value = self.pick(p, ty);
            p.jump(join, &[value]);
        }
        p.to(join);
        joined
    }

    /// Four words that depend on everything.
    fn digest(&mut self, p: &mut Body) -> Vec<Value> {
        let mut words: Vec<Value> = (1..5).map(|k| p.k(k)).collect();
        for (i, value) in self.values.iter().enumerate() {
            let ty = p.b.func.dfg.value_type(*value);
            let wide = match i % 2 {
                _ if ty == I64 => *value,
                0 => p.b.ins().uextend(I64, *value),
                _ => p.b.ins().sextend(I64, *value),
            };
            let product = p.b.ins().imul_imm_s(words[i % 4], 0x9e37_79b9 + i as i64);
            words[i % 4] = p.b.ins().iadd(product, wide);
        }
        words
    }
}
