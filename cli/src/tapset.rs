//! Folders of library files that `-I` names.

use std::fs;
use std::path::Path;
use tapster_compiler::library::Extra;

/// The files of folders, in SystemTap's order: those of a folder, then those of `linux` and of this processor's folder in
/// it. A folder that is not there holds nothing.
pub fn read(folders: &[String]) -> Vec<Extra> {
    let arch = std::env::consts::ARCH;
    let arch = if arch == "aarch64" { "arm64" } else { arch };
    let mut files = Vec::new();
    for folder in folders {
        for part in ["", "linux", arch, &format!("linux/{arch}")] {
            files.extend(files_in(&Path::new(folder).join(part)));
        }
    }
    files
}

fn files_in(folder: &Path) -> Vec<Extra> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "stp" || extension == "stpm"));
    paths.sort();
    let file = |path: std::path::PathBuf| Some(Extra::new(path.display().to_string(), fs::read(&path).ok()?));
    paths.into_iter().filter_map(file).collect()
}
