//! What lowering asks of the side a handler runs on.
//!
//! Everything that only one side can do goes through [`Target`]: memory of globals, facts of the current task, reading
//! the kernel, printing. Control flow, arithmetic and types are the same for both and stay out of it.

use super::code::{Addr, Code};
use crate::hir::{ArgSource, GlobalId};
use crate::host::{Extractor, Fact, Sort};
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

/// A string, before it is put anywhere.
#[derive(Clone, Debug)]
pub enum Text {
    /// Known bytes.
    Literal(Vec<u8>),
    /// NUL-terminated bytes in memory, of at most this many with the NUL.
    At(Addr, u32),
    /// The current task's name.
    Execname,
    /// What lies at an address of kernel memory.
    KernelString(Value, Span),
    /// A stack's handle.
    Stack(Value),
}

/// An argument of a print.
#[derive(Clone, Debug)]
pub enum PrintArg {
    /// A number.
    Long(Value),
    /// A string; its bound with the NUL.
    Text(Text, u32),
}

/// One side of the kernel boundary.
pub trait Target {
    /// Leaves the handler. The block being filled ends.
    fn leave(&mut self, code: &mut Code);

    /// Reports an error and leaves the handler. The block being filled ends.
    fn raise(&mut self, code: &mut Code, raise: Raise);

    /// `exit()`.
    fn exit(&mut self, code: &mut Code);

    /// A place in the state block.
    fn state(&mut self, code: &mut Code, offset: u32) -> Addr;

    /// A fact of the current task or the clock.
    fn fact(&mut self, code: &mut Code, fact: Fact) -> Value;

    /// Memory for a string variable of `size` bytes, for the whole handler.
    fn text_home(&mut self, code: &mut Code, size: u32) -> Addr;

    /// Writes a string to a place of `size` bytes (whole words), cut to fit. `fill` has the rest zeroed, as keys need;
    /// otherwise bytes after the NUL are undefined.
    fn put_text(&mut self, code: &mut Code, text: &Text, to: Addr, size: u32, fill: bool);

    /// A string as NUL-terminated bytes in memory.
    fn text_at(&mut self, code: &mut Code, text: &Text, size: u32) -> Addr;

    /// Goes to one block where a string equals known bytes, to the other where it does not.
    fn branch_text(&mut self, code: &mut Code, text: &Text, literal: &[u8], equal: Block, differ: Block);

    /// The order of two strings: negative, 0 or positive.
    fn compare_text(&mut self, code: &mut Code, left: &Text, right: &Text, size: u32) -> Value;

    /// The handle of a string.
    fn intern(&mut self, code: &mut Code, text: &Text, size: u32) -> Value;

    /// The kernel stack's handle.
    fn backtrace(&mut self, code: &mut Code) -> Value;

    /// An argument of the probe.
    fn arg(&mut self, code: &mut Code, source: &ArgSource) -> Value;

    /// Reads kernel memory: 1, 2, 4 or 8 bytes.
    fn read(&mut self, code: &mut Code, address: Addr, size: u8, signed: bool, raise: Span) -> Value;

    /// Adds to a statistic; `key` is `None` for a scalar.
    fn aggregate(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>, value: Value, span: Span);

    /// Prints.
    fn print(&mut self, code: &mut Code, format: usize, args: &[PrintArg], span: Span);

    /// Reads an extractor; raises where there is none.
    fn statistic(&mut self, code: &mut Code, e: Extractor, global: GlobalId, key: Option<Addr>, span: Span) -> Value;

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

    /// Deletes an element, or all where there is no key.
    fn delete(&mut self, code: &mut Code, global: GlobalId, key: Option<Addr>);

    /// The text of an interned string.
    fn text_of(&mut self, code: &mut Code, handle: Value) -> Addr;

    /// Starts a walk and gives its handle.
    fn walk_begin(&mut self, code: &mut Code, global: GlobalId, sort: Sort, limit: Value) -> Value;

    /// The address of a walk's next key, 0 at the end.
    fn walk_next(&mut self, code: &mut Code, walk: Value) -> Value;

    /// Ends a walk.
    fn walk_end(&mut self, code: &mut Code, walk: Value);
}
