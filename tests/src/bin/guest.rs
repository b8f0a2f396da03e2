//! Runs jobs inside a booted guest, as `live` does on this machine: `guest CASES NAMES-FILE`.
//!
//! Progress goes to standard output, a line an event, for `lab::session` to read on the other side of a serial port.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use tapster_tests::facts::Facts;
use tapster_tests::job::{self, Env, Job};
use tapster_tests::lab::image::BIN;
use tapster_tests::lab::session::Event;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cases, names] = arguments.as_slice() else {
        return ExitCode::from(2);
    };
    let names = std::fs::read_to_string(names).expect("the host wrote the list");
    let mut jobs: BTreeMap<String, Job> =
        job::kernel_jobs(Path::new(cases)).into_iter().map(|job| (job.name.clone(), job)).collect();
    let bin = Path::new(BIN);
    // Emulation makes everything some ten times slower, sleeping excepted.
    let env =
        Env { tapster: bin.join("tapster"), helpers: bin.into(), facts: Facts::probe(), patience: 3, bless: false };
    // In the host's order: it puts last what took the guest down before.
    for job in names.lines().filter_map(|name| jobs.remove(name)) {
        tell(&Event::Start(job.name.clone()));
        let started = Instant::now();
        let verdict = job.run(&env);
        tell(&Event::End(job.name, started.elapsed().as_secs(), verdict));
    }
    ExitCode::SUCCESS
}

fn tell(event: &Event) {
    let mut stdout = std::io::stdout().lock();
    // Without a port there is nobody to tell so.
    let _ = stdout.write_all(event.line().as_bytes());
    let _ = stdout.flush();
}
