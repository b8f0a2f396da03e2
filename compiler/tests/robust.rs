//! No script breaks the compiler: no panic, no overflow of the stack, no time or memory beyond reason.
//!
//! Each case is a text that a generator may print, or that somebody means badly: it compiles, or is an error that says
//! why. All run on a thread with the stack that a program's first one has. The times are the thread's own, whatever else
//! the machine does, and far above those measured, which are below two seconds on one slow core.

#[path = "common/clock.rs"]
mod clock;
mod common;

use clock::spent;
use common::world::Small;
use std::time::Duration;
use tapster_compiler::check::Options;
use tapster_lang::Severity;
use tapster_lang::diagnostic::{Format, render_all};
use tapster_lang::preprocess::Environment;

/// The stack of a program's first thread on Linux.
const STACK: usize = 8 << 20;
const LIMIT: Duration = Duration::from_secs(20);

/// Compiles to the end, and shows what is wrong; gives the first error's code.
fn outcome(text: &str) -> Result<(), &'static str> {
    let compile = || {
        let start = spent();
        let (sources, result) =
            common::image(text.as_bytes(), &Environment::default(), &Small::new(), &Options::default());
        let result = result.map(drop).map_err(|errors| {
            assert!(!render_all(&errors, &sources, Format::Stap, false, 80).is_empty());
            errors.iter().find(|error| error.severity == Severity::Error).expect("a failure has a reason").code
        });
        let took = spent() - start;
        assert!(took < LIMIT, "{took:?} for {}", text.chars().take(80).collect::<String>());
        result
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, compile);
        thread.expect("a thread can be had").join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn begin(body: &str) -> String {
    format!("probe begin {{ {body} }}")
}

fn kernel(body: &str) -> String {
    format!("probe kernel.trace(\"sched_switch\") {{ {body} }}")
}

/// Texts numbered from 0, put together.
fn many(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect()
}

/// A text around another, so many times.
fn nested(count: usize, before: &str, inner: &str, after: &str) -> String {
    before.repeat(count) + inner + &after.repeat(count)
}

/// Functions of which each has a body that may call the next by its name, the last one another.
fn chain(count: usize, body: impl Fn(&str) -> String, last: &str) -> String {
    let functions = many(count, |nth| format!("function f{nth}(x) {{ {} }}\n", body(&format!("f{}", nth + 1))));
    functions + &format!("function f{count}(x) {{ {last} }}\n")
}

#[test]
fn nesting_compiles_or_is_too_deep() {
    let bodies = |n: usize| {
        [
            format!("println({})", nested(n, "(", "pid()", ")")),
            format!("println({}pid())", "!".repeat(n)),
            format!("println({}pid())", "~ ".repeat(n)),
            format!("println(pid(){})", " + pid()".repeat(n)),
            format!("println(execname(){})", " . execname()".repeat(n)),
            format!("println({}1)", "pid() && ".repeat(n)),
            format!("println({})", nested(n, "pid() ? ", "1", " : 2")),
            nested(n, "if (pid()) {", "println(1)", "}"),
            nested(n, "try {", "println(1)", "} catch {}"),
            "if (pid()) println(2) else ".repeat(n) + "println(1)",
            "while (pid()) ".repeat(n) + "println(1)",
            format!("x = {}1 println(x)", "y = ".repeat(n)),
            nested(n, "{", "println(1)", "}"),
        ]
    };
    for place in [begin, kernel] {
        for body in bodies(250) {
            assert_eq!(outcome(&place(&body)), Ok(()), "{}", &body[..40]);
        }
        for body in bodies(10_000) {
            assert_eq!(outcome(&place(&body)), Err("parse::too-deep"), "{}", &body[..40]);
        }
    }
    assert_eq!(outcome(&kernel(&format!("println($prev{}->pid)", "->parent".repeat(500)))), Ok(()));
    let path = kernel(&format!("println($prev{}->pid)", "->parent".repeat(10_000)));
    assert_eq!(outcome(&path), Err("parse::too-deep"));
}

#[test]
fn calls_within_calls_take_no_power_of_their_depth() {
    let overloads = "function f(x) { if (x) next; return x }\n".repeat(2);
    assert_eq!(outcome(&(overloads + &begin(&format!("println({})", nested(200, "f(", "1", ")"))))), Ok(()));
    let doubling = chain(40, |next| format!("return {next}(x) + {next}(x)"), "return x");
    assert_eq!(outcome(&(doubling.clone() + &begin("println(f0(1))"))), Ok(()));
    // The kernel's part would have a copy of each call's body.
    assert_eq!(outcome(&(doubling + &kernel("println(f0(1))"))), Ok(()));
    let defined = nested(100, "((pid() ? ", "1", " : 2) && @defined($prev->pid) ? 1 : 3)");
    assert_eq!(outcome(&kernel(&format!("println({defined})"))), Ok(()));
}

