//! Facts about kernels: what their BTF says, and what they renamed.

pub mod btf;
pub mod renames;
