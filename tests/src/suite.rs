//! Jobs as trials of libtest-mimic, and the line that says what was skipped and why.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::job::{Env, Job, Verdict};

/// Counts the skips of one run by reason.
#[derive(Debug, Clone, Default)]
pub struct Skips(Arc<Mutex<BTreeMap<String, usize>>>);

impl Skips {
    /// Turns a verdict into what libtest-mimic wants, counting it if it is a skip.
    pub fn complete(&self, verdict: Verdict) -> Result<Completion, Failed> {
        match verdict {
            Verdict::Pass => Ok(Completion::Completed),
            Verdict::Fail(message) => Err(message.into()),
            Verdict::Skip(reason) => {
                *self.0.lock().expect("no trial panics while counting").entry(reason.clone()).or_default() += 1;
                Ok(Completion::ignored_with(reason))
            }
        }
    }

    /// `skipped: 3 (no kprobes on this kernel), 1 (not root)`, or that nothing was.
    pub fn summary(&self) -> String {
        let counts = self.0.lock().expect("no trial panics while counting");
        let parts: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} ({reason})")).collect();
        let total: usize = counts.values().sum();
        if total == 0 { "skipped: nothing".into() } else { format!("skipped: {total} = {}", parts.join(" + ")) }
    }
}

/// Runs trials with at most `threads` at a time unless the command line says otherwise, and sums up.
pub fn run(name: &str, threads: usize, skips: &Skips, trials: Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(threads);
    let listing = arguments.list;
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !listing {
        println!("{name}: {}\n", skips.summary());
    }
    conclusion.exit_code()
}

/// Trials that run jobs on this machine. What they need is built and probed when the first of them starts.
pub fn here(jobs: Vec<Job>, skips: &Skips) -> Vec<Trial> {
    let env: Arc<OnceLock<Result<Env, String>>> = Arc::default();
    let trial = |job: Job| {
        let (env, skips) = (env.clone(), skips.clone());
        let name = job.name.clone();
        Trial::ignorable_test(name, move || match env.get_or_init(Env::here) {
            Ok(env) => skips.complete(job.run(env)),
            Err(why) => Err(why.into()),
        })
    };
    jobs.into_iter().map(trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_counted_by_reason() {
        let skips = Skips::default();
        assert_eq!(skips.summary(), "skipped: nothing");
        for reason in ["not root", "no kprobes", "not root"] {
            assert!(skips.complete(Verdict::Skip(reason.into())).is_ok());
        }
        assert_eq!(skips.summary(), "skipped: 3 = 1 (no kprobes) + 2 (not root)");
    }
}
