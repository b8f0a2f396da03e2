//! Register allocation, by regalloc2's backtracking allocator ("Ion"): its linear one (`fastalloc`) spills around every call,
//! and a spill costs eight of 512 bytes of stack.
use super::CompileError;
use super::vcode::{VCode, preg};
use regalloc2::{Algorithm, MachineEnv, Output, PRegSet, RegallocOptions};

pub(super) fn allocate(vcode: &VCode) -> Result<Output, CompileError> {
    let options =
        RegallocOptions { verbose_log: false, validate_ssa: cfg!(debug_assertions), algorithm: Algorithm::Ion };
    regalloc2::run(vcode, &machine(), &options).map_err(|e| CompileError::Allocator(e.to_string()))
}

/// r0-r5 are lost in calls, r6-r9 are kept, r10 is the frame pointer.
///
/// r6-r9 cost nothing to use, but as the second choice they stay free for what lives across a call.
fn machine() -> MachineEnv {
    let lost: PRegSet = (0..6).map(preg).collect();
    let kept: PRegSet = (6..10).map(preg).collect();
    MachineEnv {
        preferred_regs_by_class: [lost, PRegSet::empty(), PRegSet::empty()],
        non_preferred_regs_by_class: [kept, PRegSet::empty(), PRegSet::empty()],
        scratch_by_class: [None; 3],
        fixed_stack_slots: vec![],
    }
}
