//! `-t`: how often programs ran and what that took, as the kernel counts it.

use crate::loss::Missed;
use crate::sys::bpf::{self, ProgramStats};
use std::os::fd::OwnedFd;
use tapster_compiler::image::Program;

/// What `-t` wants counted.
#[derive(Debug, Default)]
pub struct Timing {
    /// Counting goes on as long as this is there.
    counting: Option<OwnedFd>,
    stats: Vec<ProgramStats>,
}

impl Timing {
    /// Has the kernel begin to count.
    pub fn start() -> std::io::Result<Timing> {
        bpf::enable_stats().map(|counting| Timing { counting: Some(counting), stats: Vec::new() })
    }

    /// Takes what was counted of all programs.
    pub fn take(&mut self, stats: impl Iterator<Item = ProgramStats>) {
        if self.counting.is_some() {
            self.stats = stats.collect();
        }
    }

    /// A line for each program, under a heading; nothing where nothing was counted.
    pub fn report(&self, programs: &[Program], missed: &[Missed]) -> Vec<String> {
        if self.stats.is_empty() {
            return Vec::new();
        }
        let line = |((program, stats), missed): ((&Program, &ProgramStats), &Missed)| {
            let (hits, nanoseconds) = (stats.run_count, stats.run_nanoseconds);
            let misses = missed.recursion + missed.kprobe;
            let average = nanoseconds.checked_div(hits).unwrap_or(0);
            let probe = &program.probe;
            format!("{probe}, hits: {hits}, misses: {misses}, time: {average}ns avg, {}us total", nanoseconds / 1000)
        };
        let lines = programs.iter().zip(&self.stats).zip(missed).map(line);
        ["----- probe hit report:".to_owned()].into_iter().chain(lines).collect()
    }
}
