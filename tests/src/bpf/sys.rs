//! bpf(2): one function a command.
//!
//! `union bpf_attr` is written as the sequence of words its variant begins with (include/uapi/linux/bpf.h); the kernel
//! takes what is not given as zero.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::insn::Insn;

const MAP_CREATE: u32 = 0;
const MAP_LOOKUP: u32 = 1;
const PROG_LOAD: u32 = 5;
const OBJ_PIN: u32 = 6;
const PROG_GET_NEXT_ID: u32 = 11;
const PROG_GET_FD_BY_ID: u32 = 13;
const OBJ_GET_INFO: u32 = 15;
const RAW_TRACEPOINT_OPEN: u32 = 17;
const LINK_CREATE: u32 = 28;

const MAP_TYPE_PERCPU_ARRAY: u32 = 6;

/// BPF_PROG_TYPE_KPROBE
pub const PROG_KPROBE: u32 = 2;
/// BPF_PROG_TYPE_RAW_TRACEPOINT
pub const PROG_RAW_TRACEPOINT: u32 = 17;
/// BPF_PROG_TYPE_TRACING
pub const PROG_TRACING: u32 = 26;
/// BPF_TRACE_RAW_TP: tp_btf
pub const ATTACH_TP_BTF: u32 = 23;
/// BPF_TRACE_FENTRY
pub const ATTACH_FENTRY: u32 = 24;
/// BPF_TRACE_KPROBE_MULTI
pub const ATTACH_KPROBE_MULTI: u32 = 42;

/// The variant of `union bpf_attr` for one command, in 32-bit words.
#[derive(Debug, Default)]
struct Attr([u32; 32]);

impl Attr {
    fn word(mut self, offset: usize, value: u32) -> Self {
        self.0[offset / 4] = value;
        self
    }

    fn pointer<T: ?Sized>(self, offset: usize, to: *const T) -> Self {
        let address = to.cast::<u8>() as u64;
        self.word(offset, address as u32).word(offset + 4, (address >> 32) as u32)
    }

    fn call(mut self, command: u32) -> io::Result<i32> {
        let size = size_of_val(&self.0);
        // SAFETY: the kernel reads and writes `size` bytes of the array; what the pointers inside name is kept alive
        // by the callers, each of which borrows it for the time of the call.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), size) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
    }

