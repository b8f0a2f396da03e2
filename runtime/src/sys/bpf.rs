//! `bpf(2)`: BTF, maps, programs, links, over the kernel's own `union bpf_attr`.

use super::{check, own};
use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_prog_info, bpf_prog_type};
use std::ffi::c_char;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `BPF_NOEXIST`: only a new element.
pub const NOEXIST: u64 = 1;
/// `BPF_F_MMAPABLE`.
pub const MMAPABLE: u32 = 1 << 10;
/// `BPF_F_RDONLY_PROG`.
pub const READ_ONLY_FOR_PROGRAMS: u32 = 1 << 7;
/// Bytes of a map's or program's name with its NUL.
const NAME: usize = 16;
/// The largest verifier log the kernel takes (`UINT_MAX >> 2`) is far more than anybody reads.
const LOG_MAX: usize = 64 << 20;

pub(super) fn zeroed() -> bpf_attr {
    // SAFETY: every variant is plain numbers, for which zero is valid; the kernel demands it in what it does not know.
    unsafe { mem::zeroed() }
}

pub(super) fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    let size = size_of::<bpf_attr>();
    // SAFETY: `attr` lives through the call; the callers below vouch for the addresses in it.
    check(unsafe { libc::syscall(libc::SYS_bpf, command as libc::c_long, std::ptr::from_mut(attr), size) })
}

pub(super) fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let result = bpf(command, attr)?;
    own(result)
}

fn name(text: &str) -> [c_char; NAME] {
    let mut name = [0; NAME];
    for (to, from) in name[..NAME - 1].iter_mut().zip(text.bytes()) {
        *to = from as c_char;
    }
    name
}

pub(super) fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

/// Loads BTF.
pub fn load_btf(btf: &[u8]) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.__bindgen_anon_7.btf = btf.as_ptr() as u64;
    attr.__bindgen_anon_7.btf_size = btf.len() as u32;
    bpf_fd(bpf_cmd::BPF_BTF_LOAD, &mut attr)
}

/// What a map shall be.
#[derive(Clone, Copy, Debug)]
pub struct MapSpec<'a> {
    /// At most 15 bytes.
    pub name: &'a str,
    /// Its number in `enum bpf_map_type`.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value on one CPU.
    pub value_size: u32,
    /// Elements.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// How many possible CPUs there are, where each has a value of its own.
    pub per_cpu: Option<usize>,
}

/// A map, with the sizes that its system calls read and write.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
    key_size: usize,
    stride: usize,
    cpus: usize,
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Elements read.
    pub count: usize,
    /// Whether it was the last.
    pub last: bool,
}

