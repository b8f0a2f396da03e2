//! What checking says, in SystemTap's layout. Where no other source is given, the texts are those of stap 4.8
//! (reference: cli_error_samples.txt).

#[path = "common/world.rs"]
mod world;

use tapster_compiler::check::{Checked, Options, check};
use tapster_lang::ast::Script;
use tapster_lang::diagnostic::{Format, render_all};
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};
use tapster_lang::{Diagnostic, SourceMap};

/// The user's script, then files of the library.
fn checked(texts: &[&str], options: &Options) -> (SourceMap, Result<Checked, Vec<Diagnostic>>) {
    let mut sources = SourceMap::new();
    let scripts: Vec<Script> = texts
        .iter()
        .enumerate()
        .map(|(nth, text)| {
            let name = if nth == 0 { "<input>".to_owned() } else { format!("tapset/{nth}.stp") };
            let file = sources.add(name, *text);
            let environment = Environment { user_script: nth == 0, guru: true, ..Environment::default() };
            parse(file, &mut sources, &environment, &Macros::default()).expect("a script that parses").script
        })
        .collect();
    let result = check(&scripts, &world::Bare, options);
    (sources, result)
}

/// Everything that is said of a script, its files of the library behind it.
fn said_with(texts: &[&str], options: &Options) -> String {
    let (sources, result) = checked(texts, options);
    let all = result.map_or_else(|errors| errors, |checked| checked.warnings);
    render_all(&all, &sources, Format::Stap, false, 80)
}

fn said(text: &str) -> String {
    said_with(&[text], &Options::default())
}

/// Codes of what is said.
fn codes(texts: &[&str], options: &Options) -> Vec<&'static str> {
    let all = checked(texts, options).1.map_or_else(|errors| errors, |checked| checked.warnings);
    all.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn an_empty_probe_is_elided_and_none_is_left() {
    let expected = "\
WARNING: Probe 'begin' has been elided: keyword at <input>:1:1
 source: probe begin if (1) {}
         ^
semantic error: no probes found

";
    assert_eq!(said("probe begin if (1) {}"), expected);
}

