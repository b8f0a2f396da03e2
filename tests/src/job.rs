//! One thing to try on one kernel: whether it can be tried, how, and the verdict.
//!
//! The suites on this machine and the runner inside a booted guest share this module, so a case means the same in all.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::case::bless::bless;
use crate::case::expect::Printed;
use crate::case::{self, Case, User};
use crate::facts::{Fact, Facts, Rung};
use crate::golden;
use crate::process::Running;
use crate::process::privilege::{Restriction, SharedCopy};
use crate::scenario::{self, Scenario};

/// What all jobs of one process share.
#[derive(Debug)]
pub struct Env {
    /// The program under test.
    pub tapster: PathBuf,
    /// Folder of the helper programs (`storm`), which `during:` commands find by name.
    pub helpers: PathBuf,
    /// What this kernel can do.
    pub facts: Facts,
    /// Times are multiplied by this: an emulated kernel is slow.
    pub patience: u32,
    /// Rewrite expectations instead of failing.
    pub bless: bool,
}

/// A case or a scenario, on one rung of the attach ladder or on the one that Tapster chooses.
#[derive(Debug, Clone)]
pub struct Job {
    /// `suite/case`, `suite/case@rung`.
    pub name: String,
    rung: Option<Rung>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Case(Box<Case>),
    Scenario(&'static Scenario),
    /// A script with what SystemTap printed for it.
    Golden(PathBuf),
    /// A file that is no case, and why.
    Unreadable(String),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Pass,
    /// Not tried: the reason.
    Skip(String),
    /// Not as expected: all that helps.
    Fail(String),
}

impl Env {
    /// For this machine: facts probed, binary built.
    pub fn here() -> Result<Env, String> {
        let tapster = crate::workspace::tapster()?;
        crate::workspace::programs()?;
        let bless = std::env::var_os("TAPSTER_BLESS").is_some_and(|value| value == "1");
        Ok(Env { tapster, helpers: crate::workspace::binaries(), facts: Facts::probe(), patience: 1, bless })
    }

    /// So many seconds, on this kernel.
    pub fn seconds(&self, seconds: u64) -> Duration {
        Duration::from_secs(seconds) * self.patience
    }

    /// Tapster, in a bare environment: output must not depend on whose terminal this is.
    pub fn command(&self) -> Command {
        self.bare(&self.tapster)
    }

    /// A program in a bare environment, with the helpers in its path.
    pub fn bare(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.helpers.display());
        command.env_clear().env("PATH", path).env("HOME", "/nonexistent");
        command.env("LC_ALL", "C").env("TZ", "UTC").env("TERM", "dumb").env("NO_COLOR", "1");
        command
    }
}

/// All jobs over a corpus that need a kernel: its cases and the scenarios.
pub fn kernel_jobs(cases: &Path) -> Vec<Job> {
    let corpus = case::corpus(cases).into_iter().filter(|case| !case.as_ref().is_ok_and(Case::is_compile_time));
    let mut jobs: Vec<Job> = corpus.flat_map(jobs_of).collect();
    jobs.extend(scenario::ALL.iter().flat_map(|scenario| {
        with_rungs(scenario.name, scenario.rungs).map(|(name, rung)| Job { name, rung, what: What::Scenario(scenario) })
    }));
    jobs
}

/// All jobs over a corpus that need no kernel.
pub fn compile_jobs(cases: &Path) -> Vec<Job> {
    let corpus = case::corpus(cases).into_iter().filter(|case| case.as_ref().map_or(true, Case::is_compile_time));
    let recorded = golden::scripts(&crate::workspace::golden());
    let recorded = recorded.into_iter().map(|script| {
        let name = golden::name(&script);
        Job { name, rung: None, what: What::Golden(script) }
    });
    corpus.flat_map(jobs_of).chain(recorded).collect()
}

fn jobs_of(case: Result<Case, (String, String)>) -> Vec<Job> {
    match case {
        Err((name, error)) => vec![Job { name, rung: None, what: What::Unreadable(error) }],
        Ok(case) => with_rungs(&case.name, &case.rungs)
            .map(|(name, rung)| Job { name, rung, what: What::Case(Box::new(case.clone())) })
            .collect(),
    }
}

