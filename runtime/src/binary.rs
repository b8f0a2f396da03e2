//! Where programs and libraries lie.

use crate::sys::file;
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

/// Whether a process runs, or has ended and nobody has been told yet.
pub fn is_there(pid: i64) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap_or(true)
}

/// The file that a process runs. One that cannot be reached by its path, because it was replaced or lies in another
/// namespace, is reached through the process.
pub fn program_of(pid: u32) -> Option<String> {
    let link = format!("/proc/{pid}/exe");
    let path = fs::read_link(&link).ok()?;
    match (fs::metadata(&path), fs::metadata(&link)) {
        (Ok(by_path), Ok(by_link)) if is_same(&by_path, &by_link) => path.into_os_string().into_string().ok(),
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

/// A file that exists, free of links: `/proc/PID/root/…`, whose links lead into another namespace, stays as it is.
pub fn real(path: &Path) -> Option<String> {
    let file = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let real = fs::canonicalize(path).ok().filter(|real| fs::metadata(real).is_ok_and(|real| is_same(&real, &file)));
    real.unwrap_or_else(|| path.into()).into_os_string().into_string().ok()
}

fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The files behind a pattern, of paths or of commands, each once and in order.
pub fn executables(pattern: &str) -> Vec<String> {
    let patterns = match (pattern.contains('/'), env::var_os("PATH")) {
        (true, _) | (_, None) => vec![PathBuf::from(pattern)],
        (false, Some(folders)) => env::split_paths(&folders).map(|folder| folder.join(pattern)).collect(),
    };
    let paths = patterns.iter().flat_map(|pattern| file::matching(pattern));
    let mut known: Vec<String> = paths.filter_map(|path| real(&path)).collect();
    known.sort();
    known.dedup();
    known
}

/// The library with this name below another root.
pub fn library_below(root: &str, name: &str, folders: &[String]) -> Option<String> {
    let at = |path: &Path| format!("{root}/{}", path.display());
    if name.contains('/') {
        return real(Path::new(&at(Path::new(name))));
    }
    let own = folders.iter().map(PathBuf::from);
    let mut all = own.chain(LIBRARY_FOLDERS.iter().map(PathBuf::from));
    // A link there leads on in the other namespace, where only the kernel can follow it: it is kept.
    all.find_map(|folder| real(Path::new(&at(&folder.join(name)))))
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
    fn patterns_stand_for_files_once() {
        let shell = executable("sh").expect("there is a shell");
        assert!(executables("s[h]").contains(&shell) && executables("/bin/?h").contains(&shell));
        assert_eq!(executables("/bin/nosuch*"), Vec::<String>::new());
    }

    #[test]
    fn what_lies_below_another_root_keeps_its_path() {
        let root = format!("/proc/{}/root", std::process::id());
        let shell = executable("/bin/sh").expect("there is a shell");
        // Our own root is no other one.
        assert_eq!(executable(&format!("{root}/bin/sh")), Some(shell));
        let library = library_below(&root, "libc.so.6", &[]);
        assert_eq!(library, library_of_root());
    }

    /// Where the linker's own folders have it.
    fn library_of_root() -> Option<String> {
        LIBRARY_FOLDERS.iter().find_map(|folder| real(&Path::new(folder).join("libc.so.6")))
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
