//! Measures what Tapster costs, beside what others cost: `cargo run --release -p tapster-bench -- [OPTION…]`.
//!
//! [`compile`] times the stages before loading within this process; [`live`] whole runs on this kernel, [`event`] what a
//! hit costs, [`flood`] how many prints arrive and [`large`] large tables at the end, against Debian's bpftrace and programs
//! in C of our own, [`walk`] a handler in user space beside Rust, [`storm`] scripts that stay on under load, [`growth`]
//! starts of larger scripts, [`library`] the reading of the library; [`bodies`] counts instructions of handlers beside clang's, and [`boot`] those that a hit takes
//! in booted kernels. Nothing is asserted and the exit status is 0: a figure is printed beside its aim, and what could not
//! be measured is said in a line `skipped: … because …`.
//!
//! Options: `--compile`, `--live`, `--bodies`, `--events`, `--large`, `--flood`, `--walk`, `--storm`, `--growth`,
//! `--library` or `--boot` takes these parts only, `--quick` takes few rounds, boots nothing and downloads nothing, `--write` renews the figures in
//! docs/performance.md.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals")]

mod bodies;
mod boot;
mod compile;
mod event;
mod flood;
mod growth;
mod large;
mod library;
mod live;
mod peer;
mod reference;
mod report;
mod size;
mod stats;
mod storm;
mod svg;
mod table;
mod tapset;
mod tool;
mod walk;
#[path = "../../compiler/tests/common/world.rs"]
mod world;

use std::process::ExitCode;

use peer::Peer;
use report::Report;
use tapster_tests::workspace;

/// Enough for a median that one bad round does not move.
const ROUNDS: usize = 9;

/// A part of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Compile,
    Live,
    Bodies,
    Events,
    Large,
    Flood,
    Walk,
    Storm,
    Growth,
    Library,
    Boot,
}

const PARTS: [(&str, Part); 11] = [
    ("--compile", Part::Compile),
    ("--live", Part::Live),
    ("--bodies", Part::Bodies),
    ("--events", Part::Events),
    ("--large", Part::Large),
    ("--flood", Part::Flood),
    ("--walk", Part::Walk),
    ("--storm", Part::Storm),
    ("--growth", Part::Growth),
    ("--library", Part::Library),
    ("--boot", Part::Boot),
];

/// What to measure.
#[derive(Debug, Default)]
struct Request {
    quick: bool,
    write: bool,
    parts: Vec<Part>,
}

impl Request {
    fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

fn main() -> ExitCode {
    let result = request(std::env::args().skip(1)).and_then(|request| {
        let mut report = Report::default();
        measure(&request, &mut report);
        if request.write { report.write() } else { Ok(()) }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tapster-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(request: &Request, report: &mut Report) {
    if request.has(Part::Compile) {
        compile::run(request.quick);
    }
    if request.parts == [Part::Compile] {
        return;
    }
    let tapster = match workspace::tapster() {
        Ok(tapster) => tapster,
        Err(error) => return skipped("everything that runs Tapster", &error),
    };
    let rounds = if request.quick { 1 } else { ROUNDS };
    if request.has(Part::Live) {
        live::run(&tapster, Peer::all(request.quick), rounds, report);
        size::run(&tapster);
    }
    if request.has(Part::Bodies) {
        bodies::run(&tapster, report);
    }
    if request.has(Part::Events) {
        event::run(&tapster, Peer::all(request.quick), rounds, report);
    }
    if request.has(Part::Large) {
        large::run(&tapster, request.quick, report);
    }
    if request.has(Part::Flood) {
        flood::run(&tapster, request.quick, report);
    }
    if request.has(Part::Walk) {
        walk::run(&tapster, rounds, report);
    }
    if request.has(Part::Storm) {
        storm::run(&tapster, if request.quick { 3 } else { 61 }, report);
    }
    if request.has(Part::Growth) {
        growth::run(&tapster, rounds, report);
    }
    if request.has(Part::Library) {
        library::run(&tapster, rounds, report);
    }
    if request.has(Part::Boot) {
        boot::run(&tapster, report);
    }
}

fn request(arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut request = Request::default();
    for argument in arguments {
        match (argument.as_str(), PARTS.iter().find(|(option, _)| *option == argument)) {
            ("--quick", _) => request.quick = true,
            ("--write", _) => request.write = true,
            (_, Some((_, part))) => request.parts.push(*part),
            _ => {
                let parts: Vec<&str> = PARTS.iter().map(|(option, _)| *option).collect();
                return Err(format!("`{argument}` is not understood: --quick, --write, {}", parts.join(", ")));
            }
        }
    }
    if request.parts.is_empty() {
        request.parts = PARTS.iter().map(|(_, part)| *part).collect();
    }
    request.parts.retain(|part| !request.quick || *part != Part::Boot);
    Ok(request)
}

/// Says what has not been measured, in one line.
pub(crate) fn skipped(what: &str, why: &str) {
    let lines: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    println!("\nskipped: {what} because {}", lines.join("; "));
}
