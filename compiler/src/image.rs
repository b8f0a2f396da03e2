//! A compiled script: everything the runtime needs to run it, and nothing about how it came to be.
//!
//! An image only holds data and prints itself (`--emit image`). Numbers of maps, globals, formats and losses are
//! indexes into the lists here.

mod attach;

pub use crate::bpf::Insn;
pub use crate::bpf::btf_writer::{FuncInfo, LineInfo};
use crate::native::code::NativeCode;
pub use attach::{Attach, Counted, Moment, NetfilterHook, PerfEvent, Rate, UprobePlace, Uprobes, Watched, function_in};
use tapster_lang::Span;
use tapster_runtime_ebpf::aggregate;

/// A compiled script.
#[derive(Debug, Default)]
pub struct Image {
    /// Maps to create, in this order.
    pub maps: Vec<Map>,
    /// Kernel handlers to load and attach, in the order of the script.
    pub programs: Vec<Program>,
    /// BTF of all programs: function and line information.
    pub btf: Vec<u8>,
    /// Globals of the script.
    pub globals: Vec<Global>,
    /// Size of the state block ([`tapster_runtime_ebpf::state`]); the map of [`MapRole::State`] where kernel handlers
    /// use it, plain memory otherwise.
    pub state_size: u32,
    /// Initial bytes of scalars in the state block, by offset.
    pub state_init: Vec<(u32, Vec<u8>)>,
    /// The bytes of the map of [`MapRole::Constants`], up to what only the loader knows
    /// ([`tapster_runtime_ebpf::constants`]).
    pub constants: Vec<u8>,
    /// What each loss counter of the state block counts.
    pub losses: Vec<Loss>,
    /// Formats of printing statements.
    pub formats: Vec<Format>,
    /// Handlers that run in user space.
    pub handlers: Vec<UserHandler>,
    /// What kernel handlers hand on to user space.
    pub handoffs: Vec<Handoff>,
    /// Files that the script serves.
    pub served: Vec<ServedFile>,
    /// Bytes of a string (`-DMAXSTRINGLEN`).
    pub max_string: u32,
    /// Their machine code.
    pub native: NativeCode,
    /// It may ask for memory that is not the run's own, or for what only the kernel knows.
    pub asks_kernel: bool,
    /// Patterns of regular expressions, checked by the compiler.
    pub regexes: Vec<Vec<u8>>,
    /// Statements a begin, end, error or timer handler may run, which nothing waits for.
    pub max_action_interruptible: u32,
    /// Frames kept of a stack.
    pub stack_frames: u32,
}

/// A map to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// At most 15 bytes of [A-Za-z0-9_].
    pub name: String,
    /// The kernel's map type.
    pub kind: MapKind,
    /// Bytes of a key; 0 for rings.
    pub key_size: u32,
    /// Bytes of a value; 0 for rings.
    pub value_size: u32,
    /// Elements; bytes for rings.
    pub max_entries: u32,
    /// May be mapped into user space (`BPF_F_MMAPABLE`).
    pub mmapable: bool,
    /// What it is for.
    pub role: MapRole,
}

/// The kernel's map types in use, with their numbers in `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "named as the kernel names them")]
pub enum MapKind {
    Hash = 1,
    Array = 2,
    PerfEventArray = 4,
    PercpuHash = 5,
    PercpuArray = 6,
    LruHash = 9,
    LruPercpuHash = 10,
    Ringbuf = 27,
}

/// What a map is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapRole {
    /// The state block.
    State,
    /// The elements of the array global with this number.
    Array(usize),
    /// All scalar statistics, one value a CPU; each at [`Storage::ScalarAggregate`]'s offset.
    ScalarAggregates,
    /// Frames of stacks by handle ([`tapster_runtime_ebpf::intern::stack`]).
    Stacks,
    /// Bytes of interned strings by handle, NUL-terminated.
    Strings,
    /// Errors and `exit()` from kernel handlers.
    Control,
    /// Printing from kernel handlers.
    Events,
    /// Working memory of one program, one value a CPU.
    Scratch,
    /// What an event was counted to, by CPU; the loader knows how many there are.
    Counter(Counted),
    /// What kernel handlers only read ([`Image::constants`]): read-only for them (`BPF_F_RDONLY_PROG`), and frozen.
    Constants,
}

