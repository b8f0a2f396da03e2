//! What kernel handlers send to user space through the rings.
//!
//! Every record starts with [`HEADER`] bytes: kind, index, time. The control ring carries errors and `exit()`, the
//! event ring carries printing and what goes on in user space; a flood of prints cannot hold up a stop.

/// Byte offset of the record's [`Kind`], 32 bits.
pub const KIND: u32 = 0;
/// Byte offset of the index, 32 bits: the format of a print, the [`Fault`] of an error, the number of a handoff.
pub const INDEX: u32 = 4;
/// Byte offset of the time, nanoseconds of the monotonic clock, 64 bits.
pub const TIME: u32 = 8;
/// Bytes before the arguments.
pub const HEADER: u32 = 16;

/// Bytes of the control ring: a page, the least the kernel takes.
pub const CONTROL_RING: u32 = 4096;
/// Bytes of the event ring.
pub const EVENT_RING: u32 = 8 << 20;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// `exit()`.
    Exit = 1,
    /// A run-time error: index is the fault, the first argument its detail (an address), the second the position.
    Error = 2,
    /// A printing statement: index is the format, the arguments follow as the format's layout says.
    Print = 3,
    /// The rest of a handler, to be run in user space: index is the handoff, what it needs follows.
    Handoff = 4,
}

impl Kind {
    /// The kind with this number.
    pub const fn from_number(number: u32) -> Option<Kind> {
        match number {
            1 => Some(Kind::Exit),
            2 => Some(Kind::Error),
            3 => Some(Kind::Print),
            4 => Some(Kind::Handoff),
            _ => None,
        }
    }
}

/// Bytes of an error record.
pub const ERROR_SIZE: u32 = HEADER + 16;
/// Most bytes, with the NUL, of the text behind an error's record where the fault is [`Fault::Text`]: half the ring.
pub const ERROR_TEXT_MAX: u32 = CONTROL_RING / 2;

/// A run-time error of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Fault {
    /// `/` or `%` by zero.
    DivisionByZero = 1,
    /// `@avg`, `@min`, `@max` or a histogram of nothing.
    EmptyAggregate = 2,
    /// `kernel_string()` of an address that cannot be read; the detail is the address.
    KernelStringFault = 3,
    /// `$p->f` of an address that cannot be read; the detail is the address.
    KernelReadFault = 4,
    /// More statements than MAXACTION.
    MaxAction = 5,
    /// An array is full; the detail is the global's number.
    ArrayOverflow = 6,
    /// Functions call each other more deeply than MAXNESTING.
    MaxNesting = 7,
    /// A histogram has no bucket with this number.
    HistogramIndex = 8,
    /// The last overload of a function said `next`.
    FunctionsExhausted = 9,
    /// An error with a message of its own, which user space has.
    Text = 10,
    /// `kernel_char()` of an address that cannot be read, which is the detail.
    KernelCharFault = 11,
    /// `kernel_short()`, likewise.
    KernelShortFault = 12,
    /// `kernel_int()`, likewise.
    KernelIntFault = 13,
    /// `kernel_long()`, likewise.
    KernelLongFault = 14,
    /// `kernel_pointer()`, likewise.
    KernelPointerFault = 15,
    /// `user_string()` of an address that cannot be read, which is the detail.
    UserStringFault = 16,
}

impl Fault {
    /// The message, or how it starts: what follows depends on the detail.
    pub const fn text(self) -> &'static str {
        match self {
            Fault::DivisionByZero => "division by 0",
            Fault::EmptyAggregate => "empty aggregate",
            Fault::KernelStringFault => "kernel string copy fault at ",
            Fault::KernelCharFault => "kernel char copy fault at ",
            Fault::KernelShortFault => "kernel short copy fault at ",
            Fault::KernelIntFault => "kernel int copy fault at ",
            Fault::KernelLongFault => "kernel long copy fault at ",
            Fault::KernelPointerFault => "kernel pointer copy fault at ",
            Fault::UserStringFault => "user string copy fault -14 at ",
            Fault::KernelReadFault => "read fault [man error::fault] at ",
            Fault::MaxAction => "MAXACTION exceeded",
            Fault::ArrayOverflow => "Array overflow, check ",
            Fault::MaxNesting => "MAXNESTING exceeded",
            Fault::HistogramIndex => "histogram index out of range",
            Fault::FunctionsExhausted => "all functions exhausted",
            Fault::Text => "",
        }
    }

    /// The fault with this number.
    pub const fn from_number(number: u32) -> Option<Fault> {
        match number {
            1 => Some(Fault::DivisionByZero),
            2 => Some(Fault::EmptyAggregate),
            3 => Some(Fault::KernelStringFault),
            4 => Some(Fault::KernelReadFault),
            5 => Some(Fault::MaxAction),
            6 => Some(Fault::ArrayOverflow),
            7 => Some(Fault::MaxNesting),
            8 => Some(Fault::HistogramIndex),
            9 => Some(Fault::FunctionsExhausted),
            10 => Some(Fault::Text),
            11 => Some(Fault::KernelCharFault),
            12 => Some(Fault::KernelShortFault),
            13 => Some(Fault::KernelIntFault),
            14 => Some(Fault::KernelLongFault),
            15 => Some(Fault::KernelPointerFault),
            16 => Some(Fault::UserStringFault),
            _ => None,
        }
    }
}

/// What is known of the event behind a handoff. It starts with the header's [`TIME`](super::TIME) and stands before the
/// captured values.
pub mod event {
    /// When it was, nanoseconds of the monotonic clock.
    pub const TIME: u32 = 0;
    /// Process and thread, as `bpf_get_current_pid_tgid` gives them.
    pub const PID_TGID: u32 = 8;
    /// Group and user, as `bpf_get_current_uid_gid` gives them.
    pub const UID_GID: u32 = 16;
    /// The CPU.
    pub const CPU: u32 = 24;
    /// The task's name, 16 bytes.
    pub const COMM: u32 = 32;
    /// The address of its `struct task_struct`.
    pub const TASK: u32 = 48;
    /// Bytes of all.
    pub const SIZE: u32 = 56;
}
