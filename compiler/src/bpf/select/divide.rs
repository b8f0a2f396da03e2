//! Division.
//!
//! eBPF divides by zero without a fault: the quotient is 0 and the remainder the dividend. What the language says about zero is
//! spelled out by lowering, before the division.
use super::super::isa::{ARSH, DIV, MOD, SUB, XOR};
use super::{Rhs, Selector};
use cranelift_codegen::ir::{Opcode, Value};
use regalloc2::VReg;

impl Selector<'_> {
    pub(super) fn divide_unsigned(&mut self, opcode: Opcode, result: Value, out: VReg, [a, b]: [Value; 2]) {
        let wide = self.is_wide(result);
        let x = self.zero_extended(a);
        // The verifier refuses a constant zero, and a negative immediate is not the constant it stands for.
        let y = match self.imm(b, wide).filter(|k| *k > 0) {
            Some(k) => Rhs::Imm(k),
            None => Rhs::Reg(self.zero_extended(b)),
        };
        self.alu_to(out, division(opcode), wide, x, y);
    }

    pub(super) fn divide_signed(&mut self, opcode: Opcode, result: Value, out: VReg, [a, b]: [Value; 2]) {
        let wide = self.is_wide(result);
        let x = self.sign_extended(a, wide);
        let positive = self.facts.constant(b).and_then(|k| self.positive_divisor(b, k));
        match positive {
            Some(k) if self.options.cpu_v4 => self.alu_variant(out, division(opcode), wide, 1, x, Rhs::Imm(k)),
            Some(k) => self.divide_by_positive(opcode, wide, out, x, k),
            None => {
                let y = self.sign_extended(b, wide);
                if self.options.cpu_v4 {
                    self.alu_variant(out, division(opcode), wide, 1, x, Rhs::Reg(y));
                } else {
                    self.divide_by_signs(opcode, wide, out, x, y);
                }
            }
        }
    }

    fn positive_divisor(&self, b: Value, k: i64) -> Option<i32> {
        let k = super::super::facts::sign_extend(k, self.facts.bits(b));
        i32::try_from(k).ok().filter(|k| *k > 0)
    }

    /// Divides magnitudes and puts the dividend's sign back, both without a branch: `(x ^ sign) - sign` negates where sign
    /// is -1.
    fn divide_by_positive(&mut self, opcode: Opcode, wide: bool, out: VReg, x: VReg, k: i32) {
        let sign = self.sign(wide, x);
        let magnitude = self.negate_if(wide, x, sign);
        let quotient = self.alu(division(opcode), wide, magnitude, k);
        self.negate_if_to(out, wide, quotient, sign);
    }

    fn divide_by_signs(&mut self, opcode: Opcode, wide: bool, out: VReg, x: VReg, y: VReg) {
        let (x_sign, y_sign) = (self.sign(wide, x), self.sign(wide, y));
        let (x, y) = (self.negate_if(wide, x, x_sign), self.negate_if(wide, y, y_sign));
        let quotient = self.alu(division(opcode), wide, x, y);
        // A remainder has the sign of the dividend.
        let sign = if opcode == Opcode::Sdiv { self.alu(XOR, wide, y_sign, x_sign) } else { x_sign };
        self.negate_if_to(out, wide, quotient, sign);
    }

    /// 0, or -1 for a negative number.
    fn sign(&mut self, wide: bool, x: VReg) -> VReg {
        self.alu(ARSH, wide, x, if wide { 63 } else { 31 })
    }

    fn negate_if(&mut self, wide: bool, x: VReg, sign: VReg) -> VReg {
        let out = self.fresh();
        self.negate_if_to(out, wide, x, sign);
        out
    }

    fn negate_if_to(&mut self, out: VReg, wide: bool, x: VReg, sign: VReg) {
        let flipped = self.alu(XOR, wide, x, sign);
        self.alu_to(out, SUB, wide, flipped, sign);
    }
}

fn division(opcode: Opcode) -> u8 {
    if matches!(opcode, Opcode::Udiv | Opcode::Sdiv) { DIV } else { MOD }
}
