//! Makes the list of the scripts that come along (`--example`), and has the linker pack addresses.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    // 19,000 addresses are put right before the program starts: 10 kB to read in place of 458.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let folder = Path::new(&root).join("../scripts");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(&folder)
        .expect("the scripts are part of the project")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "stp"))
        .collect();
    files.sort();
    let mut table = String::from("/// The scripts by the name of their file.\nconst SCRIPTS: &[(&str, &str)] = &[\n");
    for path in &files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("scripts have plain names");
        writeln!(table, "    ({name:?}, include_str!({:?})),", path.display().to_string()).expect("memory");
    }
    table += "];\n";
    let out = env::var("OUT_DIR").expect("cargo says where to write");
    fs::write(Path::new(&out).join("scripts.rs"), table).expect("the target folder can be written");
}
