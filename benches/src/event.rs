//! What an event costs on this kernel: nanoseconds that each tool adds to a call, by the hits of the call.
//!
//! Every round measures the call alone and under each tool, one after the other, and keeps the best of some repetitions:
//! what disturbs one only ever adds to it. What the call takes alone, at its best, is taken from all.

use std::path::Path;
use std::process::Command;

use tapster_tests::workspace;

use crate::peer::Peer;
use crate::reference;
use crate::report::Report;
use crate::stats::Sample;
use crate::table::{Table, nothing};
use crate::tool::Run;

/// Calls a repetition, and repetitions.
const CALLS: [&str; 2] = ["2000", "100"];

/// The C library, through which the load calls the kernel.
const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";

/// Counts the load's allocations by cache.
const CACHES: &str = r#"global c
probe kernel.function("kmem_cache_alloc") { c[kernel_string($cachep->name)] <<< 1 }
probe end { foreach (name in c) printf("%s: %d\n", name, @count(c[name])) }
"#;

/// A tool under which the load runs, or why it does not.
struct Contender {
    name: String,
    run: Result<Run, String>,
}

struct Job {
    block: &'static str,
    title: &'static str,
    load: &'static str,
    /// Events of one call.
    hits: f64,
    unit: &'static str,
    contenders: Vec<Contender>,
}

/// Measures and reports.
pub fn run(tapster: &Path, peers: Vec<Result<Peer, String>>, rounds: usize, report: &mut Report) {
    let hits = match hits(tapster) {
        Ok(hits) => hits,
        Err(error) => return report.skipped("what an event costs", &error),
    };
    for peer in &peers {
        peer.as_ref().inspect_err(|error| report.skipped("bpftrace beside Tapster", error)).ok();
    }
    let peers: Vec<Peer> = peers.into_iter().flatten().collect();
    for job in jobs(tapster, &peers, hits) {
        match measure(&job, rounds) {
            Ok(costs) => report.block(job.block, &text(&job, costs)),
            Err(error) => report.skipped(job.title, &error),
        }
    }
}

fn jobs(tapster: &Path, peers: &[Peer], hits: f64) -> [Job; 4] {
    let ours = |script: &[&str]| {
        let run = Run::new(tapster, &[&["-v", "-w"], script].concat(), Some("attached "));
        vec![Contender { name: "Tapster".into(), run: Ok(run) }]
    };
    let c = |name, program: &str| {
        let run = reference::object(name).map(|object| reference::run(&object, &[program]));
        vec![Contender { name: "C, tp_btf".into(), run }]
    };
    let theirs = |text: &str| -> Vec<Contender> {
        let text = format!("BEGIN {{ printf(\"ready\\n\"); }} {text}");
        let run = |peer: &Peer| peer.run(&["-B", "line", "-e", &text], Some("ready"));
        peers.iter().map(|peer| Contender { name: peer.version.clone(), run: Ok(run(peer)) }).collect()
    };
    let slab = workspace::root().join("scripts/slab.stp").display().to_string();
    let count = "global stats probe kernel.function(\"kmem_cache_alloc\") { stats[execname()] <<< 1 } \
                 probe end { foreach (name in stats) println(@count(stats[name])) }";
    let library = format!(
        "global stats probe process(\"{LIBC}\").function(\"syscall\") {{ stats[execname()] <<< 1 }} \
         probe end {{ foreach (name in stats) println(@count(stats[name])) }}"
    );
    let getppid = "global stats probe kernel.trace(\"sys_enter\") { stats[execname()] <<< 1 } \
                   probe end { foreach (name in stats) println(@count(stats[name])) }";
    [
        Job {
            block: "event-count",
            title: "stats[execname()] <<< 1 on kmem_cache_alloc",
            load: "opens",
            hits,
            unit: "ns an event",
            contenders: all([
                ours(&["-e", count]),
                c("alloc", "alloc:kmem_cache_alloc"),
                theirs("tracepoint:kmem:kmem_cache_alloc { @[comm] = count(); }"),
            ]),
        },
        Job {
            block: "event-syscall",
            title: "stats[execname()] <<< 1 on every system call",
            load: "getppid",
            hits: 1.0,
            unit: "ns a call",
            contenders: all([
                ours(&["-e", getppid]),
                c("enter", "enter:sys_enter"),
                theirs("tracepoint:raw_syscalls:sys_enter { @[comm] = count(); }"),
            ]),
        },
        Job {
            block: "event-uprobe",
            title: "stats[execname()] <<< 1 on a function of the C library",
            load: "getppid",
            hits: 1.0,
            unit: "ns a call",
            contenders: all([
                ours(&["-e", &library]),
                theirs(&format!("uprobe:{LIBC}:syscall {{ @[comm] = count(); }}")),
            ]),
        },
        Job {
            block: "event-slab",
            title: "slab.stp filp: of the allocations of one open(), one is counted with its stack",
            load: "opens",
            hits: 1.0,
            unit: "ns an open()",
            contenders: all([
                ours(&[&slab, "filp"]),
                c("slab", "slab_tracepoint:kmem_cache_alloc"),
                theirs(
                    "tracepoint:kmem:kmem_cache_alloc /str(args->name) == \"filp\"/ \
                     { @[comm] = count(); @s[comm, str(args->name), kstack] = count(); }",
                ),
            ]),
        },
    ]
}

