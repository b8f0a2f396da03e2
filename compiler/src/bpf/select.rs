//! Instruction selection.
//!
//! Blocks and instructions are visited backwards: when a definition is reached, every use has been seen, so a pure instruction
//! nobody asked for is passed over and the verifier never meets dead code. Values that cost nothing to make (constants,
//! addresses) are made at each use, and a comparison is repeated in each branch that depends on it, because the verifier
//! learns only from a branch that compares the register itself.
mod arith;
mod bits;
mod call;
mod compare;
mod convert;
mod divide;
mod memory;

use super::facts::{Facts, Form};
use super::flow::{Flow, at};
use super::vcode::{Block, Inst, Op, VCode, preg};
use super::{CompileError, Options, Resolver};
use cranelift_codegen::ir::{self, Function, InstructionData, Opcode, Type, Value};
use regalloc2::{Operand, OperandConstraint, OperandKind, OperandPos, RegClass, VReg};

/// Arguments a function or helper can take.
const ARGS_MAX: usize = 5;

/// Chooses instructions for a whole function.
pub(super) fn select(
    func: &Function,
    flow: Flow,
    facts: Facts,
    resolve: Resolver,
    options: &Options,
) -> Result<VCode, CompileError> {
    if func.signature.params.len() > ARGS_MAX || func.signature.returns.len() > 1 {
        return Err(CompileError::Shape("eBPF functions take up to five arguments and return one value"));
    }
    let count = flow.nodes.len();
    let mut selector = Selector {
        func,
        facts,
        resolve,
        options: *options,
        vregs: vec![None; func.dfg.num_values()],
        next: 0,
        inst: None,
        line: ir::SourceLoc::default().bits(),
        pending: vec![],
        code: VCode {
            flow,
            insts: vec![],
            blocks: Vec::with_capacity(count),
            operands: vec![],
            values: vec![],
            vregs: 0,
        },
    };
    for node in (0..count).rev() {
        selector.node(node)?;
    }
    Ok(selector.finish())
}

/// A second operand.
#[derive(Clone, Copy)]
enum Rhs {
    Reg(VReg),
    Imm(i32),
}

impl From<VReg> for Rhs {
    fn from(reg: VReg) -> Self {
        Self::Reg(reg)
    }
}

impl From<i32> for Rhs {
    fn from(imm: i32) -> Self {
        Self::Imm(imm)
    }
}

struct Selector<'a> {
    func: &'a Function,
    facts: Facts<'a>,
    resolve: Resolver<'a>,
    options: Options,
    /// The register of each value somebody has asked for.
    vregs: Vec<Option<VReg>>,
    next: usize,
    /// The instruction being selected; none only before the first.
    inst: Option<ir::Inst>,
    line: u32,
    /// What the current instruction became so far, in the order it runs.
    pending: Vec<Inst>,
    /// Everything behind it, in reverse.
    code: VCode,
}

