//! What the tests of this folder share.

use std::path::{Path, PathBuf};
use tapster_lang::parse::{Parsed, parse};
use tapster_lang::preprocess::{Environment, Macros};
use tapster_lang::{Diagnostic, SourceMap};

/// A folder beside this one.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The scripts of a folder, by name.
pub fn scripts(name: &str) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder(name)).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "stp"));
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        (name, std::fs::read(path).expect("readable"))
    };
    paths.iter().map(read).collect()
}

/// Parses bytes as the user's script `<input>` would be.
#[allow(dead_code, reason = "not every test file parses by itself")]
pub fn parse_bytes(text: &[u8], env: &Environment) -> (SourceMap, Result<Parsed, Vec<Diagnostic>>) {
    let mut sources = SourceMap::new();
    let file = sources.add_bytes("<input>", text);
    let parsed = parse(file, &mut sources, env, &Macros::default());
    (sources, parsed)
}
