//! Measures what Tapster costs, beside what others cost: `cargo run --release -p tapster-bench -- [OPTION…]`.
//!
//! [`compile`] times the stages before loading within this process, [`live`] whole runs on this kernel against Debian's
//! bpftrace, [`size`] counts the instructions of a program, and [`boot`] counts the instructions a hit takes in a booted
//! kernel. Nothing is asserted and the exit status is 0: a figure is printed beside its aim, and what could not be
//! measured is said in a line `skipped: … because …`.
//!
//! Options: `--compile`, `--live` or `--boot` takes these parts only, `--quick` takes few rounds and boots nothing.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals")]

mod boot;
mod compile;
mod live;
mod size;
mod stats;
mod table;
mod tapset;
mod tool;
#[path = "../../compiler/tests/common/world.rs"]
mod world;

use std::process::ExitCode;

use tapster_tests::workspace;

/// Enough for a median that one bad round does not move.
const ROUNDS: usize = 9;

/// What to measure.
struct Request {
    quick: bool,
    compile: bool,
    live: bool,
    boot: bool,
}

fn main() -> ExitCode {
    let request = match request(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("tapster-bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    if request.compile {
        compile::run(request.quick);
    }
    if !request.live && !request.boot {
        return ExitCode::SUCCESS;
    }
    match workspace::tapster() {
        Ok(tapster) => {
            if request.live {
                live::run(&tapster, if request.quick { 1 } else { ROUNDS });
                size::run(&tapster);
            }
            if request.boot {
                boot::run(&tapster);
            }
        }
        Err(error) => skipped("everything that runs Tapster", &error),
    }
    ExitCode::SUCCESS
}

fn request(arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let (mut quick, mut compile, mut live, mut boot) = (false, false, false, false);
    for argument in arguments {
        match argument.as_str() {
            "--quick" => quick = true,
            "--compile" => compile = true,
            "--live" => live = true,
            "--boot" => boot = true,
            other => return Err(format!("`{other}` is not understood: --quick, --compile, --live, --boot")),
        }
    }
    let all = !compile && !live && !boot;
    Ok(Request { quick, compile: compile || all, live: live || all, boot: (boot || all) && !quick })
}

/// Says what has not been measured, in one line.
fn skipped(what: &str, why: &str) {
    let lines: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    println!("\nskipped: {what} because {}", lines.join("; "));
}