// Blocks.
impl Selector<'_> {
    fn node(&mut self, node: usize) -> Result<(), CompileError> {
        let end = self.code.insts.len() as u32;
        let body = self.code.flow.nodes[node].body;
        let args = match body {
            Some(block) => self.body(node, block)?,
            None => self.jump(node),
        };
        self.flush();
        let params = match body {
            Some(_) if node == 0 => {
                self.define_args();
                0..0
            }
            Some(block) => self.receive(node, block),
            None => 0..0,
        };
        let insts = end..self.code.insts.len() as u32;
        self.code.blocks.push(Block { insts, params, args });
        Ok(())
    }

    /// Selects a block from its last instruction to its first; the answer is what it passes on.
    fn body(&mut self, node: usize, block: ir::Block) -> Result<std::ops::Range<u32>, CompileError> {
        let mut insts = self.func.layout.block_insts(block).rev();
        let last = insts.next().filter(|inst| self.func.dfg.insts[*inst].opcode().is_terminator());
        let last = last.ok_or(CompileError::Shape("a block does not end in a terminator"))?;
        self.at(last);
        let args = self.terminator(node, last)?;
        self.flush();
        for inst in insts {
            self.at(inst);
            self.instruction(inst)?;
            self.flush();
        }
        self.line = ir::SourceLoc::default().bits();
        Ok(args)
    }

    fn at(&mut self, inst: ir::Inst) {
        self.inst = Some(inst);
        self.line = self.func.srcloc(inst).bits();
    }

    /// A jump and what it passes. A parameter nobody reads is not passed, except around a loop: whether its body reads it is
    /// not known when the jump back is selected.
    fn jump(&mut self, node: usize) -> std::ops::Range<u32> {
        let start = self.code.values.len() as u32;
        if let Some((succ, call)) = self.code.flow.only_exit(node) {
            let target = &self.code.flow.nodes[succ];
            let (is_loop_head, params) =
                (target.is_loop_head, target.body.map(|block| self.func.dfg.block_params(block)));
            let args = call.args(&self.func.dfg.value_lists).filter_map(|arg| arg.as_value());
            for (arg, param) in args.zip(params.unwrap_or_default()) {
                if self.is_passed(*param, is_loop_head) {
                    let reg = self.reg(arg);
                    self.code.values.push(reg);
                }
            }
        }
        self.emit(Op::Jump, &[]);
        start..self.code.values.len() as u32
    }

    fn receive(&mut self, node: usize, block: ir::Block) -> std::ops::Range<u32> {
        let start = self.code.values.len() as u32;
        let is_loop_head = self.code.flow.nodes[node].is_loop_head;
        for param in self.func.dfg.block_params(block) {
            if self.is_passed(*param, is_loop_head) {
                let reg = self.home(*param);
                self.code.values.push(reg);
            }
        }
        start..self.code.values.len() as u32
    }

    fn is_passed(&self, param: Value, to_loop_head: bool) -> bool {
        self.facts.get(param).value == param && (to_loop_head || self.wanted(param).is_some())
    }

    fn define_args(&mut self) {
        let Some(entry) = self.func.layout.entry_block() else { return };
        let mut operands = vec![];
        for (i, param) in self.func.dfg.block_params(entry).iter().enumerate() {
            if let Some(reg) = self.wanted(*param) {
                let constraint = OperandConstraint::FixedReg(preg(i + 1));
                operands.push(Operand::new(reg, constraint, OperandKind::Def, OperandPos::Late));
            }
        }
        self.emit(Op::Args, &operands);
        self.flush();
    }

    fn flush(&mut self) {
        self.code.insts.extend(self.pending.drain(..).rev());
    }

    fn finish(mut self) -> VCode {
        let count = self.code.insts.len() as u32;
        self.code.insts.reverse();
        self.code.blocks.reverse();
        for block in &mut self.code.blocks {
            block.insts = count - block.insts.end..count - block.insts.start;
        }
        self.code.vregs = self.next;
        self.code
    }
}

