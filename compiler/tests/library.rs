//! The library as a whole: its reference is current, and SystemTap's own library can be read.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use tapster_compiler::check::{refused, registers};
use tapster_compiler::dump::{Dump, dump};
use tapster_compiler::intrinsic::INTRINSICS;
use tapster_compiler::library::{self, Extra};
use tapster_compiler::reference;
use tapster_lang::ast::Item;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::Environment;
use tapster_lang::{SourceMap, Span};

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

/// Functions of SystemTap's library that more than one of 779 scripts calls, SystemTap's examples and others'.
const USED: &str = include_str!("used_functions.txt");

#[test]
fn functions_that_scripts_use_are_there_or_refused_with_a_reason() {
    let known: HashSet<&str> =
        library::names().chain(INTRINSICS.iter().map(|row| row.name)).chain(registers::names()).collect();
    for name in USED.split_whitespace() {
        let instead = refused::instead(name);
        assert!(known.contains(name) != instead.is_some(), "{name} is known, or refused with a reason, not both");
    }
    for (name, instead) in refused::REFUSED {
        assert!(USED.split_whitespace().any(|used| used == *name) && instead.len() > 20, "{name}: {instead}");
    }
}

/// What a script takes of the library: the names of aliases, functions and globals, each with its file and line.
fn taken(text: &str) -> Vec<(String, String, u32)> {
    let (mut sources, environment) = (SourceMap::new(), Environment::default());
    let macros = library::macros(text.as_bytes(), &mut sources, &environment).expect("macros that can be read");
    let file = sources.add("<input>", text);
    let mut scripts = vec![parse(file, &mut sources, &environment, &macros).expect("a script").script];
    library::complete(&mut scripts, &mut sources, &environment).expect("a library that can be read");
    let at = |name: String, span: Span| {
        let place = sources.locate(span.start);
        (name, place.file.to_owned(), place.line)
    };
    let named = |item: &Item| match item {
        Item::Alias(alias) => Some(at(alias.names[0].to_string(), alias.names[0].span)),
        Item::Function(function) => Some(at(function.name.name.clone(), function.name.span)),
        Item::Global(global) => Some(at(global.name.name.clone(), global.name.span)),
        _ => None,
    };
    scripts[1..].iter().flat_map(|script| &script.items).filter_map(named).collect()
}

#[test]
fn what_is_not_used_is_not_read_and_what_is_keeps_its_place() {
    for (script, names, other) in [
        ("probe scheduler.ctxswitch { println(next_pid) }", vec!["scheduler.ctxswitch"], "scheduler.wakeup"),
        ("probe vfs.read.return { println(1) }", vec!["vfs.read", "vfs.read.return"], "vfs.write"),
        ("probe begin { printf(\"%s\", human_bytes(1)) }", vec!["human_bytes", "__human"], "meminfo"),
        ("probe begin { start_stopwatch(\"a\") }", vec!["start_stopwatch", "__stopwatch_started"], "stop_stopwatch"),
    ] {
        let found = taken(script);
        for name in names {
            let (_, file, line) = found.iter().find(|(known, ..)| known == name).expect(name);
            let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a library file");
            let written = text.lines().nth(*line as usize - 1).unwrap_or_default();
            assert!(written.contains(name), "{name} is said to be in {file}:{line}: {written}");
        }
        assert!(
            library::text_of(other).is_some() && found.iter().all(|(name, ..)| name != other),
            "{other}: {found:?}"
        );
    }
}

#[test]
fn a_point_that_names_none_of_the_aliases_takes_all_that_are_similar() {
    let found = taken("probe vfs.raed { println(1) }");
    assert!(found.iter().any(|(name, ..)| name == "vfs.read"), "{found:?}");
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
