//! Which file a build's number names, and which number the kernel has.

use crate::binary::real;
use crate::sys::memory::FileBytes;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use tapster_compiler::elf::{Elf, build_of, hexadecimal};

/// Where packages keep links from builds to their files.
const FOLDERS: &[&str] = &["/usr/lib/debug/.build-id", "/usr/lib/.build-id"];

/// The program or library of this build: by the links of packages, or among what processes have mapped.
pub fn file(id: &str) -> Option<String> {
    let (first, rest) = id.split_at_checked(2)?;
    let linked = FOLDERS.iter().find_map(|folder| real(Path::new(&format!("{folder}/{first}/{rest}"))));
    linked.or_else(|| mapped().find(|path| is_of(path, id)))
}

/// The running kernel's build.
pub fn of_kernel() -> Option<String> {
    let notes = fs::read("/sys/kernel/notes").ok()?;
    build_of(&notes).map(hexadecimal)
}

/// Files that processes execute, each once.
fn mapped() -> impl Iterator<Item = String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().into_string().ok()?.parse::<u32>().ok());
    let mut known: HashSet<String> = HashSet::new();
    let paths = pids.flat_map(|pid| {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        let code = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.contains('x')));
        let paths: Vec<String> = code.filter_map(|line| line.find('/').map(|at| line[at..].to_owned())).collect();
        // The process may see other files under that name than we do.
        paths.into_iter().map(move |path| match real(Path::new(&path)) {
            Some(own) => own,
            None => format!("/proc/{pid}/root{path}"),
        })
    });
    paths.filter(move |path| known.insert(path.clone()))
}

fn is_of(path: &str, id: &str) -> bool {
    let Ok(bytes) = FileBytes::open(path) else { return false };
    let own = Elf::new(bytes.bytes()).and_then(|elf| elf.build_id().map(hexadecimal));
    own.is_some_and(|own| own == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_found_by_its_build() {
        let maps = fs::read_to_string("/proc/self/maps").expect("maps");
        let Some(libc) =
            maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("/libc.so"))
        else {
            return; // Linked statically.
        };
        let bytes = fs::read(libc).expect("it is mapped");
        let id = Elf::new(&bytes).and_then(|elf| elf.build_id().map(hexadecimal)).expect("libc has one");
        assert_eq!(file(&id).as_deref(), Some(libc));
        assert_eq!(file("00112233445566778899aabbccddeeff"), None);
        assert_eq!(file("0"), None);
    }
}
