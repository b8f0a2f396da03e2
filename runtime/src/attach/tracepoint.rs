//! `tp_btf`: a raw tracepoint whose arguments have types. The program names it by BTF id. `raw_tp`: one without.

use super::Link;
use crate::sys::link;
use std::ffi::CString;
use std::io;
use std::os::fd::BorrowedFd;

pub(super) fn attach(program: BorrowedFd<'_>) -> io::Result<Link> {
    link::open_tracing(program).map(Link::plain)
}

pub(super) fn attach_raw(program: BorrowedFd<'_>, name: &str) -> io::Result<Link> {
    let name = CString::new(name)?;
    link::open_raw_tracepoint(program, &name).map(Link::plain)
}
