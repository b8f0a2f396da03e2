//! What may follow a function in a point: `.call`, `.return.maxactive(N)` and their kind.

use super::site::{mismatch, no_more, number};
use crate::image::Moment;
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};

/// What follows a function.
#[derive(Clone, Debug)]
pub struct Suffix {
    /// When the probe acts.
    pub moment: Moment,
    /// Only functions that modules can use.
    pub exported: bool,
    /// As `pp()` says it.
    pub text: String,
}

/// Most calls at a time that a return probe may ask for, as SystemTap has it.
const MAXACTIVE_MOST: i64 = 0xffff;

/// Reads what stands behind the parts before `nth`.
pub fn read(point: &ProbePoint, nth: usize) -> Result<Suffix, Diagnostic> {
    let entry = |text: &str| Suffix { moment: Moment::Entry, exported: false, text: text.into() };
    let Some(part) = point.components.get(nth) else { return Ok(entry("")) };
    let suffix = match part.name.name.as_str() {
        "call" => entry(".call"),
        "exported" => Suffix { exported: true, ..entry(".exported") },
        "return" => return at_return(point, nth),
        name @ ("inline" | "label" | "callee" | "callees" | "statement") => {
            return Err(debuginfo(name, part.name.span));
        }
        _ => return Err(mismatch(point, nth, ["call", "return", "exported", "inline", "label", "callee"])),
    };
    no_more(point, nth + 1)?;
    Ok(suffix)
}

fn at_return(point: &ProbePoint, nth: usize) -> Result<Suffix, Diagnostic> {
    let of = |text: String| Ok(Suffix { moment: Moment::Return, exported: false, text });
    let Some(part) = point.components.get(nth + 1) else { return of(".return".into()) };
    if part.name.name != "maxactive" {
        return Err(mismatch(point, nth + 1, ["maxactive"]));
    }
    no_more(point, nth + 2)?;
    match number(part) {
        // Trampolines need no such bound, and for kprobes perf_event_open(2) has no room to say it: the kernel chooses,
        // and what is missed is counted and said.
        Some(most @ 1..=MAXACTIVE_MOST) => of(format!(".return.maxactive({most})")),
        _ => Err(Diagnostic::error("probe::range", format!("maxactive goes from 1 to {MAXACTIVE_MOST}"))
            .label(part.name.span, "out of range")),
    }
}

/// Something that only debuginfo tells.
pub fn debuginfo(part: &str, at: Span) -> Diagnostic {
    let (what, help) = match part {
        "inline" => (
            "where the compiler has put copies of a function",
            "probe a function that calls it, or a tracepoint with kernel.trace(…)",
        ),
        "label" => ("where a function's labels are", "probe the function itself, or what it calls next"),
        "callee" | "callees" => ("which functions a function calls", "name them in a list: kernel.function(…), …"),
        "statement" => (
            "where a line of the source is",
            "count from a function's start: kernel.statement(\"vfs_read+0x10\"), at an instruction that a disassembler shows",
        ),
        "file" => ("which functions a source file has", "match by name: kernel.function(\"tcp_*\")"),
        _ => ("where a line of the source is", "probe the function itself, or what it calls next"),
    };
    Diagnostic::error("probe::debuginfo", format!("only debuginfo tells {what}"))
        .label(at, "needs debuginfo")
        .help(help)
}