// Instructions: which of them does what.
impl Selector<'_> {
    /// The last instruction of a block; the answer is what the block passes on.
    fn terminator(&mut self, node: usize, inst: ir::Inst) -> Result<std::ops::Range<u32>, CompileError> {
        match self.func.dfg.insts[inst] {
            InstructionData::Jump { .. } => return Ok(self.jump(node)),
            // A branch that can only go one way.
            InstructionData::Brif { .. } | InstructionData::BranchTable { .. }
                if self.code.flow.succs(node).len() == 1 =>
            {
                return Ok(self.jump(node));
            }
            InstructionData::Brif { arg, .. } => self.branch(arg),
            InstructionData::BranchTable { arg, .. } => self.switch(arg),
            InstructionData::MultiAry { opcode: Opcode::Return, .. } => self.return_(inst),
            _ => return Err(self.unsupported()),
        }
        Ok(0..0)
    }

    fn instruction(&mut self, inst: ir::Inst) -> Result<(), CompileError> {
        match self.func.dfg.insts[inst] {
            InstructionData::Call { func_ref, .. } => self.call(inst, func_ref),
            InstructionData::Store { opcode, args, offset, .. } => self.store(opcode, args, offset.into()),
            InstructionData::AtomicRmw { args, op, .. } => self.atomic(inst, args, op),
            InstructionData::AtomicCas { args, .. } => self.compare_exchange(inst, args),
            InstructionData::NullAry { opcode: Opcode::Nop | Opcode::SequencePoint } => Ok(()),
            ref data if data.opcode().other_side_effects() => Err(self.unsupported()),
            ref data => match *self.func.dfg.inst_results(inst) {
                [result] => self.pure(data, result),
                _ => Err(self.unsupported()),
            },
        }
    }

    /// An instruction that only makes a value, if somebody asked for the value.
    fn pure(&mut self, data: &InstructionData, result: Value) -> Result<(), CompileError> {
        let Some(out) = self.wanted(result) else { return Ok(()) };
        if !is_register_type(self.func.dfg.value_type(result)) {
            return Err(self.unsupported());
        }
        match *data {
            InstructionData::Unary { opcode, arg } => self.unary(opcode, result, out, arg),
            InstructionData::Binary { opcode, args } => self.binary(opcode, result, out, args),
            InstructionData::IntCompare { args: [a, b], cond, .. } => self.set(out, cond, a, b),
            InstructionData::Ternary { opcode: Opcode::Select | Opcode::SelectSpectreGuard, args } => {
                self.choice(out, args)
            }
            InstructionData::Ternary { opcode: Opcode::Bitselect, args } => self.bit_select(result, out, args),
            InstructionData::Load { opcode, arg, offset, .. } => {
                return self.load(opcode, result, out, arg, offset.into());
            }
            _ => return Err(self.unsupported()),
        }
        .then_some(())
        .ok_or_else(|| self.unsupported())
    }

    /// Instructions of one operand. Those that change no bit never get here.
    fn unary(&mut self, opcode: Opcode, result: Value, out: VReg, arg: Value) -> bool {
        match opcode {
            Opcode::Uextend => self.zero_extend_to(out, arg),
            Opcode::Sextend => self.sign_extend_to(result, out, arg),
            Opcode::Ireduce => self.truncate(out, arg),
            Opcode::Ineg => self.negate(result, out, arg),
            Opcode::Bnot => self.not(result, out, arg),
            Opcode::Iabs => self.absolute(result, out, arg),
            Opcode::Bmask => self.bit_mask(result, out, arg),
            Opcode::Bswap => self.byte_swap(out, arg),
            Opcode::Popcnt => self.count_ones(out, arg),
            Opcode::Clz => self.leading_zeros(out, arg),
            Opcode::Ctz => self.trailing_zeros(out, arg),
            _ => return false,
        }
        true
    }

    fn binary(&mut self, opcode: Opcode, result: Value, out: VReg, args: [Value; 2]) -> bool {
        match opcode {
            Opcode::Iadd | Opcode::Imul | Opcode::Band | Opcode::Bor | Opcode::Bxor => {
                self.commutative(opcode, result, out, args)
            }
            Opcode::Isub => self.subtract(result, out, args),
            Opcode::Ishl | Opcode::Ushr | Opcode::Sshr => self.shift(opcode, result, out, args),
            Opcode::Rotl | Opcode::Rotr => self.rotate(opcode, result, out, args),
            Opcode::Udiv | Opcode::Urem => self.divide_unsigned(opcode, result, out, args),
            Opcode::Sdiv | Opcode::Srem => self.divide_signed(opcode, result, out, args),
            Opcode::Smin | Opcode::Smax | Opcode::Umin | Opcode::Umax => self.min_max(opcode, out, args),
            Opcode::Umulhi | Opcode::Smulhi => self.multiply_high(opcode, result, out, args),
            _ => return false,
        }
        true
    }
}

