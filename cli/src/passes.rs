//! SystemTap's five passes: the one to stop after, and the `Pass N:` lines of `-v`.

use crate::args::Options;
use crate::report::Reporter;
use std::fs;
use std::time::Instant;
use tapster_lang::diagnostic::Format;

/// A pass of SystemTap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// Text becomes a tree.
    Parse = 1,
    /// The tree is checked.
    Check,
    /// The checked script becomes Cranelift IR.
    Translate,
    /// The IR becomes programs, and the kernel's verifier accepts them.
    Compile,
    /// The script runs.
    Run,
}

impl Pass {
    const ALL: [Pass; 5] = [Pass::Parse, Pass::Check, Pass::Translate, Pass::Compile, Pass::Run];

    /// The pass that `-p` calls by this number.
    pub fn from_number(number: usize) -> Option<Pass> {
        Pass::ALL.get(number.checked_sub(1)?).copied()
    }

    /// Its place among the five.
    pub fn index(self) -> usize {
        self as usize - 1
    }

    /// What SystemTap says when it fails.
    fn failure(self) -> &'static str {
        match self {
            Pass::Parse => "Pass 1: parse failed.  [man error::pass1]",
            Pass::Check => "Pass 2: analysis failed.  [man error::pass2]",
            Pass::Translate => "Pass 3: translation failed.  [man error::pass3]",
            Pass::Compile => "Pass 4: compilation failed.  [man error::pass4]",
            Pass::Run => "Pass 5: run failed.  [man error::pass5]",
        }
    }
}

/// The pass that goes on, and what it took so far.
pub struct Passes<'a> {
    reporter: &'a Reporter,
    verbose: [u32; 5],
    stap: bool,
    pass: Pass,
    started: Instant,
    ticks: [u64; 2],
}

impl Passes<'_> {
    /// The first pass begins.
    pub fn begin<'a>(options: &Options, reporter: &'a Reporter, started: Instant) -> Passes<'a> {
        Passes {
            reporter,
            verbose: options.verbose,
            stap: options.format == Format::Stap,
            pass: Pass::Parse,
            started,
            ticks: [0, 0],
        }
    }

    /// How much this pass shall say.
    pub fn verbose(&self) -> u32 {
        self.verbose[self.pass.index()]
    }

    /// Says what the pass did, with what the process holds and what it took, and begins the next.
    pub fn done(&mut self, what: impl FnOnce() -> String) {
        if self.verbose() > 0 {
            let memory = if self.pass < Pass::Compile { memory() } else { String::new() };
            let time = time(self.started, self.ticks, ticks());
            self.reporter.line(&format!("Pass {}: {} {memory}in {time}", self.pass as usize, what()));
        }
        self.pass = Pass::from_number(self.pass as usize + 1).unwrap_or(Pass::Run);
        self.started = Instant::now();
        self.ticks = if self.verbose() > 0 { ticks() } else { [0, 0] };
    }

    /// Says that the last pass begins: it may take as long as the user likes.
    pub fn running(&self) {
        if self.verbose() > 0 {
            self.reporter.line("Pass 5: starting run.");
        }
    }

    /// The pass failed. SystemTap always says which; here the message itself does unless more is asked for.
    pub fn failed(&self) {
        if self.stap || self.verbose() > 0 {
            self.reporter.line(self.pass.failure());
        }
    }
}

/// `using 111552virt/101184res/7308shr/93800data kb, `; nothing where the kernel does not tell.
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let figures = || {
        let shared = kilobytes("RssFile")? + kilobytes("RssShmem")?;
        let data = kilobytes("VmData")? + kilobytes("VmStk")?;
        Some(format!("using {}virt/{}res/{shared}shr/{data}data kb, ", kilobytes("VmSize")?, kilobytes("VmRSS")?))
    };
    figures().unwrap_or_default()
}

/// Processor time of this process so far, in user and in kernel mode: hundredths of a second, the unit that
/// /proc/PID/stat has on every architecture (`USER_HZ`).
fn ticks() -> [u64; 2] {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks. utime and stime are fields 14 and 15 of proc_pid_stat(5), the 12th and
    // the 13th behind it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields.split_whitespace().skip(11).map(|field| field.parse().unwrap_or(0));
    [fields.next().unwrap_or(0), fields.next().unwrap_or(0)]
}

/// `130usr/20sys/308real ms.`
fn time(started: Instant, before: [u64; 2], after: [u64; 2]) -> String {
    let [user, system] = [0, 1].map(|n| 10 * after[n].saturating_sub(before[n]));
    format!("{user}usr/{system}sys/{}real ms.", started.elapsed().as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_a_pass_took() {
        let memory = memory();
        assert!(memory.starts_with("using ") && memory.ends_with("data kb, "), "{memory}");
        let spin = Instant::now();
        while spin.elapsed().as_millis() < 60 {}
        assert!(ticks()[0] + ticks()[1] > 0);
        let time = time(Instant::now(), [1, 2], [14, 4]);
        assert!(time.starts_with("130usr/20sys/") && time.ends_with("real ms."), "{time}");
    }

    #[test]
    fn passes_are_numbered() {
        assert_eq!([0, 1, 5, 6].map(Pass::from_number), [None, Some(Pass::Parse), Some(Pass::Run), None]);
        for pass in Pass::ALL {
            assert!(pass.failure().starts_with(&format!("Pass {}: ", pass as usize)));
        }
    }
}
