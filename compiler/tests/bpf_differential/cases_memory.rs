//! Memory, maps and calls, as lowering uses them.
use crate::build::{Body, build, entry, flags};
use crate::cases::Case;
use crate::host::Host;
use cranelift_codegen::ir::condcodes::IntCC::*;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{AtomicRmwOp, Block, Function, InstBuilder, StackSlot, Value};

macro_rules! one {
    ($write:expr) => {
        &|host: &mut Host| entry(host, $write)
    };
}

pub const CASES: &[Case] = &[
    ("variable offsets in the stack", one!(stack_offsets)),
    ("variable offsets in a map's value", one!(map_offsets)),
    ("an index bounded by a branch", one!(bounded_by_branch)),
    ("an index bounded by select", one!(bounded_by_select)),
    ("direct access to a map's value", one!(map_value)),
    ("atomic operations", one!(atomics)),
    ("many values across calls", one!(pressure)),
    ("strings compared in a loop", one!(string_compare)),
    ("a keyed aggregate", one!(aggregate)),
    ("a histogram", one!(histogram)),
    ("subprograms", &subprograms),
    ("a callback", &callback),
];

fn stack_offsets(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let slot = p.slot(32);
    for i in 0..4 {
        let k = p.k(0x0101_0203 * i);
        p.b.ins().stack_store(I64, k, slot, 8 * i as i32);
    }
    let i = p.b.ins().band_imm_u(x, 15);
    let base = p.at(slot, 8);
    let pointer = p.b.ins().iadd(base, i);
    let byte = p.b.ins().ireduce(I8, y);
    p.store(byte, pointer, 0);
    let a = p.load(I8, pointer, 1);
    let a = p.b.ins().uextend(I64, a);
    let b = p.b.ins().stack_load(I64, I64, slot, 8);
    let c = p.b.ins().stack_load(I64, I32, slot, 20);
    let c = p.b.ins().sextend(I64, c);
    let d = p.b.ins().stack_load(I64, I16, slot, 12);
    let d = p.b.ins().sextend(I64, d);
    p.finish(&[a, b, c, d]);
}

fn map_offsets(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let data = p.array(1);
    let i = p.b.ins().band_imm_u(x, 0xf8);
    let pointer = p.b.ins().iadd(data, i);
    let a = p.load(I64, pointer, 0);
    let j = p.b.ins().band_imm_u(y, 30);
    let j = p.b.ins().ishl_imm_u(j, 3);
    let other = p.b.ins().iadd(data, j);
    let b = p.load(I32, other, 4);
    let b = p.b.ins().uextend(I64, b);
    p.store(y, other, 8);
    p.finish(&[a, b]);
}

fn bounded_by_branch(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let data = p.array(1);
    let (within, beyond) = (p.block(), p.block());
    let (join, a) = p.block_with(I64);
    let x = p.b.ins().band_imm_u(x, 0x3ff);
    let c = p.cmp(UnsignedLessThan, x, 248);
    p.branch(c, within, beyond);
    p.to(within);
    let pointer = p.b.ins().iadd(data, x);
    let value = p.load(I64, pointer, 0);
    p.jump(join, &[value]);
    p.to(beyond);
    let minus = p.k(-1);
    p.jump(join, &[minus]);
    p.to(join);
    let limit = p.k(200);
    let checked = p.call("ptrchk", &[data, y, limit]);
    let b = p.load(I64, checked, 16);
    p.finish(&[a, b]);
}

fn bounded_by_select(p: &mut Body) {
    let x = p.arg(0);
    let data = p.array(1);
    let limit = p.k(248);
    let c = p.b.ins().icmp(UnsignedLessThan, x, limit);
    let i = p.b.ins().select(c, x, limit);
    let pointer = p.b.ins().iadd(data, i);
    let a = p.load(I64, pointer, 0);
    let j = p.b.ins().umin(x, limit);
    let pointer = p.call("ptradd", &[data, j]);
    let b = p.load(I64, pointer, 8);
    p.finish(&[a, b]);
}

fn map_value(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let value = p.map_value(1);
    let a = p.load(I64, value, 16);
    let second = p.b.ins().iadd_imm_s(value, 24);
    let b = p.load(I32, second, 4);
    p.store(x, second, 0);
    let limit = p.k(200);
    let pointer = p.call("ptrchk", &[second, y, limit]);
    let c = p.load(I64, pointer, 0);
    p.b.ins().atomic_rmw(I64, flags(), AtomicRmwOp::Add, value, y);
    let b = p.b.ins().sextend(I64, b);
    p.finish(&[a, b, c]);
}

