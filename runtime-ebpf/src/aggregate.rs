//! How a statistic lies in memory, on one CPU and merged.
//!
//! A value holds only what the script asks of it: `@count` alone is eight bytes. Fields are 64 bits wide and stand in
//! the order count, sum, min, max, mean and squares of `@variance`, buckets.

use crate::variance::Spread;

/// Buckets of `@hist_log`: index 64 is the value 0, 65 is 1, 63 is -1, then powers of two outwards.
pub const LOG_BUCKETS: u32 = 128;
/// The bucket of the value 0.
pub const LOG_ZERO: u32 = 64;

/// The parts of a statistic that a script reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// `@count`, and whatever needs to know that a value is there.
    pub count: bool,
    /// `@sum`, `@avg`.
    pub sum: bool,
    /// `@min`.
    pub min: bool,
    /// `@max`.
    pub max: bool,
    /// `@variance`, and by how many bits it is shifted. It needs `count` and `sum`.
    pub variance: Option<u8>,
}

/// The buckets a statistic keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Histogram {
    /// None.
    #[default]
    None,
    /// `@hist_log`.
    Log,
    /// `@hist_linear`: bucket 0 is below `low`, the last is above `high`.
    Linear {
        /// Start of the first bucket.
        low: i64,
        /// Start of the last regular bucket.
        high: i64,
        /// Width of a bucket.
        interval: i64,
    },
}

impl Histogram {
    /// How many buckets there are.
    pub const fn buckets(self) -> u32 {
        match self {
            Histogram::None => 0,
            Histogram::Log => LOG_BUCKETS,
            Histogram::Linear { low, high, interval } => ((high - low) / interval + 3) as u32,
        }
    }

    /// The bucket that `value` falls into.
    pub fn bucket(self, value: i64) -> u32 {
        match self {
            Histogram::None => 0,
            Histogram::Log => log_bucket(value),
            Histogram::Linear { low, high, interval } => linear_bucket(value, low, high, interval),
        }
    }
}

/// The log2 bucket of a value.
pub fn log_bucket(value: i64) -> u32 {
    match value {
        0 => LOG_ZERO,
        v if v > 0 => LOG_ZERO + 64 - (v as u64).leading_zeros(),
        v => LOG_ZERO - (64 - v.unsigned_abs().leading_zeros()).min(LOG_ZERO),
    }
}

fn linear_bucket(value: i64, low: i64, high: i64, interval: i64) -> u32 {
    let last = Histogram::Linear { low, high, interval }.buckets() - 1;
    if value < low {
        return 0;
    }
    // The width may exceed i64 where the bounds are far apart, so the distance is unsigned.
    let nth = (value as u64).wrapping_sub(low as u64) / interval as u64 + 1;
    nth.min(u64::from(last)) as u32
}

/// Where each part of a statistic lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// What is kept.
    pub parts: Parts,
    /// The buckets.
    pub histogram: Histogram,
}

impl Layout {
    /// Byte offset of the count.
    pub const fn count(&self) -> u32 {
        0
    }

    /// Byte offset of the sum.
    pub const fn sum(&self) -> u32 {
        8 * self.parts.count as u32
    }

    /// Byte offset of the smallest value.
    pub const fn min(&self) -> u32 {
        self.sum() + 8 * self.parts.sum as u32
    }

    /// Byte offset of the largest value.
    pub const fn max(&self) -> u32 {
        self.min() + 8 * self.parts.min as u32
    }

    /// Byte offset of the mean ([`Spread::mean`]).
    pub const fn mean(&self) -> u32 {
        self.max() + 8 * self.parts.max as u32
    }

    /// Byte offset of the sum of squares ([`Spread::squares`]).
    pub const fn squares(&self) -> u32 {
        self.mean() + 8 * self.parts.variance.is_some() as u32
    }

    /// Byte offset of the first bucket.
    pub const fn buckets(&self) -> u32 {
        self.squares() + 8 * self.parts.variance.is_some() as u32
    }

    /// Bytes of the whole value; never zero, as the kernel has no map of empty values.
    pub const fn size(&self) -> u32 {
        let bytes = self.buckets() + 8 * self.histogram.buckets();
        if bytes == 0 { 8 } else { bytes }
    }

    /// Adds one value, as the generated code does.
    pub fn add(&self, into: &mut [u8], value: i64) {
        let first = !self.parts.count || read(into, self.count()) == 0;
        if self.parts.count {
            write(into, self.count(), read(into, self.count()).wrapping_add(1));
        }
        if self.parts.sum {
            write(into, self.sum(), read(into, self.sum()).wrapping_add(value));
        }
        if self.parts.min && (first || value < read(into, self.min())) {
            write(into, self.min(), value);
        }
        if self.parts.max && (first || value > read(into, self.max())) {
            write(into, self.max(), value);
        }
        if let Some(shift) = self.parts.variance {
            let spread = self.spread(into).add(read(into, self.count()), value, shift);
            self.write_spread(into, spread);
        }
        if self.histogram != Histogram::None {
            let at = self.buckets() + 8 * self.histogram.bucket(value);
            write(into, at, read(into, at).wrapping_add(1));
        }
    }