#[test]
fn long_chains_of_functions_compile() {
    let chains = [
        chain(10_000, |next| format!("return {next}(x) + 1"), "return x"),
        chain(10_000, |next| format!("return {next}(x)"), "return x . \"a\""),
        chain(3_000, |next| format!("return {next}(x . \"a\")"), "return x"),
    ];
    for (functions, argument) in chains.iter().zip(["1", "execname()", "execname()"]) {
        assert_eq!(outcome(&(functions.clone() + &begin(&format!("println(f0({argument}))")))), Ok(()));
    }
    assert_eq!(outcome(&(chains[0].clone() + &kernel("println(f0(1))"))), Ok(()));
    let acting = "global g\n".to_owned() + &chain(10_000, |next| format!("{next}(x)"), "g++");
    assert_eq!(outcome(&(acting + &begin("f0(1)"))), Ok(()));
}

#[test]
fn a_thousand_overloads_compile() {
    let one = |body: &str| many(1_000, |_| format!("function f(x) {{ {body} }}\n")) + &begin("println(f(1))");
    assert_eq!(outcome(&one("return x")), Ok(()));
    assert_eq!(outcome(&one("if (x) next; return x")), Ok(()));
}

#[test]
fn aliases_end() {
    let aliases = |count: usize, points: &str| {
        many(count, |nth| format!("probe a{nth} = {} {{}}\n", points.replace('N', &(nth + 1).to_string())))
    };
    let user = |last: &str, count: usize| format!("probe a{count} = {last} {{}}\nprobe a0 {{ println(1) }}");
    assert_eq!(outcome(&(aliases(200, "aN") + &user("begin", 200))), Ok(()));
    assert_eq!(outcome(&(aliases(10_000, "aN") + &user("begin", 10_000))), Err("check::too-large"));
    assert_eq!(outcome(&(aliases(40, "aN, aN") + &user("begin", 40))), Err("check::too-large"));
    assert_eq!(outcome(&(aliases(40, "aN, aN") + &user("a0", 40))), Err("check::alias-loop"));
    assert_eq!(outcome("probe a = b {} probe b = a {} probe a { println(1) }"), Err("check::alias-loop"));
    let wild = many(20, |nth| format!("probe a{nth} = a* {{}}\n"));
    assert_eq!(outcome(&(wild + "probe a0 { println(1) }")), Err("check::alias-loop"));
    let flat = many(3_000, |nth| format!("probe a.b{nth} = begin {{}}\nprobe a.b{nth} {{ println(1) }}\n"));
    assert_eq!(outcome(&flat), Ok(()));
}

#[test]
fn copies_of_handlers_are_bounded() {
    let body = "g[1] = pid() println(1 + 2 * pid())\n".repeat(1_000);
    let points = "begin, ".repeat(9_999);
    assert_eq!(outcome(&format!("global g probe {points}begin {{ {body} }}")), Err("check::too-large"));
}

#[test]
fn ten_thousand_of_anything_compile() {
    let n = 10_000;
    let globals = many(n, |nth| format!("global g{nth}\n"));
    assert_eq!(outcome(&many(n, |nth| begin(&format!("println({nth})")))), Ok(()));
    assert_eq!(outcome(&many(n, |nth| kernel(&format!("println({nth})")))), Ok(()));
    assert_eq!(outcome(&(globals.clone() + &begin(&many(n, |nth| format!("g{nth} = pid()\n"))))), Ok(()));
    assert_eq!(outcome(&(globals + &many(n, |nth| begin(&format!("g{nth} = pid()"))))), Ok(()));
    assert_eq!(outcome(&begin(&many(n, |nth| format!("x{nth} = pid() println(x{nth})\n")))), Ok(()));
    assert_eq!(outcome(&begin(&many(n, |nth| format!("if (pid() == {nth}) println({nth})\n")))), Ok(()));
    assert_eq!(outcome(&("global g\n".to_owned() + &kernel(&many(n, |nth| format!("g[{nth}] <<< 1\n"))))), Ok(()));
    assert_eq!(outcome(&begin(&many(n, |nth| format!("if (execname() =~ \"a{nth}\") println(1)\n")))), Ok(()));
    // Each branch goes on in user space, and all that follows with it.
    assert_eq!(outcome(&kernel(&many(n, |nth| format!("if (pid() == {nth}) log(\"x\")\n")))), Ok(()));
    assert_eq!(outcome(&begin(&format!("print({}1)", "1, ".repeat(n)))), Ok(()));
}

