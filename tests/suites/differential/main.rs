//! Two back ends, one truth: random programs through both, and through an interpreter that knows neither.
//!
//! [`generate`] makes a program at the level of [`tapster_compiler::hir`]; [`oracle`] runs it by walking the tree;
//! [`sides`] runs its handler as a begin probe, through Cranelift, and as a kernel handler, through eBPF and
//! `BPF_PROG_TEST_RUN`. [`judge`] compares everything that can be seen, [`shrink`] makes what fails small.
//!
//! `DIFFERENTIAL_SEED` is the first program's seed, `DIFFERENTIAL_PROGRAMS` how many there are; each has the seed after
//! the one before. `DIFFERENTIAL_SHOW` prints them, and the eBPF of those that fail.
#![expect(clippy::print_stdout, reason = "a suite talks to a terminal")]

mod crash;
mod ending;
mod generate;
mod judge;
mod oracle;
mod random;
mod sample;
mod show;
mod shrink;
mod sides;
mod used;

use judge::Verdict;
use libtest_mimic::Trial;
use sides::{Side, Workbench};
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tapster_tests::facts::{Fact, Facts};
use tapster_tests::job;
use tapster_tests::suite::{self, Skips};

/// Programs where nothing else is asked for.
const PROGRAMS: u64 = 400;
/// Programs of one trial.
const BATCH: u64 = 50;

/// What became of all programs.
#[derive(Default)]
struct Tally {
    in_kernel: AtomicUsize,
    handed_over: AtomicUsize,
    too_long: AtomicUsize,
    too_large: AtomicUsize,
}

fn main() -> ExitCode {
    crash::watch();
    sides::keep_panics();
    let skips = Skips::default();
    let first = number("DIFFERENTIAL_SEED").unwrap_or(1);
    let programs = number("DIFFERENTIAL_PROGRAMS").unwrap_or(PROGRAMS);
    let tally = Arc::new(Tally::default());
    let batches = (0..programs.div_ceil(BATCH)).map(|nth| {
        let seeds = first + nth * BATCH..first + programs.min((nth + 1) * BATCH);
        let (skips, tally) = (skips.clone(), tally.clone());
        Trial::ignorable_test(format!("seeds_{}_to_{}", seeds.start, seeds.end - 1), move || {
            let lacking = Facts::probe().lacks(Fact::Live).map(str::to_owned);
            skips.complete(lacking.map_or_else(|| batch(seeds, &tally), job::Verdict::Skip))
        })
    });
    let code = suite::run("differential", 2, &skips, batches.collect());
    let [kernel, over, long, large] = [&tally.in_kernel, &tally.handed_over, &tally.too_long, &tally.too_large]
        .map(|count| count.load(Ordering::SeqCst));
    println!(
        "differential: seeds from {first}: {kernel} programs all in the kernel, {over} handed over to user space; \
         left out: {long} that go on for too long, {large} too large for eBPF\n"
    );
    code
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable}={value} is not a number")))
}

/// Tries programs. Of those that fail in the same way the first is shrunk, the others are named.
fn batch(seeds: std::ops::Range<u64>, tally: &Tally) -> job::Verdict {
    let bench = Workbench::new();
    let mut failed: Vec<(judge::Kind, String, Vec<u64>)> = Vec::new();
    for seed in seeds {
        let _watched = crash::Watched::start(seed);
        let mut sample = generate::program(seed);
        let (text, verdict) = judge::judge(&bench, &mut sample);
        if shows() {
            println!("--- seed {seed}\n{text}");
        }
        let count = match verdict {
            Verdict::Agreed { in_kernel: true } => &tally.in_kernel,
            Verdict::Agreed { in_kernel: false } => &tally.handed_over,
            Verdict::TooLong => &tally.too_long,
            Verdict::TooLarge => &tally.too_large,
            Verdict::Failed(failure) => {
                match failed.iter_mut().find(|(kind, ..)| *kind == failure.kind) {
                    Some((.., others)) => others.push(seed),
                    None => {
                        let kind = failure.kind.clone();
                        failed.push((kind, report(&bench, sample, text, failure), Vec::new()));
                    }
                }
                continue;
            }
        };
        count.fetch_add(1, Ordering::SeqCst);
    }
    let reports: Vec<String> = failed.into_iter().map(|(_, report, others)| with_others(report, &others)).collect();
    if reports.is_empty() { job::Verdict::Pass } else { job::Verdict::Fail(reports.join("\n")) }
}

/// Whether to print every program, and the eBPF of those that fail.
fn shows() -> bool {
    std::env::var_os("DIFFERENTIAL_SHOW").is_some()
}

fn with_others(report: String, others: &[u64]) -> String {
    if others.is_empty() { report } else { format!("{report}--- seeds that fail in the same way: {others:?}\n") }
}

fn report(bench: &Workbench, sample: sample::Sample, text: String, failure: judge::Failure) -> String {
    let (seed, max_string, length) = (sample.seed, sample.max_string, text.lines().count());
    let (text, failure, sample) = shrink::shrink(bench, sample, text, failure);
    let mut report = format!(
        "{}--- the program, shrunk from {length} lines (DIFFERENTIAL_SEED={seed} DIFFERENTIAL_PROGRAMS=1, \
         -D MAXSTRINGLEN={max_string})\n{text}",
        failure.report
    );
    if shows() {
        let _ = write!(report, "--- eBPF\n{}", bench.listing(&sample, &text, Side::Kernel));
    }
    report
}
