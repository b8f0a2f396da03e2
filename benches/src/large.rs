//! Large tables at the end of a run: an aggregate of many keys, and many different stacks. From ^C to the last line.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tapster_tests::workspace;

use crate::peer::BPFTRACE;
use crate::reference;
use crate::report::Report;
use crate::stats::Sample;
use crate::svg::Curve;
use crate::table::{Table, count, nothing};
use crate::tool::{Cost, Run};

const KEYS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
const STACKS: [u32; 3] = [1_000, 10_000, 100_000];

/// A load, and the tools that count it.
struct Job {
    block: &'static str,
    title: &'static str,
    what: &'static str,
    sizes: &'static [u32],
    load: fn(u32) -> Result<Option<Load>, String>,
    ours: fn(u32) -> Vec<String>,
    theirs: &'static str,
}

/// A load that stays until the tools are through with it.
struct Load(Child);

impl Drop for Load {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.0.kill().and_then(|()| self.0.wait().map(drop));
    }
}

const JOBS: [Job; 2] = [
    Job {
        block: "keys",
        title: "An aggregate: read, merged over CPUs, sorted, its top 10 printed",
        what: "keys",
        sizes: &KEYS,
        load: keys,
        ours: |keys| {
            let script = format!(
                r#"global a[{keys}] probe kernel.trace("sys_enter") {{ if ($id == 121 && execname() == "load") a[$regs->di] <<< 1 }}
                probe end {{ foreach (k in a- limit 10) printf("%d %d\n", k, @count(a[k])) println("done") }}"#
            );
            vec!["-e".into(), script]
        },
        theirs: r#"tracepoint:syscalls:sys_enter_getpgid /comm == "load"/ { @[args->pid] = count(); }
                   END { print(@, 10); clear(@); printf("done\n"); }"#,
    },
    Job {
        block: "stacks",
        title: "Different stacks of a program, 20 frames each: read, symbolised, printed",
        what: "stacks",
        sizes: &STACKS,
        load: paths,
        ours: |stacks| {
            let script = format!(
                r#"global a[{}] global who
                probe kernel.trace("sys_enter") {{ if ($id == 110 && execname() == "paths") {{ who = pid(); a[ubacktrace()] <<< 1 }} }}
                probe end {{ foreach (s in a) {{ __print_usyms(who, s); println(@count(a[s])) }} println("done") }}"#,
                stacks + 1000
            );
            vec!["-D".into(), "MAXACTION=10000000".into(), "-e".into(), script]
        },
        theirs: r#"tracepoint:syscalls:sys_enter_getppid /comm == "paths"/ { @[ustack] = count(); }
                   END { print(@); clear(@); printf("done\n"); }"#,
    },
];

/// Measures and reports.
pub fn run(tapster: &Path, quick: bool, report: &mut Report) {
    for job in &JOBS {
        measure(job, tapster, quick, report);
    }
}

fn measure(job: &Job, tapster: &Path, quick: bool, report: &mut Report) {
    let sizes = if quick { &job.sizes[..1] } else { job.sizes };
    let rounds = if quick { 1 } else { 3 };
    let mut table = Table::new(&[job.what, "Tapster, ms", "CPU, ms", "MB", "bpftrace, ms", "CPU, ms", "MB", "ratio"]);
    let mut lines = [vec![], vec![]];
    let mut failed = [false; 2];
    for size in sizes {
        let ours = [&["-v".to_owned(), "-w".to_owned()], &(job.ours)(*size)[..]].concat();
        let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
        let text = format!("BEGIN {{ printf(\"ready\\n\"); }} {}", job.theirs);
        let enough = format!("BPFTRACE_MAP_KEYS_MAX={}", size + 1000);
        let theirs = [enough.as_str(), BPFTRACE, "-B", "line", "-e", &text];
        let tools = [Run::new(tapster, &ours, Some("attached ")), Run::new(Path::new("env"), &theirs, Some("ready"))];
        let mut costs = [vec![], vec![]];
        for _ in 0..rounds {
            for ((tool, costs), failed) in tools.iter().zip(&mut costs).zip(&mut failed) {
                // What is too much for it now is too much again.
                if *failed {
                    continue;
                }
                match once(job, tool, *size) {
                    Ok(cost) => costs.push(cost),
                    Err(error) => {
                        *failed = true;
                        report.skipped(&format!("{} with {size} {}", tool.program.display(), job.what), &error);
                    }
                }
            }
        }
        let samples = costs.map(|costs| Sampled::of(&costs));
        for (sampled, line) in samples.iter().zip(&mut lines) {
            line.extend(sampled.as_ref().map(|sampled| (f64::from(*size), sampled.wall.min())));
        }
        table.row(row(*size, samples));
    }
    let name = |name: &str, line: &mut Vec<(f64, f64)>| (name.to_owned(), std::mem::take(line));
    let [ours, theirs] = &mut lines;
    let lines = vec![name("Tapster", ours), name(BPFTRACE, theirs)];
    let title = format!("{}, Linux {}", job.title, crate::live::release());
    report.block(job.block, &format!("{title}\n{table}  from ^C to the last line, medians of {rounds} in turns\n"));
    report.picture(job.block, &Curve { title: job.title.to_owned(), axes: [job.what, "ms"], lines });
}

struct Sampled {
    wall: Sample,
    cpu: Sample,
    memory: Sample,
}

impl Sampled {
    fn of(costs: &[Cost]) -> Option<Sampled> {
        let sample = |read: fn(&Cost) -> f64| Sample::new(costs.iter().map(read).collect());
        Some(Sampled {
            wall: sample(|cost| cost.wall_ms)?,
            cpu: sample(|cost| cost.cpu_ms)?,
            memory: sample(|cost| cost.memory_mb)?,
        })
    }
}

fn row(size: u32, samples: [Option<Sampled>; 2]) -> Vec<String> {
    let mut row = vec![count(f64::from(size))];
    for sampled in &samples {
        row.extend(sampled.as_ref().map_or([nothing(), nothing(), nothing()], |sampled| {
            [&sampled.wall, &sampled.cpu, &sampled.memory].map(|sample| format!("{:.1}", sample.median()))
        }));
    }
    let [ours, theirs] = samples;
    let ratio = ours.zip(theirs).map(|(ours, theirs)| format!("{:.2}", ours.wall.median() / theirs.wall.median()));
    row.push(ratio.unwrap_or_else(nothing));
    row
}

fn once(job: &Job, tool: &Run, size: u32) -> Result<Cost, String> {
    let tracer = tool.start()?;
    let load = (job.load)(size)?;
    let (cost, _) = tracer.end("done")?;
    drop(load);
    Ok(cost)
}

fn keys(keys: u32) -> Result<Option<Load>, String> {
    let program = workspace::binaries().join("load");
    let status = Command::new(program).args(["keys", &keys.to_string()]).status().map_err(|e| format!("load: {e}"))?;
    if status.success() { Ok(None) } else { Err(format!("load: {status}")) }
}

fn paths(paths: u32) -> Result<Option<Load>, String> {
    let mut command = Command::new(reference::program("paths")?);
    let child = command.arg(paths.to_string()).stdout(Stdio::piped()).spawn().map_err(|e| format!("paths: {e}"))?;
    let mut load = Load(child);
    let mut line = String::new();
    let out = load.0.stdout.take().ok_or("paths has no output")?;
    BufReader::new(out).read_line(&mut line).map_err(|e| format!("paths: {e}"))?;
    if line == "done\n" { Ok(Some(load)) } else { Err("paths ended early".into()) }
}
