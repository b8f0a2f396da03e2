//! What this process may do, and what to say where it may not.

use crate::sys::process::{Capability, has_capability, keep_capabilities};
use std::fmt;
use std::io;

/// Capabilities that loading and attaching need and this process lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not permitted to trace the kernel: {}", Missing(.missing))]
pub struct Denied {
    /// Their names.
    pub missing: Vec<&'static str>,
}

struct Missing<'a>(&'a [&'static str]);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "is" } else { "are" };
        write!(f, "{} {plural} missing (run as root, or give the binary CAP_BPF and CAP_PERFMON: these two suffice)", {
            self.0.join(" and ")
        })
    }
}

/// Whether CAP_BPF and CAP_PERFMON are in effect. CAP_SYS_ADMIN includes both (include/linux/capability.h).
pub fn check() -> Result<(), Denied> {
    missing(has_capability)
}

fn missing(has: impl Fn(Capability) -> bool) -> Result<(), Denied> {
    if has(Capability::SysAdmin) {
        return Ok(());
    }
    let needed = [(Capability::Bpf, "CAP_BPF"), (Capability::Perfmon, "CAP_PERFMON")];
    let missing: Vec<_> = needed.iter().filter(|(capability, _)| !has(*capability)).map(|(_, name)| *name).collect();
    if missing.is_empty() { Ok(()) } else { Err(Denied { missing }) }
}

/// Whether kernel addresses can be had from `/proc/kallsyms` as far as capabilities go.
pub fn may_see_addresses() -> bool {
    has_capability(Capability::Syslog)
}

/// What a run keeps of its capabilities once everything is attached.
///
/// Names need some: those of the kernel's addresses CAP_SYSLOG, those of functions in programs of other users, whose maps
/// and files must be readable, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH. Maps and programs that are open need none
/// (`__sys_bpf` in kernel/bpf/syscall.c).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// All: the thread may have other plans.
    #[default]
    All,
    /// What reads names.
    Names,
    /// The same, and what opens and creates files whatever their modes say.
    NamesAndFiles,
}

/// Gives up the others: whoever finds a hole in what follows can read, and neither load programs nor change anything.
pub fn settle(kept: Kept) -> io::Result<()> {
    const NAMES: [Capability; 3] = [Capability::Syslog, Capability::SysPtrace, Capability::DacReadSearch];
    match kept {
        Kept::All => Ok(()),
        Kept::Names => keep_capabilities(&NAMES),
        Kept::NamesAndFiles => keep_capabilities(&[&NAMES[..], &[Capability::DacOverride]].concat()),
    }
}

/// Gives up everything, for a thread that only draws.
pub fn give_up() -> io::Result<()> {
    keep_capabilities(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let denied = missing(|capability| capability == Capability::Bpf).expect_err("perfmon is missing");
        assert!(denied.to_string().contains("CAP_PERFMON is missing"), "{denied}");
        let denied = missing(|_| false).expect_err("both are missing");
        assert!(denied.to_string().contains("CAP_BPF and CAP_PERFMON are missing"), "{denied}");
    }

    #[test]
    fn the_two_suffice_and_so_does_the_one_that_includes_them() {
        assert_eq!(missing(|c| matches!(c, Capability::Bpf | Capability::Perfmon)), Ok(()));
        assert_eq!(missing(|c| c == Capability::SysAdmin), Ok(()));
    }
}