#[test]
fn what_is_learned_from_behind_needs_no_round_for_each_step() {
    let n = 10_000;
    let types = begin(&(many(n, |nth| format!("x{nth} = x{}\n", nth + 1)) + "x10000 = 1 println(x0)"));
    assert_eq!(outcome(&types), Ok(()));
    let shapes = many(n, |nth| format!("x{} = x{nth} . \"a\"\n", nth + 1));
    assert_eq!(outcome(&begin(&("x0 = execname()\n".to_owned() + &shapes + "println(x10000)"))), Ok(()));
    let unread = "x0 = pid()\n".to_owned() + &many(n, |nth| format!("x{} = x{nth}\n", nth + 1));
    assert_eq!(outcome(&begin(&unread)), Err("check::no-probes"));
}

#[test]
fn thousands_of_errors_are_reported() {
    let n = 10_000;
    let cases = [
        ("check::no-function", begin(&many(n, |nth| format!("some_name_{nth}()\n")))),
        (
            "check::no-array",
            many(n, |nth| format!("global name_{nth}\n")) + &begin(&many(n, |nth| format!("nome_{nth}[1] = 1\n"))),
        ),
        ("check::type", begin(&many(n, |nth| format!("x{nth} = 1 println(x{nth}) x{nth} = \"\"\n")))),
        ("target::no-member", kernel(&many(n, |nth| format!("println($prev->nope{nth})\n")))),
        ("target::no-variable", kernel(&many(n, |nth| format!("println($nope{nth})\n")))),
        ("probe::no-match", many(n, |nth| format!("probe kernel.function(\"nope{nth}\") {{}}\n"))),
        ("probe::unknown", many(n, |nth| format!("probe nope{nth} {{}}\n"))),
    ];
    for (code, text) in cases {
        assert_eq!(outcome(&text), Err(code));
    }
    // Warnings: none of these is ever assigned.
    assert_eq!(outcome(&begin(&many(n, |nth| format!("println(some_name_{nth} + 1)\n")))), Ok(()));
    let globals = many(n, |nth| format!("global some_name_{nth}\n"));
    assert_eq!(outcome(&(globals + &begin(&many(n, |nth| format!("println(some_name_{nth} + 1)\n"))))), Ok(()));
}

#[test]
fn lines_and_words_may_be_long() {
    let (a, b) = ("a".repeat(1 << 20), "b".repeat(1 << 20));
    for place in [begin, kernel] {
        assert_eq!(outcome(&format!("global {a} {}", place(&format!("{a}[1] <<< 1")))), Ok(()));
        assert_eq!(outcome(&place(&format!("println(\"{a}\")"))), Ok(()));
        assert_eq!(outcome(&format!("global g {}", place(&format!("g[\"{a}\"] <<< 1")))), Ok(()));
    }
    assert_eq!(outcome(&format!("function {b}() {{}} {}", begin(&format!("{a}()")))), Err("check::no-function"));
    assert_eq!(outcome(&format!("function {a}() {{}} {}", begin(&format!("a{a}()")))), Err("check::no-function"));
    // The text of a line belongs to each of its instructions, and to each warning about it.
    let line = " ".repeat(1 << 20) + &many(1_000, |nth| format!("g[{nth}] <<< 1; "));
    assert_eq!(outcome(&format!("global g {}", kernel(&line))), Ok(()));
    assert_eq!(outcome(&begin(&"x = pid() ".repeat(10_000))), Err("check::no-probes"));
}

#[test]
fn patterns_may_be_large() {
    let search = |pattern: &str| format!("if (execname() =~ \"{pattern}\") println(1)");
    for pattern in ["((a{30}){30})", "(a|b|c|d)*x(a|b|c|d){12}", ".*a.{14}", "((a{100}){100})"] {
        assert_eq!(outcome(&begin(&search(pattern))), Ok(()), "{pattern}");
        assert_eq!(outcome(&kernel(&search(pattern))), Ok(()), "{pattern}");
    }
    for pattern in ["(((a{1000}){1000}){1000})".to_owned(), "(".repeat(100_000), "(a|b)*".repeat(100_000)] {
        assert_eq!(outcome(&begin(&search(&pattern))), Err("check::regex"), "{}", &pattern[..10]);
    }
}

#[test]
fn what_gives_nothing_is_no_value() {
    for body in [
        "x = exit() println(x)",
        "x = \"\" . exit() println(x)",
        "if (exit()) println(1)",
        "println(1 + exit())",
        "x = \"\" . print(1) println(x)",
        "x = pid() ? exit() : \"\"; println(x)",
    ] {
        assert_eq!(outcome(&begin(body)), Err("check::unresolved-type"), "{body}");
    }
    let choices = nested(200, "pid() ? (", "exit()", ") : \"\"");
    assert_eq!(outcome(&begin(&format!("x = {choices} println(x)"))), Err("check::unresolved-type"));
}
