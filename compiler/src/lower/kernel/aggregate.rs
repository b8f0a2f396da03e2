//! `<<<` in the kernel: one lookup, then plain additions to this CPU's value.

use super::{ANY, Kernel, NOEXIST, PTRCHK, further};
use crate::hir::GlobalId;
use crate::image::{Loss, MapRole, Storage, Value as Element};
use crate::lower::code::{Addr, Code};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};
use tapster_runtime_ebpf::aggregate::{Histogram, LOG_ZERO, Layout};

impl Kernel<'_> {
    /// Adds to a statistic without key.
    pub(super) fn aggregate_scalar(&mut self, code: &mut Code, global: GlobalId, value: Value) {
        let Storage::ScalarAggregate { offset, layout, .. } = self.plan.globals[global].storage else {
            unreachable!("a statistic without key is a scalar aggregate");
        };
        let map = self.role(MapRole::ScalarAggregates);
        let place = Addr::at(self.only_value(code, map)).plus(offset);
        let contended = self.plan.contended[global];
        add(code, layout, place, value, contended);
    }

    /// Adds to an element.
    ///
    /// Where one program alone writes the array, nothing can come between its lookup and its update on this CPU, and
    /// another CPU that inserts the key meanwhile leaves this CPU's part untouched: the update may overwrite it. Where
    /// several programs write, one may have interrupted the other: the update must not overwrite, and additions are
    /// atomic.
    pub(super) fn aggregate_element(&mut self, code: &mut Code, global: GlobalId, key: Addr, value: Value) {
        let array = self.plan.array(global).expect("a statistic with a key is an array");
        let (Some(map), Element::Aggregate(layout)) = (array.map, array.value) else {
            unreachable!("the kernel's statistics have a map");
        };
        let contended = self.plan.contended[global];
        let found = self.lookup(code, map, key);
        let (miss, done) = (code.block(), code.block());
        let (hit, place) = code.block_with();
        code.b.ins().brif(found, hit, &[found.into()], miss, &[]);
        code.to(hit);
        add(code, layout, Addr::at(place), value, contended);
        code.jump(done, &[]);
        code.to(miss);
        code.cold(miss);
        let (failed, again) = if layout.histogram == Histogram::None {
            let first = code.slot(layout.size());
            add_first(code, layout, first, value);
            (self.update(code, map, key, first, if contended { NOEXIST } else { ANY }), contended)
        } else {
            // Zeros are inserted and then added to: building a value with its buckets would cost a store a word.
            let zeros = self.zeros(code, layout.size());
            self.update(code, map, key, zeros, NOEXIST);
            (code.k(1), true)
        };
        let lost = code.block();
        if again {
            let again = code.block();
            code.branch_if(IntCC::Equal, failed, 0, done, again);
            code.to(again);
            let found = self.lookup(code, map, key);
            code.b.ins().brif(found, hit, &[found.into()], lost, &[]);
        } else {
            code.branch_if(IntCC::Equal, failed, 0, done, lost);
        }
        code.to(lost);
        code.cold(lost);
        self.lose(code, &Loss::ArrayFull(global));
        code.jump(done, &[]);
        code.to(done);
    }

    /// Working memory that nothing ever writes.
    fn zeros(&mut self, code: &mut Code, bytes: u32) -> Addr {
        let area = match self.zero_area {
            Some((area, size)) if size >= bytes => area,
            _ => {
                let area = self.reserve(bytes);
                self.zero_area = Some((area, bytes));
                area
            }
        };
        self.scratch_at(code, area)
    }
}

/// The complete value of one element that was counted once. Buckets never are in a value that is built like this.
fn add_first(code: &mut Code, layout: Layout, to: Addr, value: Value) {
    if layout.parts.count {
        code.store_k(1, to.plus(layout.count()));
    }
    for (wanted, at) in
        [(layout.parts.sum, layout.sum()), (layout.parts.min, layout.min()), (layout.parts.max, layout.max())]
    {
        if wanted {
            code.store(value, to.plus(at));
        }
    }
    if let Some(shift) = layout.parts.variance {
        let mean = code.b.ins().ishl_imm_u(value, i64::from(shift));
        code.store(mean, to.plus(layout.mean()));
        code.store_k(0, to.plus(layout.squares()));
    }
}

/// Adds to a value in place.
fn add(code: &mut Code, layout: Layout, to: Addr, value: Value, atomic: bool) {
    if layout.parts.min || layout.parts.max {
        add_extremes(code, layout, to, value);
    }
    let one = code.k(1);
    if layout.parts.count {
        add_word(code, to.plus(layout.count()), one, atomic);
    }
    if layout.parts.sum {
        add_word(code, to.plus(layout.sum()), value, atomic);
    }
    if let Some(shift) = layout.parts.variance {
        add_to_spread(code, layout, to, value, shift);
    }
    add_to_bucket(code, layout, to, value, atomic);
}

