//! A load whose cost is known call by call: `load opens N REPS` or `load getppid N REPS`.
//!
//! Prints the nanoseconds one call took, in the best of REPS repetitions of N calls: what disturbs a repetition only ever
//! adds to it. In a guest that counts instructions as nanoseconds these are instructions.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals and pipes")]

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u32>().ok()).filter(|n| *n > 0);
    let call = match arguments.first().map(String::as_str) {
        Some("opens") => open_and_close,
        Some("getppid") => getppid,
        _ => return usage(),
    };
    let (Some(calls), Some(repetitions)) = (number(1), number(2)) else { return usage() };
    println!("{:.2}", least(call, calls, repetitions));
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("load opens|getppid N REPS");
    ExitCode::FAILURE
}

/// Nanoseconds a call, in the best repetition.
fn least(call: fn(), calls: u32, repetitions: u32) -> f64 {
    let once = || {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed().as_nanos() as f64 / f64::from(calls)
    };
    (0..repetitions).map(|_| once()).fold(f64::INFINITY, f64::min)
}

fn open_and_close() {
    // SAFETY: the path ends in NUL and is constant; a failed open is closed without effect.
    unsafe { libc::close(libc::open(c"/".as_ptr(), libc::O_RDONLY)) };
}

fn getppid() {
    // SAFETY: the call takes no argument and touches no memory.
    unsafe { libc::syscall(libc::SYS_getppid) };
}
