//! What the script's globals hold at one moment, as data: records for machines, tables and pictures are made of it.

pub use crate::library::symbols::Place;
pub use tapster_runtime_ebpf::aggregate::Histogram;

use tapster_compiler::host::Extractor;
use tapster_runtime_ebpf::aggregate::{LOG_ZERO, Layout, read};

use crate::walk;

/// A global variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub content: Content,
}

/// What a global holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// One value.
    One(Value),
    /// The elements of an array, in the order of walks.
    Array(Vec<Element>),
}

/// An element of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The parts of its key.
    pub key: Vec<Value>,
    /// Its value.
    pub value: Value,
}

/// A part of a key, or a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Number(i64),
    /// A string.
    Text(Vec<u8>),
    /// A stack, innermost frame first.
    Stack(Vec<Place>),
    /// A statistic.
    Statistic(Statistic),
}

/// All that is known of a statistic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistic {
    /// What its extractors give, by name; those that are not kept are missing, and of an empty one all but the first.
    pub extracted: Vec<(&'static str, i64)>,
    /// Its buckets, where it keeps some.
    pub histogram: Option<Buckets>,
}

/// The counts of a histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// How values fall into them.
    pub kind: Histogram,
    /// One for each bucket.
    pub counts: Vec<i64>,
}

impl Statistic {
    /// Of a statistic as it lies in memory.
    pub fn new(layout: &Layout, value: &[u8]) -> Statistic {
        let parts = layout.parts;
        let extractors = [
            ("count", Extractor::Count, parts.count),
            ("sum", Extractor::Sum, parts.sum),
            ("min", Extractor::Min, parts.min),
            ("max", Extractor::Max, parts.max),
            ("avg", Extractor::Avg, parts.sum),
            ("variance", Extractor::Variance, parts.variance.is_some()),
        ];
        let known = extractors.into_iter().filter(|(.., kept)| *kept);
        let extracted = known.filter_map(|(name, extractor, _)| Some((name, walk::extract(layout, value, extractor)?)));
        let kind = layout.histogram;
        let counts = || (0..kind.buckets()).map(|nth| read(value, layout.buckets() + 8 * nth)).collect();
        let histogram = (kind != Histogram::None).then(|| Buckets { kind, counts: counts() });
        Statistic { extracted: extracted.collect(), histogram }
    }

    /// What an extractor gives.
    pub fn get(&self, extractor: &str) -> Option<i64> {
        self.extracted.iter().find(|(name, _)| *name == extractor).map(|(_, value)| *value)
    }
}

impl Buckets {
    /// The least and the greatest value that a bucket counts; `None` where it has no end.
    pub fn bounds(&self, bucket: usize) -> (Option<i64>, Option<i64>) {
        match self.kind {
            Histogram::Linear { low, interval, .. } => {
                let start = |nth: usize| low + (nth as i64 - 1) * interval;
                match bucket {
                    0 => (None, Some(low.saturating_sub(1))),
                    last if last + 1 == self.counts.len() => (Some(start(last)), None),
                    nth => (Some(start(nth)), Some(start(nth) + interval - 1)),
                }
            }
            Histogram::Log | Histogram::None => {
                // The outermost powers of two are none of the values.
                let power = |nth: i64| 1_i128 << nth;
                let (low, high) = match bucket as i64 - i64::from(LOG_ZERO) {
                    0 => (0, 0),
                    nth @ 1.. => (power(nth - 1), power(nth) - 1),
                    nth if nth <= -64 => (-power(63), -power(63)),
                    nth => (1 - power(-nth), -power(-nth - 1)),
                };
                (i64::try_from(low).ok(), i64::try_from(high).ok())
            }
        }
    }
}

impl Value {
    /// One number for it: of a statistic the sum, or where all that it counted is nothing, how many that was.
    pub fn weight(&self) -> Option<i64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Statistic(statistic) => {
                let sum = statistic.get("sum").filter(|sum| *sum != 0);
                sum.or_else(|| statistic.get("count"))
            }
            Value::Text(_) | Value::Stack(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_runtime_ebpf::aggregate::log_bucket;

    #[test]
    fn every_value_lies_within_the_bounds_of_its_bucket() {
        let buckets = |kind: Histogram| Buckets { kind, counts: vec![0; kind.buckets() as usize] };
        let log = buckets(Histogram::Log);
        let values = [0, 1, 2, 3, 4, 1000, i64::MAX, i64::MAX / 2 + 1, -1, -2, -3, -4, -1000, -i64::MAX, i64::MIN];
        for value in values {
            let (low, high) = log.bounds(log_bucket(value) as usize);
            assert!(low <= Some(value) && Some(value) <= high, "{value} in {low:?}..{high:?}");
        }
        let linear = buckets(Histogram::Linear { low: -10, high: 30, interval: 20 });
        for value in [-11, -10, 9, 10, 29, 30, 49, 50, 1000] {
            let (low, high) = linear.bounds(linear.kind.bucket(value) as usize);
            let within = low.is_none_or(|low| low <= value) && high.is_none_or(|high| value <= high);
            assert!(within, "{value} in {low:?}..{high:?}");
        }
    }
}
