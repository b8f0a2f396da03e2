//! Strings put together: a piece after the other, each by one helper's call that tells how long it is.

use super::{Kernel, PTRCHK, helper, namespace};
use crate::lower::code::{Addr, Base, Code};
use crate::lower::target::Text;
use cranelift_codegen::ir::{InstBuilder, InstructionData, Value};
use std::collections::HashMap;

/// The strings that a statement puts together.
#[derive(Default)]
pub(super) struct Joined {
    /// Places of strings, each with its length with the NUL once something stands there.
    lengths: HashMap<(Value, i32), Option<Value>>,
    /// Working memory for measuring strings and for those that grow on the stack, with its size.
    area: Option<(u32, u32)>,
}

/// Where the next piece goes.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    /// The address of the NUL so far.
    pub(super) at: Value,
    /// Bytes before it.
    pub(super) before: Value,
    /// Bytes from there to the end; the verifier knows that they are at most the whole size.
    pub(super) room: Value,
}

impl Kernel<'_> {
    /// A place that only what is being put together is written to: its length can be kept in mind.
    pub(super) fn keep_length(&mut self, place: Addr) {
        if let Base::Pointer(base) = place.base {
            self.joined.lengths.insert((base, place.offset), None);
        }
    }

    /// A place is used for something else.
    pub(super) fn forget_length(&mut self, place: Addr) {
        if let Base::Pointer(base) = place.base {
            self.joined.lengths.remove(&(base, place.offset));
        }
    }

    /// Notes the length of what was written to a place, with its NUL.
    pub(super) fn note_length(&mut self, place: Addr, length: Value) {
        if let Some(known) = self.noted(place) {
            *known = Some(length);
        }
    }

    /// Whether the length of what is written to a place is kept in mind.
    pub(super) fn keeps_length(&mut self, place: Addr) -> bool {
        self.noted(place).is_some()
    }

    fn noted(&mut self, place: Addr) -> Option<&mut Option<Value>> {
        let Base::Pointer(base) = place.base else { return None };
        self.joined.lengths.get_mut(&(base, place.offset))
    }

    /// Appends a string to the one at `to`, cut to fit.
    pub(super) fn append(&mut self, code: &mut Code, to: Addr, size: u32, text: &Text) {
        let Base::Pointer(_) = to.base else { return self.append_on_stack(code, to, size, text) };
        if let Text::At(from, _) = text
            && is_same(code, *from, to)
        {
            // A string that is appended to itself would never end: measuring copies it.
            let copy = self.area(code, size);
            self.measure(code, to, size);
            return self.append(code, to, size, &Text::At(copy, size));
        }
        // What cannot be read is an error, and must leave the string as it is.
        let from = self.source(code, text, size);
        let tail = self.tail(code, to, size);
        let copied = self.helper(code, helper::PROBE_READ_KERNEL_STR, &[tail.at, tail.room, from]);
        let length = code.b.ins().iadd(tail.before, copied);
        self.note_length(to, length);
    }

    /// The end of the string at a place of working memory or of the state block, both of which have room behind all
    /// strings: the verifier cannot know that no more is written than there is room.
    pub(super) fn tail(&mut self, code: &mut Code, to: Addr, size: u32) -> Tail {
        let length = match self.noted(to).and_then(|known| *known) {
            Some(length) => length,
            None => self.measure(code, to, size),
        };
        self.scratch.make_room(size);
        let before = code.b.ins().iadd_imm_s(length, -1);
        let (start, limit) = (code.pointer(to), code.k(i64::from(self.room(size))));
        let at = code.call(namespace::PSEUDO, PTRCHK, &[start, before, limit]);
        let room = code.b.ins().isub(limit, before);
        let room = code.b.ins().umin(room, limit);
        Tail { at, before, room }
    }

    /// The length of a string without its NUL.
    pub(super) fn length(&mut self, code: &mut Code, text: &Text, size: u32) -> Value {
        if let Text::Literal(bytes) = text {
            return code.k(bytes.len() as i64);
        }
        let from = self.source(code, text, size);
        let length = self.measure(code, Addr::at(from), size);
        code.b.ins().iadd_imm_s(length, -1)
    }

    /// The length of a string with its NUL: the kernel has no cheaper way than to copy it.
    pub(super) fn measure(&mut self, code: &mut Code, text: Addr, size: u32) -> Value {
        let area = self.area(code, size);
        let (to, bytes, from) = (code.pointer(area), code.k(i64::from(size)), code.pointer(text));
        self.helper(code, helper::PROBE_READ_KERNEL_STR, &[to, bytes, from])
    }

    fn area(&mut self, code: &mut Code, size: u32) -> Addr {
        let area = match self.joined.area {
            Some((area, room)) if room >= size => area,
            _ => {
                let area = self.reserve(size);
                self.joined.area = Some((area, size));
                area
            }
        };
        self.scratch_at(code, area)
    }

    /// The verifier wants to know where on the stack something is written: what grows there grows elsewhere first.
    fn append_on_stack(&mut self, code: &mut Code, to: Addr, size: u32, text: &Text) {
        let from = self.source(code, text, size);
        let area = self.area(code, size);
        let (start, bytes, old) = (code.pointer(area), code.k(i64::from(self.room(size))), code.pointer(to));
        let length = self.helper(code, helper::PROBE_READ_KERNEL_STR, &[start, bytes, old]);
        self.scratch.make_room(size);
        let before = code.b.ins().iadd_imm_s(length, -1);
        let at = code.call(namespace::PSEUDO, PTRCHK, &[start, before, bytes]);
        let room = code.b.ins().isub(bytes, before);
        let room = code.b.ins().umin(room, bytes);
        self.helper(code, helper::PROBE_READ_KERNEL_STR, &[at, room, from]);
        self.helper(code, helper::PROBE_READ_KERNEL_STR, &[old, bytes, start]);
    }
}

/// Whether two places are the same, as far as the code tells.
fn is_same(code: &Code, a: Addr, b: Addr) -> bool {
    let (Base::Pointer(left), Base::Pointer(right)) = (a.base, b.base) else { return false };
    let symbol = |value: Value| {
        let def = code.b.func.dfg.value_def(value).inst()?;
        let InstructionData::UnaryGlobalValue { global_value, .. } = code.b.func.dfg.insts[def] else { return None };
        Some(code.b.func.global_values[global_value].symbol_name())
    };
    a.offset == b.offset && (left == right || symbol(left).is_some() && symbol(left) == symbol(right))
}
