//! Facts about kernels: what their BTF says, and what they renamed.

pub mod btf;
pub mod renames;

use crate::world::Features;
use btf::{Btf, Kind};

/// Facts of this kernel that generated code uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelFacts {
    /// Byte offset of `task_struct.comm`, where BTF tells: two loads instead of a helper's call.
    pub comm: Option<u32>,
    /// Whether loops may stand in a program as they are, ended by `may_goto`.
    pub may_goto: bool,
}

/// The kernel's structure of a task.
pub const TASK: &str = "task_struct";

/// Looks the facts up.
pub fn facts(btf: Option<&Btf>, features: Features) -> KernelFacts {
    let comm = || {
        let btf = btf?;
        let task = btf.get(btf.find(Kind::Struct, TASK)?)?;
        task.member("comm").map(|member| member.bit_offset / 8)
    };
    KernelFacts { comm: comm(), may_goto: features.may_goto }
}
