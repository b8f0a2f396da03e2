//! From allocated code to instructions.
//!
//! Blocks marked cold go to the end; a block that is nothing but a jump is not emitted, and who jumped to it jumps on. Jumps are
//! laid out with 16 bits first; if that is not enough, a second time, with 32 bits for those that are long, where the target
//! has such jumps.
mod tidy;

use super::facts::mask;
use super::isa::*;
use super::vcode::{Address, Callee, Op, Test, VCode};
use super::{Code, CompileError, Options, Reloc, STACK_BYTES_MAX};
use cranelift_codegen::ir::SourceLoc;
use regalloc2::{Allocation, Edit, InstPosition, Output, ProgPoint};

/// Puts allocated code into its final form. `slots` are the bytes of stack the function's own variables take.
pub(super) fn emit(vcode: &VCode, allocated: &Output, slots: u32, options: &Options) -> Result<Code, CompileError> {
    let spills = 8 * allocated.num_spillslots as u32;
    let kernel = if vcode.insts.iter().any(|inst| inst.op == Op::MayGoto) { MAY_GOTO_BYTES } else { 0 };
    let stack = slots + spills + kernel;
    if stack > STACK_BYTES_MAX {
        return Err(CompileError::Stack { slots, spills, kernel });
    }
    let layout = Layout::of(vcode, allocated);
    let code = match Emitter::new(vcode, allocated, &layout, slots, vec![]).run() {
        Err(TooFar { is_far, .. }) if options.cpu_v4 => Emitter::new(vcode, allocated, &layout, slots, is_far).run(),
        other => other,
    };
    let code = code.map_err(|TooFar { insns, .. }| CompileError::JumpTooFar { insns })?;
    Ok(Code { spills: allocated.num_spillslots, stack, ..code })
}

/// What the kernel keeps on the stack to end loops by: a count, and since 6.15 a time.
const MAY_GOTO_BYTES: u32 = 16;

/// A far jump takes at most three instructions where a short one takes one, so a distance at most triples: jumps shorter than
/// this stay within 16 bits.
const SHORT_MAX: u64 = 10_000;

/// A jump does not reach.
struct TooFar {
    /// Instructions in the function.
    insns: usize,
    /// Which jumps between blocks are long, in the order they are emitted.
    is_far: Vec<bool>,
}

/// Which blocks are emitted, and in which order.
struct Layout {
    /// Emitted blocks.
    order: Vec<usize>,
    /// Where a jump to a block really goes.
    target: Vec<usize>,
    /// The first of the allocator's moves in or behind each block.
    first_edit: Vec<usize>,
}

impl Layout {
    fn of(vcode: &VCode, allocated: &Output) -> Self {
        let count = vcode.blocks.len();
        let mut first_edit = Vec::with_capacity(count + 1);
        let mut edit = 0;
        for block in &vcode.blocks {
            let start = block.insts.start as usize;
            while allocated.edits.get(edit).is_some_and(|(point, _)| point.inst().index() < start) {
                edit += 1;
            }
            first_edit.push(edit);
        }
        first_edit.push(allocated.edits.len());
        let mut target: Vec<usize> = (0..count).collect();
        let mut is_bare: Vec<bool> =
            (0..count).map(|b| first_edit[b] == first_edit[b + 1] && is_jump_only(vcode, b)).collect();
        for block in (0..count).rev().filter(|b| is_jump_only(vcode, *b)) {
            let Some((succ, _)) = vcode.flow.only_exit(block).filter(|_| is_bare[block]) else { continue };
            if succ > block {
                target[block] = target[succ];
            } else if is_bare[succ] {
                // A jump back to a block that is itself only a jump: keep this one, or an empty loop would vanish.
                is_bare[block] = false;
            } else {
                target[block] = succ;
            }
        }
        let emitted = |b: &usize| !is_bare[*b];
        let is_cold = |b: &usize| vcode.flow.nodes[*b].is_cold && *b != 0;
        let mut order: Vec<usize> = (0..count).filter(emitted).filter(|b| !is_cold(b)).collect();
        order.extend((0..count).filter(emitted).filter(is_cold));
        Self { order, target, first_edit }
    }
}

