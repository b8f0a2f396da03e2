//! The order of strings in the kernel, as `strcmp` has it: eight bytes at a time.

use super::callback::Round;
use super::{Kernel, PTRCHK, namespace};
use crate::lower::code::{Addr, Code};
use crate::lower::target::Text;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};
use tapster_runtime_ebpf::limits::TASK_COMM_LEN;

/// The lowest bit of every byte.
const ONES: i64 = 0x0101_0101_0101_0101;
/// The highest bit of every byte.
const TOPS: i64 = ONES << 7;

/// Strings up to this bound are compared in the handler itself, round by round for the verifier; longer ones never lie
/// on the stack.
const IN_PLACE: u32 = super::text::ON_STACK;

/// Where a comparison that is called finds the strings, and leaves the bytes that end it.
mod frame {
    /// Address of the one.
    pub const LEFT: u32 = 0;
    /// Address of the other.
    pub const RIGHT: u32 = 8;
    /// A [`super::Pair`].
    pub const LAST: u32 = 16;
    /// Bytes of it all.
    pub const SIZE: u32 = 40;
}

impl Kernel<'_> {
    /// Negative, 0 or positive; of two stacks, 0 where they are one.
    pub(super) fn compare(&mut self, code: &mut Code, left: &Text, right: &Text, size: u32) -> Value {
        if let (Text::Stack(left), Text::Stack(right)) = (left, right) {
            return code.b.ins().bxor(*left, *right);
        }
        let (left, right) = (self.words(code, left, size), self.words(code, right, size));
        let bound = left.1.min(right.1);
        if bound <= IN_PLACE {
            return compare_here(code, left.0, right.0, bound);
        }
        self.compare_called(code, left.0, right.0, bound)
    }

    /// A string in memory that can be read in whole words, and its bound.
    pub(super) fn words(&mut self, code: &mut Code, text: &Text, size: u32) -> (Addr, u32) {
        let bound = match text {
            Text::At(_, bound) => *bound,
            Text::Literal(bytes) => bytes.len() as u32 + 1,
            Text::Execname => TASK_COMM_LEN,
            Text::Foreign(_) | Text::Stack(_) => size,
        };
        // Memory for strings comes in whole words.
        let bound = bound.next_multiple_of(8);
        (self.at(code, text, bound), bound)
    }

    fn compare_called(&mut self, code: &mut Code, left: Addr, right: Addr, bound: u32) -> Value {
        let frame = self.frame(code, frame::SIZE);
        for (text, at) in [(left, frame::LEFT), (right, frame::RIGHT)] {
            let text = code.pointer(text);
            code.store(text, frame.plus(at));
        }
        code.zero(frame.plus(frame::LAST), frame::SIZE - frame::LAST);
        let rounds = code.k(i64::from(bound.div_ceil(8)));
        self.rounds(code, Round::Compare(bound), rounds, frame, move |code, round, frame| {
            let (end, on) = (code.block(), code.block());
            let at = code.b.ins().ishl_imm_u(round, 3);
            let texts = [frame::LEFT, frame::RIGHT].map(|at| code.load(I64, frame.plus(at)));
            // The last word starts eight bytes before the end; the verifier takes a limit at its word.
            let limit = code.k(i64::from(bound) - 7);
            let [left, right] = texts.map(|text| {
                let word = code.call(namespace::PSEUDO, PTRCHK, &[text, at, limit]);
                code.load(I64, Addr::at(word))
            });
            let pair = Pair::new(code, left, right);
            let ends = pair.ends(code);
            code.branch(ends, end, on);
            code.to(on);
            code.ret(0);
            code.to(end);
            for (nth, value) in [pair.left, pair.right, pair.nul].into_iter().enumerate() {
                code.store(value, frame.plus(frame::LAST + 8 * nth as u32));
            }
            code.ret(1);
        });
        let [left, right, nul] = [0, 8, 16].map(|at| code.load(I64, frame.plus(frame::LAST + at)));
        Pair { left, right, nul }.order(code)
    }
}

/// Compares up to the NUL; one of the strings has it within the bound. What lies behind it does not matter.
fn compare_here(code: &mut Code, left: Addr, right: Addr, bound: u32) -> Value {
    let (done, order) = code.block_with();
    for word in 0..bound.div_ceil(8) {
        let (end, on) = (code.block(), code.block());
        let [left, right] = [left, right].map(|text| code.load(I64, text.plus(8 * word)));
        let pair = Pair::new(code, left, right);
        let ends = pair.ends(code);
        code.branch(ends, end, on);
        code.to(end);
        let found = pair.order(code);
        code.jump(done, &[found]);
        code.to(on);
    }
    let zero = code.k(0);
    code.jump(done, &[zero]);
    code.to(done);
    order
}

/// Eight bytes of each string.
struct Pair {
    left: Value,
    right: Value,
    /// The top bit of the left one's first byte that is 0, and perhaps of others behind it.
    nul: Value,
}

impl Pair {
    fn new(code: &mut Code, left: Value, right: Value) -> Pair {
        let (ones, tops) = (code.k(ONES), code.k(TOPS));
        let borrowed = code.b.ins().isub(left, ones);
        let inverse = code.b.ins().bnot(left);
        let nul = code.b.ins().band(borrowed, inverse);
        let nul = code.b.ins().band(nul, tops);
        Pair { left, right, nul }
    }

    /// Not 0 where the strings end here, or differ.
    fn ends(&self, code: &mut Code) -> Value {
        let differ = code.b.ins().bxor(self.left, self.right);
        code.b.ins().bor(differ, self.nul)
    }

    fn order(&self, code: &mut Code) -> Value {
        // All bits up to and with the NUL's, or all there are.
        let below = code.b.ins().iadd_imm_s(self.nul, -1);
        let mask = code.b.ins().bxor(self.nul, below);
        let [left, right] = [self.left, self.right].map(|word| {
            let before_end = code.b.ins().band(word, mask);
            code.b.ins().bswap(before_end)
        });
        let more = code.compare(IntCC::UnsignedGreaterThan, left, right);
        let less = code.compare(IntCC::UnsignedLessThan, left, right);
        code.b.ins().isub(more, less)
    }
}
