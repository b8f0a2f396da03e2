//! Calls to the host: their arguments, and what becomes of the faults they give.

use super::{HOST, User};
use crate::hir::GlobalId;
use crate::host::HostFn;
use crate::lower::call::status;
use crate::lower::code::{Addr, Code};
use crate::lower::target::{PrintArg, Raise, Target};
use cranelift_codegen::ir::Value;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use tapster_lang::Span;
use tapster_runtime_ebpf::record::Fault;

impl User {
    /// How much of a string's memory it may fill.
    pub(super) fn room(&self, code: &mut Code, size: u32) -> Value {
        code.k(i64::from(size.min(self.max_string)))
    }

    pub(super) fn host(&mut self, code: &mut Code, function: HostFn, args: &[Value]) -> Value {
        debug_assert_eq!(args.len(), function.arity(), "{}", function.name());
        let args: Vec<Value> = [self.context].into_iter().chain(args.iter().copied()).collect();
        code.call(HOST, function as u32, &args)
    }

    pub(super) fn slice(code: &mut Code, slice: Option<(Addr, u64)>) -> (Value, Value) {
        let mask = slice.map_or(0, |(_, mask)| mask);
        (Self::key(code, slice.map(|(key, _)| key)), code.k(mask as i64))
    }

    pub(super) fn key(code: &mut Code, key: Option<Addr>) -> Value {
        match key {
            Some(key) => code.pointer(key),
            None => code.k(0),
        }
    }

    /// Raises the fault that a host function gave, where it gave one.
    pub(super) fn check(&mut self, code: &mut Code, fault: Value, global: GlobalId, span: Span) {
        let (failed, ok) = (code.block(), code.block());
        code.branch_if(IntCC::NotEqual, fault, 0, failed, ok);
        code.to(failed);
        code.cold(failed);
        let (detail, position) = (code.k(global as i64), code.k(i64::from(span.start)));
        self.host(code, HostFn::raise, &[fault, detail, position]);
        go_where_errors_go(code);
        code.to(ok);
    }

    /// Raises a fault of kernel memory where there was nothing to read.
    pub(super) fn check_read(&mut self, code: &mut Code, failed: Value, address: Value, fault: Fault, span: Span) {
        let (nothing, ok) = (code.block(), code.block());
        code.branch_if(IntCC::NotEqual, failed, 0, nothing, ok);
        code.to(nothing);
        code.cold(nothing);
        self.raise(code, Raise { fault, detail: Some(address), span });
        code.to(ok);
    }

    /// A word of the run's context.
    pub(super) fn field(&self, offset: u32) -> Addr {
        Addr::at(self.context).plus(offset)
    }

    pub(super) fn args(&mut self, code: &mut Code, args: &[PrintArg]) -> Value {
        let block = code.slot(8 * args.len() as u32);
        for (nth, arg) in args.iter().enumerate() {
            let word = match arg {
                PrintArg::Long(word) => *word,
                PrintArg::Stored(home) => code.load(I64, *home),
                PrintArg::Text(text, size) => {
                    let place = self.text_at(code, text, *size);
                    code.pointer(place)
                }
            };
            code.store(word, block.plus(8 * nth as u32));
        }
        code.pointer(block)
    }

    pub(super) fn literal(&mut self, code: &mut Code, bytes: &[u8]) -> Addr {
        let place = code.slot(bytes.len() as u32 + 1);
        for word in 0..=bytes.len() / 8 {
            let chunk = &bytes[8 * word..bytes.len().min(8 * word + 8)];
            let mut full = [0; 8];
            full[..chunk.len()].copy_from_slice(chunk);
            code.store_k(i64::from_le_bytes(full), place.plus(8 * word as u32));
        }
        place
    }
}

/// To the catch block, or out of the function with an error on its way.
pub(super) fn go_where_errors_go(code: &mut Code) {
    match code.catch {
        Some(catch) => code.jump(catch.block, &[]),
        None => code.ret(status::FAILED),
    }
}
