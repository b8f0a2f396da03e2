//! Shapes the verifier refused in one compiler or another.
use crate::build::{Body, entry};
use crate::cases::Case;
use crate::host::Host;
use cranelift_codegen::ir::condcodes::IntCC::{self, *};
use cranelift_codegen::ir::types::{I8, I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};

macro_rules! one {
    ($write:expr) => {
        &|host: &mut Host| entry(host, $write)
    };
}

pub const CASES: &[Case] = &[
    ("null check in a loop, masked index outside it", one!(null_check_in_loop)),
    ("bounds check in a loop", one!(bounds_check_in_loop)),
    ("bounds check on a sum, used behind it", one!(|p| derived_index(p, |p, x| p.b.ins().iadd_imm_s(x, 4)))),
    ("bounds check on a xor, used behind it", one!(|p| derived_index(p, |p, x| p.b.ins().bxor_imm_u(x, 5)))),
    ("bounds check on a difference, used behind it", one!(|p| derived_index(p, |p, x| p.b.ins().iadd_imm_s(x, -3)))),
    ("context at constant offsets, in a loop", one!(context_in_loop)),
    ("context as a block parameter", one!(context_as_param)),
    ("range check by two branches", one!(two_sided_range)),
    ("two masked indexes and back", one!(indexes_and_back)),
    ("signed range check of 32 bits", one!(signed_range)),
    ("a byte bounds the size given to a helper", one!(helper_size)),
    ("null check across a call", one!(null_check_across_call)),
    ("rotated loop with a check inside", one!(rotated)),
    ("opaque index", one!(opaque_index)),
];

fn null_check_in_loop(p: &mut Body) {
    let x = p.arg(0);
    let key = p.slot(4);
    let zero = p.b.ins().iconst(I32, 0);
    p.b.ins().stack_store(I64, zero, key, 0);
    let (map, key) = (p.map(1), p.at(key, 0));
    let found = p.call("lookup", &[map, key]);
    let index = p.b.ins().band_imm_u(x, 0xf8);
    let sum = four_times(p, |p, sum, next| {
        let there = p.block();
        let c = p.cmp(NotEqual, found, 0);
        p.branch_with(c, there, &[], next, &[sum]);
        p.to(there);
        let pointer = p.b.ins().iadd(found, index);
        let value = p.load(I64, pointer, 0);
        p.b.ins().iadd(sum, value)
    });
    p.finish(&[sum]);
}

fn bounds_check_in_loop(p: &mut Body) {
    let x = p.arg(0);
    let data = p.array(1);
    let sum = four_times(p, |p, sum, next| {
        let within = p.block();
        let c = p.cmp(UnsignedLessThan, x, 200);
        p.branch_with(c, within, &[], next, &[sum]);
        p.to(within);
        let pointer = p.b.ins().iadd(data, x);
        let value = p.load(I64, pointer, 0);
        p.b.ins().iadd(sum, value)
    });
    p.finish(&[sum]);
}

/// Four rounds of a body that adds to a sum or passes it on to the next round.
fn four_times(p: &mut Body, body: impl FnOnce(&mut Body, Value, cranelift_codegen::ir::Block) -> Value) -> Value {
    let (head, i) = p.block_with(I64);
    let sum = p.b.append_block_param(head, I64);
    let (round, done) = (p.block(), p.block());
    let (next, next_sum) = p.block_with(I64);
    let zero = p.k(0);
    p.jump(head, &[zero, zero]);
    p.to(head);
    let c = p.cmp(UnsignedLessThan, i, 4);
    p.branch(c, round, done);
    p.to(round);
    let total = body(p, sum, next);
    p.jump(next, &[total]);
    p.to(next);
    let i = p.b.ins().iadd_imm_s(i, 1);
    p.jump(head, &[i, next_sum]);
    p.to(done);
    sum
}

fn derived_index(p: &mut Body, derive: impl FnOnce(&mut Body, Value) -> Value) {
    let x = p.arg(0);
    let x = p.b.ins().band_imm_u(x, 0xffff);
    let data = p.array(1);
    let y = derive(p, x);
    guarded(p, UnsignedLessThan, y, 200, |p| {
        let pointer = p.b.ins().iadd(data, y);
        let value = p.load(I64, pointer, 0);
        p.finish(&[value, y]);
    });
}

/// Runs `then` where the comparison holds and returns 2 where not.
fn guarded(p: &mut Body, cond: IntCC, x: Value, k: i64, then: impl FnOnce(&mut Body)) {
    let (yes, no) = (p.block(), p.block());
    let c = p.cmp(cond, x, k);
    p.branch(c, yes, no);
    p.to(no);
    p.ret(2);
    p.to(yes);
    then(p);
}

fn context_in_loop(p: &mut Body) {
    let context = p.params[0];
    let first = p.b.ins().iadd_imm_s(context, 8);
    let second = p.b.ins().iadd_imm_s(first, 8);
    let sum = four_times(p, |p, sum, _| {
        let a = p.load(I64, second, 0);
        let b = p.load(I32, first, 4);
        let b = p.b.ins().uextend(I64, b);
        let sum = p.b.ins().iadd(sum, a);
        p.b.ins().bxor(sum, b)
    });
    p.finish(&[sum]);
}

