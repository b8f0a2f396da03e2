//! Arithmetic and control flow.
use crate::Build;
use crate::build::{Body, entry, flags};
use crate::host::Host;
use cranelift_codegen::ir::condcodes::IntCC::*;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{InstBuilder, JumpTableData};

pub type Case = (&'static str, Build<'static>);

macro_rules! one {
    ($write:expr) => {
        &|host: &mut Host| entry(host, $write)
    };
}

pub const CASES: &[Case] = &[
    ("arithmetic on 64 bits", one!(arithmetic)),
    ("division by constants and variables", one!(division)),
    ("division of narrow types", one!(narrow_division)),
    ("comparisons of every type", one!(comparisons)),
    ("conditions negated and combined", one!(conditions)),
    ("minimum, maximum, absolute value", one!(extremes)),
    ("counting bits", one!(bit_counts)),
    ("changes of width", one!(widths)),
    ("signed loads", one!(signed_loads)),
    ("a counted loop", one!(counted_loop)),
    ("a loop the kernel may end", one!(may_goto)),
    ("a switch", one!(switch)),
    ("branches on constants", one!(constant_branches)),
    ("cold blocks", one!(cold_blocks)),
];

fn arithmetic(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let (k, k2, k3) = (p.k(0x1234_5678_9abc_def1), p.k(0xdead_beef), p.k(-7));
    let a = p.b.ins().imul(x, k);
    let b = p.b.ins().iadd(a, k2);
    let c = p.b.ins().bxor(b, y);
    let d = p.b.ins().isub(k3, c);
    let rotated = p.b.ins().rotl(d, y);
    let rotated_by = p.b.ins().rotr_imm_u(d, 13);
    let shifted = p.b.ins().sshr(rotated, x);
    let high = p.b.ins().umulhi(x, y);
    let signed_high = p.b.ins().smulhi(x, k3);
    let n = p.b.ins().bnot(x);
    let selected = p.b.ins().bitselect(k, n, y);
    let swapped = p.b.ins().bswap(y);
    p.finish(&[a, b, shifted, rotated_by, high, signed_high, selected, swapped]);
}

fn division(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let one = p.k(1);
    let positive = p.b.ins().ushr(y, one);
    let positive = p.b.ins().bor(positive, one);
    let negative = p.b.ins().ineg(positive);
    let a = p.b.ins().udiv(x, positive);
    let b = p.b.ins().urem(x, negative);
    let c = p.b.ins().sdiv(x, positive);
    let d = p.b.ins().srem(x, negative);
    let (k10, k16, k_big) = (p.k(10), p.k(-16), p.k(0x1_0000_0001));
    let e = p.b.ins().sdiv(x, k10);
    let f = p.b.ins().srem(x, k10);
    let g = p.b.ins().sdiv(x, k16);
    let h = p.b.ins().udiv(x, k_big);
    p.finish(&[a, b, c, d, e, f, g, h]);
}

fn narrow_division(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let mut results = vec![];
    for ty in [I8, I16, I32] {
        let (a, b) = (p.b.ins().ireduce(ty, x), p.b.ins().ireduce(ty, y));
        let one = p.b.ins().iconst(ty, 1);
        let b = p.b.ins().ushr(b, one);
        let b = p.b.ins().bor(b, one);
        let quotient = p.b.ins().udiv(a, b);
        let remainder = p.b.ins().srem(a, b);
        let seven = p.b.ins().iconst(ty, 7);
        let by_seven = p.b.ins().sdiv(a, seven);
        let sum = p.b.ins().iadd(quotient, remainder);
        results.push(p.b.ins().sextend(I64, sum));
        results.push(p.b.ins().uextend(I64, by_seven));
    }
    p.finish(&results);
}

