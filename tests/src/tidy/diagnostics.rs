//! Every diagnostic code has a text that explains it and a test that provokes it.
//!
//! A code is a string `stage::fault` in production code, whether it stands in the call of `Diagnostic::error` or is
//! passed there.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::source::Tree;
use crate::{case, workspace};

/// The texts, a heading `## code` each.
const EXPLAIN: &str = "lang/src/explain.md";

/// Where diagnostics are made.
const AREAS: &[&str] = &["lang/src/", "compiler/src/", "runtime/src/", "cli/src/"];

/// Codes without a text, and texts without a code.
pub fn explained(tree: &Tree) -> Vec<String> {
    let codes = codes(tree);
    let Some(file) = tree.file(EXPLAIN) else {
        return if codes.is_empty() { vec![] } else { vec![format!("{EXPLAIN}: is missing")] };
    };
    let headings: Vec<&str> = file.text.lines().filter_map(|line| line.strip_prefix("## ")).map(str::trim).collect();
    let without = codes.iter().filter(|(code, _)| !headings.contains(&code.as_str()));
    let mut complaints: Vec<String> =
        without.map(|(code, place)| format!("{place}: `{code}` has no text in {EXPLAIN}")).collect();
    let stale = headings.iter().filter(|heading| heading.contains("::") && !codes.contains_key(**heading));
    complaints.extend(stale.map(|heading| format!("{EXPLAIN}: explains `{heading}`, which nothing reports")));
    complaints
}

/// Codes that neither a case's `code:` directive nor a unit test names, and cases that name a code nothing reports.
pub fn tested(tree: &Tree) -> Vec<String> {
    let codes = codes(tree);
    let cases: Vec<_> = case::corpus(&workspace::cases()).into_iter().flatten().collect();
    let unit_tests: String =
        AREAS.iter().flat_map(|area| tree.rust(crate_folder(area))).map(|file| file.tests()).collect();
    let is_tested = |code: &String| {
        cases.iter().any(|case| case.codes.contains(code)) || unit_tests.contains(&format!("\"{code}\""))
    };
    let untested = codes.iter().filter(|(code, _)| !is_tested(code));
    let mut complaints: Vec<String> =
        untested.map(|(code, place)| format!("{place}: no test provokes `{code}`")).collect();
    for case in &cases {
        let unknown = case.codes.iter().filter(|code| !codes.contains_key(*code));
        complaints.extend(unknown.map(|code| format!("{}: nothing reports `{code}`", case.name)));
    }
    complaints
}

/// `lang/src/` and `lang/tests/` are tested together.
fn crate_folder(area: &str) -> &str {
    area.trim_end_matches("src/")
}

/// Codes, with the first place of each.
fn codes(tree: &Tree) -> BTreeMap<String, String> {
    let literal = Regex::new(r#""([a-z]+::[a-z0-9]+(?:-[a-z0-9]+)*)""#).expect("a constant");
    let mut codes = BTreeMap::new();
    for file in AREAS.iter().flat_map(|area| tree.rust(area)) {
        for (number, line) in file.production() {
            for found in literal.captures_iter(line) {
                codes.entry(found[1].to_owned()).or_insert_with(|| format!("{}:{number}", file.path));
            }
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceFile;
    use super::*;

    #[test]
    fn codes_are_found_and_missed() {
        let code = "f(\"check::never-seen\", \"std\")\n#[cfg(test)]\nmod tests { \"check::other\" }\n";
        let explain = "# Codes\n\n## check::gone\n\ntext\n";
        let files = [("lang/src/a.rs", code), (EXPLAIN, explain)];
        let tree = Tree { files: files.iter().map(|(p, t)| SourceFile::new((*p).into(), (*t).into())).collect() };
        assert_eq!(
            codes(&tree).into_iter().collect::<Vec<_>>(),
            [("check::never-seen".into(), "lang/src/a.rs:1".into())]
        );
        assert_eq!(explained(&tree).len(), 2);
        assert!(tested(&tree).iter().any(|complaint| complaint.contains("no test provokes `check::never-seen`")));
    }
}
