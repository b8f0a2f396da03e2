//! Loaded programs, onto their probe points.
//!
//! Everything attached hangs on descriptors of this process: dropping [`Attached`], or dying, detaches it. Nothing is
//! pinned and nothing is written to tracefs.

mod fentry;
mod kprobe;
mod tracepoint;
mod uprobe;

use crate::load::LoadError;
use crate::sys::bpf;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tapster_compiler::image::{Attach, Program};

/// What holds one program to its probe point.
#[derive(Debug)]
pub(crate) struct Held {
    // Dropped in this order: the link before the event it hangs on.
    link: Option<OwnedFd>,
    _event: Option<OwnedFd>,
    // Where one program stands at many places, each with an event: those of the others.
    _more: Vec<Held>,
}

impl Held {
    /// By a link, perhaps of an event.
    fn new(link: Option<OwnedFd>, event: Option<OwnedFd>) -> Held {
        Held { link, _event: event, _more: Vec::new() }
    }
}

/// The programs that are attached, in the order of the image.
#[derive(Debug, Default)]
pub struct Attached {
    held: Vec<Held>,
}

impl Attached {
    /// How many programs are attached.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Events that kprobes missed before the program was even called, by program (Linux 6.7).
    pub fn missed(&self) -> Vec<u64> {
        let missed = |held: &Held| held.link.as_ref().map_or(0, |link| bpf::link_missed(link.as_fd()).unwrap_or(0));
        self.held.iter().map(missed).collect()
    }
}

/// Attaches all programs; on failure those already attached are detached.
pub fn attach(programs: &[Program], loaded: &[OwnedFd]) -> Result<Attached, LoadError> {
    let mut attached = Attached::default();
    for (program, fd) in programs.iter().zip(loaded) {
        let held = one(&program.attach, fd.as_fd()).map_err(|source| LoadError::Attach {
            probe: program.probe.clone(),
            place: program.attach.describe(),
            cure: cure(&program.attach, &source),
            source,
        })?;
        attached.held.push(held);
    }
    Ok(attached)
}

fn one(attach: &Attach, program: BorrowedFd<'_>) -> io::Result<Held> {
    match attach {
        Attach::Fentry { .. } => fentry::attach(program),
        Attach::BtfTracepoint { .. } => tracepoint::attach(program),
        Attach::RawTracepoint { name } => tracepoint::attach_raw(program, name),
        Attach::Kprobe { function } => kprobe::attach(program, function),
        Attach::KprobeMulti { functions } => kprobe::attach_multi(program, functions),
        Attach::Uprobe(uprobes) => uprobe::attach(program, uprobes),
    }
}

fn cure(attach: &Attach, error: &io::Error) -> &'static str {
    match (attach, error.raw_os_error()) {
        (Attach::Kprobe { .. } | Attach::KprobeMulti { .. }, Some(libc::EINVAL | libc::ENOENT)) => {
            "the kernel has no such function, or forbids kprobes in it"
        }
        (Attach::Kprobe { .. } | Attach::KprobeMulti { .. }, Some(libc::EADDRNOTAVAIL | libc::ESRCH)) => {
            "the name stands for more than one function, or for none that can be probed"
        }
        (Attach::Fentry { .. }, Some(libc::EBUSY)) => "something else has patched this function",
        (Attach::Fentry { .. }, Some(libc::E2BIG)) => "too many programs stand at this function",
        (Attach::Uprobe(_), Some(libc::ENOENT)) => "the file is gone, or was replaced by another one",
        (Attach::Uprobe(_), Some(libc::ESRCH)) => "the process has ended",
        (Attach::Uprobe(_), Some(libc::EOPNOTSUPP | libc::EINVAL)) => "no probe can stand at this instruction",
        (_, Some(libc::EPERM | libc::EACCES)) => "the kernel forbids it, another rung (--attach) may do",
        _ => "another rung (--attach) may do",
    }
}

/// Whether the kernel has a program with this id; needs CAP_SYS_ADMIN.
#[cfg(test)]
pub(crate) fn program_exists(id: u32) -> bool {
    aya::programs::loaded_programs().flatten().any(|program| program.id() == id)
}
