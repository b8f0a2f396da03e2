//! `fentry`, `fexit`: the program names its function by BTF id, so attaching takes no more than the program.

use super::Link;
use crate::sys::link;
use std::io;
use std::os::fd::BorrowedFd;

pub(super) fn attach(program: BorrowedFd<'_>) -> io::Result<Link> {
    // BPF_LINK_CREATE takes tracing programs only since Linux 6.0; this call always did.
    link::open_tracing(program).map(Link::plain)
}