/// A kernel handler.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// At most 15 bytes of [A-Za-z0-9_].
    pub name: String,
    /// The probe point it serves, as `pp()` says it; where it stands at several places, as the script does.
    pub probe: String,
    /// What `pp()` says at each place, where there are several: told apart by a cookie, the number in this list.
    pub sites: Vec<String>,
    /// One of the places that a pattern stands for: what the kernel refuses is passed over.
    pub lenient: bool,
    /// Where it stands.
    pub attach: Attach,
    /// The rung taken, where there was a choice, and why not a better one.
    pub why: Vec<String>,
    /// The probe in the script.
    pub span: Span,
    /// Instructions of the handler, then of the subprograms it calls.
    pub insns: Vec<Insn>,
    /// Instructions (`ld_imm64`) that refer to a map.
    pub map_refs: Vec<MapRef>,
    /// `struct bpf_func_info` records.
    pub func_info: Vec<FuncInfo>,
    /// `struct bpf_line_info` records.
    pub line_info: Vec<LineInfo>,
    /// Source positions ([`Span::start`]) by instruction, ascending: what a verifier's complaint is about.
    pub positions: Vec<(u32, u32)>,
}

/// An `ld_imm64` whose immediate is a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapRef {
    /// Index of the instruction.
    pub insn: u32,
    /// Index into [`Image::maps`].
    pub map: usize,
    /// The address of the value (`BPF_PSEUDO_MAP_VALUE`; the offset already stands in the second half), not the map.
    pub value: bool,
}

/// A global variable of the script.
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// Its name.
    pub name: String,
    /// Where it lives.
    pub storage: Storage,
}

/// Where a global lives.
#[derive(Clone, Debug, PartialEq)]
pub enum Storage {
    /// Never written: its value stands in the code.
    Constant,
    /// A number in the state block.
    Long {
        /// Byte offset.
        offset: u32,
    },
    /// A NUL-terminated string in the state block.
    Text {
        /// Byte offset.
        offset: u32,
        /// Bytes, NUL included.
        size: u32,
    },
    /// A statistic without index. On the kernel's side it lies in the map of [`MapRole::ScalarAggregates`].
    ScalarAggregate {
        /// Byte offset in that map's value.
        offset: u32,
        /// Its parts.
        layout: aggregate::Layout,
        /// Whether kernel handlers add to it.
        in_kernel: bool,
    },
    /// An array.
    Array(Array),
}

/// An array's layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The map that holds it; `None` where only user handlers use it, and user space holds it alone.
    pub map: Option<usize>,
    /// The parts of its key.
    pub key: Vec<KeyPart>,
    /// Bytes of a key.
    pub key_size: u32,
    /// Its elements.
    pub value: Value,
    /// How many elements fit.
    pub max_entries: u32,
    /// Whether the script gave the size (`a[N]`): decides the message of an overflow.
    pub sized: bool,
    /// Whether a new element drops the oldest one where the array is full (`a%`); in the kernel the one that was not
    /// used for longest, by [`MapKind::LruHash`].
    pub wrap: bool,
    /// Whether an element in the map says behind its value when it was inserted, in nanoseconds of `CLOCK_MONOTONIC`: a
    /// hash map keeps no order, and walks go through the elements in that of their insertion.
    pub ordered: bool,
}

impl Array {
    /// Bytes of one element in the map, on one CPU.
    pub const fn stored_size(&self) -> u32 {
        if self.ordered { self.value.size() + 8 } else { self.value.size() }
    }
}

/// One part of a key, at a multiple of 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPart {
    /// Byte offset in the key.
    pub offset: u32,
    /// What lies there.
    pub kind: KeyKind,
}

/// What lies in a part of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// 64 bits.
    Long,
    /// A string, NUL-terminated and filled with NULs to this many bytes.
    Text(u32),
    /// The handle of a string in [`MapRole::Strings`].
    Interned,
    /// The handle of a stack in [`MapRole::Stacks`].
    Stack,
}

impl KeyKind {
    /// Bytes in the key.
    pub const fn size(self) -> u32 {
        match self {
            KeyKind::Text(size) => size,
            KeyKind::Long | KeyKind::Interned | KeyKind::Stack => 8,
        }
    }
}

/// An array's elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// 64 bits.
    Long,
    /// A NUL-terminated string of this many bytes.
    Text(u32),
    /// A stack's handle.
    Stack,
    /// A statistic; the map is per CPU.
    Aggregate(aggregate::Layout),
}

impl Value {
    /// Bytes of one element on one CPU.
    pub const fn size(self) -> u32 {
        match self {
            Value::Long | Value::Stack => 8,
            Value::Text(size) => size,
            Value::Aggregate(layout) => layout.size(),
        }
    }
}

