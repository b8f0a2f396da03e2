//! A count of the allocations that processes of some name make, by a hand-assembled program.

use std::io;
use std::os::fd::OwnedFd;

use crate::bpf::btf::{self, Btf};
use crate::bpf::insn::{self, FP, Insn};
use crate::bpf::sys::{self, ProgramKind};

/// What to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Hits of a raw tracepoint.
    RawTracepoint(String),
    /// Calls of a function, through fentry.
    Function(String),
}

impl Event {
    /// The tracepoint or the function.
    pub fn name(&self) -> &str {
        match self {
            Event::RawTracepoint(name) | Event::Function(name) => name,
        }
    }
}

/// A running count; it ends when dropped.
#[derive(Debug)]
pub struct Counter {
    counts: OwnedFd,
    program: OwnedFd,
    _link: OwnedFd,
}

/// What was counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Events.
    pub events: u64,
    /// Events at which the kernel did not run the program.
    pub misses: u64,
}

impl Counter {
    /// Starts counting the events at which the current process has a name that begins with `prefix` (1 to 8 bytes).
    pub fn start(event: &Event, prefix: &str) -> Result<Counter, String> {
        let explain = |what: &str, e: io::Error| format!("counter: {what}: {e}");
        let counts = sys::percpu_array(1).map_err(|e| explain("map", e))?;
        let (kind, name) = match event {
            Event::RawTracepoint(name) => {
                (ProgramKind { program: sys::PROG_RAW_TRACEPOINT, attach: 0, btf_id: 0 }, Some(name.as_str()))
            }
            Event::Function(name) => (fentry(name)?, None),
        };
        let program = sys::load(kind, &program(&counts, prefix)).map_err(|e| explain("load", e))?;
        let link = sys::raw_tracepoint_open(&program, name).map_err(|e| explain("attach", e))?;
        Ok(Counter { counts, program, _link: link })
    }

    /// Reads the count.
    pub fn read(&self) -> Result<Count, String> {
        let explain = |e: io::Error| format!("counter: {e}");
        let events = sys::percpu_lookup(&self.counts, 0).map_err(explain)?.iter().sum();
        let misses = sys::program_info(&self.program).map_err(explain)?.recursion_misses;
        Ok(Count { events, misses })
    }
}

fn fentry(function: &str) -> Result<ProgramKind, String> {
    let id = Btf::vmlinux().and_then(|btf| btf.find(btf::FUNC, function));
    let btf_id = id.ok_or_else(|| format!("counter: BTF has no function {function}"))?;
    Ok(ProgramKind { program: sys::PROG_TRACING, attach: sys::ATTACH_FENTRY, btf_id })
}

/// `if (comm & mask == prefix) counts[0]++; return 0`
fn program(counts: &OwnedFd, prefix: &str) -> Vec<Insn> {
    use std::os::fd::AsRawFd;
    assert!((1..=8).contains(&prefix.len()), "the prefix is compared in one register");
    let mut bytes = [0; 8];
    bytes[..prefix.len()].copy_from_slice(prefix.as_bytes());
    let mask = u64::MAX >> (64 - 8 * prefix.len());
    let mut code = vec![
        insn::mov_reg(1, FP),
        insn::add(1, -16),
        insn::mov(2, 16),
        insn::call(insn::GET_CURRENT_COMM),
        insn::load64(1, FP, -16),
    ];
    code.extend(insn::mov64(2, mask));
    code.push(insn::and_reg(1, 2));
    code.extend(insn::mov64(2, u64::from_le_bytes(bytes)));
    code.push(insn::jump_ne_reg(1, 2, 10));
    code.push(insn::store32_imm(FP, -20, 0));
    code.extend(insn::map_fd(1, counts.as_raw_fd()));
    code.extend([
        insn::mov_reg(2, FP),
        insn::add(2, -20),
        insn::call(insn::MAP_LOOKUP_ELEM),
        insn::jump_eq(0, 0, 3),
        // Per CPU and not interrupted by itself: no atomic needed.
        insn::load64(1, 0, 0),
        insn::add(1, 1),
        insn::store64(0, 0, 1),
        insn::mov(0, 0),
        insn::exit(),
    ]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_jumps_reach_the_end() {
        let zero = std::fs::File::open("/dev/null").expect("a descriptor").into();
        let code = program(&zero, "tpstorm");
        let end = code.len() - 2;
        assert_eq!(code[end], insn::mov(0, 0));
        for (at, insn) in code.iter().enumerate().filter(|(_, insn)| [0x5d, 0x15].contains(&(**insn as u8))) {
            let distance = (insn >> 16) as i16 as usize;
            assert_eq!(at + 1 + distance, end);
        }
    }
}
