//! Reads memory of the kernel, or of this process, for handlers in user space: a program of a few instructions does it
//! when it is asked to, through `BPF_PROG_TEST_RUN`. It is loaded when the first handler reads.

use super::bpf::{self, Map, MapSpec, ProgramKind, ProgramSpec};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use tapster_compiler::image::MapKind;
use tapster_runtime_ebpf::helper;

/// Most bytes that are read at once.
pub const MOST: usize = 4096;
/// Words before the bytes: which helper, the address, how many bytes, what the helper gave.
const WORDS: usize = 4;

/// Which memory, and what is to be read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Source {
    /// Bytes of the kernel.
    Kernel = 0,
    /// A NUL-terminated string of the kernel.
    KernelText = 1,
    /// Bytes of this process.
    User = 2,
    /// A NUL-terminated string of this process.
    UserText = 3,
    /// Nothing: the address of this thread's `struct task_struct` is the answer.
    Task = 4,
    /// Nothing: the kernel's ticks are the answer.
    Jiffies = 5,
}

/// The program, and the map through which it is asked.
#[derive(Debug)]
pub struct Peek {
    map: Map,
    program: OwnedFd,
    value: Vec<u8>,
}

impl Peek {
    /// Loads the program.
    pub fn new() -> io::Result<Peek> {
        let value = vec![0; 8 * WORDS + MOST];
        let spec = MapSpec {
            name: "peek",
            kind: MapKind::Array as u32,
            key_size: 4,
            value_size: value.len() as u32,
            max_entries: 1,
            flags: 0,
            per_cpu: None,
        };
        let map = Map::create(&spec)?;
        let code = code(map.as_fd().as_raw_fd());
        let kind = ProgramKind::RawTracepoint;
        let program = bpf::try_program(&ProgramSpec { name: "peek", kind, code: &code, module: None, debug: None })?;
        Ok(Peek { map, program, value })
    }

    /// What the helper gave last.
    pub fn answer(&self) -> i64 {
        i64::from_ne_bytes(*self.value[24..].first_chunk().expect("the value has its words"))
    }

    /// Reads at most `most` bytes, all of them or, of a string, up to its NUL. An error has the helper's errno.
    pub fn read(&mut self, source: Source, address: u64, most: usize) -> io::Result<&[u8]> {
        let most = most.min(MOST);
        for (word, number) in [source as u64, address, most as u64, 0].into_iter().enumerate() {
            self.value[8 * word..8 * word + 8].copy_from_slice(&number.to_ne_bytes());
        }
        let key = 0u32.to_ne_bytes();
        self.map.update(&key, &self.value, 0)?;
        bpf::run_once(self.program.as_fd())?;
        self.map.lookup(&key, &mut self.value)?;
        let result = self.answer();
        let bytes = &self.value[8 * WORDS..];
        match (result, source) {
            // An address of the kernel is no error.
            (_, Source::Task | Source::Jiffies) => Ok(&[]),
            (..0, _) => Err(io::Error::from_raw_os_error(-result as i32)),
            (_, Source::Kernel | Source::User) => Ok(&bytes[..most]),
            // The length of a string has its NUL in it.
            (length, _) => Ok(&bytes[..(length as usize).clamp(1, most.max(1)) - 1]),
        }
    }
}

/// `struct bpf_insn` as a word.
const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> u64 {
    code as u64 | (dst as u64) << 8 | (src as u64) << 12 | (off as u16 as u64) << 16 | (imm as u32 as u64) << 32
}

/// The program: calls the helper that the first word picks.
fn code(map: i32) -> Vec<u64> {
    const LOAD_WIDE: u8 = 0x18;
    const MAP_VALUE: u8 = 2;
    const LOAD: u8 = 0x79;
    const STORE: u8 = 0x7b;
    const MOVE: u8 = 0xbf;
    const ADD_K: u8 = 0x07;
    const SET_K: u8 = 0xb7;
    const IF_ABOVE_K: u8 = 0x25;
    const IF_NOT_K: u8 = 0x55;
    const GO: u8 = 0x05;
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    let helpers = [
        (Source::Kernel, helper::PROBE_READ_KERNEL),
        (Source::KernelText, helper::PROBE_READ_KERNEL_STR),
        (Source::User, helper::PROBE_READ_USER),
        (Source::UserText, helper::PROBE_READ_USER_STR),
        (Source::Task, helper::GET_CURRENT_TASK),
        (Source::Jiffies, helper::JIFFIES64),
    ];
    let mut code = vec![
        insn(LOAD_WIDE, 6, MAP_VALUE, 0, map),
        0,
        insn(LOAD, 7, 6, 0, 0),
        insn(LOAD, 3, 6, 8, 0),
        insn(LOAD, 2, 6, 16, 0),
        insn(MOVE, 1, 6, 0, 0),
        insn(ADD_K, 1, 0, 0, 8 * WORDS as i32),
        // Past the calls, to the answer of one that was not made.
        insn(IF_ABOVE_K, 2, 0, 3 * helpers.len() as i16, MOST as i32),
    ];
    for (nth, (source, helper)) in helpers.into_iter().enumerate() {
        // The calls that follow, and the answer of one that was not made.
        let rest = 3 * (helpers.len() - 1 - nth) as i16 + 1;
        code.extend([
            insn(IF_NOT_K, 7, 0, 2, source as i32),
            insn(CALL, 0, 0, 0, helper as i32),
            insn(GO, 0, 0, rest, 0),
        ]);
    }
    code.extend([insn(SET_K, 0, 0, 0, -1), insn(STORE, 6, 0, 24, 0), insn(SET_K, 0, 0, 0, 0), insn(EXIT, 0, 0, 0, 0)]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_this_process_is_read_and_address_0_is_not() {
        // Where bpf() is refused there is nothing to try; the live suite says so by name.
        let Ok(mut peek) = Peek::new() else { return };
        let text = c"some text";
        let read = peek.read(Source::UserText, text.as_ptr() as u64, 64).expect("its own memory");
        assert_eq!(read, text.to_bytes());
        let number = 0x1234_5678_9abc_def0_u64;
        let read = peek.read(Source::User, &raw const number as u64, 8).expect("its own memory");
        assert_eq!(read, number.to_ne_bytes());
        for source in [Source::Kernel, Source::KernelText, Source::User, Source::UserText] {
            let error = peek.read(source, 0, 8).expect_err("nothing is at 0");
            // ERANGE: the kernel does not even try an address that cannot be its own.
            assert!(matches!(error.raw_os_error(), Some(libc::EFAULT | libc::ERANGE)), "{source:?}: {error}");
        }
    }
}
