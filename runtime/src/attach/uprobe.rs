//! Uprobes: instructions of programs and libraries, each by a perf event or many at once.

use super::{Link, Taken, kprobe};
use crate::sys::perf::UprobeSpec;
use crate::sys::{link, perf};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::BorrowedFd;
use tapster_compiler::image::{UprobePlace, Uprobes};

pub(super) fn attach(program: BorrowedFd<'_>, uprobes: &Uprobes, taken: &mut Taken) {
    let all = uprobes.places.len();
    let path = match CString::new(uprobes.path.as_str()) {
        Ok(path) => path,
        Err(error) => return taken.refuse_all(all, error.into()),
    };
    if uprobes.multi {
        return match attach_multi(program, uprobes, &path) {
            Ok(link) => taken.take_all(all, link),
            Err(error) => taken.refuse_all(all, error),
        };
    }
    let pmu = match perf::pmu_type(perf::UPROBE_TYPE) {
        Ok(pmu) => pmu,
        Err(error) => return taken.refuse_all(all, error),
    };
    for (nth, place) in uprobes.places.iter().enumerate() {
        taken.take(nth, attach_one(program, uprobes, (pmu, &path), place, nth as u64));
        if taken.is_over() {
            return;
        }
    }
}

fn attach_one(
    program: BorrowedFd<'_>,
    uprobes: &Uprobes,
    (pmu, path): (u32, &CStr),
    place: &UprobePlace,
    cookie: u64,
) -> io::Result<Link> {
    let (pid, on_return) = (uprobes.pid, uprobes.on_return);
    let semaphore = place.semaphore.unwrap_or(0);
    let spec = UprobeSpec { path, offset: place.offset, semaphore, pid, on_return };
    kprobe::at_event(program, perf::open_uprobe(pmu, &spec)?, cookie)
}

fn attach_multi(program: BorrowedFd<'_>, uprobes: &Uprobes, path: &CStr) -> io::Result<Link> {
    let offsets: Vec<u64> = uprobes.places.iter().map(|place| place.offset).collect();
    let semaphores: Vec<u64> = uprobes.places.iter().map(|place| place.semaphore.unwrap_or(0)).collect();
    let cookies: Vec<u64> = (0..offsets.len() as u64).collect();
    let places = link::UprobeMulti {
        path,
        offsets: &offsets,
        semaphores: &semaphores,
        cookies: &cookies,
        pid: uprobes.pid.unwrap_or(0),
        on_return: uprobes.on_return,
    };
    link::link_uprobe_multi(program, &places).map(Link::plain)
}
