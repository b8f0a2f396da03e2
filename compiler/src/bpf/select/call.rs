//! Calls: helpers, kernel functions, subprograms, and the operations the IR spells as calls.
use super::super::facts::symbol;
use super::super::isa::ADD;
use super::super::vcode::{Callee, Op, preg};
use super::super::{CompileError, Pseudo, Symbol};
use super::{ARGS_MAX, Selector};
use cranelift_codegen::ir::{self, FuncRef, Value};
use regalloc2::{Operand, VReg};

impl Selector<'_> {
    pub(super) fn callee(&self, func_ref: FuncRef) -> Option<Symbol> {
        symbol(self.func, self.resolve, &self.func.dfg.ext_funcs[func_ref].name)
    }

    pub(super) fn call(&mut self, inst: ir::Inst, func_ref: FuncRef) -> Result<(), CompileError> {
        match self.callee(func_ref) {
            Some(Symbol::Helper(id)) => self.real_call(inst, Callee::Helper(id)),
            Some(Symbol::Kfunc(id)) => self.real_call(inst, Callee::Kfunc(id)),
            Some(Symbol::Subprogram(index)) => self.real_call(inst, Callee::Subprogram(index)),
            Some(Symbol::Pseudo(pseudo)) => self.pseudo_call(inst, pseudo),
            Some(Symbol::Map(_) | Symbol::MapValue { .. }) => Err(self.reject("a map cannot be called")),
            None => Err(self.reject("the callee's name is not of the user's")),
        }
    }

    fn real_call(&mut self, inst: ir::Inst, callee: Callee) -> Result<(), CompileError> {
        let (args, results) = (self.func.dfg.inst_args(inst), self.func.dfg.inst_results(inst));
        if args.len() > ARGS_MAX || results.len() > 1 {
            return Err(self.reject("a call has up to five arguments and one result"));
        }
        let mut operands = Vec::with_capacity(1 + args.len());
        let out = results.first().and_then(|result| self.wanted(*result));
        // The kernel leaves anything in the upper half of a 32-bit result; our own functions do not.
        let is_raw =
            results.first().is_some_and(|r| self.facts.bits(*r) == 32) && !matches!(callee, Callee::Subprogram(_));
        let r0 = match out {
            Some(out) if !is_raw => out,
            _ => self.fresh(),
        };
        operands.push(Operand::reg_fixed_def(r0, preg(0)));
        for (i, arg) in args.iter().enumerate() {
            let reg = self.zero_extended(*arg);
            operands.push(Operand::reg_fixed_use(reg, preg(i + 1)));
        }
        self.emit(Op::Call(callee), &operands);
        if let Some(out) = out.filter(|_| is_raw) {
            self.move_to(out, false, r0);
        }
        Ok(())
    }

    /// An operation that only makes a value, if somebody asked for the value.
    fn pseudo_call(&mut self, inst: ir::Inst, pseudo: Pseudo) -> Result<(), CompileError> {
        let args = self.func.dfg.inst_args(inst);
        let out = self.func.dfg.inst_results(inst).first().and_then(|result| self.wanted(*result));
        let Some(out) = out else { return Ok(()) };
        match (pseudo, args) {
            (Pseudo::PtrChk, [base, index, limit]) => self.checked_pointer(out, *base, *index, *limit),
            (Pseudo::PtrAdd, [base, index]) => self.pointer_sum(out, *base, *index),
            (Pseudo::Opaque, [x]) => {
                let x = self.reg(*x);
                self.move_to(out, true, x);
                Ok(())
            }
            (Pseudo::FuncAddr(f), []) => {
                self.emit(Op::Func(f), &[Operand::reg_def(out)]);
                Ok(())
            }
            (Pseudo::MayGoto, _) => Err(self.reject("the result of `may_goto` can only be branched on")),
            _ => Err(self.reject("wrong number of arguments")),
        }
    }

    fn checked_pointer(&mut self, out: VReg, base: Value, index: Value, limit: Value) -> Result<(), CompileError> {
        let limit = self.imm(limit, true).filter(|limit| *limit > 0);
        let limit = limit.ok_or_else(|| self.reject("the limit of `ptrchk` is a positive constant of 31 bits"))?;
        let index = self.zero_extended(index);
        let base = self.reg(base);
        let operands = [Operand::reg_reuse_def(out, 1), Operand::reg_use(index), Operand::reg_use_at_end(base)];
        self.emit(Op::PtrChk { limit }, &operands);
        Ok(())
    }

    fn pointer_sum(&mut self, out: VReg, base: Value, index: Value) -> Result<(), CompileError> {
        let base = self.reg(base);
        let index = self.rhs(index, true);
        self.alu_to(out, ADD, true, base, index);
        Ok(())
    }
}
