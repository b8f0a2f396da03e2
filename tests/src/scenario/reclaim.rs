//! `reclaim.stp` counts what the kernel counts in memory.stat.

use std::fs;
use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::scenario::disk::Disk;
use crate::scenario::oom::{Group, number};
use crate::scenario::records::Records;
use crate::scenario::scripts::script;

/// A cgroup of 32 MB is swapped out while a process writes to 100: pages looked at and freed are those of memory.stat.
pub fn of_a_cgroup(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let group = Group::new(32)?;
    let _swap = Swap::new()?;
    let running = trace(env)?;
    let eaten = Running::start(&mut group.eat(env, 100)).map_err(|e| format!("eat: {e}"))?.finish(env.seconds(60))?;
    running.signal(libc::SIGINT);
    let printed = running.finish(env.seconds(60))?;
    let told = Told::of(&printed.stdout);
    let right = if eaten.exit == 0 { told.held_against(&group, env) } else { Err(format!("eat exits {}", eaten.exit)) };
    right.map_err(|why| format!("{why}\n{}\n{}", printed.transcript(), eaten.transcript()))
}

fn trace(env: &Env) -> Result<Running, String> {
    let mut command = env.command();
    // Longer than the test, however slow the guest is.
    command.args(["-v", "-f", "json"]).arg(script("reclaim.stp")?).arg("3600");
    let running = Running::start(&mut command).map_err(|e| format!("tapster: {e}"))?;
    running.until_line("attached", env.seconds(20)).map(|(running, _)| running)
}

/// Pages, by whose limit made them looked at: the group's, or anybody else's.
#[derive(Debug)]
struct Told {
    looked: (u64, u64),
    given: (u64, u64),
    /// What the kernel itself said that it freed for the group's limit.
    freed: u64,
}

impl Told {
    fn of(records: &str) -> Told {
        let sum = |array: &str, key: &'static str| Records(records).total(array, key, "sum");
        let (ours, machine) = ("\"cgroup\"]", "\"machine\"]");
        Told {
            looked: (sum("looked", ours), sum("looked", machine) + sum("behind_looked", "")),
            given: (sum("given", ours), sum("given", machine) + sum("behind_given", "")),
            freed: sum("freed", ours),
        }
    }

    /// The kernel adds to memory.stat what CPUs counted for themselves within two seconds.
    fn held_against(&self, group: &Group, env: &Env) -> Result<(), String> {
        let patience = Instant::now() + env.seconds(10);
        loop {
            let right = self.compare(&group.stat()?);
            if right.is_ok() || Instant::now() > patience {
                return right;
            }
            thread::sleep(Duration::from_millis(250));
        }
    }

    fn compare(&self, stat: &str) -> Result<(), String> {
        // khugepaged has a line of its own since 6.2.
        let of = |what: &str| -> Result<u64, String> {
            let hugepaged = number(stat, &format!("\n{what}_khugepaged ")).unwrap_or_default();
            Ok(number(stat, &format!("\n{what}_direct "))? + number(stat, &format!("\n{what}_kswapd "))? + hugepaged)
        };
        let (scanned, freed) = (of("pgscan")?, of("pgsteal")?);
        // Where the kernel keeps generations of pages, those that a look finds in use are another count of its, and each
        // step to the next generation is told as a page more: a tenth, if it takes one for every ten pages.
        let more = if generations() { number(stat, "\npgrefill ")? + scanned / 10 } else { 0 };
        within("looked at", self.looked, scanned..=scanned + more)?;
        within("freed", self.given, freed..=freed)?;
        // Slab pages may come on top.
        if self.freed < self.given.0 { Err(format!("fewer pages were freed: {self:?}")) } else { Ok(()) }
    }
}

/// What is done for the machine may be done to the group's pages or to others; on a machine that has memory it is nothing.
/// A look at pages that somebody else holds, all of them, is counted and not told of: 1 % of our own number.
fn within(what: &str, (group, others): (u64, u64), kernel: RangeInclusive<u64>) -> Result<(), String> {
    let right = group > 0 && group <= *kernel.end() && group + others + group / 100 >= *kernel.start();
    if right { Ok(()) } else { Err(format!("{what}: {group} pages, {others} for others; the kernel says {kernel:?}")) }
}

/// Whether the kernel keeps generations of pages rather than two lists.
fn generations() -> bool {
    let bits = fs::read_to_string("/sys/kernel/mm/lru_gen/enabled").unwrap_or_default();
    u64::from_str_radix(bits.trim().trim_start_matches("0x"), 16).is_ok_and(|bits| bits & 1 == 1)
}

/// A swap device in memory, off when dropped.
struct Swap(Disk);

impl Swap {
    fn new() -> Result<Swap, String> {
        let swap = Swap(Disk::new("swap", 256)?);
        swap.0.given_to("mkswap")?;
        swap.0.given_to("swapon")?;
        Ok(swap)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // What was not made needs no end.
        let _ = self.0.given_to("swapoff");
    }
}
