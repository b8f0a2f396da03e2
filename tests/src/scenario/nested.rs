//! Events in the midst of others: each is seen or counted as missed, and what the kernel then cannot do is told.

use std::fs;
use std::path::Path;

use crate::case::expect::Printed;
use crate::facts::{Rung, Version};
use crate::job::Env;
use crate::process::Running;

/// Processes that call the same function on the same CPU.
const CALLERS: usize = 3;
/// How often each of them does.
const CALLS: u64 = 25;
/// Rounds of the handler: milliseconds, which another process does not wait for where the kernel may be preempted.
const ROUNDS: u32 = 200_000;

/// Handlers at uprobes can be preempted from here on.
const PREEMPTS: Version = Version(6, 12);

/// Of the calls of a program each is seen by its handler, or missed as it was preempted at another.
pub fn at_uprobes(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let _everywhere = Preemption::full()?;
    let program = crate::workspace::compiled().into_iter().find(|path| path.ends_with("tpcalls"));
    let program = program.ok_or("tpcalls is not compiled")?;
    let script = format!(
        "global sum, seen\n\
         probe process(\"{}\").function(\"add\") {{ for (i = 0; i < {ROUNDS}; i++) sum += i; seen <<< $b }}\n\
         probe end {{ printf(\"seen %d\\n\", @count(seen)) }}",
        program.display()
    );
    let printed = traced(env, &["-D", "MAXACTION=1000000", "-e", &script], || {
        let calls = CALLS.to_string();
        let start = |_| {
            let mut command = env.bare(Path::new("taskset"));
            Running::start(command.arg("1").arg(&program).arg(&calls)).map_err(|e| format!("taskset: {e}"))
        };
        let callers: Vec<Running> = (0..CALLERS).map(start).collect::<Result<_, _>>()?;
        callers.into_iter().try_for_each(|caller| match caller.finish(env.seconds(60))? {
            Printed { exit: 0, .. } => Ok(()),
            printed => Err(printed.transcript()),
        })
    })?;
    let seen = number_before(&printed.stdout, "seen ", "\n")?;
    let missed = number_before(&printed.stderr, ": ", " events missed because the probe was already running");
    // Older kernels let nobody else run while a handler does.
    let missed = if env.facts.version() < PREEMPTS { 0 } else { missed? };
    let made = CALLS * CALLERS as u64;
    match seen + missed == made && seen > 0 {
        true => Ok(()),
        false => Err(format!("{seen} seen and {missed} missed of {made}\n{}", printed.transcript())),
    }
}

/// The kernel formats for three events at a time on a CPU. Handlers at what it reads strings by are in the midst of
/// another's format: the string of a fourth is empty, and told of.
pub fn in_formats(env: &Env, _: Option<Rung>) -> Result<(), String> {
    const SCRIPT: &str = "global lacking, whole
        function formatted() { if (sprintf(\"%17s\", execname()) == \"\") lacking <<< 1 else whole <<< 1 }
        probe kernel.trace(\"sched_switch\") { formatted() }
        probe kernel.function(\"strncpy_from_kernel_nofault\") { formatted() }
        probe kernel.function(\"strncpy_from_kernel_nofault\") { formatted() }
        probe kernel.function(\"strncpy_from_kernel_nofault\") { formatted() }
        probe end { printf(\"lacking %d\\nwhole %d\\n\", @count(lacking), @count(whole)) }";
    let printed = traced(env, &["--attach", "fentry", "-e", SCRIPT], || {
        std::thread::sleep(env.seconds(1));
        Ok(())
    })?;
    let (lacking, whole) =
        (number_before(&printed.stdout, "lacking ", "\n")?, number_before(&printed.stdout, "whole ", "\n")?);
    let told = number_before(&printed.stderr, "WARNING: ", " strings lack what the kernel could not format")?;
    match lacking == told && lacking > 0 && whole > 0 {
        true => Ok(()),
        false => Err(format!(
            "{lacking} strings of {} are empty, {told} are told\n{}",
            lacking + whole,
            printed.transcript()
        )),
    }
}

/// What Tapster says of what happens while it is attached.
fn traced(env: &Env, words: &[&str], happens: impl FnOnce() -> Result<(), String>) -> Result<Printed, String> {
    let running = Running::start(env.command().arg("-v").args(words)).map_err(|e| format!("tapster: {e}"))?;
    let (running, _) = running.until_line("attached", env.seconds(20))?;
    happens()?;
    running.signal(libc::SIGINT);
    running.finish(env.seconds(20))
}

/// The number between two texts.
fn number_before(text: &str, before: &str, behind: &str) -> Result<u64, String> {
    let numbers = text.match_indices(before).map(|(at, _)| &text[at + before.len()..]);
    let number = |rest: &str| {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        rest[digits..].starts_with(behind).then(|| rest[..digits].parse().ok()).flatten()
    };
    numbers.filter_map(number).next().ok_or_else(|| format!("no number between `{before}` and `{behind}`:\n{text}"))
}

/// Lets tasks be preempted in the midst of the kernel's own work, until dropped.
struct Preemption(String);

impl Preemption {
    const FOLDER: &str = "/sys/kernel/debug";
    const MODE: &str = "/sys/kernel/debug/sched/preempt";

    fn full() -> Result<Preemption, String> {
        if !Path::new(Preemption::MODE).exists() {
            let mut mount = std::process::Command::new("mount");
            mount.args(["-t", "debugfs", "debugfs", Preemption::FOLDER]);
            mount.status().map_err(|e| format!("mount: {e}"))?;
        }
        let failed = |e| format!("{}: {e}", Preemption::MODE);
        let modes = fs::read_to_string(Preemption::MODE).map_err(failed)?;
        // The one that holds stands in parentheses.
        let before = modes.split(['(', ')']).nth(1).ok_or_else(|| format!("no mode in `{modes}`"))?.to_owned();
        fs::write(Preemption::MODE, "full").map_err(failed)?;
        Ok(Preemption(before))
    }
}

impl Drop for Preemption {
    fn drop(&mut self) {
        // What could be written once can be again.
        let _ = fs::write(Preemption::MODE, &self.0);
    }
}
