//! Links of bpf(2): what holds a program to its place.

use super::bpf::{bpf, bpf_fd, raw, zeroed};
use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_link_info, bpf_link_type};
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};
use tapster_compiler::image::NetfilterHook;

/// Attaches a program that knows its place: fentry and tp_btf.
pub fn open_tracing(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.raw_tracepoint.prog_fd = raw(program);
    bpf_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// Attaches a program to the raw tracepoint with this name.
pub fn open_raw_tracepoint(program: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.raw_tracepoint.name = name.as_ptr() as u64;
    attr.raw_tracepoint.prog_fd = raw(program);
    bpf_fd(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// Attaches a program to a perf event (Linux 5.15); it can ask for the cookie.
pub fn link_perf_event(program: BorrowedFd<'_>, event: BorrowedFd<'_>, cookie: u64) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.link_create.__bindgen_anon_1.prog_fd = raw(program);
    attr.link_create.__bindgen_anon_2.target_fd = raw(event);
    attr.link_create.attach_type = bpf_attach_type::BPF_PERF_EVENT as u32;
    attr.link_create.__bindgen_anon_3.perf_event.bpf_cookie = cookie;
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Attaches a program to a hook of the network of our namespace (Linux 6.4).
pub fn link_netfilter(program: BorrowedFd<'_>, hook: &NetfilterHook) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.link_create.__bindgen_anon_1.prog_fd = raw(program);
    attr.link_create.attach_type = bpf_attach_type::BPF_NETFILTER as u32;
    // SAFETY: the union is zeroed plain data.
    let fields = unsafe { &mut attr.link_create.__bindgen_anon_3.netfilter };
    fields.pf = hook.family;
    fields.hooknum = hook.hook;
    fields.priority = hook.priority;
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Functions for [`link_kprobe_multi`].
#[derive(Clone, Copy, Debug)]
pub enum Functions<'a> {
    /// By name.
    Names(&'a [CString]),
    /// By address.
    Addresses(&'a [u64]),
}

/// Attaches a program to many functions, each with a cookie; `at_return` has it run as they return.
pub fn link_kprobe_multi(
    program: BorrowedFd<'_>,
    functions: Functions<'_>,
    cookies: &[u64],
    at_return: bool,
) -> io::Result<OwnedFd> {
    /// `BPF_F_KPROBE_MULTI_RETURN` of include/uapi/linux/bpf.h.
    const RETURN: u32 = 1;
    let names: Vec<*const c_char> = match functions {
        Functions::Names(names) => names.iter().map(|name| CStr::as_ptr(name)).collect(),
        Functions::Addresses(_) => Vec::new(),
    };
    let mut attr = zeroed();
    attr.link_create.__bindgen_anon_1.prog_fd = raw(program);
    attr.link_create.attach_type = bpf_attach_type::BPF_TRACE_KPROBE_MULTI as u32;
    // SAFETY: the union is zeroed plain data.
    let multi = unsafe { &mut attr.link_create.__bindgen_anon_3.kprobe_multi };
    let count = match functions {
        Functions::Names(_) => {
            multi.syms = names.as_ptr() as u64;
            names.len()
        }
        Functions::Addresses(addresses) => {
            multi.addrs = addresses.as_ptr() as u64;
            addresses.len()
        }
    };
    assert_eq!(count, cookies.len(), "the kernel reads one for each");
    multi.cookies = cookies.as_ptr() as u64;
    multi.cnt = count as u32;
    multi.flags = if at_return { RETURN } else { 0 };
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Many places of one file for [`link_uprobe_multi`].
#[derive(Clone, Copy, Debug)]
pub struct UprobeMulti<'a> {
    /// The file.
    pub path: &'a CStr,
    /// Offsets in it.
    pub offsets: &'a [u64],
    /// Offsets of semaphores, 0 for none; as many.
    pub semaphores: &'a [u64],
    /// What the program is told at each; as many.
    pub cookies: &'a [u64],
    /// The only process; 0 for all.
    pub pid: u32,
    /// Where the functions return.
    pub on_return: bool,
}

/// Attaches a program to many places of a file (Linux 6.6).
pub fn link_uprobe_multi(program: BorrowedFd<'_>, places: &UprobeMulti<'_>) -> io::Result<OwnedFd> {
    /// `BPF_F_UPROBE_MULTI_RETURN`.
    const RETURN: u32 = 1;
    let mut attr = zeroed();
    attr.link_create.__bindgen_anon_1.prog_fd = raw(program);
    attr.link_create.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: the union is zeroed plain data.
    let fields = unsafe { &mut attr.link_create.__bindgen_anon_3.uprobe_multi };
    fields.path = places.path.as_ptr() as u64;
    fields.offsets = places.offsets.as_ptr() as u64;
    fields.ref_ctr_offsets = places.semaphores.as_ptr() as u64;
    fields.cookies = places.cookies.as_ptr() as u64;
    fields.cnt = places.offsets.len() as u32;
    fields.flags = if places.on_return { RETURN } else { 0 };
    fields.pid = places.pid;
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Asks for a kprobe.multi link that cannot be made, and gives the kernel's answer.
///
/// A kernel that has them reads the list of addresses and faults (EFAULT); one built without `CONFIG_FPROBE` says
/// EOPNOTSUPP before, an older one EINVAL. Nothing is attached in any case.
pub fn ask_kprobe_multi(program: BorrowedFd<'_>) -> io::Error {
    let mut attr = zeroed();
    attr.link_create.__bindgen_anon_1.prog_fd = raw(program);
    attr.link_create.attach_type = bpf_attach_type::BPF_TRACE_KPROBE_MULTI as u32;
    // In the page at 0, which no process can have (vm.mmap_min_addr).
    attr.link_create.__bindgen_anon_3.kprobe_multi.addrs = 8;
    attr.link_create.__bindgen_anon_3.kprobe_multi.cnt = 1;
    match bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) {
        Ok(_) => io::Error::from(io::ErrorKind::Other),
        Err(error) => error,
    }
}

/// Asks for a uprobe.multi link that cannot be made, and gives the kernel's answer: one that has them looks for a file
/// with an empty name (ENOENT), an older one says EINVAL.
pub fn ask_uprobe_multi(program: BorrowedFd<'_>) -> io::Error {
    let zeros = [0];
    let (offsets, semaphores, cookies) = (&zeros[..], &zeros[..], &zeros[..]);
    let places = UprobeMulti { path: c"", offsets, semaphores, cookies, pid: 0, on_return: false };
    match link_uprobe_multi(program, &places) {
        Ok(_) => io::Error::from(io::ErrorKind::Other),
        Err(error) => error,
    }
}

/// Events a kprobe missed because another one was being handled (Linux 6.7); 0 for other links and older kernels.
pub fn link_missed(link: BorrowedFd<'_>) -> io::Result<u64> {
    /// `BPF_PERF_EVENT_KPROBE` of `enum bpf_perf_event_type`.
    const KPROBE: u32 = 3;
    // SAFETY: plain numbers, for which zero is valid; zero addresses ask the kernel for no names.
    let mut info: bpf_link_info = unsafe { mem::zeroed() };
    let mut attr = zeroed();
    attr.info.bpf_fd = raw(link);
    attr.info.info_len = size_of::<bpf_link_info>() as u32;
    attr.info.info = &raw mut info as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    // SAFETY: the kernel fills the variant that the type names, and all of them are plain numbers.
    Ok(unsafe {
        if info.type_ == bpf_link_type::BPF_LINK_TYPE_KPROBE_MULTI as u32 {
            info.__bindgen_anon_1.kprobe_multi.missed
        } else if info.type_ == bpf_link_type::BPF_LINK_TYPE_PERF_EVENT as u32
            && info.__bindgen_anon_1.perf_event.type_ == KPROBE
        {
            info.__bindgen_anon_1.perf_event.__bindgen_anon_1.kprobe.missed
        } else {
            0
        }
    })
}
