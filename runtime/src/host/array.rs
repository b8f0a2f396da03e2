//! Arrays and statistics.

use super::{Host, bytes, index, number, status, store, string};
use crate::walk::Slice;
use tapster_compiler::host::{Extractor, Sort, SortBy};
use tapster_compiler::image::Value;

fn sort(word: i64) -> Sort {
    Sort::decode(word).unwrap_or(Sort { by: SortBy::Unsorted, descending: false })
}

fn limit(word: i64) -> Option<usize> {
    usize::try_from(word).ok()
}

impl Host<'_> {
    /// The key at an address; `None` for address 0.
    #[inline]
    unsafe fn key<'k>(&self, global: i64, key: i64) -> Option<&'k [u8]> {
        let size = self.run.globals.array(index(global))?.key_size as usize;
        // SAFETY: keys are records of the array's key size in the handler's own memory or in a walk that is under way.
        (key != 0).then(|| unsafe { bytes(key, size) })
    }

    unsafe fn slice<'k>(&self, global: i64, key: i64, mask: i64) -> Option<Slice<'k>> {
        // SAFETY: as the list says.
        unsafe { self.key(global, key) }.map(|key| Slice { key, mask: mask as u64 })
    }

    pub(super) unsafe fn print_histogram(&mut self, global: i64, key: i64) -> i64 {
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        status(self.run.print_histogram(index(global), key))
    }

    pub(super) unsafe fn histogram_text(&mut self, global: i64, key: i64, out: i64, size: i64) -> i64 {
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        let mut text = self.run.take_scratch();
        let result = self.run.histogram_text(index(global), key, &mut text);
        // SAFETY: as the list says.
        unsafe { self.store_text(out, size, &text) };
        self.run.give_scratch(text);
        status(result)
    }

    pub(super) unsafe fn bucket(&mut self, global: i64, key: i64, number: i64, out: i64) -> i64 {
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        status(self.run.bucket(index(global), key, number).map(|count| {
            // SAFETY: `out` is the address of a word.
            unsafe { store(out, &count.to_ne_bytes()) }
        }))
    }

    pub(super) unsafe fn aggregate_add(&mut self, global: i64, key: i64, value: i64) -> i64 {
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        status(self.run.globals.add(index(global), key, value))
    }

    pub(super) unsafe fn aggregate_read(&mut self, global: i64, key: i64, extractor: i64, out: i64) -> i64 {
        let Some(extractor) = Extractor::from_number(number(extractor)) else { return 0 };
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        status(self.run.aggregate_read(index(global), key, extractor).map(|read| {
            // SAFETY: `out` is the address of a word.
            unsafe { store(out, &read.to_ne_bytes()) }
        }))
    }

    pub(super) unsafe fn array_get(&mut self, global: i64, key: i64, out: i64) -> i64 {
        // SAFETY: as the list says.
        let Some(key) = (unsafe { self.key(global, key) }) else { return 0 };
        if let Some(value) = self.run.globals.element(index(global), key) {
            // SAFETY: `out` has room for an element.
            unsafe { store(out, value) };
            return 1;
        }
        let size = self.run.globals.array(index(global)).map_or(0, |array| array.value.size());
        // SAFETY: as above.
        unsafe { std::ptr::write_bytes(out as *mut u8, 0, size as usize) };
        0
    }

    pub(super) unsafe fn array_set(&mut self, global: i64, key: i64, value: i64) -> i64 {
        let Some(kind) = self.run.globals.array(index(global)).map(|array| array.value) else { return 0 };
        // SAFETY: as the list says.
        let Some(key) = (unsafe { self.key(global, key) }) else { return 0 };
        let size = kind.size() as usize;
        if let Value::Text(_) = kind {
            // What stands behind a string's NUL is nobody's business: elements are filled with NULs.
            // SAFETY: a string value ends with a NUL.
            let text = unsafe { string(value) };
            let mut element = self.run.take_scratch();
            element.extend_from_slice(&text[..text.len().min(size - 1)]);
            element.resize(size, 0);
            let result = self.run.globals.set(index(global), key, &element);
            self.run.give_scratch(element);
            return status(result);
        }
        // SAFETY: `value` is the address of an element.
        let value = unsafe { bytes(value, size) };
        status(self.run.globals.set(index(global), key, value))
    }

    pub(super) unsafe fn array_has(&mut self, global: i64, key: i64) -> i64 {
        // SAFETY: as the list says.
        let Some(key) = (unsafe { self.key(global, key) }) else { return 0 };
        self.run.globals.element(index(global), key).is_some().into()
    }

    pub(super) unsafe fn array_delete(&mut self, global: i64, key: i64) -> i64 {
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        self.run.globals.delete(index(global), key);
        0
    }

    pub(super) unsafe fn array_has_slice(&mut self, global: i64, key: i64, mask: i64) -> i64 {
        // SAFETY: as the list says.
        let slice = unsafe { self.slice(global, key, mask) };
        slice.is_some_and(|slice| self.run.globals.has_slice(index(global), slice)).into()
    }

    pub(super) unsafe fn array_delete_slice(&mut self, global: i64, key: i64, mask: i64) -> i64 {
        // SAFETY: as the list says.
        let slice = unsafe { self.slice(global, key, mask) };
        slice.into_iter().for_each(|slice| self.run.globals.delete_slice(index(global), slice));
        0
    }

    pub(super) unsafe fn walk_begin(&mut self, global: i64, key: i64, mask: i64, by: i64, most: i64) -> i64 {
        // SAFETY: as the list says.
        let slice = unsafe { self.slice(global, key, mask) };
        self.run.walk_begin(index(global), slice, sort(by), limit(most)) as i64
    }

    pub(super) unsafe fn walk_buckets(&mut self, global: i64, key: i64, by: i64, most: i64) -> i64 {
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        self.run.walk_buckets(index(global), key, sort(by), limit(most)) as i64
    }

    pub(super) unsafe fn walk_next(&mut self, walk: i64) -> i64 {
        self.run.walk_next(index(walk)).map_or(0, |key| key.as_ptr() as i64)
    }

    pub(super) unsafe fn walk_end(&mut self, walk: i64) -> i64 {
        self.run.walk_end(index(walk));
        0
    }
}
