//! Cases and scenarios on the kernel of this machine, as root, one at a time: they watch the same events.

use std::process::ExitCode;

use tapster_tests::suite::{self, Skips};
use tapster_tests::{job, workspace};

fn main() -> ExitCode {
    let skips = Skips::default();
    let trials = suite::here(job::kernel_jobs(&workspace::cases()), &skips);
    suite::run("live", 1, &skips, trials)
}
