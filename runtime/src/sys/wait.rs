//! Waiting: descriptors, signals and a deadline in one call.

use super::{check, own};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// The signals that end a session.
const ENDING: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// Takes the ending signals away from this thread's handlers and collects them on a descriptor.
///
/// They stay blocked when it is dropped: what is left of the process then is its exit code, and a ^C between the end of
/// a session and that of the process must not take it away.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

/// The set of the ending signals.
fn ending() -> MaybeUninit<libc::sigset_t> {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the pointer is to a live set, and the numbers are those of signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in ENDING {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
    }
    set
}

/// Leaves the ending signals to other threads: one that nobody has blocked them in ends the process by default.
pub fn ignore_signals_in_this_thread() {
    let set = ending();
    // SAFETY: the set is complete, and lives through the call.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) };
}

/// Gives a command the ending signals back, which it would find blocked.
pub fn release_signals(command: &mut Command) {
    let release = || {
        let set = ending();
        // SAFETY: the set is complete.
        match unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), std::ptr::null_mut()) } {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    };
    // SAFETY: between fork and exec only functions that signal handlers may call are allowed, and these are such
    // (signal-safety(7)).
    unsafe { command.pre_exec(release) };
}

impl Signals {
    /// Starts collecting.
    pub fn collect() -> io::Result<Signals> {
        let set = ending();
        // SAFETY: the pointers are to a live set.
        unsafe {
            let fd = own(libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK).into())?;
            let error = libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
            if error != 0 {
                return Err(io::Error::from_raw_os_error(error));
            }
            Ok(Signals { fd })
        }
    }

    /// How many have come since the last call.
    pub fn take(&self) -> u32 {
        let mut count = 0;
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        loop {
            let size = size_of::<libc::signalfd_siginfo>();
            // SAFETY: the buffer holds the one structure that is asked for.
            let read = unsafe { libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
            if read != size as isize {
                return count;
            }
            count += 1;
        }
    }
}

impl std::os::fd::AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Waits until one of the descriptors can be read, or the time is over. Gives whether one can.
pub fn readable(fds: &[BorrowedFd<'_>], timeout: Option<Duration>) -> io::Result<bool> {
    const MOST: usize = 8;
    let mut polled = [libc::pollfd { fd: -1, events: 0, revents: 0 }; MOST];
    for (entry, fd) in polled.iter_mut().zip(fds) {
        *entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    }
    let time = timeout.map(|t| libc::timespec { tv_sec: t.as_secs() as _, tv_nsec: t.subsec_nanos().into() });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let count = fds.len().min(MOST) as libc::nfds_t;
    // SAFETY: `polled` holds `count` entries; `time` is null or points to a live value.
    match check(unsafe { libc::ppoll(polled.as_mut_ptr(), count, time, std::ptr::null()) }.into()) {
        Ok(ready) => Ok(ready > 0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}
