//! `=~` in the kernel: an automaton's table, eight bytes of the string a round.

use super::callback::Round;
use super::{Kernel, PTRADD, PTRCHK, namespace};
use crate::lower::code::{Addr, Base, Code};
use crate::lower::target::Text;
use crate::regex::Automaton;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I64};
use cranelift_codegen::ir::{InstBuilder, Value};

/// Strings up to this bound are searched in the handler itself.
const IN_PLACE: u32 = 16;

/// Where a search that is called finds the string and its state.
mod frame {
    /// The string's address.
    pub const TEXT: u32 = 0;
    /// The state.
    pub const STATE: u32 = 8;
    /// Bytes of it all.
    pub const SIZE: u32 = 16;
}

/// A table among the constants.
struct Table<'a> {
    automaton: &'a Automaton,
    classes: u32,
    next: u32,
}

impl Kernel<'_> {
    /// 1 where the pattern is found in a string of this bound.
    pub(super) fn search(&mut self, code: &mut Code, regex: usize, text: &Text, size: u32) -> Value {
        let plan = self.plan;
        let automaton = plan.regexes[regex].automaton().expect("the checker refuses tables that are too large");
        let next: Vec<u8> = automaton.next.iter().flat_map(|state| state.to_le_bytes()).collect();
        let (classes, next) = (plan.constants.place(&automaton.classes), plan.constants.place(&next));
        let table = Table { automaton, classes, next };
        let (place, bound) = self.words(code, text, size);
        let state = if bound <= IN_PLACE {
            table.search_here(code, place, bound)
        } else {
            self.search_called(code, regex, &table, place, bound)
        };
        let found = code.k(i64::from(automaton.found()));
        code.compare(IntCC::Equal, state, found)
    }

    fn search_called(&mut self, code: &mut Code, regex: usize, table: &Table, text: Addr, bound: u32) -> Value {
        let text = match text.base {
            Base::Pointer(_) => text,
            // A callback reads at a place that is not known before, and the stack is no good for that.
            Base::Slot(_) => {
                let copy = self.text_memory_far(code, bound);
                self.put(code, &Text::At(text, bound), copy, bound, false);
                copy
            }
        };
        let frame = self.frame(code, frame::SIZE);
        let text = code.pointer(text);
        code.store(text, frame.plus(frame::TEXT));
        code.store_k(i64::from(table.automaton.start), frame.plus(frame::STATE));
        let rounds = code.k(i64::from(bound.div_ceil(8)));
        self.rounds(code, Round::Search(regex, bound), rounds, frame, |code, round, frame| {
            let at = code.b.ins().ishl_imm_u(round, 3);
            // The last word starts eight bytes before the end; the verifier takes a limit at its word.
            let (text, limit) = (code.load(I64, frame.plus(frame::TEXT)), code.k(i64::from(bound) - 7));
            let word = code.call(namespace::PSEUDO, PTRCHK, &[text, at, limit]);
            let word = code.load(I64, Addr::at(word));
            let state = code.load(I64, frame.plus(frame::STATE));
            let state = table.step(code, state, word);
            code.store(state, frame.plus(frame::STATE));
            let ends = code.k(table.ends());
            let ended = code.compare(IntCC::UnsignedLessThan, state, ends);
            code.b.ins().return_(&[ended]);
        });
        code.load(I64, frame.plus(frame::STATE))
    }
}

impl Table<'_> {
    /// The first state that is not the end of a search.
    fn ends(&self) -> i64 {
        2 * i64::from(self.automaton.width)
    }

    /// The state at the end of a short string.
    fn search_here(&self, code: &mut Code, text: Addr, bound: u32) -> Value {
        let (done, ended) = code.block_with();
        let mut state = code.k(i64::from(self.automaton.start));
        for word in 0..bound.div_ceil(8) {
            let bytes = code.load(I64, text.plus(8 * word));
            state = self.step(code, state, bytes);
            if word + 1 < bound.div_ceil(8) {
                let on = code.block();
                let ends = code.k(self.ends());
                let is_over = code.b.ins().icmp(IntCC::UnsignedLessThan, state, ends);
                code.b.ins().brif(is_over, done, &[state.into()], on, &[]);
                code.to(on);
            }
        }
        code.jump(done, &[state]);
        code.to(done);
        ended
    }

    /// The state behind eight bytes. There may be fewer: what was found or failed stays so.
    fn step(&self, code: &mut Code, mut state: Value, bytes: Value) -> Value {
        let (classes, next) = (self.start(code, self.classes), self.start(code, self.next));
        for byte in 0..8 {
            let shifted = code.b.ins().ushr_imm_u(bytes, 8 * byte);
            let byte = code.b.ins().band_imm_u(shifted, 0xff);
            let class = code.call(namespace::PSEUDO, PTRADD, &[classes, byte]);
            let class = code.load(I8, Addr::at(class));
            let class = code.extend(class, I8, false);
            let entry = code.b.ins().iadd(state, class);
            // The table is as long as a power of two, so that this bounds the place without a branch.
            let entry = code.b.ins().band_imm_u(entry, self.automaton.next.len() as i64 - 1);
            let entry = code.b.ins().ishl_imm_u(entry, 1);
            let entry = code.call(namespace::PSEUDO, PTRADD, &[next, entry]);
            let entry = code.load(I16, Addr::at(entry));
            state = code.extend(entry, I16, false);
        }
        state
    }

    fn start(&self, code: &mut Code, place: u32) -> Value {
        code.symbol(namespace::CONSTANTS, place)
    }
}
