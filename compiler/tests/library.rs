//! The library as a whole: its reference is current, and SystemTap's own library can be read.

use std::fs;
use std::path::{Path, PathBuf};
use tapster_compiler::dump::{Dump, dump};
use tapster_compiler::library::{self, Extra};
use tapster_compiler::reference;
use tapster_lang::SourceMap;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::Environment;

/// `TAPSTER_BLESS=1` writes the pages anew.
#[test]
fn the_references_are_current() {
    for (name, current) in [("tapset.md", reference::functions_page()), ("probes.md", reference::probes_page())] {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
        if std::env::var_os("TAPSTER_BLESS").is_some() {
            fs::write(&page, &current).expect("can be written");
        }
        let written = fs::read_to_string(&page).unwrap_or_default();
        assert!(written == current, "docs/{name} is not what the library says: run this test with TAPSTER_BLESS=1");
    }
}

#[test]
fn all_that_has_a_name_is_explained() {
    for name in reference::names() {
        let text = reference::explain(name).unwrap_or_default();
        let is_explained = text.split_once("\n\n").is_some_and(|(_, said)| said.len() > 5);
        assert!(is_explained, "{name} is not explained:\n{text}");
    }
    for form in dump(Dump::ProbeTypes, &Environment::default()) {
        let is_explained = reference::families().any(|(family, _)| reference::is_of(&form, family));
        assert!(is_explained, "no family of compiler/src/probe/families.md has the form {form}");
    }
}

/// Files of Debian's package `systemtap-common`; CI installs it.
fn systemtap() -> Vec<PathBuf> {
    let mut open = vec![PathBuf::from("/usr/share/systemtap/tapset")];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("stp" | "stpm") => files.push(path),
                _ if path.is_dir() => open.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that cannot be tried says so")]
fn the_library_of_systemtap_parses() {
    let files = systemtap();
    if files.is_empty() {
        eprintln!("skipped: SystemTap's library is not installed in /usr/share/systemtap/tapset");
        return;
    }
    let environment =
        Environment { args: &[], guru: true, kernel_release: "6.1.0", arch: "x86_64", ..Environment::default() };
    let environment = Environment { user_script: false, ..environment };
    let extras = files.iter().filter(|path| !path.components().any(|part| foreign(part.as_os_str())));
    let read = |path: &PathBuf| Extra::new(path.display().to_string(), fs::read(path).expect("readable"));
    let extras: Vec<Extra> = extras.map(read).collect();
    let mut sources = SourceMap::new();
    let macros = library::extra_macros(b"", &extras, &mut sources, &environment);
    let macros = macros.unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut parsed = 0;
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "stp")) {
        if path.components().any(|part| foreign(part.as_os_str())) {
            continue;
        }
        let id = sources.add_bytes(path.display().to_string(), &fs::read(path).expect("readable"));
        if let Err(errors) = parse(id, &mut sources, &environment, &macros) {
            panic!("{}: {errors:?}", path.display());
        }
        parsed += 1;
    }
    assert!(parsed > 100, "only {parsed} files");
}

/// Folders of other processors and other runtimes, whose macros have the same names.
fn foreign(part: &std::ffi::OsStr) -> bool {
    ["arm", "arm64", "i386", "ia64", "mips", "powerpc", "riscv", "s390", "bpf", "dyninst"]
        .iter()
        .any(|one| part == *one)
}
