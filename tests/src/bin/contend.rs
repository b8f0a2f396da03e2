//! Four threads that take turns at one lock of the C library, which the kernel settles with futexes; ends by itself.

use std::ptr::addr_of_mut;
use std::thread;
use std::time::Duration;

const THREADS: usize = 4;
const ROUNDS: usize = 25;

static mut LOCK: libc::pthread_mutex_t = libc::PTHREAD_MUTEX_INITIALIZER;

/// Holds the lock for a moment, so that the others wait in the kernel.
fn take_turns() {
    let lock = addr_of_mut!(LOCK);
    for _ in 0..ROUNDS {
        // SAFETY: the lock is initialised, and nobody but the C library looks into it.
        unsafe { libc::pthread_mutex_lock(lock) };
        thread::sleep(Duration::from_micros(100));
        // SAFETY: this thread holds it.
        unsafe { libc::pthread_mutex_unlock(lock) };
    }
}

fn main() {
    // SAFETY: no other thread is there yet. This call is what scripts see of a lock's beginning.
    unsafe { libc::pthread_mutex_init(addr_of_mut!(LOCK), std::ptr::null()) };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(take_turns))));
}
