//! `foreach`: the order in which elements are visited.
//!
//! A walk holds its elements as they were when it began; the array may change meanwhile.

use crate::table::Table;
use std::rc::Rc;
use tapster_compiler::host::{Extractor, Sort, SortBy};
use tapster_compiler::image::{Array, KeyKind, Value};
use tapster_runtime_ebpf::aggregate::{Layout, read};

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    table: Rc<Table>,
    rows: std::vec::IntoIter<u32>,
}

impl Walk {
    /// Starts a walk; `text_of` gives the text of an interned string.
    pub fn new(
        table: Rc<Table>,
        array: &Array,
        sort: Sort,
        limit: Option<usize>,
        text_of: &mut dyn FnMut(u64) -> Box<[u8]>,
    ) -> Walk {
        let rows = order(&table, array, sort, limit, text_of).into_iter();
        Walk { table, rows }
    }

    /// The next key.
    pub fn next_key(&mut self) -> Option<&[u8]> {
        let row = self.rows.next()?;
        self.table.expect(row);
        Some(self.table.key(row))
    }
}

/// The rows to visit, in order.
fn order(
    table: &Table,
    array: &Array,
    sort: Sort,
    limit: Option<usize>,
    text_of: &mut dyn FnMut(u64) -> Box<[u8]>,
) -> Vec<u32> {
    let limit = limit.unwrap_or(usize::MAX);
    let sorting = Sorting { limit, descending: sort.descending };
    let key_part = |nth: u32| array.key.get(nth as usize);
    match sort.by {
        SortBy::Unsorted => table.live_rows().take(limit).collect(),
        SortBy::Key(nth) => match key_part(nth).map(|part| (part.offset, part.kind)) {
            Some((at, KeyKind::Long | KeyKind::Stack)) => sorting.rows(table, |row| read(table.key(row), at)),
            Some((at, KeyKind::Text(size))) => {
                let range = at as usize..(at + size) as usize;
                sorting.rows(table, |row| &table.key(row)[range.clone()])
            }
            Some((at, KeyKind::Interned)) => {
                let handle = |row| read(table.key(row), at) as u64;
                let last = table.live_rows().last().map_or(0, |row| row as usize + 1);
                let mut texts = vec![Box::default(); last];
                table.live_rows().for_each(|row| texts[row as usize] = text_of(handle(row)));
                sorting.rows(table, |row| &*texts[row as usize])
            }
            None => table.live_rows().take(limit).collect(),
        },
        SortBy::Value(extractor) => match array.value {
            Value::Long | Value::Stack => sorting.rows(table, |row| read(table.value(row), 0)),
            Value::Text(_) => sorting.rows(table, |row| table.value(row)),
            Value::Aggregate(layout) => {
                sorting.rows(table, |row| extract(&layout, table.value(row), extractor).unwrap_or(0))
            }
        },
    }
}

struct Sorting {
    limit: usize,
    descending: bool,
}

