//! The functions that no `.stp` file can express: one row each.
//!
//! A row says what checking needs to know; what a function does is decided by its [`Op`], which each side of the
//! kernel boundary lowers in its own way. What can be written in the language belongs into `tapset/`, not here.

use crate::hir::types::{Shape, Type};
use crate::host::Fact;
use tapster_runtime_ebpf::limits;

/// A function of the table.
#[derive(Debug, PartialEq)]
pub struct Intrinsic {
    /// Its name in the language.
    pub name: &'static str,
    /// Types of its parameters.
    pub params: &'static [Type],
    /// Type of its result; `Unknown` for none.
    pub result: Type,
    /// How a string result is held; `Text(0)` stands for MAXSTRINGLEN.
    pub shape: Shape,
    /// Which handlers may call it.
    pub sides: Sides,
    /// Whether calling it does something, so that it is not left out where its result is unused.
    pub effect: bool,
    /// What it does.
    pub op: Op,
    /// What `tapster explain NAME` says first.
    pub doc: &'static str,
}

/// Which handlers may call a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// Both kinds.
    Both,
    /// Those in the kernel.
    Kernel,
    /// Those in user space.
    User,
}

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A fact of the current task or the clock, divided by this.
    Fact(Fact, i64),
    /// The current task's name.
    Execname,
    /// A string in kernel memory.
    KernelString,
    /// The kernel stack.
    Backtrace,
    /// Prints a stack with symbols.
    PrintStack,
    /// Ends the session.
    Exit,
}

const fn fact(name: &'static str, fact: Fact, divisor: i64, sides: Sides, doc: &'static str) -> Intrinsic {
    Intrinsic {
        name,
        params: &[],
        result: Type::Long,
        shape: Shape::None,
        sides,
        effect: false,
        op: Op::Fact(fact, divisor),
        doc,
    }
}

/// All of them.
pub const INTRINSICS: &[Intrinsic] = &[
    fact("pid", Fact::Pid, 1, Sides::Both, "The process id (thread group id) of the current task."),
    fact("tid", Fact::Tid, 1, Sides::Both, "The thread id of the current task."),
    fact("uid", Fact::Uid, 1, Sides::Both, "The user id of the current task."),
    fact("gid", Fact::Gid, 1, Sides::Both, "The group id of the current task."),
    fact("cpu", Fact::Cpu, 1, Sides::Both, "The number of the current CPU."),
    fact("ktime_get_ns", Fact::KtimeNs, 1, Sides::Both, "Nanoseconds since boot, suspend not counted."),
    fact("gettimeofday_ns", Fact::GettimeofdayNs, 1, Sides::User, "Nanoseconds since 1970."),
    fact("gettimeofday_us", Fact::GettimeofdayNs, 1_000, Sides::User, "Microseconds since 1970."),
    fact("gettimeofday_ms", Fact::GettimeofdayNs, 1_000_000, Sides::User, "Milliseconds since 1970."),
    fact("gettimeofday_s", Fact::GettimeofdayNs, 1_000_000_000, Sides::User, "Seconds since 1970."),
    Intrinsic {
        name: "execname",
        params: &[],
        result: Type::String,
        shape: Shape::Text(limits::TASK_COMM_LEN),
        sides: Sides::Both,
        effect: false,
        op: Op::Execname,
        doc: "The name of the current task, at most 15 bytes.",
    },
    Intrinsic {
        name: "kernel_string",
        params: &[Type::Long],
        result: Type::String,
        shape: Shape::Text(0),
        sides: Sides::Kernel,
        effect: true,
        op: Op::KernelString,
        doc: "The NUL-terminated string at an address of kernel memory; an address that cannot be read is an error.",
    },
    Intrinsic {
        name: "backtrace",
        params: &[],
        result: Type::String,
        shape: Shape::Stack,
        sides: Sides::Kernel,
        effect: false,
        op: Op::Backtrace,
        doc: "The kernel stack, to be printed by print_stack() or used as a key.",
    },
    Intrinsic {
        name: "print_stack",
        params: &[Type::String],
        result: Type::Unknown,
        shape: Shape::None,
        sides: Sides::User,
        effect: true,
        op: Op::PrintStack,
        doc: "Prints a backtrace(), a frame a line: address, symbol, offset, size and module.",
    },
    Intrinsic {
        name: "exit",
        params: &[],
        result: Type::Unknown,
        shape: Shape::None,
        sides: Sides::Both,
        effect: true,
        op: Op::Exit,
        doc: "Ends the session: the handler runs to its end, then the end probes do.",
    },
];

/// The function with this name.
pub fn find(name: &str) -> Option<&'static Intrinsic> {
    INTRINSICS.iter().find(|intrinsic| intrinsic.name == name)
}
