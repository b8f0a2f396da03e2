//! Makes the system calls whose numbers it is given, each in a process called `tpasked`, with six arguments that no call
//! can do anything with: not files, not addresses, flags that nobody knows. Prints them, as cases compare with them.

#![expect(clippy::print_stdout, reason = "the cases read it")]

use std::time::{Duration, Instant};

/// The n-th argument, from 1 on: no address, and below zero as a number of 32 bits.
fn argument(nth: i64) -> i64 {
    0x7ff0_1234_8000_0000 + 0x1_0001 * nth
}

/// Makes a call in a process of its own. What waits for something is ended.
fn ask(number: i64) {
    // SAFETY: the child makes the call and ends; it shares nothing with this process but what was there before.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let [a, b, c, d, e, f] = [1, 2, 3, 4, 5, 6].map(argument);
        // SAFETY: the name is a string; the call's arguments are no addresses.
        unsafe {
            libc::prctl(libc::PR_SET_NAME, c"tpasked".as_ptr());
            libc::syscall(number, a, b, c, d, e, f);
            libc::_exit(0);
        }
    }
    let start = Instant::now();
    // SAFETY: no memory is involved.
    while unsafe { libc::waitpid(child, core::ptr::null_mut(), libc::WNOHANG) } == 0 {
        if start.elapsed() > Duration::from_secs(2) {
            // SAFETY: the child is there until somebody waits for it.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn main() {
    println!("{}", [1, 2, 3, 4, 5, 6].map(|nth| argument(nth).to_string()).join(" "));
    std::env::args().skip(1).filter_map(|number| number.parse().ok()).for_each(ask);
}
