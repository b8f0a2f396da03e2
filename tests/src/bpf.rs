//! The little of bpf(2) that judging needs, written against the kernel's header and nothing else.
//!
//! [`sys`] makes the system calls, [`insn`] assembles the few programs, [`btf`] finds the type ids they attach by, and
//! [`loaded`] says which programs the kernel holds and who holds them.

pub mod btf;
pub mod insn;
pub mod loaded;
pub mod sys;
