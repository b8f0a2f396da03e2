//! `fentry`: the program names its function by BTF id, so attaching takes no more than the program.

use super::Held;
use crate::sys::bpf;
use std::io;
use std::os::fd::BorrowedFd;

pub(super) fn attach(program: BorrowedFd<'_>) -> io::Result<Held> {
    // BPF_LINK_CREATE takes tracing programs only since Linux 6.0; this call always did.
    bpf::open_tracing(program).map(|link| Held::new(Some(link), None))
}
