//! Reading the kernel's maps: all elements in batches, or one by its key; values of all CPUs become one.
//!
//! Where a map lies, and what user handlers added themselves, is the business of [`crate::globals`].

use crate::sys::bpf::{Cursor, Map};
use crate::table::Table;
use std::io;
use tapster_compiler::image::Value;
use tapster_runtime_ebpf::aggregate::Layout;

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

/// Writes what all CPUs hold of one element as one value.
pub fn merge(value: Value, stride: usize, cpus: &[u8], into: &mut [u8]) {
    match value {
        Value::Aggregate(layout) => merge_aggregate(&layout, stride, cpus, into),
        Value::Long | Value::Text(_) | Value::Stack => into.copy_from_slice(&cpus[..into.len()]),
    }
}

/// Adds what all CPUs hold of a statistic, `stride` bytes apart, to one value.
pub fn merge_aggregate(layout: &Layout, stride: usize, cpus: &[u8], into: &mut [u8]) {
    for cpu in cpus.chunks_exact(stride) {
        layout.merge(into, &cpu[..layout.size() as usize]);
    }
}

/// Reads all elements into one table.
pub fn snapshot(map: &Map, value: Value) -> io::Result<Table> {
    let mut table = Table::new(map.key_size(), value.size() as usize);
    for_each(map, |key, cpus| {
        let row = table.push(key);
        merge(value, map.stride(), cpus, table.value_mut(row));
    })?;
    Ok(table)
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
    use tapster_runtime_ebpf::aggregate::{Histogram, Parts};

    #[test]
    fn cpus_that_saw_nothing_do_not_count() {
        let layout =
            Layout { parts: Parts { count: true, sum: true, min: true, max: true }, histogram: Histogram::None };
        let stride = layout.size() as usize;
        let mut cpus = vec![0; 4 * stride];
        layout.add(&mut cpus[stride..2 * stride], 5);
        layout.add(&mut cpus[3 * stride..], 9);
        layout.add(&mut cpus[3 * stride..], -2);
        let mut merged = vec![0; stride];
        merge(Value::Aggregate(layout), stride, &cpus, &mut merged);
        let words: Vec<i64> = merged.as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word)).collect();
        assert_eq!(words, [3, 12, -2, 9]);
    }
}
