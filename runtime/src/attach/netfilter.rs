//! Hooks of the network.

use super::Link;
use crate::sys::link;
use std::io;
use std::os::fd::BorrowedFd;
use tapster_compiler::image::NetfilterHook;

/// Programs of one hook that may ask for the same priority.
const NEIGHBOURS: i32 = 64;

/// Attaches a program. The kernel takes one of each priority: the next free one behind it will do.
pub(super) fn attach(program: BorrowedFd<'_>, hook: &NetfilterHook) -> io::Result<Link> {
    let first = hook.priority.min(i32::MAX - NEIGHBOURS);
    let mut busy = io::Error::from_raw_os_error(libc::EBUSY);
    for priority in first..first + NEIGHBOURS {
        match link::link_netfilter(program, &NetfilterHook { priority, ..*hook }) {
            Ok(link) => return Ok(Link::plain(link)),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => busy = error,
            Err(error) => return Err(error),
        }
    }
    Err(busy)
}
