//! Kprobes: one function through a perf event, or many at once through ftrace.

use super::Held;
use crate::sys::{bpf, perf};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

pub(super) fn attach(program: BorrowedFd<'_>, function: &str) -> io::Result<Held> {
    let pmu = perf::pmu_type(perf::KPROBE_TYPE)?;
    let event = perf::open_kprobe(pmu, &symbol(function)?)?;
    match bpf::link_perf_event(program, event.as_fd()) {
        Ok(link) => {
            perf::enable(event.as_fd())?;
            Ok(Held { link: Some(link), _event: Some(event) })
        }
        // Before Linux 5.15 perf events have no links; the program then lives as long as the event.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            perf::set_program(event.as_fd(), program)?;
            perf::enable(event.as_fd())?;
            Ok(Held { link: None, _event: Some(event) })
        }
        Err(error) => Err(error),
    }
}

pub(super) fn attach_multi(program: BorrowedFd<'_>, functions: &[String]) -> io::Result<Held> {
    let symbols: Vec<CString> = functions.iter().map(|name| symbol(name)).collect::<io::Result<_>>()?;
    bpf::link_kprobe_multi(program, &symbols).map(|link| Held { link: Some(link), _event: None })
}

fn symbol(function: &str) -> io::Result<CString> {
    CString::new(function).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
