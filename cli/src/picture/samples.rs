//! What globals held over time: so many samples that a picture can show them, further apart the longer a run takes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tapster_runtime::view::{Buckets, Content, Global, Value};

/// Between the first samples.
const FIRST: Duration = Duration::from_millis(100);
/// More samples than this are thinned to half.
const MOST: usize = 300;
/// So many elements of an array are followed: those that are largest when they are looked at.
const ELEMENTS: usize = 40;

/// The samples of a run.
#[derive(Debug)]
pub struct Samples {
    began: Instant,
    next: Instant,
    step: Duration,
    /// When they were taken.
    pub times: Vec<Duration>,
    /// Numbers by global and key.
    pub numbers: Series<i64>,
    /// Statistics by global and key: how many values they had counted.
    pub counts: Series<i64>,
    /// Histograms by global and key.
    pub histograms: Series<Buckets>,
}

/// What was seen of one kind of values: by the global's name, then by the key's text, by the number of the sample.
pub type Series<T> = BTreeMap<String, BTreeMap<String, BTreeMap<usize, T>>>;

impl Samples {
    /// Begins now.
    pub fn begin() -> Samples {
        let now = Instant::now();
        let (numbers, counts, histograms) = Default::default();
        Samples { began: now, next: now, step: FIRST, times: Vec::new(), numbers, counts, histograms }
    }

    /// When the next is due.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Takes one.
    pub fn take(&mut self, globals: &[Global]) {
        if self.times.len() >= MOST {
            self.thin();
        }
        let sample = self.times.len();
        self.times.push(self.began.elapsed());
        self.next = Instant::now() + self.step;
        for global in globals {
            match &global.content {
                Content::One(value) => self.add(sample, &global.name, "", value),
                Content::Array(elements) => {
                    let mut elements: Vec<_> = elements.iter().collect();
                    elements.sort_by_key(|element| std::cmp::Reverse(element.value.weight()));
                    for element in elements.into_iter().take(ELEMENTS) {
                        self.add(sample, &global.name, &super::key_text(&element.key), &element.value);
                    }
                }
            }
        }
    }

    fn add(&mut self, sample: usize, global: &str, key: &str, value: &Value) {
        match value {
            Value::Number(number) => put(&mut self.numbers, global, key, sample, *number),
            Value::Statistic(statistic) => {
                put(&mut self.counts, global, key, sample, statistic.get("count").unwrap_or(0));
                if let Some(buckets) = &statistic.histogram {
                    put(&mut self.histograms, global, key, sample, buckets.clone());
                }
            }
            Value::Text(_) | Value::Stack(_) => {}
        }
    }

    /// Keeps every other sample.
    fn thin(&mut self) {
        self.step *= 2;
        self.times = self.times.iter().copied().step_by(2).collect();
        halve(&mut self.numbers);
        halve(&mut self.counts);
        halve(&mut self.histograms);
    }
}

fn put<T>(series: &mut Series<T>, global: &str, key: &str, sample: usize, value: T) {
    if !series.contains_key(global) {
        series.insert(global.into(), BTreeMap::new());
    }
    let keys = series.get_mut(global).expect("it is there now");
    if !keys.contains_key(key) {
        keys.insert(key.into(), BTreeMap::new());
    }
    keys.get_mut(key).expect("it is there now").insert(sample, value);
}

fn halve<T>(series: &mut Series<T>) {
    for values in series.values_mut().flat_map(BTreeMap::values_mut) {
        let old = std::mem::take(values);
        values.extend(old.into_iter().filter(|(at, _)| at % 2 == 0).map(|(at, value)| (at / 2, value)));
    }
}

/// What was counted between a sample and the one before: less than before means that the script began anew.
pub fn counted(before: Option<i64>, now: i64) -> i64 {
    match before {
        Some(before) if before <= now => now - before,
        _ => now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(value: i64) -> Vec<Global> {
        vec![Global { name: "n".into(), content: Content::One(Value::Number(value)) }]
    }

    #[test]
    fn a_long_run_keeps_samples_of_all_of_it() {
        let mut samples = Samples::begin();
        (0..1000).for_each(|value| samples.take(&global(value)));
        let seen = &samples.numbers["n"][""];
        assert!(samples.times.len() <= MOST && seen.len() == samples.times.len());
        let values: Vec<i64> = seen.values().copied().collect();
        assert!(values[0] == 0 && values.windows(2).all(|pair| pair[0] < pair[1]), "{values:?}");
        assert!(*values.last().expect("there are some") >= 990);
        assert!(samples.step > FIRST);
    }

    #[test]
    fn what_was_deleted_begins_anew() {
        assert_eq!((counted(None, 5), counted(Some(5), 9), counted(Some(9), 4)), (5, 4, 4));
    }
}
