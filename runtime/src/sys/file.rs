//! Files by pattern, as glob(3) finds them.

use std::ffi::{CStr, CString, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The paths that a pattern stands for, sorted; none where it cannot be read.
pub fn matching(pattern: &Path) -> Vec<PathBuf> {
    let Ok(pattern) = CString::new(pattern.as_os_str().as_bytes()) else { return Vec::new() };
    let mut found = MaybeUninit::<libc::glob_t>::zeroed();
    // SAFETY: the pattern ends in NUL, and without a function for errors glob(3) passes over what it cannot read. Zeros are a
    // valid structure where it fails; where it does not, it holds as many strings as it says, which are copied before
    // they are freed.
    unsafe {
        let result = libc::glob(pattern.as_ptr(), 0, None, found.as_mut_ptr());
        let mut found = found.assume_init();
        let count = if result == 0 { found.gl_pathc } else { 0 };
        let path = |nth: usize| PathBuf::from(OsStr::from_bytes(CStr::from_ptr(*found.gl_pathv.add(nth)).to_bytes()));
        let paths = (0..count).map(path).collect();
        libc::globfree(&raw mut found);
        paths
    }
}
