//! What scripts that stay on cost a storm of forks, execs and files: the processor time of the same work traced and untraced.
//!
//! Both are measured in turns, many times and shortly, and each pair gives one ratio: what else goes on disturbs both of a
//! pair alike, and the middle of the ratios moves little. Processor time is what the storm's processes took, so that a
//! machine that does other things meanwhile makes both longer alike; the ratio of the least times is that of its quiet
//! moments. Beside it, what the kernel says
//! that the programs took (`-t`), times the storm's own events: without what calling a program takes.

use std::path::Path;

use tapster_tests::workspace;

use crate::report::Report;
use crate::stats::Sample;
use crate::table::Table;
use crate::tool::Run;

/// A script with its arguments, what it probes and the aim in percent.
struct Script {
    /// A file of `scripts/`, or the handler of one that has no file.
    name: &'static str,
    text: Option<&'static str>,
    arguments: &'static [&'static str],
    probes: &'static str,
    aim: Option<f64>,
}

const ALLOCATIONS: &str = r#"kernel.trace("kmem_cache_alloc"), kernel.trace("kmalloc")"#;
const ALL: &str = r#"kernel.trace("kmem_cache_alloc"), kernel.trace("kmalloc"), kernel.trace("kmem_cache_free"), kernel.trace("kfree")"#;

/// Tests a number, so that something is left to attach.
const NOTHING: &str = "{ if (pid() == -1) exit() }";

const SCRIPTS: [Script; 5] = [
    Script { name: "nothing at allocations", text: Some(NOTHING), arguments: &[], probes: ALLOCATIONS, aim: None },
    Script { name: "slab-by-site.stp", text: None, arguments: &[], probes: ALLOCATIONS, aim: Some(3.0) },
    Script { name: "nothing at frees, too", text: Some(NOTHING), arguments: &[], probes: ALL, aim: None },
    Script { name: "slab-leak.stp", text: None, arguments: &["dentry"], probes: ALL, aim: Some(10.0) },
    Script { name: "slab-leak.stp", text: None, arguments: &["*"], probes: ALL, aim: None },
];

/// Rounds of the storm in one measurement: some tenths of a second.
const STORM: u32 = 150;

/// Measures and reports.
pub fn run(tapster: &Path, pairs: usize, report: &mut Report) {
    match measure(tapster, pairs) {
        Ok(text) => report.block("storm", &text),
        Err(error) => report.skipped("scripts under a storm", &error),
    }
}

fn measure(tapster: &Path, pairs: usize) -> Result<String, String> {
    let header = [
        "script",
        "untraced, ms",
        "median ratio",
        "quartiles",
        "of the least",
        "aim",
        "events a round",
        "of which programs",
    ];
    let mut table = Table::new(&header);
    for script in &SCRIPTS {
        let under = script.run(tapster, &["-v"]);
        let times: Vec<(f64, f64)> = (0..pairs).map(|at| pair(&under, at % 2 == 0)).collect::<Result<_, _>>()?;
        let untraced = Sample::new(times.iter().map(|pair| pair.0).collect()).ok_or("no rounds")?;
        let mut ratios: Vec<f64> = times.iter().map(|(untraced, traced)| 100.0 * (traced / untraced - 1.0)).collect();
        ratios.sort_by(f64::total_cmp);
        let quartile = |nth: usize| ratios[(ratios.len() - 1) * nth / 4];
        let median = quartile(2);
        let least = times.iter().map(|pair| pair.1).fold(f64::INFINITY, f64::min) / untraced.min();
        let least = 100.0 * (least - 1.0);
        let (events, nanoseconds) = (events(tapster, script)?, own_time(tapster, script)?);
        let own = 100.0 * events * f64::from(STORM) * nanoseconds / 1e6 / untraced.median();
        table.row(vec![
            script.title(),
            format!("{:.0}", untraced.median()),
            format!("{median:+.1} %"),
            format!("{:+.1} to {:+.1} %", quartile(1), quartile(3)),
            format!("{least:+.1} %"),
            script.aim.map_or("-".into(), |aim| format!("≤ {aim} %: {}", if median <= aim { "met" } else { "missed" })),
            format!("{events:.0}"),
            format!("{own:.1} %, {nanoseconds:.0} ns each"),
        ]);
    }
    Ok(format!(
        "{STORM} rounds of forks, execs, files, pipes and sockets, {pairs} pairs of them in turns, by processor time\n{table}"
    ))
}

impl Script {
    /// Has Tapster run it, with options; it reports at its end alone.
    fn run(&self, tapster: &Path, options: &[&str]) -> Run {
        if let Some(handler) = self.text {
            let text = format!("probe {} {handler}", self.probes);
            return Run::new(tapster, &[options, &["-e", &text]].concat(), Some("attached"));
        }
        let path = workspace::root().join("scripts").join(self.name).display().to_string();
        Run::new(tapster, &[options, &[&path], self.arguments, &["3600"]].concat(), Some("attached"))
    }

    fn title(&self) -> String {
        [&[self.name], self.arguments].concat().join(" ")
    }
}

/// Processor time of the storm, untraced and traced, either of them first.
fn pair(under: &Run, untraced_first: bool) -> Result<(f64, f64), String> {
    let before = if untraced_first { Some(storm()?) } else { None };
    let tracer = under.start()?;
    let traced = storm()?;
    tracer.stop()?;
    Ok((before.map_or_else(storm, Ok)?, traced))
}

/// Milliseconds of a processor that the storm takes.
fn storm() -> Result<f64, String> {
    let program = workspace::binaries().join("storm");
    let words = ["--rounds", &STORM.to_string(), "--workers", "1"];
    Run::new(&program, &words, None).measure().map(|cost| cost.cpu_ms)
}

/// Events of a round of the storm.
fn events(tapster: &Path, script: &Script) -> Result<f64, String> {
    let text = format!(
        "global n probe {} {{ n[execname()]++ }}
         probe end {{ foreach (name in n) if (substr(name, 0, 7) == \"tpstorm\") all += n[name]; println(\"events \", all) }}",
        script.probes
    );
    let said = under_storm(&Run::new(tapster, &["-v", "-e", &text], Some("attached")))?;
    let all: Option<f64> = said.lines().find_map(|line| line.strip_prefix("events ")?.parse().ok());
    all.map(|all| all / f64::from(STORM)).ok_or_else(|| format!("nothing was counted: {said}"))
}

/// Nanoseconds that a program of the script takes for an event, as the kernel counts it.
fn own_time(tapster: &Path, script: &Script) -> Result<f64, String> {
    let said = under_storm(&script.run(tapster, &["-v", "-t"]))?;
    let lines = said.lines().filter(|line| line.starts_with("kernel.trace(") && line.contains(", hits: "));
    let figures = lines.filter_map(|line| {
        let hits: f64 = line.split_once(", hits: ")?.1.split(',').next()?.parse().ok()?;
        let total: f64 = line.rsplit_once("avg, ")?.1.strip_suffix("us total")?.parse().ok()?;
        Some((hits, 1000.0 * total))
    });
    let (hits, total) = figures.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if hits > 0.0 { Ok(total / hits) } else { Err(format!("nothing was timed: {said}")) }
}

/// What a tool says of one storm.
fn under_storm(tool: &Run) -> Result<String, String> {
    let tracer = tool.start()?;
    storm()?;
    tracer.stop()
}
