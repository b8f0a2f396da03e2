//! Cases that need nothing of the kernel and no privilege.

use std::process::ExitCode;

use tapster_tests::suite::{self, Skips};
use tapster_tests::{job, workspace};

fn main() -> ExitCode {
    let skips = Skips::default();
    let trials = suite::here(job::compile_jobs(&workspace::cases()), &skips);
    suite::run("compile", 2, &skips, trials)
}
