//! Who may know whom: the table of the house (ARCHITECTURE.md), held.

use regex_lite::Regex;

use super::source::{SourceFile, Tree};

/// What one area of the source must never name.
struct Forbidden {
    area: &'static str,
    paths: &'static [&'static str],
    because: &'static str,
}

const FORBIDDEN: &[Forbidden] = &[
    Forbidden {
        area: "lang/src/",
        paths: &["tapster_compiler", "tapster_runtime", "tapster_runtime_ebpf"],
        because: "the language stands alone",
    },
    Forbidden {
        area: "lang/src/",
        paths: &["std::fs", "std::env", "std::process", "std::net", "libc"],
        because: "a script comes as text: no files, no kernel",
    },
    Forbidden {
        area: "runtime-ebpf/src/",
        paths: &["std", "alloc", "tapster_lang", "tapster_compiler", "tapster_runtime"],
        because: "the contract is no_std and knows nobody",
    },
    Forbidden {
        area: "compiler/src/",
        paths: &["std::fs", "std::env", "std::process", "std::time", "std::net", "libc", "aya", "aya_obj"],
        because: "the compiler asks `trait World`, never the machine",
    },
    Forbidden {
        area: "compiler/src/",
        paths: &["tapster_runtime"],
        because: "what is compiled does not know who runs it",
    },
    Forbidden {
        area: "runtime/src/",
        paths: &[
            "tapster_compiler::bpf",
            "tapster_compiler::check",
            "tapster_compiler::hir",
            "tapster_compiler::intrinsic",
            "tapster_compiler::lower",
            "tapster_compiler::probe",
            "tapster_lang::ast",
            "tapster_lang::parse",
        ],
        because: "the runtime gets an Image and looks no further into the compiler",
    },
    Forbidden {
        area: "cli/src/",
        paths: &["tapster_compiler::bpf", "tapster_compiler::lower", "tapster_compiler::native"],
        because: "the command line calls stages, not their insides",
    },
    Forbidden {
        area: "tests/src/",
        paths: &["tapster_lang", "tapster_compiler", "tapster_runtime", "tapster_runtime_ebpf"],
        because: "the judge uses no line of what is judged",
    },
];

/// The modules through which a dependency is reached.
struct Door {
    krate: &'static str,
    through: &'static [&'static str],
    /// At most so many files.
    files_max: usize,
}

const MANY: usize = usize::MAX;

const DOORS: &[Door] = &[
    Door { krate: "pest", through: &["lang/src/parse"], files_max: MANY },
    Door { krate: "pest_derive", through: &["lang/src/parse"], files_max: 1 },
    Door { krate: "miette", through: &["lang/src/diagnostic"], files_max: 1 },
    // `bpf` reads CLIF all over its selector; its other half, from allocation on, works on its own instructions.
    Door {
        krate: "cranelift_codegen",
        through: &["compiler/src/lower", "compiler/src/native", "compiler/src/bpf"],
        files_max: MANY,
    },
    Door { krate: "cranelift_frontend", through: &["compiler/src/lower"], files_max: MANY },
    Door { krate: "cranelift_module", through: &["compiler/src/lower", "compiler/src/native"], files_max: MANY },
    Door { krate: "cranelift_jit", through: &["compiler/src/native"], files_max: MANY },
    Door { krate: "cranelift_native", through: &["compiler/src/native"], files_max: 1 },
    Door { krate: "regalloc2", through: &["compiler/src/bpf"], files_max: MANY },
    // One writer, one reader.
    Door { krate: "object", through: &["compiler/src"], files_max: 2 },
    Door { krate: "gimli", through: &["compiler/src/probe/process/dwarf"], files_max: MANY },
    Door {
        krate: "aya",
        through: &[
            "runtime/src/load",
            "runtime/src/attach",
            "runtime/src/event",
            "runtime/src/map",
            // The reference programs in C.
            "benches/src/bin/reference",
        ],
        files_max: MANY,
    },
    // The generated attributes of bpf(2): what aya lacks is called in `sys`.
    Door {
        krate: "aya_obj",
        through: &[
            "runtime/src/load",
            "runtime/src/attach",
            "runtime/src/event",
            "runtime/src/map",
            "runtime/src/sys",
            "benches/src/bodies",
        ],
        files_max: MANY,
    },
    Door { krate: "blazesym", through: &["runtime/src/symbol"], files_max: 1 },
    Door { krate: "crossterm", through: &["cli/src/top"], files_max: MANY },
    Door { krate: "ratatui_core", through: &["cli/src/top"], files_max: MANY },
    Door { krate: "ratatui_crossterm", through: &["cli/src/top"], files_max: 1 },
    Door { krate: "clap", through: &["cli/src"], files_max: MANY },
    Door { krate: "libc", through: &["runtime/src", "cli/src", "tests/", "benches/"], files_max: MANY },
];

