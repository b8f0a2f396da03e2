//! `perf.type(T).config(C)`, `timer.profile`: events that the processor or the kernel counts, every so often on each
//! CPU; `kernel.data`: accesses to memory, by the processor's breakpoints.

use super::process::Who;
use super::site::{Resolver, Site, Sites, mismatch, no_more, number, text};
use crate::hir::Place;
use crate::image::{Attach, Counted, PerfEvent, Rate, Watched};
use tapster_lang::Diagnostic;
use tapster_lang::ast::{Component, Literal, ProbePoint};

/// Events between two of which a probe acts, where a script does not say (probe::perf(3stap)).
const PERIOD: u64 = 1_000_000;
/// `PERF_TYPE_SOFTWARE` and `PERF_COUNT_SW_CPU_CLOCK` of include/uapi/linux/perf_event.h.
const CPU_CLOCK: (u32, u64) = (1, 0);

/// `perf.type(T).config(C)`, with `.sample(N)` or `.hz(N)`, and `.process("PATH")` for what runs one program;
/// `.counter("NAME")` is never hit, `@perf("NAME")` reads it
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let (kind, config) = (numbered(point, 1, "type")? as u32, numbered(point, 2, "config")? as u64);
    let counted = Counted { kind, config };
    let mut rate = Rate::Period(PERIOD);
    let last = point.components.iter().skip(3);
    let (processes, last): (Vec<&Component>, Vec<&Component>) = last.partition(|part| part.name.name == "process");
    no_more(point, if processes.is_empty() { 4 } else { 4 + last.len().min(1) })?;
    if let [part, ..] = last[..] {
        rate = match part.name.name.as_str() {
            "sample" => Rate::Period(positive(part)?),
            "hz" => Rate::Frequency(positive(part)?),
            COUNTER => return counter(point, part, counted, resolver),
            _ => return Err(mismatch(point, 3, ["sample", "hz", "process", "counter"])),
        };
    }
    let mut sites = event(point, PerfEvent { event: counted, rate })?;
    if let [part, ..] = processes[..] {
        let meant = Who::read(part, resolver)?.condition(resolver, part.name.span)?;
        sites.iter_mut().for_each(|site| site.context.guard = meant.clone());
    }
    Ok(sites)
}

/// `timer.profile`, `timer.profile.tick`, `timer.profile.freq.hz(N)`
pub fn profile(point: &ProbePoint) -> Sites {
    let rate = match point.components.get(2).map(|part| part.name.name.as_str()) {
        None => Rate::Tick,
        Some("tick") => {
            no_more(point, 3)?;
            Rate::Tick
        }
        Some("freq") => {
            no_more(point, 4)?;
            match point.components.get(3) {
                Some(part) if part.name.name == "hz" => Rate::Frequency(positive(part)?),
                _ => return Err(mismatch(point, 3, ["hz"])),
            }
        }
        Some(_) => return Err(mismatch(point, 2, ["tick", "freq"])),
    };
    let (kind, config) = CPU_CLOCK;
    event(point, PerfEvent { event: Counted { kind, config }, rate })
}

fn event(point: &ProbePoint, event: PerfEvent) -> Sites {
    let place = Place::Kernel { attach: Attach::Perf(event), why: Vec::new() };
    Ok(vec![Site::bare(point.to_string(), place)])
}

/// `kernel.data(ADDRESS)`, `kernel.data("SYMBOL")`, with `.length(N)`, then `.write` or `.rw`
pub fn data(point: &ProbePoint, _: &mut Resolver) -> Sites {
    let part = &point.components[1];
    let place = match &part.arg {
        Some((Literal::Number(address), _)) => Watched::Address(*address as u64),
        Some((Literal::String(name), _)) => Watched::Symbol(String::from_utf8_lossy(name).into_owned()),
        None => {
            return Err(Diagnostic::error("probe::argument", "`data` needs an address or a symbol in parentheses")
                .label(part.name.span, "like (\"jiffies\")"));
        }
    };
    let (length, at) = match point.components.get(2) {
        Some(part) if part.name.name == "length" => (length(part)?, 3),
        _ => (8, 2),
    };
    let on_reads = match point.components.get(at).map(|part| part.name.name.as_str()) {
        Some("write") => false,
        Some("rw") => true,
        _ => return Err(mismatch(point, at, ["length", "write", "rw"])),
    };
    no_more(point, at + 1)?;
    let place = Place::Kernel { attach: Attach::Breakpoint { place, length, on_reads }, why: Vec::new() };
    Ok(vec![Site::bare(point.to_string(), place)])
}

fn length(part: &Component) -> Result<u8, Diagnostic> {
    match positive(part)? {
        length @ (1 | 2 | 4 | 8) => Ok(length as u8),
        _ => Err(Diagnostic::error("probe::range", "a breakpoint watches 1, 2, 4 or 8 bytes")
            .label(part.name.span, "no such length")),
    }
}

/// The number of a part that has to be there.
fn numbered(point: &ProbePoint, nth: usize, name: &'static str) -> Result<i64, Diagnostic> {
    match point.components.get(nth).filter(|part| part.name.name == name) {
        Some(part) => number(part).ok_or_else(|| needs_number(part)),
        None => Err(mismatch(point, nth, [name])),
    }
}

fn positive(part: &Component) -> Result<u64, Diagnostic> {
    match number(part) {
        Some(number @ 1..) => Ok(number as u64),
        Some(number) => Err(Diagnostic::error("probe::range", format!("`{}` goes from 1 on", part.name.name))
            .label(part.name.span, format!("{number} is out of range"))),
        None => Err(needs_number(part)),
    }
}

fn needs_number(part: &Component) -> Diagnostic {
    let name = &part.name.name;
    Diagnostic::error("probe::argument", format!("`{name}` needs a number in parentheses"))
        .label(part.name.span, "like (1000)")
}

/// A counter with a name: which threads it is read for is where it is read, `.process` adds nothing.
fn counter(point: &ProbePoint, part: &Component, event: Counted, resolver: &mut Resolver) -> Sites {
    let (name, at) = text(part)?;
    match resolver.counters.insert(name.into(), event) {
        Some(other) if other != event => {
            Err(Diagnostic::error("probe::argument", format!("two events are counted as `{name}`"))
                .label(at, "another event than before"))
        }
        _ => Ok(vec![Site::bare(point.to_string(), Place::Never)]),
    }
}

/// The last part of points that name counters.
pub const COUNTER: &str = "counter";
