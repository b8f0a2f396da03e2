//! The live corpus on stock kernels, each booted once in QEMU when the first of its trials is due.
#![expect(clippy::print_stderr, reason = "progress, while a boot makes trials wait")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Trial};
use tapster_tests::job::{self, Verdict};
use tapster_tests::lab::kernels::{MATRIX, Row};
use tapster_tests::lab::session;
use tapster_tests::suite::{self, Skips};
use tapster_tests::workspace;

fn main() -> ExitCode {
    let skips = Skips::default();
    let arguments = Arguments::from_args();
    let names: Vec<String> = job::kernel_jobs(&workspace::cases()).into_iter().map(|job| job.name).collect();
    let trials = MATRIX.iter().flat_map(|row| trials(row, &names, &arguments, &skips)).collect();
    suite::run("booted", 1, &skips, trials)
}

/// What a boot gave: a verdict for each job, or why there was none for any.
type Results = OnceLock<Result<BTreeMap<String, Verdict>, Verdict>>;

fn trials(row: &'static Row, names: &[String], arguments: &Arguments, skips: &Skips) -> Vec<Trial> {
    let trial_name = |name: &String| format!("{}/{name}", row.name);
    // The boot comes before most trials, so what the command line leaves out is left out of it here.
    let wanted = names.iter().filter(|name| is_wanted(arguments, &trial_name(name)));
    let wanted: Arc<Vec<String>> = Arc::new(wanted.cloned().collect());
    let results: Arc<Results> = Arc::default();
    let trial = |name: &String| {
        let (wanted, results, skips) = (wanted.clone(), results.clone(), skips.clone());
        let (full, name) = (trial_name(name), name.clone());
        Trial::ignorable_test(full, move || {
            let verdict = match results.get_or_init(|| boot(row, &wanted)) {
                Ok(verdicts) => verdicts.get(&name).cloned().unwrap_or(Verdict::Fail("never ran".into())),
                Err(verdict) => verdict.clone(),
            };
            skips.complete(verdict)
        })
    };
    names.iter().map(trial).collect()
}

fn boot(row: &Row, jobs: &[String]) -> Result<BTreeMap<String, Verdict>, Verdict> {
    let tapster = workspace::tapster().map_err(Verdict::Fail)?;
    let absent = if row.required { Verdict::Fail } else { Verdict::Skip };
    session::tools().map_err(absent)?;
    let kernel = row.kernel().map_err(absent)?;
    eprintln!("booted: {} jobs on {}", jobs.len(), kernel.package);
    session::run(&kernel, &tapster, jobs).map_err(Verdict::Fail)
}

/// libtest's rule for names, which libtest-mimic keeps to itself.
fn is_wanted(arguments: &Arguments, name: &str) -> bool {
    let fits = |pattern: &String| if arguments.exact { name == pattern } else { name.contains(pattern.as_str()) };
    arguments.filter.as_ref().is_none_or(fits) && !arguments.skip.iter().any(fits)
}
