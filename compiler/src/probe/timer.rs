//! `timer.s(N)` and its kind: periods, run in user space.

use super::site::{Resolver, Site, Sites, mismatch, no_more, number};
use crate::hir::Place;
use crate::image::When;
use tapster_lang::Diagnostic;
use tapster_lang::ast::ProbePoint;

/// Names of units, their nanoseconds, and the largest number SystemTap takes (24 hours each).
const UNITS: &[(&str, u64, i64)] = &[
    ("s", 1_000_000_000, 86_400),
    ("sec", 1_000_000_000, 86_400),
    ("ms", 1_000_000, 86_400_000),
    ("msec", 1_000_000, 86_400_000),
    ("us", 1_000, 86_400_000_000),
    ("usec", 1_000, 86_400_000_000),
    ("ns", 1, 86_400_000_000_000),
    ("nsec", 1, 86_400_000_000_000),
];

/// Jiffies that SystemTap takes at most: a day where the kernel ticks a thousand times a second.
const JIFFIES_MOST: i64 = 86_400_000;

/// `timer.UNIT(N)`, `timer.UNIT(N).randomize(M)`, `timer.hz(N)`
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let names = || UNITS.iter().map(|(name, ..)| *name).chain(["jiffies", "hz", "profile"]);
    let Some(part) = point.components.get(1) else {
        return Err(mismatch(point, 1, names()));
    };
    let unit = part.name.name.as_str();
    if unit == "profile" {
        return super::perf::profile(point);
    }
    let Some(count) = number(part) else {
        return Err(Diagnostic::error("probe::argument", format!("timer.{unit} needs a number"))
            .label(part.name.span, "like (100)"));
    };
    if unit == "hz" {
        no_more(point, 2)?;
        let hz = in_range(part, count, 1_000_000)?;
        return site(format!("timer.hz({count})"), 1_000_000_000 / hz, 0);
    }
    let (nanoseconds, most) = match UNITS.iter().find(|(name, ..)| *name == unit) {
        Some((_, nanoseconds, most)) => (*nanoseconds, *most),
        None if unit == "jiffies" => (resolver.world.tick(), JIFFIES_MOST),
        None => return Err(mismatch(point, 1, names())),
    };
    let period = in_range(part, count, most)? * nanoseconds;
    match point.components.get(2) {
        None => site(format!("timer.{unit}({count})"), period, 0),
        Some(more) if more.name.name == "randomize" => {
            no_more(point, 3)?;
            let spread = number(more).unwrap_or(-1);
            let spread = in_range(more, spread, count)?;
            site(format!("timer.{unit}({count}).randomize({spread})"), period, spread * nanoseconds)
        }
        Some(_) => Err(mismatch(point, 2, ["randomize"])),
    }
}

fn site(point: String, nanoseconds: u64, randomize: u64) -> Sites {
    let place = Place::User(When::Timer { nanoseconds, randomize });
    Ok(vec![Site::bare(point, place)])
}

fn in_range(part: &tapster_lang::ast::Component, count: i64, most: i64) -> Result<u64, Diagnostic> {
    if (1..=most).contains(&count) {
        return Ok(count as u64);
    }
    Err(Diagnostic::error("probe::range", format!("interval value out of range (1, {most})"))
        .label(part.name.span, format!("{count} is out of range")))
}
