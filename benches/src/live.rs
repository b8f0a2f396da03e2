//! Whole runs on this kernel, Tapster and bpftrace in turns: Debian's own, and a newer one.
//!
//! In turns, because the machine's speed changes while it is measured: what slows one round slows both tools.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tapster_tests::workspace;

use crate::peer::Peer;
use crate::report::Report;
use crate::skipped;
use crate::stats::{Sample, ratios};
use crate::table::{Table, aim, nothing};
use crate::tool::{Cost, Run};

/// The slab job in bpftrace's language. `ready` is read from the ring after all probes are attached.
const BPFTRACE_SLAB: &str = r#"BEGIN { printf("ready\n"); }
tracepoint:kmem:kmem_cache_alloc /str(args->name) == "dentry"/ { @[comm] = count(); @s[comm, kstack] = count(); }"#;

/// The same job for both tools.
struct Job {
    /// Beside the machine's bpftrace, and beside the newer one.
    block: [&'static str; 2],
    title: &'static str,
    ours: Run,
    theirs: Option<Run>,
    aims: [Option<f64>; 3],
}

/// A quantity: its name and how to read it.
type Quantity = (&'static str, fn(&Cost) -> f64);

const QUANTITIES: [Quantity; 3] =
    [("wall, ms", |cost| cost.wall_ms), ("CPU, ms", |cost| cost.cpu_ms), ("peak memory, MB", |cost| cost.memory_mb)];

/// Measures and prints.
pub fn run(tapster: &Path, peers: Vec<Result<Peer, String>>, rounds: usize, report: &mut Report) {
    if !is_root() {
        return skipped("the live kernel", "only root may trace it");
    }
    for (nth, peer) in peers.into_iter().enumerate() {
        if let Err(error) = &peer {
            skipped("bpftrace beside Tapster", error);
            // What Tapster takes alone is measured once.
            if nth > 0 {
                continue;
            }
        }
        let peer = peer.ok();
        for job in jobs(tapster, peer.as_ref()) {
            match measure(&job, rounds) {
                Ok((ours, theirs)) => {
                    let name = peer.as_ref().map_or("nothing", |peer| &peer.version);
                    report.block(job.block[nth], &text(&job, &ours, theirs.as_deref(), name));
                }
                Err(error) => skipped(job.title, &error),
            }
        }
    }
}

fn jobs(tapster: &Path, peer: Option<&Peer>) -> [Job; 2] {
    let slab = workspace::root().join("scripts/slab.stp").display().to_string();
    let theirs = |arguments: &[&str], ready| peer.map(|peer| peer.run(arguments, ready));
    [
        Job {
            block: ["attach", "attach-newer"],
            title: "slab.stp dentry, from exec to attached",
            ours: Run::new(tapster, &["-v", &slab, "dentry"], Some("attached ")),
            // Into a pipe it would keep the line back.
            theirs: theirs(&["-B", "line", "-e", BPFTRACE_SLAB], Some("ready")),
            aims: [None, Some(10.0), Some(12.0)],
        },
        Job {
            block: ["begin", "begin-newer"],
            title: "probe begin { exit() }, a whole run",
            ours: Run::new(tapster, &["-e", "probe begin { exit() }"], None),
            theirs: theirs(&["-e", "BEGIN { exit(); }"], None),
            aims: [Some(5.0), None, None],
        },
    ]
}

/// The costs of both, one a round; a first round, which fills the caches, does not count unless it is the only one.
fn measure(job: &Job, rounds: usize) -> Result<(Vec<Cost>, Option<Vec<Cost>>), String> {
    let warm_up = usize::from(rounds > 1);
    let (mut ours, mut theirs) = (vec![], vec![]);
    let mut peer = job.theirs.as_ref();
    for _ in 0..rounds + warm_up {
        ours.push(job.ours.measure()?);
        match peer.map(Run::measure) {
            Some(Ok(cost)) => theirs.push(cost),
            Some(Err(error)) => {
                skipped(&format!("bpftrace's {}", job.title), &error);
                peer = None;
            }
            None => {}
        }
    }
    ours.drain(..warm_up);
    theirs.drain(..warm_up.min(theirs.len()));
    Ok((ours, peer.map(|_| theirs)))
}

fn text(job: &Job, ours: &[Cost], theirs: Option<&[Cost]>, peer: &str) -> String {
    let head = format!("{}, Linux {}: {} rounds, in turns with {peer}", job.title, release(), ours.len());
    let mut table =
        Table::new(&["", "Tapster", "min", "spread", "bpftrace", "min", "spread", "ratio", "of minima", "aim"]);
    for ((name, read), most) in QUANTITIES.iter().zip(job.aims) {
        let sample = |costs: &[Cost]| Sample::new(costs.iter().map(read).collect());
        let Some(ours) = sample(ours) else { continue };
        let theirs = theirs.and_then(sample);
        let mut row = vec![(*name).to_owned()];
        row.extend(figures(Some(&ours)));
        row.extend(figures(theirs.as_ref()));
        let ratios = theirs.map(|theirs| ratios(&ours, &theirs));
        row.extend(ratios.map_or([nothing(), nothing()], |(median, min)| [median, min].map(|r| format!("{r:.1}"))));
        row.push(aim(ours.median(), most));
        table.row(row);
    }
    format!("{head}\n{table}  medians; spread: (max - min) / median; ratio: bpftrace / Tapster; MB: 10^6 bytes\n")
}

/// Median, minimum and spread.
fn figures(sample: Option<&Sample>) -> [String; 3] {
    sample.map_or_else(
        || [nothing(), nothing(), nothing()],
        |s| [format!("{:.1}", s.median()), format!("{:.1}", s.min()), format!("{:.0} %", s.spread_percent())],
    )
}

/// Whether the files that the kernel makes for this process are root's.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|file| file.uid() == 0)
}

/// The running kernel's.
pub fn release() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    text.map_or_else(|_| "of unknown version".into(), |text| text.trim().to_owned())
}
