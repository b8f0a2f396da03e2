//! The kernels of the matrix, and how each is got.
//!
//! One that has been unpacked stays until `target/lab/kernels` is removed, so a machine without a network still has it.

use std::fs;
use std::path::{Path, PathBuf};

use super::apt::Suite;
use super::{Scratch, extras, vmlinux};

/// A row of the matrix.
#[derive(Debug)]
pub struct Row {
    /// What trials are named after.
    pub name: &'static str,
    /// The suite of Debian that it comes from.
    pub suite: &'static str,
    package: (&'static str, &'static str),
    /// Its absence is a failure, not a skip.
    pub required: bool,
    /// Its guests have [`FAMILIES`]: what stands there takes minutes to try, so one kernel does.
    families: bool,
}

/// The matrix; packages by pattern, because point releases vanish from the archive.
pub const MATRIX: &[Row] = &[
    Row {
        name: "6.1",
        suite: "bookworm",
        package: ("linux-image-6.1.", "-cloud-amd64-unsigned"),
        required: true,
        families: false,
    },
    Row {
        name: "6.12",
        suite: "trixie",
        package: ("linux-image-6.12.", "-cloud-amd64-unsigned"),
        required: false,
        families: true,
    },
    // The kernel alone: 14 MB. The image package of this suite has signed parts only.
    Row { name: "7.2", suite: "testing", package: (KERNEL_ALONE, "-cloud-amd64"), required: false, families: false },
];

/// How a package begins that has a kernel without its modules, and the one that has those.
const KERNEL_ALONE: &str = "linux-binary-7.2.";
const MODULES_ALONE: &str = "linux-modules-7.2.";

/// Modules that guests load, in this order: an empty block device that tells in tracepoints and structures of its own
/// what it does, and what it needs.
pub const MODULES: &[&str] = &["configfs", "null_blk"];

/// Modules whose functions families of aliases stand at. A test that wants them loads them.
pub const FAMILIES: &[&str] = &["sd_mod", "scsi_debug", "bridge", "veth", "nfsv3", "nfsv4", "nfsd"];

/// The file that has their names, with those that they need, in the order in which they are loaded.
const FAMILY_ORDER: &str = "families";

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// What trials are named after.
    pub name: &'static str,
    /// The package it came in.
    pub package: String,
    /// An ELF file with a PVH note.
    pub vmlinux: PathBuf,
    /// Those of [`MODULES`], as ELF files.
    pub modules: Vec<PathBuf>,
    /// Those of [`FAMILIES`] behind those that they need.
    pub families: Vec<PathBuf>,
}

impl Row {
    /// The kernel, fetched if it is not here yet.
    pub fn kernel(&self) -> Result<Kernel, String> {
        let _held = super::lock().map_err(|e| format!("lab: {e}"))?;
        let folder = super::folder().join("kernels").join(self.name);
        let modules: Vec<PathBuf> = MODULES.iter().map(|name| folder.join(format!("{name}.ko"))).collect();
        let order = folder.join(FAMILY_ORDER);
        if !order.exists() || !modules.iter().all(|module| module.exists()) {
            let _ = fs::remove_dir_all(&folder);
            eprintln!("lab: fetching kernel {} from Debian {}", self.name, self.suite);
            self.fetch(&folder).map_err(|e| format!("kernel {} cannot be had: {e}", self.name))?;
        }
        let package = fs::read_to_string(folder.join("package")).map_err(|e| format!("lab: {e}"))?;
        let families = fs::read_to_string(order).map_err(|e| format!("lab: {e}"))?;
        let families = families.lines().map(|name| folder.join(name)).collect();
        Ok(Kernel { name: self.name, package, vmlinux: folder.join("vmlinux"), modules, families })
    }

    /// Makes `folder`, whole or not at all.
    fn fetch(&self, folder: &Path) -> Result<(), String> {
        let suite = Suite::update(self.suite, super::folder().join("apt").join(self.suite))?;
        let package = suite.newest(self.package.0, self.package.1)?;
        let scratch = Scratch::new().map_err(|e| e.to_string())?;
        let unpacked = scratch.path().join("package");
        suite.unpack(&package, &unpacked)?;
        // `boot/vmlinuz-VERSION`, or, in newer packages, `usr/lib/modules/VERSION/vmlinuz`.
        let image = find(&unpacked, "vmlinuz").ok_or_else(|| format!("{package} holds no vmlinuz"))?;
        let done = scratch.path().join("done");
        fs::create_dir_all(&done).map_err(|e| e.to_string())?;
        vmlinux::extract(&image, &done.join("vmlinux"))?;
        if package.starts_with(KERNEL_ALONE) {
            suite.unpack(&package.replacen(KERNEL_ALONE, MODULES_ALONE, 1), &unpacked)?;
        }
        for name in MODULES {
            let file =
                find(&unpacked, &format!("{name}.ko")).ok_or_else(|| format!("{package} has no module {name}"))?;
            vmlinux::copy(&file, &done.join(format!("{name}.ko")))?;
        }
        let families = if self.families { FAMILIES } else { &[] };
        let order = extras::unpack_modules(&unpacked, families, &done)?;
        fs::write(done.join(FAMILY_ORDER), order.join("\n")).map_err(|e| e.to_string())?;
        fs::write(done.join("package"), &package).map_err(|e| e.to_string())?;
        fs::create_dir_all(folder.parent().expect("below the lab")).map_err(|e| e.to_string())?;
        fs::rename(done, folder).map_err(|e| e.to_string())
    }
}

/// A file whose name begins so, in a folder or below.
pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.map(|e| e.path()).partition(|path| path.is_dir());
    let is_it = |path: &PathBuf| path.file_name().is_some_and(|own| own.to_string_lossy().starts_with(name));
    files.into_iter().find(is_it).or_else(|| folders.iter().find_map(|folder| find(folder, name)))
}
