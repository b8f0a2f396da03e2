//! The user's side: handlers that become native code. Whatever is more than arithmetic is a call to the host.

use super::code::{Addr, Code};
use super::target::{PrintArg, Raise, Target, Text};
use crate::hir::{ArgSource, GlobalId};
use crate::host::{Extractor, Fact, HostFn, Sort};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::limits::TASK_COMM_LEN;

/// The namespace of host functions: the JIT declares them first, so their numbers are its own.
pub const HOST: u32 = 0;

/// The user's side of one handler.
pub struct User {
    /// The run's context, the handler's only argument.
    context: Value,
    /// The state block, its first field.
    state: Value,
}

impl User {
    /// Starts a handler with its argument.
    pub fn new(code: &mut Code, context: Value) -> User {
        let state = code.load(I64, Addr::at(context));
        User { context, state }
    }

    fn call(&mut self, code: &mut Code, function: HostFn, args: &[Value]) -> Value {
        debug_assert_eq!(args.len(), function.arity(), "{}", function.name());
        let args: Vec<Value> = [self.context].into_iter().chain(args.iter().copied()).collect();
        code.call(HOST, function as u32, &args)
    }

    fn key(code: &mut Code, key: Option<Addr>) -> Value {
        match key {
            Some(key) => code.pointer(key),
            None => code.k(0),
        }
    }

    /// Raises the fault that a host function gave, where it gave one.
    fn check(&mut self, code: &mut Code, fault: Value, global: GlobalId, span: Span) {
        let (failed, ok) = (code.block(), code.block());
        code.branch_if(IntCC::NotEqual, fault, 0, failed, ok);
        code.to(failed);
        code.cold(failed);
        let (detail, position) = (code.k(global as i64), code.k(i64::from(span.start)));
        self.call(code, HostFn::raise, &[fault, detail, position]);
        self.leave(code);
        code.to(ok);
    }

