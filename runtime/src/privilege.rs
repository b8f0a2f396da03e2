//! What this process may do, and what to say where it may not.

use crate::sys::process::{Capability, has_capability};
use std::fmt;

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
