//! Eats memory: `eat MIB [SECONDS [HOLED]]`.
//!
//! Writes to so many MiB, a page after the other, holds them for so many seconds and gives them back. Should memory run
//! out, the kernel is asked to kill this process before any other. Of the first HOLED MiB every other page is given back
//! at once, so that free pages lie scattered. `eaten` on standard error says that it has all.
#![expect(clippy::print_stderr, reason = "a program for terminals and pipes")]

use std::fs;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

const PAGE: usize = 4096;

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let Some(mib) = numbers.first() else {
        eprintln!("usage: eat MIB [SECONDS [HOLED]]");
        return ExitCode::FAILURE;
    };
    if let Err(error) = fs::write("/proc/self/oom_score_adj", "1000") {
        eprintln!("eat: /proc/self/oom_score_adj: {error}");
        return ExitCode::FAILURE;
    }
    // In pieces: the kernel refuses what is obviously too much at once.
    let memory: Vec<Vec<u8>> = (0..*mib).map(|_| eaten()).collect();
    let holed = numbers.get(2).map_or(0, |mib| *mib as usize);
    memory.iter().take(holed).for_each(|piece| punch(piece));
    eprintln!("eaten");
    sleep(Duration::from_secs(numbers.get(1).copied().unwrap_or(0)));
    // It was all in use until here.
    std::hint::black_box(&memory);
    ExitCode::SUCCESS
}

/// A MiB that is in memory.
fn eaten() -> Vec<u8> {
    let mut memory = vec![0; 1 << 20];
    memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    memory
}

/// Gives every other page back.
fn punch(memory: &[u8]) {
    let start = memory.as_ptr().addr().next_multiple_of(PAGE);
    let end = memory.as_ptr_range().end.addr();
    for page in (start..end.saturating_sub(PAGE)).step_by(2 * PAGE) {
        // SAFETY: the page lies within memory of ours that nobody reads again.
        unsafe { libc::madvise(page as *mut libc::c_void, PAGE, libc::MADV_DONTNEED) };
    }
}
