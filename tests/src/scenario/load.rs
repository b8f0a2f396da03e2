//! Under a storm of allocations, every event is counted once and every stack is a true one.
//!
//! Tapster and a counter of our own watch the same events while `storm` makes them in processes whose names begin with
//! `tpstorm`; what the two say afterwards must be equal, except for events that the kernel kept from either and counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bpf::loaded;
use crate::case::expect::Printed;
use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::truth::counter::{Count, Counter, Event};
use crate::truth::stack::{Frame, Symbols, parse_frame};

/// The names of the storm's processes begin so.
const STORM: &str = "tpstorm";

const COUNTS_AND_STACKS: &str = r#"
global counts, stacks
probe kernel.function("kmem_cache_alloc") {
  counts[execname()] <<< 1
  stacks[execname(), kernel_string($cachep->name), backtrace()] <<< 1
}
probe end {
  foreach ([exec] in counts) printf("count\t%s\t%d\n", exec, @count(counts[exec]))
  foreach ([exec, cache, bt] in stacks) {
    printf("stack\t%s\t%d\t%s\n", exec, @count(stacks[exec, cache, bt]), cache)
    print_stack(bt)
  }
}
"#;

const CALL_SITES: &str = r#"
global sites
probe kernel.trace("kmem_cache_alloc") { sites[$call_site, backtrace()] <<< 1 }
probe end {
  foreach ([site, bt] in sites) {
    printf("stack\t%x\t%d\t\n", site, @count(sites[site, bt]))
    print_stack(bt)
  }
}
"#;

/// Counts by name and by stack, unfiltered.
pub fn counts_and_stacks(env: &Env, rung: Option<Rung>) -> Result<(), String> {
    let symbols = Symbols::running()?;
    let Traced { printed, misses, events, truth } = trace_storm(env, COUNTS_AND_STACKS, rung)?;
    let told = Told::read(&printed.stdout)?;
    let ours = told.counts.iter().filter(|(name, _)| name.starts_with(STORM)).map(|(_, count)| count).sum();
    agree(Count { events: ours, misses }, truth)?;
    let by_stack = told.stacks.iter().fold(BTreeMap::new(), |mut sums: BTreeMap<String, u64>, stack| {
        *sums.entry(stack.key.clone()).or_default() += stack.count;
        sums
    });
    let differs = |name: &&String| by_stack.get(*name) != told.counts.get(*name);
    if let Some(name) = told.counts.keys().chain(by_stack.keys()).find(differs) {
        let (count, sum) = (told.counts.get(name), by_stack.get(name));
        return Err(format!("{name} was counted {count:?} times, its stacks sum up to {sum:?}"));
    }
    told.check_stacks(&symbols, &events)
}

/// The tracepoint's `call_site` is a frame of the stack taken there.
pub fn call_sites(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let symbols = Symbols::running()?;
    let traced = trace_storm(env, CALL_SITES, None)?;
    let told = Told::read(&traced.printed.stdout)?;
    told.check_stacks(&symbols, &traced.events)?;
    for stack in &told.stacks {
        let site = u64::from_str_radix(&stack.key, 16).map_err(|_| format!("call_site `{}`", stack.key))?;
        if !stack.frames.iter().any(|frame| frame.address == site) {
            return Err(format!("{site:#x} called, and is not in {:x?}", stack.frames));
        }
    }
    Ok(())
}

/// What came of tracing a storm.
struct Traced {
    printed: Printed,
    /// Events that Tapster's programs missed.
    misses: u64,
    /// Where Tapster stood.
    events: Vec<Event>,
    /// What the counters say of the same events.
    truth: Count,
}

/// Where Tapster says it stands: lines `PROBE POINT: RUNG:NAME` of `-v`.
///
/// *What* a probe point stands for is judged by cases; here it is taken from Tapster, and judged is that each hit counts.
fn events(lines: &[String]) -> Vec<Event> {
    let of_line = |line: &String| -> Vec<Event> {
        let Some((rung, names)) = line.trim_end().rsplit_once(": ").and_then(|(_, place)| place.split_once(':')) else {
            return Vec::new();
        };
        match rung {
            // Functions that share a program stand in one line.
            "fentry" | "kprobe" | "kprobe.multi" => names.split(',').map(|name| Event::Function(name.into())).collect(),
            "tp_btf" | "raw_tp" | "tracepoint" => {
                vec![Event::RawTracepoint(names.rsplit(':').next().unwrap_or(names).into())]
            }
            _ => Vec::new(),
        }
    };
    lines.iter().flat_map(of_line).collect()
}

