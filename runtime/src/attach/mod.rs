//! Loaded programs, onto their probe points.
//!
//! Everything attached hangs on descriptors of this process: dropping [`Attached`], or dying, detaches it. Nothing is
//! pinned and nothing is written to tracefs.

mod fentry;
mod kprobe;
mod netfilter;
mod perf;
mod tracepoint;
mod uprobe;

use crate::load::{LoadError, NO_SUCH_EVENTS};
use crate::sys::{errno_name, link};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{mem, thread};
use tapster_compiler::image::{Attach, Moment, Program};

/// What holds a program to a place, or to several that the kernel knows under one link.
#[derive(Debug)]
pub(crate) struct Link {
    // Dropped in this order: the link before the event it hangs on.
    link: Option<OwnedFd>,
    event: Option<OwnedFd>,
}

impl Link {
    fn plain(link: OwnedFd) -> Link {
        Link { link: Some(link), event: None }
    }
}

/// The programs that are attached, in the order of the image.
#[derive(Debug, Default)]
pub struct Attached {
    held: Vec<Vec<Link>>,
    places: usize,
    /// Programs that the kernel refused so far, and why.
    refused: Vec<(usize, io::Error)>,
    /// What the kernel refused and the session can do without: the place, and why.
    skipped: Vec<(String, String)>,
}

impl Drop for Attached {
    /// Takes the programs away. The kernel has each caller wait for tens of milliseconds until nobody runs a uprobe or
    /// kprobe any more, and many callers as long as one: a thousand links by themselves are a minute. Without its link
    /// an event runs nothing, and nobody here has to wait until it is closed: kprobes' are closed one after the other.
    fn drop(&mut self) {
        let links = self.held.drain(..).flatten();
        let (links, events): (Vec<_>, Vec<_>) = links.map(|Link { link, event }| (link, event)).unzip();
        // Before Linux 5.15 events have no links: they are what has to go.
        let (unlinked, events): (Vec<_>, Vec<_>) = links.iter().zip(events).partition(|(link, _)| link.is_none());
        let closed = |some: Vec<(_, Option<OwnedFd>)>| some.into_iter().filter_map(|(_, event)| event).collect();
        let (unlinked, events): (Vec<OwnedFd>, Vec<OwnedFd>) = (closed(unlinked), closed(events));
        drop_together(links);
        drop_together(unlinked);
        if !events.is_empty() {
            // Where there is no room for a thread they are closed here.
            let _ = thread::Builder::new().spawn(|| drop_together(events));
        }
    }
}

/// Closes descriptors, many at a time.
fn drop_together<T: Send>(mut all: Vec<T>) {
    const FEW: usize = 8;
    const CALLERS: usize = 64;
    let (count, share) = (all.len(), all.len().div_ceil(CALLERS));
    thread::scope(|scope| {
        while count > FEW && all.len() > share {
            let part = all.split_off(all.len() - share);
            // Where there is no room for a thread, its part is dropped with it, here.
            let _ = thread::Builder::new().spawn_scoped(scope, || drop(part));
        }
        all.clear();
    });
}

impl Attached {
    /// How many places programs stand at.
    pub fn len(&self) -> usize {
        self.places
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places == 0
    }

    /// Places that the kernel refused, and why.
    pub fn skipped(&self) -> &[(String, String)] {
        &self.skipped
    }

    /// Events that kprobes missed before the program was even called, by program (Linux 6.7).
    pub fn missed(&self) -> Vec<u64> {
        let of = |link: &Link| link.link.as_ref().map_or(0, |link| link::link_missed(link.as_fd()).unwrap_or(0));
        self.held.iter().map(|links| links.iter().map(of).sum()).collect()
    }
}

/// What becomes of one program's places.
pub(crate) struct Taken<'a> {
    lenient: bool,
    links: Vec<Link>,
    places: usize,
    refused: Vec<(usize, io::Error)>,
    told: &'a mut dyn FnMut(usize),
}

impl Taken<'_> {
    fn take(&mut self, nth: usize, link: io::Result<Link>) {
        match link {
            Ok(link) => self.take_all(1, link),
            Err(error) => self.refused.push((nth, error)),
        }
    }

    fn take_all(&mut self, places: usize, link: Link) {
        self.links.push(link);
        self.places += places;
        (self.told)(places);
    }

    fn refuse_all(&mut self, places: usize, error: io::Error) {
        let again = || io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(0));
        self.refused.extend((0..places).map(|nth| (nth, again())));
    }

    /// Whether going on is of no use: what was refused cannot be done without.
    fn is_over(&self) -> bool {
        !self.lenient && !self.refused.is_empty()
    }
}

impl Attached {
    /// Attaches those at trampolines: no earlier does the kernel say whether a function can have another one.
    pub(crate) fn trampolines(programs: &[Program], loaded: &[OwnedFd]) -> Attached {
        let mut attached = Attached::default();
        for (nth, (program, fd)) in programs.iter().zip(loaded).enumerate() {
            let link = is_trampoline(program).then(|| fentry::attach(fd.as_fd()));
            let links = match link {
                Some(Ok(link)) => vec![link],
                Some(Err(error)) => {
                    attached.refused.push((nth, error));
                    Vec::new()
                }
                None => Vec::new(),
            };
            attached.places += links.len();
            attached.held.push(links);
        }
        attached
    }

