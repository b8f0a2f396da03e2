//! The functions that no `.stp` file can express: one row each.
//!
//! A row says what checking needs to know; what a function does is decided by its [`Op`], which each side of the
//! kernel boundary lowers in its own way. What can be written in the language belongs into `tapset/`, not here.

mod table;

pub use table::INTRINSICS;

use crate::hir::types::{Shape, Type};
use crate::host::{Fact, LibraryFn};
use tapster_runtime_ebpf::record::Fault;

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
    /// A string in memory.
    ReadText(Memory),
    /// A number in memory: bytes, whether it has a sign, and the error where it cannot be read.
    ReadNumber(Memory, u8, bool, Fault),
    /// As `ReadText`, empty where there is nothing to read.
    PeekText(Memory),
    /// A number in memory: bytes, and what it is where there is nothing to read.
    Peek(Memory, u8, i64),
    /// The stack of the kernel, or of the current process.
    Backtrace(Memory),
    /// Prints a stack with symbols.
    PrintStack,
    /// Ends the session.
    Exit,
    /// Ends the session and the handler.
    Abort,
    /// Raises an error.
    Error,
    /// Sends a signal to the current thread.
    Signal,
    /// The probe's point.
    Point(Point),
    /// A function that only user space has.
    Library(LibraryFn),
    /// What is known before the script is compiled: checking replaces the call by it.
    Known(Known),
}

/// Whose memory an address is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The kernel's.
    Kernel,
    /// The current process's.
    User,
}

impl Memory {
    /// The error of a string that cannot be read.
    pub const fn text_fault(self) -> Fault {
        match self {
            Memory::Kernel => Fault::KernelStringFault,
            Memory::User => Fault::UserStringFault,
        }
    }
}

/// What is known before the script is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// `target()`: the process that `-x` or `-c` gave.
    Target,
    /// `stp_pid()`: this process.
    OwnPid,
    /// `__own_uid()`: who runs this process.
    OwnUid,
    /// `is_return()`: whether the handler stands at the return of a function.
    IsReturn,
    /// `returnval()`: what the function gives back, as a number.
    ReturnValue,
    /// `module_name()`: SystemTap's kernel module, of which there is none.
    ModuleName,
}

/// What a handler can ask of its probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// `pp()`: the resolved point.
    Resolved,
    /// `pn()`: the point as the script wrote it.
    Written,
    /// `ppfunc()`: the function in the resolved point.
    Function,
}

/// The function with this name, the first where there are several.
pub fn find(name: &str) -> Option<&'static Intrinsic> {
    INTRINSICS.iter().find(|intrinsic| intrinsic.name == name)
}

/// Whether there is a function with this name and so many parameters.
pub fn takes(name: &str, params: usize) -> bool {
    INTRINSICS.iter().any(|intrinsic| intrinsic.name == name && intrinsic.params.len() == params)
}

/// The function with this name and so many parameters; another of the name where there is none.
pub fn find_taking(name: &str, params: usize) -> Option<&'static Intrinsic> {
    let fitting = |intrinsic: &&Intrinsic| intrinsic.name == name && intrinsic.params.len() == params;
    INTRINSICS.iter().find(fitting).or_else(|| find(name))
}
