//! The `tapster` command: reads a script, has it compiled and runs it.
//!
//! This crate only knows the command line and the order of the steps; each step is one call.

mod args;
mod complete;
mod doctor;
mod example;
mod explain;
mod limits;
mod manual;
mod passes;
mod picture;
mod pipeline;
mod progress;
mod report;
mod standard;
mod tapset;
mod top;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let started = Instant::now();
    // A shell that asks what a word may become is answered, and nothing else is done.
    clap_complete::CompleteEnv::with_factory(complete::command).complete();
    match args::parse() {
        args::Command::Run(options) => pipeline::run(&options, started),
        args::Command::Explain(topic) => explain::explain(&topic),
        args::Command::Doctor(for_machines) => doctor::doctor(for_machines),
        args::Command::Manual => manual::page(),
        args::Command::Completions(shell) => manual::completions(&shell),
        args::Command::Done(code) => code,
    }
}
