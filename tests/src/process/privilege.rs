//! Takes rights and files away from a program before it starts.
//!
//! Only what runs between fork and exec is here; it allocates nothing and calls only system calls.

use std::ffi::CString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::case::User;

const NOBODY: u32 = 65534;

/// Rights and files to take away.
#[derive(Debug)]
pub struct Restriction {
    /// Bits of the capabilities that are left, if the user changes.
    capabilities: Option<u64>,
    /// Path, and whether it is a folder.
    hidden: Vec<(CString, bool)>,
}

impl Restriction {
    /// Becomes this user and covers those of these paths that are there with nothing.
    pub fn new(user: &User, hide: &[String]) -> Restriction {
        let capabilities = match user {
            User::Same => None,
            User::Nobody(kept) => Some(kept.iter().fold(0, |set, bit| set | 1u64 << bit)),
        };
        let there = hide.iter().filter(|path| Path::new(path).exists());
        let hidden = there.filter_map(|path| Some((CString::new(path.as_str()).ok()?, Path::new(path).is_dir())));
        Restriction { capabilities, hidden: hidden.collect() }
    }

    /// Has it done in the child.
    pub fn apply(self, command: &mut Command) {
        if self.capabilities.is_none() && self.hidden.is_empty() {
            return;
        }
        // SAFETY: the closure makes system calls on memory prepared before the fork and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                hide(&self.hidden)?;
                self.capabilities.map_or(Ok(()), become_nobody)
            });
        }
    }
}

/// Mounts an empty folder or `/dev/null` over each path, seen by this process only.
fn hide(paths: &[(CString, bool)]) -> io::Result<()> {
    if paths.is_empty() {
        return Ok(());
    }
    // SAFETY: no memory is involved.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let none = std::ptr::null();
    // SAFETY: the strings end in NUL and live as long as the call, here and below.
    check(unsafe { libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) })?;
    for (path, is_folder) in paths {
        let (source, kind, flags) =
            if *is_folder { (c"none", c"tmpfs", 0) } else { (c"/dev/null", c"none", libc::MS_BIND) };
        // SAFETY: as above.
        check(unsafe { libc::mount(source.as_ptr(), path.as_ptr(), kind.as_ptr(), flags, none.cast()) })?;
    }
    Ok(())
}

/// Changes uid and gid and keeps these capabilities through exec, as ambient ones.
fn become_nobody(kept: u64) -> io::Result<()> {
    // struct __user_cap_header_struct { version, pid } and two __user_cap_data_struct { effective, permitted,
    // inheritable } (include/uapi/linux/capability.h)
    let header = [0x2008_0522_u32, 0];
    let (low, high) = (kept as u32, (kept >> 32) as u32);
    let data = [low, low, low, high, high, high];
    // SAFETY: the arrays have the layout given above; the other calls take numbers only.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setresgid(NOBODY, NOBODY, NOBODY))?;
        check(libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0))?;
        check(libc::setresuid(NOBODY, NOBODY, NOBODY))?;
        check(libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) as i32)?;
        for capability in (0..64).filter(|bit| kept >> bit & 1 == 1) {
            check(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability, 0, 0))?;
        }
    }
    Ok(())
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Copies of files in a folder that everybody can enter; gone when dropped.
#[derive(Debug)]
pub struct SharedCopy(PathBuf);

impl SharedCopy {
    /// Copies these files.
    pub fn of(files: &[&Path]) -> io::Result<SharedCopy> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("tapster-tests-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let copy = SharedCopy(folder);
        fs::set_permissions(copy.folder(), Permissions::from_mode(0o755))?;
        for file in files {
            fs::copy(file, copy.path_of(file))?;
            fs::set_permissions(copy.path_of(file), Permissions::from_mode(0o755))?;
        }
        Ok(copy)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Where this file's copy is.
    pub fn path_of(&self, file: &Path) -> PathBuf {
        self.0.join(file.file_name().expect("a file has a name"))
    }
}

impl Drop for SharedCopy {
    fn drop(&mut self) {
        // What cannot be removed from a temporary folder will be by others.
        let _ = fs::remove_dir_all(&self.0);
    }
}
