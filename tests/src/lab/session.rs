//! All jobs of one kernel in one boot.
//!
//! The runner in the guest (`src/bin/guest.rs`) tells its progress in lines ([`Event`]); when a guest hangs or dies, the
//! job it was at is the suspect, and another boot tries what is left, the suspect last. A job that takes the guest
//! down twice has failed. So has one that fails in two guests: an emulated machine on a busy host now and then stops
//! a CPU for seconds, so a few failures are tried again in a guest of their own, and said either way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::image::{BIN, CASES, Image};
use super::kernels::Kernel;
use super::qemu::{self, Options, Said};
use super::{Scratch, apt};
use crate::job::Verdict;
use crate::workspace;

/// Programs that the lab calls, and the Debian packages they come in.
const TOOLS: &[(&str, &str)] = &[
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("lz4", "lz4"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
];

/// Where the guest finds the names of the jobs to run.
pub const JOB_LIST: &str = "/tests/jobs";

/// Makes sure that the lab's tools are installed, once a process.
pub fn tools() -> Result<(), String> {
    static READY: OnceLock<Result<(), String>> = OnceLock::new();
    let install = || {
        let _held = super::lock().map_err(|e| format!("lab: {e}"))?;
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let found = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).exists());
        let missing: Vec<&str> = TOOLS.iter().filter(|row| !found(row.0)).map(|row| row.1).collect();
        if missing.is_empty() { Ok(()) } else { apt::install(&missing) }
    };
    READY.get_or_init(install).clone()
}

/// All boots of one kernel together take no longer than this; jobs that are left then have failed.
const BUDGET: Duration = Duration::from_secs(1200);

/// So many failures of one kernel may be chance; where there are more, something is broken.
const CHANCE: usize = 3;

/// Boots a kernel and runs these jobs; each gets a verdict.
pub fn run(kernel: &Kernel, tapster: &Path, jobs: &[String]) -> Result<BTreeMap<String, Verdict>, String> {
    let deadline = Instant::now() + BUDGET;
    let mut verdicts = boots(kernel, tapster, jobs, deadline)?;
    let failed = |(name, verdict): (&String, &Verdict)| match verdict {
        Verdict::Fail(why) => Some((name.clone(), why.clone())),
        _ => None,
    };
    let failed: BTreeMap<String, String> = verdicts.iter().filter_map(failed).collect();
    if (1..=CHANCE).contains(&failed.len()) && Instant::now() < deadline {
        for (name, why) in &failed {
            eprintln!("lab: {} failed {name} and tries it again in another guest: {why}", kernel.name);
        }
        let again: Vec<String> = failed.into_keys().collect();
        verdicts.extend(boots(kernel, tapster, &again, deadline)?);
        for name in again.iter().filter(|name| verdicts.get(*name) == Some(&Verdict::Pass)) {
            eprintln!("lab: {} passed {name} at the second try only", kernel.name);
        }
    }
    Ok(verdicts)
}

/// As many boots as it takes until each job has a verdict.
fn boots(
    kernel: &Kernel,
    tapster: &Path,
    jobs: &[String],
    deadline: Instant,
) -> Result<BTreeMap<String, Verdict>, String> {
    let mut verdicts = BTreeMap::new();
    let mut left = jobs.to_vec();
    let mut suspects = BTreeSet::new();
    while !left.is_empty() {
        let options = Options { limit: deadline.saturating_duration_since(Instant::now()), ..Options::default() };
        let said = boot(kernel, tapster, &left, &options).map_err(|e| format!("kernel {}: {e}", kernel.name))?;
        let told = read_events(&said.stdout);
        eprintln!("lab: {} ran {}", kernel.name, told.summary());
        verdicts.extend(told.verdicts);
        left.retain(|name| !verdicts.contains_key(name));
        if left.is_empty() {
            break;
        }
        let post_mortem = post_mortem(&said, told.unfinished.as_deref());
        eprintln!("lab: {} has no verdict on {} jobs: {post_mortem}", kernel.name, left.len());
        let suspect = told.unfinished.unwrap_or_default();
        let seen_before = !suspects.insert(suspect.clone());
        let is_late = Instant::now() >= deadline;
        let is_condemned = |name: &String| is_late || (seen_before && (suspect.is_empty() || *name == suspect));
        verdicts.extend(
            left.extract_if(.., |name| is_condemned(name)).map(|name| (name, Verdict::Fail(post_mortem.clone()))),
        );
        // The suspect goes last, so that it cannot take the others with it.
        left.sort_by_key(|name| *name == suspect);
    }
    Ok(verdicts)
}

fn boot(kernel: &Kernel, tapster: &Path, jobs: &[String], options: &Options) -> Result<Said, String> {
    tools()?;
    let scratch = Scratch::new().map_err(|e| e.to_string())?;
    let initramfs = scratch.path().join("initramfs");
    let image = || {
        let mut image = standard_image(&format!("exec {BIN}/guest {CASES} {JOB_LIST}\n"), kernel, tapster)?;
        image.text(JOB_LIST, &jobs.join("\n"));
        image.write(&initramfs)
    };
    image().map_err(|e| format!("initramfs: {e}"))?;
    qemu::boot(kernel, &initramfs, options).map_err(|e| e.to_string())
}

