//! The few commands of bpf(2) the tests need.
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use tapster_compiler::bpf::Insn;
use tapster_compiler::bpf::btf_writer::{FuncInfo, LineInfo};

const MAP_CREATE: i64 = 0;
const MAP_LOOKUP: i64 = 1;
const MAP_UPDATE: i64 = 2;
const MAP_DELETE: i64 = 3;
const PROG_LOAD: i64 = 5;
const PROG_TEST_RUN: i64 = 10;
const BTF_LOAD: i64 = 18;
const RAW_TRACEPOINT: u32 = 17;
const LOG_BYTES: usize = 1 << 24;

/// What a map is created with.
pub struct MapSpec {
    pub kind: u32,
    pub key: u32,
    pub value: u32,
    pub entries: u32,
}

/// `union bpf_attr`, filled in by offset.
struct Attr([u8; 128]);

impl Attr {
    fn new() -> Self {
        Self([0; 128])
    }

    fn u32(mut self, at: usize, value: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&value.to_le_bytes());
        self
    }

    fn pointer<T>(mut self, at: usize, pointer: *const T) -> Self {
        self.0[at..at + 8].copy_from_slice(&(pointer as u64).to_le_bytes());
        self
    }

    /// Every pointer put into the attribute must be good for what the command does with it.
    fn call(&mut self, command: i64) -> io::Result<i32> {
        // SAFETY: the attribute outlives the call and is as long as said; what it points to, each caller below keeps alive.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), self.0.len()) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
    }

    fn descriptor(&mut self, command: i64) -> io::Result<OwnedFd> {
        let fd = self.call(command)?;
        // SAFETY: the command made a descriptor, and nobody else has it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
}

pub fn create_map(spec: &MapSpec) -> io::Result<OwnedFd> {
    let fields = [spec.kind, spec.key, spec.value, spec.entries];
    let attr = fields.iter().enumerate().fold(Attr::new(), |attr, (i, field)| attr.u32(4 * i, *field));
    { attr }.descriptor(MAP_CREATE)
}

fn element(map: &OwnedFd, key: &[u8], value: *const u8) -> Attr {
    Attr::new().u32(0, map.as_raw_fd() as u32).pointer(8, key.as_ptr()).pointer(16, value)
}

pub fn read(map: &OwnedFd, key: &[u8], value: &mut [u8]) -> bool {
    element(map, key, value.as_mut_ptr()).call(MAP_LOOKUP).is_ok()
}

pub fn write(map: &OwnedFd, key: &[u8], value: &[u8]) {
    element(map, key, value.as_ptr()).call(MAP_UPDATE).expect("the map takes the element");
}

pub fn delete(map: &OwnedFd, key: &[u8]) {
    // A key that is not there is gone too.
    let _ = element(map, key, std::ptr::null()).call(MAP_DELETE);
}

/// A program as it is loaded.
pub struct Program {
    pub insns: Vec<Insn>,
    pub btf: Vec<u8>,
    pub functions: Vec<FuncInfo>,
    pub lines: Vec<LineInfo>,
}

/// Loads a raw tracepoint program. The answer has the verifier's log, and so has the error.
pub fn load(program: &Program, log_level: u32) -> Result<(OwnedFd, String), String> {
    let mut log = vec![0u8; LOG_BYTES];
    let btf = load_btf(&program.btf).map_err(|e| format!("BTF: {e}"))?;
    let attr = Attr::new()
        .u32(0, RAW_TRACEPOINT)
        .u32(4, program.insns.len() as u32)
        .pointer(8, program.insns.as_ptr())
        .pointer(16, c"GPL".as_ptr())
        .u32(24, log_level)
        .u32(28, log.len() as u32)
        .pointer(32, log.as_mut_ptr())
        .u32(72, btf.as_raw_fd() as u32)
        .u32(76, size_of::<FuncInfo>() as u32)
        .pointer(80, program.functions.as_ptr())
        .u32(88, program.functions.len() as u32)
        .u32(92, size_of::<LineInfo>() as u32)
        .pointer(96, program.lines.as_ptr())
        .u32(104, program.lines.len() as u32);
    let result = { attr }.descriptor(PROG_LOAD);
    let text = String::from_utf8_lossy(&log[..log.iter().position(|c| *c == 0).unwrap_or(0)]).into_owned();
    match result {
        Ok(program) => Ok((program, text)),
        Err(e) => Err(format!("{e}\n{text}")),
    }
}

fn load_btf(btf: &[u8]) -> io::Result<OwnedFd> {
    let attr = Attr::new().pointer(0, btf.as_ptr()).u32(16, btf.len() as u32);
    { attr }.descriptor(BTF_LOAD)
}

/// Runs a program on a context of words, here and now.
pub fn run(program: &OwnedFd, context: &[u64]) -> io::Result<u32> {
    let mut attr = Attr::new()
        .u32(0, program.as_raw_fd() as u32)
        .u32(40, size_of_val(context) as u32)
        .pointer(48, context.as_ptr());
    attr.call(PROG_TEST_RUN)?;
    Ok(u32::from_le_bytes([attr.0[4], attr.0[5], attr.0[6], attr.0[7]]))
}
