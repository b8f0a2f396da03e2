//! The kernel's side: handlers that become eBPF.
//!
//! Values that hold strings and stacks go through working memory of the program, as the stack has 512 bytes.
//! Statistics, stacks and records have files of their own.

mod aggregate;
mod argument;
mod callback;
mod compare;
mod demote;
mod element;
mod enter;
mod fault;
mod format;
mod intern;
mod join;
mod outline;
mod record;
mod regex;
mod rounds;
mod scratch;
mod site;
mod statistic;
mod syscall;
mod text;

use super::code::{Addr, Base, Code};
use super::plan::Plan;
use super::target::{PrintArg, Raise, Target, Text};
use crate::hir::{ArgSource, FunctionId, GlobalId};
use crate::host::{Extractor, Fact, LibraryFn, Sort};
use crate::image::{Loss, MapKind, MapRole};
use crate::intrinsic::{Memory, Point};
use crate::kernel::KernelFacts;
use callback::Callbacks;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use cranelift_frontend::Variable;
use join::Joined;
use scratch::Scratch;
use tapster_lang::Span;
use tapster_runtime_ebpf::record::Fault;
use tapster_runtime_ebpf::{helper, state};

/// Namespaces of external names in kernel handlers.
pub mod namespace {
    /// A helper, by its number.
    pub const HELPER: u32 = 0;
    /// A kernel function, by its BTF id.
    pub const KFUNC: u32 = 1;
    /// A map, by its place in the image.
    pub const MAP: u32 = 2;
    /// The state block, at a byte offset.
    pub const STATE: u32 = 3;
    /// [`super::PTRCHK`], [`super::PTRADD`], [`super::MAY_GOTO`].
    pub const PSEUDO: u32 = 4;
    /// The handler's callback with this number.
    pub const CALLBACK: u32 = 5;
    /// The constants, at a byte offset.
    pub const CONSTANTS: u32 = 6;
}

/// The pseudo-instruction that bounds an index and adds it to a pointer.
pub const PTRCHK: u32 = 0;
/// The pseudo-instruction that adds an index, bounded already, to a pointer.
pub const PTRADD: u32 = 1;
/// The pseudo-instruction that gives 1 where a loop has to end.
pub const MAY_GOTO: u32 = 2;

/// `BPF_ANY` of include/uapi/linux/bpf.h: an update sets the element, there or not.
const ANY: i64 = 0;
/// `BPF_NOEXIST`: an update sets the element only where there is none.
const NOEXIST: i64 = 1;

/// A place further on by what is known only when the program runs: [`PTRCHK`] or [`PTRADD`] with what they are given.
/// The place's own offset stays for the access, which has it for nothing.
fn further(code: &mut Code, pseudo: u32, place: Addr, given: &[Value]) -> Addr {
    let mut args = vec![code.base(place)];
    args.extend(given);
    Addr { base: Base::Pointer(code.call(namespace::PSEUDO, pseudo, &args)), offset: place.offset }
}

/// What differs between programs.
#[derive(Clone, Copy, Debug)]
pub struct ProgramFacts<'a> {
    /// What `pp()` and `pn()` say.
    pub points: (&'a str, &'a str),
    /// What `pp()` says at each of several places; empty where there is one.
    pub sites: &'a [String],
    /// Statements that a run of it may have.
    pub max_action: u32,
    /// Its place among the probes.
    pub probe: usize,
    /// Frames of the tracer itself at the start of a stack: the program and what called it. A kprobe's stack is the
    /// probed function's.
    pub skip_frames: u32,
    /// Whether it may have stopped a program, where the kernel has no stack.
    pub stops_programs: bool,
    /// Whether loops may end by `may_goto`.
    pub may_goto: bool,
    /// Whether the script's loops stand in it as they are.
    pub loops_stay: bool,
    /// What it gives the kernel.
    pub result: i64,
    /// Nothing else begins it on a CPU where it runs, or it does not matter.
    pub is_alone: bool,
}

/// The kernel's side of one handler.
pub struct Kernel<'a> {
    plan: &'a Plan,
    facts: KernelFacts,
    program: ProgramFacts<'a>,
    /// The program's context, its first argument.
    context: Value,
    scratch: Scratch,
    /// Working memory for stacks and strings, once there is any.
    stack_area: Option<u32>,
    text_area: Option<u32>,
    /// Working memory that stays zero, with its size.
    zero_area: Option<(u32, u32)>,
    /// Statements that may still run.
    budget: Option<Variable>,
    /// The blocks in which they are counted.
    counted: Vec<Block>,
    joined: Joined,
    callbacks: Callbacks,
    /// Where errors are sent to user space, once there is one.
    reporting: Option<Block>,
    /// The way out of the handler, the same for all.
    leaving: Option<Block>,
    /// Says that the program runs on this CPU, where it has to know.
    running: Option<Addr>,
    /// Whether a map is used that has its values once a CPU.
    by_cpu: bool,
}

