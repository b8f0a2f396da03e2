//! Diagnostics that no script of the test suites can provoke through the command line: of macro libraries, and of guru
//! mode.

use tapster_lang::SourceMap;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};

#[test]
fn a_macro_library_holds_nothing_but_definitions() {
    let mut sources = SourceMap::new();
    let file = sources.add("own.stpm", "@define one %( 1 %)\nprobe begin { }\n");
    let errors = Macros::default().add_file(file, &sources, &Environment::default()).expect_err("a probe is none");
    assert_eq!(errors[0].code, "parse::macro-file");
    assert_eq!(sources.locate(errors[0].span().start).line, 2);
}

#[test]
fn an_odd_end_of_embedded_code_draws_a_warning() {
    let mut sources = SourceMap::new();
    let file = sources.add("odd.stp", "function f() %{ if (x) { } }% %}\nprobe begin { f() }\n");
    let guru = Environment { guru: true, ..Environment::default() };
    let parsed = parse(file, &mut sources, &guru, &Macros::default()).expect("it parses all the same");
    assert_eq!(parsed.warnings[0].code, "parse::odd-close");
}
