//! Things that must not be left in the text of a file.

use super::source::{SourceFile, Tree};

/// Folders of the machine on which somebody worked.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/.cargo")];

/// Code that says it is not finished.
const LEFTOVERS: &[&str] = &[concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("db", "g!(")];

/// Words that say so in a comment.
const NOTES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

/// Absolute paths that exist on one machine only.
pub fn machine_paths(tree: &Tree) -> Vec<String> {
    tree.files.iter().flat_map(|file| occurrences(file, &file.text, MACHINE_PATHS)).collect()
}

/// Unfinished code, and notes that promise to finish it.
pub fn leftovers(tree: &Tree) -> Vec<String> {
    tree.rust("")
        .flat_map(|file| [occurrences(file, &file.code, LEFTOVERS), occurrences(file, &file.text, NOTES)].concat())
        .collect()
}

/// Rust files that do not begin with `//!`.
pub fn module_docs(tree: &Tree) -> Vec<String> {
    let silent = tree.rust("").filter(|file| !file.text.starts_with("//!") && !file.text.starts_with("#!"));
    silent.map(|file| format!("{}:1: begins without saying what it is for (`//!`)", file.path)).collect()
}

fn occurrences(file: &SourceFile, text: &str, words: &[&str]) -> Vec<String> {
    let lines = text.lines().enumerate();
    let found = lines.filter_map(|(i, line)| words.iter().find(|word| line.contains(**word)).map(|word| (i + 1, word)));
    found.map(|(number, word)| format!("{}:{number}: `{word}`", file.path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_found() {
        let text = format!("//! A file.\nfn f() {{ {}) }}\n", LEFTOVERS[0]);
        let tree = Tree { files: vec![SourceFile::new("a/src/b.rs".into(), text)] };
        assert_eq!(leftovers(&tree), [format!("a/src/b.rs:2: `{}`", LEFTOVERS[0])]);
        assert!(module_docs(&tree).is_empty());
    }
}