#[test]
fn assignments_are_elided_before_statements() {
    // SystemTap says each text once; here the second ones are said, too.
    let expected = "\
WARNING: Eliding assignment to 'x': operator '=' at <input>:1:17
 source: probe begin { x = 5; x = \"a\" }
                         ^
WARNING: Eliding assignment to 'x': operator '=' at :1:24
 source: probe begin { x = 5; x = \"a\" }
                                ^
WARNING: Eliding side-effect-free expression : identifier 'x' at :1:15
 source: probe begin { x = 5; x = \"a\" }
                       ^
WARNING: Eliding side-effect-free expression : identifier 'x' at :1:22
 source: probe begin { x = 5; x = \"a\" }
                              ^
WARNING: Probe 'begin' has been elided: keyword at :1:1
 source: probe begin { x = 5; x = \"a\" }
         ^
semantic error: no probes found

";
    assert_eq!(said("probe begin { x = 5; x = \"a\" }"), expected);
}

#[test]
fn a_variable_without_a_type_was_never_assigned() {
    let expected = "\
WARNING: never-assigned local variable 'x': identifier 'x' at <input>:1:23
 source: probe begin { println(x) }
                               ^
semantic error: unresolved type : identifier 'x' at :1:23
        source: probe begin { println(x) }
                                      ^

";
    assert_eq!(said("probe begin { println(x) }"), expected);
}

#[test]
fn an_element_is_deleted_in_its_walk() {
    let text = "global a probe begin { foreach (k in a) delete a[k] a[1]=1 }";
    let expected = "\
semantic error: variable 'a' modified during 'foreach' iteration: identifier 'a' at <input>:1:48
        source: global a probe begin { foreach (k in a) delete a[k] a[1]=1 }
                                                               ^
";
    assert!(said(text).starts_with(expected), "{}", said(text));
}

#[test]
fn changes_in_a_walk_name_the_array() {
    let walk = |body: &str| said(&format!("global a probe begin {{ a[1] = 1; foreach (k in a) {body} }}"));
    for (body, column) in [("++a[k]", 53), ("a[k]++", 51), ("println(a[k] = 3)", 59), ("if (a[k]--) println(k)", 55)] {
        let place = format!("modified during 'foreach' iteration: identifier 'a' at <input>:1:{column}\n");
        assert!(walk(body).contains(&place), "{body}: {}", walk(body));
    }
}

#[test]
fn the_library_is_not_warned_about() {
    let library = "
        global unused_there, only_read_there
        function idle_there() { return 1 }
        function empty_there() { }
        function used_there(a) { idle = a; empty_there(); return only_read_there + a; println(1) }
        function used_there(a) { return 2 }
        probe there = begin { never_read = 1; 2; if (only_read_there) next; println(never_assigned + 1) }
        probe begin { written_there = 1 }
    ";
    let texts = ["probe there { println(used_there(1)) }", library];
    assert_eq!(said_with(&texts, &Options::default()), "");
}

#[test]
fn what_nobody_comes_to_has_no_types() {
    let text = "function f() { return 1 . 2 } global g function h() { g[1] = \"a\" . f() } probe begin { println(1) }";
    let said = codes(&[text], &Options::default());
    assert_eq!(said, ["elide::function", "elide::function", "elide::variable"]);
    let unoptimised = Options { elide: false, ..Options::default() };
    assert_eq!(codes(&[text], &unoptimised), ["elide::function", "elide::function"]);
}

#[test]
fn nothing_else_is_elided_without_optimisation() {
    let text = "probe begin { x = 5; if (0) println(2) next; println(1) } probe end { } global g";
    let unoptimised = Options { elide: false, ..Options::default() };
    let (_, result) = checked(&[text], &unoptimised);
    let checked = result.expect("nothing is wrong with it");
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    assert_eq!(checked.program.probes.len(), 2);
    assert_eq!(checked.program.probes[0].handler.body.len(), 4);
}

#[test]
fn variables_that_are_elided_are_forgotten() {
    let (_, result) = checked(
        &["probe begin { a = 1; b = a; c = 2; println(c) foreach (k in z) println(k) z[1] = 1 } global z"],
        &Options::default(),
    );
    let checked = result.expect("nothing is wrong with it");
    let names: Vec<&str> = checked.program.probes[0].handler.locals.iter().map(|local| local.name.as_str()).collect();
    assert_eq!(names, ["c", "k"]);
}

#[test]
fn counting_that_nobody_sees_is_left_out_in_silence() {
    let text =
        "global g probe begin { a += 1; a++; g++; g <<= 2; for (i = 0; i < 3; i++) println(i) } probe end { b++ }";
    let hidden = Options { display: false, ..Options::default() };
    let (_, result) = checked(&[text], &hidden);
    let checked = result.expect("nothing is wrong with it");
    assert!(checked.warnings.is_empty(), "{:?}", checked.warnings);
    assert_eq!(checked.program.probes.len(), 2, "no probe is dropped for it");
    assert!(!checked.program.globals[0].written);
    let (_, shown) = self::checked(&[text], &Options::default());
    let shown = shown.expect("nothing is wrong with it").program;
    assert_eq!(shown.probes.len(), 3, "one of them shows the global");
    assert!(shown.globals[0].written && shown.globals[0].read);
}

#[test]
fn two_files_declare_a_global() {
    let texts = ["global a probe begin { a = 1 println(a) }", "global a"];
    assert_eq!(codes(&texts, &Options::default()), ["check::duplicate-global"]);
    let private = ["global a probe begin { a = 1 println(a) }", "private a"];
    assert_eq!(codes(&private, &Options::default()), ["elide::variable"; 0]);
}

#[test]
fn c_is_refused_where_it_is_called() {
    let text = "function f() %{ return; %} probe begin { f() println(1) }";
    let late = checked(&[text], &Options::default()).1.expect("it can be listed").late;
    assert_eq!(late.iter().map(|d| d.code).collect::<Vec<_>>(), ["check::embedded-c"]);
    let idle = "function f() %{ return; %} probe begin { println(1) }";
    assert_eq!(codes(&[idle], &Options::default()), ["elide::function"]);
}
