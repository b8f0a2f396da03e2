//! What runs in booted kernels where a nanosecond is an instruction, and what it tells.
//!
//! Each tool in turn attaches, a load ([`LOAD`]) is measured under it, and it is ended. [`hits`] and [`rungs`] ask for
//! such runs and read their tables out of what was told; one boot of a kernel serves both.

mod hits;
mod rungs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tapster_tests::lab::image::Image;
use tapster_tests::lab::kernels::{Kernel, MATRIX};
use tapster_tests::lab::qemu::{self, Options, Said};
use tapster_tests::lab::{Scratch, session};
use tapster_tests::workspace;

use crate::peer::BPFTRACE;
use crate::reference;
use crate::report::Report;
use crate::skipped;

/// The oldest and the newest of the lab.
const KERNELS: [&str; 2] = ["6.1", "7.2"];

/// The program of this package that makes the calls; its name is the process's.
const LOAD: &str = "load";

/// Calls a repetition, and repetitions. With 500 calls the best repetition makes a hit look 6 % cheaper than with 4000:
/// a short one can escape work that comes only now and then, and part of what a tracer adds is there.
const CALLS: (u32, u32) = (4000, 10);

/// Mebibytes of a guest: the root file system has bpftrace with 200 of libraries.
const MEMORY: u32 = 2048;

/// What the guest runs: `under NAME LOAD TOOL…` prints the load's cost, and then what the tool said and counted.
///
/// A tool that does not attach in twenty seconds is reported and ended, and none lives longer than thirty.
const JOB: &str = r#"
mount -t tracefs none /sys/kernel/tracing 2>/dev/null
under() {
    name=$1 load=$2
    shift 2
    # The background shell truncates them too late: the last tool would be seen as this one.
    rm -f /tmp/out /tmp/err
    "$@" >/tmp/out 2>/tmp/err &
    pid=$!
    tries=0
    until grep -qs ^attached /tmp/err /tmp/out; do
        tries=$((tries + 1))
        if [ $tries -gt 400 ] || ! kill -0 $pid; then
            echo "failed $name: $(grep -m 1 error /tmp/err)"
            kill -9 $pid
            return
        fi
        sleep 0.05
    done
    sleep 1
    cost=$($load)
    kill -INT $pid
    wait $pid
    [ -n "$cost" ] && echo "cost $name: $cost"
    sed -n "s/^attached \([0-9]*\) probes\? in \([0-9.]*\) ms$/probes $name: \1\nms $name: \2/p" /tmp/err
    sed -n "s/^\([a-zA-Z0-9_:-]*\):\t\([0-9]*\)$/count $name \1: \2/p" /tmp/out
    sed -n "s/^WARNING: */warning $name: /p" /tmp/err
}
"#;

/// A run in the guest.
#[derive(Debug)]
struct Run {
    /// By which its figures are found.
    name: String,
    /// The load, as words of the shell.
    load: String,
    /// The tool's command, as words of the shell; without one the load runs alone.
    tool: Option<String>,
}

impl Run {
    /// A load that nobody watches.
    fn alone(name: &str, load: String) -> Run {
        Run { name: name.to_owned(), load, tool: None }
    }

    /// A load under Tapster.
    fn tapster(name: &str, load: String, arguments: &str) -> Run {
        Run { name: name.to_owned(), load, tool: Some(format!("tapster -v -T 30 {arguments}")) }
    }

    /// A load under bpftrace, which says that it is there a moment before it is.
    fn bpftrace(name: &str, load: String, probe: &str) -> Run {
        let script = format!("BEGIN {{ printf(\"attached\\n\"); }} {probe}");
        Run { name: name.to_owned(), load, tool: Some(format!("{BPFTRACE} -B line -e '{script}'")) }
    }

    /// A whole run of a tool: what it takes stands where a load's cost does.
    fn whole(name: &str, command: &str) -> Run {
        Run::alone(name, format!("/add/{LOAD} whole {command}"))
    }

    /// A load under a program in C.
    fn c(name: &str, load: String, object: &Path, program: &str) -> Run {
        let object = object.file_name().unwrap_or_default().to_string_lossy();
        Run { name: name.to_owned(), load, tool: Some(format!("/add/reference /add/{object} {program}")) }
    }

    fn line(&self) -> String {
        let Run { name, load, tool } = self;
        match tool {
            Some(tool) => format!("under {name} '{load}' {tool}\n"),
            None => format!("echo \"cost {name}: $({load})\"\n"),
        }
    }
}

/// So many calls of the load.
fn calls(call: &str) -> String {
    format!("/add/{LOAD} {call} {} {}", CALLS.0, CALLS.1)
}

/// What a kernel is asked.
#[derive(Debug, Default)]
struct Question {
    runs: Vec<Run>,
    /// Scripts in the guest's root, by name.
    scripts: Vec<(&'static str, &'static str)>,
    /// Programs in C.
    objects: Vec<PathBuf>,
}

