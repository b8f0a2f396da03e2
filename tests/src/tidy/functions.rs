//! Every function of the library is called by a test.
//!
//! The functions are those of the reference, which another test keeps as the library is. What a script of `scripts/`
//! calls counts where a case or a scenario runs that script.

use std::collections::BTreeSet;

use regex_lite::Regex;

use super::source::{SourceFile, Tree};

/// The reference, a heading `` ## `name:type(parameters)` `` each.
const REFERENCE: &str = "docs/tapset.md";

/// Functions that no kernel of the suites can be asked for, with why.
const UNTRIED: &[(&str, &str)] = &[
    ("addr_from_rqst", "takes a request of an NFS server, and the kernels of the lab have none"),
    ("addr_from_rqst_str", "as addr_from_rqst"),
    (
        "scsi_timer_pending",
        "takes a command of a disk: asked for as the variable of scsi.iodone, which a scenario counts by",
    ),
];

/// Functions that nothing calls, and exceptions that are none.
pub fn called(tree: &Tree) -> Vec<String> {
    let Some(reference) = tree.file(REFERENCE) else { return vec![format!("{REFERENCE}: is missing")] };
    let name = Regex::new(r"^## `(\w+)").expect("a constant");
    let known: BTreeSet<&str> =
        reference.text.lines().filter_map(|line| Some(name.captures(line)?.get(1)?.as_str())).collect();
    let called = calls(tree);
    let untried = |name: &str| UNTRIED.iter().any(|(known, _)| *known == name);
    let missing = known.iter().filter(|name| !called.contains(**name) && !untried(name));
    let mut complaints: Vec<String> = missing
        .map(|name| format!("{REFERENCE}:1: no test calls {name}(), so nothing says that it is right"))
        .collect();
    let stale = UNTRIED.iter().filter(|(name, _)| called.contains(*name) || !known.contains(name));
    complaints.extend(stale.map(|(name, _)| format!("tests/src/tidy/functions.rs:1: {name}() is no exception")));
    complaints
}

/// The names of what cases, recorded scripts, scenarios and the scripts that those run call.
fn calls(tree: &Tree) -> BTreeSet<&str> {
    let of_tests = |file: &&SourceFile| {
        ["tests/cases/", "tests/golden/", "tests/src/scenario/", "tests/library/"]
            .iter()
            .any(|folder| file.path.starts_with(folder))
    };
    let tests: Vec<&SourceFile> = tree.files.iter().filter(of_tests).collect();
    let runs = |script: &&SourceFile| {
        let name = script.path.rsplit('/').next().unwrap_or_default();
        script.path.starts_with("scripts/")
            && name.ends_with(".stp")
            && tests.iter().any(|test| test.text.contains(name))
    };
    let call = Regex::new(r"(\w+)\s*\(").expect("a constant");
    let code = tests.iter().copied().chain(tree.files.iter().filter(runs)).flat_map(code_lines);
    code.flat_map(|line| call.captures_iter(line).filter_map(|found| Some(found.get(1)?.as_str())).collect::<Vec<_>>())
        .collect()
}

/// Lines that are no comments.
fn code_lines(file: &SourceFile) -> impl Iterator<Item = &str> {
    file.text.lines().filter(|line| !line.trim_start().starts_with("//") && !line.trim_start().starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_called_or_complained_of() {
        let files = [
            (
                REFERENCE,
                "# F\n\n## `one:long()`\n\n## `two(n:long)`\n\n## `three()`\n\n## `four()`\n## `addr_from_rqst()`\n",
            ),
            ("tests/cases/a.stp", "// two(1)\nprobe begin { one() }\n//- stdout\n// slab.stp\n"),
            ("scripts/slab.stp", "# four()\nprobe begin { three() }\n"),
            ("scripts/other.stp", "probe begin { four() }\n"),
            ("tests/golden/g.stp", "probe begin { addr_from_rqst(1) }\n"),
        ];
        let tree = Tree { files: files.iter().map(|(p, t)| SourceFile::new((*p).into(), (*t).into())).collect() };
        let complaints = called(&tree);
        let complains = |name: &str| complaints.iter().any(|line| line.contains(&format!(" {name}()")));
        assert!(complains("two") && complains("four") && complains("addr_from_rqst"), "{complaints:?}");
        assert!(!complains("one") && !complains("three"), "{complaints:?}");
    }
}
