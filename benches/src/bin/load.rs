//! A load whose cost is known call by call: `load opens|getppid N REPS` prints the nanoseconds that one call took, in the
//! best of REPS repetitions of N calls: what disturbs a repetition only ever adds to it. In a guest that counts
//! instructions as nanoseconds these are instructions.
//!
//! `load paced RATE SECONDS` calls getppid() so often a second and prints how many calls that were; `load keys N` calls
//! getpgid() for each number below N; `load whole COMMAND…` prints the milliseconds that a command takes, whose words go
//! elsewhere.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals and pipes")]

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |at: usize| words.get(at).and_then(|text| text.parse::<u32>().ok()).filter(|n| *n > 0);
    match (words.first(), number(1), number(2)) {
        (Some(&"opens"), Some(calls), Some(repetitions)) => {
            println!("{:.2}", least(open_and_close, calls, repetitions))
        }
        (Some(&"getppid"), Some(calls), Some(repetitions)) => println!("{:.2}", least(getppid, calls, repetitions)),
        (Some(&"paced"), Some(rate), Some(seconds)) => println!("{}", paced(rate, Duration::from_secs(seconds.into()))),
        (Some(&"keys"), Some(keys), None) => (0..keys).for_each(getpgid),
        (Some(&"whole"), ..) if words.len() > 1 => return whole(&words[1..]),
        _ => {
            eprintln!("load opens|getppid N REPS, load paced RATE SECONDS, load keys N, load whole COMMAND…");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn whole(command: &[&str]) -> ExitCode {
    let start = Instant::now();
    let ran = Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).status();
    match ran {
        Ok(status) if status.success() => {
            println!("{:.1}", start.elapsed().as_secs_f64() * 1e3);
            ExitCode::SUCCESS
        }
        ended => {
            eprintln!("load: {}: {ended:?}", command[0]);
            ExitCode::FAILURE
        }
    }
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

/// Calls at a rate; what was held up is not made up for within a burst. Gives how many calls there were.
fn paced(rate: u32, duration: Duration) -> u64 {
    /// Calls between two looks at the clock.
    const BURST: u32 = 64;
    let (start, step) = (Instant::now(), Duration::from_secs(1) * BURST / rate);
    let (mut next, mut calls) = (start, 0);
    while next < start + duration {
        (0..BURST).for_each(|_| getppid());
        calls += u64::from(BURST);
        next = (next + step).max(Instant::now().checked_sub(step).unwrap_or(next));
        while Instant::now() < next {
            std::hint::spin_loop();
        }
    }
    calls
}

fn open_and_close() {
    // SAFETY: the path ends in NUL and is constant; a failed open is closed without effect.
    unsafe { libc::close(libc::open(c"/".as_ptr(), libc::O_RDONLY)) };
}

fn getppid() {
    // SAFETY: the call takes no argument and touches no memory.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

fn getpgid(pid: u32) {
    // SAFETY: the call takes a number and touches no memory.
    unsafe { libc::syscall(libc::SYS_getpgid, pid) };
}