/// An image with Tapster under its name, the helper programs, some modules and the corpus, to run a shell script.
pub fn standard_image(job: &str, kernel: &Kernel, tapster: &Path) -> std::io::Result<Image> {
    let mut image = Image::new(job)?;
    kernel.modules.iter().try_for_each(|module| image.module(module))?;
    kernel.families.iter().try_for_each(|module| image.spare_module(module))?;
    image.program(tapster, "tapster")?;
    for helper in [
        "guest", "storm", "counter", "caller", "talker", "oddity", "vectors", "leak", "eat", "contend", "teller",
        "works", "nfs3",
    ] {
        image.program(&workspace::binaries().join(helper), helper)?;
    }
    workspace::programs().map_err(std::io::Error::other)?;
    for program in workspace::compiled().into_iter().chain(workspace::beside_compiled()) {
        image.program(&program, &program.file_name().unwrap_or_default().to_string_lossy())?;
    }
    image.tree(&workspace::cases(), CASES)?;
    // Where `../../../scripts` leads from a case.
    image.tree(&workspace::root().join("scripts"), "/scripts")?;
    Ok(image)
}

fn post_mortem(said: &Said, suspect: Option<&str>) -> String {
    let tail = |text: &str| {
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    };
    let suspect = suspect.map_or("between jobs".into(), |name| format!("at {name}"));
    let status = said.status.map_or("gave no status".into(), |status| format!("said {status}"));
    format!("the guest {status}, {suspect}\n--- console\n{}\n--- stderr\n{}", tail(&said.console), tail(&said.stderr))
}

/// One line of the runner in the guest.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A job begins.
    Start(String),
    /// A job has ended, after so many seconds.
    End(String, u64, Verdict),
}

/// A failure message is cut here: serial ports are slow.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

impl Event {
    /// The line.
    pub fn line(&self) -> String {
        match self {
            Event::Start(name) => format!("start\t{name}\n"),
            Event::End(name, seconds, verdict) => {
                let (word, text) = match verdict {
                    Verdict::Pass => ("pass", ""),
                    Verdict::Skip(reason) => ("skip", reason.as_str()),
                    Verdict::Fail(message) => ("fail", message.as_str()),
                };
                format!("{word}\t{name}\t{seconds}\t{}\n", escape(text))
            }
        }
    }

    /// Reads a line.
    pub fn parse(line: &str) -> Option<Event> {
        let mut parts = line.splitn(4, '\t');
        let (word, name) = (parts.next()?, parts.next()?.to_owned());
        if word == "start" {
            return Some(Event::Start(name));
        }
        let (seconds, text) = (parts.next()?.parse().ok()?, unescape(parts.next()?));
        let verdict = match word {
            "pass" => Verdict::Pass,
            "skip" => Verdict::Skip(text),
            "fail" => Verdict::Fail(text),
            _ => return None,
        };
        Some(Event::End(name, seconds, verdict))
    }
}

fn escape(text: &str) -> String {
    let cut = text.floor_char_boundary(MESSAGE_BYTES_MAX);
    text[..cut].replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            other => out.extend(other),
        }
    }
    out
}

/// What a boot told of its jobs.
#[derive(Debug, Default)]
struct Told {
    verdicts: BTreeMap<String, Verdict>,
    unfinished: Option<String>,
    seconds: Vec<(u64, String)>,
}

impl Told {
    /// `12 jobs in 30 s, longest a 9 s, b 4 s, c 3 s`
    fn summary(&self) -> String {
        let mut rows = self.seconds.clone();
        rows.sort();
        let longest: Vec<String> =
            rows.iter().rev().take(3).map(|(seconds, name)| format!("{name} {seconds} s")).collect();
        let total: u64 = rows.iter().map(|row| row.0).sum();
        format!("{} jobs in {total} s, longest {}", rows.len(), longest.join(", "))
    }
}

fn read_events(text: &str) -> Told {
    let mut told = Told::default();
    // A line that was cut by the guest's death is no event.
    let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    for event in lines.filter_map(|line| Event::parse(line.trim_end_matches('\r'))) {
        match event {
            Event::Start(name) => told.unfinished = Some(name),
            Event::End(name, seconds, verdict) => {
                told.unfinished = None;
                told.seconds.push((seconds, name.clone()));
                told.verdicts.insert(name, verdict);
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_wire() {
        for event in [
            Event::Start("slab/by_execname@kprobe".into()),
            Event::End("a".into(), 0, Verdict::Pass),
            Event::End("a".into(), 1, Verdict::Skip("no kprobes".into())),
            Event::End("a".into(), 20, Verdict::Fail("line 1\n\tC:\\new\\\n".into())),
        ] {
            assert_eq!(Event::parse(event.line().trim_end_matches('\n')), Some(event));
        }
    }

    #[test]
    fn the_job_at_which_a_guest_died_is_known() {
        let told = read_events("start\ta\npass\ta\t1\t\nstart\tb\nfail\tb\t2\tbecau");
        assert_eq!(told.verdicts.len(), 1);
        assert_eq!(told.unfinished.as_deref(), Some("b"));
    }
}