// Registers and instructions in the making.
impl Selector<'_> {
    fn fresh(&mut self) -> VReg {
        let reg = VReg::new(self.next, RegClass::Int);
        self.next += 1;
        reg
    }

    /// The register a value lives in; asking for it is what makes its definition selected.
    fn home(&mut self, value: Value) -> VReg {
        if let Some(reg) = self.wanted(value) {
            return reg;
        }
        let reg = self.fresh();
        self.vregs[at(value)] = Some(reg);
        reg
    }

    /// The register of a value that somebody asked for.
    fn wanted(&self, result: Value) -> Option<VReg> {
        self.vregs[at(result)]
    }

    /// A value in a register. What lies above a value of 8 or 16 bits is undefined.
    fn reg(&mut self, value: Value) -> VReg {
        let fact = self.facts.get(value);
        let op = match fact.form {
            Form::Computed | Form::Sum { .. } => return self.home(fact.value),
            Form::Const(k) => Op::Const(k),
            Form::Frame(offset) => Op::Frame(offset),
            Form::Map(map) => Op::Map(map),
            Form::MapValue { map, offset } => Op::MapValue { map, offset },
            Form::Func(f) => Op::Func(f),
        };
        self.make(op)
    }

    fn make(&mut self, op: Op) -> VReg {
        let reg = self.fresh();
        self.emit(op, &[Operand::reg_def(reg)]);
        reg
    }

    /// A constant as the immediate of an operation, which sign-extends it to its own width.
    fn imm(&self, value: Value, wide: bool) -> Option<i32> {
        let k = self.facts.constant(value)?;
        if wide { i32::try_from(k).ok() } else { Some(k as i32) }
    }

    fn rhs(&mut self, value: Value, wide: bool) -> Rhs {
        match self.imm(value, wide) {
            Some(imm) => Rhs::Imm(imm),
            None => Rhs::Reg(self.reg(value)),
        }
    }

    fn is_wide(&self, value: Value) -> bool {
        self.facts.bits(value) == 64
    }

    fn emit(&mut self, op: Op, operands: &[Operand]) {
        let start = self.code.operands.len() as u32;
        self.code.operands.extend_from_slice(operands);
        self.pending.push(Inst { op, operands: start..self.code.operands.len() as u32, line: self.line });
    }

    fn alu_to(&mut self, out: VReg, code: u8, wide: bool, a: VReg, rhs: impl Into<Rhs>) {
        self.alu_variant(out, code, wide, 0, a, rhs.into());
    }

    fn alu(&mut self, code: u8, wide: bool, a: VReg, rhs: impl Into<Rhs>) -> VReg {
        let out = self.fresh();
        self.alu_to(out, code, wide, a, rhs);
        out
    }

    fn alu_variant(&mut self, out: VReg, code: u8, wide: bool, variant: i16, a: VReg, rhs: Rhs) {
        let (d, a) = (Operand::reg_reuse_def(out, 1), Operand::reg_use(a));
        match rhs {
            Rhs::Imm(imm) => self.emit(Op::Alu { code, wide, imm: Some(imm), variant }, &[d, a]),
            Rhs::Reg(b) => self.emit(Op::Alu { code, wide, imm: None, variant }, &[d, a, Operand::reg_use(b)]),
        }
    }

    fn neg_to(&mut self, out: VReg, wide: bool, a: VReg) {
        self.emit(Op::Neg { wide }, &[Operand::reg_reuse_def(out, 1), Operand::reg_use(a)]);
    }

    fn neg(&mut self, wide: bool, a: VReg) -> VReg {
        let out = self.fresh();
        self.neg_to(out, wide, a);
        out
    }

    /// A copy; a narrow one clears the upper half.
    fn move_to(&mut self, out: VReg, wide: bool, a: VReg) {
        self.emit(Op::Move { wide }, &[Operand::reg_def(out), Operand::reg_use(a)]);
    }

    fn unsupported(&self) -> CompileError {
        let (opcode, inst) = match self.inst {
            Some(inst) => {
                (self.func.dfg.insts[inst].opcode().to_string(), self.func.dfg.display_inst(inst).to_string())
            }
            None => (String::new(), String::new()),
        };
        CompileError::Unsupported { opcode, inst }
    }

    fn reject(&self, reason: &'static str) -> CompileError {
        let inst = self.inst.map(|inst| self.func.dfg.display_inst(inst).to_string()).unwrap_or_default();
        CompileError::Operand { reason, inst }
    }
}

/// Types that live in one register.
fn is_register_type(ty: Type) -> bool {
    ty.is_int() && ty.bits() <= 64
}