impl Map {
    /// Creates it.
    pub fn create(spec: &MapSpec<'_>) -> io::Result<Map> {
        let mut attr = zeroed();
        // SAFETY: only fields of the variant that this command reads are set, on a zeroed union.
        let fields = unsafe { &mut attr.__bindgen_anon_1 };
        fields.map_type = spec.kind;
        fields.key_size = spec.key_size;
        fields.value_size = spec.value_size;
        fields.max_entries = spec.max_entries;
        fields.map_flags = spec.flags;
        fields.map_name = name(spec.name);
        let fd = bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr)?;
        // A single value is copied as it is; per-CPU ones at multiples of 8 (kernel/bpf/syscall.c, bpf_map_value_size).
        let value = spec.value_size as usize;
        let stride = if spec.per_cpu.is_some() { value.next_multiple_of(8) } else { value };
        Ok(Map { fd, key_size: spec.key_size as usize, stride, cpus: spec.per_cpu.unwrap_or(1) })
    }

    /// Bytes of a key.
    pub fn key_size(&self) -> usize {
        self.key_size
    }

    /// Bytes of an element's value, of all CPUs together.
    pub fn value_size(&self) -> usize {
        self.stride * self.cpus
    }

    /// Bytes from one CPU's value to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    fn element(&self, key: &[u8], value: u64, flags: u64) -> bpf_attr {
        assert_eq!(key.len(), self.key_size, "keys have the map's size");
        let mut attr = zeroed();
        // SAFETY: as in `create`.
        let fields = unsafe { &mut attr.__bindgen_anon_2 };
        fields.map_fd = raw(self.as_fd());
        fields.key = key.as_ptr() as u64;
        fields.__bindgen_anon_1.value = value;
        fields.flags = flags;
        attr
    }

    /// Reads an element; gives whether there is one.
    pub fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
        assert_eq!(value.len(), self.value_size(), "the kernel writes this many bytes");
        let mut attr = self.element(key, value.as_mut_ptr() as u64, 0);
        found(bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr))
    }

    /// Sets an element.
    pub fn update(&self, key: &[u8], value: &[u8], flags: u64) -> io::Result<()> {
        assert_eq!(value.len(), self.value_size(), "the kernel reads this many bytes");
        let mut attr = self.element(key, value.as_ptr() as u64, flags);
        bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
    }

    /// Lets nobody but programs change it from now on.
    pub fn freeze(&self) -> io::Result<()> {
        let mut attr = zeroed();
        attr.__bindgen_anon_2.map_fd = raw(self.as_fd());
        bpf(bpf_cmd::BPF_MAP_FREEZE, &mut attr).map(drop)
    }

    /// Deletes an element; gives whether there was one.
    pub fn delete(&self, key: &[u8]) -> io::Result<bool> {
        let mut attr = self.element(key, 0, 0);
        found(bpf(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut attr))
    }

    /// Finds the key after this one, the first after `None`; gives whether there is one.
    pub fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> io::Result<bool> {
        assert_eq!(next.len(), self.key_size, "the kernel writes this many bytes");
        let mut attr = self.element(key.unwrap_or(next), 0, 0);
        // SAFETY: as in `create`.
        let fields = unsafe { &mut attr.__bindgen_anon_2 };
        if key.is_none() {
            fields.key = 0;
        }
        fields.__bindgen_anon_1.next_key = next.as_mut_ptr() as u64;
        found(bpf(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr))
    }

    /// Reads the next elements into `keys` and `values`, as many as both hold. `cursor` says where to go on; it is ours
    /// to keep and the kernel's to interpret.
    ///
    /// ENOSPC: a single hash bucket holds more than `keys` does.
    pub fn lookup_batch(&self, cursor: &mut Cursor, keys: &mut [u8], values: &mut [u8]) -> io::Result<Batch> {
        let count = keys.len() / self.key_size;
        assert!(values.len() >= count * self.value_size(), "the kernel writes this many bytes");
        // Hash maps keep the number of a bucket in a cursor, others a key.
        let size = self.key_size.max(size_of::<u32>());
        cursor.here.resize(size, 0);
        cursor.next.resize(size, 0);
        let mut attr = zeroed();
        attr.batch.in_batch = if cursor.started { cursor.here.as_ptr() as u64 } else { 0 };
        attr.batch.out_batch = cursor.next.as_mut_ptr() as u64;
        attr.batch.keys = keys.as_mut_ptr() as u64;
        attr.batch.values = values.as_mut_ptr() as u64;
        attr.batch.count = count as u32;
        attr.batch.map_fd = raw(self.as_fd());
        let result = found(bpf(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr));
        // SAFETY: the kernel writes the number of elements back, also with ENOENT, which marks the last batch.
        let count = unsafe { attr.batch.count } as usize;
        result.map(|more| {
            std::mem::swap(&mut cursor.here, &mut cursor.next);
            cursor.started = true;
            Batch { count, last: !more }
        })
    }

    /// Deletes the elements with these keys, one key after the other.
    pub fn delete_batch(&self, keys: &[u8]) -> io::Result<()> {
        let mut attr = zeroed();
        attr.batch.keys = keys.as_ptr() as u64;
        attr.batch.count = (keys.len() / self.key_size) as u32;
        attr.batch.map_fd = raw(self.as_fd());
        bpf(bpf_cmd::BPF_MAP_DELETE_BATCH, &mut attr).map(drop)
    }
}