fn comparisons(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let mut total = p.k(0);
    for ty in [I64, I32, I16, I8] {
        let (a, b) = if ty == I64 { (x, y) } else { (p.b.ins().ireduce(ty, x), p.b.ins().ireduce(ty, y)) };
        for cond in [Equal, NotEqual, SignedLessThan, SignedGreaterThanOrEqual, UnsignedLessThan, UnsignedGreaterThan] {
            let (yes, no) = (p.block(), p.block());
            let (join, joined) = p.block_with(I64);
            let c = p.b.ins().icmp(cond, a, b);
            p.branch(c, yes, no);
            p.to(yes);
            let tripled = p.b.ins().imul_imm_s(total, 3);
            let sum = p.b.ins().iadd(tripled, x);
            p.jump(join, &[sum]);
            p.to(no);
            let mixed = p.b.ins().bxor(total, y);
            p.jump(join, &[mixed]);
            p.to(join);
            let c = p.cmp(cond, a, 5);
            let c = p.b.ins().uextend(I64, c);
            total = p.b.ins().iadd(joined, c);
            let c = p.cmp(cond, a, -3);
            let c = p.b.ins().uextend(I64, c);
            total = p.b.ins().isub(total, c);
        }
        let wide = if ty == I64 { a } else { p.b.ins().sextend(I64, a) };
        total = p.b.ins().iadd(total, wide);
    }
    p.finish(&[total]);
}

fn conditions(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let narrow = p.b.ins().ireduce(I8, x);
    let less = p.b.ins().icmp(SignedLessThan, x, y);
    let wide = p.b.ins().uextend(I64, less);
    let not = p.cmp(Equal, wide, 0);
    let same = p.cmp(NotEqual, not, 0);
    let as_number = p.b.ins().uextend(I64, same);
    let two_sided = p.cmp(UnsignedGreaterThan, x, 100);
    let both = p.b.ins().band(two_sided, not);
    let (yes, no) = (p.block(), p.block());
    let (join, joined) = p.block_with(I64);
    p.branch(both, yes, no);
    p.to(yes);
    p.jump(join, &[x]);
    p.to(no);
    let (yes, no) = (p.block(), p.block());
    p.branch(not, yes, no);
    p.to(yes);
    p.jump(join, &[y]);
    p.to(no);
    let (yes, no) = (p.block(), p.block());
    p.branch(narrow, yes, no);
    p.to(yes);
    p.jump(join, &[as_number]);
    p.to(no);
    let mask = p.b.ins().bmask(I64, narrow);
    p.jump(join, &[mask]);
    p.to(join);
    let chosen = p.b.ins().select(both, x, as_number);
    let (one, minus) = (p.k(1), p.k(-1));
    let constant = p.b.ins().select(less, one, minus);
    let first_constant = p.b.ins().select(narrow, one, y);
    p.finish(&[joined, chosen, constant, first_constant]);
}

fn extremes(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let mut results = vec![];
    for ty in [I8, I16, I32, I64] {
        let (a, b) = if ty == I64 { (x, y) } else { (p.b.ins().ireduce(ty, x), p.b.ins().ireduce(ty, y)) };
        let smallest = p.b.ins().smin(a, b);
        let largest = p.b.ins().umax(a, b);
        let seven = p.b.ins().iconst(ty, 7);
        let clamped = p.b.ins().umin(a, seven);
        let floored = p.b.ins().smax(seven, b);
        let absolute = p.b.ins().iabs(a);
        let mut sum = p.b.ins().imul(smallest, largest);
        for part in [clamped, floored, absolute] {
            let tripled = p.b.ins().imul_imm_s(sum, 3);
            sum = p.b.ins().bxor(tripled, part);
        }
        results.push(if ty == I64 { sum } else { p.b.ins().uextend(I64, sum) });
    }
    p.finish(&results);
}

