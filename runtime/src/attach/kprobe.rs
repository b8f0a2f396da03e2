//! Kprobes: one function through a perf event, or many at once through ftrace.
//!
//! A program at several functions finds out by a cookie at which of them it is: the function's place in the list.

use super::{Link, Taken};
use crate::sys::{link, perf};
use std::ffi::{CStr, CString};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Attaches a program to each function in turn.
pub(super) fn attach(program: BorrowedFd<'_>, functions: &[String], at_return: bool, taken: &mut Taken) {
    let pmu = match perf::pmu_type(perf::KPROBE_TYPE) {
        Ok(pmu) => pmu,
        Err(error) => return taken.refuse_all(functions.len(), error),
    };
    for (nth, function) in functions.iter().enumerate() {
        taken.take(nth, attach_one(program, pmu, function, nth as u64, at_return));
        if taken.is_over() {
            return;
        }
    }
}

fn attach_one(program: BorrowedFd<'_>, pmu: u32, function: &str, cookie: u64, at_return: bool) -> io::Result<Link> {
    let event = by_any_name(function, |symbol| perf::open_kprobe(pmu, symbol, at_return))?;
    at_event(program, event, cookie)
}

/// Tries a function's own name, then those that the compiler gives to what it has changed: BTF knows it by its own, the
/// table of symbols need not.
fn by_any_name<T>(function: &str, attach: impl Fn(&CStr) -> io::Result<T>) -> io::Result<T> {
    const CHANGED: [&str; 3] = [".isra.0", ".constprop.0", ".part.0"];
    let error = match attach(&symbol(function)?) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => error,
        done => return done,
    };
    let changed = CHANGED.iter().map(|end| format!("{function}{end}"));
    changed.filter_map(|name| symbol(&name).ok()).find_map(|name| attach(&name).ok()).ok_or(error)
}

/// Has a program run at an event; it is told the cookie.
pub(super) fn at_event(program: BorrowedFd<'_>, event: OwnedFd, cookie: u64) -> io::Result<Link> {
    let link = match link::link_perf_event(program, event.as_fd(), cookie) {
        Ok(link) => Some(link),
        // Before Linux 5.15 perf events have no links; the program then lives as long as the event.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            perf::set_program(event.as_fd(), program)?;
            None
        }
        Err(error) => return Err(error),
    };
    perf::enable(event.as_fd())?;
    Ok(Link { link, _event: Some(event) })
}

/// Attaches a program to all functions at once.
pub(super) fn attach_multi(program: BorrowedFd<'_>, functions: &[String], at_return: bool, taken: &mut Taken) {
    let symbols: io::Result<Vec<CString>> = functions.iter().map(|name| symbol(name)).collect();
    match symbols {
        Ok(symbols) => attach_some(program, &symbols, 0..functions.len(), at_return, taken),
        Err(error) => taken.refuse_all(functions.len(), error),
    }
}

/// The kernel takes all of a list or nothing, and does not say which it minds: halves are tried where some are bad.
fn attach_some(program: BorrowedFd<'_>, all: &[CString], some: Range<usize>, at_return: bool, taken: &mut Taken) {
    let cookies: Vec<u64> = some.clone().map(|nth| nth as u64).collect();
    let attached = match (&all[some.clone()], &cookies[..]) {
        ([one], [_]) => by_any_name(&one.to_string_lossy(), |name| {
            link::link_kprobe_multi(program, &[name.to_owned()], &cookies, at_return)
        }),
        (several, _) => link::link_kprobe_multi(program, several, &cookies, at_return),
    };
    let error = match attached {
        Ok(link) => return taken.take_all(some.len(), Link::plain(link)),
        Err(error) => error,
    };
    let one_is_bad = matches!(
        error.raw_os_error(),
        Some(libc::ESRCH | libc::ENOENT | libc::EINVAL | libc::EADDRNOTAVAIL | libc::EILSEQ)
    );
    if some.len() == 1 || !one_is_bad {
        some.for_each(|nth| taken.take(nth, Err(io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(0)))));
        return;
    }
    let middle = some.start + some.len() / 2;
    attach_some(program, all, some.start..middle, at_return, taken);
    if !taken.is_over() {
        attach_some(program, all, middle..some.end, at_return, taken);
    }
}

fn symbol(function: &str) -> io::Result<CString> {
    CString::new(function).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
