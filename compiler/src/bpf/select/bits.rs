//! Counting and reversing bits, without branches: the verifier follows each side of a branch, and histograms count leading
//! zeros in every event.
use super::super::facts::mask;
use super::super::isa::{ADD, AND, MUL, OR, RSH, SUB, XOR};
use super::super::vcode::Op;
use super::Selector;
use cranelift_codegen::ir::Value;
use regalloc2::{Operand, VReg};

impl Selector<'_> {
    pub(super) fn byte_swap(&mut self, out: VReg, arg: Value) {
        let x = self.reg(arg);
        let bits = self.facts.bits(arg) as i32;
        self.emit(Op::Swap { bits }, &[Operand::reg_reuse_def(out, 1), Operand::reg_use(x)]);
    }

    /// All ones if the value is not zero.
    pub(super) fn bit_mask(&mut self, result: Value, out: VReg, arg: Value) {
        let condition = self.condition(arg);
        let bit = self.fresh();
        self.set_to(bit, condition);
        self.neg_to(out, self.is_wide(result), bit);
    }

    pub(super) fn count_ones(&mut self, out: VReg, arg: Value) {
        let x = self.zero_extended(arg);
        self.ones_to(out, self.is_wide(arg), x);
    }

    /// Spreads the highest set bit down and counts what stays clear.
    pub(super) fn leading_zeros(&mut self, out: VReg, arg: Value) {
        let (wide, bits) = (self.is_wide(arg), self.facts.bits(arg));
        let mut x = self.zero_extended(arg);
        for distance in [1, 2, 4, 8, 16, 32].into_iter().filter(|distance| *distance < bits as i32) {
            let lower = self.alu(RSH, wide, x, distance);
            x = self.alu(OR, wide, lower, x);
        }
        let clear = self.alu(XOR, wide, x, if wide { -1 } else { mask(bits) as i32 });
        self.ones_to(out, wide, clear);
    }

    /// Counts the bits below the lowest set one. A bit above the type bounds the count of zero.
    pub(super) fn trailing_zeros(&mut self, out: VReg, arg: Value) {
        let (wide, bits) = (self.is_wide(arg), self.facts.bits(arg));
        let mut x = self.reg(arg);
        if bits < 32 {
            x = self.alu(OR, false, x, 1 << bits);
        }
        let below = self.alu(SUB, wide, x, 1);
        let clear = self.alu(XOR, wide, x, -1);
        let below = self.alu(AND, wide, below, clear);
        self.ones_to(out, wide, below);
    }

    /// Adds neighbouring bits, pairs, nibbles, then all bytes at once (Hacker's Delight, 5-1).
    fn ones_to(&mut self, out: VReg, wide: bool, x: VReg) {
        let spread = |byte: i64| Op::Const(byte.wrapping_mul(0x0101_0101_0101_0101) & mask(if wide { 64 } else { 32 }));
        let (m1, m2, m4, all) = (spread(0x55), spread(0x33), spread(0x0f), spread(0x01));

        let mask = self.make(m1);
        let odd = self.alu(RSH, wide, x, 1);
        let odd = self.alu(AND, wide, odd, mask);
        let pairs = self.alu(SUB, wide, x, odd);

        let mask = self.make(m2);
        let high = self.alu(RSH, wide, pairs, 2);
        let high = self.alu(AND, wide, high, mask);
        let low = self.alu(AND, wide, pairs, mask);
        let nibbles = self.alu(ADD, wide, low, high);

        let mask = self.make(m4);
        let high = self.alu(RSH, wide, nibbles, 4);
        let sum = self.alu(ADD, wide, high, nibbles);
        let bytes = self.alu(AND, wide, sum, mask);

        let all = self.make(all);
        let total = self.alu(MUL, wide, bytes, all);
        self.alu_to(out, RSH, wide, total, if wide { 56 } else { 24 });
    }
}
