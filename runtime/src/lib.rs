//! Runs what the compiler made: loads it into the kernel, attaches it, calls its handlers, prints.
//!
//! Of the compiler this crate knows the [image](tapster_compiler::image), the questions it
//! [asks](tapster_compiler::world) and the [functions](tapster_compiler::host) native handlers call. It knows nothing
//! of scripts but the positions that errors name.
//!
//! | module | what it does |
//! |---|---|
//! | [`world`], [`slab`], [`binary`], [`build`] | answer the compiler's questions about this machine |
//! | [`doctor`] | tells people what this machine offers |
//! | [`session`], [`runner`] | the life of a run, and the calls of its handlers; the others are their parts |
//! | [`load`], [`attach`] | image to kernel |
//! | [`run`], [`host`] | what native handlers work on, and how they reach it |
//! | [`library`], [`regex`] | functions of the language that only user space has |
//! | [`globals`], [`table`], [`map`], [`walk`], [`interned`] | arrays, statistics, strings and stacks |
//! | [`command`] | the program of `-c` |
//! | [`event`], [`timer`], [`feed`] | what wakes a session |
//! | [`view`], [`watch`] | the globals as data, and those who look at them while a script runs |
//! | [`output`], [`file`], [`symbol`], [`fault`], [`loss`] | what the user sees |
//! | [`sys`] | every system call the standard library does not have |

pub mod attach;
pub mod binary;
pub mod build;
pub mod command;
pub mod configuration;
pub mod doctor;
pub mod event;
pub mod fault;
pub mod feed;
pub mod file;
mod footprint;
pub mod globals;
pub mod host;
pub mod interned;
pub mod library;
pub mod load;
pub mod loss;
pub mod map;
pub mod output;
pub mod privilege;
pub mod process_symbol;
pub mod regex;
mod replaced;
pub mod run;
pub mod runner;
pub mod session;
pub mod slab;
pub mod symbol;
pub mod sys;
pub mod table;
pub mod timer;
mod timing;
pub mod view;
pub mod walk;
pub mod watch;
pub mod world;

#[cfg(test)]
mod live;

pub use load::{LoadError, Rejection};
pub use session::{Options, Outcome, Refusal, Session};
pub use world::Machine;
