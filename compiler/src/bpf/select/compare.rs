//! Comparisons, and what depends on them: branches, selects, booleans.
use super::super::facts::{mask, sign_extend};
use super::super::isa::{JEQ, JGE, JGT, JLE, JLT, JNE, JSET, JSGE, JSGT, JSLE, JSLT, inverse};
use super::super::vcode::{Op, Test};
use super::super::{Pseudo, Symbol};
use super::{Rhs, Selector};
use cranelift_codegen::ir::condcodes::{CondCode, IntCC};
use cranelift_codegen::ir::{self, InstructionData, Opcode, Value};
use regalloc2::{Operand, VReg};

/// How many negations of a condition are looked through.
const NEGATIONS_MAX: usize = 8;

/// A test and its registers.
#[derive(Clone, Copy)]
pub(super) struct Condition {
    test: Test,
    lhs: VReg,
    rhs: Option<VReg>,
}

impl Condition {
    fn new(cond: u8, wide: bool, lhs: VReg, rhs: Rhs) -> Self {
        match rhs {
            Rhs::Imm(imm) => Self { test: Test { cond, wide, imm: Some(imm) }, lhs, rhs: None },
            Rhs::Reg(reg) => Self { test: Test { cond, wide, imm: None }, lhs, rhs: Some(reg) },
        }
    }

    /// The registers, as a use at the given point.
    fn operands(self, as_use: fn(VReg) -> Operand) -> impl Iterator<Item = Operand> {
        std::iter::once(self.lhs).chain(self.rhs).map(as_use)
    }

    fn inverse(self) -> Option<Self> {
        let cond = inverse(self.test.cond)?;
        Some(Self { test: Test { cond, ..self.test }, ..self })
    }
}

// What is compared.
impl Selector<'_> {
    /// Whether a value is not zero; a comparison is taken apart rather than computed.
    pub(super) fn condition(&mut self, value: Value) -> Condition {
        let (mut value, mut negated) = (value, false);
        for _ in 0..NEGATIONS_MAX {
            let Some(InstructionData::IntCompare { args: [a, b], cond, .. }) = self.facts.def(value) else { break };
            if !self.is_negation(*cond, *a, *b) {
                let cond = if negated { cond.complement() } else { *cond };
                return self.compare(cond, *a, *b);
            }
            negated ^= *cond == IntCC::Equal;
            value = *a;
        }
        if negated {
            let reg = self.zero_extended(value);
            return Condition::new(JEQ, true, reg, Rhs::Imm(0));
        }
        let reg = self.reg(value);
        if self.facts.is_zero_extended(value) {
            Condition::new(JNE, true, reg, Rhs::Imm(0))
        } else {
            Condition::new(JSET, true, reg, Rhs::Imm(mask(self.facts.bits(value)) as i32))
        }
    }

    /// Whether a comparison only says that another one does or does not hold.
    fn is_negation(&self, cond: IntCC, a: Value, b: Value) -> bool {
        matches!(cond, IntCC::Equal | IntCC::NotEqual)
            && self.facts.constant(b) == Some(0)
            && matches!(self.facts.def(a), Some(InstructionData::IntCompare { .. }))
    }

    pub(super) fn compare(&mut self, cond: IntCC, a: Value, b: Value) -> Condition {
        let swapped = self.facts.constant(a).is_some() && self.facts.constant(b).is_none();
        let (cond, a, b) = if swapped { (cond.swap_args(), b, a) } else { (cond, a, b) };
        let (bits, k) = (self.facts.bits(a), self.facts.constant(b));
        let signed = matches!(code(cond), JSLT | JSLE | JSGT | JSGE);
        match (bits, signed) {
            (..32, true) => {
                let lhs = self.sign_extended(a, true);
                let rhs = match k {
                    Some(k) => Rhs::Imm(sign_extend(k, bits) as i32),
                    None => Rhs::Reg(self.sign_extended(b, true)),
                };
                Condition::new(code(cond), true, lhs, rhs)
            }
            // A 64-bit comparison of zero-extended values tells the verifier more than one of 32 bits.
            (..=32, false) if k.is_none_or(|k| i32::try_from(k).is_ok()) => {
                let lhs = self.zero_extended(a);
                let rhs = match k {
                    Some(k) => Rhs::Imm(k as i32),
                    None => Rhs::Reg(self.zero_extended(b)),
                };
                Condition::new(code(cond), true, lhs, rhs)
            }
            _ => {
                let wide = bits == 64;
                let lhs = if matches!(cond, IntCC::Equal | IntCC::NotEqual) { self.lower_half(a) } else { self.reg(a) };
                let rhs = self.rhs(b, wide);
                Condition::new(code(cond), wide, lhs, rhs)
            }
        }
    }

    /// A value of 32 bits for a test that looks at no more: what it was cut from will do, unless somebody else needs it
    /// with what the verifier learns of it by the test.
    fn lower_half(&mut self, value: Value) -> VReg {
        match self.facts.def(value) {
            Some(InstructionData::Unary { opcode: Opcode::Ireduce, arg })
                if self.facts.bits(value) == 32 && self.wanted(value).is_none() =>
            {
                self.reg(*arg)
            }
            _ => self.reg(value),
        }
    }

    pub(super) fn is_not_negative(&self, reg: VReg, wide: bool) -> Condition {
        Condition::new(JSGE, wide, reg, Rhs::Imm(0))
    }
}

