//! Reading the kernel's maps: all elements in batches, or one by its key; values of all CPUs become one.
//!
//! Where a map lies, and what user handlers added themselves, is the business of [`crate::globals`].

use crate::sys::bpf::{Cursor, Map};
use crate::table::Table;
use std::io;
use tapster_compiler::image::{Array, Value};
use tapster_runtime_ebpf::aggregate;

/// Bytes of the two buffers that a batch is read into.
const BATCH_BYTES: usize = 512 << 10;
/// Elements of a batch: the least that is worth its system call, and the most.
const BATCH_ELEMENTS: std::ops::RangeInclusive<usize> = 256..=4096;

/// Calls `each` with the key and value (of all CPUs) of every element.
///
/// Elements that come or go meanwhile may be seen or not; none is seen twice.
pub fn for_each(map: &Map, mut each: impl FnMut(&[u8], &[u8])) -> io::Result<()> {
    let (key_size, value_size) = (map.key_size(), map.value_size());
    let mut count = (BATCH_BYTES / (key_size + value_size)).clamp(*BATCH_ELEMENTS.start(), *BATCH_ELEMENTS.end());
    let (mut keys, mut values) = (vec![0; count * key_size], vec![0; count * value_size]);
    let mut cursor = Cursor::default();
    let mut any = false;
    loop {
        match map.lookup_batch(&mut cursor, &mut keys, &mut values) {
            Ok(batch) => {
                any = true;
                let elements = keys.chunks_exact(key_size).zip(values.chunks_exact(value_size));
                elements.take(batch.count).for_each(|(key, value)| each(key, value));
                if batch.last {
                    return Ok(());
                }
            }
            // One hash bucket holds more elements than fit: the cursor has not moved.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                count *= 2;
                keys.resize(count * key_size, 0);
                values.resize(count * value_size, 0);
            }
            Err(_) if !any => return for_each_singly(map, each),
            Err(error) => return Err(error),
        }
    }
}

/// Reads a map without batches, which its type may lack.
fn for_each_singly(map: &Map, mut each: impl FnMut(&[u8], &[u8])) -> io::Result<()> {
    let (mut key, mut next) = (vec![0; map.key_size()], vec![0; map.key_size()]);
    let mut value = vec![0; map.value_size()];
    // A key deleted under our feet restarts the kernel's walk, so keys may come again.
    let mut seen = Table::new(map.key_size(), 1);
    let mut more = map.next_key(None, &mut next)?;
    let mut again = 0;
    while more && again <= seen.len() {
        if seen.find(&next).is_some() {
            again += 1;
        } else if map.lookup(&next, &mut value)? {
            seen.push(&next);
            each(&next, &value);
        }
        key.copy_from_slice(&next);
        more = map.next_key(Some(&key), &mut next)?;
    }
    Ok(())
}

/// Writes what all CPUs hold of one element, `stride` bytes apart, as one value; `own` is what user handlers added.
pub fn merge(value: Value, stride: usize, cpus: &[u8], own: Option<&[u8]>, into: &mut [u8]) {
    match value {
        Value::Aggregate(layout) => {
            let size = layout.size() as usize;
            layout.merge(into, cpus.chunks_exact(stride).map(|cpu| &cpu[..size]).chain(own));
        }
        Value::Long | Value::Text(_) | Value::Stack => into.copy_from_slice(&cpus[..into.len()]),
    }
}

/// Reads all elements into one table, with what user handlers added to statistics; in the order of their insertion
/// where the array keeps it.
pub fn snapshot(map: &Map, array: &Array, own: &Table) -> io::Result<Table> {
    let value = array.value;
    let mut table = Table::new(map.key_size(), value.size() as usize);
    let mut stamps = Vec::new();
    for_each(map, |key, cpus| {
        let row = table.push(key);
        let added = own.find(key).map(|row| own.value(row));
        merge(value, map.stride(), cpus, added, table.value_mut(row));
        if array.ordered {
            stamps.push((stamp(value, cpus), row));
        }
    })?;
    if array.ordered {
        stamps.sort_unstable();
        table.reorder(stamps.into_iter().map(|(_, row)| row).collect());
    }
    Ok(table)
}

/// When an element of an ordered array was inserted.
pub fn stamp(value: Value, stored: &[u8]) -> u64 {
    aggregate::read(stored, value.size()) as u64
}

/// Deletes all elements.
pub fn clear(map: &Map) -> io::Result<()> {
    let mut keys = Vec::new();
    for_each(map, |key, _| keys.extend_from_slice(key))?;
    if keys.is_empty() || map.delete_batch(&keys).is_ok() {
        return Ok(());
    }
    // A batch stops at a key that somebody else deleted.
    keys.chunks_exact(map.key_size()).try_for_each(|key| map.delete(key).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_runtime_ebpf::aggregate::{Histogram, Layout, Parts};

    #[test]
    fn cpus_that_saw_nothing_do_not_count() {
        let parts = Parts { count: true, sum: true, min: true, max: true, variance: None };
        let layout = Layout { parts, histogram: Histogram::None };
        let stride = layout.size() as usize;
        let (mut cpus, mut own) = (vec![0; 4 * stride], vec![0; stride]);
        layout.add(&mut cpus[stride..2 * stride], 5);
        layout.add(&mut cpus[3 * stride..], 9);
        layout.add(&mut cpus[3 * stride..], -2);
        layout.add(&mut own, 100);
        let words = |own: Option<&[u8]>| {
            let mut merged = vec![0; stride];
            merge(Value::Aggregate(layout), stride, &cpus, own, &mut merged);
            merged.as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word)).collect::<Vec<i64>>()
        };
        assert_eq!(words(None), [3, 12, -2, 9]);
        assert_eq!(words(Some(&own)), [4, 112, -2, 100]);
    }
}
