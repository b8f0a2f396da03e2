//! The parts of what machines read with `-f json`, one object a line: docs/json.md.
//!
//! Which records there are, and when, is the business of [`crate::run`] and of [`crate::output::Output`].

use crate::symbol::Symbols;
use crate::walk;
use std::fmt::Write;
use tapster_compiler::host::Extractor;
use tapster_lang::diagnostic::json_string;
use tapster_runtime_ebpf::aggregate::{Histogram, LOG_ZERO, Layout, read};

/// The version of the format: a number that grows when a reader of the last one could misunderstand.
pub const SCHEMA: u32 = 1;

/// A record: an object with its type, then what `fields` appends, each with a comma before it.
pub fn record(kind: &str, fields: impl FnOnce(&mut String)) -> String {
    let mut line = format!("{{\"type\":\"{kind}\"");
    fields(&mut line);
    line.push_str("}\n");
    line
}

/// Appends a field with a number.
pub fn number(name: &str, value: i64, out: &mut String) {
    let _ = write!(out, ",\"{name}\":{value}");
}

/// Appends a field with a string.
pub fn text(name: &str, value: &[u8], out: &mut String) {
    let _ = write!(out, ",\"{name}\":");
    bytes(value, out);
}

/// Appends a string. What is not UTF-8 becomes U+FFFD.
pub fn bytes(text: &[u8], out: &mut String) {
    json_string(&String::from_utf8_lossy(text), out);
}

/// Appends the frames of a stack, innermost first.
pub fn frames(frames: &[u64], symbols: &Symbols, out: &mut String) {
    list(frames.iter(), out, |address, out| {
        let _ = write!(out, "{{\"address\":\"{address:#x}\"");
        if let Some(symbol) = symbols.get(*address) {
            text("symbol", symbol.name.as_bytes(), out);
            number("offset", (address - symbol.start) as i64, out);
            number("size", symbol.size as i64, out);
            text("module", symbol.module.as_bytes(), out);
        }
        out.push('}');
    });
}

/// Appends a statistic: all that is known of it.
pub fn statistic(layout: &Layout, value: &[u8], out: &mut String) {
    let parts = layout.parts;
    let extractors = [
        ("count", Extractor::Count, parts.count),
        ("sum", Extractor::Sum, parts.sum),
        ("min", Extractor::Min, parts.min),
        ("max", Extractor::Max, parts.max),
        ("avg", Extractor::Avg, parts.sum),
        ("variance", Extractor::Variance, parts.variance.is_some()),
    ];
    let known = extractors.into_iter().filter(|(.., kept)| *kept);
    let known = known.filter_map(|(name, extractor, _)| Some((name, walk::extract(layout, value, extractor)?)));
    out.push('{');
    for (nth, (name, value)) in known.enumerate() {
        let _ = write!(out, "{}\"{name}\":{value}", if nth == 0 { "" } else { "," });
    }
    if layout.histogram != Histogram::None {
        let counts: Vec<i64> =
            (0..layout.histogram.buckets()).map(|nth| read(value, layout.buckets() + 8 * nth)).collect();
        out.push_str(if out.ends_with('{') { "\"histogram\":" } else { ",\"histogram\":" });
        histogram(layout.histogram, &counts, out);
    }
    out.push('}');
}

/// Appends a histogram: its buckets that are not empty, ascending.
pub fn histogram(kind: Histogram, counts: &[i64], out: &mut String) {
    let name = if kind == Histogram::Log { "log" } else { "linear" };
    let _ = write!(out, "{{\"kind\":\"{name}\",\"buckets\":");
    let used = counts.iter().enumerate().filter(|(_, count)| **count != 0);
    list(used, out, |(nth, count), out| {
        let (low, high) = bounds(kind, nth, counts.len());
        let bound = |bound: Option<i64>| bound.map_or_else(|| "null".into(), |bound| bound.to_string());
        let _ = write!(out, "{{\"low\":{},\"high\":{},\"count\":{count}}}", bound(low), bound(high));
    });
    out.push('}');
}

/// The least and the greatest value that a bucket counts; `None` where it has no end.
fn bounds(kind: Histogram, bucket: usize, buckets: usize) -> (Option<i64>, Option<i64>) {
    match kind {
        Histogram::Linear { low, interval, .. } => {
            let start = |nth: usize| low + (nth as i64 - 1) * interval;
            match bucket {
                0 => (None, Some(low.saturating_sub(1))),
                last if last + 1 == buckets => (Some(start(last)), None),
                nth => (Some(start(nth)), Some(start(nth) + interval - 1)),
            }
        }
        Histogram::Log | Histogram::None => {
            // The outermost powers of two are none of the values.
            let power = |nth: i64| 1_i128 << nth;
            let (low, high) = match bucket as i64 - i64::from(LOG_ZERO) {
                0 => (0, 0),
                nth @ 1.. => (power(nth - 1), power(nth) - 1),
                nth if nth <= -64 => (-power(63), -power(63)),
                nth => (1 - power(-nth), -power(-nth - 1)),
            };
            (i64::try_from(low).ok(), i64::try_from(high).ok())
        }
    }
}

/// Appends a list.
pub fn list<T>(items: impl Iterator<Item = T>, out: &mut String, mut each: impl FnMut(T, &mut String)) {
    out.push('[');
    for (nth, item) in items.enumerate() {
        if nth > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_runtime_ebpf::aggregate::{Parts, log_bucket};

    #[test]
    fn every_value_lies_within_the_bounds_of_its_bucket() {
        let values = [0, 1, 2, 3, 4, 1000, i64::MAX, i64::MAX / 2 + 1, -1, -2, -3, -4, -1000, -i64::MAX, i64::MIN];
        for value in values {
            let (low, high) = bounds(Histogram::Log, log_bucket(value) as usize, 128);
            assert!(low <= Some(value) && Some(value) <= high, "{value} in {low:?}..{high:?}");
        }
        let linear = Histogram::Linear { low: -10, high: 30, interval: 20 };
        let buckets = linear.buckets() as usize;
        for value in [-11, -10, 9, 10, 29, 30, 49, 50, 1000] {
            let (low, high) = bounds(linear, linear.bucket(value) as usize, buckets);
            let within = low.is_none_or(|low| low <= value) && high.is_none_or(|high| value <= high);
            assert!(within, "{value} in {low:?}..{high:?}");
        }
    }

    #[test]
    fn a_statistic_says_what_it_keeps() {
        let parts = Parts { count: true, sum: true, min: true, max: true, variance: None };
        let layout = Layout { parts, histogram: Histogram::Log };
        let mut value = vec![0; layout.size() as usize];
        [1, 3, 8].into_iter().for_each(|number| layout.add(&mut value, number));
        let mut out = String::new();
        statistic(&layout, &value, &mut out);
        let buckets = r#"[{"low":1,"high":1,"count":1},{"low":2,"high":3,"count":1},{"low":8,"high":15,"count":1}]"#;
        let expected = format!(
            r#"{{"count":3,"sum":12,"min":1,"max":8,"avg":4,"histogram":{{"kind":"log","buckets":{buckets}}}}}"#
        );
        assert_eq!(out, expected);
    }

    #[test]
    fn a_record_is_a_line() {
        let line = record("print", |out| text("text", b"a\n\"\xff", out));
        assert_eq!(line, "{\"type\":\"print\",\"text\":\"a\\n\\\"\u{fffd}\"}\n");
    }
}
