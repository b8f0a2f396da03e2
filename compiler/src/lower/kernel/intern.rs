//! Stacks and wide strings as handles: the bytes go into a map once, the handle is their hash.

use super::{Kernel, MAY_GOTO, NOEXIST, PTRADD, PTRCHK, further, helper, namespace};
use crate::image::{Loss, MapRole};
use crate::intrinsic::Memory;
use crate::lower::code::{Addr, Code};
use crate::lower::target::{Target, Text};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use tapster_runtime_ebpf::intern::{self, FACTOR, NONE, SEED, stack};
use tapster_runtime_ebpf::state;

/// `BPF_F_USER_STACK` of include/uapi/linux/bpf.h.
const USER_STACK: i64 = 1 << 8;
/// `-EEXIST`: another CPU was first, with the same bytes.
const EXISTS: i64 = -17;

impl Kernel<'_> {
    /// Takes the stack of the kernel or of the current process and gives its handle.
    pub(super) fn intern_stack(&mut self, code: &mut Code, memory: Memory) -> Value {
        let frames = self.plan.stack_frames;
        let area = match self.stack_area {
            Some(area) => area,
            None => self.reserve(stack::size(frames)),
        };
        self.stack_area = Some(area);
        let place = self.scratch_at(code, area);
        let first = place.plus(stack::FRAMES);
        let limit = 8 * frames;
        let flags = match memory {
            Memory::Kernel => i64::from(self.program.skip_frames),
            Memory::User => USER_STACK,
        };
        let (context, to) = (self.context, code.pointer(first));
        let (size, flags) = (code.k(i64::from(limit)), code.k(flags));
        let bytes = self.helper(code, helper::GET_STACK, &[context, to, size, flags]);
        let (failed, taken) = (code.block(), code.block());
        let (done, handle) = code.block_with();
        code.branch_if(IntCC::SignedLessThanOrEqual, bytes, 0, failed, taken);
        code.to(failed);
        code.cold(failed);
        // A task of the kernel has no stack of a process.
        if memory == Memory::Kernel && !self.program.stops_programs {
            self.lose(code, &Loss::StackFailed);
        }
        let none = code.k(NONE as i64);
        code.jump(done, &[none]);
        code.to(taken);
        let hash = self.hash_words(code, first, bytes, (limit, true));
        let count = code.b.ins().ushr_imm_u(bytes, 3);
        let count = match memory {
            Memory::Kernel => count,
            Memory::User => self.with_process(code, count),
        };
        code.store(count, place.plus(stack::COUNT));
        let cut = code.b.ins().icmp_imm_s(IntCC::Equal, bytes, i64::from(limit));
        self.keep(code, MapRole::Stacks, hash, Loss::StacksFull, (cut, Loss::StackTruncated), |_, _| place);
        code.jump(done, &[hash]);
        code.to(done);
        handle
    }

    /// Puts the process id into the upper half of a word.
    fn with_process(&mut self, code: &mut Code, word: Value) -> Value {
        let ids = self.helper(code, helper::GET_CURRENT_PID_TGID, &[]);
        // The process id is the upper half already.
        let process = code.b.ins().ushr_imm_u(ids, 32);
        let process = code.b.ins().ishl_imm_u(process, 32);
        code.b.ins().bor(process, word)
    }

    /// Gives the handle of a string of at most `size` bytes.
    pub(super) fn intern_text(&mut self, code: &mut Code, text: &Text, size: u32) -> Value {
        if let Text::Literal(bytes) = text {
            return self.intern_literal(code, bytes, size);
        }
        let place = self.interned_text(code, size);
        let length = self.put_counted(code, text, place, size);
        let (empty, some) = (code.block(), code.block());
        let (done, handle) = code.block_with();
        code.branch_if(IntCC::SignedLessThanOrEqual, length, 1, empty, some);
        code.to(empty);
        let none = code.k(NONE as i64);
        code.jump(done, &[none]);
        code.to(some);
        // Zeros behind the string, so that its last word is the same wherever it was read. A length is at most the
        // size, which the verifier does not know.
        let limit = code.k(i64::from(size) + 1);
        let start = code.pointer(place);
        let tail = code.call(namespace::PSEUDO, PTRCHK, &[start, length, limit]);
        code.store_k(0, Addr::at(tail));
        let bytes = code.b.ins().iadd_imm_s(length, 6);
        let bytes = code.b.ins().band_imm_s(bytes, -8);
        let hash = self.hash_words(code, place, bytes, (size, false));
        let cut = code.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, length, i64::from(size));
        self.keep(code, MapRole::Strings, hash, Loss::StringsFull, (cut, Loss::StringTruncated), |_, _| place);
        code.jump(done, &[hash]);
        code.to(done);
        handle
    }

    /// Gives the handle of known bytes, which is known, too.
    fn intern_literal(&mut self, code: &mut Code, bytes: &[u8], size: u32) -> Value {
        let kept = &bytes[..bytes.len().min(size as usize - 1)];
        let handle = code.k(intern::text(kept) as i64);
        if !kept.is_empty() {
            let text = Text::Literal(kept.to_vec());
            let cut = code.k(i64::from(kept.len() < bytes.len()));
            self.keep(code, MapRole::Strings, handle, Loss::StringsFull, (cut, Loss::StringTruncated), |this, code| {
                let place = this.interned_text(code, size);
                this.put(code, &text, place, size, false);
                place
            });
        }
        handle
    }

    /// Working memory for a string on its way to the map.
    fn interned_text(&mut self, code: &mut Code, size: u32) -> Addr {
        let area = match self.text_area {
            Some(area) => area,
            // One word more: zeros follow a string that fills the area.
            None => self.reserve(size + 8),
        };
        self.text_area = Some(area);
        self.scratch_at(code, area)
    }

    /// Puts a string and gives its length with the NUL.
    fn put_counted(&mut self, code: &mut Code, text: &Text, to: Addr, size: u32) -> Value {
        if let Text::Foreign(foreign) = text {
            return self.read_string(code, *foreign, to, size);
        }
        let from = self.at(code, text, size);
        let (to, bytes, from) = (code.pointer(to), code.k(i64::from(size)), code.pointer(from));
        self.helper(code, helper::PROBE_READ_KERNEL_STR, &[to, bytes, from])
    }

    /// Stores bytes under their hash where they are new; counts them where they were cut.
    fn keep(
        &mut self,
        code: &mut Code,
        role: MapRole,
        hash: Value,
        full: Loss,
        (cut, truncated): (Value, Loss),
        bytes: impl FnOnce(&mut Self, &mut Code) -> Addr,
    ) {
        let map = self.role(role);
        let mark = code.mark();
        let key = code.slot(8);
        code.store(hash, key);
        let found = self.lookup(code, map, key);
        let (new, shortened, store, done) = (code.block(), code.block(), code.block(), code.block());
        code.branch(found, done, new);
        code.to(new);
        code.cold(new);
        code.branch(cut, shortened, store);
        code.to(shortened);
        code.cold(shortened);
        self.lose(code, &truncated);
        code.jump(store, &[]);
        code.to(store);
        code.cold(store);
        let bytes = bytes(self, code);
        let failed = self.update(code, map, key, bytes, NOEXIST);
        code.release(mark);
        let (other, lost) = (code.block(), code.block());
        code.branch_if(IntCC::Equal, failed, 0, done, other);
        code.to(other);
        code.cold(other);
        // Half a register: before 6.4 the operations of maps return an `int`, and what stands above it is not said.
        let failed = code.b.ins().ireduce(I32, failed);
        code.branch_if(IntCC::Equal, failed, EXISTS, done, lost);
        code.to(lost);
        code.cold(lost);
        self.lose(code, &full);
        code.jump(done, &[]);
        code.to(done);
    }

    /// The hash of `intern::step` over the first `bytes` bytes (whole words, at most the limit, which verifiers that know
    /// `may_goto` may know themselves).
    fn hash_words(&mut self, code: &mut Code, first: Addr, bytes: Value, (limit, known): (u32, bool)) -> Value {
        let head = code.block();
        let at = code.b.append_block_param(head, I64);
        let hash = code.b.append_block_param(head, I64);
        let (body, done) = (code.block(), code.block());
        let (start, seed) = (self.start(code, limit), code.k(SEED as i64));
        code.jump(head, &[start, seed]);
        code.to(head);
        if self.program.may_goto {
            // The verifier walks the loop three times with it, and as often as there are words without.
            let (ends, on) = (code.call(namespace::PSEUDO, MAY_GOTO, &[]), code.block());
            code.branch(ends, done, on);
            code.to(on);
        }
        let more = code.b.ins().icmp(IntCC::UnsignedLessThan, at, bytes);
        if self.program.may_goto && known {
            code.branch(more, body, done);
        } else {
            // Linux 6.1's verifier does not know how much a helper can have written; the constant bound ends its walk,
            // and makes the access below safe, as `at` is a constant in each of its rounds, or has only a word's bits.
            let within = code.block();
            code.branch(more, within, done);
            code.to(within);
            code.branch_if(IntCC::UnsignedLessThan, at, i64::from(limit), body, done);
        }
        code.to(body);
        let word = further(code, PTRADD, first, &[at]);
        let word = code.load(I64, word);
        let mixed = code.b.ins().bxor(hash, word);
        let factor = code.k(FACTOR as i64);
        let mixed = code.b.ins().imul(mixed, factor);
        let high = code.b.ins().ushr_imm_u(mixed, 32);
        let mixed = code.b.ins().bxor(mixed, high);
        let next = code.b.ins().iadd_imm_s(at, 8);
        code.jump(head, &[next, mixed]);
        code.to(done);
        hash
    }

    /// Zero; where `may_goto` ends the loop, one that the verifier takes for any whole number of words.
    fn start(&mut self, code: &mut Code, limit: u32) -> Value {
        if !self.program.may_goto {
            return code.k(0);
        }
        let place = self.state(code, state::ZERO);
        let zero = code.load(I64, place);
        code.b.ins().band_imm_s(zero, i64::from(limit.next_power_of_two() - 8))
    }
}
