//! The bench runs: each part that boots nothing, once. What it measures on a machine that tests is worth nothing.

use std::process::Command;

/// A line of what each part prints when it has measured.
const PARTS: [(&str, &str); 9] = [
    ("--compile", "check"),
    ("--live", "peak memory, MB"),
    ("--bodies", "together"),
    ("--events", "ns an event"),
    ("--large", "from ^C to the last line"),
    ("--flood", "Tapster's lines"),
    ("--walk", "HashMap"),
    ("--storm", "slab-by-site.stp"),
    ("--growth", "attached, ms"),
];

#[test]
fn every_part_measures() {
    for (part, line) in PARTS {
        let bench = Command::new(env!("CARGO_BIN_EXE_tapster-bench")).args(["--quick", part]).output();
        let bench = bench.expect("the bench was built");
        let said = String::from_utf8_lossy(&bench.stdout);
        assert!(bench.status.success(), "{part}: {}", String::from_utf8_lossy(&bench.stderr));
        assert!(said.contains(line), "{part} says nothing of `{line}`:\n{said}");
    }
}
