//! `why-order.stp` counts what the kernel counts in /proc/vmstat, and names who takes blocks apart.

use std::fs;

use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::scenario::oom::number;
use crate::scenario::records::Records;
use crate::scenario::scripts::script;

const HUGE: &str = "/proc/sys/vm/nr_hugepages";
const TRANSPARENT: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// MiB of which every other page is free: more of it is not slower to find, but to move.
const HOLED: &str = "200";

/// Most of the memory is in use, and a part of it has holes; then huge pages are asked for, and pipes take single pages.
pub fn of_scattered_memory(env: &Env, _: Option<Rung>) -> Result<(), String> {
    // Nobody else shall ask for blocks of this size.
    let _quiet = Setting::new(TRANSPARENT, "never")?;
    let _none = Setting::new(HUGE, "0")?;
    let free =
        number(&fs::read_to_string("/proc/meminfo").map_err(|e| e.to_string())?.replace(' ', ""), "MemAvailable:")?;
    let mut eat = env.bare(&env.helpers.join("eat"));
    eat.args([&(free / 1024 - 80).to_string(), "3600", HOLED]);
    let eating = Running::start(&mut eat).map_err(|e| format!("eat: {e}"))?;
    let (_eating, _) = eating.until_line("eaten", env.seconds(60))?;

    let outer = stalls()?;
    let mut command = env.command();
    command.args(["-v", "-f", "json"]).arg(script("why-order.stp")?).args(["1", "3600"]);
    let running = Running::start(&mut command).map_err(|e| format!("tapster: {e}"))?;
    let (running, _) = running.until_line("attached", env.seconds(20))?;
    let inner = stalls()?;
    fs::write(HUGE, "10000").map_err(|e| format!("{HUGE}: {e}"))?;
    let given = number(&format!(" {}", fs::read_to_string(HUGE).map_err(|e| e.to_string())?), " ")?;
    let mut leak = env.bare(&env.helpers.join("leak"));
    let pipes = 5000 + unmovable()?;
    leak.args(["keep", &pipes.to_string(), "0", "pipes"]);
    let leaked = Running::start(&mut leak).map_err(|e| format!("leak: {e}"))?.finish(env.seconds(60))?;
    if leaked.exit != 0 {
        return Err(leaked.transcript());
    }
    let inner = stalls()? - inner;
    running.signal(libc::SIGINT);
    let printed = running.finish(env.seconds(60))?;
    let outer = stalls()? - outer;

    let check = || -> Result<(), String> {
        let told = Records(&printed.stdout);
        let got = told.total("got", "[9]", "count");
        if got != given || given == 0 || told.total("denied", "[9,", "count") == 0 {
            return Err(format!("{got} huge pages of 10000 were got, the kernel says {given}"));
        }
        // The kernel counts where a zone was compacted or that was put off, and where a block had become free meanwhile,
        // of which nobody is told.
        let (tries, stops) = (told.total("tries", "", "count"), told.total("stops", "", "count"));
        if stops == 0 || stops > outer || tries < inner {
            return Err(format!("{tries} tries, {stops} stops, {inner} to {outer} by the kernel's count"));
        }
        if told.total("outcome", "[9,", "count") == 0 {
            return Err("no zone was compacted".into());
        }
        let takers = told.elements("spoiled", "pipe_write").count();
        if takers == 0 { Err("nobody is told of who takes blocks for pipes".into()) } else { Ok(()) }
    };
    check().map_err(|why| format!("{why}\n{}", printed.transcript()))
}

/// Free pages in blocks that are meant for what cannot be moved: pipes take those first.
fn unmovable() -> Result<u64, String> {
    let path = "/proc/pagetypeinfo";
    let text = fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let lines = text.lines().filter(|line| line.contains("type    Unmovable") || line.contains("type  Reclaimable"));
    // `Node 0, zone DMA, type Unmovable 13 8 …`: the blocks of one page, of two, of four and so on.
    let counts = lines.flat_map(|line| line.split_whitespace().skip(6).enumerate());
    counts
        .map(|(order, count)| count.parse::<u64>().map(|count| count << order))
        .sum::<Result<u64, _>>()
        .map_err(|e| format!("{path}: {e}"))
}

/// How often a process stopped for compaction since the start of the machine.
fn stalls() -> Result<u64, String> {
    let text = fs::read_to_string("/proc/vmstat").map_err(|e| format!("/proc/vmstat: {e}"))?;
    number(&text, "\ncompact_stall ")
}

/// A setting of the kernel, as it was when dropped.
struct Setting(&'static str, String);

impl Setting {
    fn new(path: &'static str, value: &str) -> Result<Setting, String> {
        let before = fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
        fs::write(path, value).map_err(|e| format!("{path}: {e}"))?;
        // Of several words the chosen one stands in brackets.
        let chosen = before.split(['[', ']']).nth(1).unwrap_or(before.trim()).to_owned();
        Ok(Setting(path, chosen))
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // What could be written once can be again.
        let _ = fs::write(self.0, &self.1);
    }
}
