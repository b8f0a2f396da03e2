//! Elements of arrays in the kernel: a hash map that user space reads, too.

use super::{ANY, Kernel, NOEXIST, helper};
use crate::hir::GlobalId;
use crate::image::Value as Element;
use crate::lower::code::{Addr, Code};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use tapster_lang::Span;

impl Kernel<'_> {
    /// The map and the elements of an array.
    fn array(&self, global: GlobalId) -> (usize, Element) {
        let array = self.plan.array(global).expect("an element belongs to an array");
        (array.map.expect("the kernel's arrays have a map"), array.value)
    }

    /// Where in an element the time of its insertion lies, if its array has an order.
    fn stamp(&self, global: GlobalId) -> Option<u32> {
        self.plan.array(global).filter(|array| array.ordered).map(|array| array.value.size())
    }

    /// Copies an element, zeros where there is none.
    pub(super) fn element_get(&mut self, code: &mut Code, global: GlobalId, key: Addr, to: Addr) {
        let (map, value) = self.array(global);
        let found = self.lookup(code, map, key);
        let (missing, done) = (code.block(), code.block());
        let (there, place) = code.block_with();
        code.b.ins().brif(found, there, &[found.into()], missing, &[]);
        code.to(there);
        if let Element::Text(size) = value {
            let (to, size) = (code.pointer(to), code.k(i64::from(size)));
            self.helper(code, helper::PROBE_READ_KERNEL_STR, &[to, size, place]);
        } else {
            let word = code.load(I64, Addr::at(place));
            code.store(word, to);
        }
        code.jump(done, &[]);
        code.to(missing);
        // Of a string the NUL is enough: nothing looks behind it.
        code.store_k(0, to);
        code.jump(done, &[]);
        code.to(done);
    }

    /// Sets an element. A full array is an error, as in SystemTap.
    ///
    /// A number that is there is changed in place: an update would take a new element of the map for it. Of `from` the
    /// bytes behind the value are for the time of insertion.
    pub(super) fn element_set(&mut self, code: &mut Code, global: GlobalId, key: Addr, from: Addr, span: Span) {
        let (map, value) = self.array(global);
        let (full, ok) = (code.block(), code.block());
        match (value, self.stamp(global)) {
            (Element::Text(_), None) => {}
            (Element::Text(_), Some(at)) => {
                let found = self.lookup(code, map, key);
                let missing = code.block();
                let (there, place) = code.block_with();
                let (stamped, stamp) = code.block_with();
                code.b.ins().brif(found, there, &[found.into()], missing, &[]);
                code.to(there);
                let old = code.load(I64, Addr::at(place).plus(at));
                code.jump(stamped, &[old]);
                code.to(missing);
                let now = self.helper(code, helper::KTIME_GET_NS, &[]);
                code.jump(stamped, &[now]);
                code.to(stamped);
                code.store(stamp, from.plus(at));
            }
            (_, stamp) => {
                let found = self.lookup(code, map, key);
                let missing = code.block();
                let (there, place) = code.block_with();
                code.b.ins().brif(found, there, &[found.into()], missing, &[]);
                code.to(there);
                let word = code.load(I64, from);
                code.store(word, Addr::at(place));
                code.jump(ok, &[]);
                code.to(missing);
                self.stamp_now(code, stamp, from);
            }
        }
        let failed = self.update(code, map, key, from, ANY);
        code.branch_if(IntCC::NotEqual, failed, 0, full, ok);
        self.array_full(code, full, global, span);
        code.to(ok);
    }

    /// Writes the time into an element that is about to be inserted.
    fn stamp_now(&mut self, code: &mut Code, stamp: Option<u32>, element: Addr) {
        if let Some(at) = stamp {
            let now = self.helper(code, helper::KTIME_GET_NS, &[]);
            code.store(now, element.plus(at));
        }
    }

    /// Fills the block that is reached when an array is full.
    fn array_full(&mut self, code: &mut Code, full: Block, global: GlobalId, span: Span) {
        code.to(full);
        code.cold(full);
        self.overflow(code, global, span);
    }

    /// Adds to an element atomically, and gives the new value. Whoever inserts first wins; the other adds to it.
    pub(super) fn element_add(&mut self, code: &mut Code, global: GlobalId, key: Addr, by: Value, span: Span) -> Value {
        let (map, _) = self.array(global);
        let found = self.lookup(code, map, key);
        let (miss, again) = (code.block(), code.block());
        let (hit, place) = code.block_with();
        let (done, new) = code.block_with();
        code.b.ins().brif(found, hit, &[found.into()], miss, &[]);
        code.to(hit);
        let old = code.atomic_add(Addr::at(place), by);
        let sum = code.b.ins().iadd(old, by);
        code.jump(done, &[sum]);
        code.to(miss);
        code.cold(miss);
        let mark = code.mark();
        let stamp = self.stamp(global);
        let first = code.slot(if stamp.is_some() { 16 } else { 8 });
        code.store(by, first);
        self.stamp_now(code, stamp, first);
        let failed = self.update(code, map, key, first, NOEXIST);
        code.release(mark);
        code.b.ins().brif(failed, again, &[], done, &[by.into()]);
        code.to(again);
        code.cold(again);
        let found = self.lookup(code, map, key);
        let full = code.block();
        code.b.ins().brif(found, hit, &[found.into()], full, &[]);
        self.array_full(code, full, global, span);
        code.to(done);
        new
    }

    /// 1 where the array has the key.
    pub(super) fn element_has(&mut self, code: &mut Code, global: GlobalId, key: Addr) -> Value {
        let (map, _) = self.array(global);
        let found = self.lookup(code, map, key);
        let null = code.k(0);
        code.compare(IntCC::NotEqual, found, null)
    }

    /// Deletes an element; it is no error where there is none.
    pub(super) fn element_delete(&mut self, code: &mut Code, global: GlobalId, key: Addr) {
        let (map, _) = self.array(global);
        let (map, key) = (self.map(code, map), code.pointer(key));
        self.helper(code, helper::MAP_DELETE_ELEM, &[map, key]);
    }
}
