//! `shrinkers.stp` says of a file system's names and files what was made there.

use std::fs;
use std::path::Path;

use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::scenario::disk::Disk;
use crate::scenario::oom::number;
use crate::scenario::scripts::script;

/// Each is a name and an inode, which the shrinker of the file system counts as an object each.
const FILES: u64 = 4000;

/// Its shrinker is asked for all of them and frees them, and the kernel has so many names less.
pub fn of_a_file_system(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let folder = Path::new("/tmp/tapster-names");
    let _mounted = Disk::new("names", 64)?.mounted(folder)?;
    let mut keep = env.bare(&env.helpers.join("leak"));
    keep.args(["keep", &FILES.to_string(), "0", "files"]).current_dir(folder);
    let made = Running::start(&mut keep).map_err(|e| format!("leak: {e}"))?.finish(env.seconds(60))?;
    if made.exit != 0 {
        return Err(made.transcript());
    }
    let before = dentries()?;
    let fruitful = traced(env)?;
    let gone = before.saturating_sub(dentries()?);
    let freed = freed(&fruitful, "super_cache_scan of names").ok_or_else(|| format!("no line of it\n{fruitful}"))?;
    if !(2 * FILES..=2 * FILES + 16).contains(&freed) {
        return Err(format!("{FILES} names with as many inodes were freed, not {freed}\n{fruitful}"));
    }
    // Others look up names meanwhile: a tenth.
    let close = gone >= FILES - FILES / 10;
    if close { Ok(()) } else { Err(format!("the kernel has {gone} names less\n{fruitful}")) }
}

/// What the script prints while all that can be is dropped.
fn traced(env: &Env) -> Result<String, String> {
    let mut command = env.command();
    command.arg("-v").arg(script("shrinkers.stp")?).arg("3600");
    let running = Running::start(&mut command).map_err(|e| format!("tapster: {e}"))?;
    let (running, _) = running.until_line("attached", env.seconds(20))?;
    fs::write("/proc/sys/vm/drop_caches", "2").map_err(|e| format!("drop_caches: {e}"))?;
    running.signal(libc::SIGINT);
    let printed = running.finish(env.seconds(20))?;
    if printed.exit == 0 { Ok(printed.stdout) } else { Err(printed.transcript()) }
}

/// The column FREED of a shrinker.
fn freed(table: &str, shrinker: &str) -> Option<u64> {
    let row = table.lines().find(|line| line.trim_end().ends_with(shrinker))?;
    row.split_whitespace().nth(3)?.parse().ok()
}

/// All names that the kernel remembers.
fn dentries() -> Result<u64, String> {
    let state = fs::read_to_string("/proc/sys/fs/dentry-state").map_err(|e| format!("dentry-state: {e}"))?;
    number(&format!(" {state}"), " ")
}
