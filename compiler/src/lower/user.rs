//! The user's side: handlers that become native code. Whatever is more than arithmetic is a call to the host.

mod calls;

use self::calls::go_where_errors_go;
use super::call::status;
use super::code::{Addr, Code};
use super::target::{Foreign, PrintArg, Raise, Target, Text};
use crate::hir::{ArgSource, FunctionId, GlobalId};
use crate::host::{Extractor, Fact, HostFn, LibraryFn, Sort, context};
use crate::intrinsic::{Memory, Point};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::limits::TASK_COMM_LEN;
use tapster_runtime_ebpf::record::{Fault, event};

/// The namespace of host functions: the JIT declares them first, so their numbers are its own.
pub const HOST: u32 = 0;

/// The namespace of the script's own functions.
pub const FUNCTION: u32 = 1;

/// The user's side of one handler or function.
pub struct User {
    /// Bytes of the longest string with its NUL; memory for strings comes in whole words.
    max_string: u32,
    /// The run's context, the first argument.
    context: Value,
    /// The state block, its first field.
    state: Value,
}

impl User {
    /// Starts a handler with its argument.
    pub fn new(code: &mut Code, context: Value, max_string: u32) -> User {
        let state = code.load(I64, Addr::at(context));
        User { max_string, context, state }
    }
}

impl Target for User {
    const IN_KERNEL: bool = false;

    fn leave(&mut self, code: &mut Code) {
        code.ret(0);
    }

    fn raise(&mut self, code: &mut Code, raise: Raise) {
        let fault = code.k(raise.fault as i64);
        let detail = raise.detail.unwrap_or_else(|| code.k(0));
        let position = code.k(i64::from(raise.span.start));
        self.host(code, HostFn::raise, &[fault, detail, position]);
        go_where_errors_go(code);
    }

    fn raise_text(&mut self, code: &mut Code, message: &Text, size: u32) {
        let place = self.text_at(code, message, size);
        let place = code.pointer(place);
        self.host(code, HostFn::raise_text, &[place]);
        go_where_errors_go(code);
    }

    fn caught(&mut self, code: &mut Code, message: Option<(Addr, u32)>) {
        let (out, size) = match message {
            Some((home, size)) => (code.pointer(home), code.k(i64::from(size))),
            None => (code.k(0), code.k(0)),
        };
        self.host(code, HostFn::caught, &[out, size]);
    }

    fn hand_over(&mut self, _: &mut Code, _: usize, _: &[PrintArg]) {
        unreachable!("{KERNEL_ONLY}")
    }

    fn handed_on(&mut self, _: &mut Code) {
        unreachable!("{KERNEL_ONLY}")
    }

    fn handed_over(&mut self, code: &mut Code) -> Addr {
        let record = code.load(I64, self.field(context::RECORD));
        Addr::at(record).plus(event::SIZE)
    }

    fn abort(&mut self, code: &mut Code) {
        self.host(code, HostFn::abort, &[]);
        code.ret(status::ABORTED);
    }

    fn signal(&mut self, _: &mut Code, _: Value) {
        unreachable!("{KERNEL_ONLY}")
    }

    fn point(&mut self, code: &mut Code, point: Point) -> Text {
        let which = code.k(point as i64);
        let place = Addr::at(self.host(code, HostFn::point, &[which]));
        Text::At(place, u32::MAX)
    }

    fn start_counting(&mut self, _: &mut Code) {}

    fn spend(&mut self, code: &mut Code, statements: u32) -> Value {
        let left = code.load(I64, self.field(context::ACTIONS));
        let left = code.b.ins().iadd_imm_s(left, -i64::from(statements));
        code.store(left, self.field(context::ACTIONS));
        left
    }

    fn call(&mut self, code: &mut Code, function: FunctionId, words: &[Value]) -> Value {
        let args: Vec<Value> = [self.context].into_iter().chain(words.iter().copied()).collect();
        code.call(FUNCTION, function as u32, &args)
    }

    fn enter_call(&mut self, code: &mut Code, limit: u32, span: Span) {
        let depth = code.load(I64, self.field(context::NESTING));
        let (deep, ok) = (code.block(), code.block());
        code.branch_if(IntCC::SignedGreaterThanOrEqual, depth, i64::from(limit), deep, ok);
        code.to(deep);
        code.cold(deep);
        self.raise(code, Raise { fault: Fault::MaxNesting, detail: None, span });
        code.to(ok);
        let deeper = code.b.ins().iadd_imm_s(depth, 1);
        code.store(deeper, self.field(context::NESTING));
    }

    fn leave_call(&mut self, code: &mut Code) {
        let depth = code.load(I64, self.field(context::NESTING));
        let back = code.b.ins().iadd_imm_s(depth, -1);
        code.store(back, self.field(context::NESTING));
    }

    fn fail(&mut self, code: &mut Code, status: Value) {
        let Some(catch) = code.catch else {
            code.b.ins().return_(&[status]);
            return;
        };
        let aborted = code.block();
        code.branch_if(IntCC::Equal, status, status::ABORTED, aborted, catch.block);
        code.to(aborted);
        code.ret(status::ABORTED);
    }

