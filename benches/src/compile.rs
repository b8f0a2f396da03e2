//! Parsing, checking and compiling, without loading: CPU time of many rounds in this process, by stages.
//!
//! Three questions: what the slab script takes on this kernel, what a script of 300 lines takes that calls all of the
//! library, and whether a probe takes longer the more of them there are.

use std::sync::OnceLock;

use tapster_compiler::check::{Options, check};
use tapster_compiler::host::HostTable;
use tapster_compiler::image::Image;
use tapster_compiler::world::World;
use tapster_compiler::{compile, library};
use tapster_lang::parse::parse;
use tapster_lang::preprocess::Environment;
use tapster_lang::{Diagnostic, SourceMap};
use tapster_runtime::{Machine, host};
use tapster_tests::workspace;

use crate::skipped;
use crate::stats::Sample;
use crate::table::{Table, aim, nothing};
use crate::tapset;
use crate::world::Small;

/// The columns of a table of stages.
const HEADS: [&str; 5] = ["µs of CPU", "median", "min", "aim", ""];
/// Figures beyond this number of probes take a second a round.
const QUICK_PROBES_MAX: usize = 1_000;
/// From so many probes on a figure is no longer that of what all of them share.
const SETTLED: usize = 100;

/// Measures and prints; `quick` takes few rounds and no large scripts.
pub fn run(quick: bool) {
    slab(if quick { 20 } else { 300 });
    whole_library(if quick { 5 } else { 60 });
    for (title, probe) in PROBES {
        curve(title, *probe, quick);
    }
}

/// CPU time of each stage, in µs.
#[derive(Clone, Copy, Debug, Default)]
struct Stages([f64; 4]);

const STAGES: [&str; 4] = ["parse, with the library's files", "check", "lower to Cranelift IR", "compile"];

impl Stages {
    fn sum(&self) -> f64 {
        self.0.iter().sum()
    }
}

/// Runs the stages once. The image and all that led to it go away within their stage's time, as they do in a run.
fn compile_once(text: &str, args: &[Vec<u8>], world: &dyn World) -> Result<Stages, String> {
    let mut clock = Clock::start();
    let mut sources = SourceMap::new();
    let mut stages = || -> Result<(Image, Stages), Vec<Diagnostic>> {
        let environment = Environment { args, kernel_release: world.release(), ..Environment::default() };
        let options = Options::default();
        let mut times = Stages::default();
        let macros = library::macros(text.as_bytes(), &mut sources, &environment)?;
        let file = sources.add_bytes("bench.stp", text.as_bytes());
        let mut scripts = vec![parse(file, &mut sources, &environment, &macros)?.script];
        library::complete(&mut scripts, &mut sources, &environment)?;
        times.0[0] = clock.lap();
        let mut checked = check(&scripts, world, &options)?;
        drop(scripts);
        times.0[1] = clock.lap();
        let lowered = compile::lower_checked(&mut checked, &options)?;
        times.0[2] = clock.lap();
        let image = compile::image(&checked, lowered, &sources, world, host_table())?;
        drop(checked);
        times.0[3] = clock.lap();
        Ok((image, times))
    };
    match stages() {
        Ok((_, times)) => Ok(times),
        Err(errors) => Err(errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; ")),
    }
}

/// Whether a script compiles.
pub fn compiles(text: &str) -> bool {
    compile_once(text, &[], &Small::new()).is_ok()
}

fn host_table() -> &'static HostTable {
    struct Shared(HostTable);
    // SAFETY: the table holds addresses of functions, which anybody may know.
    unsafe impl Send for Shared {}
    // SAFETY: as above.
    unsafe impl Sync for Shared {}
    static TABLE: OnceLock<Shared> = OnceLock::new();
    &TABLE.get_or_init(|| Shared(host::table())).0
}

fn slab(rounds: usize) {
    let script = std::fs::read_to_string(workspace::root().join("scripts/slab.stp"));
    let args = [b"dentry".to_vec()];
    let times = script.map_err(|error| error.to_string()).and_then(|text| {
        // A new machine each round: what a run reads of the kernel's types is read in each.
        (0..rounds).map(|_| compile_once(&text, &args, &Machine::new())).collect::<Result<Vec<_>, _>>()
    });
    match times {
        Ok(times) => print_stages("slab.stp dentry, on this kernel", &times, 1_000.0),
        Err(error) => skipped("compiling slab.stp", &error),
    }
}

