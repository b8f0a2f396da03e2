//! Addition, logic, shifts, minimum and maximum, products.
use super::super::isa::{ADD, AND, ARSH, LSH, MUL, OR, RSH, SUB, XOR};
use super::{Rhs, Selector};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Opcode, Value};
use regalloc2::VReg;

impl Selector<'_> {
    pub(super) fn commutative(&mut self, opcode: Opcode, result: Value, out: VReg, [a, b]: [Value; 2]) {
        let code = match opcode {
            Opcode::Iadd => ADD,
            Opcode::Imul => MUL,
            Opcode::Band => AND,
            Opcode::Bor => OR,
            _ => XOR,
        };
        let (a, b) = if self.facts.constant(a).is_some() || self.outlives(a, b) { (b, a) } else { (a, b) };
        let wide = self.is_wide(result);
        let x = self.reg(a);
        let y = self.rhs(b, wide);
        self.alu_to(out, code, wide, x, y);
    }

    /// Whether `a` is used behind this point and `b` is not: then `b` is the one to overwrite.
    fn outlives(&self, a: Value, b: Value) -> bool {
        let used = |v: Value| self.wanted(self.facts.get(v).value).is_some();
        used(a) && !used(b) && self.facts.constant(b).is_none()
    }

    pub(super) fn subtract(&mut self, result: Value, out: VReg, [a, b]: [Value; 2]) {
        let wide = self.is_wide(result);
        let x = self.reg(a);
        let y = self.rhs(b, wide);
        self.alu_to(out, SUB, wide, x, y);
    }

    pub(super) fn negate(&mut self, result: Value, out: VReg, arg: Value) {
        let x = self.reg(arg);
        self.neg_to(out, self.is_wide(result), x);
    }

    pub(super) fn not(&mut self, result: Value, out: VReg, arg: Value) {
        let x = self.reg(arg);
        self.alu_to(out, XOR, self.is_wide(result), x, -1);
    }

    pub(super) fn shift(&mut self, opcode: Opcode, result: Value, out: VReg, [a, b]: [Value; 2]) {
        let wide = self.is_wide(result);
        let (code, x) = match opcode {
            Opcode::Ishl => (LSH, self.reg(a)),
            Opcode::Ushr => (RSH, self.zero_extended(a)),
            _ => (ARSH, self.sign_extended(a, wide)),
        };
        let count = self.shift_count(b, self.facts.bits(result));
        self.alu_to(out, code, wide, x, count);
    }

    /// A shift count modulo the width of the type.
    ///
    /// The machine masks a register count too, at 32 or 64 bits, but the verifier forgets everything about a value shifted by
    /// a count it cannot bound.
    fn shift_count(&mut self, count: Value, bits: u32) -> Rhs {
        let mask = bits as i32 - 1;
        if let Some(k) = self.facts.constant(count) {
            return Rhs::Imm(k as i32 & mask);
        }
        let reg = self.reg(count);
        if u32::from(self.facts.get(count).width) <= bits.ilog2() {
            return Rhs::Reg(reg);
        }
        Rhs::Reg(self.alu(AND, false, reg, mask))
    }

    /// A rotation as two shifts; eBPF has none.
    pub(super) fn rotate(&mut self, opcode: Opcode, result: Value, out: VReg, [a, b]: [Value; 2]) {
        let (wide, bits) = (self.is_wide(result), self.facts.bits(result));
        let (there, back) = if opcode == Opcode::Rotl { (LSH, RSH) } else { (RSH, LSH) };
        let mask = bits as i32 - 1;
        let x = self.zero_extended(a);
        let count = self.shift_count(b, bits);
        let rest = match count {
            Rhs::Imm(k) => Rhs::Imm(-k & mask),
            Rhs::Reg(reg) => {
                let negative = self.neg(false, reg);
                Rhs::Reg(self.alu(AND, false, negative, mask))
            }
        };
        let high = self.alu(there, wide, x, count);
        let low = self.alu(back, wide, x, rest);
        self.alu_to(out, OR, wide, high, low);
    }

    pub(super) fn min_max(&mut self, opcode: Opcode, out: VReg, [a, b]: [Value; 2]) {
        let cond = match opcode {
            Opcode::Smin => IntCC::SignedLessThan,
            Opcode::Smax => IntCC::SignedGreaterThan,
            Opcode::Umin => IntCC::UnsignedLessThan,
            _ => IntCC::UnsignedGreaterThan,
        };
        let condition = self.compare(cond, a, b);
        self.choose(out, condition, a, b);
    }

    pub(super) fn absolute(&mut self, result: Value, out: VReg, arg: Value) {
        let wide = self.is_wide(result);
        let x = self.sign_extended(arg, wide);
        let negative = self.neg(wide, x);
        let condition = self.is_not_negative(x, wide);
        self.choose_regs(out, condition, x, Rhs::Reg(negative));
    }

    /// `(x & c) | (y & !c)`, as `y ^ ((x ^ y) & c)`.
    pub(super) fn bit_select(&mut self, result: Value, out: VReg, [c, x, y]: [Value; 3]) -> bool {
        let wide = self.is_wide(result);
        let (c, x, y) = (self.reg(c), self.reg(x), self.reg(y));
        let differ = self.alu(XOR, wide, x, y);
        let taken = self.alu(AND, wide, differ, c);
        self.alu_to(out, XOR, wide, taken, y);
        true
    }

    /// The upper half of a product.
    pub(super) fn multiply_high(&mut self, opcode: Opcode, result: Value, out: VReg, [a, b]: [Value; 2]) {
        let signed = opcode == Opcode::Smulhi;
        let bits = self.facts.bits(result);
        if bits == 64 {
            return self.multiply_high_64(signed, out, a, b);
        }
        let (x, y) = if signed {
            (self.sign_extended(a, true), self.sign_extended(b, true))
        } else {
            (self.zero_extended(a), self.zero_extended(b))
        };
        let product = self.alu(MUL, true, x, y);
        let high = self.alu(RSH, true, product, bits as i32);
        self.move_to(out, false, high);
    }

    /// Four products of 32-bit halves (Hacker's Delight, 8-2), and a correction for each negative factor.
    fn multiply_high_64(&mut self, signed: bool, out: VReg, a: Value, b: Value) {
        let (x, y) = (self.reg(a), self.reg(b));
        let (x0, y0) = (self.low_half(x), self.low_half(y));
        let (x1, y1) = (self.alu(RSH, true, x, 32), self.alu(RSH, true, y, 32));
        let carry = self.alu(MUL, true, x0, y0);
        let carry = self.alu(RSH, true, carry, 32);
        let middle = self.alu(MUL, true, x1, y0);
        let other = self.alu(MUL, true, x0, y1);
        let mut high = self.alu(MUL, true, x1, y1);
        let mut sum = carry;
        for part in [middle, other] {
            let low = self.low_half(part);
            sum = self.alu(ADD, true, sum, low);
            let up = self.alu(RSH, true, part, 32);
            high = self.alu(ADD, true, high, up);
        }
        let sum = self.alu(RSH, true, sum, 32);
        high = self.alu(ADD, true, high, sum);
        if signed {
            for (factor, other) in [(x, y), (y, x)] {
                let sign = self.alu(ARSH, true, factor, 63);
                let excess = self.alu(AND, true, sign, other);
                high = self.alu(SUB, true, high, excess);
            }
        }
        self.move_to(out, true, high);
    }

    fn low_half(&mut self, x: VReg) -> VReg {
        let low = self.fresh();
        self.move_to(low, false, x);
        low
    }
}
