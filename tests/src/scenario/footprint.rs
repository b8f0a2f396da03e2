//! What a script's maps take of memory is what the kernel says of each of them.

use std::collections::BTreeMap;
use std::fs;

use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::scenario::scripts::script;

/// Scripts that stay on, with arguments.
const ALWAYS_ON: [&[&str]; 3] = [&["slab-by-site.stp"], &["slab-leak.stp", "*"], &["oom-report.stp"]];

/// The line of `-v` is the sum of what the kernel counts for the maps that the process holds, and no event adds to it:
/// `-t` says the same at the end.
pub fn is_told(env: &Env, _: Option<Rung>) -> Result<(), String> {
    ALWAYS_ON.iter().try_for_each(|words| {
        let mut command = env.command();
        command.args(["-v", "-t"]).arg(script(words[0])?).args(&words[1..]);
        let running = Running::start(&mut command).map_err(|e| format!("tapster: {e}"))?;
        let (running, before) = running.until_line("attached", env.seconds(20))?;
        let told = before.iter().find_map(|line| told(line)).ok_or_else(|| format!("nothing is told: {before:?}"))?;
        let maps = maps_of(running.pid());
        running.signal(libc::SIGINT);
        let printed = running.finish(env.seconds(40))?;
        let held: u64 = maps.values().sum();
        // What reads the kernel's memory for user space has a map of 4 KiB, which is none of the script's.
        if !(told..=told + 16).contains(&(held / 1024)) {
            return Err(format!("{}: told {told} kB, the kernel counts {held} bytes: {maps:?}", words[0]));
        }
        match printed.stderr.lines().filter_map(self::told).eq([told, told]) {
            true => Ok(()),
            false => Err(format!("{}: not the same at the end\n{}", words[0], printed.transcript())),
        }
    })
}

/// Kilobytes of such a line.
fn told(line: &str) -> Option<u64> {
    line.strip_prefix("maps take ")?.split_once(" kB of the kernel's memory: ")?.0.parse().ok()
}

/// The bytes of each map that a process holds, by its number.
fn maps_of(pid: u32) -> BTreeMap<u64, u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let texts = descriptors.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.filter_map(|text| Some((field(&text, "map_id:")?, field(&text, "memlock:")?))).collect()
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}
