//! What the library costs a start: all of it read, all of its functions checked, and one alias.
//!
//! Milliseconds of a processor, the least of all rounds, and instructions where valgrind is installed, which are the same
//! on a machine that is busy.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::report::Report;
use crate::table::{Table, aim, nothing};
use crate::tapset;
use crate::tool::Run;

const TITLE: &str = "the library";
/// So many lines call each function at least once: every second line is a call.
const LINES: usize = 1_000;
/// These ask for the kernel's symbols, and reading them (/proc/kallsyms) would be most of what is measured.
const OF_SYMBOLS: [&str; 2] = ["addr_to_node(", "get_cycles("];
/// An alias, and the point that it stands for.
const ALIAS: [&str; 2] = ["scheduler.ctxswitch", "kernel.trace(\"sched_switch\")"];

/// What a run takes.
#[derive(Clone, Copy)]
struct Taken {
    cpu_ms: f64,
    instructions: Option<f64>,
}

/// Measures and reports.
pub fn run(tapster: &Path, rounds: usize, report: &mut Report) {
    match measure(tapster, rounds) {
        Ok(table) => {
            let title = format!("{TITLE}, Linux {}", crate::live::release());
            let below = "CPU time from exec on, the least of";
            report
                .block("library", &format!("{title}\n{table}  {below} {rounds}; instructions counted by callgrind\n"));
        }
        Err(error) => report.skipped(TITLE, &error),
    }
}

fn measure(tapster: &Path, rounds: usize) -> Result<Table, String> {
    let (text, _) = tapset::script(LINES)?;
    let is_kept = |line: &&str| !OF_SYMBOLS.iter().any(|name| line.contains(name));
    let text: String = text.split_inclusive('\n').filter(is_kept).collect();
    let file = std::env::temp_dir().join(format!("tapster-bench-library-{}.stp", std::process::id()));
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    let script = file.display().to_string();
    let of = |arguments: &[&str]| taken(tapster, arguments, rounds);
    let all =
        || Ok::<_, String>([of(&["--dump-functions"])?, of(&["--dump-probe-aliases"])?, of(&["-w", "-p2", &script])?]);
    let measured = all();
    // It is of no use any more, whatever came of it.
    let _ = fs::remove_file(&file);
    let [functions, aliases, checked] = measured?;
    let probe = |point: &str| format!("global n probe {point} {{ n++ }} probe end {{ println(n) }}");
    let [with, without] = ALIAS.map(|point| of(&["-p3", "-e", &probe(point)]));
    let (with, without) = (with?, without?);
    let mut table = Table::new(&["", "CPU, ms", "million instructions", "aim, ms"]);
    table.row(row("read all functions (--dump-functions)", functions, None));
    table.row(row("read all aliases (--dump-probe-aliases)", aliases, None));
    table.row(row("read and check a script that calls the functions (-p2)", checked, Some(50.0)));
    let more = Taken {
        cpu_ms: with.cpu_ms - without.cpu_ms,
        instructions: with.instructions.zip(without.instructions).map(|(with, without)| with - without),
    };
    table.row(row(&format!("{} beyond {} (-p3)", ALIAS[0], ALIAS[1]), more, Some(1.0)));
    Ok(table)
}

fn row(what: &str, taken: Taken, most: Option<f64>) -> Vec<String> {
    let millions = taken.instructions.map_or_else(nothing, |count| format!("{:.1}", count / 1e6));
    vec![what.to_owned(), format!("{:.1}", taken.cpu_ms), millions, aim(taken.cpu_ms, most)]
}

fn taken(tapster: &Path, arguments: &[&str], rounds: usize) -> Result<Taken, String> {
    let run = Run::new(tapster, arguments, None);
    let costs = (0..rounds).map(|_| run.measure().map(|cost| cost.cpu_ms)).collect::<Result<Vec<f64>, String>>()?;
    let cpu_ms = costs.into_iter().fold(f64::INFINITY, f64::min);
    Ok(Taken { cpu_ms, instructions: instructions(tapster, arguments) })
}

/// Instructions of a run in user space, as callgrind counts them; none without it.
fn instructions(tapster: &Path, arguments: &[&str]) -> Option<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(tapster).args(arguments);
    let said = valgrind.output().ok()?.stderr;
    let said = String::from_utf8_lossy(&said);
    said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}
