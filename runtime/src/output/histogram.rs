//! Histograms as SystemTap draws them (its runtime/stat-common.c, `_stp_stat_print_histogram_buf`).

use std::io::Write;
use tapster_runtime_ebpf::aggregate::{Histogram, LOG_ZERO};

/// Columns of the longest bar.
const WIDTH: i64 = 50;
/// Empty rows kept on each side of others; more are left out.
const ELISION: usize = 2;

/// Draws the buckets' counts; a blank line ends it. Draws nothing where all are empty.
pub fn print(kind: Histogram, counts: &[i64], out: &mut Vec<u8>) {
    let Some(shown) = Shown::of(kind, counts) else { return };
    let value_width = shown.value_width(kind, counts.len());
    let count_width = decimal_width(shown.highest);
    let mut put = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("memory takes everything");
    put(format_args!("{:>value_width$} |{:-<bar$} count\n", "value", "", bar = WIDTH as usize));
    let mut elided = false;
    for bucket in shown.first..=shown.last {
        if is_lonely(counts, bucket, shown.first, shown.last) {
            elided = true;
            continue;
        }
        if std::mem::take(&mut elided) {
            put(format_args!("{:value_width$} ~\n", ""));
        }
        let bar = (counts[bucket] / shown.scale) as usize;
        let number_width = WIDTH as usize - bar + 1 + count_width;
        let label = label(kind, bucket, counts.len());
        put(format_args!("{label:>value_width$} |{:@<bar$}{:>number_width$}\n", "", counts[bucket]));
    }
    put(format_args!("\n"));
}

/// The rows shown, and how they are scaled.
struct Shown {
    first: usize,
    last: usize,
    highest: i64,
    scale: i64,
}

impl Shown {
    fn of(kind: Histogram, counts: &[i64]) -> Option<Shown> {
        let first_used = counts.iter().position(|count| *count > 0)?;
        let last_used = counts.iter().rposition(|count| *count > 0)?;
        let highest = counts.iter().copied().max()?;
        let (first, last) = match kind {
            // Two more on each side, but not below zero where nothing was: negative values must exist to be shown.
            Histogram::Log => {
                let least = if first_used < LOG_ZERO as usize { 0 } else { LOG_ZERO as usize };
                (first_used.saturating_sub(ELISION).max(least.min(first_used)), last_used + ELISION)
            }
            // The rows for everything below and above only where something was there.
            _ => {
                let first = if first_used == 0 { 0 } else { first_used.saturating_sub(ELISION).max(1) };
                let overflow = counts.len() - 1;
                let last = if last_used == overflow { overflow } else { (last_used + ELISION).min(overflow - 1) };
                (first, last)
            }
        };
        let scale = if highest <= WIDTH { 1 } else { (highest as u64).div_ceil(WIDTH as u64) as i64 };
        Some(Shown { first, last: last.min(counts.len() - 1), highest, scale })
    }

    /// The width of the column of values: that of its extremes, at least that of its title.
    fn value_width(&self, kind: Histogram, buckets: usize) -> usize {
        let extremes = [self.first, self.last].map(|bucket| label(kind, bucket, buckets).len());
        extremes[0].max(extremes[1]).max("value".len())
    }
}

/// Whether a row and its neighbours on both sides, as far as they are shown, are all empty.
fn is_lonely(counts: &[i64], bucket: usize, first: usize, last: usize) -> bool {
    let from = bucket.saturating_sub(ELISION).max(first);
    let to = (bucket + ELISION).min(last);
    counts[from..=to].iter().all(|count| *count == 0)
}

fn decimal_width(number: i64) -> usize {
    number.to_string().len()
}

/// What stands before a row.
fn label(kind: Histogram, bucket: usize, buckets: usize) -> String {
    match kind {
        Histogram::Linear { low, high, interval } => match bucket {
            0 => format!("<{low}"),
            n if n + 1 == buckets => {
                // SystemTap names the start of the last regular bucket.
                let last = low + (high - low) / interval * interval;
                format!(">{last}")
            }
            n => (low + (n as i64 - 1) * interval).to_string(),
        },
        Histogram::Log | Histogram::None => {
            let distance = bucket as i64 - i64::from(LOG_ZERO);
            match distance {
                0 => "0".into(),
                1.. => (1u64 << (distance - 1).min(63)).to_string(),
                _ => format!("-{}", 1u64 << (-distance - 1).min(63)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_runtime_ebpf::aggregate::{Layout, Parts, read};

    fn drawn(histogram: Histogram, values: impl IntoIterator<Item = i64>) -> String {
        let layout = Layout { parts: Parts::default(), histogram };
        let mut value = vec![0; layout.size() as usize];
        values.into_iter().for_each(|v| layout.add(&mut value, v));
        let counts: Vec<i64> = (0..histogram.buckets()).map(|n| read(&value, layout.buckets() + 8 * n)).collect();
        let mut out = Vec::new();
        print(histogram, &counts, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    fn linear(low: i64, high: i64, interval: i64) -> Histogram {
        Histogram::Linear { low, high, interval }
    }

    /// What SystemTap printed: the text of the golden run from one title to the next.
    fn section(golden: &str, title: &str) -> String {
        let from = golden.find(&format!("{title}\n")).expect("a title") + title.len() + 1;
        let len = golden[from..].find("\n\n").expect("a blank line ends a histogram") + 2;
        golden[from..from + len].into()
    }

    #[test]
    fn histograms_are_those_of_systemtap() {
        let golden = include_str!("testdata/g09_hist.stdout");
        let runs: [(&str, Histogram, Vec<i64>); 9] = [
            ("log -10..10", Histogram::Log, (-10..=10).collect()),
            ("log 0..999", Histogram::Log, (0..1000).collect()),
            ("one", Histogram::Log, vec![5]),
            ("neg", Histogram::Log, vec![-1, -1000, -5]),
            ("big", Histogram::Log, vec![i64::MAX, 1, -i64::MAX]),
            ("zero", Histogram::Log, vec![0, 0]),
            ("lin -10..10 (0,5,1)", linear(0, 5, 1), (-10..=10).collect()),
            ("lin2 (-50,50,10)", linear(-50, 50, 10), (-10..=10).map(|i| i * 10).collect()),
            ("lin3 (0,1000,10)", linear(0, 1000, 10), vec![50]),
        ];
        for (title, histogram, values) in runs {
            assert_eq!(drawn(histogram, values), section(golden, title), "{title}");
        }
    }

    #[test]
    fn histograms_of_array_elements_are_those_of_systemtap() {
        let golden = include_str!("testdata/g27_statprint.stdout");
        let (_, histograms) = golden.split_once("av=5\n").expect("the walk comes first");
        // The kernel walked "y" before "x"; println adds a line feed to the blank line that ends a histogram.
        let both = drawn(linear(0, 20, 5), [5]) + &drawn(linear(0, 20, 5), [10, 20]);
        assert_eq!(both, histograms);
    }

    #[test]
    fn an_empty_histogram_draws_nothing() {
        assert_eq!(drawn(Histogram::Log, []), "");
    }
}
