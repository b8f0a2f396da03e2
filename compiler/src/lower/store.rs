//! Assignments: variables, globals and elements.

use super::code::Addr;
use super::expr::is_pointer;
use super::handler::{Bound, Home, Lowerer};
use super::target::{Target, Text};
use crate::hir::{self, Arith, Expr, Modify, Type};
use crate::image::{Storage, Value as Element};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::limits::INLINE_KEY_TEXT;

/// Where an assignment goes, its keys known.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Local(hir::LocalId),
    Global(hir::GlobalId),
    Element(hir::GlobalId, Addr),
}

impl<T: Target> Lowerer<'_, '_, T> {
    /// Evaluates the keys of what is assigned to: before the value, as SystemTap does (its translate.cxx, "consistently
    /// order evaluation of lhs before rhs").
    pub(super) fn place(&mut self, target: &hir::Target) -> Place {
        match target {
            hir::Target::Local(local) => Place::Local(*local),
            hir::Target::Global(global) => Place::Global(*global),
            hir::Target::Element(global, keys) => {
                Place::Element(*global, self.key(*global, keys).expect("an element has keys"))
            }
            hir::Target::Slice(..) => unreachable!("the parser refuses to assign slices"),
        }
    }

    /// `=`, `+=` and their kind, of numbers and stacks; `whole` is the assignment.
    pub(super) fn assign(&mut self, target: &hir::Target, modify: Option<Modify>, value: &Expr, whole: &Expr) -> Value {
        // A full array is named by the array, which the text starts with; a division by its operator.
        let (span, at) = (whole.span, whole.at);
        let place = self.place(target);
        let op = match modify {
            Some(Modify::Arith(op)) => op,
            Some(Modify::Append) => unreachable!("types were checked"),
            None => {
                // Memory holds numbers by itself.
                let value = if let Place::Local(_) = place { self.assigned(value) } else { self.bound(value) };
                let word = value.word();
                self.store(place, value, span);
                return word;
            }
        };
        let by = self.long(value);
        match (place, op) {
            (Place::Global(global), Arith::Add) => return self.add_to_global(global, by),
            (Place::Element(global, key), Arith::Add) => {
                return self.target.add_to(&mut self.code, global, key, by, span);
            }
            _ => {}
        }
        self.update(place, span, |this, old| this.arith(op, old, by, at)).1
    }

    /// A value for a variable, which holds numbers: the verifier's pointers are none.
    pub(super) fn assigned(&mut self, value: &Expr) -> Bound {
        match value.ty {
            Type::Long if is_pointer(value) => Bound::Word(self.plain(value)),
            _ => self.bound(value),
        }
    }

    /// `.=`; gives the whole string.
    pub(super) fn append(&mut self, target: &hir::Target, value: &Expr, span: Span) -> Text {
        let place = self.place(target);
        let text = self.text(value);
        match place {
            Place::Local(local) => match self.frame.homes[local] {
                Home::Text(home, size) => self.append_at(home, size, &text),
                Home::Word(_) | Home::Stored(_) => unreachable!("who appends has text"),
            },
            Place::Global(global) => match self.plan.globals[global].storage {
                Storage::Text { offset, size } => {
                    let place = self.target.state(&mut self.code, offset);
                    self.append_at(place, size, &text)
                }
                _ => Text::Literal(Vec::new()),
            },
            Place::Element(global, key) => {
                let Some(Element::Text(size)) = self.plan.array(global).map(|array| array.value) else {
                    unreachable!("who appends has text")
                };
                let place = self.element_memory(global);
                self.target.get(&mut self.code, global, key, place);
                let whole = self.append_at(place, size, &text);
                self.target.set(&mut self.code, global, key, place, span);
                whole
            }
        }
    }

    fn append_at(&mut self, place: Addr, size: u32, text: &Text) -> Text {
        self.target.append_text(&mut self.code, place, size, text);
        Text::At(place, size)
    }

