//! Clocks, the time zone and chance, as the C library and the kernel give them.

use std::ffi::CStr;
use std::mem::MaybeUninit;

/// Seconds that the time zone of this process is ahead of UTC, and its name.
pub fn zone() -> (i64, Vec<u8>) {
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: `time` takes no place, `localtime_r` fills the structure; zeros are a valid one where it fails, with a null
    // pointer for the name. The name belongs to the C library, which keeps it.
    unsafe {
        let now = libc::time(std::ptr::null_mut());
        libc::localtime_r(&raw const now, parts.as_mut_ptr());
        let parts = parts.assume_init();
        let name = if parts.tm_zone.is_null() { c"UTC" } else { CStr::from_ptr(parts.tm_zone) };
        (parts.tm_gmtoff, name.to_bytes().to_vec())
    }
}

/// The time of this time zone in words: conversions of strftime(3); nothing where they come to nothing, or to more than a
/// file's name can have.
pub fn formatted(pattern: &CStr) -> Option<Vec<u8>> {
    let mut text = vec![0u8; libc::PATH_MAX as usize];
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: `localtime_r` fills the structure, of which zeros are a valid one, too; `strftime` writes no more than it
    // is told there is room for, and reads the pattern up to its NUL.
    let length = unsafe {
        let now = libc::time(std::ptr::null_mut());
        libc::localtime_r(&raw const now, parts.as_mut_ptr());
        libc::strftime(text.as_mut_ptr().cast(), text.len(), pattern.as_ptr(), parts.as_ptr())
    };
    text.truncate(length);
    (length > 0).then_some(text)
}

/// Nanoseconds between two ticks of the kernel.
pub fn tick() -> i64 {
    let mut step = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `step` is a valid place for the result; the clock always exists.
    unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut step) };
    step.tv_sec * 1_000_000_000 + step.tv_nsec
}

/// Bytes of a page.
pub fn page_size() -> i64 {
    // SAFETY: reads a constant.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) }
}

/// Random bits; zeros where the kernel has none yet.
pub fn random() -> u64 {
    let mut bits = [0u8; 8];
    // SAFETY: the call writes at most the eight bytes.
    unsafe { libc::getrandom(bits.as_mut_ptr().cast(), bits.len(), libc::GRND_NONBLOCK) };
    u64::from_ne_bytes(bits)
}
