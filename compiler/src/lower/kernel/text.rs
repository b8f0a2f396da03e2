//! Strings in the kernel: NUL-terminated bytes, on the stack where they are short.

use super::{Kernel, helper};
use crate::intrinsic::Memory;
use crate::lower::code::{Addr, Base, Code, int_type};
use crate::lower::target::{Foreign, Raise, Target, Text};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::limits::TASK_COMM_LEN;
use tapster_runtime_ebpf::record::Fault;

/// Strings up to this bound live on the stack of 512 bytes, wider ones in working memory.
pub(super) const ON_STACK: u32 = 64;
/// Once the handler has this much of the stack, all strings live in working memory: keys need the stack more.
const STACK_OF_TEXT: u32 = 192;
/// Strings that a statement makes live on the stack up to this bound.
const WORDS: u32 = 16;

impl Kernel<'_> {
    /// Memory for a string of `size` bytes.
    pub(super) fn text_memory(&mut self, code: &mut Code, size: u32) -> Addr {
        if size <= ON_STACK && code.stack_in_use() + size <= STACK_OF_TEXT {
            code.slot(size)
        } else {
            self.text_memory_far(code, size)
        }
    }

    /// Working memory for a string of `size` bytes.
    pub(super) fn text_memory_far(&mut self, code: &mut Code, size: u32) -> Addr {
        let offset = code.far(size, |bytes| self.reserve(bytes));
        let memory = self.scratch_at(code, offset);
        self.forget_length(memory);
        memory
    }

    /// Memory for a variable. Whatever it is compared with, all of it may be read.
    pub(super) fn text_variable(&mut self, code: &mut Code, size: u32) -> Addr {
        let home = self.text_memory(code, size);
        if let Base::Slot(_) = home.base {
            code.zero(home, size);
        }
        home
    }

    /// Memory for a string that a statement makes.
    pub(super) fn text_made(&mut self, code: &mut Code, size: u32) -> Addr {
        if size <= WORDS {
            return self.text_variable(code, size);
        }
        let home = self.text_memory_far(code, size);
        self.keep_length(home);
        home
    }

    /// Memory for a string all of whose `size` bytes are written before any is read, and what stands behind it.
    pub(super) fn text_written(&mut self, code: &mut Code, size: u32, bytes: u32) -> Addr {
        let fits = size <= WORDS && code.stack_in_use() + bytes <= STACK_OF_TEXT;
        if fits { code.slot(bytes) } else { self.text_made(code, bytes) }
    }

    /// A string in memory, as NUL-terminated bytes.
    pub(super) fn at(&mut self, code: &mut Code, text: &Text, size: u32) -> Addr {
        match text {
            Text::At(addr, _) => *addr,
            Text::Literal(bytes) => Addr::at(self.constant(code, bytes)),
            _ => {
                let place = self.text_memory(code, size);
                self.put(code, text, place, size, false);
                place
            }
        }
    }

    /// The address of a string, for helpers that read the kernel's memory.
    pub(super) fn source(&mut self, code: &mut Code, text: &Text, size: u32) -> Value {
        if let (Text::Execname, Some(offset)) = (text, self.facts.comm) {
            let task = self.helper(code, helper::GET_CURRENT_TASK_BTF, &[]);
            return code.pointer(Addr::at(task).plus(offset));
        }
        let place = self.at(code, text, size);
        code.pointer(place)
    }

    /// Bytes that a string may have at a place of this size, which is in whole words.
    pub(super) fn room(&self, size: u32) -> u32 {
        size.min(self.plan.max_string)
    }

    /// Writes a string; `fill` zeroes what follows it.
    pub(super) fn put(&mut self, code: &mut Code, text: &Text, to: Addr, size: u32, fill: bool) {
        if fill && matches!(text, Text::At(..) | Text::Foreign(_)) {
            code.zero(to, size);
        }
        let room = self.room(size);
        let length = match text {
            Text::Literal(bytes) => {
                let kept = &bytes[..bytes.len().min(room as usize - 1)];
                put_literal(code, kept, to, size, fill);
                code.k(kept.len() as i64 + 1)
            }
            Text::Foreign(foreign) => self.read_string(code, *foreign, to, room),
            Text::Execname if !self.keeps_length(to) => return self.put_execname(code, to, size, fill),
            // The helper copies up to the NUL from any memory of the kernel, the program's own included.
            Text::At(..) | Text::Execname => {
                let from = self.source(code, text, size);
                let (to, bytes) = (code.pointer(to), code.k(i64::from(room)));
                self.helper(code, helper::PROBE_READ_KERNEL_STR, &[to, bytes, from])
            }
            Text::Stack(_) => unreachable!("the checker refuses stacks as text in kernel handlers"),
        };
        self.note_length(to, length);
    }

    /// The current task's name. `task->comm` is filled with NULs to its end (kernel: `strscpy_pad` in
    /// `__set_task_comm`), so its 16 bytes are a key as they are.
    fn put_execname(&mut self, code: &mut Code, to: Addr, size: u32, fill: bool) {
        assert!(size >= TASK_COMM_LEN, "shapes give execname() its 16 bytes");
        match self.facts.comm {
            Some(offset) => {
                let task = self.helper(code, helper::GET_CURRENT_TASK_BTF, &[]);
                for word in [0, 8] {
                    let bytes = code.load(I64, Addr::at(task).plus(offset + word));
                    code.store(bytes, to.plus(word));
                }
            }
            None => {
                let (to, size) = (code.pointer(to), code.k(i64::from(TASK_COMM_LEN)));
                self.helper(code, helper::GET_CURRENT_COMM, &[to, size]);
            }
        }
        if fill {
            code.zero(to.plus(TASK_COMM_LEN), size - TASK_COMM_LEN);
        }
    }

    /// Reads a string of somebody else's memory; gives its length with the NUL. An unreadable address is an error.
    pub(super) fn read_string(&mut self, code: &mut Code, foreign: Foreign, to: Addr, size: u32) -> Value {
        let bytes = match foreign.most {
            Some(most) => bounded(code, most, size),
            None => code.k(i64::from(size)),
        };
        let to = code.pointer(to);
        let reader = match foreign.memory {
            Memory::Kernel => helper::PROBE_READ_KERNEL_STR,
            Memory::User => helper::PROBE_READ_USER_STR,
        };
        let length = self.helper(code, reader, &[to, bytes, foreign.address]);
        if foreign.may_fail {
            // The helper has filled the place with zeros: it holds an empty string.
            return self.at_least_one(code, length);
        }
        self.check_read(code, length, foreign.address, foreign.memory.text_fault(), foreign.span);
        length
    }

    fn at_least_one(&mut self, code: &mut Code, length: Value) -> Value {
        let (failed, (done, result)) = (code.block(), code.block_with());
        let ok = code.block();
        code.branch_if(IntCC::SignedLessThan, length, 1, failed, ok);
        code.to(failed);
        code.cold(failed);
        let one = code.k(1);
        code.jump(done, &[one]);
        code.to(ok);
        code.jump(done, &[length]);
        code.to(done);
        result
    }

    /// Raises an error where a helper gave a negative number.
    pub(super) fn check_read(&mut self, code: &mut Code, result: Value, address: Value, fault: Fault, span: Span) {
        let (failed, ok) = (code.block(), code.block());
        code.branch_if(IntCC::SignedLessThan, result, 0, failed, ok);
        code.to(failed);
        code.cold(failed);
        self.raise(code, Raise { fault, detail: Some(address), span });
        code.to(ok);
    }

    /// Compares a string with known bytes, NUL included, eight bytes at a time.
    pub(super) fn branch_literal(&mut self, code: &mut Code, text: &Text, literal: &[u8], equal: Block, differ: Block) {
        let needed = literal.len() as u32 + 1;
        let place = match text {
            Text::Literal(bytes) => return code.jump(if bytes == literal { equal } else { differ }, &[]),
            Text::At(_, bound) if *bound < needed => return code.jump(differ, &[]),
            Text::Execname if needed > TASK_COMM_LEN => return code.jump(differ, &[]),
            Text::At(place, _) => *place,
            Text::Execname => self.at(code, text, TASK_COMM_LEN),
            // One byte more than the literal has: a longer string then differs where the literal's NUL is.
            Text::Foreign(_) => self.at(code, text, (needed + 1).next_multiple_of(8)),
            Text::Stack(_) => unreachable!("the checker refuses stacks as text in kernel handlers"),
        };
        let mut bytes = literal.to_vec();
        bytes.push(0);
        compare_chunks(code, place, &bytes, equal, differ);
    }
}

