//! `-t`: how often probes ran and what that took. The kernel counts its programs, handlers of user space are timed here.

use crate::loss::Missed;
use crate::sys::bpf::{self, ProgramStats};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tapster_compiler::image::{Image, When};

/// What `-t` wants counted.
#[derive(Debug, Default)]
pub struct Timing {
    /// Counting goes on as long as this is there.
    counting: Option<OwnedFd>,
    stats: Vec<ProgramStats>,
}

/// What a handler of user space took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    hits: u64,
    time: Duration,
}

impl Spent {
    /// It ran once more.
    pub fn add(&mut self, time: Duration) {
        self.hits += 1;
        self.time += time;
    }
}

impl Timing {
    /// Has the kernel begin to count.
    pub fn start() -> std::io::Result<Timing> {
        bpf::enable_stats().map(|counting| Timing { counting: Some(counting), stats: Vec::new() })
    }

    /// Whether anything is counted.
    pub fn is_on(&self) -> bool {
        self.counting.is_some()
    }

    /// Takes what was counted of all programs.
    pub fn take(&mut self, stats: impl Iterator<Item = ProgramStats>) {
        if self.is_on() {
            self.stats = stats.collect();
        }
    }

    /// A line for each probe under a heading, in the order of the script; nothing where nothing was counted. `missed` goes
    /// with the image's programs, `spent` with its handlers of user space.
    pub fn report(&self, image: &Image, missed: &[Missed], spent: &[Spent]) -> Vec<String> {
        if !self.is_on() {
            return Vec::new();
        }
        let programs = image.programs.iter().zip(&self.stats).zip(missed).map(|((program, stats), missed)| {
            let misses = missed.recursion + missed.kprobe;
            (program.span.start, line(&program.probe, "", stats.run_count, misses, stats.run_nanoseconds))
        });
        let handlers = image.handlers.iter().zip(spent).map(|(handler, spent)| {
            let part = if handler.when == When::Handoff { " in user space" } else { "" };
            (handler.span.start, line(&handler.probe, part, spent.hits, 0, spent.time.as_nanos() as u64))
        });
        let mut lines: Vec<(u32, String)> = programs.chain(handlers).collect();
        lines.sort_by_key(|(position, _)| *position);
        let heading = (!lines.is_empty()).then(|| "----- probe hit report:".to_owned());
        heading.into_iter().chain(lines.into_iter().map(|(_, line)| line)).collect()
    }
}

fn line(probe: &str, part: &str, hits: u64, misses: u64, nanoseconds: u64) -> String {
    let average = nanoseconds.checked_div(hits).unwrap_or(0);
    format!("{probe}{part}, hits: {hits}, misses: {misses}, time: {average}ns avg, {}us total", nanoseconds / 1000)
}
