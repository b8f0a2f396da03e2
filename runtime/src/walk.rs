//! `foreach`: the order in which elements are visited, and which of them.
//!
//! A walk holds its elements as they were when it began; the array may change meanwhile.

use crate::table::Table;
use std::cmp::Ordering;
use std::rc::Rc;
use tapster_compiler::host::{Extractor, Sort, SortBy};
use tapster_compiler::image::{KeyKind, KeyPart, Value};
use tapster_runtime_ebpf::aggregate::{Layout, read};

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    table: Rc<Table>,
    rows: std::vec::IntoIter<u32>,
}

impl Walk {
    /// A walk over these rows.
    pub fn new(table: Rc<Table>, rows: Vec<u32>) -> Walk {
        Walk { table, rows: rows.into_iter() }
    }

    /// A walk over the buckets of a histogram: keys are their numbers, values their counts.
    pub fn over_buckets(counts: &[i64], sort: Sort, limit: Option<usize>) -> Walk {
        let mut table = Table::new(8, 8);
        for (number, count) in (0i64..).zip(counts) {
            let row = table.push(&number.to_ne_bytes());
            table.value_mut(row).copy_from_slice(&count.to_ne_bytes());
        }
        let parts = [KeyPart { offset: 0, kind: KeyKind::Long }];
        let sorting = Sorting { parts: &parts, value: Value::Long, sort, limit, text_of: &mut |_| Box::default() };
        let mut rows = sorting.all_rows(&table);
        rows.truncate(limit.unwrap_or(usize::MAX));
        Walk::new(Rc::new(table), rows)
    }

    /// The next key.
    pub fn next_key(&mut self) -> Option<&[u8]> {
        let row = self.rows.next()?;
        self.table.expect(row);
        Some(self.table.key(row))
    }
}

/// The part of an array that `a[1, *]` means.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    /// A key.
    pub key: &'a [u8],
    /// The parts that must be equal, a bit each.
    pub mask: u64,
}

impl Slice<'_> {
    /// Whether a key is in it.
    pub fn has(&self, parts: &[KeyPart], key: &[u8]) -> bool {
        let wanted = parts.iter().enumerate().filter(|(nth, _)| *nth < 64 && self.mask >> nth & 1 == 1);
        wanted.map(|(_, part)| part.offset as usize..(part.offset + part.kind.size()) as usize).all(|range| {
            let part = key.get(range.clone());
            part.is_some() && part == self.key.get(range)
        })
    }
}

/// How a walk puts elements in order.
pub struct Sorting<'a> {
    /// The parts of a key.
    pub parts: &'a [KeyPart],
    /// What a value is.
    pub value: Value,
    /// By what.
    pub sort: Sort,
    /// How many elements need to be in order; the others follow as SystemTap leaves them.
    pub limit: Option<usize>,
    /// The text of an interned string.
    pub text_of: &'a mut dyn FnMut(u64) -> Box<[u8]>,
}

/// Up to this limit SystemTap only sorts as much as is asked for (its runtime/map.c, `_stp_map_sortn`).
const PARTLY_MAX: usize = 30;

