//! Kprobes: one function through a perf event, or many at once through ftrace.
//!
//! A program at several functions finds out by a cookie at which of them it is: the function's place in the list.

use super::{Link, Taken};
use crate::symbol;
use crate::sys::link::{self, Functions};
use crate::sys::perf::{self, KprobePlace};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Attaches a program to each function in turn.
pub(super) fn attach(program: BorrowedFd<'_>, functions: &[String], at_return: bool, taken: &mut Taken) {
    let pmu = match perf::pmu_type(perf::KPROBE_TYPE) {
        Ok(pmu) => pmu,
        Err(error) => return taken.refuse_all(functions.len(), error),
    };
    let addresses = addresses(functions);
    for (nth, function) in functions.iter().enumerate() {
        let open = |place: KprobePlace<'_>| at_event(program, perf::open_kprobe(pmu, place, at_return)?, nth as u64);
        match &addresses[nth][..] {
            [] => taken.take(nth, at_place(function, open)),
            several => several.iter().for_each(|address| taken.take(nth, open(KprobePlace::Address(*address)))),
        }
        if taken.is_over() {
            return;
        }
    }
}

/// Stands at a function, or at an instruction behind its start (`FUNCTION+0xOFFSET`).
fn at_place(place: &str, open: impl Fn(KprobePlace<'_>) -> io::Result<Link>) -> io::Result<Link> {
    let number = |digits: &str| u64::from_str_radix(digits, 16).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
    match place.split_once("+0x") {
        Some((function, offset)) => open(KprobePlace::Function(&c_name(function)?, number(offset)?)),
        None => by_any_name(place, |symbol| open(KprobePlace::Function(symbol, 0))),
    }
}

/// Where the functions of modules are, all of that name, and those that are named by their addresses; none for others of
/// the core kernel, which it finds itself.
fn addresses(functions: &[String]) -> Vec<Vec<u64>> {
    let of_modules = functions.iter().enumerate().filter(|(_, name)| name.contains(':'));
    let wanted: HashMap<&str, usize> = of_modules.map(|(nth, name)| (name.as_str(), nth)).collect();
    let placed = |name: &String| u64::from_str_radix(name.strip_prefix("0x")?, 16).ok();
    let mut found: Vec<Vec<u64>> = functions.iter().map(|name| placed(name).into_iter().collect()).collect();
    if !wanted.is_empty() {
        // What cannot be read has no address, and the kernel says why the name alone will not do.
        let _ = symbol::of_modules(|module, name, address| {
            if let Some(nth) = wanted.get(format!("{module}:{name}").as_str()) {
                found[*nth].push(address);
            }
        });
    }
    found
}

/// Tries a function's own name, then those that the compiler gives to what it has changed: BTF knows it by its own, the
/// table of symbols need not.
fn by_any_name<T>(function: &str, attach: impl Fn(&CStr) -> io::Result<T>) -> io::Result<T> {
    const CHANGED: [&str; 3] = [".isra.0", ".constprop.0", ".part.0"];
    let error = match attach(&c_name(function)?) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => error,
        done => return done,
    };
    let changed = CHANGED.iter().map(|end| format!("{function}{end}"));
    changed.filter_map(|name| c_name(&name).ok()).find_map(|name| attach(&name).ok()).ok_or(error)
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
    Ok(Link { link, event: Some(event) })
}

/// Attaches a program to all functions at once.
pub(super) fn attach_multi(program: BorrowedFd<'_>, functions: &[String], at_return: bool, taken: &mut Taken) {
    let addresses = addresses(functions);
    let (mut named, mut placed) = (Vec::new(), Vec::new());
    for (nth, function) in functions.iter().enumerate() {
        match (&addresses[nth][..], c_name(function)) {
            ([], Ok(name)) => named.push((nth, name)),
            ([], Err(error)) => return taken.refuse_all(functions.len(), error),
            (several, _) => placed.extend(several.iter().map(|address| (nth, *address))),
        }
    }
    attach_some(&named, taken, &|some: &[(usize, CString)]| {
        let (cookies, names) = split(some);
        let link = |names: &[CString]| link::link_kprobe_multi(program, Functions::Names(names), &cookies, at_return);
        match &names[..] {
            [one] => by_any_name(&one.to_string_lossy(), |name| link(&[name.to_owned()])),
            several => link(several),
        }
    });
    attach_some(&placed, taken, &|some: &[(usize, u64)]| {
        let (cookies, addresses) = split(some);
        link::link_kprobe_multi(program, Functions::Addresses(&addresses), &cookies, at_return)
    });
}

fn split<T: Clone>(places: &[(usize, T)]) -> (Vec<u64>, Vec<T>) {
    places.iter().map(|(nth, place)| (*nth as u64, place.clone())).unzip()
}

/// Attaches a program to some places at once.
type LinkSome<'a, T> = dyn Fn(&[(usize, T)]) -> io::Result<OwnedFd> + 'a;

/// The kernel takes all of a list or nothing, and does not say which it minds: halves are tried where some are bad.
fn attach_some<T>(some: &[(usize, T)], taken: &mut Taken, link: &LinkSome<T>) {
    if some.is_empty() || taken.is_over() {
        return;
    }
    let error = match link(some) {
        Ok(link) => return taken.take_all(some.len(), Link::plain(link)),
        Err(error) => error,
    };
    let one_is_bad = matches!(
        error.raw_os_error(),
        Some(libc::ESRCH | libc::ENOENT | libc::EINVAL | libc::EADDRNOTAVAIL | libc::EILSEQ)
    );
    if some.len() == 1 || !one_is_bad {
        let again = || io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(0));
        some.iter().for_each(|(nth, _)| taken.take(*nth, Err(again())));
        return;
    }
    let (left, right) = some.split_at(some.len() / 2);
    attach_some(left, taken, link);
    attach_some(right, taken, link);
}

fn c_name(function: &str) -> io::Result<CString> {
    CString::new(function).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
