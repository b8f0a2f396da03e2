//! What lowering asks of the side a handler runs on.
//!
//! Everything that only one side can do goes through [`Target`]: memory of globals, facts of the current task, reading
//! the kernel, printing. Control flow, arithmetic and types are the same for both and stay out of it.

use super::code::{Addr, Code};
use crate::hir::{ArgSource, FunctionId, GlobalId};
use crate::host::{Extractor, Fact, LibraryFn, Sort};
use crate::intrinsic::{Memory, Point};
use cranelift_codegen::ir::{Block, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::record::Fault;

/// A run-time error, with what its message needs.
#[derive(Clone, Copy, Debug)]
pub struct Raise {
    /// Which.
    pub fault: Fault,
    /// An address or a number of a global, by the fault.
    pub detail: Option<Value>,
    /// The place in the script.
    pub span: Span,
}

/// A NUL-terminated string of the kernel or of a process.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// Whose memory it lies in.
    pub memory: Memory,
    /// Where.
    pub address: Value,
    /// How many bytes at most, where the script says.
    pub most: Option<Value>,
    /// The place in the script that reads it.
    pub span: Span,
    /// Where there is nothing to read it is empty, and that is no error.
    pub may_fail: bool,
}

/// A string, before it is put anywhere.
#[derive(Clone, Debug)]
pub enum Text {
    /// Known bytes.
    Literal(Vec<u8>),
    /// NUL-terminated bytes in memory, of at most this many with the NUL.
    At(Addr, u32),
    /// The current task's name.
    Execname,
    /// What lies in memory that is not the handler's.
    Foreign(Foreign),
    /// A stack's handle.
    Stack(Value),
}

/// An argument of a print.
#[derive(Clone, Debug)]
pub enum PrintArg {
    /// A number.
    Long(Value),
    /// A number in memory: it is not loaded before it is needed.
    Stored(Addr),
    /// A string; its bound with the NUL.
    Text(Text, u32),
}

/// One side of the kernel boundary.
pub trait Target {
    /// Whether it is the kernel's: the script's functions are copied to where they are called, and memory of the kernel
    /// can be read as one's own.
    const IN_KERNEL: bool;

    /// Leaves the handler. The block being filled ends.
    fn leave(&mut self, code: &mut Code);

    /// Raises an error: goes to the catch block ([`Code::catch`]), or reports it and leaves the handler. The block being
    /// filled ends.
    fn raise(&mut self, code: &mut Code, raise: Raise);

    /// As `raise`, for the error of `error()`; `size` bounds the message.
    fn raise_text(&mut self, code: &mut Code, message: &Text, size: u32);

    /// Starts a catch block; `message` takes the error's text.
    fn caught(&mut self, code: &mut Code, message: Option<(Addr, u32)>);

    /// `exit()`.
    fn exit(&mut self, code: &mut Code);

    /// Sends the values that the handoff with this number needs.
    fn hand_over(&mut self, code: &mut Code, number: usize, values: &[PrintArg]);

    /// Leaves the handler, whose rest was handed over. The block being filled ends.
    fn handed_on(&mut self, code: &mut Code);

    /// The values that the kernel's part of a handler has sent.
    fn handed_over(&mut self, code: &mut Code) -> Addr;

    /// `abort()`. The block being filled ends.
    fn abort(&mut self, code: &mut Code);

    /// `raise()`.
    fn signal(&mut self, code: &mut Code, number: Value);

    /// The probe's point.
    fn point(&mut self, code: &mut Code, point: Point) -> Text;

    /// Makes room for the count of statements.
    fn start_counting(&mut self, code: &mut Code);

    /// Takes statements from those that the handler may still run; gives what is left.
    fn spend(&mut self, code: &mut Code, statements: u32) -> Value;

    /// A round of a loop begins.
    fn round(&mut self, _code: &mut Code, _span: Span) {}

    /// Whether every handler may run so many statements.
    fn always_has(&self, _statements: u32) -> bool {
        false
    }

    /// Calls a native function of the script: its result's address, then its arguments. Gives its status.
    fn call(&mut self, code: &mut Code, function: FunctionId, words: &[Value]) -> Value;

    /// A recursive call is about to be made; raises where calls are nested too deep.
    fn enter_call(&mut self, code: &mut Code, limit: u32, span: Span);

    /// A recursive call is over.
    fn leave_call(&mut self, code: &mut Code);

    /// A called function failed: goes where an error goes. The block being filled ends.
    fn fail(&mut self, code: &mut Code, status: Value);

    /// A place in the state block.
    fn state(&mut self, code: &mut Code, offset: u32) -> Addr;

    /// A fact of the current task or the clock.
    fn fact(&mut self, code: &mut Code, fact: Fact) -> Value;

    /// Memory for a string variable of `size` bytes, for the whole handler.
    fn text_home(&mut self, code: &mut Code, size: u32) -> Addr;

    /// Memory for a string of `size` bytes, for the statement.
    fn text_temp(&mut self, code: &mut Code, size: u32) -> Addr;

    /// Memory of so many `bytes` for a string of `size` and what stands behind it: the whole string is written before
    /// anything of it is read.
    fn text_whole(&mut self, code: &mut Code, size: u32, bytes: u32) -> Addr {
        self.text_temp(code, size.max(bytes))
    }

