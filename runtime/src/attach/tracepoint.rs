//! `tp_btf`: a raw tracepoint whose arguments have types. The program names it by BTF id.

use super::Held;
use crate::sys::bpf;
use std::io;
use std::os::fd::BorrowedFd;

pub(super) fn attach(program: BorrowedFd<'_>) -> io::Result<Held> {
    bpf::open_tracing(program).map(|link| Held { link: Some(link), _event: None })
}
