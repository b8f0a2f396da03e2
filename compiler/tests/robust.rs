//! No script breaks the compiler: no panic, no overflow of the stack, no time or memory beyond reason.
//!
//! Each case is a text that somebody's generator may print, or that somebody means badly: it compiles, or is an error
//! that says why. All run on a thread with the stack that a program's first one has.

mod common;

use common::world::Small;
use std::time::{Duration, Instant};
use tapster_compiler::check::Options;
use tapster_lang::diagnostic::{Format, render_all};
use tapster_lang::preprocess::Environment;

/// The stack of a program's first thread on Linux.
const STACK: usize = 8 << 20;
/// Far more than any case takes on a machine of today, far less than anybody would wait for.
const LIMIT: Duration = Duration::from_secs(10);

/// Compiles to the end and shows what is wrong; gives the first error's code.
fn outcome(text: &str) -> Result<(), &'static str> {
    let compile = || {
        let start = Instant::now();
        let (sources, result) =
            common::image(text.as_bytes(), &Environment::default(), &Small::new(), &Options::default());
        let result = result.map(drop).map_err(|errors| {
            assert!(!render_all(&errors, &sources, Format::Stap, false, 80).is_empty());
            errors.first().expect("a failure has a reason").code
        });
        let took = start.elapsed();
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        println!("{name}: {took:?} {result:?} {} bytes of {}", text.len(), text.chars().take(50).collect::<String>());
        assert!(took < LIMIT, "{took:?} for {}", text.chars().take(80).collect::<String>());
        result
    };
    std::thread::scope(|scope| {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let thread = std::thread::Builder::new().name(name).stack_size(STACK).spawn_scoped(scope, compile);
        thread.expect("a thread can be had").join().expect("the compiler does not panic")
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
#[test]
fn x_overloads_1000() {
    let t = many(1000, |_| "function f(x) { return x }\n".into()) + &begin("println(f(1))");
    outcome(&t).ok();
}
#[test]
fn x_overloads_next() {
    let t = many(1000, |_| "function f(x) { if (x) next; return x }\n".into()) + &begin("println(f(1))");
    outcome(&t).ok();
}
#[test]
fn x_overloads_nested() {
    let t = "function f(x) { if (x) next; return x }\n".repeat(2)
        + &begin(&format!("println({}1{})", "f(".repeat(60), ")".repeat(60)));
    outcome(&t).ok();
}
#[test]
fn x_overloads_kernel() {
    let t = many(1000, |_| "function f(x) { if (x) next; return x }\n".into()) + &kernel("println(f(1))");
    outcome(&t).ok();
}
#[test]
fn x_choose_print() {
    outcome(&begin(&format!("x = {}exit(){} println(x)", "1 ? (".repeat(60), ") : \"\"".repeat(60)))).ok();
}
#[test]
fn x_exit_value() {
    outcome(&begin("x = exit() println(x)")).ok();
    outcome(&begin("x = pid() ? exit() : 1; println(x)")).ok();
    outcome(&begin("x = pid() ? exit() : \"\"; println(x)")).ok();
    outcome(&begin("x = 1 + print(1); println(x)")).ok();
    outcome(&begin("x = \"\" . exit(); println(x)")).ok();
    outcome("global a probe begin { a[exit()] = print(1) println(a[exit()]) }").ok();
    outcome(&begin("if (exit()) println(1) while (print(1)) println(2)")).ok();
}
#[test]
fn x_chain_functions() {
    let n = 10_000;
    let t = many(n, |i| format!("function f{i}(x) {{ return f{}(x) + 1 }}\n", i + 1))
        + &format!("function f{n}(x) {{ return x }}\n")
        + &begin("println(f0(1))");
    outcome(&t).ok();
}
#[test]
fn x_chain_functions_kernel() {
    let n = 10_000;
    let t = many(n, |i| format!("function f{i}(x) {{ return f{}(x) + 1 }}\n", i + 1))
        + &format!("function f{n}(x) {{ return x }}\n")
        + &kernel("println(f0(1))");
    outcome(&t).ok();
}
#[test]
fn x_chain_effects() {
    let n = 10_000;
    let t = many(n, |i| format!("function f{i}() {{ f{}() }}\n", i + 1))
        + &format!("global g function f{n}() {{ g++ }}\n")
        + &begin("f0()");
    outcome(&t).ok();
}
#[test]
fn x_chain_1000_effects() {
    let n = 1_000;
    let t = many(n, |i| format!("function f{i}() {{ f{}() }}\n", i + 1))
        + &format!("global g function f{n}() {{ g++ }}\n")
        + &begin("f0()");
    outcome(&t).ok();
}
#[test]
fn x_double_kernel() {
    let n = 40;
    let t = many(n, |i| format!("function f{i}(x) {{ return f{0}(x) + f{0}(x) }}\n", i + 1))
        + &format!("function f{n}(x) {{ return x }}\n")
        + &kernel("println(f0(1))");
    outcome(&t).ok();
}
#[test]
fn x_double_user() {
    let n = 40;
    let t = many(n, |i| format!("function f{i}(x) {{ return f{0}(x) + f{0}(x) }}\n", i + 1))
        + &format!("function f{n}(x) {{ return x }}\n")
        + &begin("println(f0(1))");
    outcome(&t).ok();
}
#[test]
fn x_handoffs() {
    outcome(&kernel(&many(300, |i| format!("if (pid() == {i}) log(\"x\")\n")))).ok();
}
#[test]
fn x_handoffs_nested() {
    outcome(&kernel(&format!("{}{}", many(500, |i| format!("if (pid() == {i}) log(\"x\") else ")), "log(\"y\")"))).ok();
}
#[test]
fn x_elide_chain() {
    outcome(&begin(&(String::from("x0 = pid()\n") + &many(10000, |i| format!("x{} = x{}\n", i + 1, i))))).ok();
}
#[test]
fn x_infer_chain() {
    outcome(&begin(&(many(5000, |i| format!("x{} = x{}\n", i, i + 1)) + "x5000 = 1\n" + "println(x0)"))).ok();
}
#[test]
fn x_never_assigned_globals() {
    outcome(
        &(many(10000, |i| format!("global some_name_{i}\n"))
            + &begin(&many(10000, |i| format!("println(some_name_{i} + 1)\n")))),
    )
    .ok();
}
#[test]
fn x_never_assigned_locals() {
    outcome(&begin(&many(10000, |i| format!("println(some_name_{i} + 1)\n")))).ok();
}
#[test]
fn x_unknown_functions() {
    outcome(&begin(&many(10000, |i| format!("some_name_{i}()\n")))).ok();
}
#[test]
fn x_unknown_arrays() {
    outcome(
        &(many(1000, |i| format!("global some_namex_{i}\n"))
            + &begin(&many(10000, |i| format!("some_name_{i}[1] = 1\n")))),
    )
    .ok();
}
#[test]
fn x_locals() {
    outcome(&begin(&many(20000, |i| format!("x{i} = pid() println(x{i})\n")))).ok();
}
#[test]
fn x_locals_kernel() {
    outcome(&kernel(&many(2000, |i| format!("x{i} = pid() println(x{i})\n")))).ok();
}
#[test]
fn x_local_strings() {
    outcome(&begin(&many(20000, |i| format!("x{i} = execname() . execname() println(x{i})\n")))).ok();
}
#[test]
fn x_globals() {
    outcome(&(many(10000, |i| format!("global g{i}\n")) + &begin(&many(10000, |i| format!("g{i} = pid()\n"))))).ok();
}
#[test]
fn x_globals_arrays() {
    outcome(&(many(10000, |i| format!("global g{i}\n")) + &begin(&many(10000, |i| format!("g{i}[1] = pid()\n"))))).ok();
}
#[test]
fn x_globals_kernel_arrays() {
    outcome(
        &(many(10000, |i| format!("global g{i}\n"))
            + &many(1000, |j| kernel(&many(10, |i| format!("g{}[1] = pid()\n", j * 10 + i))))),
    )
    .ok();
}
#[test]
fn x_globals_kernel_one() {
    outcome(&(many(10000, |i| format!("global g{i}\n")) + &kernel(&many(10000, |i| format!("g{i} = pid()\n"))))).ok();
}
#[test]
fn x_globals_stats() {
    outcome(&(many(3000, |i| format!("global g{i}\n")) + &begin(&many(3000, |i| format!("g{i} <<< pid()\n"))))).ok();
}
#[test]
fn x_begin_probes() {
    outcome(&many(10000, |i| begin(&format!("println({i})\n")))).ok();
}
#[test]
fn x_trace_probes() {
    outcome(&("global g\n".to_owned() + &many(10000, |i| kernel(&format!("g[{i}] <<< 1\n"))))).ok();
}
#[test]
fn x_trace_probes_print() {
    outcome(&many(3000, |i| kernel(&format!("println({i})\n")))).ok();
}
#[test]
fn x_function_probes() {
    outcome(
        &("global g\n".to_owned()
            + &many(3000, |i| format!("probe kernel.function(\"vfs_read\") {{ g[{i}] <<< 1 }}\n"))),
    )
    .ok();
}
#[test]
fn x_alias_chain() {
    outcome(
        &(many(10000, |i| format!("probe a{} = a{} {{ }}\n", i, i + 1))
            + "probe a10000 = begin {} probe a0 { println(1) }"),
    )
    .ok();
}
#[test]
fn x_alias_chain_300() {
    outcome(
        &(many(300, |i| format!("probe a{} = a{} {{ }}\n", i, i + 1))
            + "probe a300 = begin {} probe a0 { println(1) }"),
    )
    .ok();
}
#[test]
fn x_alias_double() {
    outcome(
        &(many(40, |i| format!("probe a{} = a{}, a{} {{ }}\n", i, i + 1, i + 1))
            + "probe a40 = begin {} probe a0 { println(1) }"),
    )
    .ok();
}
#[test]
fn x_alias_loop() {
    outcome("probe a = b {} probe b = a {} probe a { println(1) }").ok();
}
#[test]
fn x_alias_loop_double() {
    outcome(
        &(many(40, |i| format!("probe a{} = a{}, a{} {{ }}\n", i, i + 1, i + 1))
            + "probe a40 = a0 {} probe a0 { println(1) }"),
    )
    .ok();
}
#[test]
fn x_alias_loop_all() {
    outcome(&(many(12, |i| format!("probe a{} = a* {{ }}\n", i)) + "probe a0 { println(1) }")).ok();
}
#[test]
fn x_alias_many() {
    outcome(
        &(many(5000, |i| format!("probe a.b{} = begin {{ }}\n", i))
            + &many(5000, |i| format!("probe a.b{} {{ println(1) }}\n", i))),
    )
    .ok();
}
#[test]
fn x_errors() {
    outcome(&begin(&many(20000, |i| format!("x{i} = 1 x{i} = \"\"\n")))).ok();
}
#[test]
fn x_errors_break() {
    outcome(&begin(&"break; ".repeat(50000))).ok();
}
#[test]
fn x_regexes() {
    outcome(&begin(&many(3000, |i| format!("println(execname() =~ \"a{i}\")\n")))).ok();
}
#[test]
fn x_regex_big() {
    outcome(&begin("println(execname() =~ \"(((a{1000}){1000}){1000})\")")).ok();
    outcome(&begin("println(execname() =~ \"((a{100}){100})\")")).ok();
    outcome(&begin(&format!("println(execname() =~ \"{}\")", "(".repeat(100000)))).ok();
    outcome(&begin(&format!("println(execname() =~ \"{}\")", "(a|b)*".repeat(100000)))).ok();
    outcome(&begin(&format!("println(execname() =~ \"{}\")", "a".repeat(1000000)))).ok();
}
#[test]
fn x_long_names() {
    let m = 1 << 20;
    let (a, b) = ("a".repeat(m), "b".repeat(m));
    outcome(&format!("function {b}() {{}} probe begin {{ {a}() }}")).ok();
}
#[test]
fn x_long_names_near() {
    let m = 1 << 20;
    let (a, b) = ("a".repeat(m), "a".repeat(m - 1));
    outcome(&format!("function {b}() {{}} probe begin {{ {a}() }}")).ok();
}
#[test]
fn x_long_name_ok() {
    let m = 1 << 20;
    let a = "a".repeat(m);
    outcome(&format!("global {a} probe begin {{ {a}[1] <<< 1 }}")).ok();
    outcome(&format!("global {a} {}", kernel(&format!("{a}[1] <<< 1")))).ok();
}
#[test]
fn x_long_text() {
    let m = 1 << 20;
    let a = "a".repeat(m);
    outcome(&begin(&format!("println(\"{a}\")"))).ok();
    outcome(&kernel(&format!("println(\"{a}\")"))).ok();
    outcome(&format!("global g {}", kernel(&format!("g[\"{a}\"] <<< 1")))).ok();
    outcome(&format!("global g = \"{a}\" {}", kernel("println(g)"))).ok();
    outcome(&begin(&format!("printf(\"{a}\")"))).ok();
}
#[test]
fn x_one_long_line_kernel() {
    outcome(
        &("global g ".to_owned()
            + &many(3000, |i| format!("probe kernel.trace(\"sched_switch\") {{ g[{i}] <<< 1 }} "))),
    )
    .ok();
}
#[test]
fn x_one_long_line_statements() {
    outcome(&("global g ".to_owned() + &kernel(&many(2000, |i| format!("g[{i}] <<< 1; "))))).ok();
}
#[test]
fn x_one_long_line_padded() {
    outcome(&("global g ".to_owned() + &kernel(&(" ".repeat(1000000) + &many(1000, |i| format!("g[{i}] <<< 1; "))))))
        .ok();
}
#[test]
fn x_kernel_statements() {
    outcome(&("global g ".to_owned() + &kernel(&many(10000, |i| format!("g[{i}] <<< 1\n"))))).ok();
}
#[test]
fn x_begin_statements() {
    outcome(&begin(&many(50000, |i| format!("println({i})\n")))).ok();
}
#[test]
fn x_begin_statements_200k() {
    outcome(&begin(&many(200000, |i| format!("println({i})\n")))).ok();
}
#[test]
fn x_begin_ifs() {
    outcome(&begin(&many(50000, |i| format!("if (pid() == {i}) println({i})\n")))).ok();
}
#[test]
fn x_begin_loops() {
    outcome(&begin(&many(20000, |i| format!("while (pid() == {i}) println({i})\n")))).ok();
}
#[test]
fn x_begin_strings() {
    outcome(&begin(&many(20000, |i| format!("println(execname() . \"{i}\")\n")))).ok();
}
#[test]
fn x_keys() {
    outcome(&format!("global a probe begin {{ a[{}1] = 1 }}", "1, ".repeat(1000))).ok();
    outcome(&format!("global a {}", kernel(&format!("a[{}1] = 1", "1, ".repeat(1000))))).ok();
    outcome(&format!("global a {}", kernel(&format!("a[{}execname()] = 1", "execname(), ".repeat(30))))).ok();
}
#[test]
fn x_args() {
    outcome(&format!(
        "function f({}y) {{ return y }} probe begin {{ println(f({}1)) }}",
        many(1000, |i| format!("x{i}, ")),
        "1, ".repeat(1000)
    ))
    .ok();
}
#[test]
fn x_print_args() {
    outcome(&begin(&format!("print({}1)", "1, ".repeat(10000)))).ok();
    outcome(&kernel(&format!("print({}1)", "pid(), ".repeat(1000)))).ok();
}
#[test]
fn x_depth() {
    for d in [100, 250, 290] {
        for w in [begin as fn(&str) -> String, kernel] {
            outcome(&w(&format!("println({}pid(){})", "(1+".repeat(d.min(250)), ")".repeat(d.min(250))))).ok();
            outcome(&w(&format!("println({}pid())", "! ".repeat(d * 2)))).ok();
            outcome(&w(&format!("println({}pid())", "~ ".repeat(d * 2)))).ok();
            outcome(&w(&format!("println(pid(){})", " + pid()".repeat(d * 2 - 10)))).ok();
            outcome(&w(&format!("println(execname(){})", " . execname()".repeat(d * 2 - 10)))).ok();
            outcome(&w(&format!("{}println(1){}", "if (pid()) {".repeat(d.min(200)), "}".repeat(d.min(200))))).ok();
            outcome(&w(&format!("{}println(1)", "if (pid()) ".repeat(d)))).ok();
            outcome(&w(&format!("{}println(1)", "while (pid()) ".repeat(d)))).ok();
            outcome(&w(&format!("{}println(1)", "if (pid()) println(2) else ".repeat(d * 2 - 10)))).ok();
            outcome(&w(&format!("println({}1{})", "pid() ? ".repeat(d), " : 2".repeat(d)))).ok();
            outcome(&w(&format!("println({}1)", "pid() ? 2 : ".repeat(d)))).ok();
            outcome(&w(&format!("println({}1)", "pid() && ".repeat(d)))).ok();
            outcome(&w(&format!("{}println(1){}", "try {".repeat(d.min(200)), "} catch {}".repeat(d.min(200))))).ok();
            outcome(&format!(
                "global a {}",
                w(&format!("println({}1{})", "a[".repeat(d.min(250)), "]".repeat(d.min(250))))
            ))
            .ok();
            outcome(&format!(
                "function f(x) {{ return x }} {}",
                w(&format!("println({}1{})", "f(".repeat(d.min(250)), ")".repeat(d.min(250))))
            ))
            .ok();
            outcome(&w(&format!("x = {}1 println(x)", "y = ".repeat(d)))).ok();
        }
    }
}
