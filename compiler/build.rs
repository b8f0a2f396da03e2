//! Makes the index of the library: which file of `tapset/` defines which name.
//!
//! Definitions start at the beginning of a line, as everywhere in the library.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

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
    let mut names: Vec<(String, usize)> = Vec::new();
    let mut table = String::from("/// The files, with their texts.\nconst FILES: &[(&str, &str)] = &[\n");
    for (number, path) in files.iter().enumerate() {
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(path).expect("library files are UTF-8");
        names.extend(text.lines().filter_map(defined).map(|name| (name, number)));
        let name = path.file_name().and_then(|name| name.to_str()).expect("library files have plain names");
        writeln!(table, "    ({name:?}, include_str!({:?})),", path.display().to_string()).expect("memory");
    }
    names.sort();
    names.dedup();
    table += "];\n\n/// Names, ascending, with the file that defines each.\nconst INDEX: &[(&str, u16)] = &[\n";
    for (name, number) in &names {
        writeln!(table, "    ({name:?}, {number}),").expect("memory");
    }
    table += "];\n";
    let out = env::var("OUT_DIR").expect("cargo says where to write");
    fs::write(Path::new(&out).join("tapset.rs"), table).expect("the target folder can be written");
}

/// The name that a line defines: a function's, a global's, the first part of an alias's, or a macro's with its `@`.
fn defined(line: &str) -> Option<String> {
    if let Some(rest) = line.strip_prefix("@define ") {
        let name = rest.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_');
        return Some(format!("@{}", name.collect::<String>()));
    }
    let line = line.strip_prefix("private ").map_or(line, |_| "");
    let rest = ["function ", "global ", "probe "].iter().find_map(|word| line.strip_prefix(word))?;
    let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    // A probe that is no alias defines nothing.
    let alias = !line.starts_with("probe ") || rest.contains('=');
    (alias && !name.is_empty()).then_some(name)
}
