//! A disk in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Gone when dropped.
#[derive(Debug)]
pub struct Disk(&'static str);

impl Disk {
    /// `/dev/NAME`, of so many MiB, which take memory when they are written.
    pub fn new(name: &'static str, mib: u64) -> Result<Disk, String> {
        let disk = Disk(name);
        fs::create_dir(disk.settings()).map_err(|e| format!("{}: {e}", disk.settings().display()))?;
        for (name, value) in [("size", mib.to_string().as_str()), ("memory_backed", "1"), ("power", "1")] {
            fs::write(disk.settings().join(name), value).map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(disk)
    }

    /// The device is named as its folder.
    fn settings(&self) -> PathBuf {
        Path::new("/sys/kernel/config/nullb").join(self.0)
    }

    /// Runs a program that takes a device.
    pub fn given_to(&self, program: &str) -> Result<(), String> {
        run(Command::new(program).arg(Path::new("/dev").join(self.0)))
    }

    /// With a file system of the second extended kind, to be reached at `folder`.
    pub fn mounted(self, folder: &Path) -> Result<Mounted, String> {
        self.given_to("mke2fs")?;
        fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        run(Command::new("mount").args(["-t", "ext2"]).arg(Path::new("/dev").join(self.0)).arg(folder))?;
        Ok(Mounted { folder: folder.into(), _disk: self })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What was not made needs no end.
        let _ = fs::remove_dir(self.settings());
    }
}

/// A disk with a file system; unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    folder: PathBuf,
    _disk: Disk,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A mount that is busy stays; the guest ends soon.
        let _ = run(Command::new("umount").arg(&self.folder));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", said())) }
}
