//! The processes that hold most memory, in order.

use std::cmp::Reverse;
use std::fs;
use std::path::Path;

/// The processes of the machine, the largest first, once a handler has asked.
#[derive(Debug, Default)]
pub struct Largest(Option<Vec<(u64, i64)>>);

impl Largest {
    /// A handler starts: it sees the processes as they are now.
    pub fn look_again(&mut self) {
        self.0 = None;
    }

    /// The process that stands at this place, counted from 1; 0 behind the last.
    pub fn nth(&mut self, number: i64) -> i64 {
        let all = self.0.get_or_insert_with(processes);
        let nth = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        nth.and_then(|nth| all.get(nth)).map_or(0, |process| process.1)
    }
}

/// Pages in memory and process id, sorted. Threads of the kernel have no memory of their own and are left out.
fn processes() -> Vec<(u64, i64)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pid = |name: &std::ffi::OsStr| name.to_str()?.parse().ok();
    let mut all: Vec<(u64, i64)> = entries
        .filter_map(|entry| Some((resident(&entry.path())?, pid(&entry.file_name())?)))
        .filter(|process| process.0 > 0)
        .collect();
    all.sort_by_key(|&(pages, pid)| (Reverse(pages), pid));
    all
}

/// The second word of `statm` (man 5 proc_pid_statm); none of a process that is gone.
fn resident(process: &Path) -> Option<u64> {
    fs::read_to_string(process.join("statm")).ok()?.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_them_and_none_is_larger_than_the_one_before() {
        let mut largest = Largest::default();
        let pids: Vec<i64> = (1..).map(|n| largest.nth(n)).take_while(|pid| *pid != 0).collect();
        assert!(pids.contains(&i64::from(std::process::id())));
        assert_eq!([largest.nth(0), largest.nth(-1)], [0, 0]);
        let all = largest.0.expect("looked");
        assert!(all.is_sorted_by_key(|process| Reverse(process.0)));
    }
}
