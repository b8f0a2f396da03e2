//! Where programs and libraries lie.

use crate::sys::memory::FileBytes;
use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where libraries lie that the linker's configuration does not name (ld.so(8)); Debian's linker has its own.
#[cfg(target_arch = "x86_64")]
const LIBRARY_FOLDERS: &[&str] =
    &["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// See above.
#[cfg(target_arch = "aarch64")]
const LIBRARY_FOLDERS: &[&str] =
    &["/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
/// The linker's configuration.
const LINKER_CONFIGURATION: &str = "/etc/ld.so.conf";
/// Files that include others, each within the one before.
const NESTING_MAX: u32 = 8;

/// The bytes of a regular file.
pub fn bytes(path: &str) -> Option<FileBytes> {
    let is_file = fs::metadata(path).is_ok_and(|file| file.is_file());
    is_file.then(|| FileBytes::open(path).ok()).flatten()
}

/// The file behind a path, or behind a command that is looked for in `$PATH`.
pub fn executable(name: &str) -> Option<String> {
    if name.contains('/') {
        return real(Path::new(name));
    }
    let is_command =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(is_command).and_then(|path| real(&path))
}

/// The file that a process runs. One that cannot be reached by its path, because it was replaced or lies in another
/// namespace, is reached through the process.
pub fn program_of(pid: u32) -> Option<String> {
    let link = format!("/proc/{pid}/exe");
    let path = fs::read_link(&link).ok()?;
    let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    match (fs::metadata(&path), fs::metadata(&link)) {
        (Ok(by_path), Ok(by_link)) if same(&by_path, &by_link) => path.into_os_string().into_string().ok(),
        (_, Ok(_)) => Some(link),
        _ => None,
    }
}

/// The device and number of a file's inode, the device as `s_dev` of `struct super_block` has it
/// (include/linux/kdev_t.h).
pub fn identity(path: &str) -> Option<(u32, u64)> {
    let file = fs::metadata(path).ok()?;
    let (major, minor) = (libc::major(file.dev()), libc::minor(file.dev()));
    Some((major << 20 | minor, file.ino()))
}

/// The library with this name.
pub fn library(name: &str, folders: &[String]) -> Option<String> {
    if name.contains('/') {
        return real(Path::new(name));
    }
    let configured = || {
        let mut folders = Vec::new();
        configuration(Path::new(LINKER_CONFIGURATION), NESTING_MAX, &mut folders);
        folders
    };
    let own = folders.iter().map(PathBuf::from);
    let mut all = own.chain(configured()).chain(LIBRARY_FOLDERS.iter().map(PathBuf::from));
    all.find_map(|folder| real(&folder.join(name)))
}

/// The folders that a file of the linker's configuration names.
fn configuration(file: &Path, nesting: u32, folders: &mut Vec<PathBuf>) {
    let text = fs::read_to_string(file).unwrap_or_default();
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        match line.strip_prefix("include ") {
            Some(pattern) if nesting > 0 => {
                included(Path::new(pattern.trim())).iter().for_each(|file| configuration(file, nesting - 1, folders));
            }
            None if !line.is_empty() => folders.push(line.into()),
            _ => {}
        }
    }
}

/// The files that a pattern `FOLDER/*.END` names, in order.
fn included(pattern: &Path) -> Vec<PathBuf> {
    let end = pattern.file_name().and_then(|name| name.to_str()?.strip_prefix('*')).unwrap_or_default().to_owned();
    let entries = pattern.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let named = |path: &PathBuf| path.to_string_lossy().ends_with(&end);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(named).collect();
    files.sort();
    files
}

/// A file that exists, free of links.
fn real(path: &Path) -> Option<String> {
    let real = fs::canonicalize(path).ok().filter(|path| path.is_file())?;
    real.into_os_string().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_runs_the_file_it_was_started_from() {
        let own = env::current_exe().expect("this test").canonicalize().expect("a file");
        assert_eq!(program_of(std::process::id()).as_deref(), own.to_str());
        assert_eq!(program_of(u32::MAX), None);
    }

    #[test]
    fn commands_are_looked_for_and_links_followed() {
        let shell = executable("sh").expect("there is a shell");
        assert_eq!(executable("/bin/sh").as_deref(), Some(shell.as_str()));
        assert!(!fs::symlink_metadata(&shell).expect("a file").is_symlink());
        assert_eq!((executable("no such command"), executable("/proc/self"), executable("")), (None, None, None));
    }

    #[test]
    fn libraries_lie_where_this_process_has_mapped_them() {
        let maps = fs::read_to_string("/proc/self/maps").expect("maps");
        let Some(libc) =
            maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("/libc.so"))
        else {
            return; // Linked statically.
        };
        assert_eq!(library("libc.so.6", &[]).as_deref(), Some(libc));
    }
}
