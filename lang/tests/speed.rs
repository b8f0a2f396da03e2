//! Parsing takes microseconds: SystemTap's users wait for the probes, not for us.

mod common;

use common::parse_bytes;
use std::time::{Duration, Instant};
use tapster_lang::preprocess::Environment;

/// The shortest of many runs, which other work on the machine disturbs least.
fn least(text: &[u8], runs: usize) -> Duration {
    let args = [b"kmalloc-64".to_vec()];
    let env = Environment { args: &args, ..Environment::default() };
    let run = |_| {
        let start = Instant::now();
        let parsed = parse_bytes(text, &env);
        let took = start.elapsed();
        assert!(parsed.1.is_ok());
        took
    };
    (0..runs).map(run).min().unwrap_or_default()
}

fn slab() -> Vec<u8> {
    let scripts = common::scripts("golden");
    scripts.into_iter().find(|(name, _)| name == "slab.stp").expect("the script is there").1
}

#[test]
fn the_slab_script_parses_in_well_under_a_millisecond() {
    let took = least(&slab(), 300);
    assert!(took < Duration::from_micros(600), "{took:?}");
}

#[test]
fn a_hundred_kilobytes_take_a_hundred_times_as_long() {
    let probe =
        "probe kernel.function(\"f\").return? { if (x == 1) a[execname(), $p->q] <<< 1 else printf(\"%d\\n\", y) }\n";
    let small = least(probe.repeat(10).as_bytes(), 100);
    let large = least(probe.repeat(1000).as_bytes(), 60);
    assert!(large < small * 250, "{small:?} for 1 KB, {large:?} for 100 KB");
}