/// Traces a storm together with counters of the same events.
fn trace_storm(env: &Env, script: &str, rung: Option<Rung>) -> Result<Traced, String> {
    let mut command = env.command();
    command.args(["-v", "-D", "MAXMAPENTRIES=16384"]);
    if let Some(rung) = rung {
        command.args(["--attach", rung.name()]);
    }
    let running = Running::start(command.args(["-e", script])).map_err(|e| format!("tapster: {e}"))?;
    let (running, lines) = running.until_line("attached", env.seconds(20))?;
    let events = events(&lines);
    let counters = events.iter().map(|event| Counter::start(event, STORM)).collect::<Result<Vec<_>, _>>()?;
    storm(env, if env.patience > 1 { 5 } else { 10 })?;
    let counts = counters.iter().map(Counter::read).collect::<Result<Vec<_>, _>>()?;
    let truth = Count { events: counts.iter().map(|c| c.events).sum(), misses: counts.iter().map(|c| c.misses).sum() };
    if truth.events == 0 {
        return Err(format!("nothing was counted at {events:?}, read from {lines:?}"));
    }
    let misses: u64 = loaded::programs(&loaded::held_by(running.pid())).iter().map(|p| p.recursion_misses).sum();
    running.signal(libc::SIGINT);
    let printed = running.finish(env.seconds(60))?;
    if printed.exit != 0 {
        return Err(format!("tapster exits {}\n{}", printed.exit, printed.transcript()));
    }
    let warnings = printed.stderr.lines().filter(|line| line.starts_with("WARNING:"));
    // Misses are the one loss a tracer cannot help, and it has to own up to them.
    let told: Vec<&str> = warnings.filter(|line| misses == 0 || !line.contains(&misses.to_string())).collect();
    if told.is_empty() {
        Ok(Traced { printed, misses, events, truth })
    } else {
        Err(format!("with {misses} misses: {}", told.join("\n")))
    }
}

/// Runs the storm.
pub(super) fn storm(env: &Env, seconds: u64) -> Result<(), String> {
    let mut command = env.bare(&env.helpers.join("storm"));
    let running =
        Running::start(command.args(["--seconds", &seconds.to_string()])).map_err(|e| format!("storm: {e}"))?;
    let printed = running.finish(Duration::from_secs(seconds) + env.seconds(20))?;
    if printed.exit == 0 { Ok(()) } else { Err(format!("storm exits {}\n{}", printed.exit, printed.transcript())) }
}

/// Counts are equal, except for events that were missed and admitted.
pub(super) fn agree(ours: Count, truth: Count) -> Result<(), String> {
    if ours.events.abs_diff(truth.events) <= ours.misses + truth.misses {
        return Ok(());
    }
    Err(format!("counted {ours:?}, the truth is {truth:?}"))
}

/// What a script of this module printed.
#[derive(Debug, Default)]
struct Told {
    counts: BTreeMap<String, u64>,
    stacks: Vec<Stack>,
}

#[derive(Debug)]
struct Stack {
    key: String,
    count: u64,
    frames: Vec<Frame>,
}

impl Told {
    fn read(text: &str) -> Result<Told, String> {
        let mut told = Told::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            let number = |text: &str| text.parse::<u64>().map_err(|_| format!("`{line}` has no number"));
            match fields[..] {
                ["count", key, count] => drop(told.counts.insert(key.into(), number(count)?)),
                ["stack", key, count, _] => {
                    told.stacks.push(Stack { key: key.into(), count: number(count)?, frames: vec![] });
                }
                _ => {
                    let frame = parse_frame(line).ok_or_else(|| format!("`{line}` is not a frame"))?;
                    told.stacks.last_mut().ok_or("a frame before the first stack")?.frames.push(frame);
                }
            }
        }
        if told.stacks.is_empty() { Err("no stack was printed".into()) } else { Ok(told) }
    }

    fn check_stacks(&self, symbols: &Symbols, events: &[Event]) -> Result<(), String> {
        // A tracepoint lies in one of several functions that begin with its name.
        let leaves: Vec<&str> = events.iter().map(Event::name).collect();
        for stack in &self.stacks {
            let check = symbols.check_stack(&stack.frames, &leaves);
            check.map_err(|e| format!("{} x {}: {e}\n{:x?}", stack.count, stack.key, stack.frames))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_read_back() {
        let text = "count\ta b\t3\nstack\ta b\t3\tvm_area_struct\n 0xff : kmem_cache_alloc+0x1/0x2 [kernel]\n";
        let told = Told::read(text).expect("reads");
        assert_eq!(told.counts["a b"], 3);
        assert_eq!(told.stacks[0].frames[0].address, 0xff);
        assert!(Told::read("stack\ta\tx\ty\n").is_err());
        assert!(Told::read("stack\ta\t1\ty\n 0xff\n").is_err());
    }

    #[test]
    fn verbose_lines_name_events() {
        let lines = [
            "note: kmem_cache_alloc on Linux 6.1: kmalloc_trace, which it was split into, probed too\n",
            "kernel.function(\"kmem_cache_alloc\"): kprobe:kmem_cache_alloc_lru,kmem_cache_alloc_node\n",
            "kernel.trace(\"kmem_cache_alloc\"): tp_btf:kmem_cache_alloc\n",
            "kernel.function(\"kmem_cache_alloc\"): tracepoint:kmem:kmem_cache_alloc\n",
        ];
        let tracepoint = Event::RawTracepoint("kmem_cache_alloc".into());
        let [lru, node] = ["_lru", "_node"].map(|end| Event::Function(format!("kmem_cache_alloc{end}")));
        let expected = [lru, node, tracepoint.clone(), tracepoint];
        assert_eq!(events(&lines.map(String::from)), expected);
    }

    #[test]
    fn misses_excuse_as_many_events() {
        let count = |events, misses| Count { events, misses };
        assert!(agree(count(10, 0), count(10, 0)).is_ok());
        assert!(agree(count(9, 0), count(10, 0)).is_err());
        assert!(agree(count(9, 1), count(10, 0)).is_ok());
    }
}
