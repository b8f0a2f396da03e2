//! The parts of what machines read with `-f json`, one object a line: docs/json.md.
//!
//! Which records there are, and when, is the business of [`crate::run`] and of [`crate::output::Output`].

use crate::view::{Buckets, Element, Histogram, Place, Statistic, Value};
use std::fmt::Write;
use tapster_lang::diagnostic::json_string;

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

/// A record of what a global holds that is no array.
pub fn global(name: &str, content: &Value) -> String {
    record("global", |out| {
        text("name", name.as_bytes(), out);
        out.push_str(",\"value\":");
        value(content, out);
    })
}

/// A record of an element of an array.
pub fn element(name: &str, element: &Element) -> String {
    record("element", |out| {
        text("name", name.as_bytes(), out);
        out.push_str(",\"key\":");
        list(element.key.iter(), out, value);
        out.push_str(",\"value\":");
        value(&element.value, out);
    })
}

/// A record of a printed stack.
pub fn stack(places: &[Place]) -> String {
    record("stack", |out| frames(places, out))
}

/// Appends a value.
pub fn value(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::Text(text) => bytes(text, out),
        Value::Stack(places) => {
            out.push('{');
            frames(places, out);
            out.push('}');
        }
        Value::Statistic(known) => statistic(known, out),
    }
}

/// Appends a field with the frames of a stack, innermost first.
fn frames(places: &[Place], out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push_str("\"frames\":");
    list(places.iter(), out, |place, out| {
        let _ = write!(out, "{{\"address\":\"{:#x}\"", place.address);
        if let Some((name, offset, size)) = &place.function {
            text("symbol", name.as_bytes(), out);
            number("offset", *offset as i64, out);
            number("size", *size as i64, out);
        }
        place.module.iter().for_each(|(module, _)| text("module", module.as_bytes(), out));
        out.push('}');
    });
}

/// Appends a statistic: all that is known of it.
fn statistic(known: &Statistic, out: &mut String) {
    out.push('{');
    for (nth, (name, value)) in known.extracted.iter().enumerate() {
        let _ = write!(out, "{}\"{name}\":{value}", if nth == 0 { "" } else { "," });
    }
    if let Some(buckets) = &known.histogram {
        out.push_str(if out.ends_with('{') { "\"histogram\":" } else { ",\"histogram\":" });
        histogram(buckets, out);
    }
    out.push('}');
}

/// Appends a histogram: its buckets that are not empty, ascending.
pub fn histogram(buckets: &Buckets, out: &mut String) {
    let name = if buckets.kind == Histogram::Log { "log" } else { "linear" };
    let _ = write!(out, "{{\"kind\":\"{name}\",\"buckets\":");
    let used = buckets.counts.iter().enumerate().filter(|(_, count)| **count != 0);
    list(used, out, |(nth, count), out| {
        let (low, high) = buckets.bounds(nth);
        let bound = |bound: Option<i64>| bound.map_or_else(|| "null".into(), |bound| bound.to_string());
        let _ = write!(out, "{{\"low\":{},\"high\":{},\"count\":{count}}}", bound(low), bound(high));
    });
    out.push('}');
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
    use tapster_runtime_ebpf::aggregate::{Layout, Parts};

    #[test]
    fn a_statistic_says_what_it_keeps() {
        let parts = Parts { count: true, sum: true, min: true, max: true, variance: None };
        let layout = Layout { parts, histogram: Histogram::Log };
        let mut value = vec![0; layout.size() as usize];
        [1, 3, 8].into_iter().for_each(|number| layout.add(&mut value, number));
        let mut out = String::new();
        statistic(&Statistic::new(&layout, &value), &mut out);
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
