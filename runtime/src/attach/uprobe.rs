//! Uprobes: instructions of programs and libraries, each by a perf event or many at once.

use super::{Held, kprobe};
use crate::sys::perf::UprobeSpec;
use crate::sys::{bpf, perf};
use std::ffi::CString;
use std::io;
use std::os::fd::BorrowedFd;
use tapster_compiler::image::Uprobes;

pub(super) fn attach(program: BorrowedFd<'_>, uprobes: &Uprobes) -> io::Result<Held> {
    let path = CString::new(uprobes.path.as_str())?;
    if uprobes.multi {
        return attach_multi(program, uprobes, &path);
    }
    let pmu = perf::pmu_type(perf::UPROBE_TYPE)?;
    let (pid, on_return) = (uprobes.pid, uprobes.on_return);
    let mut held = Held::new(None, None);
    for (place, number) in uprobes.places.iter().zip(0..) {
        let semaphore = place.semaphore.unwrap_or(0);
        let spec = UprobeSpec { path: &path, offset: place.offset, semaphore, pid, on_return };
        held._more.push(kprobe::link(program, perf::open_uprobe(pmu, &spec)?, number)?);
    }
    Ok(held)
}

fn attach_multi(program: BorrowedFd<'_>, uprobes: &Uprobes, path: &CString) -> io::Result<Held> {
    let offsets: Vec<u64> = uprobes.places.iter().map(|place| place.offset).collect();
    let semaphores: Vec<u64> = uprobes.places.iter().map(|place| place.semaphore.unwrap_or(0)).collect();
    let cookies: Vec<u64> = (0..offsets.len() as u64).collect();
    let places = bpf::UprobeMulti {
        path,
        offsets: &offsets,
        semaphores: &semaphores,
        cookies: &cookies,
        pid: uprobes.pid.unwrap_or(0),
        on_return: uprobes.on_return,
    };
    bpf::link_uprobe_multi(program, &places).map(|link| Held::new(Some(link), None))
}
