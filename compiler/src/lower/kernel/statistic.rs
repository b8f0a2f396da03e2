//! `@count` and its kind in the kernel: the parts of all CPUs put together.

use super::callback::Round;
use super::{Kernel, helper, namespace};
use crate::hir::GlobalId;
use crate::host::Extractor;
use crate::image::{MapRole, Storage, Value as Element};
use crate::lower::code::{Addr, Code};
use crate::lower::target::{Raise, Target};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::aggregate::Layout;
use tapster_runtime_ebpf::record::Fault;

/// Where the parts are put together.
mod frame {
    /// The key's address.
    pub const KEY: u32 = 0;
    /// How many values.
    pub const COUNT: u32 = 8;
    /// Their sum.
    pub const SUM: u32 = 16;
    /// The smallest.
    pub const MIN: u32 = 24;
    /// The largest.
    pub const MAX: u32 = 32;
    /// Bytes of it all.
    pub const SIZE: u32 = 40;
}

impl Kernel<'_> {
    /// Reads an extractor; nothing has neither an average nor a smallest or largest value.
    pub(super) fn extract(
        &mut self,
        code: &mut Code,
        extractor: Extractor,
        global: GlobalId,
        key: Option<Addr>,
        span: Span,
    ) -> Value {
        let (map, offset, layout) = self.statistic_place(global);
        let mark = code.mark();
        let key = key.unwrap_or_else(|| {
            let first = code.slot(8);
            code.store_k(0, first);
            first
        });
        let frame = self.frame(code, frame::SIZE);
        let key = code.pointer(key);
        code.store(key, frame.plus(frame::KEY));
        for (at, start) in [(frame::COUNT, 0), (frame::SUM, 0), (frame::MIN, i64::MAX), (frame::MAX, i64::MIN)] {
            code.store_k(start, frame.plus(at));
        }
        let cpus = code.symbol(namespace::CONSTANTS, self.plan.constants.cpus());
        let cpus = code.load(I64, Addr::at(cpus));
        self.rounds(code, Round::Statistic(global), cpus, frame, |code, cpu, frame| {
            add_cpu(code, (map, offset, layout), cpu, frame);
        });
        let [count, sum, min, max] =
            [frame::COUNT, frame::SUM, frame::MIN, frame::MAX].map(|at| code.load(I64, frame.plus(at)));
        code.release(mark);
        match extractor {
            Extractor::Count => return count,
            Extractor::Sum => return sum,
            Extractor::Min | Extractor::Max | Extractor::Avg => {}
            Extractor::Variance => unreachable!("user space does this for kernel handlers"),
        }
        let (empty, some) = (code.block(), code.block());
        code.branch_if(IntCC::Equal, count, 0, empty, some);
        code.to(empty);
        code.cold(empty);
        self.raise(code, Raise { fault: Fault::EmptyAggregate, detail: None, span });
        code.to(some);
        match extractor {
            Extractor::Min => min,
            Extractor::Max => max,
            _ => code.b.ins().sdiv(sum, count),
        }
    }

    /// The map of a statistic, its place in a value, and its parts.
    fn statistic_place(&self, global: GlobalId) -> (usize, u32, Layout) {
        match &self.plan.globals[global].storage {
            Storage::ScalarAggregate { offset, layout, .. } => (self.role(MapRole::ScalarAggregates), *offset, *layout),
            Storage::Array(array) => match (array.map, array.value) {
                (Some(map), Element::Aggregate(layout)) => (map, 0, layout),
                _ => unreachable!("the kernel's statistics have a map"),
            },
            _ => unreachable!("types were checked"),
        }
    }
}

/// Adds the part of one CPU.
fn add_cpu(code: &mut Code, (map, offset, layout): (usize, u32, Layout), cpu: Value, frame: Addr) {
    let (next, there, some) = (code.block(), code.block(), code.block());
    let (map, key) = (code.symbol(namespace::MAP, map as u32), code.load(I64, frame.plus(frame::KEY)));
    let place = code.call(namespace::HELPER, helper::MAP_LOOKUP_PERCPU_ELEM, &[map, key, cpu]);
    code.branch_if(IntCC::Equal, place, 0, next, there);
    code.to(there);
    let part = Addr::at(place).plus(offset);
    if layout.parts.count {
        let count = code.load(I64, part.plus(layout.count()));
        // What a CPU that saw nothing has for its smallest value is no value.
        code.branch_if(IntCC::Equal, count, 0, next, some);
        code.to(some);
        gather(code, frame.plus(frame::COUNT), count, |code, a, b| code.b.ins().iadd(a, b));
    }
    if layout.parts.sum {
        let sum = code.load(I64, part.plus(layout.sum()));
        gather(code, frame.plus(frame::SUM), sum, |code, a, b| code.b.ins().iadd(a, b));
    }
    if layout.parts.min {
        let min = code.load(I64, part.plus(layout.min()));
        gather(code, frame.plus(frame::MIN), min, |code, a, b| code.b.ins().smin(a, b));
    }
    if layout.parts.max {
        let max = code.load(I64, part.plus(layout.max()));
        gather(code, frame.plus(frame::MAX), max, |code, a, b| code.b.ins().smax(a, b));
    }
    code.jump(next, &[]);
    code.to(next);
    code.ret(0);
}

fn gather(code: &mut Code, at: Addr, part: Value, with: impl FnOnce(&mut Code, Value, Value) -> Value) {
    let all = code.load(I64, at);
    let all = with(code, all, part);
    code.store(all, at);
}
