//! The lab: stock kernels of other ages, booted in seconds in QEMU without hardware virtualisation.
//!
//! [`kernels`] gets them through [`apt`] into `target/lab/` and [`vmlinux`] unpacks them, [`extras`] has what
//! else Debian has of them, [`userland`] of programs; [`image`] packs a root file system, in the format of [`cpio`], with the binary under test and
//! the corpus; [`qemu`] boots; [`session`] runs all jobs of one kernel in one boot. What each kernel offers is not written
//! down here: the runner in the guest finds out.

pub mod apt;
pub mod cpio;
pub mod extras;
pub mod image;
pub mod kernels;
pub mod qemu;
pub mod session;
pub mod userland;
pub mod vmlinux;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The lab's folder.
pub fn folder() -> PathBuf {
    crate::workspace::target().join("lab")
}

/// Holds the lab against other processes that fetch into it, until dropped.
pub fn lock() -> io::Result<File> {
    fs::create_dir_all(folder())?;
    let file = File::create(folder().join("lock"))?;
    file.lock()?;
    Ok(file)
}

/// A folder of this process under the lab, gone when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one.
    pub fn new() -> io::Result<Scratch> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let parent = folder().join("scratch");
        sweep(&parent);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("{}-{number}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Scratch(folder))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The next process sweeps up what stays.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes what interrupted processes left.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