/// What a loss counter counts. The end of a run says each that is not zero as one `WARNING:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Elements that found the array global with this number full.
    ArrayFull(usize),
    /// Stacks that found the stack map full.
    StacksFull,
    /// Strings that found the string map full.
    StringsFull,
    /// Stacks deeper than the frames kept.
    StackTruncated,
    /// Stacks that the kernel could not take.
    StackFailed,
    /// Strings cut to MAXSTRINGLEN.
    StringTruncated,
    /// Strings that lack what the kernel did not format.
    FormatFailed,
    /// Records that found the event ring full, by program.
    EventsFull(usize),
    /// Events that came while the program was at another on that CPU, by program.
    Nested(usize),
}

/// The format of a printing statement.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Format {
    /// In order.
    pub pieces: Vec<Piece>,
}

/// A piece of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes as they are.
    Literal(Vec<u8>),
    /// A conversion; takes the next arguments.
    Conversion(Conversion),
}

/// `%[flag][width][.precision]conversion`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// One of `0 + - space #`, or `None`.
    pub flag: Option<u8>,
    /// The width.
    pub width: Measure,
    /// The precision.
    pub precision: Measure,
    /// One of `b c d i m M o p s u x X`.
    pub kind: u8,
    /// How the argument lies in memory.
    pub arg: ArgKind,
}

impl Conversion {
    /// Whether the kernel prints it as SystemTap does (`bpf_snprintf`, kernel/bpf/helpers.c): it knows no precision, no
    /// `*` and no `#`, nor the conversions of octal numbers and of memory.
    pub fn is_kernels(&self) -> bool {
        let fixed = !matches!(self.width, Measure::Arg) && self.precision == Measure::None;
        let is_known = match self.kind {
            b'p' => self.width == Measure::None,
            kind => matches!(kind, b'c' | b'd' | b'i' | b's' | b'u' | b'x' | b'X'),
        };
        fixed && is_known && self.flag != Some(b'#') && self.arg != ArgKind::Stack
    }
}

/// A width or precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Not given.
    None,
    /// A number.
    Fixed(u32),
    /// `*`: the next argument, a number.
    Arg,
}

/// How an argument of a print lies in the argument block.
///
/// A user handler passes an array of 64-bit words: numbers, or addresses of NUL-terminated strings. A kernel handler's
/// record has numbers in 64 bits and strings as their bytes, at the bound given here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// 64 bits.
    Long,
    /// A string of this bound (bytes with NUL, a multiple of 8).
    Text(u32),
    /// A stack handle, to be written as SystemTap writes a backtrace: addresses in hex, blanks between.
    Stack,
}

/// A handler that runs in user space.
#[derive(Clone, Debug, PartialEq)]
pub struct UserHandler {
    /// When it runs.
    pub when: When,
    /// The probe point, as `pp()` says it.
    pub probe: String,
    /// The probe point as the script wrote it, as `pn()` says it.
    pub name: String,
    /// Index into the native code's entry points.
    pub entry: usize,
    /// The probe in the script.
    pub span: Span,
    /// Byte offset in the state block of 64 bits that are not 0 while the probe's condition holds. Only timers have one.
    pub condition: Option<u32>,
}

/// What a kernel handler hands on: a record of [`tapster_runtime_ebpf::record::Kind::Handoff`] whose index is its place
/// in [`Image::handoffs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handoff {
    /// Index into [`Image::handlers`]: who goes on, [`When::Handoff`].
    pub handler: usize,
    /// Bytes behind the record's header.
    pub size: u32,
}

/// When a user handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before anything is attached, in ascending order.
    Begin(i64),
    /// After everything is detached, in ascending order.
    End(i64),
    /// Instead of the end handlers, after a run-time error.
    Error(i64),
    /// Every so many nanoseconds, give or take the random part.
    Timer {
        /// The period.
        nanoseconds: u64,
        /// Up to this much is added or taken away.
        randomize: u64,
    },
    /// Where a kernel handler hands on to it ([`Image::handoffs`]).
    Handoff,
    /// Somebody reads or has written the file with this number ([`Image::served`]).
    Served(usize),
    /// A character has come on standard input.
    Key,
    /// A line has come there.
    Line,
}

/// A file that the script serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedFile {
    /// Below the session's folder.
    pub path: String,
    /// The handler says what others read there; else it is told what they write.
    pub is_read: bool,
    /// Who may open it.
    pub mode: u32,
    /// Bytes that it gives at most; as a string has, where the script does not say.
    pub size: Option<u32>,
}
