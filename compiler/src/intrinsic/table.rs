//! The rows, and short ways to write them.

use super::{Intrinsic, Known, Memory, Op, Point, Sides};
use crate::hir::types::{Shape, Type};
use crate::host::{Fact, LibraryFn};
use tapster_runtime_ebpf::limits;
use tapster_runtime_ebpf::record::Fault;

/// The type of a parameter, in a word.
const N: Type = Type::Long;
/// As above.
const S: Type = Type::String;
/// As above, of memory.
const KERNEL: Memory = Memory::Kernel;
/// As above.
const USER: Memory = Memory::User;

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

/// A function of the library that only user space has.
const fn library(
    function: LibraryFn,
    params: &'static [Type],
    result: Type,
    effect: bool,
    doc: &'static str,
) -> Intrinsic {
    assert!(params.len() == function.arity());
    let shape = if matches!(result, Type::String) { Shape::Text(0) } else { Shape::None };
    let (name, op) = (function.name(), Op::Library(function));
    Intrinsic { name, params, result, shape, sides: Sides::User, effect, op, doc }
}

const fn point(name: &'static str, point: Point, doc: &'static str) -> Intrinsic {
    Intrinsic {
        name,
        params: &[],
        result: Type::String,
        shape: Shape::Text(0),
        sides: Sides::Both,
        effect: false,
        op: Op::Point(point),
        doc,
    }
}

const fn known(name: &'static str, result: Type, known: Known, doc: &'static str) -> Intrinsic {
    let (params, shape, sides, op) = (&[], Shape::None, Sides::Both, Op::Known(known));
    Intrinsic { name, params, result, shape, sides, effect: false, op, doc }
}

/// A function that does something and has no result.
const fn action(name: &'static str, params: &'static [Type], sides: Sides, op: Op, doc: &'static str) -> Intrinsic {
    Intrinsic { name, params, result: Type::Unknown, shape: Shape::None, sides, effect: true, op, doc }
}

const fn number(
    name: &'static str,
    memory: Memory,
    (size, signed): (u8, bool),
    fault: Fault,
    doc: &'static str,
) -> Intrinsic {
    Intrinsic {
        name,
        params: &[N],
        result: N,
        shape: Shape::None,
        sides: Sides::Both,
        effect: false,
        op: Op::ReadNumber(memory, size, signed, fault),
        doc,
    }
}

const fn peek(name: &'static str, size: u8, otherwise: i64, doc: &'static str) -> Intrinsic {
    let (params, shape, sides, op) = (&[N], Shape::None, Sides::Both, Op::Peek(USER, size, otherwise));
    Intrinsic { name, params, result: N, shape, sides, effect: false, op, doc }
}

/// A function that user space's library has, and the kernel as well.
const fn of_both(name: Intrinsic, shape: Shape) -> Intrinsic {
    Intrinsic { sides: Sides::Both, shape, ..name }
}

/// The name of a system call.
const CALL_NAME: Shape = Shape::Text(crate::syscall::NAME_SIZE);