/// Where the next batch starts.
#[derive(Debug, Default)]
pub struct Cursor {
    here: Vec<u8>,
    next: Vec<u8>,
    started: bool,
}

fn found(result: io::Result<i64>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What type of program, and where it may be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramKind {
    /// At the entry of the function with this BTF id.
    Fentry(u32),
    /// At its return.
    Fexit(u32),
    /// At the tracepoint whose `btf_trace_` type has this BTF id.
    BtfTracepoint(u32),
    /// At kprobes, through perf events.
    Kprobe,
    /// At many functions through ftrace.
    KprobeMulti,
    /// At many instructions of a file at once.
    UprobeMulti,
    /// At a tracepoint of any name, or nowhere: it can be run for its own sake.
    RawTracepoint,
    /// Nowhere: the type that needs the least privilege, for trying out instructions.
    SocketFilter,
    /// At a perf event.
    PerfEvent,
    /// At a hook of the network (Linux 6.4).
    Netfilter,
}

impl ProgramKind {
    fn numbers(self) -> (bpf_prog_type, u32, u32) {
        use bpf_attach_type::{
            BPF_NETFILTER, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_TRACE_KPROBE_MULTI, BPF_TRACE_RAW_TP,
            BPF_TRACE_UPROBE_MULTI,
        };
        use bpf_prog_type::{
            BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_NETFILTER, BPF_PROG_TYPE_PERF_EVENT, BPF_PROG_TYPE_RAW_TRACEPOINT,
            BPF_PROG_TYPE_SOCKET_FILTER, BPF_PROG_TYPE_TRACING,
        };
        match self {
            ProgramKind::Fentry(id) => (BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY as u32, id),
            ProgramKind::Fexit(id) => (BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT as u32, id),
            ProgramKind::BtfTracepoint(id) => (BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP as u32, id),
            ProgramKind::Kprobe => (BPF_PROG_TYPE_KPROBE, 0, 0),
            ProgramKind::PerfEvent => (BPF_PROG_TYPE_PERF_EVENT, 0, 0),
            ProgramKind::Netfilter => (BPF_PROG_TYPE_NETFILTER, BPF_NETFILTER as u32, 0),
            ProgramKind::KprobeMulti => (BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI as u32, 0),
            ProgramKind::UprobeMulti => (BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI as u32, 0),
            ProgramKind::RawTracepoint => (BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0),
            ProgramKind::SocketFilter => (BPF_PROG_TYPE_SOCKET_FILTER, 0, 0),
        }
    }
}

/// A program to load.
#[derive(Clone, Copy, Debug)]
pub struct ProgramSpec<'a> {
    /// At most 15 bytes.
    pub name: &'a str,
    /// Its type.
    pub kind: ProgramKind,
    /// Its instructions, each `struct bpf_insn` as a word.
    pub code: &'a [u64],
    /// The BTF that its place's type is in, where that is a module's.
    pub module: Option<BorrowedFd<'a>>,
    /// What it refers to in BTF.
    pub debug: Option<DebugInfo<'a>>,
}

/// BTF of a program.
#[derive(Clone, Copy, Debug)]
pub struct DebugInfo<'a> {
    /// Loaded by [`load_btf`].
    pub btf: BorrowedFd<'a>,
    /// `struct bpf_func_info` records: two words of 32 bits.
    pub functions: &'a [[u32; 2]],
    /// `struct bpf_line_info` records: four words of 32 bits.
    pub lines: &'a [[u32; 4]],
}

/// The kernel refused a program.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub error: io::Error,
    /// What the verifier said; empty where it was never asked.
    pub log: String,
}

impl Refused {
    /// The verifier was never asked.
    pub fn unasked(error: io::Error) -> Refused {
        Refused { error, log: String::new() }
    }
}

/// Loads a program; on failure asks again for the verifier's log.
pub fn load_program(spec: &ProgramSpec<'_>) -> Result<OwnedFd, Refused> {
    try_program(spec).or_else(|error| {
        let mut log = vec![0u8; 256 << 10];
        loop {
            match load_once(spec, &mut log) {
                // The second attempt may succeed where the first was short of memory.
                Ok(fd) => return Ok(fd),
                Err(again) if again.raw_os_error() == Some(libc::ENOSPC) && log.len() < LOG_MAX => {
                    log = vec![0u8; log.len() * 4];
                }
                Err(_) => return Err(Refused { error, log: until_nul(&log) }),
            }
        }
    })
}

