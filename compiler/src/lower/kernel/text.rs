//! Strings in the kernel: NUL-terminated bytes, on the stack where they are short.

use super::{Kernel, helper};
use crate::lower::code::{Addr, Code, int_type};
use crate::lower::target::{Raise, Target, Text};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::limits::TASK_COMM_LEN;
use tapster_runtime_ebpf::record::Fault;

/// Strings up to this bound live on the stack of 512 bytes, wider ones in working memory.
const ON_STACK: u32 = 64;

impl Kernel<'_> {
    /// Memory for a string of `size` bytes.
    pub(super) fn text_memory(&mut self, code: &mut Code, size: u32) -> Addr {
        if size <= ON_STACK {
            return code.slot(size);
        }
        let offset = self.reserve(size);
        self.scratch_at(code, offset)
    }

    /// A string in memory, as NUL-terminated bytes.
    pub(super) fn at(&mut self, code: &mut Code, text: &Text, size: u32) -> Addr {
        if let Text::At(addr, _) = text {
            return *addr;
        }
        let place = self.text_memory(code, size);
        self.put(code, text, place, size, false);
        place
    }

    /// Writes a string; `fill` zeroes what follows it.
    pub(super) fn put(&mut self, code: &mut Code, text: &Text, to: Addr, size: u32, fill: bool) {
        match text {
            Text::Literal(bytes) => put_literal(code, bytes, to, size, fill),
            Text::Execname => self.put_execname(code, to, size, fill),
            Text::KernelString(address, span) => {
                if fill {
                    code.zero(to, size);
                }
                self.read_string(code, *address, to, size, *span);
            }
            Text::At(from, _) => {
                if fill {
                    code.zero(to, size);
                }
                // The helper copies up to the NUL from any memory of the kernel, the program's own included.
                let (to, bytes, from) = (code.pointer(to), code.k(i64::from(size)), code.pointer(*from));
                self.helper(code, helper::PROBE_READ_KERNEL_STR, &[to, bytes, from]);
            }
            Text::Stack(_) => unreachable!("the checker refuses stacks as text in kernel handlers"),
        }
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

    /// Reads a string of kernel memory; gives its length with the NUL. An unreadable address is an error.
    pub(super) fn read_string(&mut self, code: &mut Code, address: Value, to: Addr, size: u32, span: Span) -> Value {
        let (to, bytes) = (code.pointer(to), code.k(i64::from(size)));
        let length = self.helper(code, helper::PROBE_READ_KERNEL_STR, &[to, bytes, address]);
        self.check_read(code, length, address, Fault::KernelStringFault, span);
        length
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
            Text::KernelString(..) => self.at(code, text, (needed + 1).next_multiple_of(8)),
            Text::Stack(_) => unreachable!("the checker refuses stacks as text in kernel handlers"),
        };
        let mut bytes = literal.to_vec();
        bytes.push(0);
        compare_chunks(code, place, &bytes, equal, differ);
    }
}

fn put_literal(code: &mut Code, bytes: &[u8], to: Addr, size: u32, fill: bool) {
    let kept = &bytes[..bytes.len().min(size as usize - 1)];
    let words = if fill { size / 8 } else { kept.len() as u32 / 8 + 1 };
    for word in 0..words {
        let from = (8 * word as usize).min(kept.len());
        let chunk = &kept[from..(from + 8).min(kept.len())];
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
