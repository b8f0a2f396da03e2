//! The paragraph that belongs to each code, kept in `explain.md` for all crates.

use std::collections::BTreeMap;
use std::sync::OnceLock;

static TEXT: &str = include_str!("../explain.md");

/// Sections of `explain.md` by code: `## code`, then text up to the next heading.
fn sections() -> &'static BTreeMap<&'static str, &'static str> {
    static SECTIONS: OnceLock<BTreeMap<&str, &str>> = OnceLock::new();
    SECTIONS.get_or_init(|| {
        let parts = TEXT.split("\n## ").skip(1);
        parts.filter_map(|part| part.split_once('\n').map(|(code, text)| (code.trim(), text.trim()))).collect()
    })
}

/// What a code means and what to do about it, as Markdown.
pub fn explain(code: &str) -> Option<&'static str> {
    sections().get(code).copied()
}

/// Every code that has a text, in order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    sections().keys().copied()
}
