//! What the shipped scripts say is what the kernel says of itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::facts::Rung;
use crate::job::Env;
use crate::process::Running;
use crate::scenario::oneliners;

/// Every script compiles for this kernel, and its verifier accepts what comes of it: those that no other test runs here.
pub fn all_compile(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let folder = script("slab.stp")?.parent().map(PathBuf::from).unwrap_or_default();
    let mut scripts = Vec::new();
    list(&folder, &mut scripts)?;
    let tried = tried_anyway()?;
    let left = |path: &&PathBuf| !tried.contains(&path.file_name().unwrap_or_default().display().to_string());
    for path in scripts.iter().filter(left) {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut command = env.bare(Path::new("/bin/sh"));
        let line = format!("exec {} -p4 {} {}", env.tapster.display(), path.display(), sample_arguments(&text));
        command.arg("-c").arg(line);
        let running = Running::start(&mut command).map_err(|e| format!("tapster: {e}"))?;
        let printed = running.finish(env.seconds(20))?;
        if printed.exit != 0 {
            return Err(format!("{}: {}", path.display(), printed.transcript()));
        }
    }
    if scripts.len() > 1 { Ok(()) } else { Err(format!("{} has no scripts", folder.display())) }
}

/// File names of those that cases run, and of one-liners that run everywhere.
fn tried_anyway() -> Result<Vec<String>, String> {
    let places = [crate::workspace::cases(), PathBuf::from(crate::lab::image::CASES)];
    let folder = places.into_iter().find(|place| place.exists()).ok_or("the cases are not here")?.join("scripts");
    let mut tried: Vec<String> = oneliners::everywhere().map(|name| format!("{name}.stp")).collect();
    for entry in fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| e.to_string())?.path();
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let run = text.split_once("//! args: ../../../scripts/").and_then(|(_, rest)| rest.split_whitespace().next());
        tried.extend(run.map(str::to_owned));
    }
    Ok(tried)
}

/// Those that the header's sample was made with: `Sample output (tapster slab-leak.stp '*' 3, …`.
fn sample_arguments(text: &str) -> &str {
    let sample = text.split_once("Sample output (tapster ").map_or("", |(_, rest)| rest);
    sample.split(", ").next().and_then(|command| command.split_once(".stp ")).map_or("", |(_, arguments)| arguments)
}

fn list(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), String> {
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_dir() {
            list(&path, into)?;
        } else if path.extension().is_some_and(|end| end == "stp") {
            into.push(path);
        }
    }
    Ok(())
}

/// `slab-top.stp` shows the largest caches of /proc/slabinfo, as large as they are there.
pub fn slab_top(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let before = slabinfo()?;
    let mut command = env.command();
    command.args(["-T", "1"]).arg(script("slab-top.stp")?);
    let running = Running::start(&mut command).map_err(|e| format!("tapster: {e}"))?;
    let printed = running.finish(env.seconds(20))?;
    if printed.exit != 0 {
        return Err(format!("tapster exits {}\n{}", printed.exit, printed.transcript()));
    }
    let told: Vec<(String, u64)> = printed.stdout.lines().filter_map(told).collect();
    let mut largest: Vec<(&String, &u64)> = before.iter().collect();
    largest.sort_by_key(|(_, bytes)| std::cmp::Reverse(**bytes));
    // Caches of nearly one size may change places while we look.
    for (name, bytes) in largest.into_iter().take(3) {
        let Some((_, ours)) = told.iter().find(|(cache, _)| cache == name) else {
            return Err(format!("{name} has {bytes} bytes, and is not shown\n{}", printed.transcript()));
        };
        // Three digits are shown, and caches grow while we look: a twentieth, or a megabyte.
        if ours.abs_diff(*bytes) > bytes / 20 + (1 << 20) {
            return Err(format!("{name} has {bytes} bytes, shown are {ours}\n{}", printed.transcript()));
        }
    }
    if told.len() == 10 { Ok(()) } else { Err(format!("{} caches are shown\n{}", told.len(), printed.transcript())) }
}

/// A script of the project, which a booted kernel has, too.
pub fn script(name: &str) -> Result<PathBuf, String> {
    let places = [crate::workspace::root().join("scripts"), PathBuf::from("/scripts")];
    let paths = places.map(|place| place.join(name));
    paths.into_iter().find(|path| path.exists()).ok_or_else(|| format!("{name} is not here"))
}

/// Name and bytes of a line such as `203.0 MB  0  181902  100 %  yes  ext4_inode_cache`.
fn told(line: &str) -> Option<(String, u64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let unit = match *words.get(1)? {
        "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return None,
    };
    let at = words.iter().position(|word| matches!(*word, "yes" | "no"))?;
    let size: f64 = words[0].parse().ok()?;
    Some(((*words.get(at + 1)?).to_owned(), (size * f64::from(unit)) as u64))
}

/// Bytes of the pages of each cache.
fn slabinfo() -> Result<BTreeMap<String, u64>, String> {
    let text = fs::read_to_string("/proc/slabinfo").map_err(|e| format!("/proc/slabinfo: {e}"))?;
    let cache = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (pages, slabs): (u64, u64) = (words.get(5)?.parse().ok()?, words.get(14)?.parse().ok()?);
        Some((words[0].to_owned(), pages * slabs * 4096))
    };
    Ok(text.lines().skip(2).filter_map(cache).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_back() {
        let line = "   172.0 MB          0    1717482    98 %  yes      buffer_head (and 1 merged with it)";
        assert_eq!(told(line), Some(("buffer_head".into(), 172 << 20)));
        assert_eq!(sample_arguments("# Sample output (tapster a.stp '*' 3, 2026-11-22, Linux 6.18):"), "'*' 3");
        assert_eq!(sample_arguments("# Sample output (tapster a.stp, 2026-11-22, Linux 6.18):"), "");
        assert_eq!(told("       SIZE     CHANGE    OBJECTS  IN USE  RECLAIM  CACHE"), None);
    }
}