fn is_jump_only(vcode: &VCode, block: usize) -> bool {
    let insts = &vcode.blocks[block].insts;
    insts.len() == 1 && vcode.insts[insts.start as usize].op == Op::Jump
}

struct Emitter<'a> {
    vcode: &'a VCode,
    allocated: &'a Output,
    layout: &'a Layout,
    slots: u32,
    /// Which jumps between blocks get 32 bits, in the order they are emitted; none, if empty.
    is_far: Vec<bool>,
    code: Code,
    /// The first instruction of each block.
    starts: Vec<usize>,
    /// Jumps between blocks: the instruction and the block.
    jumps: Vec<(usize, usize)>,
    /// Calls, and how many registers each reads.
    calls: Vec<(usize, u8)>,
}

impl<'a> Emitter<'a> {
    fn new(vcode: &'a VCode, allocated: &'a Output, layout: &'a Layout, slots: u32, is_far: Vec<bool>) -> Self {
        let code = Code::default();
        Self {
            vcode,
            allocated,
            layout,
            slots,
            is_far,
            code,
            starts: vec![0; vcode.blocks.len()],
            jumps: vec![],
            calls: vec![],
        }
    }

    fn run(mut self) -> Result<Code, TooFar> {
        self.code.insns.reserve(self.vcode.insts.len() + self.allocated.edits.len());
        for position in 0..self.layout.order.len() {
            self.block(position);
        }
        self.tidy();
        // Where any jump reaches, none is long.
        if (self.code.insns.len() as u64) < SHORT_MAX {
            self.thread();
        }
        if let Some(first) = self.code.lines.first_mut() {
            first.0 = 0;
        }
        self.resolve_jumps()?;
        Ok(self.code)
    }

    fn block(&mut self, position: usize) {
        let (vcode, allocated) = (self.vcode, self.allocated);
        let number = self.layout.order[position];
        let next = self.layout.order.get(position + 1).copied();
        self.starts[number] = self.code.insns.len();
        let mut edits = &allocated.edits[self.layout.first_edit[number]..self.layout.first_edit[number + 1]];
        for index in vcode.blocks[number].insts.clone() {
            let inst = regalloc2::Inst::new(index as usize);
            for position in [InstPosition::Before, InstPosition::After] {
                let point = ProgPoint::new(inst, position);
                while let Some(((_, edit), rest)) = edits.split_first().filter(|((at, _), _)| *at <= point) {
                    self.edit(edit);
                    edits = rest;
                }
                if position == InstPosition::Before {
                    self.line(vcode.insts[index as usize].line);
                    let regs = Regs(allocated.inst_allocs(inst));
                    self.inst(vcode.insts[index as usize].op, regs, number, next);
                }
            }
        }
    }

    /// One record where the location changes; of two at one instruction, which the kernel refuses, the last.
    fn line(&mut self, line: u32) {
        if line == SourceLoc::default().bits() {
            return;
        }
        let (at, lines) = (self.code.insns.len(), &mut self.code.lines);
        if lines.last().is_some_and(|last| last.0 == at) {
            lines.pop();
        }
        if lines.last().is_none_or(|last| last.1 != line) {
            lines.push((at, line));
        }
    }

    fn edit(&mut self, edit: &Edit) {
        let Edit::Move { from, to } = edit;
        match (from.as_reg(), to.as_reg()) {
            (Some(from), Some(to)) if from == to => {}
            (Some(from), Some(to)) => self.push(ALU64 | MOV | X, to.hw_enc() as u8, from.hw_enc() as u8, 0, 0),
            (Some(from), None) => self.push(STX | MEM | DW, FP, from.hw_enc() as u8, self.spill(*to), 0),
            (None, Some(to)) => self.push(LDX | MEM | DW, to.hw_enc() as u8, FP, self.spill(*from), 0),
            (None, None) => unreachable!("regalloc2 resolves moves between stack slots"),
        }
    }

