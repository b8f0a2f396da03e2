//! The one door to raw system calls: `bpf(2)`, perf events, capabilities, signals, memory maps.
//!
//! What is offered here is safe to call: descriptors are owned, buffers are checked against what the kernel writes.
//! Nothing here knows what a script, a map's role or a probe is.

pub mod bpf;
pub mod btf;
pub mod clock;
pub mod errno;
pub mod file;
pub mod link;
pub mod memory;
pub mod next_file;
pub mod peek;
pub mod perf;
pub mod process;
pub mod terminal;
pub mod wait;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The result of a system call that gives -1 and `errno` on failure.
fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes ownership of a descriptor that a system call has just made.
fn own(result: libc::c_long) -> io::Result<OwnedFd> {
    let fd = check(result)? as RawFd;
    // SAFETY: the call succeeded, so `fd` is an open descriptor that nobody else has seen yet.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The name of an error number, as the manual pages have it, or the number.
pub fn errno_name(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else { return error.to_string() };
    errno::name(number).map_or_else(|| format!("errno {number}"), String::from)
}
