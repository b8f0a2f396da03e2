//! What the kernel's side knows of system calls: tables by number among the constants.

use super::{Kernel, PTRCHK, namespace};
use crate::host::LibraryFn;
use crate::intrinsic::Memory;
use crate::lower::code::{Addr, Code};
use crate::lower::target::Text;
use crate::syscall::{self, NAME_SIZE, NUMBERS};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};
use tapster_runtime_ebpf::helper;

impl Kernel<'_> {
    /// The name of the call with a number, to a place of this size.
    pub(super) fn call_name(&mut self, code: &mut Code, function: LibraryFn, number: Value, to: (Addr, u32)) -> Value {
        let table = syscall::name_table(function == LibraryFn::__syscall_point);
        let row = self.call_row(code, &table, number, NAME_SIZE);
        self.put(code, &Text::At(row, NAME_SIZE), to.0, to.1, false);
        number
    }

    /// Which parameters of a call have something behind an address.
    pub(super) fn call_slots(&mut self, code: &mut Code, number: Value) -> Value {
        let row = self.call_row(code, &syscall::slot_table(), number, 8);
        code.load(I64, row)
    }

    /// A call's row of a table, the first one where there is none.
    fn call_row(&mut self, code: &mut Code, table: &[u8], number: Value, size: u32) -> Addr {
        let base = code.symbol(namespace::CONSTANTS, self.plan.constants.place(table));
        let row = code.b.ins().iadd_imm_s(number, 1);
        let offset = code.b.ins().imul_imm_s(row, i64::from(size));
        let limit = code.k(i64::from(size) * NUMBERS as i64 + 1);
        Addr::at(code.call(namespace::PSEUDO, PTRCHK, &[base, offset, limit]))
    }

    /// Reads up to eight bytes of memory: where they are now, where they were, and the helper's answer.
    pub(super) fn read_bytes(
        &mut self,
        code: &mut Code,
        memory: Memory,
        address: Addr,
        size: u8,
    ) -> (Addr, Value, Value) {
        let reader = match memory {
            Memory::Kernel => helper::PROBE_READ_KERNEL,
            Memory::User => helper::PROBE_READ_USER,
        };
        let slot = code.slot(8);
        let (to, from, bytes) = (code.pointer(slot), code.pointer(address), code.k(i64::from(size)));
        let result = self.helper(code, reader, &[to, bytes, from]);
        (slot, from, result)
    }

    /// Reads a number that may not be there.
    pub(super) fn peek_number(
        &mut self,
        code: &mut Code,
        memory: Memory,
        address: Addr,
        size: u8,
        otherwise: i64,
    ) -> Value {
        let (slot, _, result) = self.read_bytes(code, memory, address, size);
        let (failed, there) = (code.block(), code.block());
        let (done, number) = code.block_with();
        code.branch_if(IntCC::SignedLessThan, result, 0, failed, there);
        code.to(failed);
        code.cold(failed);
        let none = code.k(otherwise);
        code.jump(done, &[none]);
        code.to(there);
        let read = code.load_sized(slot, size, false);
        code.jump(done, &[read]);
        code.to(done);
        number
    }
}
