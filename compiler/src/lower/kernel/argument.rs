//! Arguments of a probe: words of its context, registers, and what is reached from the current task.

use super::{Kernel, helper, namespace};
use crate::hir::ArgSource;
use crate::image::{Counted, MapRole};
use crate::intrinsic::Memory;
use crate::lower::code::{Addr, Code};
use crate::lower::target::{Target, Text};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};

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
            ArgSource::CalledFrom(ranges) => self.called_from(code, ranges),
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

    /// Whether the frame behind the function's own lies in one of some ranges. The kernel's own walk knows where a return
    /// probe has put another address into the stack. A stack of which it knows nothing is nobody's.
    fn called_from(&mut self, code: &mut Code, ranges: &[(u64, u64)]) -> Value {
        const FRAMES: u32 = 2;
        let mark = code.mark();
        let frames = code.slot(8 * FRAMES);
        // Of a helper that fills memory whole, the verifier of Linux 6.1 wants all of it to be known before.
        code.zero(frames, 8 * FRAMES);
        let (context, to) = (self.context, code.pointer(frames));
        let (size, skipped) = (code.k(i64::from(8 * FRAMES)), code.k(i64::from(self.program.skip_frames)));
        self.helper(code, helper::GET_STACK, &[context, to, size, skipped]);
        let back = self.behind_own(code, frames);
        code.release(mark);
        // Behind a call is where it goes on: not at the first byte of a function, perhaps at the one behind its last.
        let within = |code: &mut Code, (from, to): &(u64, u64)| {
            let inside = code.b.ins().iadd_imm_s(back, (from + 1).wrapping_neg() as i64);
            let length = code.k(to.wrapping_sub(*from) as i64);
            code.compare(IntCC::UnsignedLessThan, inside, length)
        };
        ranges.iter().fold(code.k(0), |any, range| {
            let here = within(code, range);
            code.b.ins().bor(any, here)
        })
    }

    /// The second of two frames; the first where that is not the function's own: to some trampolines the function jumps,
    /// and leaves no trace (at returns, Linux 7.2).
    fn behind_own(&mut self, code: &mut Code, frames: Addr) -> Value {
        /// The instructions before the call of a trampoline, with that call, are shorter.
        const START: i64 = 16;
        let second = code.load(I64, frames.plus(8));
        if self.program.skip_frames == 0 {
            return second;
        }
        let own = self.helper(code, helper::GET_FUNC_IP, &[self.context]);
        let first = code.load(I64, frames);
        let into = code.b.ins().isub(first, own);
        let (jumped, (done, back)) = (code.block(), code.block_with());
        let called = code.block();
        code.branch_if(IntCC::UnsignedLessThan, into, START, called, jumped);
        code.to(called);
        code.jump(done, &[second]);
        code.to(jumped);
        code.jump(done, &[first]);
        code.to(done);
        back
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
