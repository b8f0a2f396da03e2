//! The `tapster` command: reads a script, has it compiled and runs it.
//!
//! This crate only knows the command line and the order of the steps; each step is one call.

mod args;
mod explain;
mod limits;
mod passes;
mod pipeline;
mod report;
mod tapset;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let started = Instant::now();
    match args::parse() {
        args::Command::Run(options) => pipeline::run(&options, started),
        args::Command::Explain(topic) => explain::explain(&topic),
        args::Command::Done(code) => code,
    }
}
