//! Whether somebody has asked for the next file of output: by the signal USR2, or in this process.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    ask();
}

/// Asks for it.
pub fn ask() {
    ASKED.store(true, Ordering::Relaxed);
}

/// Whether it was asked for since the last call.
pub fn take() -> bool {
    ASKED.swap(false, Ordering::Relaxed)
}

/// Has the signal ask for it from now on, which would end the process otherwise. Programs started later are not touched.
pub fn listen() {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeros but for the handler is an action: no signal is blocked meanwhile. The handler does nothing but
    // set a flag, which signal handlers may.
    unsafe {
        let action = action.assume_init_mut();
        action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGUSR2, action, std::ptr::null_mut());
    }
}
