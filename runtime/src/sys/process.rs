//! Facts of this process and the machine it runs on.

use super::{check, own};
use std::ffi::{CStr, CString};
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// `CAP_*` numbers of include/uapi/linux/capability.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "named as the kernel names them")]
pub enum Capability {
    DacOverride = 1,
    DacReadSearch = 2,
    SysPtrace = 19,
    SysAdmin = 21,
    Syslog = 34,
    Perfmon = 38,
    Bpf = 39,
}

/// Whether this thread has a capability in effect. Unknown counts as yes: the kernel will tell.
pub fn has_capability(capability: Capability) -> bool {
    let number = capability as usize;
    Capabilities::get().map_or(true, |held| held.sets[number / 32][0] >> (number % 32) & 1 == 1)
}

/// Gives up all of this thread's capabilities but these. A program that it starts as root has them again
/// (capabilities(7)).
pub fn keep_capabilities(kept: &[Capability]) -> io::Result<()> {
    let mut held = Capabilities::get()?;
    for (word, set) in held.sets.iter_mut().enumerate() {
        let kept = kept.iter().map(|capability| *capability as usize).filter(|number| number / 32 == word);
        let mask = kept.fold(0, |mask, number| mask | 1 << (number % 32));
        let [effective, permitted, inheritable] = set;
        (*effective, *permitted, *inheritable) = (*effective & mask, *permitted & mask, *inheritable & mask);
    }
    held.set()
}

/// A thread's capabilities.
struct Capabilities {
    /// Per word: effective, permitted, inheritable.
    sets: [[u32; 3]; 2],
}

/// `struct __user_cap_header_struct` (include/uapi/linux/capability.h).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

impl CapabilityHeader {
    /// `_LINUX_CAPABILITY_VERSION_3`: two words a set. 0 is this thread.
    const OWN: CapabilityHeader = CapabilityHeader { version: 0x2008_0522, pid: 0 };
}

impl Capabilities {
    fn get() -> io::Result<Capabilities> {
        let (mut header, mut sets) = (CapabilityHeader::OWN, [[0u32; 3]; 2]);
        // SAFETY: version 3 writes exactly two `__user_cap_data_struct` of three words, which `sets` holds.
        check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
        Ok(Capabilities { sets })
    }

    fn set(&self) -> io::Result<()> {
        let mut header = CapabilityHeader::OWN;
        // SAFETY: version 3 reads exactly two `__user_cap_data_struct` of three words, which `sets` holds.
        check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, self.sets.as_ptr()) }).map(drop)
    }
}

/// Makes a pipe with a name, for those whom this mode allows.
pub fn make_fifo(path: &Path, mode: u32) -> io::Result<()> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the call reads the name alone.
    check(unsafe { libc::mkfifo(name.as_ptr(), mode) }.into())?;
    // The mask of the process takes from the mode.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Has this process allowed to open so many files more than it usually does.
pub fn allow_files(more: usize) -> io::Result<()> {
    /// What the process needs besides: libraries, rings, what the script opens.
    const USUAL: u64 = 128;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes to the structure alone.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }.into())?;
    let wanted = more as u64 + USUAL;
    if limit.rlim_cur >= wanted {
        return Ok(());
    }
    limit = libc::rlimit { rlim_cur: wanted, rlim_max: limit.rlim_max.max(wanted) };
    // SAFETY: the call reads the structure alone.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }.into()).map(drop)
}

/// The kernel's release string, as `uname -r` prints it.
pub fn release() -> String {
    let mut name = MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: `uname` fills the structure, and zeros are a valid one where it fails.
    let name = unsafe {
        libc::uname(name.as_mut_ptr());
        name.assume_init()
    };
    let bytes: Vec<u8> = name.release.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// This thread's name, as `execname()` gives it.
pub fn comm() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: the call writes at most 16 bytes, NUL included.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}

