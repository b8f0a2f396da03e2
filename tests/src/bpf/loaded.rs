//! Which programs the kernel holds, and which processes hold them: what `bpftool prog` answers, without bpftool.
//!
//! A program that stays when its process is gone was pinned, or an attachment keeps it. On a machine where others load
//! programs too, new ids prove nothing by themselves; ids that *no process* holds do.

use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::sys::{self, ProgramInfo};

/// Ids of all loaded programs.
pub fn ids() -> BTreeSet<u32> {
    std::iter::successors(sys::next_program(0), |&id| sys::next_program(id)).collect()
}

/// What is loaded, as far as it can still be asked.
pub fn programs(ids: &BTreeSet<u32>) -> Vec<ProgramInfo> {
    let info = |&id| sys::program_by_id(id).and_then(|fd| sys::program_info(&fd)).ok();
    ids.iter().filter_map(info).collect()
}

/// Programs that a process holds by descriptors of programs or links.
pub fn held_by(pid: u32) -> BTreeSet<u32> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return BTreeSet::new();
    };
    let texts = descriptors.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    texts.flat_map(|text| program_ids(&text)).collect()
}

/// `prog_id:` lines of one fdinfo file.
fn program_ids(fdinfo: &str) -> Vec<u32> {
    let ids = fdinfo.lines().filter_map(|line| line.strip_prefix("prog_id:"));
    ids.filter_map(|id| id.trim().parse().ok()).collect()
}

/// Programs newer than `before` that no process holds, after the kernel has had time to free them.
pub fn leaked_since(before: &BTreeSet<u32>) -> Vec<ProgramInfo> {
    // Freeing waits for RCU grace periods, under emulation for long ones.
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let new: BTreeSet<u32> = ids().difference(before).copied().collect();
        let orphans: BTreeSet<u32> = if new.is_empty() { new } else { new.difference(&held()).copied().collect() };
        let leaked = programs(&orphans);
        if leaked.is_empty() || Instant::now() > deadline {
            return leaked;
        }
        sleep(Duration::from_millis(50));
    }
}

/// Programs that any process holds.
fn held() -> BTreeSet<u32> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return BTreeSet::new();
    };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.flat_map(held_by).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fdinfo_names_programs() {
        let text = "pos:\t0\nlink_type:\traw_tracepoint\nprog_tag:\t3918c82a5f4c0360\nprog_id:\t41\n";
        assert_eq!(program_ids(text), [41]);
        assert!(program_ids("pos:\t0\nmap_id:\t3\n").is_empty());
    }
}
