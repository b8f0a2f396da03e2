//! Calls handlers, and counts what goes wrong in them.
//!
//! When which handler is due is the session's business, and for what kernel handlers send that of [`crate::event`].

use crate::fault::Raised;
use crate::run::Run;
use crate::timing::Spent;
use std::time::Instant;

/// A run with its errors.
pub struct Runner {
    /// The run.
    pub run: Box<Run>,
    errors: u32,
    errors_max: u32,
    suppressed: bool,
    place: Box<dyn Fn(u32) -> String>,
    /// By handler, where that is asked for.
    spent: Option<Vec<Spent>>,
}

impl Runner {
    /// Calls handlers of a run, until they have raised more than `errors_max` errors, or for ever where errors are
    /// suppressed. `place` tells of a source position what stands there.
    pub fn new(run: Box<Run>, errors_max: u32, suppressed: bool, place: Box<dyn Fn(u32) -> String>) -> Runner {
        Runner { run, errors: 0, errors_max, suppressed, place, spent: None }
    }

    /// From now on handlers are counted and timed.
    pub fn count_time(&mut self) {
        self.spent = Some(vec![Spent::default(); self.run.image.handlers.len()]);
    }

    /// What each handler took, where that was asked for.
    pub fn spent(&self) -> &[Spent] {
        self.spent.as_deref().unwrap_or_default()
    }

    /// Calls a handler.
    pub fn call(&mut self, handler: usize) {
        self.timed(handler, |run| run.call(handler));
        self.report_raised();
    }

    fn timed(&mut self, handler: usize, work: impl FnOnce(&mut Run)) {
        let Some(spent) = &mut self.spent else { return work(&mut self.run) };
        let begun = Instant::now();
        work(&mut self.run);
        spent[handler].add(begun.elapsed());
    }

    /// Runs the rest of a kernel handler, unless a handler here has ended the session: what came first is done first,
    /// and it would not have run after that. A session that ends for another reason takes along what it finds.
    pub fn hand_off(&mut self, handoff: usize, sent: &[u8]) {
        if !self.has_failed() && !self.run.has_exited() {
            let Some(handler) = self.run.image.handoffs.get(handoff).map(|handoff| handoff.handler) else { return };
            self.timed(handler, |run| run.hand_off(handoff, sent));
            self.report_raised();
        }
    }

    fn report_raised(&mut self) {
        self.run.take_raised().into_iter().for_each(|raised| self.report(&raised));
    }

    /// Says a run-time error, as long as the run was not over before it.
    pub fn report(&mut self, raised: &Raised) {
        if self.has_failed() {
            return;
        }
        self.errors += 1;
        if !self.suppressed {
            let message = raised.message(&self.run.image, &self.place);
            self.run.output.error(&message);
        }
    }

    /// Run-time errors.
    pub fn errors(&self) -> u32 {
        self.errors
    }

    /// Whether there were more errors than are allowed.
    pub fn has_failed(&self) -> bool {
        self.errors > self.errors_max && !self.suppressed
    }

    /// Whether the session shall end.
    pub fn is_over(&self) -> bool {
        self.run.is_exiting() || self.has_failed() || self.run.output.is_closed()
    }
}
