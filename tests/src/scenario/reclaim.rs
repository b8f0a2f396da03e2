//! `reclaim.stp` counts what the kernel counts in memory.stat.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::scenario::oom::{Group, number, size};
use crate::scenario::scripts::script;

/// A cgroup of 32 MB is swapped out while a process writes to 100: pages looked at and freed are those of memory.stat.
pub fn of_a_cgroup(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let group = Group::new(32)?;
    let _swap = Swap::new()?;
    let running = trace(env)?;
    let eaten = Running::start(&mut group.eat(env, 100)).map_err(|e| format!("eat: {e}"))?.finish(env.seconds(60))?;
    running.signal(libc::SIGINT);
    let printed = running.finish(env.seconds(20))?;
    let check = || -> Result<(), String> {
        if eaten.exit != 0 {
            return Err(format!("eat: {}", eaten.transcript()));
        }
        let stat = group.stat()?;
        // `eat cgroup 251 2197 392305 68.5 MB 42 % of 162.5 MB`; khugepaged may have a row, too.
        let rows = printed.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let (mut all_freed, mut all_looked) = (0, 0);
        for row in rows.filter(|row| row.get(1) == Some(&"cgroup")) {
            let [_, _, _, _, _, freed, freed_unit, _, _, _, looked, unit] = row.as_slice() else {
                return Err(format!("{row:?} is no row"));
            };
            all_freed += size(&format!("{freed} {freed_unit}"))?;
            all_looked += size(&format!("{looked} {unit}"))?;
        }
        // We are told a moment before the kernel adds to its count, and print three digits: 2 %.
        near("freed", all_freed, number(&stat, "\npgsteal ")? << 12, 50)?;
        near("looked at", all_looked, number(&stat, "\npgscan ")? << 12, 50)
    };
    check().map_err(|why| format!("{why}\n{}", printed.transcript()))
}

fn trace(env: &Env) -> Result<Running, String> {
    let mut command = env.command();
    command.arg("-v").arg(script("reclaim.stp")?);
    let running = Running::start(&mut command).map_err(|e| format!("tapster: {e}"))?;
    running.until_line("attached", env.seconds(20)).map(|(running, _)| running)
}

/// A swap device in memory, off and gone when dropped.
struct Swap;

impl Swap {
    const FOLDER: &str = "/sys/kernel/config/nullb/swap";

    fn new() -> Result<Swap, String> {
        fs::create_dir(Swap::FOLDER).map_err(|e| format!("{}: {e}", Swap::FOLDER))?;
        let swap = Swap;
        for (name, value) in [("size", "256"), ("memory_backed", "1"), ("power", "1")] {
            fs::write(Path::new(Swap::FOLDER).join(name), value).map_err(|e| format!("{name}: {e}"))?;
        }
        run("mkswap")?;
        run("swapon")?;
        Ok(swap)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // What was not made needs no end.
        let _ = run("swapoff");
        let _ = fs::remove_dir(Swap::FOLDER);
    }
}

fn run(program: &str) -> Result<(), String> {
    // The device is named as its folder.
    let output = Command::new(program).arg("/dev/swap").output().map_err(|e| format!("{program}: {e}"))?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", said())) }
}

/// Up to one part in so many.
fn near(what: &str, ours: u64, theirs: u64, part: u64) -> Result<(), String> {
    let close = ours.abs_diff(theirs) <= theirs / part + 2;
    if close { Ok(()) } else { Err(format!("{what}: {ours}, the kernel says {theirs}")) }
}