    fn exit(&mut self, code: &mut Code) {
        self.host(code, HostFn::exit, &[]);
    }

    fn state(&mut self, _: &mut Code, offset: u32) -> Addr {
        Addr::at(self.state).plus(offset)
    }

    fn fact(&mut self, code: &mut Code, fact: Fact) -> Value {
        let which = code.k(fact as i64);
        self.host(code, HostFn::fact, &[which])
    }

    fn text_home(&mut self, code: &mut Code, size: u32) -> Addr {
        code.slot(size)
    }

    fn text_temp(&mut self, code: &mut Code, size: u32) -> Addr {
        code.slot(size)
    }

    fn append_text(&mut self, code: &mut Code, to: Addr, size: u32, text: &Text) {
        let from = self.text_at(code, text, size);
        let (to, bytes, from) = (code.pointer(to), self.room(code, size), code.pointer(from));
        self.host(code, HostFn::append_text, &[to, bytes, from]);
    }

    fn format_text(&mut self, code: &mut Code, format: usize, args: &[PrintArg], (to, size): (Addr, u32)) {
        let args = self.args(code, args);
        let (format, to, size) = (code.k(format as i64), code.pointer(to), self.room(code, size));
        self.host(code, HostFn::format_text, &[format, args, to, size]);
    }

    fn histogram_text(
        &mut self,
        code: &mut Code,
        global: GlobalId,
        key: Option<Addr>,
        (to, size): (Addr, u32),
        span: Span,
    ) {
        let (key, number) = (Self::key(code, key), code.k(global as i64));
        let (to, size) = (code.pointer(to), self.room(code, size));
        let fault = self.host(code, HostFn::histogram_text, &[number, key, to, size]);
        self.check(code, fault, global, span);
    }

    fn match_text(&mut self, code: &mut Code, regex: usize, text: &Text, size: u32) -> Value {
        let place = self.text_at(code, text, size);
        let (regex, place) = (code.k(regex as i64), code.pointer(place));
        self.host(code, HostFn::match_text, &[regex, place])
    }

    fn library(
        &mut self,
        code: &mut Code,
        function: LibraryFn,
        args: &[PrintArg],
        to: Option<(Addr, u32)>,
        span: Span,
    ) -> Value {
        let args = self.args(code, args);
        let word = code.slot(8);
        let (out, size) = to.unwrap_or((word, 0));
        let (function, out, size) = (code.k(function as i64), code.pointer(out), self.room(code, size));
        let fault = self.host(code, HostFn::call, &[function, args, out, size]);
        self.check(code, fault, 0, span);
        code.load(I64, word)
    }

    fn put_text(&mut self, code: &mut Code, text: &Text, to: Addr, size: u32, fill: bool) {
        if fill {
            code.zero(to, size);
        }
        let (to, bytes) = (code.pointer(to), self.room(code, size));
        match text {
            Text::Execname => {
                self.host(code, HostFn::execname, &[to, bytes]);
            }
            Text::Stack(handle) => {
                self.host(code, HostFn::stack_text, &[*handle, to, bytes]);
            }
            Text::Literal(_) | Text::At(..) => {
                let from = self.text_at(code, text, size);
                let from = code.pointer(from);
                self.host(code, HostFn::copy_text, &[from, to, bytes]);
            }
            Text::Foreign(Foreign { memory, address, most, span, may_fail }) => {
                let whose = code.k(*memory as i64);
                let most = most.unwrap_or_else(|| code.k(-1));
                let failed = self.host(code, HostFn::read_text, &[whose, *address, most, to, bytes]);
                if !may_fail {
                    self.check_read(code, failed, *address, memory.text_fault(), *span);
                }
            }
        }
    }