fn atomics(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let data = p.array(1);
    let mut results = vec![];
    for (i, op) in
        [AtomicRmwOp::Add, AtomicRmwOp::Sub, AtomicRmwOp::And, AtomicRmwOp::Or, AtomicRmwOp::Xor, AtomicRmwOp::Xchg]
            .into_iter()
            .enumerate()
    {
        let pointer = p.b.ins().iadd_imm_s(data, 16 * i as i64);
        p.b.ins().atomic_rmw(I64, flags(), op, pointer, x);
        let old = p.b.ins().atomic_rmw(I64, flags(), op, pointer, y);
        let narrow = p.b.ins().ireduce(I32, y);
        let half = p.b.ins().iadd_imm_s(pointer, 8);
        let old_half = p.b.ins().atomic_rmw(I32, flags(), op, half, narrow);
        let old_half = p.b.ins().sextend(I64, old_half);
        results.push(p.b.ins().bxor(old, old_half));
    }
    let pointer = p.b.ins().iadd_imm_s(data, 128);
    let expected = p.load(I64, pointer, 0);
    let swapped = p.b.ins().atomic_cas(flags(), pointer, expected, x);
    let kept = p.b.ins().atomic_cas(flags(), pointer, y, y);
    results.push(swapped);
    results.push(kept);
    p.finish(&results);
}

/// A pointer, a bounded index and twelve values live across calls: some must be spilled.
fn pressure(p: &mut Body) {
    let data = p.array(1);
    let x = p.arg(0);
    let index = p.b.ins().band_imm_u(x, 0xfff);
    let values: Vec<Value> = (0..12)
        .map(|i| {
            let a = p.arg(i % 4);
            p.b.ins().imul_imm_s(a, i64::from(i) * 77 + 1)
        })
        .collect();
    p.call("ktime", &[]);
    let (within, beyond) = (p.block(), p.block());
    let (join, joined) = p.block_with(I64);
    let c = p.cmp(UnsignedLessThan, index, 240);
    p.branch(c, within, beyond);
    p.to(within);
    p.call("ktime", &[]);
    let mut total = p.k(0);
    for value in &values {
        total = p.b.ins().bxor(total, *value);
        let rotated = p.b.ins().rotl(total, *value);
        total = p.b.ins().iadd(total, rotated);
    }
    p.call("ktime", &[]);
    let pointer = p.b.ins().iadd(data, index);
    let a = p.load(I64, pointer, 0);
    let total = p.b.ins().iadd(total, a);
    for value in &values {
        p.store(*value, data, 0);
    }
    p.jump(join, &[total]);
    p.to(beyond);
    let mut total = p.k(1);
    for value in &values {
        total = p.b.ins().iadd(total, *value);
    }
    p.jump(join, &[total]);
    p.to(join);
    p.finish(&[joined, values[0], values[3], values[7], values[11]]);
}

/// Reads a string out of a map's value and compares it with a literal, byte by byte.
fn string_compare(p: &mut Body) {
    let x = p.arg(0);
    let data = p.array(1);
    let (text, literal) = (p.zeroed(2), p.zeroed(2));
    let word = p.k(0x6873_6162);
    p.b.ins().stack_store(I64, word, literal, 0);
    let i = p.b.ins().band_imm_u(x, 127);
    let source = p.b.ins().iadd(data, i);
    let (destination, size) = (p.at(text, 0), p.k(16));
    let length = p.call("read_str", &[destination, size, source]);
    let (head, i) = p.block_with(I64);
    let (body, next) = (p.block(), p.block());
    let (done, result) = p.block_with(I64);
    let zero = p.k(0);
    p.jump(head, &[zero]);
    p.to(head);
    let c = p.cmp(UnsignedLessThan, i, 16);
    let one = p.k(1);
    p.branch_with(c, body, &[], done, &[one]);
    p.to(body);
    let (a, b) = (p.at(text, 0), p.at(literal, 0));
    let (a, b) = (p.b.ins().iadd(a, i), p.b.ins().iadd(b, i));
    let (a, b) = (p.load(I8, a, 0), p.load(I8, b, 0));
    let c = p.b.ins().icmp(Equal, a, b);
    let difference = p.b.ins().uextend(I64, a);
    p.branch_with(c, next, &[], done, &[difference]);
    p.to(next);
    let i = p.b.ins().iadd_imm_s(i, 1);
    p.jump(head, &[i]);
    p.to(done);
    p.finish(&[result, length]);
}

/// `a[execname()] += arg`: a lookup, an addition in place, or a first insertion.
pub fn aggregate(p: &mut Body) {
    let key = p.slot(16);
    let value = p.slot(8);
    let x = p.arg(1);
    let done = add_by_name(p, key, value, x);
    p.to(done);
    p.ret(0);
}

fn add_by_name(p: &mut Body, key: StackSlot, value: StackSlot, x: Value) -> Block {
    for i in 0..2 {
        let zero = p.k(0);
        p.b.ins().stack_store(I64, zero, key, 8 * i);
    }
    let (name, size) = (p.at(key, 0), p.k(16));
    p.call("comm", &[name, size]);
    let map = p.map(2);
    let found = p.call("lookup", &[map, name]);
    let (hit, miss, done) = (p.block(), p.block(), p.block());
    let c = p.cmp(NotEqual, found, 0);
    p.branch(c, hit, miss);
    p.to(hit);
    p.b.ins().atomic_rmw(I64, flags(), AtomicRmwOp::Add, found, x);
    p.jump(done, &[]);
    p.to(miss);
    p.b.ins().stack_store(I64, x, value, 0);
    let map = p.map(2);
    let (name, first, noexist) = (p.at(key, 0), p.at(value, 0), p.k(1));
    p.call("update", &[map, name, first, noexist]);
    p.jump(done, &[]);
    done
}

