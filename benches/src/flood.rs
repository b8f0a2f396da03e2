//! How many prints a second arrive: the largest rate at which every line is there.
//!
//! A load makes so many calls a second, each is one `printf`, and the lines in the output file are counted. What the
//! load could not make in time does not count for the tool either.

use std::path::{Path, PathBuf};
use std::process::Command;

use tapster_tests::lab::Scratch;
use tapster_tests::workspace;

use crate::peer::BPFTRACE;
use crate::report::Report;
use crate::table::{Table, count};
use crate::tool::Run;

/// Calls a second.
const RATES: [u32; 9] = [125_000, 250_000, 500_000, 750_000, 1_000_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000];
const SECONDS: u32 = 2;

/// Starts a tool in the background with its output in a file, says when it is ready, passes ^C on, waits.
const WRAPPER: &str = r#"out=$1; shift
rm -f "$out" "$out.err"
"$@" >"$out" 2>"$out.err" &
pid=$!
trap 'kill -INT $pid' INT
until grep -qs -e ^ready -e ^attached "$out" "$out.err"; do sleep 0.02; done
echo ready
wait $pid
wait $pid
echo ended"#;

/// Of one rate: calls that were made in a second, and lines that came of them all.
struct Seen {
    calls: f64,
    lines: f64,
}

/// Measures and reports.
pub fn run(tapster: &Path, quick: bool, report: &mut Report) {
    match measure(tapster, quick) {
        Ok(text) => report.block("flood", &text),
        Err(error) => report.skipped("prints a second", &error),
    }
}

fn measure(tapster: &Path, quick: bool) -> Result<String, String> {
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let out = scratch.path().join("out");
    let script = r#"probe kernel.trace("sys_enter") { if ($id == 110 && execname() == "load") printf("%d %s\n", pid(), execname()) }"#;
    let text = r#"BEGIN { printf("ready\n"); }
        tracepoint:syscalls:sys_enter_getppid /comm == "load"/ { printf("%d %s\n", pid, comm); }"#;
    let tapster = tapster.display().to_string();
    let tools = [
        ("Tapster", wrapped(&out, &[&tapster, "-v", "-e", script])),
        (BPFTRACE, wrapped(&out, &[BPFTRACE, "-B", "line", "-e", text])),
    ];
    let mut table = Table::new(&["calls a second, asked for", "made", "Tapster's lines", "made", "bpftrace's lines"]);
    let rates = if quick { &RATES[..2] } else { &RATES[..] };
    for rate in rates {
        let mut row = vec![count(f64::from(*rate))];
        for (_, tool) in &tools {
            match at(tool, *rate, &out) {
                Ok(Seen { calls, lines }) => {
                    let share = 100.0 * lines / calls;
                    row.extend([count(calls / f64::from(SECONDS)), format!("{share:.1} %")]);
                }
                Err(error) => row.extend(["-".to_owned(), error]),
            }
        }
        table.row(row);
    }
    Ok(format!(
        "printf(\"%d %s\\n\", pid(), execname()), {SECONDS} seconds at each rate, lines counted in a file\n{table}"
    ))
}

fn wrapped(out: &Path, tool: &[&str]) -> Run {
    let out = out.display().to_string();
    Run::new(Path::new("sh"), &[&["-c", WRAPPER, "sh", &out], tool].concat(), Some("ready"))
}

fn at(tool: &Run, rate: u32, out: &PathBuf) -> Result<Seen, String> {
    let tracer = tool.start()?;
    let program = workspace::binaries().join("load");
    let load = Command::new(program).args(["paced", &rate.to_string(), &SECONDS.to_string()]).output();
    let load = load.map_err(|e| format!("load: {e}"))?;
    tracer.end("ended")?;
    let calls = String::from_utf8_lossy(&load.stdout).trim().parse().map_err(|_| "load gave no number".to_owned())?;
    let text = std::fs::read(out).map_err(|e| e.to_string())?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| line.ends_with(b" load")).count();
    Ok(Seen { calls, lines: lines as f64 })
}
