//! Keeps objects of the kernel, or only takes and gives them back: `leak keep|churn ITEMS SECONDS`.
//!
//! The objects are epoll items. `keep` adds so many to one epoll instance and holds them, `churn` adds and removes one so
//! often; both then stay for so many seconds. Nothing else of the kernel's memory grows with them but what belongs to an
//! item.
#![expect(clippy::print_stderr, reason = "a program for terminals and pipes")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |nth: usize| arguments.get(nth).and_then(|text| text.parse::<u64>().ok());
    let (Some(how), Some(items), Some(seconds)) = (arguments.first(), number(1), number(2)) else {
        eprintln!("usage: leak keep|churn ITEMS SECONDS");
        return ExitCode::FAILURE;
    };
    let done = match how.as_str() {
        "keep" => keep(items, Duration::from_secs(seconds)),
        _ => churn(items, Duration::from_secs(seconds)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn keep(items: u64, stay: Duration) -> io::Result<()> {
    raise_limit(items + 64)?;
    let epoll = epoll()?;
    let watched = eventfd()?;
    // One file, so many descriptors of it: an item is by descriptor.
    let copies = (0..items).map(|_| watched.try_clone()).collect::<io::Result<Vec<OwnedFd>>>()?;
    copies.iter().try_for_each(|copy| control(&epoll, libc::EPOLL_CTL_ADD, copy))?;
    sleep(stay);
    Ok(())
}

fn churn(items: u64, stay: Duration) -> io::Result<()> {
    let epoll = epoll()?;
    let watched = eventfd()?;
    for _ in 0..items {
        control(&epoll, libc::EPOLL_CTL_ADD, &watched)?;
        control(&epoll, libc::EPOLL_CTL_DEL, &watched)?;
    }
    sleep(stay);
    Ok(())
}

fn raise_limit(files: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: files, rlim_max: files };
    // SAFETY: the limit is valid for the call.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).map(drop)
}

fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: it is new, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
    // SAFETY: it is new, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn control(epoll: &OwnedFd, operation: i32, fd: &OwnedFd) -> io::Result<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
    let fd: BorrowedFd = std::os::fd::AsFd::as_fd(fd);
    // SAFETY: both descriptors are open, the event is valid for the call.
    checked(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event) }).map(drop)
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
