//! Kprobes: one function through a perf event, or many at once through ftrace.

use super::Held;
use crate::sys::{bpf, perf};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub(super) fn attach(program: BorrowedFd<'_>, function: &str) -> io::Result<Held> {
    let pmu = perf::pmu_type(perf::KPROBE_TYPE)?;
    let event = perf::open_kprobe(pmu, &symbol(function)?)?;
    link(program, event, 0)
}

/// Has a program run at an event; it is told the number.
pub(super) fn link(program: BorrowedFd<'_>, event: OwnedFd, number: u64) -> io::Result<Held> {
    let link = match bpf::link_perf_event(program, event.as_fd(), number) {
        Ok(link) => Some(link),
        // Before Linux 5.15 perf events have no links; the program then lives as long as the event.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            perf::set_program(event.as_fd(), program)?;
            None
        }
        Err(error) => return Err(error),
    };
    perf::enable(event.as_fd())?;
    Ok(Held::new(link, Some(event)))
}

pub(super) fn attach_multi(program: BorrowedFd<'_>, functions: &[String]) -> io::Result<Held> {
    let symbols: Vec<CString> = functions.iter().map(|name| symbol(name)).collect::<io::Result<_>>()?;
    bpf::link_kprobe_multi(program, &symbols).map(|link| Held::new(Some(link), None))
}

fn symbol(function: &str) -> io::Result<CString> {
    CString::new(function).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
