//! What kernel handlers send to user space through the rings.
//!
//! Every record starts with [`HEADER`] bytes: kind, index, time. The control ring carries errors and `exit()`, the
//! event ring carries printing; a flood of prints cannot hold up a stop.

/// Byte offset of the record's [`Kind`], 32 bits.
pub const KIND: u32 = 0;
/// Byte offset of the index, 32 bits: the format of a print, the [`Fault`] of an error.
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
}

impl Kind {
    /// The kind with this number.
    pub const fn from_number(number: u32) -> Option<Kind> {
        match number {
            1 => Some(Kind::Exit),
            2 => Some(Kind::Error),
            3 => Some(Kind::Print),
            _ => None,
        }
    }
}

/// Bytes of an error record.
pub const ERROR_SIZE: u32 = HEADER + 16;

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
}

impl Fault {
    /// The fault with this number.
    pub const fn from_number(number: u32) -> Option<Fault> {
        match number {
            1 => Some(Fault::DivisionByZero),
            2 => Some(Fault::EmptyAggregate),
            3 => Some(Fault::KernelStringFault),
            4 => Some(Fault::KernelReadFault),
            5 => Some(Fault::MaxAction),
            6 => Some(Fault::ArrayOverflow),
            _ => None,
        }
    }
}
