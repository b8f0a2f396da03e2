//! What else Debian has of a kernel: modules that guests do not load by themselves, how it was configured, and its debug
//! information. Fetched once, below the lab, for whoever asks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::apt::Suite;
use super::kernels::{Kernel, find};
use super::{Scratch, folder, lock, vmlinux};

/// What else there is of one kernel.
#[derive(Debug)]
pub struct Extras {
    /// The modules asked for behind those that they need, as ELF files.
    pub modules: Vec<PathBuf>,
    /// The text of its configuration.
    pub config: PathBuf,
    /// Its debug information, which names places in the source.
    pub debug: PathBuf,
    /// What `uname -r` says.
    pub release: String,
}

/// Names and sizes of a package's parts change; these do not.
const CONFIG: &str = "config";
const DEBUG: &str = "vmlinux.debug";
const RELEASE: &str = "release";
const ORDER: &str = "order";

/// Gets them, from the same version of the package that the kernel came in.
pub fn of(kernel: &Kernel, suite: &'static str, modules: &[&str]) -> Result<Extras, String> {
    let _held = lock().map_err(|error| format!("lab: {error}"))?;
    let place = folder().join("extras").join(kernel.name).join(&kernel.package);
    if !place.join(ORDER).exists() {
        eprintln!("lab: fetching modules and debug information of {}", kernel.package);
        fetch(kernel, suite, modules, &place).map_err(|why| format!("{} has no more: {why}", kernel.package))?;
    }
    let read = |name: &str| fs::read_to_string(place.join(name)).map_err(|error| format!("{name}: {error}"));
    let modules = read(ORDER)?.lines().map(|name| place.join(name)).collect();
    Ok(Extras { modules, config: place.join(CONFIG), debug: place.join(DEBUG), release: read(RELEASE)? })
}

fn fetch(kernel: &Kernel, suite: &'static str, modules: &[&str], place: &Path) -> Result<(), String> {
    let suite = Suite::update(suite, folder().join("apt").join(suite))?;
    let scratch = Scratch::new().map_err(|error| error.to_string())?;
    let (package, done) = (scratch.path().join("package"), scratch.path().join("done"));
    fs::create_dir_all(&done).map_err(|error| error.to_string())?;
    suite.unpack(&kernel.package, &package)?;
    let config = find(&package, "config-").ok_or("no configuration")?;
    let name = config.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let release = name.trim_start_matches("config-");
    fs::copy(&config, done.join(CONFIG)).map_err(|error| error.to_string())?;
    fs::write(done.join(RELEASE), release).map_err(|error| error.to_string())?;
    let order = unpack_modules(&package, modules, &done)?;
    suite.unpack(&kernel.package.replace("-unsigned", "-dbg"), &package)?;
    let symbols = find(&package.join("usr/lib/debug/boot"), "vmlinux-").ok_or("no debug information")?;
    only_debug(&symbols, &done.join(DEBUG))?;
    fs::write(done.join(ORDER), order.join("\n")).map_err(|error| error.to_string())?;
    fs::create_dir_all(place.parent().expect("below the lab")).map_err(|error| error.to_string())?;
    fs::rename(done, place).map_err(|error| error.to_string())
}

/// Writes these modules and those that they need to a folder; gives the files, in the order in which they are loaded.
pub fn unpack_modules(package: &Path, modules: &[&str], to: &Path) -> Result<Vec<String>, String> {
    let mut order: Vec<String> = Vec::new();
    let mut open: Vec<String> = modules.iter().rev().map(|name| (*name).to_owned()).collect();
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while let Some(name) = open.last().cloned() {
        let file = format!("{name}.ko");
        if !needs.contains_key(&name) {
            let packed = find(package, &file).ok_or_else(|| format!("no module {name}"))?;
            vmlinux::copy(&packed, &to.join(&file))?;
            let bytes = fs::read(to.join(&file)).map_err(|error| error.to_string())?;
            needs.insert(name.clone(), depends(&bytes));
            open.extend(needs[&name].iter().rev().filter(|needed| !needs.contains_key(*needed)).cloned());
        } else {
            open.pop();
            if !order.contains(&file) {
                order.push(file);
            }
        }
    }
    Ok(order)
}

/// The modules that a module says it needs (`depends=` among its words).
fn depends(module: &[u8]) -> Vec<String> {
    const WORD: &[u8] = b"\0depends=";
    let at = module.windows(WORD.len()).position(|bytes| bytes == WORD).map(|at| at + WORD.len());
    let list = at.and_then(|at| module[at..].split(|byte| *byte == 0).next()).unwrap_or_default();
    let names = String::from_utf8_lossy(list).into_owned();
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Leaves the code away: 40 MB that guests would carry.
fn only_debug(from: &Path, to: &Path) -> Result<(), String> {
    let status = Command::new("objcopy").arg("--only-keep-debug").args([from, to]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("objcopy: {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_says_what_it_needs() {
        assert_eq!(depends(b"x\0depends=scsi_mod,scsi_common\0y=1\0"), ["scsi_mod", "scsi_common"]);
        assert!(depends(b"x\0depends=\0y").is_empty());
        assert!(depends(b"").is_empty());
    }
}
