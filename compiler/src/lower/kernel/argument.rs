//! Arguments of a probe: words of its context, registers, and what is reached from the current task.

use super::{Kernel, helper, namespace};
use crate::hir::ArgSource;
use crate::image::{Counted, MapRole};
use crate::intrinsic::Memory;
use crate::lower::code::{Addr, Code};
use crate::lower::target::{Target, Text};
use cranelift_codegen::ir::Value;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;

/// Bytes of the message about a counter.
const UNREADABLE: u32 = 32;

impl Kernel<'_> {
    pub(super) fn argument(&mut self, code: &mut Code, source: &ArgSource) -> Value {
        match source {
            ArgSource::Word(nth) => self.context_word(code, 8 * nth),
            ArgSource::CopiedWord(nth) => {
                let at = Addr::at(self.context).plus(8 * nth);
                self.peek_number(code, Memory::Kernel, at, 8, 0)
            }
            ArgSource::Register(offset) => self.context_word(code, *offset),
            ArgSource::Value(_) | ArgSource::Memory(_) => unreachable!("checking puts in what they are worked out by"),
            ArgSource::Task => self.helper(code, helper::GET_CURRENT_TASK, &[]),
            ArgSource::Reach(offsets) => self.reach_from_task(code, offsets),
            ArgSource::Counter(event) => self.counter(code, *event),
            ArgSource::CacheOf(object, kfunc) => {
                let object = self.argument(code, object);
                let cache = code.call(namespace::KFUNC, *kfunc, &[object]);
                let (none, some) = (code.block(), code.block());
                code.branch_if(IntCC::Equal, cache, 0, none, some);
                // Memory that is no slab object has no cache: the function this stands for is not called for it.
                code.to(none);
                self.leave(code);
                code.to(some);
                cache
            }
        }
    }

    /// Follows pointers from the current task. The helper leaves zeros where there is nothing to read.
    fn reach_from_task(&mut self, code: &mut Code, offsets: &[u32]) -> Value {
        let mut value = self.helper(code, helper::GET_CURRENT_TASK, &[]);
        for offset in offsets {
            let mark = code.mark();
            let slot = code.slot(8);
            let (to, from, bytes) = (code.pointer(slot), code.pointer(Addr::at(value).plus(*offset)), code.k(8));
            self.helper(code, helper::PROBE_READ_KERNEL, &[to, bytes, from]);
            value = code.load(I64, slot);
            code.release(mark);
        }
        value
    }

    /// What this CPU has counted; an error where it cannot, as one that was not there at the start.
    fn counter(&mut self, code: &mut Code, event: Counted) -> Value {
        /// `BPF_F_CURRENT_CPU` of include/uapi/linux/bpf.h.
        const CURRENT_CPU: i64 = 0xffff_ffff;
        /// What is above, as a number without sign, is an error (include/linux/err.h).
        const ERRORS: i64 = -4096;
        let map = self.role(MapRole::Counter(event));
        let (map, cpu) = (self.map(code, map), code.k(CURRENT_CPU));
        let count = self.helper(code, helper::PERF_EVENT_READ, &[map, cpu]);
        let (bad, good) = (code.block(), code.block());
        code.branch_if(IntCC::UnsignedGreaterThan, count, ERRORS, bad, good);
        code.to(bad);
        code.cold(bad);
        let message = Text::Literal(b"this CPU has no such counter".to_vec());
        self.fault_text(code, &message, UNREADABLE);
        code.to(good);
        count
    }

    pub(super) fn context_word(&mut self, code: &mut Code, offset: u32) -> Value {
        let at = Addr::at(self.context).plus(offset);
        code.load(I64, at)
    }
}
