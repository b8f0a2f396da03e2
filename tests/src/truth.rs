//! Counting what Tapster counts, by other means.
//!
//! [`counter`] counts events with a program of its own, `storm` (a program beside this) causes them, [`stack`] reads
//! the stacks that Tapster prints and holds them against `/proc/kallsyms`. [`tapset`] reads what SystemTap calls
//! the variables of system calls.

pub mod counter;
pub mod stack;
pub mod tapset;
