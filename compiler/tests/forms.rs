//! The forms of probe points that are listed are those that are taken.

#[path = "common/world.rs"]
mod world;

use tapster_compiler::check::{Options, check};
use tapster_compiler::dump::{Dump, dump};
use tapster_lang::SourceMap;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};

/// Codes of what is said of a point. The machine has nothing, so nearly all of them are refused in the end.
fn codes(point: &str) -> Vec<&'static str> {
    let mut sources = SourceMap::new();
    let file = sources.add("<input>", format!("probe {point} {{ exit() }}"));
    let parsed = parse(file, &mut sources, &Environment::default(), &Macros::default()).expect("a script");
    let checked = check(&[parsed.script], &world::Bare, &Options::default());
    checked.err().unwrap_or_default().iter().map(|error| error.code).collect()
}

#[test]
fn every_form_is_taken_and_none_besides() {
    let unknown = ["probe::unknown", "probe::mismatch", "probe::no-ebpf", "check::unsupported", "probe::unsupported"];
    for form in dump(Dump::ProbeTypes, &Environment::default()) {
        let point = form.replace("(number)", "(2)").replace("(string)", "(\"f@a.c:3\")");
        let codes = codes(&point);
        assert!(!codes.iter().any(|code| unknown.contains(code)), "{form}: {codes:?}");
        let longer = self::codes(&format!("{point}.nosuch"));
        assert!(!longer.is_empty(), "{form} may be followed by anything");
    }
}
