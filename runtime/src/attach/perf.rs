//! Perf events: one a CPU, all with the same program.

use super::{Taken, kprobe};
use crate::symbol;
use crate::sys::perf;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use tapster_compiler::image::{PerfEvent, Watched};

pub(super) fn attach(program: BorrowedFd<'_>, event: &PerfEvent, taken: &mut Taken) {
    every_cpu(program, taken, |cpu| perf::open_counter(event, cpu));
}

/// Stands at accesses to memory.
pub(super) fn watch(program: BorrowedFd<'_>, place: &Watched, length: u8, on_reads: bool, taken: &mut Taken) {
    let address = match place {
        Watched::Address(address) => Ok(*address),
        Watched::Symbol(name) => symbol::address_of(name),
    };
    match address {
        Ok(address) => every_cpu(program, taken, |cpu| perf::open_breakpoint(address, length, on_reads, cpu)),
        Err(error) => taken.take(0, Err(error)),
    }
}

fn every_cpu(program: BorrowedFd<'_>, taken: &mut Taken, open: impl Fn(u32) -> io::Result<OwnedFd>) {
    let cpus = match aya::util::online_cpus() {
        Ok(cpus) => cpus,
        Err((_, error)) => return taken.take(0, Err(error)),
    };
    for (nth, cpu) in cpus.into_iter().enumerate() {
        let link = open(cpu).and_then(|event| kprobe::at_event(program, event, 0));
        match link {
            // One place, however many CPUs.
            Ok(held) => taken.take_all(usize::from(nth == 0), held),
            Err(error) => return taken.take(0, Err(error)),
        }
    }
}
