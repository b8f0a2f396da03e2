//! What a start costs as a script grows: by the number of probes, by the elements of an array, by the length of strings.
//!
//! Whole runs, in milliseconds of a processor, the least of all rounds: up to the loaded programs (`-p4`), and up to all
//! that is attached.

use std::path::Path;

use crate::report::Report;
use crate::svg::Curve;
use crate::table::{Table, count};
use crate::tool::Run;

struct Job {
    block: &'static str,
    title: &'static str,
    what: &'static str,
    sizes: &'static [u32],
    /// Options and the script.
    arguments: fn(u32) -> Vec<String>,
}

const JOBS: [Job; 3] = [
    Job {
        block: "growth-probes",
        title: "probe kernel.trace(\"sched_switch\") { hits[N] <<< 1 }, so many times",
        what: "probes",
        sizes: &[1, 10, 100, 1_000],
        arguments: |probes| {
            let probe = |nth| format!("probe kernel.trace(\"sched_switch\") {{ hits[{nth}] <<< 1 }}\n");
            let script = (0..probes).map(probe).fold(String::from("global hits\n"), |text, probe| text + &probe);
            vec!["-e".into(), script]
        },
    },
    Job {
        block: "growth-entries",
        title: "global a[N] probe kernel.trace(\"sched_switch\") { a[pid()] <<< 1 }",
        what: "elements",
        sizes: &[1_000, 10_000, 100_000, 1_000_000],
        arguments: |entries| {
            let script = format!("global a[{entries}] probe kernel.trace(\"sched_switch\") {{ a[pid()] <<< 1 }}");
            vec!["-e".into(), script]
        },
    },
    Job {
        block: "growth-strings",
        title: "a[execname() . \" \" . pp()] <<< 1 with -D MAXSTRINGLEN=N",
        what: "bytes",
        sizes: &[64, 256, 1_024, 4_096],
        arguments: |bytes| {
            let script = "global a probe kernel.trace(\"sched_switch\") { a[execname() . \" \" . pp()] <<< 1 }";
            vec!["-D".into(), format!("MAXSTRINGLEN={bytes}"), "-e".into(), script.into()]
        },
    },
];

/// Measures and reports.
pub fn run(tapster: &Path, rounds: usize, report: &mut Report) {
    for job in &JOBS {
        match measure(job, tapster, rounds) {
            Ok(points) => tell(job, rounds, &points, report),
            Err(error) => report.skipped(job.title, &error),
        }
    }
}

/// A size, and what it costs to load and to attach.
type Point = (u32, [f64; 2]);

fn measure(job: &Job, tapster: &Path, rounds: usize) -> Result<Vec<Point>, String> {
    let least = |options: &[&str], ready, size: u32| -> Result<f64, String> {
        let arguments = (job.arguments)(size);
        let all: Vec<&str> = options.iter().copied().chain(arguments.iter().map(String::as_str)).collect();
        let run = Run::new(tapster, &all, ready);
        let costs = (0..rounds).map(|_| run.measure().map(|cost| cost.cpu_ms));
        costs.collect::<Result<Vec<f64>, String>>().map(|costs| costs.into_iter().fold(f64::INFINITY, f64::min))
    };
    let point = |size: &u32| {
        let compiled = least(&["-w", "-p4"], None, *size)?;
        Ok((*size, [compiled, least(&["-w", "-v"], Some("attached "), *size)?]))
    };
    job.sizes.iter().map(point).collect()
}

fn tell(job: &Job, rounds: usize, points: &[Point], report: &mut Report) {
    let mut table = Table::new(&[job.what, "loaded, ms", "attached, ms"]);
    for (size, costs) in points {
        table.row([vec![count(f64::from(*size))], costs.map(|cost| format!("{cost:.1}")).to_vec()].concat());
    }
    let title = format!("{}, Linux {}", job.title, crate::live::release());
    report.block(job.block, &format!("{title}\n{table}  CPU time from exec on, the least of {rounds}\n"));
    let line = |name: &str, nth: usize| {
        (name.to_owned(), points.iter().map(|(size, costs)| (f64::from(*size), costs[nth])).collect())
    };
    let lines = vec![line("loaded", 0), line("attached", 1)];
    report.picture(job.block, &Curve { title: job.title.to_owned(), axes: [job.what, "ms of CPU"], lines });
}