    fn text_at(&mut self, code: &mut Code, text: &Text, size: u32) -> Addr {
        match text {
            Text::At(place, _) => *place,
            Text::Literal(bytes) => self.literal(code, bytes),
            Text::Execname | Text::Stack(_) | Text::Foreign(_) => {
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
        self.host(code, HostFn::compare_text, &[left, right])
    }

    fn intern(&mut self, code: &mut Code, text: &Text, size: u32) -> Value {
        let place = self.text_at(code, text, size);
        let place = code.pointer(place);
        self.host(code, HostFn::intern, &[place])
    }

    fn backtrace(&mut self, code: &mut Code, _: Memory) -> Value {
        // No kernel is below a handler that runs here: the stack is empty, as SystemTap's is.
        code.k(0)
    }

    fn arg(&mut self, _: &mut Code, _: &ArgSource) -> Value {
        unreachable!("{KERNEL_ONLY}")
    }

    fn as_number(&mut self, _: &mut Code, address: Value) -> Value {
        address
    }

    fn read(
        &mut self,
        code: &mut Code,
        memory: Memory,
        address: Addr,
        (size, signed): (u8, bool),
        (fault, span): (Fault, Span),
    ) -> Value {
        let whose = code.k(memory as i64);
        let out = code.slot(8);
        let (from, to) = (code.pointer(address), code.pointer(out));
        let bytes = code.k(if signed { -i64::from(size) } else { size.into() });
        let failed = self.host(code, HostFn::read_number, &[whose, from, bytes, to]);
        self.check_read(code, failed, from, fault, span);
        code.load(I64, out)
    }

    fn peek(&mut self, code: &mut Code, memory: Memory, address: Addr, size: u8, otherwise: i64) -> Value {
        let out = code.slot(8);
        code.store_k(otherwise, out);
        let (whose, from) = (code.k(memory as i64), code.pointer(address));
        let (bytes, to) = (code.k(size.into()), code.pointer(out));
        self.host(code, HostFn::read_number, &[whose, from, bytes, to]);
        code.load(I64, out)
    }

    fn aggregate(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, value: Value, span: Span) {
        let (key, number) = (Self::key(code, key), code.k(global as i64));
        let fault = self.host(code, HostFn::aggregate_add, &[number, key, value]);
        self.check(code, fault, global, span);
    }

    fn print(&mut self, code: &mut Code, format: usize, args: &[PrintArg], _: Span) {
        let args = self.args(code, args);
        let format = code.k(format as i64);
        self.host(code, HostFn::print, &[format, args]);
    }

    fn statistic(&mut self, code: &mut Code, e: Extractor, global: GlobalId, key: Option<Addr>, span: Span) -> Value {
        let out = code.slot(8);
        let (key, number) = (Self::key(code, key), code.k(global as i64));
        let (extractor, place) = (code.k(e as i64), code.pointer(out));
        let fault = self.host(code, HostFn::aggregate_read, &[number, key, extractor, place]);
        self.check(code, fault, global, span);
        code.load(I64, out)
    }

    fn bucket(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, number: Value, span: Span) -> Value {
        let out = code.slot(8);
        let (key, statistic, place) = (Self::key(code, key), code.k(global as i64), code.pointer(out));
        let fault = self.host(code, HostFn::bucket, &[statistic, key, number, place]);
        self.check(code, fault, global, span);
        code.load(I64, out)
    }

    fn print_histogram(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, span: Span) {
        let (key, number) = (Self::key(code, key), code.k(global as i64));
        let fault = self.host(code, HostFn::print_histogram, &[number, key]);
        self.check(code, fault, global, span);
    }

    fn print_stack(&mut self, code: &mut Code, stack: Value) {
        self.host(code, HostFn::print_stack, &[stack]);
    }

    fn get(&mut self, code: &mut Code, global: GlobalId, key: Addr, to: Addr) {
        let (global, key, to) = (code.k(global as i64), code.pointer(key), code.pointer(to));
        self.host(code, HostFn::array_get, &[global, key, to]);
    }

    fn set(&mut self, code: &mut Code, global: GlobalId, key: Addr, from: Addr, span: Span) {
        let (number, key, from) = (code.k(global as i64), code.pointer(key), code.pointer(from));
        let fault = self.host(code, HostFn::array_set, &[number, key, from]);
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
        self.host(code, HostFn::array_has, &[global, key])
    }

    fn delete(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>) {
        let (key, global) = (Self::key(code, key), code.k(global as i64));
        self.host(code, HostFn::array_delete, &[global, key]);
    }

    fn text_of(&mut self, code: &mut Code, handle: Value) -> Addr {
        Addr::at(self.host(code, HostFn::text_of, &[handle]))
    }

    fn has_slice(&mut self, code: &mut Code, global: GlobalId, slice: Option<(Addr, u64)>) -> Value {
        let (key, mask) = Self::slice(code, slice);
        let global = code.k(global as i64);
        self.host(code, HostFn::array_has_slice, &[global, key, mask])
    }

    fn delete_slice(&mut self, code: &mut Code, global: GlobalId, key: Addr, mask: u64) {
        let (key, mask) = Self::slice(code, Some((key, mask)));
        let global = code.k(global as i64);
        self.host(code, HostFn::array_delete_slice, &[global, key, mask]);
    }

    fn walk_begin(
        &mut self,
        code: &mut Code,
        global: GlobalId,
        slice: Option<(Addr, u64)>,
        sort: Sort,
        limit: Value,
    ) -> Value {
        let (key, mask) = Self::slice(code, slice);
        let (global, sort) = (code.k(global as i64), code.k(sort.encode()));
        self.host(code, HostFn::walk_begin, &[global, key, mask, sort, limit])
    }

    fn walk_buckets(
        &mut self,
        code: &mut Code,
        global: GlobalId,
        key: Option<Addr>,
        sort: Sort,
        limit: Value,
    ) -> Value {
        let (key, global, sort) = (Self::key(code, key), code.k(global as i64), code.k(sort.encode()));
        self.host(code, HostFn::walk_buckets, &[global, key, sort, limit])
    }

    fn walk_next(&mut self, code: &mut Code, walk: Value) -> Value {
        self.host(code, HostFn::walk_next, &[walk])
    }

    fn walk_end(&mut self, code: &mut Code, walk: Value) {
        self.host(code, HostFn::walk_end, &[walk]);
    }
}

const KERNEL_ONLY: &str = "the checker refuses this in user handlers (check::usage)";
