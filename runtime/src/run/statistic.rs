//! Reading statistics: extractors, histograms and their buckets.

use super::Run;
use crate::output::{histogram, json};
use crate::view::Buckets;
use crate::walk::{self, Walk};
use tapster_compiler::host::{Extractor, Sort};
use tapster_runtime_ebpf::aggregate::read;
use tapster_runtime_ebpf::record::Fault;

impl Run {
    /// Reads an extractor of a statistic.
    pub fn aggregate_read(&mut self, global: usize, key: Option<&[u8]>, extractor: Extractor) -> Result<i64, Fault> {
        let layout = self.globals.layout(global).ok_or(Fault::EmptyAggregate)?;
        let value = self.globals.statistic(global, key);
        match value.map(|value| walk::extract(&layout, value, extractor)) {
            Some(read) => read.ok_or(Fault::EmptyAggregate),
            None if matches!(extractor, Extractor::Count | Extractor::Sum) => Ok(0),
            None => Err(Fault::EmptyAggregate),
        }
    }

    /// The counts of a histogram's buckets; a fault where nothing was counted.
    fn buckets(&mut self, global: usize, key: Option<&[u8]>) -> Result<Buckets, Fault> {
        let layout = self.globals.layout(global).ok_or(Fault::EmptyAggregate)?;
        let value = self.globals.statistic(global, key).ok_or(Fault::EmptyAggregate)?;
        let count = |number: u32| read(value, layout.buckets() + 8 * number);
        let counts: Vec<i64> = (0..layout.histogram.buckets()).map(count).collect();
        match counts.iter().all(|count| *count == 0) {
            true => Err(Fault::EmptyAggregate),
            false => Ok(Buckets { kind: layout.histogram, counts }),
        }
    }

    /// Prints the histogram of a statistic.
    pub fn print_histogram(&mut self, global: usize, key: Option<&[u8]>) -> Result<(), Fault> {
        let buckets = self.buckets(global, key)?;
        if self.goes_on() && self.output.is_for_machines() {
            self.output.record(&json::record("histogram", |out| {
                out.push_str(",\"histogram\":");
                json::histogram(&buckets, out);
            }));
        } else if self.goes_on() {
            histogram::print(buckets.kind, &buckets.counts, self.output.text());
            self.output.rendered();
        }
        Ok(())
    }

    /// Appends the histogram of a statistic to a string.
    pub fn histogram_text(&mut self, global: usize, key: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let buckets = self.buckets(global, key)?;
        histogram::print(buckets.kind, &buckets.counts, out);
        Ok(())
    }

    /// The count of one bucket of a histogram.
    pub fn bucket(&mut self, global: usize, key: Option<&[u8]>, number: i64) -> Result<i64, Fault> {
        let buckets = self.buckets(global, key)?;
        let count = usize::try_from(number).ok().and_then(|number| buckets.counts.get(number));
        count.copied().ok_or(Fault::HistogramIndex)
    }

    /// Starts a walk over the buckets of a histogram; there is nothing to visit where nothing was counted.
    pub fn walk_buckets(&mut self, global: usize, key: Option<&[u8]>, sort: Sort, limit: Option<usize>) -> usize {
        let counts = self.buckets(global, key).map(|buckets| buckets.counts).unwrap_or_default();
        self.keep_walk(Some(Walk::over_buckets(&counts, sort, limit)))
    }
}
