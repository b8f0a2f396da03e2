//! The files of the workspace, and as much understanding of Rust as the rules need.
//!
//! Comments are blanked and strings kept, so that a rule about code does not read prose. What stands behind
//! `#[cfg(test)]`, in a `tests` folder or in a `tests.rs` counts as test code.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// All text files of the workspace that rules look at.
#[derive(Debug)]
pub struct Tree {
    /// The files in order of path.
    pub files: Vec<SourceFile>,
}

/// One of them.
#[derive(Debug)]
pub struct SourceFile {
    /// Relative to the workspace, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Rust files: without comments, same lines.
    pub code: String,
    /// Rust files: paths that production code imports or spells out, with their lines. `use a::{b, c::d}` gives `a::b`
    /// and `a::c::d`.
    pub paths: Vec<(usize, String)>,
    /// Rust files: the line, counted from 0, at which test code begins.
    tests_from: usize,
}

const SUFFIXES: &[&str] = &[".rs", ".toml", ".md", ".stp", ".sh", ".pest", ".ci/run"];

/// Whether a folder is not the house's: what cargo makes beside a manifest, and git's.
fn is_skipped(folder: &Path, name: &OsStr) -> bool {
    name == ".git" || name == "target" && folder.join("Cargo.toml").is_file()
}

impl Tree {
    /// Reads the workspace.
    pub fn read(root: &Path) -> Tree {
        let mut paths = vec![];
        walk(root, &mut paths);
        paths.sort();
        let file = |path: &PathBuf| {
            let relative = path.strip_prefix(root).ok()?.to_string_lossy().into_owned();
            let wanted = SUFFIXES.iter().any(|suffix| relative.ends_with(suffix));
            wanted.then(|| SourceFile::new(relative, fs::read_to_string(path).unwrap_or_default()))
        };
        Tree { files: paths.iter().filter_map(file).collect() }
    }

    /// Rust files below a path.
    pub fn rust<'a>(&'a self, below: &'a str) -> impl Iterator<Item = &'a SourceFile> {
        self.files.iter().filter(move |file| file.path.starts_with(below) && file.path.ends_with(".rs"))
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && !is_skipped(folder, &name) {
            walk(&path, paths);
        } else if path.is_file() {
            paths.push(path);
        }
    }
}

impl SourceFile {
    /// A file by its content.
    pub fn new(path: String, text: String) -> SourceFile {
        let code = if path.ends_with(".rs") { without_comments(&text) } else { String::new() };
        let all_tests = path.contains("/tests/") || path.ends_with("/tests.rs");
        let from = code.lines().position(|line| line.trim_start().starts_with("#[cfg(test)]")).unwrap_or(usize::MAX);
        let mut file = SourceFile { path, text, code, paths: vec![], tests_from: if all_tests { 0 } else { from } };
        file.paths = file.find_paths();
        file
    }

    /// Numbered lines of code that is no test.
    pub fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().take(self.tests_from).enumerate().map(|(i, line)| (i + 1, line))
    }

    /// The test code.
    pub fn tests(&self) -> String {
        self.code.lines().skip(self.tests_from).collect::<Vec<_>>().join("\n")
    }

    fn find_paths(&self) -> Vec<(usize, String)> {
        let mut found = vec![];
        let mut pending: Option<(usize, String)> = None;
        for (number, line) in self.production() {
            let trimmed = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            if pending.is_none() && trimmed.starts_with("use ") {
                pending = Some((number, String::new()));
            }
            match &mut pending {
                None => found.extend(spelled_out(line).into_iter().map(|path| (number, path))),
                Some((start, statement)) => {
                    *statement += trimmed.trim_start_matches("use ");
                    if let Some(tree) = statement.trim_end().strip_suffix(';') {
                        found.extend(expand(tree).into_iter().map(|path| (*start, path)));
                        pending = None;
                    }
                }
            }
        }
        found
    }
}

/// `std::fs::read` in an expression; what stands in a string is none.
fn spelled_out(line: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let code = line.split('"').step_by(2);
    let words = code.flat_map(|code| code.split(|c: char| !is_path(c))).filter(|word| word.contains("::"));
    words.map(|word| word.trim_start_matches(':').to_owned()).collect()
}

/// The paths of a `use` tree.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or(tree).trim().to_owned()];
    };
    let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
    let parts = split_outside_braces(inner);
    parts.iter().flat_map(|part| expand(part)).map(|path| format!("{}{path}", prefix.trim())).collect()
}

fn split_outside_braces(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("never empty").push(c);
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Blanks comments, keeping lines and strings.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '/' if rest.starts_with("//") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if rest.starts_with("/*") => {
                let end = rest.find("*/").map_or(rest.len(), |at| at + 2);
                out.extend(rest[..end].chars().filter(|c| *c == '\n'));
                rest = &rest[end..];
                continue;
            }
            'r' if raw_string(rest).is_some() && !out.ends_with(|c: char| c.is_alphanumeric() || c == '_') => {
                raw_string(rest).expect("just seen")
            }
            '"' => string(rest),
            '\'' => character(rest),
            c => c.len_utf8(),
        };
        out += &rest[..length];
        rest = &rest[length..];
    }
    out
}

/// Length of `"…"`.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

/// Length of `r"…"` or `r#"…"#`, if this is one.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let start = 2 + hashes;
    Some(body.find(&close).map_or(text.len(), |at| start + at + close.len()))
}

/// Length of a character literal; of the quote alone if it begins a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 3),
        Some((_, _)) => chars.next().filter(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 1),
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile::new("a/src/b.rs".into(), text.into())
    }

    #[test]
    fn comments_go_and_strings_stay() {
        let text = "a // b \"c\n\"// d\" '\"' e /* f\n g */ 'x r#\"// \" h\"# '\\'' // i\n";
        assert_eq!(file(text).code, "a \n\"// d\" '\"' e \n 'x r#\"// \" h\"# '\\'' \n");
    }

    #[test]
    fn imports_are_expanded() {
        let text = "use std::{fs, io::{self, Read}};\npub use aya::Ebpf as E;\nfn f() { std::env::var(); }\n\
                    #[cfg(test)]\nuse libc::c_int;\n";
        let paths: Vec<String> = file(text).paths.into_iter().map(|(_, path)| path).collect();
        assert_eq!(paths, ["std::fs", "std::io::self", "std::io::Read", "aya::Ebpf", "std::env::var"]);
    }

    #[test]
    fn statements_over_several_lines_are_one() {
        let paths = file("use a::{\n    b,\n    c::d,\n};\n").paths;
        assert_eq!(paths, [(1, "a::b".to_owned()), (1, "a::c::d".to_owned())]);
    }
}