/// What the guest told.
#[derive(Debug, Default)]
struct Told {
    /// Figures by their kind (`cost`, `ms`, `probes`, `count`) and the name of the run.
    figures: BTreeMap<(String, String), f64>,
    /// Failures and warnings.
    remarks: Vec<String>,
}

impl Told {
    fn read(stdout: &str) -> Told {
        let mut told = Told::default();
        for line in stdout.lines() {
            let figure = line.split_once(' ').and_then(|(kind, rest)| {
                let (name, value) = rest.rsplit_once(": ")?;
                Some(((kind.to_owned(), name.to_owned()), value.trim().parse::<f64>().ok()?))
            });
            match figure {
                Some((key, value)) => drop(told.figures.insert(key, value)),
                None => told.remarks.push(line.to_owned()),
            }
        }
        told
    }

    fn figure(&self, kind: &str, name: &str) -> Option<f64> {
        self.figures.get(&(kind.to_owned(), name.to_owned())).copied()
    }

    /// Instructions that a call takes under a run.
    fn cost(&self, name: &str) -> Option<f64> {
        self.figure("cost", name)
    }

    /// What a run counted, by its own names.
    fn counts<'a>(&'a self, run: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let counts = self.figures.iter().filter(|((kind, _), _)| kind == "count");
        counts.filter_map(move |((_, name), total)| Some((name.strip_prefix(run)?.strip_prefix(' ')?, *total)))
    }
}

/// A kernel and what it told.
type Answer = (Kernel, Told);

/// Boots, measures and reports.
pub fn run(tapster: &Path, report: &mut Report) {
    let mut answers = vec![];
    for name in KERNELS {
        match answer(name, tapster) {
            Ok(answer) => answers.push(answer),
            Err(error) => skipped(&format!("instructions per hit on Linux {name}"), &error),
        }
    }
    if answers.is_empty() {
        return;
    }
    report.block("boot-hits", &hits::text(&answers));
    report.block("boot-rungs", &rungs::per_hit(&answers));
    report.block("boot-attach", &rungs::attaching(&answers));
    for (kernel, told) in &answers {
        told.remarks.iter().for_each(|remark| println!("  {} told: {remark}", kernel.name));
    }
}

fn answer(name: &str, tapster: &Path) -> Result<Answer, String> {
    let row = MATRIX.iter().find(|row| row.name == name).ok_or("the lab does not know it")?;
    session::tools()?;
    let kernel = row.kernel()?;
    let mut question = hits::question(name);
    rungs::ask(&mut question);
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let initramfs = scratch.path().join("initramfs");
    image(tapster, &question).and_then(|image| image.write(&initramfs)).map_err(|e| format!("initramfs: {e}"))?;
    let options = Options { icount: true, memory: MEMORY, ..Options::default() };
    let boot = || qemu::boot(&kernel, &initramfs, &options).map_err(|e| e.to_string());
    let mut said = boot()?;
    if said.status.is_none() {
        // One guest in sixty hangs.
        said = boot()?;
    }
    let told = Told::read(&said.stdout);
    if told.figures.is_empty() { Err(silence(&said)) } else { Ok((kernel, told)) }
}

fn silence(said: &Said) -> String {
    let last = said.console.lines().next_back().unwrap_or_default();
    format!("the guest gave no figure (status {:?}): {} {last}", said.status, said.stderr.trim())
}

fn image(tapster: &Path, question: &Question) -> std::io::Result<Image> {
    let lines: String = question.runs.iter().map(Run::line).collect();
    let mut image = Image::new(&format!("{JOB}{lines}"))?;
    image.program(tapster, "tapster")?;
    image.add(&workspace::binaries().join(LOAD))?;
    image.add(&reference::loader())?;
    image.tree(&workspace::root().join("scripts"), "/scripts")?;
    let theirs = Path::new("/usr/bin").join(BPFTRACE);
    if theirs.exists() {
        image.program(&theirs, BPFTRACE)?;
    }
    for object in &question.objects {
        image.add(object)?;
    }
    question.scripts.iter().for_each(|(name, text)| image.text(&format!("/{name}"), text));
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_from_remarks() {
        let told = Told::read("cost a b: 12.5\ncount a filp: 3\nwarning a: 3 events lost\nms a: 1137.7\n");
        assert_eq!(told.cost("a b"), Some(12.5));
        assert_eq!(told.counts("a").collect::<Vec<_>>(), [("filp", 3.0)]);
        assert_eq!(told.figure("ms", "a"), Some(1137.7));
        assert_eq!(told.remarks, ["warning a: 3 events lost"]);
    }

    #[test]
    fn runs_are_lines_of_the_shell() {
        assert_eq!(Run::alone("x", "load".into()).line(), "echo \"cost x: $(load)\"\n");
        assert_eq!(Run::tapster("x", "true".into(), "a.stp").line(), "under x 'true' tapster -v -T 30 a.stp\n");
    }
}