fn add_word(code: &mut Code, at: Addr, by: Value, atomic: bool) {
    if atomic {
        code.atomic_add(at, by);
    } else {
        let old = code.load(I64, at);
        let new = code.b.ins().iadd(old, by);
        code.store(new, at);
    }
}

/// `Spread::add` of `tapster_runtime_ebpf::variance`, behind the count: the zeros of a CPU that saw nothing need no case
/// of their own. Never atomic: two words that belong together cannot be.
fn add_to_spread(code: &mut Code, layout: Layout, to: Addr, value: Value, shift: u8) {
    let count = code.load(I64, to.plus(layout.count()));
    let value = code.b.ins().ishl_imm_u(value, i64::from(shift));
    let mean = code.load(I64, to.plus(layout.mean()));
    let delta = code.b.ins().isub(value, mean);
    let step = code.b.ins().sdiv(delta, count);
    let mean = code.b.ins().iadd(mean, step);
    code.store(mean, to.plus(layout.mean()));
    let rest = code.b.ins().isub(value, mean);
    let square = code.b.ins().imul(delta, rest);
    add_word(code, to.plus(layout.squares()), square, false);
}

/// Keeps the smallest and largest value; the first of a CPU is both.
fn add_extremes(code: &mut Code, layout: Layout, to: Addr, value: Value) {
    let count = code.load(I64, to.plus(layout.count()));
    for (wanted, at, cc) in [
        (layout.parts.min, layout.min(), IntCC::SignedLessThan),
        (layout.parts.max, layout.max(), IntCC::SignedGreaterThan),
    ] {
        if !wanted {
            continue;
        }
        let (other, set, done) = (code.block(), code.block(), code.block());
        code.branch_if(IntCC::Equal, count, 0, set, other);
        code.to(other);
        let old = code.load(I64, to.plus(at));
        let beyond = code.b.ins().icmp(cc, value, old);
        code.branch(beyond, set, done);
        code.to(set);
        code.store(value, to.plus(at));
        code.jump(done, &[]);
        code.to(done);
    }
}

fn add_to_bucket(code: &mut Code, layout: Layout, to: Addr, value: Value, atomic: bool) {
    let buckets = layout.histogram.buckets();
    let index = match layout.histogram {
        Histogram::None => return,
        Histogram::Log => log_bucket(code, value),
        Histogram::Linear { low, high, interval } => linear_bucket(code, value, low, high, interval),
    };
    let offset = code.b.ins().ishl_imm_u(index, 3);
    let limit = code.k(i64::from(8 * buckets));
    let bucket = further(code, PTRCHK, to.plus(layout.buckets()), &[offset, limit]);
    let one = code.k(1);
    add_word(code, bucket, one, atomic);
}

/// The bucket of `aggregate::log_bucket`, without a branch: each would double what the verifier walks.
fn log_bucket(code: &mut Code, value: Value) -> Value {
    // All ones where the value is negative.
    let sign = code.b.ins().sshr_imm_u(value, 63);
    let flipped = code.b.ins().bxor(value, sign);
    let mut rest = code.b.ins().isub(flipped, sign);
    let mut bits = code.k(0);
    for step in [32, 16, 8, 4, 2, 1] {
        // 1 where the rest has more than `step` bits: the subtraction then borrows into the top bit.
        let most = code.k((1_i64 << step) - 1);
        let borrow = code.b.ins().isub(most, rest);
        let more = code.b.ins().ushr_imm_u(borrow, 63);
        let shift = code.b.ins().ishl_imm_u(more, i64::from((step as u32).trailing_zeros()));
        rest = code.b.ins().ushr(rest, shift);
        bits = code.b.ins().iadd(bits, shift);
    }
    let bits = code.b.ins().iadd(bits, rest);
    let signed = code.b.ins().bxor(bits, sign);
    let signed = code.b.ins().isub(signed, sign);
    code.b.ins().iadd_imm_s(signed, i64::from(LOG_ZERO))
}

/// The bucket of `aggregate::linear_bucket`.
fn linear_bucket(code: &mut Code, value: Value, low: i64, high: i64, interval: i64) -> Value {
    let last = Histogram::Linear { low, high, interval }.buckets() - 1;
    let (below, inside) = (code.block(), code.block());
    let (done, index) = code.block_with();
    code.branch_if(IntCC::SignedLessThan, value, low, below, inside);
    code.to(below);
    let zero = code.k(0);
    code.jump(done, &[zero]);
    code.to(inside);
    let low = code.k(low);
    let distance = code.b.ins().isub(value, low);
    let nth = code.b.ins().udiv_imm_u(distance, interval);
    let nth = code.b.ins().iadd_imm_s(nth, 1);
    let last = code.k(i64::from(last));
    let index_inside = code.b.ins().umin(nth, last);
    code.jump(done, &[index_inside]);
    code.to(done);
    index
}