/// As [`probe60`], with the time from the context: the two runs must see the same one.
fn histogram(p: &mut Body) {
    filtered_histogram(p, |p| p.arg(2));
}

/// A probe of sixty-odd instructions: a filter, an aggregate by name, a bucket by a bounded loop.
pub fn probe60(p: &mut Body) {
    filtered_histogram(p, |p| p.call("ktime", &[]));
}

fn filtered_histogram(p: &mut Body, now: impl FnOnce(&mut Body) -> Value) {
    let (x, then) = (p.arg(0), p.arg(1));
    let (go, out) = (p.block(), p.block());
    let c = p.cmp(NotEqual, x, 1234);
    p.branch(c, go, out);
    p.to(out);
    p.ret(0);
    p.to(go);
    let key = p.slot(16);
    let value = p.slot(8);
    let done = add_by_name(p, key, value, then);
    p.to(done);
    let now = now(p);
    let elapsed = p.b.ins().isub(now, then);
    let thousand = p.k(1000);
    let micros = p.b.ins().udiv(elapsed, thousand);
    let (head, bucket) = p.block_with(I64);
    let left = p.b.append_block_param(head, I64);
    let (more, next, found) = (p.block(), p.block(), p.block());
    let zero = p.k(0);
    p.jump(head, &[zero, micros]);
    p.to(head);
    let c = p.cmp(UnsignedLessThan, bucket, 20);
    p.branch(c, next, found);
    p.to(next);
    let c = p.cmp(UnsignedGreaterThan, left, 1);
    p.branch(c, more, found);
    p.to(more);
    let half = p.b.ins().ushr_imm_u(left, 1);
    let next_bucket = p.b.ins().iadd_imm_s(bucket, 1);
    p.jump(head, &[next_bucket, half]);
    p.to(found);
    let histogram = p.array(1);
    let i = p.b.ins().band_imm_u(bucket, 31);
    let i = p.b.ins().ishl_imm_u(i, 3);
    let pointer = p.b.ins().iadd(histogram, i);
    let one = p.k(1);
    p.b.ins().atomic_rmw(I64, flags(), AtomicRmwOp::Add, pointer, one);
    p.ret(0);
}

fn subprograms(host: &mut Host) -> Vec<Function> {
    let main = host.declare(1);
    let callee = host.declare(3);
    let unused = host.declare(0);
    let main = build(host, main, 1, |p| {
        let (x, y) = (p.arg(0), p.arg(1));
        let slot = p.slot(16);
        let k = p.k(5);
        p.b.ins().stack_store(I64, k, slot, 0);
        p.b.ins().stack_store(I64, x, slot, 8);
        let pointer = p.at(slot, 0);
        let a = p.call_function(callee, &[x, y, pointer]);
        let b = p.call_function(callee, &[y, a, pointer]);
        let c = p.b.ins().stack_load(I64, I64, slot, 0);
        p.finish(&[a, b, c]);
    });
    let callee = build(host, callee, 3, |p| {
        let [x, y, pointer] = p.params[..] else { unreachable!("declared with three parameters") };
        let factor = p.load(I64, pointer, 8);
        let product = p.b.ins().imul(x, factor);
        let sum = p.b.ins().iadd(product, y);
        let old = p.load(I64, pointer, 0);
        let new = p.b.ins().iadd(old, sum);
        p.store(new, pointer, 0);
        p.b.ins().return_(&[sum]);
    });
    let unused = build(host, unused, 0, |p| p.ret(7));
    vec![main, callee, unused]
}

fn callback(host: &mut Host) -> Vec<Function> {
    let main = host.declare(1);
    let callee = host.declare(2);
    let main = build(host, main, 1, |p| {
        let x = p.arg(0);
        let slot = p.zeroed(2);
        p.b.ins().stack_store(I64, x, slot, 0);
        let (count, context, zero) = (p.k(10), p.at(slot, 0), p.k(0));
        let body = p.function_address(callee);
        let done = p.call("loop", &[count, body, context, zero]);
        let sum = p.b.ins().stack_load(I64, I64, slot, 8);
        p.finish(&[done, sum]);
    });
    let callee = build(host, callee, 2, |p| {
        let (i, context) = (p.params[0], p.params[1]);
        let x = p.load(I64, context, 0);
        let sum = p.load(I64, context, 8);
        let product = p.b.ins().imul(x, i);
        let sum = p.b.ins().iadd(sum, product);
        p.store(sum, context, 8);
        let stop = p.cmp(SignedGreaterThan, sum, 100_000);
        let stop = p.b.ins().uextend(I64, stop);
        p.b.ins().return_(&[stop]);
    });
    vec![main, callee]
}