/// Crates of this workspace that a manifest may list, and whether others may be listed at all.
const MANIFESTS: &[(&str, &[&str], bool)] = &[
    ("runtime-ebpf/Cargo.toml", &[], false),
    ("lang/Cargo.toml", &[], true),
    ("compiler/Cargo.toml", &["tapster-lang", "tapster-runtime-ebpf"], true),
    ("runtime/Cargo.toml", &["tapster-compiler", "tapster-lang", "tapster-runtime-ebpf"], true),
    ("cli/Cargo.toml", &["tapster-compiler", "tapster-lang", "tapster-runtime", "tapster-runtime-ebpf"], true),
    ("tests/Cargo.toml", &[], true),
];

/// Where `unsafe` may stand; the other crates forbid it.
const UNSAFE: &[&str] = &["compiler/src/native", "runtime/src/", "tests/", "compiler/tests/", "benches/"];

/// Names that an area must not know.
pub fn forbidden(tree: &Tree) -> Vec<String> {
    let mut complaints = vec![];
    for row in FORBIDDEN {
        let is_bad = |path: &str| row.paths.iter().any(|bad| path == *bad || path.starts_with(&format!("{bad}::")));
        for file in tree.rust(row.area) {
            let bad = file.paths.iter().filter(|(_, path)| is_bad(path));
            complaints.extend(bad.map(|(line, path)| format!("{}:{line}: {path}: {}", file.path, row.because)));
        }
    }
    complaints
}

/// Dependencies that are reached past their door.
pub fn doors(tree: &Tree) -> Vec<String> {
    let mut complaints = vec![];
    for door in DOORS {
        let is_it = |path: &str| path.split("::").next() == Some(door.krate);
        let line = |file: &SourceFile| file.paths.iter().find(|(_, path)| is_it(path)).map(|(line, _)| *line);
        let users: Vec<(&SourceFile, usize)> = tree.rust("").filter_map(|file| Some((file, line(file)?))).collect();
        let outside = users.iter().filter(|(file, _)| !door.through.iter().any(|module| file.path.starts_with(module)));
        let places = door.through.join(", ");
        complaints.extend(
            outside.map(|(file, line)| format!("{}:{line}: the door to {} is {places}", file.path, door.krate)),
        );
        if users.len() > door.files_max {
            let names: Vec<&str> = users.iter().map(|(file, _)| file.path.as_str()).collect();
            complaints.push(format!(
                "{}: {} belongs in {} files at most",
                names.join(", "),
                door.krate,
                door.files_max
            ));
        }
    }
    complaints
}

/// Dependencies between the crates of the workspace, by their manifests.
pub fn manifests(tree: &Tree) -> Vec<String> {
    let mut complaints = vec![];
    for (path, allowed, others) in MANIFESTS {
        let Some(file) = tree.file(path) else {
            complaints.push(format!("{path}: there is no such manifest"));
            continue;
        };
        let bad = dependencies(&file.text).into_iter().filter(|name| match name.starts_with("tapster") {
            true => !allowed.contains(&name.as_str()),
            false => !others,
        });
        complaints.extend(bad.map(|name| format!("{path}: must not depend on {name}")));
    }
    complaints
}

/// Names below `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let name = |line: &str| line.split(['.', '=', ' ']).next().unwrap_or_default().to_owned();
    lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#')).map(name).collect()
}

/// `unsafe` outside the places that argue for it.
pub fn unsafe_code(tree: &Tree) -> Vec<String> {
    let word = Regex::new(r"\bunsafe\b").expect("a constant");
    let files = tree.rust("").filter(|file| !UNSAFE.iter().any(|place| file.path.starts_with(place)));
    let lines = files.flat_map(|file| file.production().map(move |(number, line)| (file, number, line)));
    let bad = lines.filter(|(_, _, line)| word.is_match(line));
    bad.map(|(file, number, _)| format!("{}:{number}: unsafe belongs in {}", file.path, UNSAFE.join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        Tree { files: files.iter().map(|(path, text)| SourceFile::new((*path).into(), (*text).into())).collect() }
    }

    #[test]
    fn forbidden_names_are_found() {
        let tree = tree(&[("compiler/src/a.rs", "use std::{fmt, fs};\nfn f() { std::time::Instant::now(); }\n")]);
        let complaints = forbidden(&tree);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].starts_with("compiler/src/a.rs:1: std::fs"));
    }

    #[test]
    fn doors_are_kept() {
        let ok = ("lang/src/diagnostic/fancy.rs", "use miette::Report;\n");
        assert!(doors(&tree(&[ok])).is_empty());
        assert_eq!(doors(&tree(&[ok, ("cli/src/main.rs", "fn f() -> miette::Result<()> {}\n")])).len(), 2);
    }

    #[test]
    fn manifests_are_read() {
        let text = "[package]\nname = \"x\"\n[dependencies]\naya.workspace = true\nlibc = \"1\"\n[dev-dependencies]\nx = \"1\"\n";
        assert_eq!(dependencies(text), ["aya", "libc"]);
    }

    #[test]
    fn unsafe_is_found_in_code_only() {
        let tree = tree(&[("lang/src/a.rs", "#![forbid(unsafe_code)]\n// unsafe\nunsafe fn f() {}\n")]);
        assert_eq!(unsafe_code(&tree).len(), 1);
    }
}
