//! Statistics.

use tapster_compiler::host::Extractor;
use tapster_runtime_ebpf::aggregate::{Histogram, Layout};

/// All that can be known of the values that were counted.
#[derive(Clone, Debug, Default)]
pub struct Statistic {
    values: Vec<i64>,
    /// Mean and sum of squares of Welford's method in whole numbers (SystemTap's runtime/stat-common.c).
    spread: (i64, i64),
}

impl Statistic {
    /// Counts a value.
    pub fn add(&mut self, value: i64, layout: Layout) {
        self.values.push(value);
        let shift = layout.parts.variance.unwrap_or(0);
        let (mean, squares) = self.spread;
        let value = value.wrapping_shl(shift.into());
        let delta = value.wrapping_sub(mean);
        let mean = mean.wrapping_add(delta.wrapping_div(self.values.len() as i64));
        let square = delta.wrapping_mul(value.wrapping_sub(mean));
        self.spread = (mean, squares.wrapping_add(square));
    }

    /// Reads an extractor; `None` is the error of an empty statistic.
    pub fn extract(&self, extractor: Extractor, layout: Layout) -> Option<i64> {
        let sum = self.values.iter().fold(0_i64, |sum, value| sum.wrapping_add(*value));
        let count = self.values.len() as i64;
        match extractor {
            Extractor::Count => Some(count),
            Extractor::Sum => Some(sum),
            Extractor::Min => self.values.iter().min().copied(),
            Extractor::Max => self.values.iter().max().copied(),
            Extractor::Avg => sum.checked_div(count),
            Extractor::Variance => self.variance(sum, layout),
        }
    }

    /// What one CPU counted, put together with nothing: the mean is made anew from the sum.
    fn variance(&self, sum: i64, layout: Layout) -> Option<i64> {
        let shift = layout.parts.variance.unwrap_or(0);
        let count = self.values.len() as i64;
        let mean = sum.wrapping_shl(shift.into()).checked_div(count)?;
        let Some(squares) = self.spread.1.checked_div(count - 1) else { return Some(0) };
        let apart = self.spread.0.wrapping_sub(mean);
        let between = count.wrapping_mul(apart.wrapping_mul(apart));
        let all = between.wrapping_add(squares.wrapping_mul(count - 1));
        Some((all / (count - 1)) >> (2 * u32::from(shift)).min(63))
    }

    /// Counts by bucket, those that are not zero.
    pub fn buckets(&self, histogram: Histogram) -> Vec<(i64, i64)> {
        let mut counts = std::collections::BTreeMap::new();
        for value in &self.values {
            *counts.entry(bucket(histogram, *value)).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }
}

/// The bucket of a value (language.md, section 7).
fn bucket(histogram: Histogram, value: i64) -> i64 {
    match histogram {
        Histogram::None => unreachable!("only histograms have buckets"),
        Histogram::Log => {
            let bits = i64::from(64 - value.unsigned_abs().leading_zeros());
            if value < 0 { (64 - bits).max(0) } else { 64 + bits }
        }
        Histogram::Linear { low, high, interval } => {
            let last = i128::from((high - low) / interval + 2);
            let nth = (i128::from(value) - i128::from(low)).div_euclid(i128::from(interval)) + 1;
            nth.clamp(0, last) as i64
        }
    }
}