    /// Puts what every CPU counted together; `into` is zeroed.
    pub fn merge<'a>(&self, into: &mut [u8], parts: impl Iterator<Item = &'a [u8]> + Clone) {
        parts.clone().for_each(|part| self.merge_one(into, part));
        if let Some(shift) = self.parts.variance {
            let spreads = parts.map(|part| (read(part, self.count()), self.spread(part)));
            let (count, sum) = (read(into, self.count()), read(into, self.sum()));
            self.write_spread(into, Spread::of_parts(spreads, count, sum, shift));
        }
    }

    fn merge_one(&self, into: &mut [u8], other: &[u8]) {
        let (here, there) = (self.parts.count.then(|| read(into, 0)), self.parts.count.then(|| read(other, 0)));
        if there == Some(0) {
            return;
        }
        let first = here == Some(0);
        if self.parts.min && (first || read(other, self.min()) < read(into, self.min())) {
            write(into, self.min(), read(other, self.min()));
        }
        if self.parts.max && (first || read(other, self.max()) > read(into, self.max())) {
            write(into, self.max(), read(other, self.max()));
        }
        let counters = (0..self.min()).chain(self.buckets()..self.buckets() + 8 * self.histogram.buckets());
        for at in counters.step_by(8) {
            write(into, at, read(into, at).wrapping_add(read(other, at)));
        }
    }

    /// The variance of what one CPU, or all together, counted; `None` where it is not kept or nothing was counted.
    pub fn variance(&self, value: &[u8]) -> Option<i64> {
        let shift = self.parts.variance?;
        let (count, sum) = (read(value, self.count()), read(value, self.sum()));
        // What was put together has the mean of all: this changes nothing about it.
        let spread = Spread::of_parts([(count, self.spread(value))].into_iter(), count, sum, shift);
        (count > 0).then(|| spread.variance(count, shift))
    }

    fn spread(&self, value: &[u8]) -> Spread {
        Spread { mean: read(value, self.mean()), squares: read(value, self.squares()) }
    }

    fn write_spread(&self, into: &mut [u8], spread: Spread) {
        write(into, self.mean(), spread.mean);
        write(into, self.squares(), spread.squares);
    }
}

/// Reads the 64-bit field at a byte offset.
pub fn read(value: &[u8], at: u32) -> i64 {
    let at = at as usize;
    let mut word = [0; 8];
    word.copy_from_slice(&value[at..at + 8]);
    i64::from_le_bytes(word)
}

/// Writes the 64-bit field at a byte offset.
pub fn write(value: &mut [u8], at: u32, word: i64) {
    let at = at as usize;
    value[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_buckets_follow_powers_of_two() {
        for (value, bucket) in
            [(0, 64), (1, 65), (2, 66), (3, 66), (4, 67), (-1, 63), (-2, 62), (-3, 62), (i64::MAX, 127)]
        {
            assert_eq!(log_bucket(value), bucket, "{value}");
        }
        assert_eq!(log_bucket(i64::MIN), 0);
    }

    #[test]
    fn linear_buckets_have_one_below_and_one_above() {
        let h = Histogram::Linear { low: 0, high: 100, interval: 10 };
        assert_eq!(h.buckets(), 13);
        for (value, bucket) in [(-1, 0), (0, 1), (9, 1), (10, 2), (100, 11), (110, 12), (i64::MAX, 12)] {
            assert_eq!(h.bucket(value), bucket, "{value}");
        }
    }

    const ALL: Layout = Layout {
        parts: Parts { count: true, sum: true, min: true, max: true, variance: Some(0) },
        histogram: Histogram::Log,
    };

    fn counted(layout: Layout, values: &[i64]) -> [u8; 2048] {
        let mut value = [0; 2048];
        values.iter().for_each(|v| layout.add(&mut value, *v));
        value
    }

    #[test]
    fn merging_two_cpus_is_adding_all_values_on_one() {
        let layout = Layout { parts: Parts { variance: None, ..ALL.parts }, ..ALL };
        let (a, b) = (counted(layout, &[5, -3, 0, 12]), counted(layout, &[100, -70]));
        let mut merged = [0; 2048];
        layout.merge(&mut merged, [&a[..], &[0; 2048], &b].into_iter());
        assert_eq!(merged, counted(layout, &[5, -3, 0, 12, 100, -70]));
    }

    #[test]
    fn a_variance_survives_being_merged() {
        let one = counted(ALL, &[-1, -1000, -5]);
        let mut merged = [0; 2048];
        ALL.merge(&mut merged, [&[0; 2048], &one[..]].into_iter());
        // The golden run g09.
        assert_eq!([&one, &merged].map(|value| ALL.variance(value)), [Some(331_425); 2]);
        assert_eq!(ALL.variance(&[0; 2048]), None);
        assert_eq!(read(&merged, ALL.buckets() + 8 * log_bucket(-5)), 1);
    }
}