impl<'a> Kernel<'a> {
    /// Starts a handler of this program.
    pub fn new(
        plan: &'a Plan,
        facts: KernelFacts,
        program: ProgramFacts<'a>,
        context: Value,
        scratch_map: usize,
    ) -> Kernel<'a> {
        Kernel {
            plan,
            facts,
            program,
            context,
            scratch: Scratch::new(scratch_map),
            stack_area: None,
            text_area: None,
            zero_area: None,
            budget: None,
            counted: Vec::new(),
            joined: Joined::default(),
            callbacks: Callbacks::default(),
            reporting: None,
            leaving: None,
            running: None,
            by_cpu: false,
        }
    }

    fn helper(&mut self, code: &mut Code, number: u32, args: &[Value]) -> Value {
        code.call(namespace::HELPER, number, args)
    }

    fn map(&mut self, code: &mut Code, index: usize) -> Value {
        let kind = self.plan.maps.get(index).map(|map| map.kind);
        self.by_cpu |= matches!(kind, Some(MapKind::PercpuArray | MapKind::PercpuHash | MapKind::LruPercpuHash));
        code.symbol(namespace::MAP, index as u32)
    }

    fn role(&self, role: MapRole) -> usize {
        self.plan.map(role).expect("the plan has every map that a handler needs")
    }

    /// Looks a key up: the value's address or 0.
    fn lookup(&mut self, code: &mut Code, map: usize, key: Addr) -> Value {
        let (map, key) = (self.map(code, map), code.pointer(key));
        self.helper(code, helper::MAP_LOOKUP_ELEM, &[map, key])
    }

    fn update(&mut self, code: &mut Code, map: usize, key: Addr, value: Addr, flags: i64) -> Value {
        let (map, key, value) = (self.map(code, map), code.pointer(key), code.pointer(value));
        let flags = code.k(flags);
        self.helper(code, helper::MAP_UPDATE_ELEM, &[map, key, value, flags])
    }

    /// Counts a loss.
    fn lose(&mut self, code: &mut Code, loss: &Loss) {
        let index = self.plan.loss(loss).expect("the plan counts every loss");
        let place = self.state(code, state::loss(index));
        let one = code.k(1);
        code.atomic_add(place, one);
    }
}