    /// Adds to a scalar global: atomically, as several CPUs may do it at once. Gives the new value.
    fn add_to_global(&mut self, global: hir::GlobalId, by: Value) -> Value {
        let Storage::Long { offset } = self.plan.globals[global].storage else { return self.code.k(0) };
        let place = self.target.state(&mut self.code, offset);
        let old = self.code.atomic_add(place, by);
        self.code.b.ins().iadd(old, by)
    }

    pub(super) fn step(&mut self, target: &hir::Target, by: i64, prefix: bool, span: Span) -> Value {
        let place = self.place(target);
        let by = self.code.k(by);
        let new = match place {
            Place::Global(global) => self.add_to_global(global, by),
            Place::Element(global, key) => self.target.add_to(&mut self.code, global, key, by, span),
            Place::Local(_) => {
                let (old, new) = self.update(place, span, |this, old| this.code.b.ins().iadd(old, by));
                return if prefix { new } else { old };
            }
        };
        if prefix { new } else { self.code.b.ins().isub(new, by) }
    }

    /// Reads, changes and writes a number; gives the old and the new one.
    fn update(&mut self, place: Place, span: Span, change: impl FnOnce(&mut Self, Value) -> Value) -> (Value, Value) {
        match place {
            Place::Local(local) => {
                let old = self.local_word(local);
                let new = change(self, old);
                self.set_local(local, Bound::Word(new));
                (old, new)
            }
            Place::Global(global) => {
                let old = self.global_word(global);
                let new = change(self, old);
                self.store(place, Bound::Word(new), span);
                (old, new)
            }
            Place::Element(global, key) => {
                let place = self.element_memory(global);
                self.target.get(&mut self.code, global, key, place);
                let old = self.code.load(I64, place);
                let new = change(self, old);
                self.code.store(new, place);
                self.target.set(&mut self.code, global, key, place, span);
                (old, new)
            }
        }
    }

    pub(super) fn store(&mut self, place: Place, value: Bound, span: Span) {
        match place {
            Place::Local(local) => self.set_local(local, value),
            Place::Global(global) => self.store_global(global, value),
            Place::Element(global, key) => {
                let array = self.plan.array(global).expect("an element belongs to an array");
                let from = match (array.value, value) {
                    (Element::Text(size), Bound::Text(text)) => {
                        // The whole of a short value is read from the stack, so all of it must be written.
                        let fill = size <= INLINE_KEY_TEXT;
                        let from = self.target.text_whole(&mut self.code, size, array.stored_size());
                        self.target.put_text(&mut self.code, &text, from, size, fill);
                        from
                    }
                    (_, Bound::Word(word) | Bound::Stack(word)) => {
                        let from = self.element_memory(global);
                        self.code.store(word, from);
                        from
                    }
                    (_, Bound::Text(_)) => unreachable!("types were checked"),
                };
                self.target.set(&mut self.code, global, key, from, span);
            }
        }
    }

    /// Memory for an element on its way to or from an array.
    pub(super) fn element_memory(&mut self, global: hir::GlobalId) -> Addr {
        let array = self.plan.array(global).expect("an element belongs to an array");
        match array.value {
            Element::Text(_) => self.target.text_temp(&mut self.code, array.stored_size()),
            Element::Long | Element::Stack => self.code.slot(array.stored_size()),
            Element::Aggregate(_) => self.code.slot(8),
        }
    }

    fn store_global(&mut self, global: hir::GlobalId, value: Bound) {
        match (&self.plan.globals[global].storage, value) {
            (Storage::Long { offset }, Bound::Word(word) | Bound::Stack(word)) => {
                let place = self.target.state(&mut self.code, *offset);
                self.code.store(word, place);
            }
            (Storage::Text { offset, size }, value) => {
                let text = match value {
                    Bound::Text(text) => text,
                    Bound::Word(word) | Bound::Stack(word) => Text::Stack(word),
                };
                let place = self.target.state(&mut self.code, *offset);
                self.target.put_text(&mut self.code, &text, place, *size, false);
            }
            _ => {}
        }
    }
}