/// Room for so many bytes and a NUL, at most `size`.
fn bounded(code: &mut Code, most: Value, size: u32) -> Value {
    let (less, whole) = (code.block(), code.block());
    let (done, bytes) = code.block_with();
    code.branch_if(IntCC::UnsignedLessThan, most, i64::from(size) - 1, less, whole);
    code.to(less);
    let room = code.b.ins().iadd_imm_s(most, 1);
    code.jump(done, &[room]);
    code.to(whole);
    let all = code.k(i64::from(size));
    code.jump(done, &[all]);
    code.to(done);
    bytes
}

fn put_literal(code: &mut Code, bytes: &[u8], to: Addr, size: u32, fill: bool) {
    let words = if fill { size / 8 } else { bytes.len() as u32 / 8 + 1 };
    for word in 0..words {
        let from = (8 * word as usize).min(bytes.len());
        let chunk = &bytes[from..(from + 8).min(bytes.len())];
        code.store_k(word_of(chunk), to.plus(8 * word));
    }
}

fn compare_chunks(code: &mut Code, place: Addr, bytes: &[u8], equal: Block, differ: Block) {
    let mut at = 0;
    while at < bytes.len() {
        let size = [8, 4, 2, 1].into_iter().find(|size| at + size <= bytes.len()).unwrap_or(1);
        let wanted = word_of(&bytes[at..at + size]);
        let found = code.load(int_type(size as u8), place.plus(at as u32));
        let wanted = code.b.ins().iconst(int_type(size as u8), wanted);
        let same = code.b.ins().icmp(IntCC::Equal, found, wanted);
        at += size;
        let next = if at < bytes.len() { code.block() } else { equal };
        code.branch(same, next, differ);
        if at < bytes.len() {
            code.to(next);
        }
    }
}

/// Up to eight bytes as the number that has them in memory, zeros behind.
fn word_of(bytes: &[u8]) -> i64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(word)
}
