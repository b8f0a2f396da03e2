//! How many instructions a program has, as `--emit bpf` prints it: slots of eight bytes, two for a wide constant.

use std::path::Path;
use std::process::Command;

use crate::skipped;
use crate::table::{Table, aim, count};

/// What is counted, and at most how many instructions it should have.
const SCRIPTS: &[(&str, &str, Option<f64>)] = &[(
    "stats[execname()] <<< 1",
    r#"global stats probe kernel.function("kmem_cache_alloc") { stats[execname()] <<< 1 }
       probe end { foreach (name in stats) println(@count(stats[name])) }"#,
    Some(32.0),
)];

/// Counts and prints.
pub fn run(tapster: &Path) {
    let mut table = Table::new(&["", "instructions", "aim", "program"]);
    for (name, script, most) in SCRIPTS {
        match program(tapster, script) {
            Ok((program, slots)) => {
                table.row(vec![(*name).to_owned(), count(slots), aim(slots, *most), program]);
            }
            Err(error) => return skipped(&format!("the size of {name}"), &error),
        }
    }
    print!("\nKernel-side program, eight-byte slots\n{table}");
}

/// The attach point of the script's only program, and its slots.
pub fn program(tapster: &Path, script: &str) -> Result<(String, f64), String> {
    let output = Command::new(tapster).args(["--emit", "bpf", "-e", script]).output();
    let output = output.map_err(|e| format!("{}: {e}", tapster.display()))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let mut heads = stdout.lines().filter_map(head);
    match (heads.next(), heads.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err("the kernel's names need more than one program".into()),
        (None, _) => Err(format!("no program was printed: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// `p0_kmem_cache_a: 31 instructions, tp_btf:kmem_cache_alloc`
fn head(line: &str) -> Option<(String, f64)> {
    let (_, rest) = line.split_once(": ")?;
    let (slots, at) = rest.split_once(" instructions, ")?;
    Some((at.to_owned(), slots.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_told_from_instructions() {
        let text = "p0_kmem_cache_a: 31 instructions, tp_btf:kmem_cache_alloc";
        assert_eq!(head(text), Some(("tp_btf:kmem_cache_alloc".into(), 31.0)));
        assert_eq!(head("   0: 0: call bpf_get_current_task_btf#158"), None);
    }
}
