//! Each script of `scripts/oneliners/`, and some others, name who does what they ask for.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::case::expect::Printed;
use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::scenario::disk::Disk;
use crate::scenario::scripts::script;

/// A script, what a shell does meanwhile, and words of a line that is due then.
type Row = (&'static str, &'static str, &'static [&'static str]);

const PROCESSES: &[Row] = &[
    ("exits", "sh -c 'exit 7'; exit 0", &["sh ", "status 7, signal 0"]),
    ("forks", "storm --rounds 20 --workers 1", &[" tpstorm0"]),
    ("migrations", "taskset 1 taskset 2 taskset 1 true", &[" taskset to CPU 1"]),
    ("switches", "storm --rounds 20 --workers 1", &[" tpstorm0"]),
    ("syscalls", "dd if=/dev/zero of=/dev/null bs=1 count=20000 2>/dev/null", &[" dd write"]),
];

const MEMORY: &[Row] = &[
    ("kmalloc-sizes", "storm --rounds 20", &["|@@@"]),
    ("kmalloc-waste", "storm --rounds 20", &["kB ", "+0x"]),
    ("page-faults", "storm --rounds 20 --workers 1", &[" tpstorm0"]),
    ("page-orders", "storm --rounds 20 --workers 1", &["order  0 ", " tpstorm0"]),
];

const REST: &[Row] = &[
    ("bytes-read", "dd if=/dev/zero of=/dev/null bs=1048576 count=50 2>/dev/null", &["MB dd"]),
    ("softirqs", "sleep 1", &["TIMER ", " us on average"]),
    ("work-queues", "sleep 3", &["_"]),
];

/// Names of those that need nothing of the machine.
pub fn everywhere() -> impl Iterator<Item = &'static str> {
    [PROCESSES, MEMORY, REST].into_iter().flatten().map(|row| row.0)
}

/// Who starts, ends, is moved and calls.
pub fn of_processes(env: &Env, _: Option<Rung>) -> Result<(), String> {
    all(env, PROCESSES)
}

/// Who takes memory.
pub fn of_memory(env: &Env, _: Option<Rung>) -> Result<(), String> {
    all(env, MEMORY)
}

/// Files, interrupts and what waits in queues. `retransmits.stp` has a case.
pub fn of_the_rest(env: &Env, _: Option<Rung>) -> Result<(), String> {
    all(env, REST)
}

/// The processes of a load end before its script does: all that they did is told of.
fn all(env: &Env, rows: &[Row]) -> Result<(), String> {
    rows.iter().try_for_each(|(name, load, words)| one(env, name, load, words).map_err(|why| format!("{name}: {why}")))
}

fn one(env: &Env, name: &str, load: &str, words: &[&str]) -> Result<(), String> {
    let printed = told(env, name, load)?;
    let is_due = |line: &str| words.iter().all(|word| line.contains(word));
    if printed.stdout.lines().any(is_due) {
        Ok(())
    } else {
        Err(format!("no line {words:?}\n{}", printed.transcript()))
    }
}

fn told(env: &Env, name: &str, load: &str) -> Result<Printed, String> {
    // Those that end by themselves after five seconds shall wait for the load.
    let path = script(&format!("oneliners/{name}.stp"))?;
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut command = env.command();
    command.args(["-v", "-e", &text.replace("timer.s(5)", "timer.s(3600)")]);
    during(env, &mut command, load)
}

/// What a script prints that runs while a shell does this.
fn during(env: &Env, command: &mut Command, load: &str) -> Result<Printed, String> {
    let running = Running::start(command).map_err(|e| format!("tapster: {e}"))?;
    let (running, _) = running.until_line("attached", env.seconds(20))?;
    let mut shell = env.bare(Path::new("/bin/sh"));
    let loaded = Running::start(shell.args(["-c", load])).map_err(|e| format!("sh: {e}"))?.finish(env.seconds(60))?;
    running.signal(libc::SIGINT);
    let printed = running.finish(env.seconds(20))?;
    if loaded.exit != 0 {
        return Err(format!("`{load}` exits {}\n{}", loaded.exit, loaded.transcript()));
    }
    if printed.exit == 0 { Ok(printed) } else { Err(printed.transcript()) }
}

/// `biolatency.stp` counts the requests that a disk was given.
pub fn requests_of_a_disk(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let _disk = Disk::new("requests", 16)?;
    let mut command = env.command();
    command.arg("-v").arg(script("biolatency.stp")?).arg("3600");
    let load = "dd if=/dev/requests of=/dev/null bs=65536 count=64 iflag=direct 2>/dev/null";
    let printed = during(env, &mut command, load)?;
    let is_due = |line: &str| line.starts_with("requests: 64 reads, in microseconds: average ");
    if printed.stdout.lines().any(is_due) { Ok(()) } else { Err(printed.transcript()) }
}

/// kswapd is woken where memory gets short; pages of a disk that is read come into memory.
pub fn of_little_memory(env: &Env, _: Option<Rung>) -> Result<(), String> {
    one(env, "kswapd", "eat 2000; exit 0", &[" wakes kswapd: order 0, "])?;
    let _disk = Disk::new("pages", 16)?;
    one(env, "page-cache", "dd if=/dev/pages of=/dev/null bs=65536 2>/dev/null", &[" dd"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_them_is_tried() {
        let folder = crate::workspace::root().join("scripts/oneliners");
        let files = fs::read_dir(folder).expect("it is part of the project");
        let mut names: Vec<String> = files
            .map(|file| {
                file.expect("it can be read").path().file_stem().expect("it has a name").to_string_lossy().into_owned()
            })
            .collect();
        let mut tried: Vec<String> = everywhere()
            .map(str::to_owned)
            .chain(["kswapd".into(), "page-cache".into(), "retransmits".into()])
            .collect();
        names.sort();
        tried.sort();
        assert_eq!(names, tried);
    }
}
