//! Makes the index of the library: where in the files of `tapset/` which name is defined.
//!
//! Definitions start at the beginning of a line, as everywhere in the library, and last until the next one. A probe
//! that is no alias belongs to the definition before it: whoever needs that gets the probe.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

/// A name, whether only its own file knows it, the file's number, and where in the file it is defined.
type Row = (String, bool, usize, usize, usize);

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let folder = Path::new(&root).join("tapset");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the library is part of the package")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "stp" || extension == "stpm"))
        .collect();
    files.sort();
    let mut rows: Vec<Row> = Vec::new();
    let mut table = String::from("/// The files, with their texts.\nconst FILES: &[(&str, &str)] = &[\n");
    for (number, path) in files.iter().enumerate() {
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(path).expect("library files are UTF-8");
        rows.extend(definitions(&text, number));
        let name = path.file_name().and_then(|name| name.to_str()).expect("library files have plain names");
        writeln!(table, "    ({name:?}, include_str!({:?})),", path.display().to_string()).expect("memory");
    }
    rows.sort();
    table += "];\n\n/// What is defined where, by name; definitions of a name in their order.\nconst INDEX: &[Definition] = &[\n";
    for (name, private, file, start, end) in &rows {
        let row = format!("name: {name:?}, private: {private}, file: {file}, start: {start}, end: {end}");
        writeln!(table, "    Definition {{ {row} }},").expect("memory");
    }
    table += "];\n";
    let out = env::var("OUT_DIR").expect("cargo says where to write");
    fs::write(Path::new(&out).join("tapset.rs"), table).expect("the target folder can be written");
}

/// What a file defines, a row for each name.
fn definitions(text: &str, file: usize) -> Vec<Row> {
    let mut at = 0;
    let mut heads: Vec<(usize, bool, Vec<String>)> = Vec::new();
    for line in text.split_inclusive('\n') {
        let (private, rest) = line.strip_prefix("private ").map_or((false, line), |rest| (true, rest));
        let names = defined(rest);
        if !names.is_empty() {
            heads.push((at, private, names));
        }
        at += line.len();
    }
    let ends = heads.iter().skip(1).map(|(start, ..)| *start).chain([text.len()]);
    let rows = heads.iter().zip(ends).flat_map(|((start, private, names), end)| {
        names.iter().map(move |name| (name.clone(), *private, file, *start, end))
    });
    rows.collect()
}

/// The names that a line defines: a function's, those of globals, a macro's with its `@`, and up to two parts of an
/// alias's, `vfs.read` of `vfs.read.return`.
fn defined(line: &str) -> Vec<String> {
    let word = |rest: &str| -> String { rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect() };
    if let Some(rest) = line.strip_prefix("@define ") {
        return vec![format!("@{}", word(rest))];
    }
    if let Some(rest) = line.strip_prefix("function ") {
        return vec![word(rest)];
    }
    if let Some(rest) = line.strip_prefix("global ") {
        return rest.split(',').map(|name| word(name.trim_start())).collect();
    }
    let alias = line.strip_prefix("probe ").and_then(|rest| rest.split_once(['=', '{']));
    // What stands before `{` has no `=`: a probe that is no alias defines nothing.
    let Some((head, _)) = alias.filter(|(head, _)| line[6 + head.len()..].starts_with('=')) else { return vec![] };
    let parts = |name: &str| name.split('.').take(2).map(|part| word(part.trim())).collect::<Vec<_>>().join(".");
    head.split(',').map(|name| parts(name.trim_end_matches('+'))).collect()
}
