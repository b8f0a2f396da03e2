//! `reclaim.stp` and `why-order.stp` count what the kernel counts in memory.stat and /proc/vmstat.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::scenario::oom::{Group, between, number, size};
use crate::scenario::scripts::script;

/// A cgroup of 32 MB is swapped out while a process writes to 100: pages looked at and freed are those of memory.stat.
pub fn of_a_cgroup(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let group = Group::new(32)?;
    let _swap = Swap::new()?;
    let running = trace(env, "reclaim.stp", &[])?;
    let eaten = Running::start(&mut group.eat(env, 100)).map_err(|e| format!("eat: {e}"))?.finish(env.seconds(60))?;
    running.signal(libc::SIGINT);
    let printed = running.finish(env.seconds(20))?;
    let check = || -> Result<(), String> {
        if eaten.exit != 0 {
            return Err(format!("eat: {}", eaten.transcript()));
        }
        let stat = group.stat()?;
        let row = between(&printed.stdout, "\neat ", "\n")?;
        let words: Vec<&str> = row.split_whitespace().collect();
        // `cgroup 251 2197 392305 68.5 MB 42 % of 162.5 MB`
        let [_, stalls, _, _, freed, freed_unit, _, _, _, looked, unit] = words.as_slice() else {
            return Err(format!("`{row}` is no row"));
        };
        // We are told a moment before the kernel adds to its count, and print three digits: 2 %.
        near("freed", size(&format!("{freed} {freed_unit}"))?, number(&stat, "\npgsteal ")? << 12, 50)?;
        near("looked at", size(&format!("{looked} {unit}"))?, number(&stat, "\npgscan ")? << 12, 50)?;
        if stalls.parse().is_ok_and(|stalls: u64| stalls > 0) { Ok(()) } else { Err("no stall".into()) }
    };
    check().map_err(|why| format!("{why}\n{}", printed.transcript()))
}

/// Memory with holes is asked for huge pages: what was denied, and how compaction ended, is what /proc/vmstat counts.
pub fn of_huge_pages(env: &Env, _: Option<Rung>) -> Result<(), String> {
    const PAGES: &str = "/proc/sys/vm/nr_hugepages";
    let mut eat = env.bare(&env.helpers.join("eat"));
    let megabytes = number(&read(Path::new("/proc/meminfo"))?.replace(' ', ""), "MemTotal:")? * 7 / 10 >> 10;
    let eating = Running::start(eat.args([&megabytes.to_string(), "90", "holes"])).map_err(|e| format!("eat: {e}"))?;
    until_holes(env)?;
    let running = trace(env, "why-order.stp", &["9"])?;
    let vmstat = || read(Path::new("/proc/vmstat"));
    let before = vmstat()?;
    fs::write(PAGES, "200").map_err(|e| format!("{PAGES}: {e}"))?;
    let after = vmstat()?;
    running.signal(libc::SIGINT);
    let printed = running.finish(env.seconds(20))?;
    // Its memory is what had the holes.
    drop(eating);
    fs::write(PAGES, "0").map_err(|e| format!("{PAGES}: {e}"))?;
    let grown = |name: &str| -> Result<u64, String> {
        let name = format!("\n{name} ");
        Ok(number(&after, &name)? - number(&before, &name)?)
    };
    let check = || -> Result<(), String> {
        let first = between(&printed.stdout, "BLOCK\n", "2.0 MB")?;
        let row: Vec<u64> = first.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [9, got, denied] = row.as_slice() else { return Err(format!("`{first}` is no row")) };
        let (success, fail) = (grown("htlb_buddy_alloc_success")?, grown("htlb_buddy_alloc_fail")?);
        // Processes may be given huge pages, too.
        if *got < success || *got > success + 40 || *denied < fail || fail == 0 {
            return Err(format!("{success} were given and {fail} denied"));
        }
        let made: u64 = outcomes(&printed.stdout, "made a block free");
        let tried = grown("compact_stall")?;
        // The daemon compacts, too, and a success counts once though several zones were tried.
        near("successes", made, grown("compact_success")?, 4)?;
        if tried > 0 && made > 0 { Ok(()) } else { Err(format!("{tried} compactions are nothing to see")) }
    };
    check().map_err(|why| format!("{why}\n{}\n{after}", printed.transcript()))
}

/// How often compaction ended so, all zones together.
fn outcomes(text: &str, how: &str) -> u64 {
    let rows = text.lines().filter(|line| line.ends_with(how));
    rows.filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum()
}

/// Waits until `eat` has given pages back.
fn until_holes(env: &Env) -> Result<(), String> {
    let single = || -> Result<u64, String> {
        let blocks = read(Path::new("/proc/buddyinfo"))?;
        Ok(blocks.lines().filter_map(|line| line.split_whitespace().nth(4)?.parse::<u64>().ok()).sum())
    };
    let (mut last, deadline) = (single()?, std::time::Instant::now() + env.seconds(60));
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
        let now = single()?;
        if now > 20_000 && now == last.max(now) && now - last < 100 {
            return Ok(());
        }
        if std::time::Instant::now() > deadline {
            return Err(format!("only {now} pages lie alone"));
        }
        last = now;
    }
}

fn trace(env: &Env, name: &str, arguments: &[&str]) -> Result<Running, String> {
    let mut command = env.command();
    command.arg("-v").arg(script(name)?).args(arguments);
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

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// Up to one part in so many.
fn near(what: &str, ours: u64, theirs: u64, part: u64) -> Result<(), String> {
    let close = ours.abs_diff(theirs) <= theirs / part + 2;
    if close { Ok(()) } else { Err(format!("{what}: {ours}, the kernel says {theirs}")) }
}
