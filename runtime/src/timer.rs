//! When timer handlers are due.
//!
//! Periods are kept on average: a late handler does not delay the ones after it, and those it has missed altogether are
//! not made up for.

use std::time::{Duration, Instant};
use tapster_compiler::image::{UserHandler, When};

/// The timers of a run.
#[derive(Debug)]
pub struct Timers {
    timers: Vec<Timer>,
    random: u64,
}

#[derive(Debug)]
struct Timer {
    handler: usize,
    period: u64,
    randomize: u64,
    next: Instant,
}

/// No timer fires more often: the least period SystemTap takes is a microsecond.
const PERIOD_MIN: u64 = 1_000;

impl Timers {
    /// The timers among the handlers, started now.
    pub fn new(handlers: &[UserHandler], now: Instant) -> Timers {
        let timer = |(handler, at): (&UserHandler, usize)| match handler.when {
            When::Timer { nanoseconds, randomize } => {
                Some(Timer { handler: at, period: nanoseconds.max(PERIOD_MIN), randomize, next: now })
            }
            _ => None,
        };
        let timers = handlers.iter().zip(0..).filter_map(timer).collect();
        let seed = crate::sys::process::now(crate::sys::process::Clock::Wall) | 1;
        let mut timers = Timers { timers, random: seed };
        for at in 0..timers.timers.len() {
            timers.advance(at, now);
        }
        timers
    }

    /// When the next one is due.
    pub fn next(&self) -> Option<Instant> {
        self.timers.iter().map(|timer| timer.next).min()
    }

    /// A handler that is due, and now no more; the longest due first.
    pub fn due(&mut self, now: Instant) -> Option<usize> {
        let at = (0..self.timers.len()).min_by_key(|at| self.timers[*at].next)?;
        (self.timers[at].next <= now).then(|| {
            self.advance(at, now);
            self.timers[at].handler
        })
    }

    /// Moves a timer to its next time behind `now`.
    fn advance(&mut self, at: usize, now: Instant) {
        let late = now.saturating_duration_since(self.timers[at].next).as_nanos() as u64;
        let random = self.random();
        let timer = &mut self.timers[at];
        let skipped = late / timer.period * timer.period;
        let wait = match timer.randomize {
            0 => timer.period,
            // From that much less to that much more.
            most => (timer.period + random % (2 * most + 1)).saturating_sub(most).max(PERIOD_MIN),
        };
        // A time that no clock reaches: never.
        let never = || now + Duration::from_secs(u64::from(u32::MAX));
        timer.next = timer.next.checked_add(Duration::from_nanos(skipped.saturating_add(wait))).unwrap_or_else(never);
    }

    /// xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timers(periods: &[(u64, u64)], now: Instant) -> Timers {
        let handler = |(nanoseconds, randomize): &(u64, u64)| UserHandler {
            when: When::Timer { nanoseconds: *nanoseconds, randomize: *randomize },
            probe: "timer".into(),
            name: "timer".into(),
            entry: 0,
            span: tapster_lang::Span::NONE,
            condition: None,
        };
        Timers::new(&periods.iter().map(handler).collect::<Vec<_>>(), now)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn timers_fire_in_order_and_keep_their_period() {
        let start = Instant::now();
        let mut timers = timers(&[(10_000_000, 0), (25_000_000, 0)], start);
        let mut fired = Vec::new();
        for n in 0..=50 {
            while let Some(handler) = timers.due(start + ms(n)) {
                fired.push((n, handler));
            }
        }
        assert_eq!(fired, [(10, 0), (20, 0), (25, 1), (30, 0), (40, 0), (50, 0), (50, 1)]);
    }

    #[test]
    fn a_timer_that_was_held_up_fires_once_and_goes_on_in_step() {
        let start = Instant::now();
        let mut timers = timers(&[(10_000_000, 0)], start);
        assert_eq!(timers.due(start + ms(57)), Some(0));
        assert_eq!(timers.due(start + ms(57)), None);
        assert_eq!(timers.next(), Some(start + ms(60)));
    }

    #[test]
    fn a_random_part_stays_within_its_bounds() {
        let start = Instant::now();
        let mut timers = timers(&[(10_000_000, 4_000_000)], start);
        let mut now = start;
        for _ in 0..100 {
            let next = timers.next().expect("one timer");
            let wait = next - now;
            assert!(wait >= ms(6) && wait <= ms(14), "{wait:?}");
            now = next;
            assert_eq!(timers.due(now), Some(0));
        }
    }
}