    /// Writes a string to a place of `size` bytes (whole words), cut to fit. `fill` has the rest zeroed, as keys need;
    /// otherwise bytes after the NUL are undefined.
    fn put_text(&mut self, code: &mut Code, text: &Text, to: Addr, size: u32, fill: bool);

    /// Appends a string to the one at a place of `size` bytes, cut to fit.
    fn append_text(&mut self, code: &mut Code, to: Addr, size: u32, text: &Text);

    /// Writes what a print would print to a place of so many bytes, cut to fit.
    fn format_text(&mut self, code: &mut Code, format: usize, args: &[PrintArg], to: (Addr, u32));

    /// Writes a histogram to a place of so many bytes; raises where there is none.
    fn histogram_text(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, to: (Addr, u32), span: Span);

    /// 1 where a pattern is found in a string.
    fn match_text(&mut self, code: &mut Code, regex: usize, text: &Text, size: u32) -> Value;

    /// Calls a function of the library: gives a number, or writes a string to a place of so many bytes.
    fn library(
        &mut self,
        code: &mut Code,
        function: LibraryFn,
        args: &[PrintArg],
        to: Option<(Addr, u32)>,
        span: Span,
    ) -> Value;

    /// A string as NUL-terminated bytes in memory.
    fn text_at(&mut self, code: &mut Code, text: &Text, size: u32) -> Addr;

    /// Goes to one block where a string equals known bytes, to the other where it does not.
    fn branch_text(&mut self, code: &mut Code, text: &Text, literal: &[u8], equal: Block, differ: Block);

    /// The order of two strings: negative, 0 or positive.
    fn compare_text(&mut self, code: &mut Code, left: &Text, right: &Text, size: u32) -> Value;

    /// The handle of a string.
    fn intern(&mut self, code: &mut Code, text: &Text, size: u32) -> Value;

    /// The handle of the stack of the kernel or of the current process.
    fn backtrace(&mut self, code: &mut Code, memory: Memory) -> Value;

    /// An argument of the probe.
    fn arg(&mut self, code: &mut Code, source: &ArgSource) -> Value;

    /// An address that is to be a number like any other.
    fn as_number(&mut self, code: &mut Code, address: Value) -> Value;

    /// Reads 1, 2, 4 or 8 bytes of the kernel's or the process's memory, with or without their sign; raises where there
    /// is nothing to read.
    fn read(&mut self, code: &mut Code, memory: Memory, at: Addr, as_number: (u8, bool), fault: (Fault, Span))
    -> Value;

    /// Reads so many bytes as a number without sign; where there is nothing to read, it is another one.
    fn peek(&mut self, code: &mut Code, memory: Memory, at: Addr, size: u8, otherwise: i64) -> Value;

    /// Adds to a statistic; `key` is `None` for a scalar.
    fn aggregate(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, value: Value, span: Span);

    /// Prints.
    fn print(&mut self, code: &mut Code, format: usize, args: &[PrintArg], span: Span);

    /// Reads an extractor; raises where there is none.
    fn statistic(&mut self, code: &mut Code, e: Extractor, global: GlobalId, key: Option<Addr>, span: Span) -> Value;

    /// The count of a histogram's bucket; raises where there is none.
    fn bucket(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, number: Value, span: Span) -> Value;

    /// Prints a histogram; raises where there is none.
    fn print_histogram(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, span: Span);

    /// Prints a stack with symbols.
    fn print_stack(&mut self, code: &mut Code, stack: Value);

    /// An array's element at `to`, zeros where there is none.
    fn get(&mut self, code: &mut Code, global: GlobalId, key: Addr, to: Addr);

    /// Sets an array's element from the bytes at `from`; raises where the array is full.
    fn set(&mut self, code: &mut Code, global: GlobalId, key: Addr, from: Addr, span: Span);

    /// Adds to an element that is a number, as one step where others may do the same; gives the new value.
    fn add_to(&mut self, code: &mut Code, global: GlobalId, key: Addr, by: Value, span: Span) -> Value;

    /// 1 where the array has the key.
    fn has(&mut self, code: &mut Code, global: GlobalId, key: Addr) -> Value;

    /// 1 where the array has an element whose key equals a given one in the parts that the mask has bits for; without
    /// one, any element.
    fn has_slice(&mut self, code: &mut Code, global: GlobalId, slice: Option<(Addr, u64)>) -> Value;

    /// Deletes all such elements.
    fn delete_slice(&mut self, code: &mut Code, global: GlobalId, key: Addr, mask: u64);

    /// Deletes an element, or all where there is no key.
    fn delete(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>);

    /// The text of an interned string.
    fn text_of(&mut self, code: &mut Code, handle: Value) -> Addr;

    /// Starts a walk over an array, or over the elements that a key and a mask pick; gives its handle.
    fn walk_begin(
        &mut self,
        code: &mut Code,
        global: GlobalId,
        slice: Option<(Addr, u64)>,
        sort: Sort,
        limit: Value,
    ) -> Value;

    /// Starts a walk over the buckets of a histogram and gives its handle.
    fn walk_buckets(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, sort: Sort, limit: Value)
    -> Value;

    /// The address of a walk's next key or bucket number, 0 at the end.
    fn walk_next(&mut self, code: &mut Code, walk: Value) -> Value;

    /// Ends a walk.
    fn walk_end(&mut self, code: &mut Code, walk: Value);
}