    /// The places that the kernel refused so far, and why.
    pub(crate) fn refused(&self, programs: &[Program]) -> Vec<(String, String)> {
        let why = |(nth, error): &(usize, io::Error)| {
            (programs[*nth].attach.describe(), format!("{} when attached", errno_name(error)))
        };
        self.refused.iter().map(why).collect()
    }

    /// Takes it as it is: what a pattern stands for is passed over, anything else is an error.
    pub(crate) fn accept(&mut self, programs: &[Program]) -> Result<(), LoadError> {
        for (nth, error) in mem::take(&mut self.refused) {
            let program = &programs[nth];
            if !program.lenient {
                return Err(failure(program, error));
            }
            self.skipped.push((program.probe.clone(), errno_name(&error)));
        }
        Ok(())
    }

    /// Attaches all others, and tells how many places there are as it goes on; on failure all are detached.
    pub(crate) fn others(
        &mut self,
        programs: &[Program],
        loaded: &[OwnedFd],
        told: &mut dyn FnMut(usize),
    ) -> Result<(), LoadError> {
        told(self.places);
        self.held.resize_with(programs.len(), Vec::new);
        for ((program, fd), held) in programs.iter().zip(loaded).zip(&mut self.held) {
            if is_trampoline(program) {
                continue;
            }
            let mut taken = Taken { lenient: program.lenient, links: Vec::new(), places: 0, refused: Vec::new(), told };
            one(&program.attach, fd.as_fd(), &mut taken);
            let Taken { links, places, mut refused, .. } = taken;
            if !program.lenient && !refused.is_empty() {
                return Err(failure(program, refused.swap_remove(0).1));
            }
            self.places += places;
            *held = links;
            self.skipped.extend(
                refused
                    .into_iter()
                    .map(|(nth, error)| (program.sites.get(nth).unwrap_or(&program.probe).clone(), errno_name(&error))),
            );
        }
        Ok(())
    }
}

fn is_trampoline(program: &Program) -> bool {
    matches!(program.attach, Attach::Fentry { .. })
}

fn failure(program: &Program, source: io::Error) -> LoadError {
    let (probe, place) = (program.probe.clone(), program.attach.describe());
    LoadError::Attach { probe, place, cure: cure(&program.attach, &source), source }
}

fn one(attach: &Attach, program: BorrowedFd<'_>, taken: &mut Taken) {
    match attach {
        Attach::Fentry { .. } => unreachable!("those stand already"),
        Attach::BtfTracepoint { .. } => taken.take(0, tracepoint::attach(program)),
        Attach::RawTracepoint { name } => taken.take(0, tracepoint::attach_raw(program, name)),
        Attach::Kprobe { functions, moment } => kprobe::attach(program, functions, *moment == Moment::Return, taken),
        Attach::KprobeMulti { functions, moment } => {
            kprobe::attach_multi(program, functions, *moment == Moment::Return, taken);
        }
        Attach::Uprobe(uprobes) => uprobe::attach(program, uprobes, taken),
        Attach::Perf(event) => perf::attach(program, event, taken),
        Attach::Netfilter(hook) => taken.take(0, netfilter::attach(program, hook)),
        Attach::Breakpoint { place, length, on_reads } => perf::watch(program, place, *length, *on_reads, taken),
    }
}

fn cure(attach: &Attach, error: &io::Error) -> &'static str {
    match (attach, error.raw_os_error()) {
        (Attach::Kprobe { .. } | Attach::KprobeMulti { .. }, Some(libc::EINVAL | libc::ENOENT)) => {
            "the kernel has no such function, or forbids kprobes in it"
        }
        (Attach::Kprobe { .. }, Some(libc::EILSEQ)) => "no instruction begins there",
        (Attach::Kprobe { .. } | Attach::KprobeMulti { .. }, Some(libc::EADDRNOTAVAIL | libc::ESRCH)) => {
            "the name stands for more than one function, or for none that can be probed"
        }
        (Attach::Fentry { .. }, Some(libc::EBUSY)) => {
            "it has no room for a trampoline, or something else has patched it"
        }
        (Attach::Fentry { .. }, Some(libc::E2BIG)) => "too many programs stand at this function",
        (Attach::Perf(_), Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENODEV | libc::EINVAL)) => NO_SUCH_EVENTS,
        (Attach::Breakpoint { .. }, Some(libc::ENOENT)) => "the kernel has no such symbol, or hides its address",
        (Attach::Breakpoint { .. }, Some(libc::ENOSPC)) => "the processor has no breakpoint left",
        (Attach::Breakpoint { .. }, Some(libc::EINVAL)) => {
            "the address is no multiple of the length, or none of the kernel"
        }
        (Attach::Netfilter(_), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {
            "this kernel has no such family of hooks"
        }
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