    /// Spill slots lie below the function's own.
    fn spill(&self, slot: Allocation) -> i16 {
        -(self.slots as i16 + 8 * (slot.index() as i16 + 1))
    }

    fn inst(&mut self, op: Op, r: Regs, block: usize, next: Option<usize>) {
        match op {
            Op::Args => {}
            Op::Return => self.push(JMP | EXIT, 0, 0, 0, 0),
            Op::Jump => self.jump(self.succ(block, 0), next),
            Op::Const(k) => self.constant(r.get(0), k),
            Op::Frame(offset) => self.frame_address(r.get(0), offset),
            Op::Map(map) => self.reference(r.get(0), PSEUDO_MAP_FD, Reloc::Map(map), 0),
            Op::MapValue { map, offset } => self.reference(r.get(0), PSEUDO_MAP_VALUE, Reloc::MapValue { map }, offset),
            Op::Func(f) => self.reference(r.get(0), PSEUDO_FUNC, Reloc::FuncAddr(f), 0),
            Op::Move { wide } => self.copy(wide, r.get(0), r.get(1)),
            Op::SignExtend { wide, bits } => self.push(alu_class(wide) | MOV | X, r.get(0), r.get(1), bits, 0),
            Op::Alu { code, wide, imm, variant } => self.alu(code, wide, imm, variant, r),
            Op::Neg { wide } => self.push(alu_class(wide) | NEG, r.get(0), 0, 0, 0),
            // To big endian, which on the little-endian machines Tapster runs on reverses bytes.
            Op::Swap { bits } => self.push(ALU32 | END | X, r.get(0), 0, 0, bits),
            Op::Load { at, signed } => self.load(at, signed, r),
            Op::Store { at } => self.push(STX | MEM | at.size, r.base(at, 1), r.get(0), at.offset, 0),
            Op::StoreConst { at, imm } => self.push(ST | MEM | at.size, r.base(at, 0), 0, at.offset, imm),
            Op::Atomic { at, code } => self.push(STX | ATOMIC | at.size, r.base(at, 1), r.get(0), at.offset, code),
            Op::AtomicFetch { at, code } => self.push(STX | ATOMIC | at.size, r.base(at, 2), r.get(0), at.offset, code),
            Op::CompareExchange { at } => {
                self.push(STX | ATOMIC | at.size, r.base(at, 3), r.get(2), at.offset, CMPXCHG)
            }
            Op::Call(callee) => {
                // One operand is the result.
                self.calls.push((self.code.insns.len(), r.0.len() as u8 - 1));
                self.call(callee);
            }
            Op::PtrChk { limit } => self.checked_pointer(limit, r),
            Op::Set(test) => self.set(test, r),
            Op::Select { test, own, other } => self.select(test, own, other, r),
            Op::Branch(test) => self.branch(test, r, block, next),
            Op::MayGoto => self.may_goto(block, next),
            Op::Switch => self.switch(r, block, next),
        }
    }

    fn push(&mut self, code: u8, dst: u8, src: u8, off: i16, imm: i32) {
        self.code.insns.push(Insn::new(code, dst, src, off, imm));
    }
}

