//! One JSON object a line, for editors and scripts.

use super::{Diagnostic, Severity};
use crate::source::{SourceMap, Span, bytes};
use std::fmt::Write;

/// Appends `{"severity":…,"code":…,"message":…,"labels":[…],"help":…,"notes":[…],"causes":[…]}` and a line break.
pub(super) fn render(diagnostic: &Diagnostic, sources: &SourceMap, out: &mut String) {
    object(diagnostic, sources, out);
    out.push('\n');
}

fn object(diagnostic: &Diagnostic, sources: &SourceMap, out: &mut String) {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let _ = write!(out, "{{\"severity\":\"{severity}\",\"code\":\"{}\",\"kind\":", diagnostic.code);
    string(diagnostic.prefix(), out);
    out.push_str(",\"message\":");
    string(&diagnostic.message, out);
    out.push_str(",\"labels\":");
    list(&diagnostic.labels, out, |label, out| {
        out.push('{');
        place(label.span, sources, out);
        out.push_str(",\"text\":");
        string(&label.text, out);
        out.push_str(",\"expanded_from\":");
        list(&sources.expansions(label.span), out, |expansion, out| {
            out.push_str("{\"name\":");
            string(&expansion.name, out);
            out.push(',');
            place(expansion.call_site, sources, out);
            out.push('}');
        });
        out.push('}');
    });
    out.push_str(",\"help\":");
    match &diagnostic.help {
        Some(help) => string(help, out),
        None => out.push_str("null"),
    }
    out.push_str(",\"notes\":");
    list(&diagnostic.notes, out, |note, out| string(note, out));
    out.push_str(",\"causes\":");
    list(&diagnostic.causes, out, |cause, out| object(cause, sources, out));
    out.push('}');
}

/// `"file":…,"line":…,"column":…,"end_line":…,"end_column":…`, all from 1, the end excluded.
fn place(span: Span, sources: &SourceMap, out: &mut String) {
    let origin = sources.origin(span);
    let (start, end) = (sources.locate(origin.start), sources.locate(origin.end));
    out.push_str("\"file\":");
    string(start.file, out);
    let _ = write!(out, ",\"line\":{},\"column\":{}", start.line, start.column);
    let _ = write!(out, ",\"end_line\":{},\"end_column\":{}", end.line, end.column);
}

fn list<T>(items: &[T], out: &mut String, mut each: impl FnMut(&T, &mut String)) {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(']');
}

/// Appends a text as a string of JSON.
pub fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c if bytes::is_escape(c) => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out.push('"');
}