fn whole_library(rounds: usize) {
    let (text, left_out) = match tapset::script(300) {
        Ok(generated) => generated,
        Err(error) => return skipped("the script that calls all of the library", &error),
    };
    let world = Small::new();
    let times: Result<Vec<_>, _> = (0..rounds).map(|_| compile_once(&text, &[], &world)).collect();
    let title = format!("{} lines that call all of the library", text.lines().count());
    match times {
        Ok(times) => print_stages(&title, &times, 30_000.0),
        Err(error) => return skipped(&title, &error),
    }
    if !left_out.is_empty() {
        println!("  left out, as no begin probe may call it with constants: {}", left_out.join(", "));
    }
}

fn print_stages(title: &str, times: &[Stages], most: f64) {
    let sample = |read: &dyn Fn(&Stages) -> f64| Sample::new(times.iter().map(read).collect());
    let Some(whole) = sample(&Stages::sum) else { return };
    println!("\n{title}: {} rounds, nothing loaded", times.len());
    let mut table = Table::new(&HEADS);
    for (nth, name) in STAGES.iter().enumerate() {
        let Some(stage) = sample(&|stages| stages.0[nth]) else { continue };
        let share = format!("{:.0} %", stage.median() / whole.median() * 100.0);
        table.row(vec![(*name).to_owned(), micros(stage.median()), micros(stage.min()), nothing(), share]);
    }
    let reached = aim(whole.median(), Some(most));
    table.row(vec!["together".into(), micros(whole.median()), micros(whole.min()), reached, String::new()]);
    print!("{table}");
}

/// A script of so many probes: the text before them, and each.
type Probes = (&'static str, fn(usize) -> String);

const PROBES: &[(&str, Probes)] = &[
    ("probe begin { println(N) }", ("", |nth| format!("probe begin {{ println({nth}) }}\n"))),
    (
        "probe kernel.trace(\"sched_switch\") { hits[N] <<< 1 }",
        ("global hits\n", |nth| format!("probe kernel.trace(\"sched_switch\") {{ hits[{nth}] <<< 1 }}\n")),
    ),
];

/// Whether the time a probe takes depends on how many there are.
fn curve(title: &str, (head, probe): Probes, quick: bool) {
    println!("\n{title}, N times, nothing loaded");
    let mut table = Table::new(&["probes", "µs of CPU", "rounds", "µs a probe", "of that at 100"]);
    let world = Small::new();
    let mut settled = None;
    for probes in [1, 10, 100, 1_000, 10_000] {
        if quick && probes > QUICK_PROBES_MAX {
            break;
        }
        let text = (0..probes).map(probe).fold(head.to_owned(), |text, probe| text + &probe);
        let rounds = if quick { 3 } else { (3_000 / probes).clamp(3, 100) };
        let times: Result<Vec<f64>, _> =
            (0..rounds).map(|_| compile_once(&text, &[], &world).map(|stages| stages.sum())).collect();
        let Some(sample) = times.map_err(|error| skipped(title, &error)).ok().and_then(Sample::new) else { return };
        let each = sample.min() / probes as f64;
        settled = settled.or((probes >= SETTLED).then_some(each));
        let ratio = settled.map_or_else(nothing, |settled| format!("{:.2}", each / settled));
        table.row(vec![probes.to_string(), micros(sample.min()), rounds.to_string(), micros(each), ratio]);
    }
    print!("{table}");
    println!("  the shortest of all rounds");
}

fn micros(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { crate::table::count(value) }
}

/// The CPU time of this thread: what else runs on the machine takes none of it.
struct Clock(f64);

impl Clock {
    fn start() -> Clock {
        Clock(now())
    }

    /// µs since the last lap.
    fn lap(&mut self) -> f64 {
        let now = now();
        now - core::mem::replace(&mut self.0, now)
    }
}

fn now() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, and this one lives until it returns.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
