//! The kernels of the matrix, and how each is got.
//!
//! One that has been unpacked stays until `target/lab/kernels` is removed, so a machine without a network still has it.

use std::fs;
use std::path::{Path, PathBuf};

use super::apt::Suite;
use super::{Scratch, vmlinux};

/// A row of the matrix.
#[derive(Debug)]
pub struct Row {
    /// What trials are named after.
    pub name: &'static str,
    suite: &'static str,
    package: (&'static str, &'static str),
    /// Its absence is a failure, not a skip.
    pub required: bool,
}

/// The matrix; packages by pattern, because point releases vanish from the archive.
pub const MATRIX: &[Row] = &[
    Row { name: "6.1", suite: "bookworm", package: ("linux-image-6.1.", "-cloud-amd64-unsigned"), required: true },
    Row { name: "6.12", suite: "trixie", package: ("linux-image-6.12.", "-cloud-amd64-unsigned"), required: false },
    // The kernel alone, without a module: 14 MB. The image package of this suite has signed parts only.
    Row { name: "7.2", suite: "testing", package: ("linux-binary-7.2.", "-cloud-amd64"), required: false },
];

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// What trials are named after.
    pub name: &'static str,
    /// The package it came in.
    pub package: String,
    /// An ELF file with a PVH note.
    pub vmlinux: PathBuf,
}

impl Row {
    /// The kernel, fetched if it is not here yet.
    pub fn kernel(&self) -> Result<Kernel, String> {
        let _held = super::lock().map_err(|e| format!("lab: {e}"))?;
        let folder = super::folder().join("kernels").join(self.name);
        if !folder.exists() {
            eprintln!("lab: fetching kernel {} from Debian {}", self.name, self.suite);
            self.fetch(&folder).map_err(|e| format!("kernel {} cannot be had: {e}", self.name))?;
        }
        let package = fs::read_to_string(folder.join("package")).map_err(|e| format!("lab: {e}"))?;
        Ok(Kernel { name: self.name, package, vmlinux: folder.join("vmlinux") })
    }

    /// Makes `folder`, whole or not at all.
    fn fetch(&self, folder: &Path) -> Result<(), String> {
        let suite = Suite::update(self.suite, super::folder().join("apt").join(self.suite))?;
        let package = suite.newest(self.package.0, self.package.1)?;
        let scratch = Scratch::new().map_err(|e| e.to_string())?;
        let unpacked = scratch.path().join("package");
        suite.unpack(&package, &unpacked)?;
        let image = boot_image(&unpacked).ok_or_else(|| format!("{package} holds no vmlinuz"))?;
        let done = scratch.path().join("done");
        fs::create_dir_all(&done).map_err(|e| e.to_string())?;
        vmlinux::extract(&image, &done.join("vmlinux"))?;
        fs::write(done.join("package"), &package).map_err(|e| e.to_string())?;
        fs::create_dir_all(folder.parent().expect("below the lab")).map_err(|e| e.to_string())?;
        fs::rename(done, folder).map_err(|e| e.to_string())
    }
}

/// `boot/vmlinuz-VERSION`, or, in newer packages, `usr/lib/modules/VERSION/vmlinuz`.
fn boot_image(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.map(|e| e.path()).partition(|path| path.is_dir());
    let is_image = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"));
    files.into_iter().find(is_image).or_else(|| folders.iter().find_map(|folder| boot_image(folder)))
}
