//! Loads, stores and atomic operations. A constant distance from a register or the frame goes into the instruction.
use super::super::CompileError;
use super::super::facts::Form;
use super::super::isa::{ADD, AND, B, DW, FETCH, H, OR, W, XCHG, XOR};
use super::super::vcode::{Address, Op, preg};
use super::Selector;
use cranelift_codegen::ir::types::{I8, I16, I32};
use cranelift_codegen::ir::{self, AtomicRmwOp, Opcode, Type, Value};
use regalloc2::{Operand, VReg};

impl Selector<'_> {
    pub(super) fn load(
        &mut self,
        opcode: Opcode,
        result: Value,
        out: VReg,
        pointer: Value,
        offset: i32,
    ) -> Result<(), CompileError> {
        let (ty, signed) = match opcode {
            Opcode::Load => (self.func.dfg.value_type(result), false),
            Opcode::Uload8 => (I8, false),
            Opcode::Uload16 => (I16, false),
            Opcode::Uload32 => (I32, false),
            Opcode::Sload8 => (I8, true),
            Opcode::Sload16 => (I16, true),
            Opcode::Sload32 => (I32, true),
            _ => return Err(self.unsupported()),
        };
        let wide = self.is_wide(result);
        let (at, base) = self.address(pointer, offset, ty)?;
        // The machine's signed load extends to 64 bits, which a 32-bit value must not be.
        let in_one = !signed || (wide && self.options.cpu_v4);
        let loaded = if in_one { out } else { self.fresh() };
        let mut operands = vec![Operand::reg_def(loaded)];
        operands.extend(base.map(Operand::reg_use));
        self.emit(Op::Load { at, signed: signed && in_one }, &operands);
        if !in_one {
            self.extend_sign(out, wide, ty.bits(), loaded);
        }
        Ok(())
    }

    pub(super) fn store(
        &mut self,
        opcode: Opcode,
        [value, pointer]: [Value; 2],
        offset: i32,
    ) -> Result<(), CompileError> {
        let ty = match opcode {
            Opcode::Store => self.func.dfg.value_type(value),
            Opcode::Istore8 => I8,
            Opcode::Istore16 => I16,
            Opcode::Istore32 => I32,
            _ => return Err(self.unsupported()),
        };
        let (at, base) = self.address(pointer, offset, ty)?;
        if let Some(imm) = self.imm(value, ty.bits() == 64) {
            let operands: Vec<_> = base.map(Operand::reg_use).into_iter().collect();
            self.emit(Op::StoreConst { at, imm }, &operands);
        } else {
            let mut operands = vec![Operand::reg_use(self.reg(value))];
            operands.extend(base.map(Operand::reg_use));
            self.emit(Op::Store { at }, &operands);
        }
        Ok(())
    }

    /// An operation whose old value nobody asked for is the plain one, which is one locked instruction on x86.
    pub(super) fn atomic(
        &mut self,
        inst: ir::Inst,
        [pointer, value]: [Value; 2],
        op: AtomicRmwOp,
    ) -> Result<(), CompileError> {
        let result = self.func.dfg.first_result(inst);
        let (old, ty) = (self.wanted(result), self.atomic_type(result)?);
        let code = match op {
            AtomicRmwOp::Add | AtomicRmwOp::Sub => i32::from(ADD),
            AtomicRmwOp::And => i32::from(AND),
            AtomicRmwOp::Or => i32::from(OR),
            AtomicRmwOp::Xor => i32::from(XOR),
            AtomicRmwOp::Xchg => XCHG,
            _ => return Err(self.reject("eBPF has no such atomic operation")),
        };
        let (at, base) = self.address(pointer, 0, ty)?;
        let mut operand = self.reg(value);
        if op == AtomicRmwOp::Sub {
            operand = self.neg(ty.bits() == 64, operand);
        }
        if code != XCHG && old.is_none() {
            let mut operands = vec![Operand::reg_use(operand)];
            operands.extend(base.map(Operand::reg_use));
            self.emit(Op::Atomic { at, code }, &operands);
        } else {
            let old = old.unwrap_or_else(|| self.fresh());
            let mut operands = vec![Operand::reg_reuse_def(old, 1), Operand::reg_use(operand)];
            operands.extend(base.map(Operand::reg_use_at_end));
            self.emit(Op::AtomicFetch { at, code: code | FETCH }, &operands);
        }
        Ok(())
    }

    pub(super) fn compare_exchange(
        &mut self,
        inst: ir::Inst,
        [pointer, expected, value]: [Value; 3],
    ) -> Result<(), CompileError> {
        let result = self.func.dfg.first_result(inst);
        let ty = self.atomic_type(result)?;
        let old = self.wanted(result).unwrap_or_else(|| self.fresh());
        let (at, base) = self.address(pointer, 0, ty)?;
        let (expected, value) = (self.reg(expected), self.reg(value));
        let mut operands = vec![
            Operand::reg_fixed_def(old, preg(0)),
            Operand::reg_fixed_use(expected, preg(0)),
            Operand::reg_use_at_end(value),
        ];
        operands.extend(base.map(Operand::reg_use_at_end));
        self.emit(Op::CompareExchange { at }, &operands);
        Ok(())
    }

    fn atomic_type(&self, value: Value) -> Result<Type, CompileError> {
        let ty = self.func.dfg.value_type(value);
        if matches!(ty.bits(), 32 | 64) { Ok(ty) } else { Err(self.reject("eBPF is atomic on 32 and 64 bits only")) }
    }

    /// Takes a pointer apart into a register, unless it is the frame, and a distance of 16 bits.
    fn address(&mut self, pointer: Value, offset: i32, ty: Type) -> Result<(Address, Option<VReg>), CompileError> {
        let size = self.access_size(ty)?;
        match self.facts.get(pointer).form {
            Form::Frame(from_top) => {
                let offset = from_top.checked_add(offset).and_then(|o| i16::try_from(o).ok());
                let offset = offset.ok_or_else(|| self.reject("the address is not in the stack"))?;
                return Ok((Address { in_frame: true, offset, size }, None));
            }
            Form::Sum { base, offset: more } => {
                if let Some(offset) = offset.checked_add(more).and_then(|o| i16::try_from(o).ok()) {
                    return Ok((Address { in_frame: false, offset, size }, Some(self.reg(base))));
                }
            }
            Form::MapValue { map, offset: start } => {
                let start = start
                    .checked_add_signed(offset)
                    .ok_or_else(|| self.reject("the address is before the map's value"))?;
                let base = self.make(Op::MapValue { map, offset: start });
                return Ok((Address { in_frame: false, offset: 0, size }, Some(base)));
            }
            _ => {}
        }
        let offset = i16::try_from(offset).map_err(|_| self.reject("the offset does not fit 16 bits"))?;
        Ok((Address { in_frame: false, offset, size }, Some(self.reg(pointer))))
    }

    fn access_size(&self, ty: Type) -> Result<u8, CompileError> {
        match ty.bytes() {
            _ if !super::is_register_type(ty) => Err(self.unsupported()),
            1 => Ok(B),
            2 => Ok(H),
            4 => Ok(W),
            _ => Ok(DW),
        }
    }
}
