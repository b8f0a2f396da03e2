//! What we build on may be used by everybody: licences by a list of allowed ones, sources by crates.io.
//!
//! Cargo says what a build on this machine takes in; this stands for `cargo deny`, which takes minutes to build.

use std::collections::BTreeMap;
use std::process::Command;

use super::source::Tree;
use crate::workspace;

/// Licences that ask for no more than to be named.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that may be there in two versions, and who needs the older one.
const TWICE: &[(&str, &str)] = &[
    ("bitflags", "region of cranelift-jit"),
    ("hashbrown", "gimli of cranelift-codegen"),
    ("syn", "macros of ratatui-core"),
    ("unicode-width", "miette"),
];

/// Dependencies with another licence or from elsewhere.
pub fn permissive(_: &Tree) -> Vec<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}\t{l}"]);
    match command.current_dir(workspace::root()).output() {
        Ok(output) if output.status.success() => complaints(&String::from_utf8_lossy(&output.stdout)),
        Ok(output) => vec![format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr))],
        Err(error) => vec![format!("cargo tree: {error}")],
    }
}

fn complaints(tree: &str) -> Vec<String> {
    let mut crates: BTreeMap<&str, &str> = BTreeMap::new();
    // `(*)`: its own dependencies were listed before.
    crates.extend(tree.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('\t')));
    let mut complaints = vec![];
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (package, licence) in &crates {
        let mut words = package.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        versions.entry(name).or_default().push(version);
        if !allows(licence) {
            complaints.push(format!("{package}: licence `{licence}` is not on the list"));
        }
        // `name v1 (path or address)`; crates.io is not named.
        let origin = package.split_once('(').map_or("", |(_, origin)| origin);
        if origin.contains("://") {
            complaints.push(format!("{package}: does not come from crates.io"));
        }
    }
    let twice = versions.iter().filter(|(name, versions)| {
        let excused = TWICE.iter().any(|row| row.0 == **name);
        versions.iter().any(|v| *v != versions[0]) && !excused
    });
    complaints.extend(twice.map(|(name, versions)| format!("{name}: built in versions {}", versions.join(", "))));
    complaints
}

/// Whether an SPDX expression can be satisfied by allowed licences: AND binds closer than OR.
fn allows(expression: &str) -> bool {
    let normal = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = normal.split_whitespace().collect();
    let mut at = 0;
    !words.is_empty() && any(&words, &mut at) && at == words.len()
}

fn any(words: &[&str], at: &mut usize) -> bool {
    let mut result = all(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all(words, at);
    }
    result
}

fn all(words: &[&str], at: &mut usize) -> bool {
    let mut result = one(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= one(words, at);
    }
    result
}

fn one(words: &[&str], at: &mut usize) -> bool {
    let Some(word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if *word == "(" {
        let result = any(words, at);
        // The closing one.
        *at += 1;
        return result;
    }
    let mut licence = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        licence = format!("{licence} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    ALLOWED.contains(&licence.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_understood() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "(MIT OR GPL-2.0) AND Unicode-3.0",
            "LGPL-2.1-only OR BSD-2-Clause",
        ] {
            assert!(allows(good), "{good}");
        }
        for bad in ["", "GPL-2.0", "MIT AND GPL-2.0", "(MIT OR ISC) AND LGPL-2.1", "Apache-2.0 WITH other"] {
            assert!(!allows(bad), "{bad}");
        }
    }

    #[test]
    fn origins_and_doubles_are_found() {
        let tree =
            "a v1.0.0 (/here/a)\tMIT\nb v1.0.0\tMIT\nb v2.0.0\tMIT\nb v2.0.0\tMIT (*)\nc v1.0.0 (https://x/c)\tISC\n";
        let complaints = complaints(tree);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
    }
}
