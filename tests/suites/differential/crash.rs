//! Says which program was running when machine code of ours brings the process down.

use std::sync::atomic::{AtomicU64, Ordering};

/// The seeds that threads are at; 0 for none. More threads than these go unseen.
static SEEDS: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

/// Takes note of the seed that a thread is at.
pub struct Watched(usize);

impl Watched {
    /// From here on a crash names the seed.
    pub fn start(seed: u64) -> Watched {
        let free = |slot: &AtomicU64| slot.compare_exchange(0, seed, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        Watched(SEEDS.iter().position(free).unwrap_or(SEEDS.len()))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(slot) = SEEDS.get(self.0) {
            slot.store(0, Ordering::SeqCst);
        }
    }
}

/// Has fatal signals name the seeds.
pub fn watch() {
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
        // SAFETY: the handler is a function that only makes calls that are allowed in one.
        unsafe { libc::signal(signal, handler as extern "C" fn(i32) as libc::sighandler_t) };
    }
}

extern "C" fn handler(signal: i32) {
    for seed in SEEDS.iter().map(|slot| slot.load(Ordering::SeqCst)).filter(|seed| *seed != 0) {
        let mut text = *b"crashed; DIFFERENTIAL_PROGRAMS=1 DIFFERENTIAL_SEED=                    \n";
        let (mut rest, mut at) = (seed, text.len() - 2);
        while rest > 0 {
            text[at] = b'0' + (rest % 10) as u8;
            (rest, at) = (rest / 10, at - 1);
        }
        // SAFETY: the bytes are on this function's stack.
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    }
    // SAFETY: the default action takes place when the signal comes again, at the end of this handler.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}