fn with_rungs(name: &str, rungs: &[Rung]) -> impl Iterator<Item = (String, Option<Rung>)> {
    let plain = rungs.is_empty().then(|| (name.to_owned(), None));
    plain.into_iter().chain(rungs.iter().map(move |&rung| (format!("{name}@{}", rung.name()), Some(rung))))
}

impl Job {
    /// Tries it, if this kernel and user can.
    pub fn run(&self, env: &Env) -> Verdict {
        if let Some(reason) = self.obstacle(&env.facts) {
            return Verdict::Skip(reason);
        }
        let result = match &self.what {
            What::Case(case) => run_case(case, self.rung, env),
            What::Scenario(scenario) => (scenario.run)(env, self.rung),
            What::Golden(script) => golden::run(script, env),
            What::Unreadable(error) => Err(error.clone()),
        };
        result.map_or_else(Verdict::Fail, |()| Verdict::Pass)
    }

    /// Why it cannot be tried here.
    fn obstacle(&self, facts: &Facts) -> Option<String> {
        let needs: &[Fact] = match &self.what {
            What::Case(case) => {
                if let Some(bound) = case.kernels.broken_by(facts.version()) {
                    return Some(bound);
                }
                &case.needs
            }
            What::Scenario(scenario) => scenario.needs,
            What::Golden(script) => return golden::obstacle(script, facts),
            What::Unreadable(_) => &[],
        };
        let rung = self.rung.map(Fact::Rung);
        needs.iter().copied().chain(rung).find_map(|fact| facts.lacks(fact).map(str::to_owned))
    }
}

fn run_case(case: &Case, rung: Option<Rung>, env: &Env) -> Result<(), String> {
    let printed = print_case(case, rung, env)?;
    let verdict = case.expect.check(&printed);
    if verdict.is_err() && env.bless {
        let text = fs::read_to_string(&case.path).map_err(|e| e.to_string())?;
        let blessed = bless(&text, &case.expect.sections, &printed);
        fs::write(&case.path, blessed).map_err(|e| e.to_string())?;
        return Case::read(Path::new(""), &case.path)?.expect.check(&printed);
    }
    verdict.map_err(|e| format!("{e}--- tapster {}\n", case.command_line(rung).join(" ")))
}

fn print_case(case: &Case, rung: Option<Rung>, env: &Env) -> Result<Printed, String> {
    let mut folder = case.path.parent().unwrap_or(Path::new("")).to_owned();
    let mut program = env.tapster.clone();
    let copy;
    if case.user != User::Same {
        // A clone below /root is closed to others.
        copy = SharedCopy::of(&[&program, &case.path]).map_err(|e| format!("copy for another user: {e}"))?;
        (folder, program) = (copy.folder().to_owned(), copy.path_of(&program));
    }
    let mut command = env.bare(&program);
    // Diagnostics name the file as it was given: by its bare name they do not depend on where the clone is.
    command.current_dir(folder).args(case.command_line(rung)).envs(case.env.iter().cloned());
    let restriction = Restriction::new(&case.user, &case.hide);
    restriction.apply(&mut command);
    let mut running = Running::start(&mut command).map_err(|e| format!("{}: {e}", program.display()))?;
    let patience = env.seconds(case.timeout);
    if let Some(during) = &case.during {
        (running, _) = running.until_line("attached", patience)?;
        work(during, env)?;
        if !case.ends_itself {
            running.signal(libc::SIGINT);
        }
    }
    running.finish(patience)
}

/// The command of a `during:` directive.
fn work(during: &str, env: &Env) -> Result<(), String> {
    let mut shell = env.bare(Path::new("/bin/sh"));
    let running = Running::start(shell.args(["-c", during])).map_err(|e| format!("sh: {e}"))?;
    let printed = running.finish(env.seconds(60)).map_err(|e| format!("`during` {e}"))?;
    if printed.exit == 0 { Ok(()) } else { Err(format!("`{during}` exits {}\n{}", printed.exit, printed.transcript())) }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Verdict::Pass => write!(f, "pass"),
            Verdict::Skip(reason) => write!(f, "skip: {reason}"),
            Verdict::Fail(message) => write!(f, "fail: {message}"),
        }
    }
}