fn all<const N: usize>(contenders: [Vec<Contender>; N]) -> Vec<Contender> {
    contenders.into_iter().flatten().collect()
}

/// The load's time a call, in ns.
fn load(name: &str) -> Result<f64, String> {
    let program = workspace::binaries().join("load");
    let output = Command::new(&program).arg(name).args(CALLS).output().map_err(|e| format!("load: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| format!("load: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Allocations of one open() that the tracepoint sees.
fn hits(tapster: &Path) -> Result<f64, String> {
    let filtered = CACHES.replace("{ c[", "{ if (execname() == \"load\") c[");
    let tracer = Run::new(tapster, &["-v", "-w", "-e", &filtered], Some("attached ")).start()?;
    load("opens")?;
    let said = tracer.stop()?;
    let calls: f64 = CALLS.iter().map(|number| number.parse::<f64>().unwrap_or(1.0)).product();
    let counts = said.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<f64>().ok());
    let hits = counts.map(|count| (count / calls).round()).sum();
    if hits >= 1.0 { Ok(hits) } else { Err("allocations of one open() could not be counted".into()) }
}

/// What the call costs alone, and what each contender adds to it, a value each round.
fn measure(job: &Job, rounds: usize) -> Result<(Sample, Vec<Result<Sample, String>>), String> {
    let mut alone = vec![];
    let mut added: Vec<Result<Vec<f64>, String>> = job.contenders.iter().map(|_| Ok(vec![])).collect();
    for _ in 0..rounds {
        alone.push(load(job.load)?);
        for (contender, added) in job.contenders.iter().zip(&mut added) {
            let Ok(values) = added else { continue };
            match under(contender, job.load) {
                Ok(cost) => values.push(cost),
                Err(error) => *added = Err(error),
            }
        }
    }
    let sample = |values: Vec<f64>| Sample::new(values).ok_or_else(|| "no round was measured".to_owned());
    let alone = sample(alone)?;
    let beyond = |values: Vec<f64>| sample(values.iter().map(|cost| (cost - alone.min()) / job.hits).collect());
    let added = added.into_iter().map(|values| values.and_then(beyond)).collect();
    Ok((alone, added))
}

fn under(contender: &Contender, name: &str) -> Result<f64, String> {
    let tracer = contender.run.as_ref().map_err(String::clone)?.start()?;
    let cost = load(name)?;
    tracer.stop()?;
    Ok(cost)
}

fn text(job: &Job, (alone, added): (Sample, Vec<Result<Sample, String>>)) -> String {
    let mut table = Table::new(&[job.unit, "median", "min", "spread", "to Tapster's", "of minima"]);
    let ours = added.first().and_then(|ours| ours.as_ref().ok()).cloned();
    let mut remarks = String::new();
    for (contender, added) in job.contenders.iter().zip(&added) {
        match added {
            Ok(sample) => {
                let ratio = |value: f64, of: fn(&Sample) -> f64| {
                    ours.as_ref().map_or_else(nothing, |ours| format!("{:.2}", value / of(ours)))
                };
                table.row(vec![
                    contender.name.clone(),
                    format!("{:.1}", sample.median()),
                    format!("{:.1}", sample.min()),
                    format!("{:.0} %", sample.spread_percent()),
                    ratio(sample.median(), Sample::median),
                    ratio(sample.min(), Sample::min),
                ]);
            }
            Err(error) => remarks += &format!("  {} was not measured: {}\n", contender.name, error.replace('\n', "; ")),
        }
    }
    let (rounds, title) = (CALLS.join(" calls, best of "), job.title);
    format!(
        "{title}, Linux {}\n{table}{remarks}  beyond {:.0} ns that the call takes alone ({:.0} events each); {rounds}, in turns\n",
        crate::live::release(),
        alone.min(),
        job.hits
    )
}
