//! Those who look at the globals while a script runs: tables on a terminal, pictures over time.

use crate::run::Run;
use crate::view::Global;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// What comes of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The script goes on.
    GoOn,
    /// The session shall end, as by `exit()`.
    End,
}

/// Somebody who looks at the globals of a running script.
pub trait Watcher {
    /// When to look next.
    fn next(&self) -> Option<Instant>;

    /// What also makes it look, as soon as it can be read.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Looks. `globals` reads them, which takes its time: whoever only turns a page need not.
    fn look(&mut self, globals: &mut dyn FnMut() -> Vec<Global>) -> Verdict;

    /// Nothing is attached any more; the end handlers follow.
    fn detached(&mut self) {}

    /// Looks a last time, at what the end handlers have left. Gives what went wrong.
    fn finish(&mut self, globals: &[Global]) -> Result<(), String> {
        let _ = globals;
        Ok(())
    }
}

/// All of them.
#[derive(Default)]
pub struct Watchers(pub Vec<Box<dyn Watcher>>);

impl Watchers {
    /// When the first of them looks.
    pub fn next(&self) -> Option<Instant> {
        self.0.iter().filter_map(|watcher| watcher.next()).min()
    }

    /// What wakes them.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().filter_map(|watcher| watcher.fd())
    }

    /// Those look whose time has come, or who have something to read.
    pub fn look(&mut self, run: &mut Run, now: Instant) {
        for watcher in &mut self.0 {
            let is_time = watcher.next().is_some_and(|next| next <= now);
            let is_woken = || watcher.fd().is_some_and(|fd| readable(fd));
            if (is_time || is_woken()) && watcher.look(&mut || run.view()) == Verdict::End {
                run.end();
            }
        }
    }

    /// Nothing is attached any more.
    pub fn detached(&mut self) {
        self.0.iter_mut().for_each(|watcher| watcher.detached());
    }

    /// The last look. Gives what went wrong.
    pub fn finish(&mut self, run: &mut Run) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let globals = run.view();
        self.0.iter_mut().filter_map(|watcher| watcher.finish(&globals).err()).collect()
    }
}

fn readable(fd: BorrowedFd<'_>) -> bool {
    matches!(crate::sys::wait::readable(&[fd], Some(Duration::ZERO)), Ok(true))
}