// Values and memory.
impl Emitter<'_> {
    fn constant(&mut self, dst: u8, k: i64) {
        if let Ok(imm) = i32::try_from(k) {
            self.push(ALU64 | MOV, dst, 0, 0, imm);
        } else if k & mask(32) == k {
            self.push(ALU32 | MOV, dst, 0, 0, k as i32);
        } else {
            self.wide(dst, 0, k as i32, (k >> 32) as i32);
        }
    }

    fn wide(&mut self, dst: u8, src: u8, low: i32, high: i32) {
        self.push(WIDE_LOAD, dst, src, 0, low);
        self.push(0, 0, 0, 0, high);
    }

    fn reference(&mut self, dst: u8, kind: u8, reloc: Reloc, offset: u32) {
        self.code.relocs.push((self.code.insns.len(), reloc));
        self.wide(dst, kind, 0, offset as i32);
    }

    fn frame_address(&mut self, dst: u8, offset: i32) {
        self.push(ALU64 | MOV | X, dst, FP, 0, 0);
        if offset != 0 {
            self.push(ALU64 | ADD, dst, 0, 0, offset);
        }
    }

    fn copy(&mut self, wide: bool, dst: u8, src: u8) {
        if !(wide && dst == src) {
            self.push(alu_class(wide) | MOV | X, dst, src, 0, 0);
        }
    }

    fn alu(&mut self, code: u8, wide: bool, imm: Option<i32>, variant: i16, r: Regs) {
        match imm {
            Some(imm) => self.push(alu_class(wide) | code, r.get(0), 0, variant, imm),
            None => self.push(alu_class(wide) | code | X, r.get(0), r.get(2), variant, 0),
        }
    }

    fn load(&mut self, at: Address, signed: bool, r: Regs) {
        let mode = if signed { MEMSX } else { MEM };
        self.push(LDX | mode | at.size, r.get(0), r.base(at, 1), at.offset, 0);
    }

    fn call(&mut self, callee: Callee) {
        match callee {
            Callee::Helper(id) => self.push(JMP | CALL, 0, 0, 0, id as i32),
            Callee::Kfunc(id) => self.push(JMP | CALL, 0, PSEUDO_KFUNC, 0, id as i32),
            Callee::Subprogram(index) => {
                self.code.relocs.push((self.code.insns.len(), Reloc::Subprogram(index)));
                self.push(JMP | CALL, 0, PSEUDO_CALL, 0, 0);
            }
        }
    }

    /// The verifier learns the bound of the very register that is added.
    fn checked_pointer(&mut self, limit: i32, r: Regs) {
        self.push(JMP | JLT, r.get(0), 0, 1, limit);
        self.push(ALU64 | MOV, r.get(0), 0, 0, 0);
        self.push(ALU64 | ADD | X, r.get(0), r.get(2), 0, 0);
    }

    fn set(&mut self, test: Test, r: Regs) {
        self.push(ALU64 | MOV, r.get(0), 0, 0, 1);
        self.test(test, test.cond, r.get(1), r.get_if(test.imm.is_none(), 2), 1);
        self.push(ALU64 | MOV, r.get(0), 0, 0, 0);
    }

    fn select(&mut self, test: Test, own: bool, other: Option<i32>, r: Regs) {
        let first = if other.is_some() { 2 } else { 3 };
        let (lhs, rhs) = if own { (r.get(0), first) } else { (r.get(first), first + 1) };
        self.test(test, test.cond, lhs, r.get_if(test.imm.is_none(), rhs), 1);
        match other {
            Some(imm) => self.push(ALU64 | MOV, r.get(0), 0, 0, imm),
            None => self.push(ALU64 | MOV | X, r.get(0), r.get(2), 0, 0),
        }
    }

    /// A conditional jump over `off` instructions.
    fn test(&mut self, test: Test, cond: u8, lhs: u8, rhs: u8, off: i16) {
        let class = if test.wide { JMP } else { JMP32 };
        match test.imm {
            Some(imm) => self.push(class | cond, lhs, 0, off, imm),
            None => self.push(class | cond | X, lhs, rhs, off, 0),
        }
    }
}

