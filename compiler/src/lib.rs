//! Checks SystemTap scripts and compiles them to eBPF and native code.
//!
//! One way leads from a syntax tree to an [`image::Image`]: check, lower, and one of two back ends. The machine is
//! asked only through [`world::World`]; nothing here opens a file, reads a clock or makes a system call.

mod assemble;
pub mod bpf;
pub mod check;
pub mod compile;
mod counter;
pub mod dump;
pub mod elf;
pub mod emit;
pub mod hir;
pub mod host;
pub mod image;
pub mod intrinsic;
pub mod kernel;
pub mod library;
pub mod list;
pub mod lower;
pub mod native;
mod probe;
pub mod reference;
pub mod regex;
pub mod separate;
pub mod suggest;
pub mod syscall;
pub mod world;