/// Loads a program without asking why not.
pub fn try_program(spec: &ProgramSpec<'_>) -> io::Result<OwnedFd> {
    load_once(spec, &mut [])
}

fn load_once(spec: &ProgramSpec<'_>, log: &mut [u8]) -> io::Result<OwnedFd> {
    /// The verifier gives up with EAGAIN when a signal waits; libbpf tries as often.
    const ATTEMPTS: u32 = 5;
    let (kind, attach_type, btf_id) = spec.kind.numbers();
    let mut attr = zeroed();
    // SAFETY: as in `Map::create`.
    let fields = unsafe { &mut attr.__bindgen_anon_3 };
    fields.prog_type = kind as u32;
    fields.expected_attach_type = attach_type;
    fields.attach_btf_id = btf_id;
    if let Some(module) = spec.module {
        fields.__bindgen_anon_1.attach_btf_obj_fd = raw(module);
    }
    fields.insns = spec.code.as_ptr() as u64;
    fields.insn_cnt = spec.code.len() as u32;
    fields.license = c"GPL".as_ptr() as u64;
    fields.prog_name = name(spec.name);
    if let Some(debug) = &spec.debug {
        fields.prog_btf_fd = raw(debug.btf);
        fields.func_info = debug.functions.as_ptr() as u64;
        fields.func_info_cnt = debug.functions.len() as u32;
        fields.func_info_rec_size = size_of::<[u32; 2]>() as u32;
        fields.line_info = debug.lines.as_ptr() as u64;
        fields.line_info_cnt = debug.lines.len() as u32;
        fields.line_info_rec_size = size_of::<[u32; 4]>() as u32;
    }
    if !log.is_empty() {
        fields.log_level = 1;
        fields.log_buf = log.as_mut_ptr() as u64;
        fields.log_size = log.len() as u32;
    }
    let mut result = bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr);
    for _ in 1..ATTEMPTS {
        if !result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EAGAIN)) {
            break;
        }
        result = bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr);
    }
    result
}

fn until_nul(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Runs a program of the raw tracepoint type once, here and now.
pub fn run_once(program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = zeroed();
    attr.test.prog_fd = raw(program);
    bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr).map(drop)
}

/// Has the kernel count the runs of all programs, and what they take, as long as the descriptor is there (Linux 5.8).
pub fn enable_stats() -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // `BPF_STATS_RUN_TIME` is 0.
    attr.enable_stats.type_ = 0;
    bpf_fd(bpf_cmd::BPF_ENABLE_STATS, &mut attr)
}

/// What the kernel counts of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramStats {
    /// Events missed because the program, or one that excludes it, was running on that CPU (Linux 5.12).
    pub recursion_misses: u64,
    /// Runs; only counted while somebody has enabled statistics.
    pub run_count: u64,
    /// Nanoseconds that they took, likewise.
    pub run_nanoseconds: u64,
    /// Instructions the verifier went through (Linux 5.16).
    pub verified_insns: u32,
    /// The kernel's number of it.
    pub id: u32,
}

/// Reads what the kernel counts of a program.
pub fn program_stats(program: BorrowedFd<'_>) -> io::Result<ProgramStats> {
    // SAFETY: plain numbers, for which zero is valid.
    let mut info: bpf_prog_info = unsafe { mem::zeroed() };
    let mut attr = zeroed();
    attr.info.bpf_fd = raw(program);
    attr.info.info_len = size_of::<bpf_prog_info>() as u32;
    attr.info.info = &raw mut info as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(ProgramStats {
        recursion_misses: info.recursion_misses,
        run_count: info.run_cnt,
        run_nanoseconds: info.run_time_ns,
        verified_insns: info.verified_insns,
        id: info.id,
    })
}