impl Sorting<'_> {
    /// Whether the order is left behind in the table. Statistics are put together anew for every walk.
    pub fn stays(&self) -> bool {
        self.sort.by != SortBy::Unsorted && !matches!(self.value, Value::Aggregate(_))
    }

    /// All rows, in order.
    pub fn all_rows(self, table: &Table) -> Vec<u32> {
        let part = |nth: u32| self.parts.get(nth as usize).map(|part| (part.offset, part.kind));
        match self.sort.by {
            SortBy::Unsorted => self.unsorted(table),
            SortBy::Key(nth) => match part(nth) {
                Some((at, KeyKind::Long | KeyKind::Stack)) => self.sorted(table, |row| read(table.key(row), at)),
                Some((at, KeyKind::Text(size))) => {
                    let range = at as usize..(at + size) as usize;
                    self.sorted(table, |row| &table.key(row)[range.clone()])
                }
                Some((at, KeyKind::Interned)) => self.sorted_by_text(table, at),
                None => self.unsorted(table),
            },
            SortBy::Value(extractor) => match self.value {
                Value::Long | Value::Stack => self.sorted(table, |row| read(table.value(row), 0)),
                Value::Text(_) => self.sorted(table, |row| table.value(row)),
                Value::Aggregate(layout) => {
                    self.sorted(table, |row| extract(&layout, table.value(row), extractor).unwrap_or(0))
                }
            },
        }
    }

    /// As they stand; statistics youngest first.
    fn unsorted(&self, table: &Table) -> Vec<u32> {
        match self.value {
            Value::Aggregate(_) => table.live_rows().rev().collect(),
            _ => table.listed_rows(),
        }
    }

    /// By the text of the interned string at an offset of the key.
    fn sorted_by_text(self, table: &Table, at: u32) -> Vec<u32> {
        let last = table.live_rows().max().map_or(0, |row| row as usize + 1);
        let mut texts = vec![Box::default(); last];
        for row in table.live_rows() {
            texts[row as usize] = (self.text_of)(read(table.key(row), at) as u64);
        }
        self.sorted(table, |row| &*texts[row as usize])
    }

    /// By a key; equal ones stay as they stand.
    fn sorted<K: Ord>(&self, table: &Table, key: impl Fn(u32) -> K) -> Vec<u32> {
        let rows: Vec<(K, u32)> = self.unsorted(table).into_iter().map(|row| (key(row), row)).collect();
        let compare = |a: &(K, u32), b: &(K, u32)| {
            let ascending = a.0.cmp(&b.0);
            if self.sort.descending { ascending.reverse() } else { ascending }
        };
        let rows = match self.limit {
            Some(limit @ 1..=PARTLY_MAX) => sorted_partly(rows, limit, compare),
            _ => {
                let mut rows = rows;
                rows.sort_by(compare);
                rows
            }
        };
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

/// The first `limit` of the order, and behind them the others as SystemTap leaves them: those that stood in front and
/// were pushed out, the last one first, then those that never were in front.
fn sorted_partly<T>(rows: Vec<T>, limit: usize, compare: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    let mut rows = rows.into_iter();
    let mut front: Vec<T> = rows.by_ref().take(limit).collect();
    front.sort_by(&compare);
    let (mut out, mut never) = (Vec::new(), Vec::new());
    for row in rows {
        let at = front.partition_point(|other| compare(other, &row).is_le());
        if at == front.len() {
            never.push(row);
        } else {
            out.extend(front.pop());
            front.insert(at, row);
        }
    }
    front.extend(out.into_iter().rev());
    front.extend(never);
    front
}

/// What an extractor reads of a statistic's value; `None` where there is nothing to read.
pub fn extract(layout: &Layout, value: &[u8], extractor: Extractor) -> Option<i64> {
    let count = if layout.parts.count { read(value, layout.count()) } else { 1 };
    match extractor {
        Extractor::Count => Some(if layout.parts.count { count } else { 0 }),
        Extractor::Sum => Some(if layout.parts.sum { read(value, layout.sum()) } else { 0 }),
        _ if count == 0 => None,
        Extractor::Min => layout.parts.min.then(|| read(value, layout.min())),
        Extractor::Max => layout.parts.max.then(|| read(value, layout.max())),
        // Truncates toward zero, as SystemTap does.
        Extractor::Avg => layout.parts.sum.then(|| read(value, layout.sum()).wrapping_div(count)),
        Extractor::Variance => layout.variance(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_runtime_ebpf::aggregate::{Histogram, Parts};

    const ELEMENTS: [(&str, i64, i64); 5] =
        [("find", 2, 7), ("sh", -1, 3), ("awk", 9, 7), ("sleep", 2, 1), ("a", 0, 5)];
    const PARTS: [KeyPart; 2] =
        [KeyPart { offset: 0, kind: KeyKind::Text(16) }, KeyPart { offset: 16, kind: KeyKind::Long }];
    const ALL: Layout = Layout {
        parts: Parts { count: true, sum: true, min: true, max: true, variance: Some(0) },
        histogram: Histogram::None,
    };

    fn key(name: &str, number: i64) -> [u8; 24] {
        let mut key = [0; 24];
        key[..name.len()].copy_from_slice(name.as_bytes());
        key[16..].copy_from_slice(&number.to_le_bytes());
        key
    }

    fn table(value: Value) -> Table {
        let mut table = Table::new(24, value.size() as usize);
        for (name, number, count) in ELEMENTS {
            let row = table.push(&key(name, number));
            match value {
                Value::Aggregate(layout) => (0..count).for_each(|n| layout.add(table.value_mut(row), n * n)),
                _ => table.value_mut(row).copy_from_slice(&count.to_le_bytes()),
            }
        }
        table
    }

    fn rows(table: &Table, value: Value, by: SortBy, descending: bool, limit: Option<usize>) -> Vec<u32> {
        let sort = Sort { by, descending };
        Sorting { parts: &PARTS, value, sort, limit, text_of: &mut |_| Box::default() }.all_rows(table)
    }

    fn visited(value: Value, by: SortBy, descending: bool) -> Vec<String> {
        let table = Rc::new(table(value));
        let mut walk = Walk::new(Rc::clone(&table), rows(&table, value, by, descending, None));
        let mut names = Vec::new();
        while let Some(key) = walk.next_key() {
            names.push(key[..16].iter().take_while(|b| **b != 0).map(|b| char::from(*b)).collect());
        }
        names
    }

    #[test]
    fn walks_go_by_name_by_number_and_by_value() {
        let all = |by, descending| visited(Value::Long, by, descending);
        assert_eq!(all(SortBy::Unsorted, false), ["find", "sh", "awk", "sleep", "a"]);
        assert_eq!(all(SortBy::Key(0), false), ["a", "awk", "find", "sh", "sleep"]);
        assert_eq!(all(SortBy::Key(1), false), ["sh", "a", "find", "sleep", "awk"]);
        assert_eq!(all(SortBy::Value(Extractor::Count), true), ["find", "awk", "a", "sh", "sleep"]);
    }

    #[test]
    fn a_limit_takes_the_first_of_the_order() {
        let table = table(Value::Long);
        for descending in [false, true] {
            let by = SortBy::Value(Extractor::Count);
            let all = rows(&table, Value::Long, by, descending, None);
            for limit in 1..7 {
                let some = rows(&table, Value::Long, by, descending, Some(limit));
                assert_eq!(some[..limit.min(5)], all[..limit.min(5)], "limit {limit}, descending {descending}");
                assert_eq!(some.len(), 5, "the others are left behind");
            }
        }
    }

    /// By hand after `_stp_map_sortn` of SystemTap's runtime/map.c: of 5 3 8 1 9 2 the front is 3 5; 1 pushes out 5,
    /// 2 pushes out 3, 8 and 9 never come to the front.
    #[test]
    fn what_a_limit_leaves_behind_is_what_systemtap_leaves() {
        assert_eq!(sorted_partly(vec![5, 3, 8, 1, 9, 2], 2, Ord::cmp), [1, 2, 3, 5, 8, 9]);
        assert_eq!(sorted_partly(vec![1, 9, 8, 7], 1, Ord::cmp), [1, 9, 8, 7]);
        assert_eq!(sorted_partly(vec![9, 7, 8, 1], 2, Ord::cmp), [1, 7, 8, 9]);
    }

    #[test]
    fn statistics_go_by_their_extractor_and_youngest_first() {
        let value = Value::Aggregate(ALL);
        let of = |by, descending| visited(value, by, descending);
        assert_eq!(of(SortBy::Value(Extractor::Sum), false), ["sleep", "sh", "a", "awk", "find"]);
        // 0 1 4 9 16 25 36: the more squares, the wider apart.
        assert_eq!(of(SortBy::Value(Extractor::Variance), true), ["awk", "find", "a", "sh", "sleep"]);
        assert_eq!(of(SortBy::Unsorted, false), ["a", "sleep", "awk", "sh", "find"]);
    }

    #[test]
    fn interned_keys_go_by_their_text() {
        let mut table = Table::new(8, 8);
        [30u64, 10, 20].iter().for_each(|handle| {
            table.push(&handle.to_le_bytes());
        });
        let parts = [KeyPart { offset: 0, kind: KeyKind::Interned }];
        let sort = Sort { by: SortBy::Key(0), descending: false };
        let mut text_of = |handle| Box::from([b'z' - handle as u8]);
        let sorting = Sorting { parts: &parts, value: Value::Long, sort, limit: None, text_of: &mut text_of };
        assert_eq!(sorting.all_rows(&table), [0, 2, 1]);
    }

    #[test]
    fn a_slice_has_the_keys_that_are_equal_where_it_asks() {
        let wanted = key("find", 2);
        let has = |mask, name, number| Slice { key: &wanted, mask }.has(&PARTS, &key(name, number));
        assert!(has(0b11, "find", 2) && has(0b01, "find", 7) && has(0b10, "sh", 2) && has(0, "sh", 7));
        assert!(!has(0b11, "find", 3) && !has(0b01, "finder", 2) && !has(0b10, "find", 3));
    }

    #[test]
    fn buckets_are_visited_by_number_or_by_count() {
        let visited = |by, descending, limit| {
            let mut walk = Walk::over_buckets(&[4, 0, 7], Sort { by, descending }, limit);
            std::iter::from_fn(|| walk.next_key().map(|key| key[0])).collect::<Vec<u8>>()
        };
        assert_eq!(visited(SortBy::Unsorted, false, None), [0, 1, 2]);
        assert_eq!(visited(SortBy::Value(Extractor::Count), true, None), [2, 0, 1]);
        assert_eq!(visited(SortBy::Key(0), true, Some(2)), [2, 1]);
    }

    #[test]
    fn nothing_has_no_average_but_a_count_and_a_sum() {
        let mut value = [0; 48];
        for extractor in [Extractor::Avg, Extractor::Min, Extractor::Max, Extractor::Variance] {
            assert_eq!(extract(&ALL, &value, extractor), None);
        }
        assert_eq!(extract(&ALL, &value, Extractor::Count), Some(0));
        assert_eq!(extract(&ALL, &value, Extractor::Sum), Some(0));
        [-5, -2].into_iter().for_each(|v| ALL.add(&mut value, v));
        assert_eq!(extract(&ALL, &value, Extractor::Avg), Some(-3));
    }
}