fn bit_counts(p: &mut Body) {
    let x = p.arg(0);
    let mut results = vec![];
    for ty in [I8, I16, I32, I64] {
        let a = if ty == I64 { x } else { p.b.ins().ireduce(ty, x) };
        let (ones, leading, trailing) = (p.b.ins().popcnt(a), p.b.ins().clz(a), p.b.ins().ctz(a));
        let ten = p.b.ins().iconst(ty, 10);
        let sum = p.b.ins().imul(ones, ten);
        let sum = p.b.ins().iadd(sum, leading);
        let sum = p.b.ins().imul(sum, ten);
        let sum = p.b.ins().iadd(sum, trailing);
        results.push(if ty == I64 { sum } else { p.b.ins().uextend(I64, sum) });
    }
    p.finish(&results);
}

fn widths(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let byte = p.b.ins().ireduce(I8, x);
    let half = p.b.ins().sextend(I16, byte);
    let word = p.b.ins().uextend(I32, half);
    let back = p.b.ins().ireduce(I8, word);
    let a = p.b.ins().uextend(I64, back);
    let sum = p.b.ins().iadd(word, word);
    let b = p.b.ins().sextend(I64, sum);
    let shifted = p.b.ins().ishl(half, byte);
    let c = p.b.ins().uextend(I64, shifted);
    let rotated = p.b.ins().rotl_imm_u(byte, 3);
    let d = p.b.ins().sextend(I64, rotated);
    let swapped = p.b.ins().bswap(half);
    let e = p.b.ins().uextend(I64, swapped);
    let low = p.b.ins().band_imm_u(y, 0xff);
    let same = p.b.ins().band_imm_u(low, 0xffff);
    let quarter = p.b.ins().ushr_imm_u(same, 2);
    let high = p.b.ins().ireduce(I8, quarter);
    let f = p.b.ins().uextend(I64, high);
    let narrow = p.b.ins().ushr(back, byte);
    let g = p.b.ins().sextend(I32, narrow);
    let g = p.b.ins().uextend(I64, g);
    p.finish(&[a, b, c, d, e, f, g]);
}

fn signed_loads(p: &mut Body) {
    let data = p.array(1);
    let context = p.params[0];
    let a = p.b.ins().sload8(I64, flags(), data, 1);
    let b = p.b.ins().sload16(I64, flags(), data, 2);
    let c = p.b.ins().sload32(flags(), data, 4);
    let d = p.b.ins().sload8(I32, flags(), data, 9);
    let d = p.b.ins().uextend(I64, d);
    let e = p.b.ins().uload16(I64, flags(), data, 10);
    let f = p.b.ins().uload8(I32, flags(), data, 12);
    let f = p.b.ins().sextend(I64, f);
    let g = p.b.ins().sload32(flags(), context, 8);
    p.b.ins().istore16(flags(), g, data, 30);
    p.b.ins().istore32(flags(), b, data, 32);
    p.finish(&[a, b, c, d, e, f, g]);
}

fn counted_loop(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let n = p.b.ins().band_imm_u(x, 31);
    let (head, i) = p.block_with(I64);
    let sum = p.b.append_block_param(head, I64);
    let unused = p.b.append_block_param(head, I64);
    let (body, done) = (p.block(), p.block());
    let zero = p.k(0);
    p.jump(head, &[zero, y, x]);
    p.to(head);
    let c = p.b.ins().icmp(UnsignedLessThan, i, n);
    p.branch(c, body, done);
    p.to(body);
    let product = p.b.ins().imul(i, x);
    let next_sum = p.b.ins().iadd(sum, product);
    let next = p.b.ins().iadd_imm_s(i, 1);
    let other = p.b.ins().bxor(unused, i);
    p.jump(head, &[next, next_sum, other]);
    p.to(done);
    p.finish(&[sum, n]);
}

fn may_goto(p: &mut Body) {
    let x = p.arg(0);
    let (head, i) = p.block_with(I64);
    let (check, body, done) = (p.block(), p.block(), p.block());
    let zero = p.k(0);
    p.jump(head, &[zero]);
    p.to(head);
    let enough = p.call("may_goto", &[]);
    p.branch(enough, done, check);
    p.to(check);
    let c = p.cmp(UnsignedLessThan, i, 1000);
    p.branch(c, body, done);
    p.to(body);
    let next = p.b.ins().iadd_imm_s(i, 3);
    p.jump(head, &[next]);
    p.to(done);
    p.finish(&[i, x]);
}