/// All of them.
pub const INTRINSICS: &[Intrinsic] = &[
    fact("pid", Fact::Pid, 1, Sides::Both, "The process id (thread group id) of the current task."),
    fact("tid", Fact::Tid, 1, Sides::Both, "The thread id of the current task."),
    fact("uid", Fact::Uid, 1, Sides::Both, "The user id of the current task."),
    fact("gid", Fact::Gid, 1, Sides::Both, "The group id of the current task."),
    fact("cpu", Fact::Cpu, 1, Sides::Both, "The number of the current CPU."),
    fact("ktime_get_ns", Fact::KtimeNs, 1, Sides::Both, "Nanoseconds since boot, suspend not counted."),
    fact("gettimeofday_ns", Fact::GettimeofdayNs, 1, Sides::Both, "Nanoseconds since 1970."),
    fact("gettimeofday_us", Fact::GettimeofdayNs, 1_000, Sides::Both, "Microseconds since 1970."),
    fact("gettimeofday_ms", Fact::GettimeofdayNs, 1_000_000, Sides::Both, "Milliseconds since 1970."),
    fact("gettimeofday_s", Fact::GettimeofdayNs, 1_000_000_000, Sides::Both, "Seconds since 1970."),
    fact("task_current", Fact::Task, 1, Sides::Both, "The address of the current task's `struct task_struct`."),
    fact("jiffies", Fact::Jiffies, 1, Sides::Both, "The kernel's ticks since about five minutes before boot."),
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
        sides: Sides::Both,
        effect: false,
        op: Op::ReadText(Memory::Kernel),
        doc: "The NUL-terminated string at an address of kernel memory; an address that cannot be read is an error.",
    },
    Intrinsic {
        name: "kernel_string_n",
        params: &[N, N],
        result: Type::String,
        shape: Shape::Text(0),
        sides: Sides::Both,
        effect: false,
        op: Op::ReadText(Memory::Kernel),
        doc: "As kernel_string(), at most so many bytes.",
    },
    Intrinsic {
        name: "user_string_n",
        params: &[N, N],
        result: Type::String,
        shape: Shape::Text(0),
        sides: Sides::Both,
        effect: false,
        op: Op::ReadText(Memory::User),
        doc: "As user_string(), at most so many bytes.",
    },
    Intrinsic {
        name: "user_string",
        params: &[Type::Long],
        result: Type::String,
        shape: Shape::Text(0),
        sides: Sides::Both,
        effect: false,
        op: Op::ReadText(Memory::User),
        doc: "The NUL-terminated string at an address of the current process; one that cannot be read is an error.",
    },
    Intrinsic {
        name: "backtrace",
        params: &[],
        result: Type::String,
        shape: Shape::Stack,
        sides: Sides::Kernel,
        effect: false,
        op: Op::Backtrace(KERNEL),
        doc: "The kernel stack, to be printed by print_stack() or used as a key.",
    },
    Intrinsic {
        name: "ubacktrace",
        params: &[],
        result: Type::String,
        shape: Shape::Stack,
        sides: Sides::Kernel,
        effect: false,
        op: Op::Backtrace(USER),
        doc: "The stack of the current process, to be printed by print_ustack() or used as a key.",
    },
    fact("__function_address", Fact::FunctionAddress, 1, Sides::Kernel, "Where the probed function stands."),
    fact("__user_registers", Fact::UserRegisters, 1, Sides::Kernel, "Where the current process's registers are kept."),
    action(
        "print_stack",
        &[S],
        Sides::User,
        Op::PrintStack,
        "Prints a backtrace(), a frame a line: address, symbol, offset, size and module.",
    ),
    action(
        "exit",
        &[],
        Sides::Both,
        Op::Exit,
        "Ends the session: the handler runs to its end, then the end probes do.",
    ),
    action("abort", &[], Sides::Both, Op::Abort, "Ends the session at once: the rest of the handler is not run."),
    action("error", &[S], Sides::Both, Op::Error, "Raises a run-time error with this message."),
    action(
        "raise",
        &[N],
        Sides::Kernel,
        Op::Signal,
        "Sends a signal to the current thread, which has it before it runs on; needs -g.",
    ),
    number("kernel_char", KERNEL, (1, true), Fault::KernelCharFault, "The byte at an address of kernel memory."),
    number("kernel_short", KERNEL, (2, true), Fault::KernelShortFault, "Two bytes of kernel memory as a number."),
    number("kernel_int", KERNEL, (4, true), Fault::KernelIntFault, "Four bytes of kernel memory as a number."),
    number("kernel_long", KERNEL, (8, true), Fault::KernelLongFault, "Eight bytes of kernel memory as a number."),
    number("kernel_pointer", KERNEL, (8, false), Fault::KernelPointerFault, "A pointer in kernel memory."),
    peek("__user_byte", 1, -1, "The byte at an address of the current process, -1 where there is none."),
    peek("__user_word", 8, 0, "Eight bytes of the current process, 0 where there are none."),
    Intrinsic {
        name: "__user_text",
        params: &[N],
        result: S,
        shape: Shape::Text(0),
        sides: Sides::Both,
        effect: false,
        op: Op::PeekText(USER),
        doc: "The string at an address of the current process, empty where there is none.",
    },
    of_both(
        library(LibraryFn::syscall_name, &[N], S, false, "The name of the system call with this number."),
        CALL_NAME,
    ),
    library(
        LibraryFn::syscall_num,
        &[S],
        N,
        false,
        "The number of the system call with this name, -1 where there is none.",
    ),
    of_both(library(LibraryFn::__syscall_point, &[N], S, false, "What probe points call a system call."), CALL_NAME),
    of_both(library(LibraryFn::__syscall_slots, &[N], N, false, "What of a system call lies in memory."), Shape::None),
    library(
        LibraryFn::__syscall_argstr,
        &[N, N, N, N, N, N, N, N, S, N, S, N, N, N, N, N, N, N, S],
        S,
        false,
        "The arguments of a system call as text.",
    ),
    library(LibraryFn::__syscall_quoted, &[N, N, S], S, false, "A string of a process in quotes, or its address."),
    library(
        LibraryFn::__syscall_structure,
        &[S, N, N, N, N, N, N, N, N, N, S],
        S,
        false,
        "A structure of a process as text.",
    ),
    library(LibraryFn::__syscall_set, &[S, N], S, false, "The names that a number of a system call means."),
    library(
        LibraryFn::__syscall_strings,
        &[N, S, N, S, N, S, N, S, N, S, N, S, N, S, N, S, N],
        S,
        false,
        "Strings of a process in quotes.",
    ),
    library(LibraryFn::__syscall_result, &[N, N], S, false, "What a system call gave, as text."),
    library(
        LibraryFn::return_str,
        &[N, N],
        S,
        false,
        "What a system call gave: decimal (1), hexadecimal (2) or octal (3), an error with its name.",
    ),
    number(
        "user_char_error",
        USER,
        (1, true),
        Fault::KernelReadFault,
        "The byte at an address of the current process; one that cannot be read is an error.",
    ),
    number(
        "user_short_error",
        USER,
        (2, true),
        Fault::KernelReadFault,
        "Two bytes at an address of the current process; one that cannot be read is an error.",
    ),
    number(
        "user_ushort_error",
        USER,
        (2, false),
        Fault::KernelReadFault,
        "Two bytes without sign at an address of the current process; one that cannot be read is an error.",
    ),
    number(
        "user_int_error",
        USER,
        (4, true),
        Fault::KernelReadFault,
        "Four bytes at an address of the current process; one that cannot be read is an error.",
    ),
    number(
        "user_uint_error",
        USER,
        (4, false),
        Fault::KernelReadFault,
        "Four bytes without sign at an address of the current process; one that cannot be read is an error.",
    ),
    number(
        "user_long_error",
        USER,
        (8, true),
        Fault::KernelReadFault,
        "Eight bytes at an address of the current process; one that cannot be read is an error.",
    ),
    number(
        "user_ulong_error",
        USER,
        (8, false),
        Fault::KernelReadFault,
        "Eight bytes without sign at an address of the current process; one that cannot be read is an error.",
    ),
    number(
        "user_uint8_error",
        USER,
        (1, false),
        Fault::KernelReadFault,
        "The byte without sign at an address of the current process; one that cannot be read is an error.",
    ),
    known("target", N, Known::Target, "The process that -x or -c gave, 0 without."),
    known("is_return", N, Known::IsReturn, "1 at the return of a function, 0 elsewhere."),
    known("returnval", N, Known::ReturnValue, "What the function that returns here gives, as a number of 64 bits."),
    known("stp_pid", N, Known::OwnPid, "The process id of the tracer itself."),
    known("__own_uid", N, Known::OwnUid, "The user id that the tracer runs with."),
    known("module_name", S, Known::ModuleName, "The name of the running script's module; always `tapster`."),
    point("pp", Point::Resolved, "The probe point that the handler runs at, with wildcards and aliases resolved."),
    point(
        "ppfunc",
        Point::Function,
        "The function in the probe point that the handler runs at; empty where it names none.",
    ),
    point(
        "probefunc",
        Point::Function,
        "The function that the handler's probe point names; empty where it names none.",
    ),
    point("pn", Point::Written, "The probe point as the script wrote it, an alias where it is one."),
    Intrinsic { sides: Sides::Both, ..library(LibraryFn::strlen, &[S], N, false, "The length of a string.") },
    library(
        LibraryFn::substr,
        &[S, N, N],
        S,
        false,
        "The part of a string from a position on, with at most this length.",
    ),
    library(
        LibraryFn::stringat,
        &[S, N],
        N,
        false,
        "The byte at a position of a string; an error where there is none.",
    ),
    library(LibraryFn::isinstr, &[S, S], N, false, "1 where the first string contains the second."),
    library(LibraryFn::strpos, &[S, S], N, false, "Where the second string first stands in the first, or -1."),
    library(LibraryFn::strtol, &[S, N], N, false, "A string as a number of this base, as far as it is one."),
    library(LibraryFn::str_replace, &[S, S, S], S, false, "The string with every occurrence of the second replaced."),
    library(LibraryFn::string_quoted, &[S], S, false, "The string in double quotes, with escapes."),
    library(LibraryFn::text_str, &[S], S, false, "The string, what cannot be printed as escapes."),
    library(LibraryFn::text_strn, &[S, N, N], S, false, "As text_str(), at most so many bytes; quoted where asked."),
    library(
        LibraryFn::tokenize,
        &[S, S],
        S,
        true,
        "The next word of a string; of the last one's rest where it is empty.",
    ),
    library(LibraryFn::matched, &[N], S, true, "A group of the last `=~` that matched; 0 is all of it."),
    library(LibraryFn::ngroups, &[], N, true, "How many groups the last `=~` has, all of it being one."),
    library(LibraryFn::log, &[S], Type::Unknown, true, "Prints a line."),
    library(LibraryFn::warn, &[S], Type::Unknown, true, "Prints a WARNING on standard error."),
    library(LibraryFn::ctime, &[N], S, false, "Seconds since 1970 as a date."),
    library(LibraryFn::errno_str, &[N], S, false, "The name of an error number, `ENOENT`."),
    library(
        LibraryFn::file_line,
        &[S, N],
        S,
        false,
        "A line of a file such as /proc/slabinfo; the first is 1, and empty is what stands behind the last. A handler sees \
         the file as it was when it first asked.",
    ),
    library(
        LibraryFn::folder_entry,
        &[S, N],
        S,
        false,
        "The name of something in a folder such as /sys/kernel/slab; the first is 1, in alphabetical order, and empty is what \
         stands behind the last. A handler sees the folder as it was when it first asked.",
    ),
    library(
        LibraryFn::link_target,
        &[S],
        S,
        false,
        "Where a symbolic link leads, as it is written there; empty where there is no link of this name.",
    ),
    library(
        LibraryFn::largest_process,
        &[N],
        N,
        false,
        "The id of the process that has most memory resident; with 2 the second, and so on, 0 behind the last. A handler sees \
         them as they were when it first asked; no list of tasks is locked.",
    ),
    library(
        LibraryFn::word,
        &[S, N],
        S,
        false,
        "A word of a text, with blanks around it; the first is 1, and empty is what stands behind the last.",
    ),
    library(LibraryFn::sprint_syms, &[S], S, false, "A stack of the kernel as text, a function a line."),
    library(LibraryFn::print_syms, &[S], Type::Unknown, true, "Prints a stack of the kernel with addresses and names."),
    library(LibraryFn::__usymname, &[N, N], S, false, "The function of a process at an address."),
    library(
        LibraryFn::__usymdata,
        &[N, N],
        S,
        false,
        "The function of a process at an address, with offset, size and file.",
    ),
    library(LibraryFn::__umodname, &[N, N], S, false, "The file that an address of a process belongs to."),
    library(LibraryFn::__sprint_usyms, &[N, S], S, false, "A stack of a process as text, a function a line."),
    library(
        LibraryFn::__print_usyms,
        &[N, S],
        Type::Unknown,
        true,
        "Prints a stack of a process with addresses and names.",
    ),
    library(LibraryFn::__nth_address, &[S, N], N, false, "An address of a stack, 0 where it has fewer."),
    library(LibraryFn::errno_p, &[N], N, false, "An error number without its sign; 0 where it is none."),
    library(LibraryFn::tz_name, &[], S, false, "The name of the time zone that the session runs in."),
    library(LibraryFn::tz_gmtoff, &[], N, false, "How many seconds the session's time zone is behind UTC."),
    library(LibraryFn::randint, &[N], N, true, "A random number from 0 on, below a limit."),
    library(LibraryFn::pid2execname, &[N], S, false, "The name of the task with this id, empty where there is none."),
    library(LibraryFn::HZ, &[], N, false, "The kernel's ticks in a second."),
    library(
        LibraryFn::get_loadavg_index,
        &[N],
        N,
        false,
        "The load average of the last minute (0), 5 (1) or 15 minutes (2), without its fraction.",
    ),
    library(LibraryFn::__event_text, &[], S, false, "What came on standard input, or was written to a file."),
    library(LibraryFn::__event_set, &[S], Type::Unknown, true, "Sets what a reader of a file gets."),
    library(LibraryFn::__event_add, &[S], Type::Unknown, true, "Adds to what a reader of a file gets."),
    library(
        LibraryFn::__number_or_error,
        &[N, S],
        N,
        true,
        "A number that was read, or the error that its reading was.",
    ),
    library(LibraryFn::__text_or_error, &[S, S], S, true, "A string that was read, or the error that its reading was."),
    library(LibraryFn::ftrace, &[S], Type::Unknown, true, "Writes a line into the kernel's trace buffer."),
    library(
        LibraryFn::printk,
        &[N, S],
        Type::Unknown,
        true,
        "Writes a line of a level (0 to 7) into the kernel's log.",
    ),
    library(LibraryFn::mem_page_size, &[], N, false, "Bytes of a page of memory."),
    library(LibraryFn::__fp, &[S, N, N], N, false, "Calculates with numbers of floating point."),
    library(LibraryFn::__fp_text, &[N, N], S, false, "A number of floating point as text."),
    library(LibraryFn::__fp_of, &[S], N, false, "A text as a number of floating point."),
    library(LibraryFn::__env_of, &[N, S], S, false, "A variable of the environment that a process was started with."),
    library(
        LibraryFn::__nth_word,
        &[S, N, S],
        S,
        false,
        "The word of a text with a number, or else the last argument.",
    ),
    library(LibraryFn::symname, &[N], S, false, "The kernel function that an address lies in, or the address in hex."),
    library(
        LibraryFn::symdata,
        &[N],
        S,
        false,
        "The kernel function that an address lies in, with offset, size and module, or the address in hex.",
    ),
    library(
        LibraryFn::modname,
        &[N],
        S,
        false,
        "The module that a kernel address lies in; `kernel` is the kernel itself.",
    ),
    library(LibraryFn::system, &[S], Type::Unknown, true, "Starts a command of the shell."),
    library(
        LibraryFn::switch_file,
        &[],
        Type::Unknown,
        true,
        "Has the output go on in the next file, as the signal USR2 does; without `-o` nothing happens.",
    ),
];