    fn open(self, command: u32) -> io::Result<OwnedFd> {
        let fd = self.call(command)?;
        // SAFETY: these commands return a new descriptor that nobody else knows.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

/// What a program is loaded as.
#[derive(Debug, Clone, Copy)]
pub struct ProgramKind {
    /// BPF_PROG_TYPE_*
    pub program: u32,
    /// BPF_TRACE_*, or 0
    pub attach: u32,
    /// The type of vmlinux's BTF to attach to, or 0
    pub btf_id: u32,
}

/// Loads a program, which says GPL, as helpers demand.
pub fn load(kind: ProgramKind, instructions: &[Insn]) -> io::Result<OwnedFd> {
    let attr = Attr::default()
        .word(0, kind.program)
        .word(4, instructions.len() as u32)
        .pointer(8, instructions.as_ptr())
        .pointer(16, c"GPL".as_ptr())
        .word(68, kind.attach)
        .word(108, kind.btf_id);
    // The program's name, where bpftool shows it.
    let name = u32::from_le_bytes(*b"jury");
    attr.word(48, name).open(PROG_LOAD)
}

/// Attaches to a raw tracepoint by name, or, without one, where the program was loaded for (tp_btf, fentry).
pub fn raw_tracepoint_open(program: &OwnedFd, name: Option<&str>) -> io::Result<OwnedFd> {
    let name = name.map(|name| CString::new(name).expect("a tracepoint's name has no NUL"));
    let pointer = name.as_ref().map_or(std::ptr::null(), |name| name.as_ptr());
    Attr::default().pointer(0, pointer).word(8, program.as_raw_fd() as u32).open(RAW_TRACEPOINT_OPEN)
}

/// Attaches to the entry of one function through fprobe.
pub fn kprobe_multi(program: &OwnedFd, function: &str) -> io::Result<OwnedFd> {
    let name = CString::new(function).expect("a function's name has no NUL");
    let names = [name.as_ptr()];
    let attr = Attr::default().word(0, program.as_raw_fd() as u32).word(8, ATTACH_KPROBE_MULTI);
    // kprobe_multi: flags at 16, cnt at 20, syms at 24
    attr.word(20, 1).pointer(24, names.as_ptr()).open(LINK_CREATE)
}

/// Creates a per-CPU array of 64-bit values.
pub fn percpu_array(entries: u32) -> io::Result<OwnedFd> {
    let attr = Attr::default().word(0, MAP_TYPE_PERCPU_ARRAY).word(4, 4).word(8, 8);
    attr.word(12, entries).open(MAP_CREATE)
}

/// The values of all CPUs at an index of a per-CPU array.
pub fn percpu_lookup(map: &OwnedFd, index: u32) -> io::Result<Vec<u64>> {
    let mut values = vec![0u64; possible_cpus()?];
    let attr = Attr::default().word(0, map.as_raw_fd() as u32).pointer(8, &raw const index);
    attr.pointer(16, values.as_mut_ptr()).call(MAP_LOOKUP)?;
    Ok(values)
}

/// Pins a program to a path of a bpf file system, where it stays until the path is removed.
pub fn pin(program: &OwnedFd, path: &CStr) -> io::Result<()> {
    Attr::default().pointer(0, path.as_ptr()).word(8, program.as_raw_fd() as u32).call(OBJ_PIN).map(drop)
}

/// The id of the first program after `id`.
pub fn next_program(id: u32) -> Option<u32> {
    let mut attr = Attr::default().word(0, id);
    let size = size_of_val(&attr.0);
    // SAFETY: as in `Attr::call`, which cannot be used because the answer is in the array.
    let result = unsafe { libc::syscall(libc::SYS_bpf, PROG_GET_NEXT_ID, attr.0.as_mut_ptr(), size) };
    (result == 0).then_some(attr.0[1])
}

/// A descriptor of the program with this id.
pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    Attr::default().word(0, id).open(PROG_GET_FD_BY_ID)
}

/// `struct bpf_prog_info`, the fields used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramInfo {
    /// BPF_PROG_TYPE_*
    pub kind: u32,
    /// Its id.
    pub id: u32,
    /// Its name, cut to 15 bytes.
    pub name: String,
    /// Events it did not see because it was running on that CPU already.
    pub recursion_misses: u64,
}

/// What the kernel knows of a program.
pub fn program_info(program: &OwnedFd) -> io::Result<ProgramInfo> {
    let mut info = [0u8; 232];
    let attr = Attr::default().word(0, program.as_raw_fd() as u32).word(4, info.len() as u32);
    attr.pointer(8, info.as_mut_ptr()).call(OBJ_GET_INFO)?;
    let word = |at: usize| u32::from_ne_bytes(info[at..at + 4].try_into().expect("four bytes"));
    let long = |at: usize| u64::from_ne_bytes(info[at..at + 8].try_into().expect("eight bytes"));
    let name = info[64..80].split(|&b| b == 0).next().unwrap_or_default();
    Ok(ProgramInfo {
        kind: word(0),
        id: word(4),
        name: String::from_utf8_lossy(name).into_owned(),
        recursion_misses: long(208),
    })
}

/// CPUs that may ever exist: per-CPU values are copied for each of them.
fn possible_cpus() -> io::Result<usize> {
    let text = std::fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let last = text.trim().rsplit(['-', ',']).next().and_then(|n| n.parse::<usize>().ok());
    last.map(|n| n + 1).ok_or_else(|| io::Error::other(format!("possible CPUs `{text}`")))
}
