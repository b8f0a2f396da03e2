//! What has no type after inference, and what its type forbids.

use super::context::Context;
use super::origin::LibraryText;
use crate::hir::{Global, Program, Type};
use tapster_lang::{Diagnostic, Span};
use tapster_runtime_ebpf::aggregate::Histogram;

/// What still has no type after the last round. A global of the library is a number where a script does no more than
/// delete it.
pub fn unresolved(library: &LibraryText, program: &mut Program, cx: &mut Context) {
    let Program { globals, functions, probes, .. } = program;
    let bodies = functions.iter_mut().map(|function| (function.params, &mut function.handler));
    for (params, handler) in bodies.chain(probes.iter_mut().map(|probe| (0, &mut probe.handler))) {
        for (nth, local) in handler.locals.iter_mut().enumerate() {
            if local.slot.ty == Type::Unknown {
                if nth >= params {
                    cx.report(no_type(local.span));
                }
                // A parameter that nobody looks at may hold anything.
                local.slot.ty = Type::Long;
            }
        }
    }
    for global in globals {
        let Some(keys) = &mut global.keys else {
            global.keys = Some(Vec::new());
            continue;
        };
        if library.holds(global.span) {
            let open = keys.iter_mut().chain([&mut global.value]).filter(|slot| slot.ty == Type::Unknown);
            open.for_each(|slot| slot.ty = Type::Long);
        }
        if keys.iter().chain([&global.value]).any(|slot| slot.ty == Type::Unknown) {
            cx.report(no_type(global.span));
        }
        forbidden(global, cx);
    }
}

/// What the type of a global forbids.
fn forbidden(global: &Global, cx: &mut Context) {
    if global.wrap && !global.is_array() {
        let error = Diagnostic::error("check::wrap", "wrapping not supported for scalars");
        cx.report(error.label(global.span, "not an array"));
    }
    if let Some(at) = global.sorted_by_extractor
        && global.value.ty != Type::Stats
    {
        let message = format!("invalid type {}", global.value.ty.name());
        cx.report(Diagnostic::error("check::type", message).label(at, "sorts statistics"));
    }
    if let Some(shift) = global.layout.parts.variance.filter(|shift| *shift > MAX_SHIFT) {
        let message = format!("bit shift ({shift}) out of range <0..{MAX_SHIFT}>");
        cx.report(Diagnostic::error("check::variance", message).label(global.span, "of this statistic's @variance"));
    }
    if let Histogram::Linear { low, high, interval } = global.layout.histogram
        && let Some(message) = bad_buckets(low, high, interval)
    {
        let error = Diagnostic::error("check::buckets", message).label(global.span, "of this statistic's @hist_linear");
        cx.report(error.help("@hist_linear(s, low, high, interval): there are (high - low) / interval buckets"));
    }
}

/// The largest bit shift of `@variance`.
const MAX_SHIFT: u8 = 62;

/// The most buckets of a linear histogram, those below and above included: SystemTap's STP_MAX_BUCKETS.
const MAX_BUCKETS: i128 = 128;

/// What is wrong with a linear histogram, in the words of SystemTap's runtime.
fn bad_buckets(low: i64, high: i64, interval: i64) -> Option<String> {
    if interval == 0 {
        return Some("histogram: interval cannot be zero".into());
    }
    let buckets = (i128::from(high) - i128::from(low)) / i128::from(interval) + 3;
    let is_good = (3..=MAX_BUCKETS).contains(&buckets) && interval > 0;
    (!is_good).then(|| format!("histogram: Number of buckets must be between 1 and {}", MAX_BUCKETS - 2))
}

/// With SystemTap's blank at the end.
fn no_type(at: Span) -> Diagnostic {
    Diagnostic::error("check::unresolved-type", "unresolved type ").label(at, "long or string?")
}
