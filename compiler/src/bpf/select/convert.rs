//! Changes of width.
//!
//! 32-bit values are zero-extended in their registers at all times. Values of 8 and 16 bits have anything above them and are
//! extended only where an operation looks there.
use super::super::facts::{mask, sign_extend};
use super::super::isa::{AND, ARSH, LSH};
use super::super::vcode::Op;
use super::Selector;
use cranelift_codegen::ir::Value;
use regalloc2::{Operand, VReg};

impl Selector<'_> {
    /// A value with nothing above its type.
    pub(super) fn zero_extended(&mut self, value: Value) -> VReg {
        let reg = self.reg(value);
        if self.facts.is_zero_extended(value) {
            return reg;
        }
        self.alu(AND, false, reg, mask(self.facts.bits(value)) as i32)
    }

    /// A value with copies of its sign above its type, up to 64 or 32 bits.
    pub(super) fn sign_extended(&mut self, value: Value, wide: bool) -> VReg {
        let bits = self.facts.bits(value);
        if bits == if wide { 64 } else { 32 } {
            return self.reg(value);
        }
        if let Some(k) = self.facts.constant(value) {
            let k = sign_extend(k, bits);
            return self.make(Op::Const(if wide { k } else { k & mask(32) }));
        }
        let out = self.fresh();
        let reg = self.reg(value);
        self.extend_sign(out, wide, bits, reg);
        out
    }

    /// Copies the sign of the lowest `bits` of a register upwards.
    pub(super) fn extend_sign(&mut self, out: VReg, wide: bool, bits: u32, reg: VReg) {
        if self.options.cpu_v4 {
            let operands = [Operand::reg_def(out), Operand::reg_use(reg)];
            return self.emit(Op::SignExtend { wide, bits: bits as i16 }, &operands);
        }
        let unused = if wide { 64 } else { 32 } - bits as i32;
        let top = self.alu(LSH, wide, reg, unused);
        self.alu_to(out, ARSH, wide, top, unused);
    }

    pub(super) fn zero_extend_to(&mut self, out: VReg, arg: Value) {
        let reg = self.reg(arg);
        self.alu_to(out, AND, false, reg, mask(self.facts.bits(arg)) as i32);
    }

    pub(super) fn sign_extend_to(&mut self, result: Value, out: VReg, arg: Value) {
        let reg = self.reg(arg);
        self.extend_sign(out, self.is_wide(result), self.facts.bits(arg), reg);
    }

    /// To 32 bits: what goes to fewer needs no instruction.
    pub(super) fn truncate(&mut self, out: VReg, arg: Value) {
        let reg = self.reg(arg);
        self.move_to(out, false, reg);
    }
}