    fn literal(&mut self, code: &mut Code, bytes: &[u8]) -> Addr {
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

impl Target for User {
    fn leave(&mut self, code: &mut Code) {
        code.ret(0);
    }

    fn raise(&mut self, code: &mut Code, raise: Raise) {
        let fault = code.k(raise.fault as i64);
        let detail = raise.detail.unwrap_or_else(|| code.k(0));
        let position = code.k(i64::from(raise.span.start));
        self.call(code, HostFn::raise, &[fault, detail, position]);
        self.leave(code);
    }

    fn exit(&mut self, code: &mut Code) {
        self.call(code, HostFn::exit, &[]);
    }

    fn state(&mut self, _: &mut Code, offset: u32) -> Addr {
        Addr::at(self.state).plus(offset)
    }

    fn fact(&mut self, code: &mut Code, fact: Fact) -> Value {
        let which = code.k(fact as i64);
        self.call(code, HostFn::fact, &[which])
    }

    fn text_home(&mut self, code: &mut Code, size: u32) -> Addr {
        code.slot(size)
    }

    fn put_text(&mut self, code: &mut Code, text: &Text, to: Addr, size: u32, _: bool) {
        let (to, bytes) = (code.pointer(to), code.k(i64::from(size)));
        match text {
            Text::Execname => self.call(code, HostFn::execname, &[to, bytes]),
            Text::Stack(handle) => self.call(code, HostFn::stack_text, &[*handle, to, bytes]),
            Text::Literal(_) | Text::At(..) => {
                let from = self.text_at(code, text, size);
                let from = code.pointer(from);
                self.call(code, HostFn::copy_text, &[from, to, bytes])
            }
            Text::KernelString(..) => unreachable!("{KERNEL_ONLY}"),
        };
    }

    fn text_at(&mut self, code: &mut Code, text: &Text, size: u32) -> Addr {
        match text {
            Text::At(place, _) => *place,
            Text::Literal(bytes) => self.literal(code, bytes),
            Text::Execname | Text::Stack(_) | Text::KernelString(..) => {
                let place = code.slot(size.max(TASK_COMM_LEN));
                self.put_text(code, text, place, size.max(TASK_COMM_LEN), false);
                place
            }
        }
    }

    fn branch_text(&mut self, code: &mut Code, text: &Text, literal: &[u8], equal: Block, differ: Block) {
        let size = literal.len() as u32 + 2;
        let order = self.compare_text(code, text, &Text::Literal(literal.to_vec()), size);
        code.branch_if(IntCC::Equal, order, 0, equal, differ);
    }

    fn compare_text(&mut self, code: &mut Code, left: &Text, right: &Text, size: u32) -> Value {
        let (left, right) = (self.text_at(code, left, size), self.text_at(code, right, size));
        let (left, right) = (code.pointer(left), code.pointer(right));
        self.call(code, HostFn::compare_text, &[left, right])
    }

    fn intern(&mut self, code: &mut Code, text: &Text, size: u32) -> Value {
        let place = self.text_at(code, text, size);
        let place = code.pointer(place);
        self.call(code, HostFn::intern, &[place])
    }

    fn backtrace(&mut self, _: &mut Code) -> Value {
        unreachable!("{KERNEL_ONLY}")
    }

    fn arg(&mut self, _: &mut Code, _: &ArgSource) -> Value {
        unreachable!("{KERNEL_ONLY}")
    }

    fn read(&mut self, _: &mut Code, _: Addr, _: u8, _: bool, _: Span) -> Value {
        unreachable!("{KERNEL_ONLY}")
    }

    fn aggregate(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, value: Value, span: Span) {
        let (key, number) = (Self::key(code, key), code.k(global as i64));
        let fault = self.call(code, HostFn::aggregate_add, &[number, key, value]);
        self.check(code, fault, global, span);
    }

    fn print(&mut self, code: &mut Code, format: usize, args: &[PrintArg], _: Span) {
        let block = code.slot(8 * args.len() as u32);
        for (nth, arg) in args.iter().enumerate() {
            let word = match arg {
                PrintArg::Long(word) => *word,
                PrintArg::Text(text, size) => {
                    let place = self.text_at(code, text, *size);
                    code.pointer(place)
                }
            };
            code.store(word, block.plus(8 * nth as u32));
        }
        let (format, block) = (code.k(format as i64), code.pointer(block));
        self.call(code, HostFn::print, &[format, block]);
    }

    fn statistic(&mut self, code: &mut Code, e: Extractor, global: GlobalId, key: Option<Addr>, span: Span) -> Value {
        let out = code.slot(8);
        let (key, number) = (Self::key(code, key), code.k(global as i64));
        let (extractor, place) = (code.k(e as i64), code.pointer(out));
        let fault = self.call(code, HostFn::aggregate_read, &[number, key, extractor, place]);
        self.check(code, fault, global, span);
        code.load(I64, out)
    }

    fn print_histogram(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, span: Span) {
        let (key, number) = (Self::key(code, key), code.k(global as i64));
        let fault = self.call(code, HostFn::print_histogram, &[number, key]);
        self.check(code, fault, global, span);
    }

    fn print_stack(&mut self, code: &mut Code, stack: Value) {
        self.call(code, HostFn::print_stack, &[stack]);
    }

    fn get(&mut self, code: &mut Code, global: GlobalId, key: Addr, to: Addr) {
        let (global, key, to) = (code.k(global as i64), code.pointer(key), code.pointer(to));
        self.call(code, HostFn::array_get, &[global, key, to]);
    }

    fn set(&mut self, code: &mut Code, global: GlobalId, key: Addr, from: Addr, span: Span) {
        let (number, key, from) = (code.k(global as i64), code.pointer(key), code.pointer(from));
        let fault = self.call(code, HostFn::array_set, &[number, key, from]);
        self.check(code, fault, global, span);
    }

    fn add_to(&mut self, code: &mut Code, global: GlobalId, key: Addr, by: Value, span: Span) -> Value {
        let place = code.slot(8);
        self.get(code, global, key, place);
        let old = code.load(I64, place);
        let new = code.b.ins().iadd(old, by);
        code.store(new, place);
        self.set(code, global, key, place, span);
        new
    }

    fn has(&mut self, code: &mut Code, global: GlobalId, key: Addr) -> Value {
        let (global, key) = (code.k(global as i64), code.pointer(key));
        self.call(code, HostFn::array_has, &[global, key])
    }

    fn delete(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>) {
        let (key, global) = (Self::key(code, key), code.k(global as i64));
        self.call(code, HostFn::array_delete, &[global, key]);
    }

    fn text_of(&mut self, code: &mut Code, handle: Value) -> Addr {
        Addr::at(self.call(code, HostFn::text_of, &[handle]))
    }

    fn walk_begin(&mut self, code: &mut Code, global: GlobalId, sort: Sort, limit: Value) -> Value {
        let (global, sort) = (code.k(global as i64), code.k(sort.encode()));
        self.call(code, HostFn::walk_begin, &[global, sort, limit])
    }

    fn walk_next(&mut self, code: &mut Code, walk: Value) -> Value {
        self.call(code, HostFn::walk_next, &[walk])
    }

    fn walk_end(&mut self, code: &mut Code, walk: Value) {
        self.call(code, HostFn::walk_end, &[walk]);
    }
}

const KERNEL_ONLY: &str = "the checker refuses this in user handlers (check::usage)";