impl Sorting {
    /// The rows by their keys; equal ones as they stand in the table. Only those within the limit are sorted.
    fn rows<K: Ord>(&self, table: &Table, key: impl Fn(u32) -> K) -> Vec<u32> {
        if self.limit == 0 {
            return Vec::new();
        }
        let mut rows: Vec<(K, u32)> = table.live_rows().map(|row| (key(row), row)).collect();
        let compare = |a: &(K, u32), b: &(K, u32)| {
            let by_key = if self.descending { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) };
            by_key.then_with(|| a.1.cmp(&b.1))
        };
        if self.limit < rows.len() {
            rows.select_nth_unstable_by(self.limit - 1, compare);
            rows.truncate(self.limit);
        }
        rows.sort_unstable_by(compare);
        rows.into_iter().map(|(_, row)| row).collect()
    }
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_compiler::image::KeyPart;
    use tapster_runtime_ebpf::aggregate::{Histogram, Parts};

    const ELEMENTS: [(&str, i64, i64); 5] =
        [("find", 2, 7), ("sh", -1, 3), ("awk", 9, 7), ("sleep", 2, 1), ("a", 0, 5)];

    fn array(value: Value) -> Array {
        let key = vec![KeyPart { offset: 0, kind: KeyKind::Text(16) }, KeyPart { offset: 16, kind: KeyKind::Long }];
        Array { map: None, key, key_size: 24, value, max_entries: 99, sized: false }
    }

    fn table(value: Value) -> Rc<Table> {
        let mut table = Table::new(24, value.size() as usize);
        for (name, number, count) in ELEMENTS {
            let mut key = [0; 24];
            key[..name.len()].copy_from_slice(name.as_bytes());
            key[16..].copy_from_slice(&number.to_le_bytes());
            let row = table.push(&key);
            match value {
                Value::Aggregate(layout) => (0..count).for_each(|n| layout.add(table.value_mut(row), n)),
                _ => table.value_mut(row).copy_from_slice(&count.to_le_bytes()),
            }
        }
        Rc::new(table)
    }

    fn visited(value: Value, by: SortBy, descending: bool, limit: Option<usize>) -> Vec<String> {
        let (table, array) = (table(value), array(value));
        let mut walk = Walk::new(table, &array, Sort { by, descending }, limit, &mut |_| Box::default());
        let mut names = Vec::new();
        while let Some(key) = walk.next_key() {
            names.push(key[..16].iter().take_while(|b| **b != 0).map(|b| char::from(*b)).collect());
        }
        names
    }

    #[test]
    fn walks_go_by_name_by_number_and_by_value() {
        let all = |by, descending| visited(Value::Long, by, descending, None);
        assert_eq!(all(SortBy::Unsorted, false), ["find", "sh", "awk", "sleep", "a"]);
        assert_eq!(all(SortBy::Key(0), false), ["a", "awk", "find", "sh", "sleep"]);
        assert_eq!(all(SortBy::Key(1), false), ["sh", "a", "find", "sleep", "awk"]);
        assert_eq!(all(SortBy::Value(Extractor::Count), true), ["find", "awk", "a", "sh", "sleep"]);
    }

    #[test]
    fn a_limit_takes_the_first_of_the_order() {
        for limit in 0..7 {
            for descending in [false, true] {
                let by = SortBy::Value(Extractor::Count);
                let mut all = visited(Value::Long, by, descending, None);
                all.truncate(limit);
                assert_eq!(visited(Value::Long, by, descending, Some(limit)), all);
            }
        }
        assert_eq!(visited(Value::Long, SortBy::Unsorted, false, Some(2)), ["find", "sh"]);
    }

    #[test]
    fn statistics_go_by_their_extractor() {
        let parts = Parts { count: true, sum: true, min: true, max: true };
        let value = Value::Aggregate(Layout { parts, histogram: Histogram::None });
        assert_eq!(visited(value, SortBy::Value(Extractor::Sum), false, Some(3)), ["sleep", "sh", "a"]);
        assert_eq!(visited(value, SortBy::Value(Extractor::Avg), true, Some(1)), ["find"]);
    }

    #[test]
    fn interned_keys_go_by_their_text() {
        let mut table = Table::new(8, 8);
        [30u64, 10, 20].iter().for_each(|handle| {
            table.push(&handle.to_le_bytes());
        });
        let key = vec![KeyPart { offset: 0, kind: KeyKind::Interned }];
        let array = Array { map: None, key, key_size: 8, value: Value::Long, max_entries: 9, sized: false };
        let sort = Sort { by: SortBy::Key(0), descending: false };
        let mut text_of = |handle| Box::from([b'z' - handle as u8]);
        let mut walk = Walk::new(Rc::new(table), &array, sort, None, &mut text_of);
        let order: Vec<u8> = std::iter::from_fn(|| walk.next_key().map(|key| key[0])).collect();
        assert_eq!(order, [30, 20, 10]);
    }

    #[test]
    fn nothing_has_no_average_but_a_count_and_a_sum() {
        let layout =
            Layout { parts: Parts { count: true, sum: true, min: true, max: true }, histogram: Histogram::None };
        let mut value = [0; 32];
        assert_eq!(extract(&layout, &value, Extractor::Avg), None);
        assert_eq!(extract(&layout, &value, Extractor::Min), None);
        assert_eq!(extract(&layout, &value, Extractor::Count), Some(0));
        assert_eq!(extract(&layout, &value, Extractor::Sum), Some(0));
        [-5, -2].into_iter().for_each(|v| layout.add(&mut value, v));
        assert_eq!(extract(&layout, &value, Extractor::Avg), Some(-3));
    }
}