// Jumps between blocks.
impl Emitter<'_> {
    /// Where the successor of a block is emitted.
    fn succ(&self, block: usize, index: usize) -> usize {
        self.layout.target[self.vcode.flow.succs(block)[index].index()]
    }

    fn next_is_far(&self) -> bool {
        self.is_far.get(self.jumps.len()).copied().unwrap_or(false)
    }

    fn jump(&mut self, target: usize, next: Option<usize>) {
        if Some(target) != next {
            let code = if self.next_is_far() { JMP32 | JA } else { JMP | JA };
            self.jumps.push((self.code.insns.len(), target));
            self.push(code, 0, 0, 0, 0);
        }
    }

    fn branch(&mut self, test: Test, r: Regs, block: usize, next: Option<usize>) {
        let (then, otherwise) = (self.succ(block, 0), self.succ(block, 1));
        let (lhs, rhs) = (r.get(0), r.get_if(test.imm.is_none(), 1));
        match inverse(test.cond) {
            _ if then == otherwise => self.jump(then, next),
            Some(cond) if Some(then) == next => self.jump_if(test, cond, lhs, rhs, otherwise),
            _ => {
                self.jump_if(test, test.cond, lhs, rhs, then);
                self.jump(otherwise, next);
            }
        }
    }

    fn jump_if(&mut self, test: Test, cond: u8, lhs: u8, rhs: u8, target: usize) {
        if self.next_is_far() {
            // Conditional jumps have 16 bits on every cpu, so this one goes to a far jump next to it.
            self.test(test, cond, lhs, rhs, 1);
            self.push(JMP | JA, 0, 0, 1, 0);
            self.jump(target, None);
        } else {
            self.jumps.push((self.code.insns.len(), target));
            self.test(test, cond, lhs, rhs, 0);
        }
    }

    fn may_goto(&mut self, block: usize, next: Option<usize>) {
        let (out, on) = (self.succ(block, 0), self.succ(block, 1));
        if self.next_is_far() {
            self.push(JMP | JCOND, 0, 0, 1, 0);
            self.push(JMP | JA, 0, 0, 1, 0);
            self.jump(out, None);
        } else {
            self.jumps.push((self.code.insns.len(), out));
            self.push(JMP | JCOND, 0, 0, 0, 0);
        }
        self.jump(on, next);
    }

    fn switch(&mut self, r: Regs, block: usize, next: Option<usize>) {
        for case in 1..self.vcode.flow.succs(block).len() {
            let test = Test { cond: JEQ, wide: true, imm: Some(case as i32 - 1) };
            self.jump_if(test, JEQ, r.get(0), 0, self.succ(block, case));
        }
        self.jump(self.succ(block, 0), next);
    }

    fn resolve_jumps(&mut self) -> Result<(), TooFar> {
        let mut reaches = true;
        for (at, target) in &self.jumps {
            let distance = self.starts[*target] as i64 - *at as i64 - 1;
            let insn = &mut self.code.insns[*at];
            match i16::try_from(distance) {
                _ if insn.code == JMP32 | JA => insn.imm = distance as i32,
                Ok(distance) => insn.off = distance,
                Err(_) => reaches = false,
            }
        }
        if reaches {
            return Ok(());
        }
        let is_far = |(at, target): &(usize, usize)| self.starts[*target].abs_diff(*at) as u64 > SHORT_MAX;
        Err(TooFar { insns: self.code.insns.len(), is_far: self.jumps.iter().map(is_far).collect() })
    }
}

/// The registers of one instruction's operands.
#[derive(Clone, Copy)]
struct Regs<'a>(&'a [Allocation]);

impl Regs<'_> {
    fn get(self, operand: usize) -> u8 {
        self.0[operand].as_reg().expect("every operand is constrained to a register").hw_enc() as u8
    }

    fn get_if(self, is_operand: bool, operand: usize) -> u8 {
        if is_operand { self.get(operand) } else { 0 }
    }

    /// The base of a memory access, which is this operand unless it is the frame.
    fn base(self, at: Address, operand: usize) -> u8 {
        if at.in_frame { FP } else { self.get(operand) }
    }
}