impl Target for Kernel<'_> {
    const IN_KERNEL: bool = true;

    fn leave(&mut self, code: &mut Code) {
        if let Some(way) = self.leaving {
            return code.jump(way, &[]);
        }
        let way = *self.leaving.insert(code.block());
        code.jump(way, &[]);
        code.to(way);
        if let Some(running) = self.running {
            code.store_k(0, running);
        }
        code.ret(self.program.result);
    }

    fn raise(&mut self, code: &mut Code, raise: Raise) {
        self.fault(code, raise);
    }

    fn raise_text(&mut self, code: &mut Code, message: &Text, size: u32) {
        self.fault_text(code, message, size);
    }

    fn caught(&mut self, _: &mut Code, _: Option<(Addr, u32)>) {}

    fn hand_over(&mut self, code: &mut Code, number: usize, values: &[PrintArg]) {
        self.send_handoff(code, number, values);
    }

    fn handed_on(&mut self, code: &mut Code) {
        self.leave(code);
    }

    fn handed_over(&mut self, _: &mut Code) -> Addr {
        unreachable!("{USER_ONLY}")
    }

    fn abort(&mut self, code: &mut Code) {
        self.send_exit(code);
        self.leave(code);
    }

    fn signal(&mut self, code: &mut Code, number: Value) {
        self.helper(code, helper::SEND_SIGNAL_THREAD, &[number]);
    }

    fn point(&mut self, code: &mut Code, point: Point) -> Text {
        self.point_text(code, point)
    }

    fn start_counting(&mut self, code: &mut Code) {
        if !self.program.loops_stay {
            // Loops keep their values there: its address has to be known to all of them.
            self.scratch_base(code);
        }
        let budget = code.b.declare_var(I64);
        let start = code.k(i64::from(self.program.max_action));
        code.b.def_var(budget, start);
        self.budget = Some(budget);
    }

    fn spend(&mut self, code: &mut Code, statements: u32) -> Value {
        let budget = self.budget.expect("only what counts spends");
        let left = code.b.use_var(budget);
        let left = code.b.ins().iadd_imm_s(left, -i64::from(statements));
        code.b.def_var(budget, left);
        self.counted.extend(code.b.current_block());
        left
    }

    fn round(&mut self, code: &mut Code, span: Span) {
        if self.program.loops_stay {
            let ends = code.call(namespace::PSEUDO, MAY_GOTO, &[]);
            let (over, on) = (code.block(), code.block());
            code.branch(ends, over, on);
            code.to(over);
            code.cold(over);
            self.fault(code, Raise { fault: Fault::MaxAction, detail: None, span });
            code.to(on);
        }
    }

    fn always_has(&self, statements: u32) -> bool {
        statements < self.program.max_action
    }

    fn call(&mut self, _: &mut Code, _: FunctionId, _: &[Value]) -> Value {
        unreachable!("{INLINED}")
    }

    fn enter_call(&mut self, _: &mut Code, _: u32, _: Span) {
        unreachable!("{INLINED}")
    }

    fn leave_call(&mut self, _: &mut Code) {
        unreachable!("{INLINED}")
    }

    fn fail(&mut self, _: &mut Code, _: Value) {
        unreachable!("{INLINED}")
    }

    fn exit(&mut self, code: &mut Code) {
        self.send_exit(code);
    }

    fn state(&mut self, code: &mut Code, offset: u32) -> Addr {
        Addr::at(code.symbol(namespace::STATE, offset))
    }

    fn fact(&mut self, code: &mut Code, fact: Fact) -> Value {
        match fact {
            Fact::Pid | Fact::Tid => {
                let both = self.helper(code, helper::GET_CURRENT_PID_TGID, &[]);
                halves(code, both, fact == Fact::Pid)
            }
            Fact::Uid | Fact::Gid => {
                let both = self.helper(code, helper::GET_CURRENT_UID_GID, &[]);
                halves(code, both, fact == Fact::Gid)
            }
            Fact::Cpu => self.helper(code, helper::GET_SMP_PROCESSOR_ID, &[]),
            Fact::KtimeNs => self.helper(code, helper::KTIME_GET_NS, &[]),
            Fact::GettimeofdayNs => {
                let now = self.helper(code, helper::KTIME_GET_NS, &[]);
                let place = self.state(code, state::WALL);
                let ahead = code.load(I64, place);
                code.b.ins().iadd(now, ahead)
            }
            Fact::Task => self.helper(code, helper::GET_CURRENT_TASK, &[]),
            Fact::FunctionAddress => self.helper(code, helper::GET_FUNC_IP, &[self.context]),
            Fact::UserRegisters => {
                let task = self.helper(code, helper::GET_CURRENT_TASK_BTF, &[]);
                self.helper(code, helper::TASK_PT_REGS, &[task])
            }
            Fact::Jiffies => self.helper(code, helper::JIFFIES64, &[]),
        }
    }

    fn text_home(&mut self, code: &mut Code, size: u32) -> Addr {
        self.text_variable(code, size)
    }

    fn text_temp(&mut self, code: &mut Code, size: u32) -> Addr {
        self.text_made(code, size)
    }

    fn text_whole(&mut self, code: &mut Code, size: u32, bytes: u32) -> Addr {
        self.text_written(code, size, bytes)
    }

    fn append_text(&mut self, code: &mut Code, to: Addr, size: u32, text: &Text) {
        self.append(code, to, size, text);
    }

    fn format_text(&mut self, code: &mut Code, format: usize, args: &[PrintArg], to: (Addr, u32)) {
        self.format(code, &self.plan.formats[format], args, to);
    }

    fn histogram_text(&mut self, _: &mut Code, _: GlobalId, _: Option<Addr>, _: (Addr, u32), _: Span) {
        unreachable!("{USER_ONLY}")
    }

    fn match_text(&mut self, code: &mut Code, regex: usize, text: &Text, size: u32) -> Value {
        self.search(code, regex, text, size)
    }

    fn library(
        &mut self,
        code: &mut Code,
        function: LibraryFn,
        args: &[PrintArg],
        to: Option<(Addr, u32)>,
        _: Span,
    ) -> Value {
        match (function, args) {
            (LibraryFn::syscall_name | LibraryFn::__syscall_point, [PrintArg::Long(number)]) => {
                self.call_name(code, function, *number, to.expect("a string has a place"))
            }
            (LibraryFn::__syscall_slots, [PrintArg::Long(number)]) => self.call_slots(code, *number),
            (LibraryFn::strlen, [PrintArg::Text(text, size)]) => self.length(code, text, *size),
            _ => unreachable!("{USER_ONLY}"),
        }
    }

    fn put_text(&mut self, code: &mut Code, text: &Text, to: Addr, size: u32, fill: bool) {
        self.put(code, text, to, size, fill);
    }

    fn text_at(&mut self, code: &mut Code, text: &Text, size: u32) -> Addr {
        self.at(code, text, size)
    }

    fn branch_text(&mut self, code: &mut Code, text: &Text, literal: &[u8], equal: Block, differ: Block) {
        self.branch_literal(code, text, literal, equal, differ);
    }

    fn compare_text(&mut self, code: &mut Code, left: &Text, right: &Text, size: u32) -> Value {
        self.compare(code, left, right, size)
    }

    fn intern(&mut self, code: &mut Code, text: &Text, size: u32) -> Value {
        self.intern_text(code, text, size)
    }

    fn backtrace(&mut self, code: &mut Code, memory: Memory) -> Value {
        self.intern_stack(code, memory)
    }

    fn arg(&mut self, code: &mut Code, source: &ArgSource) -> Value {
        self.argument(code, source)
    }

    fn as_number(&mut self, code: &mut Code, address: Value) -> Value {
        // The verifier lets nobody calculate with pointers that it knows; memory of a map holds numbers alone.
        let offset = self.reserve(8);
        let place = self.scratch_at(code, offset);
        code.store(address, place);
        code.load(I64, place)
    }

    fn read(
        &mut self,
        code: &mut Code,
        memory: Memory,
        address: Addr,
        (size, signed): (u8, bool),
        (fault, span): (Fault, Span),
    ) -> Value {
        let (slot, from, result) = self.read_bytes(code, memory, address, size);
        self.check_read(code, result, from, fault, span);
        code.load_sized(slot, size, signed)
    }

    fn peek(&mut self, code: &mut Code, memory: Memory, address: Addr, size: u8, otherwise: i64) -> Value {
        self.peek_number(code, memory, address, size, otherwise)
    }

    fn aggregate(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, value: Value, _: Span) {
        match key {
            Some(key) => self.aggregate_element(code, global, key, value),
            None => self.aggregate_scalar(code, global, value),
        }
    }

    fn print(&mut self, code: &mut Code, format: usize, args: &[PrintArg], _: Span) {
        self.send_print(code, format, args);
    }

    fn statistic(&mut self, code: &mut Code, e: Extractor, global: GlobalId, key: Option<Addr>, span: Span) -> Value {
        self.extract(code, e, global, key, span)
    }

    fn bucket(&mut self, _: &mut Code, _: GlobalId, _: Option<Addr>, _: Value, _: Span) -> Value {
        unreachable!("{USER_ONLY}")
    }

    fn print_histogram(&mut self, _: &mut Code, _: GlobalId, _: Option<Addr>, _: Span) {
        unreachable!("{USER_ONLY}")
    }

    fn print_stack(&mut self, _: &mut Code, _: Value) {
        unreachable!("{USER_ONLY}")
    }

    fn get(&mut self, code: &mut Code, global: GlobalId, key: Addr, to: Addr) {
        self.element_get(code, global, key, to);
    }

    fn set(&mut self, code: &mut Code, global: GlobalId, key: Addr, from: Addr, span: Span) {
        self.element_set(code, global, key, from, span);
    }

    fn add_to(&mut self, code: &mut Code, global: GlobalId, key: Addr, by: Value, span: Span) -> Value {
        self.element_add(code, global, key, by, span)
    }

    fn has(&mut self, code: &mut Code, global: GlobalId, key: Addr) -> Value {
        self.element_has(code, global, key)
    }

    fn delete(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>) {
        let key = key.expect("the checker refuses to delete whole arrays in kernel handlers");
        self.element_delete(code, global, key);
    }

    fn text_of(&mut self, _: &mut Code, _: Value) -> Addr {
        unreachable!("{USER_ONLY}")
    }

    fn has_slice(&mut self, _: &mut Code, _: GlobalId, _: Option<(Addr, u64)>) -> Value {
        unreachable!("{USER_ONLY}")
    }

    fn delete_slice(&mut self, _: &mut Code, _: GlobalId, _: Addr, _: u64) {
        unreachable!("{USER_ONLY}")
    }

    fn walk_begin(&mut self, _: &mut Code, _: GlobalId, _: Option<(Addr, u64)>, _: Sort, _: Value) -> Value {
        unreachable!("{USER_ONLY}")
    }

    fn walk_buckets(&mut self, _: &mut Code, _: GlobalId, _: Option<Addr>, _: Sort, _: Value) -> Value {
        unreachable!("{USER_ONLY}")
    }

    fn walk_next(&mut self, _: &mut Code, _: Value) -> Value {
        unreachable!("{USER_ONLY}")
    }

    fn walk_end(&mut self, _: &mut Code, _: Value) {
        unreachable!("{USER_ONLY}")
    }
}

const USER_ONLY: &str = "user space does this for kernel handlers (check::split)";
const INLINED: &str = "functions are part of the kernel handlers that call them";

/// The upper or lower 32 bits of what the kernel's pid and uid helpers give.
fn halves(code: &mut Code, both: Value, upper: bool) -> Value {
    if upper {
        return code.b.ins().ushr_imm_u(both, 32);
    }
    code.narrow(both, 4, false)
}