fn context_as_param(p: &mut Body) {
    let context = p.params[0];
    let x = p.arg(0);
    let (yes, no) = (p.block(), p.block());
    let (join, same_context) = p.block_with(I64);
    let value = p.b.append_block_param(join, I64);
    let c = p.cmp(SignedGreaterThan, x, 10);
    p.branch(c, yes, no);
    p.to(yes);
    let one = p.k(1);
    p.jump(join, &[context, one]);
    p.to(no);
    p.jump(join, &[context, x]);
    p.to(join);
    let y = p.load(I64, same_context, 16);
    p.finish(&[y, value]);
}

fn two_sided_range(p: &mut Body) {
    let x = p.arg(0);
    let data = p.array(1);
    guarded(p, UnsignedGreaterThan, x, 7, |p| {
        guarded(p, UnsignedLessThan, x, 200, |p| {
            let i = p.b.ins().iadd_imm_s(x, -8);
            let pointer = p.b.ins().iadd(data, i);
            let value = p.load(I64, pointer, 0);
            p.finish(&[value]);
        });
    });
}

fn indexes_and_back(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let data = p.array(1);
    let (i, j) = (p.b.ins().band_imm_u(x, 63), p.b.ins().band_imm_u(y, 63));
    let pointer = p.b.ins().iadd(data, i);
    let pointer = p.b.ins().iadd_imm_s(pointer, 16);
    let pointer = p.b.ins().iadd(pointer, j);
    let pointer = p.b.ins().iadd_imm_s(pointer, -16);
    let a = p.load(I64, pointer, 8);
    let b = p.load(I64, pointer, 0);
    p.finish(&[a, b]);
}

fn signed_range(p: &mut Body) {
    let x = p.arg(0);
    let data = p.array(1);
    let i = p.b.ins().ireduce(I32, x);
    guarded(p, SignedGreaterThanOrEqual, i, 0, |p| {
        guarded(p, SignedLessThan, i, 100, |p| {
            let index = p.b.ins().uextend(I64, i);
            let pointer = p.b.ins().iadd(data, index);
            let value = p.load(I64, pointer, 0);
            p.finish(&[value]);
        });
    });
}

fn helper_size(p: &mut Body) {
    let x = p.arg(0);
    let data = p.array(1);
    let text = p.zeroed(8);
    let i = p.b.ins().band_imm_u(x, 127);
    let pointer = p.b.ins().iadd(data, i);
    let size = p.load(I8, pointer, 0);
    let size = p.b.ins().uextend(I64, size);
    guarded(p, UnsignedLessThanOrEqual, size, 64, |p| {
        let destination = p.at(text, 0);
        let length = p.call("read_str", &[destination, size, pointer]);
        let word = p.b.ins().stack_load(I64, I64, text, 0);
        p.finish(&[length, word, size]);
    });
}

fn null_check_across_call(p: &mut Body) {
    let x = p.arg(0);
    let key = p.slot(4);
    let zero = p.b.ins().iconst(I32, 0);
    p.b.ins().stack_store(I64, zero, key, 0);
    let (map, key) = (p.map(1), p.at(key, 0));
    let found = p.call("lookup", &[map, key]);
    let is_null = p.cmp(Equal, found, 0);
    p.call("ktime", &[]);
    let (null, there) = (p.block(), p.block());
    p.branch(is_null, null, there);
    p.to(there);
    let value = p.load(I64, found, 8);
    let extra = p.b.ins().uextend(I64, is_null);
    let sum = p.b.ins().iadd(value, extra);
    let sum = p.b.ins().iadd(sum, x);
    p.finish(&[sum]);
    p.to(null);
    p.ret(2);
}

/// `do { if (x < 200) sum += data[x] } while (++i < 4)`
fn rotated(p: &mut Body) {
    let x = p.arg(0);
    let data = p.array(1);
    let (head, i) = p.block_with(I64);
    let sum = p.b.append_block_param(head, I64);
    let (within, done) = (p.block(), p.block());
    let (next, next_sum) = p.block_with(I64);
    let zero = p.k(0);
    p.jump(head, &[zero, zero]);
    p.to(head);
    let c = p.cmp(UnsignedLessThan, x, 200);
    p.branch_with(c, within, &[], next, &[sum]);
    p.to(within);
    let limit = p.k(200);
    let pointer = p.call("ptrchk", &[data, x, limit]);
    let value = p.load(I64, pointer, 0);
    let total = p.b.ins().iadd(sum, value);
    p.jump(next, &[total]);
    p.to(next);
    let i = p.b.ins().iadd_imm_s(i, 1);
    let c = p.cmp(UnsignedLessThan, i, 4);
    p.branch_with(c, head, &[i, next_sum], done, &[]);
    p.to(done);
    p.finish(&[next_sum]);
}

fn opaque_index(p: &mut Body) {
    let x = p.arg(0);
    let x = p.b.ins().band_imm_u(x, 0xffff);
    let data = p.array(1);
    let y = p.b.ins().bxor_imm_u(x, 5);
    let y = p.call("opaque", &[y]);
    guarded(p, UnsignedLessThan, y, 200, |p| {
        let pointer = p.call("ptradd", &[data, y]);
        let value = p.load(I64, pointer, 0);
        p.finish(&[value, y]);
    });
}