fn switch(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let index = p.b.ins().band_imm_u(x, 7);
    let index = p.b.ins().ireduce(I32, index);
    let (join, joined) = p.block_with(I64);
    let other = p.block();
    let cases: Vec<_> = (0..4).map(|_| p.block()).collect();
    let targets = [cases[0], cases[1], cases[2], cases[1], cases[3]];
    let pool = &mut p.b.func.dfg.value_lists;
    let call = |block, pool: &mut _| cranelift_codegen::ir::BlockCall::new(block, [], pool);
    let table: Vec<_> = targets.iter().map(|block| call(*block, pool)).collect();
    let default = call(other, pool);
    let table = p.b.create_jump_table(JumpTableData::new(default, &table));
    p.b.ins().br_table(index, table);
    for (i, case) in cases.iter().enumerate() {
        p.to(*case);
        let value = p.b.ins().imul_imm_s(y, i as i64 + 2);
        p.jump(join, &[value]);
    }
    p.to(other);
    p.jump(join, &[x]);
    p.to(join);
    p.finish(&[joined]);
}

fn constant_branches(p: &mut Body) {
    let x = p.arg(0);
    let (yes, no) = (p.block(), p.block());
    let (join, joined) = p.block_with(I64);
    let one = p.b.ins().iconst(I8, 1);
    p.branch(one, yes, no);
    p.to(no);
    // Never translated: the verifier would refuse code that cannot be reached, and the back end a trap.
    p.b.ins().trap(cranelift_codegen::ir::TrapCode::unwrap_user(1));
    p.to(yes);
    let zero = p.b.ins().iconst(I8, 0);
    let k = p.k(5);
    let other = p.block();
    p.branch_with(zero, other, &[], join, &[k]);
    p.to(other);
    p.jump(join, &[x]);
    p.to(join);
    p.finish(&[joined, x]);
}

fn cold_blocks(p: &mut Body) {
    let (x, y) = (p.arg(0), p.arg(1));
    let (rare, usual) = (p.block(), p.block());
    let (join, joined) = p.block_with(I64);
    p.b.set_cold_block(rare);
    let c = p.cmp(UnsignedLessThan, x, 100);
    p.branch(c, rare, usual);
    p.to(rare);
    let product = p.b.ins().imul(x, y);
    p.jump(join, &[product]);
    p.to(usual);
    p.jump(join, &[y]);
    p.to(join);
    p.finish(&[joined]);
}

/// A branch over some thousand rounds of work, one in a hundred with a branch of its own.
pub fn long(p: &mut Body, rounds: i64) {
    let (x, y) = (p.arg(0), p.arg(1));
    let data = p.array(1);
    let (work, end) = (p.block(), p.block());
    let (join, joined) = p.block_with(I64);
    let c = p.cmp(UnsignedLessThan, x, 100);
    p.branch(c, work, end);
    p.to(work);
    let mut total = y;
    for round in 0..rounds {
        let next = p.b.ins().imul_imm_s(total, round | 1);
        p.store(next, data, (round % 30 * 8) as i32);
        total = next;
        if round % 100 != 0 {
            continue;
        }
        let (merge, merged) = p.block_with(I64);
        let other = p.block();
        let c = p.cmp(Equal, next, round);
        p.branch_with(c, other, &[], merge, &[next]);
        p.to(other);
        let changed = p.b.ins().bxor(next, y);
        p.jump(merge, &[changed]);
        p.to(merge);
        total = merged;
    }
    p.jump(join, &[total]);
    p.to(end);
    p.jump(join, &[y]);
    p.to(join);
    p.finish(&[joined]);
}
