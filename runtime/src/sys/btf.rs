//! The kernel's list of BTF: its own, those of modules, those of programs.

use super::bpf::{bpf, bpf_fd, raw, zeroed};
use aya_obj::generated::{bpf_btf_info, bpf_cmd};
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes of a module's name with its NUL (include/linux/module.h).
const NAME: usize = 64;

/// The BTF of a module; needs CAP_SYS_ADMIN.
pub fn of_module(module: &str) -> io::Result<OwnedFd> {
    let mut id = 0;
    loop {
        id = next(id)?;
        match open(id) {
            Ok(btf) if is_module(btf.as_fd(), module)? => return Ok(btf),
            Ok(_) => {}
            // It has gone since.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The number behind this one; ENOENT where there is none.
fn next(id: u32) -> io::Result<u32> {
    let mut attr = zeroed();
    attr.__bindgen_anon_6.__bindgen_anon_1.start_id = id;
    bpf(bpf_cmd::BPF_BTF_GET_NEXT_ID, &mut attr)?;
    // SAFETY: the kernel wrote a number there.
    Ok(unsafe { attr.__bindgen_anon_6.next_id })
}

fn open(id: u32) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.__bindgen_anon_6.__bindgen_anon_1.btf_id = id;
    bpf_fd(bpf_cmd::BPF_BTF_GET_FD_BY_ID, &mut attr)
}

fn is_module(btf: BorrowedFd<'_>, module: &str) -> io::Result<bool> {
    let mut name = [0_u8; NAME];
    // SAFETY: plain numbers, for which zero is valid; a size of zero asks for no types.
    let mut info: bpf_btf_info = unsafe { mem::zeroed() };
    info.name = name.as_mut_ptr() as u64;
    info.name_len = NAME as u32;
    let mut attr = zeroed();
    attr.info.bpf_fd = raw(btf);
    attr.info.info_len = size_of::<bpf_btf_info>() as u32;
    attr.info.info = &raw mut info as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(info.kernel_btf != 0 && name.split(|byte| *byte == 0).next() == Some(module.as_bytes()))
}
