//! What both sides of the kernel boundary agree on.
//!
//! Generated eBPF code, generated native code and the printer in user space take every layout from here, so none of
//! them can drift from the others. This crate knows no other crate and allocates nothing.
#![no_std]
#![forbid(unsafe_code)]

pub mod aggregate;
pub mod constants;
pub mod helper;
pub mod intern;
pub mod limits;
pub mod record;
pub mod state;
pub mod variance;