// What becomes of it.
impl Selector<'_> {
    pub(super) fn branch(&mut self, arg: Value) {
        if self.is_may_goto(arg) {
            return self.emit(Op::MayGoto, &[]);
        }
        let condition = self.condition(arg);
        let operands: Vec<_> = condition.operands(Operand::reg_use).collect();
        self.emit(Op::Branch(condition.test), &operands);
    }

    fn is_may_goto(&self, value: Value) -> bool {
        match self.facts.def(value) {
            Some(InstructionData::Call { func_ref, .. }) => {
                self.callee(*func_ref) == Some(Symbol::Pseudo(Pseudo::MayGoto))
            }
            _ => false,
        }
    }

    pub(super) fn switch(&mut self, arg: Value) {
        let reg = self.zero_extended(arg);
        self.emit(Op::Switch, &[Operand::reg_use(reg)]);
    }

    pub(super) fn return_(&mut self, inst: ir::Inst) {
        let reg = match self.func.dfg.inst_args(inst).first() {
            Some(value) => self.zero_extended(*value),
            // The verifier wants r0 set even where nobody reads it.
            None => self.make(Op::Const(0)),
        };
        self.emit(Op::Return, &[Operand::reg_fixed_use(reg, super::preg(0))]);
    }

    pub(super) fn set(&mut self, out: VReg, cond: IntCC, a: Value, b: Value) -> bool {
        let condition = if self.is_negation(cond, a, b) {
            let inner = self.condition(a);
            if cond == IntCC::Equal { inner.inverse().unwrap_or(inner) } else { inner }
        } else {
            self.compare(cond, a, b)
        };
        self.set_to(out, condition);
        true
    }

    /// The result is written before the comparison, so the operands are in use to the end.
    pub(super) fn set_to(&mut self, out: VReg, condition: Condition) {
        let mut operands = vec![Operand::reg_def(out)];
        operands.extend(condition.operands(Operand::reg_use_at_end));
        self.emit(Op::Set(condition.test), &operands);
    }

    pub(super) fn choice(&mut self, out: VReg, [c, x, y]: [Value; 3]) -> bool {
        let condition = self.condition(c);
        self.choose(out, condition, x, y);
        true
    }

    /// `condition ? x : y`. A constant goes second, where it needs no register.
    pub(super) fn choose(&mut self, out: VReg, condition: Condition, x: Value, y: Value) {
        let swap = self.facts.constant(x).is_some() && self.facts.constant(y).is_none();
        let (condition, x, y) = match condition.inverse() {
            Some(inverse) if swap => (inverse, y, x),
            _ => (condition, x, y),
        };
        let x = self.reg(x);
        let y = self.rhs(y, true);
        self.choose_regs(out, condition, x, y);
    }

    pub(super) fn choose_regs(&mut self, out: VReg, condition: Condition, x: VReg, y: Rhs) {
        // Comparing the result register itself keeps what the verifier learns about it: this is how values are clamped.
        let own = condition.lhs == x;
        let mut operands = vec![Operand::reg_reuse_def(out, 1), Operand::reg_use(x)];
        let other = match y {
            Rhs::Imm(imm) => Some(imm),
            Rhs::Reg(reg) => {
                operands.push(Operand::reg_use_at_end(reg));
                None
            }
        };
        operands.extend(condition.operands(Operand::reg_use_at_end).skip(usize::from(own)));
        self.emit(Op::Select { test: condition.test, own, other }, &operands);
    }
}

fn code(cond: IntCC) -> u8 {
    match cond {
        IntCC::Equal => JEQ,
        IntCC::NotEqual => JNE,
        IntCC::UnsignedGreaterThan => JGT,
        IntCC::UnsignedGreaterThanOrEqual => JGE,
        IntCC::UnsignedLessThan => JLT,
        IntCC::UnsignedLessThanOrEqual => JLE,
        IntCC::SignedGreaterThan => JSGT,
        IntCC::SignedGreaterThanOrEqual => JSGE,
        IntCC::SignedLessThan => JSLT,
        IntCC::SignedLessThanOrEqual => JSLE,
    }
}
