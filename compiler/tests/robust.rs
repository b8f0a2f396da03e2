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
            errors.iter().find(|e| e.severity == tapster_lang::Severity::Error).expect("a failure has a reason").code
        });
        let took = start.elapsed();
        assert!(took < LIMIT, "{took:?} for {}", text.chars().take(80).collect::<String>());
        result
    };
    std::thread::scope(|scope| {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let thread = std::thread::Builder::new().name(name).stack_size(STACK).spawn_scoped(scope, compile);
        thread.expect("a thread can be had").join().expect("the compiler does not panic")
    })
}

#[test]
fn many_probes_compile() {
    assert_eq!(outcome(&many(1_000, |nth| begin(&format!("println({nth})")))), Ok(()));
    assert_eq!(outcome(&many(1_000, |nth| kernel(&format!("println({nth})")))), Ok(()));
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
