//! A walk over a million elements in user space, beside the same in Rust: what the machine code of handlers is worth.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::report::Report;
use crate::stats::Sample;
use crate::table::{Table, count};

const KEYS: i64 = 1_000_000;

/// Prints microseconds and the sum.
const SCRIPT: &str = r#"global a[1000000]
    probe begin {
      for (n = 0; n < 1000000; n++) a[n * 7] = n
      sum = 0
      start = gettimeofday_us()
      foreach (key in a) sum += (key >> 3) ^ a[key]
      printf("%d %d\n", gettimeofday_us() - start, sum)
      exit()
    }"#;

/// Measures and reports.
pub fn run(tapster: &Path, rounds: usize, report: &mut Report) {
    match text(tapster, rounds) {
        Ok(text) => report.block("walk", &text),
        Err(error) => report.skipped("a walk in user space", &error),
    }
}

fn text(tapster: &Path, rounds: usize) -> Result<String, String> {
    let (mut ours, mut theirs) = (vec![], vec![]);
    for _ in 0..rounds {
        let (time, sum) = in_script(tapster)?;
        let (rust, same) = in_rust();
        if sum != same {
            return Err(format!("the script's sum is {sum}, that of Rust {same}"));
        }
        ours.push(time);
        theirs.push(rust);
    }
    let [ours, theirs] = [ours, theirs].map(|times| Sample::new(times).ok_or("no round"));
    let (ours, theirs) = (ours?, theirs?);
    let mut table = Table::new(&["ms", "Tapster", "Rust", "ratio", "aim"]);
    for (name, ours, theirs) in [("median", ours.median(), theirs.median()), ("min", ours.min(), theirs.min())] {
        let ratio = ours / theirs;
        let met = if ratio <= 2.0 { "met" } else { "missed" };
        table.row(vec![
            name.to_owned(),
            format!("{ours:.1}"),
            format!("{theirs:.1}"),
            format!("{ratio:.2}"),
            format!("≤ 2.00: {met}"),
        ]);
    }
    let keys = count(KEYS as f64);
    Ok(format!("foreach (key in a) sum += (key >> 3) ^ a[key], {keys} keys, beside a HashMap of std\n{table}"))
}

fn in_script(tapster: &Path) -> Result<(f64, i64), String> {
    let output = Command::new(tapster).args(["-D", "MAXACTION=20000000", "-e", SCRIPT]).output();
    let output = output.map_err(|e| format!("{}: {e}", tapster.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace().map(str::parse::<i64>);
    match (words.next(), words.next()) {
        (Some(Ok(micros)), Some(Ok(sum))) => Ok((micros as f64 / 1e3, sum)),
        _ => Err(format!("it printed `{text}` and {}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn in_rust() -> (f64, i64) {
    let table: HashMap<i64, i64> = (0..KEYS).map(|n| (n * 7, n)).collect();
    let table = black_box(table);
    let start = Instant::now();
    let sum = table.keys().fold(0, |sum: i64, key| sum.wrapping_add((key >> 3) ^ table[key]));
    (start.elapsed().as_secs_f64() * 1e3, sum)
}