/// Gives this process another name, of at most 15 bytes.
pub fn rename(name: &CStr) {
    // SAFETY: the call reads up to the NUL.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Ids of this process.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "named as the calls are")]
pub enum Id {
    Pid,
    Tid,
    Uid,
    Gid,
}

/// One of this process's ids.
pub fn id(which: Id) -> i64 {
    // SAFETY: these calls read a number and cannot fail.
    unsafe {
        match which {
            Id::Pid => libc::getpid().into(),
            Id::Tid => libc::gettid().into(),
            Id::Uid => libc::getuid().into(),
            Id::Gid => libc::getgid().into(),
        }
    }
}

/// The CPU this thread runs on.
pub fn cpu() -> i64 {
    // SAFETY: reads a number.
    unsafe { libc::sched_getcpu() }.into()
}

/// A clock, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// Since 1970, `CLOCK_REALTIME`.
    Wall,
    /// As `bpf_ktime_get_ns` counts, `CLOCK_MONOTONIC`.
    Monotonic,
    /// CPU time of this process.
    Cpu,
}

/// Reads a clock.
pub fn now(clock: Clock) -> u64 {
    let id = match clock {
        Clock::Wall => libc::CLOCK_REALTIME,
        Clock::Monotonic => libc::CLOCK_MONOTONIC,
        Clock::Cpu => libc::CLOCK_PROCESS_CPUTIME_ID,
    };
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result; these clocks always exist.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What holds a process back; dropping it lets the process go without having become anything.
#[derive(Debug)]
pub struct Gate(PipeWriter);

impl Gate {
    /// Lets the process become its program.
    pub fn open(mut self) {
        // A process that is gone is held by nobody.
        let _ = self.0.write_all(&[1]);
    }
}

/// A process that is about to be held back.
#[derive(Debug)]
pub struct Waiting(PipeReader);

impl Waiting {
    /// Its number, as soon as it has one.
    pub fn pid(mut self) -> io::Result<u32> {
        let mut pid = [0; 4];
        self.0.read_exact(&mut pid).map(|()| u32::from_ne_bytes(pid))
    }
}

/// Has a command, once it is started, wait at a gate before it becomes the program.
pub fn hold(command: &mut Command) -> io::Result<(Gate, Waiting)> {
    let (gate_reader, gate) = io::pipe()?;
    let (waiting, tell) = io::pipe()?;
    let gate_fd = gate.as_raw_fd();
    let wait = move || {
        // SAFETY: plain system calls on descriptors of the new process, whose own way to open the gate is closed: what
        // holds it is gone when this process is.
        unsafe {
            libc::close(gate_fd);
            let pid = libc::getpid();
            libc::write(tell.as_raw_fd(), (&raw const pid).cast(), size_of::<libc::pid_t>());
            let mut opened = 0u8;
            match libc::read(gate_reader.as_raw_fd(), (&raw mut opened).cast(), 1) {
                1 => Ok(()),
                // Nobody is left to be told of an error.
                _ => libc::_exit(libc::ECANCELED),
            }
        }
    };
    // SAFETY: between fork and exec only functions that signal handlers may call are allowed, and these are such
    // (signal-safety(7)).
    unsafe { command.pre_exec(wait) };
    Ok((Gate(gate), Waiting(waiting)))
}

/// A signal in words, as strsignal(3) has them.
pub fn signal_name(signal: i32) -> String {
    // SAFETY: gives a string that stays until the next call of this thread; null is checked for.
    let text = unsafe {
        let text = libc::strsignal(signal);
        if text.is_null() { return String::new() } else { CStr::from_ptr(text) }
    };
    text.to_string_lossy().into_owned()
}

/// A descriptor that can be read once the process has ended (Linux 5.3).
pub fn watch(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    own(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// What the wall clock is ahead of the monotonic one, nanoseconds.
pub fn ahead() -> i64 {
    now(Clock::Wall) as i64 - now(Clock::Monotonic) as i64
}

/// Sends a signal to one thread of a process.
#[cfg(test)]
pub(crate) fn signal_thread(process: i32, thread: i32, signal: i32) {
    // SAFETY: takes numbers only; where there is no such thread it fails.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_starts_with_a_number() {
        assert!(release().starts_with(|c: char| c.is_ascii_digit()));
    }

    #[test]
    fn a_process_knows_its_name_and_ids() {
        assert_eq!(id(Id::Pid), i64::from(std::process::id()));
        assert!(comm()[0] != 0);
    }
}
