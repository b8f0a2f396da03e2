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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Every `"parse::…"` in the sources below a folder.
    fn codes_in(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("sources") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                codes_in(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                let starts = text.match_indices("\"parse::").map(|(at, _)| &text[at + 1..]);
                found.extend(starts.filter_map(|rest| rest.split_once('"')).map(|(code, _)| code.to_owned()));
            }
        }
    }

    #[test]
    fn every_code_of_this_crate_is_explained_and_used() {
        let mut used = Vec::new();
        codes_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut used);
        used.retain(|code| code.len() > "parse::".len() && !code.contains(' ') && !code.contains('…'));
        assert!(used.len() > 30, "{used:?}");
        for code in &used {
            assert!(explain(code).is_some(), "{code} lacks its section in explain.md");
        }
        for code in codes().filter(|code| code.starts_with("parse::")) {
            assert!(used.iter().any(|used| used == code), "{code} is explained but never used");
        }
    }
}
