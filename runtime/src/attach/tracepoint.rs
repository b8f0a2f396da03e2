//! `tp_btf`: a raw tracepoint whose arguments have types. The program names it by BTF id. `raw_tp`: one without.

use super::Held;
use crate::sys::bpf;
use std::ffi::CString;
use std::io;
use std::os::fd::BorrowedFd;

pub(super) fn attach(program: BorrowedFd<'_>) -> io::Result<Held> {
    bpf::open_tracing(program).map(|link| Held::new(Some(link), None))
}

pub(super) fn attach_raw(program: BorrowedFd<'_>, name: &str) -> io::Result<Held> {
    let name = CString::new(name)?;
    bpf::open_raw_tracepoint(program, &name).map(|link| Held::new(Some(link), None))
}
