//! Selected instructions over virtual registers, in the shape the register allocator reads.
//!
//! An [`Op`] is one instruction to the allocator and up to a few to the kernel: what must not be torn apart is one `Op`. The
//! order of operands is part of the `Op`'s meaning and is written beside it.
use super::flow::Flow;
use regalloc2 as ra;
use regalloc2::{Operand, PReg, PRegSet, RegClass, VReg};
use std::ops::Range;

/// One allocator instruction. `d` is the defined register, `a`, `b`, `c` the used ones, in the order of the operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    /// Defines the function's parameters in r1-r5.
    Args,
    /// Uses the result in r0.
    Return,
    Jump,
    /// `d = constant`
    Const(i64),
    /// `d = r10 + offset`
    Frame(i32),
    /// `d = address`
    Map(usize),
    MapValue {
        map: usize,
        offset: u32,
    },
    Func(usize),
    /// `d = a`; a narrow one clears the upper half.
    Move {
        wide: bool,
    },
    /// `d = (signed bits) a`, cpu v4.
    SignExtend {
        wide: bool,
        bits: i16,
    },
    /// `d = a op imm`, or `d = a op b`, where d takes over a's register.
    Alu {
        code: u8,
        wide: bool,
        imm: Option<i32>,
        /// 1 makes a division signed, cpu v4.
        variant: i16,
    },
    /// `d = -a`, in place.
    Neg {
        wide: bool,
    },
    /// `d = a` with its lowest `bits / 8` bytes reversed and nothing above them, in place.
    Swap {
        bits: i32,
    },
    /// `d = *(a + offset)`, without `a` in the frame.
    Load {
        at: Address,
        signed: bool,
    },
    /// `*(b + offset) = a`, without `b` in the frame.
    Store {
        at: Address,
    },
    /// `*(a + offset) = imm`, without `a` in the frame.
    StoreConst {
        at: Address,
        imm: i32,
    },
    /// `*(b + offset) op= a`, without `b` in the frame.
    Atomic {
        at: Address,
        code: i32,
    },
    /// `d = *(b + offset), *(b + offset) op= a`, where d takes over a's register; without `b` in the frame.
    AtomicFetch {
        at: Address,
        code: i32,
    },
    /// `d = *(c + offset); if d == a, *(c + offset) = b`; a and d are r0. Without `c` in the frame.
    CompareExchange {
        at: Address,
    },
    /// `d = callee(...)`; results in r0, arguments in r1-r5.
    Call(Callee),
    /// `d = a; if d >= limit, d = 0; d += b`, where d takes over a's register.
    PtrChk {
        limit: i32,
    },
    /// `d = test ? 1 : 0`; then the operands of the test.
    Set(Test),
    /// `d = test ? a : other`, where d takes over a's register; then `other` if it is a register, then the operands of the
    /// test. With `own`, the test's first operand is a itself.
    Select {
        test: Test,
        own: bool,
        other: Option<i32>,
    },
    /// To the first successor if the test holds, to the second if not. The operands are the test's.
    Branch(Test),
    /// To the first successor when the kernel says the loop ran long enough, to the second if not.
    MayGoto,
    /// To successor `a + 1`, or to the first if there is none.
    Switch,
}

/// Where a memory access goes: the frame, or a register that is among the operands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Address {
    pub(super) in_frame: bool,
    pub(super) offset: i16,
    pub(super) size: u8,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Callee {
    Helper(u32),
    Kfunc(u32),
    Subprogram(usize),
}

/// A comparison of a register with a constant or a second register.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Test {
    /// The operation of a conditional jump.
    pub(super) cond: u8,
    pub(super) wide: bool,
    pub(super) imm: Option<i32>,
}

#[derive(Clone, Debug)]
pub(super) struct Inst {
    pub(super) op: Op,
    pub(super) operands: Range<u32>,
    /// Bits of the IR's source location.
    pub(super) line: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) insts: Range<u32>,
    /// Into [`VCode::values`]: what the block receives.
    pub(super) params: Range<u32>,
    /// Into [`VCode::values`]: what it passes to its only successor.
    pub(super) args: Range<u32>,
}

/// A whole function.
pub(super) struct VCode {
    pub(super) flow: Flow,
    pub(super) insts: Vec<Inst>,
    pub(super) blocks: Vec<Block>,
    pub(super) operands: Vec<Operand>,
    pub(super) values: Vec<VReg>,
    pub(super) vregs: usize,
}

/// The physical register of a number.
pub(super) const fn preg(n: usize) -> PReg {
    PReg::new(n, RegClass::Int)
}

/// What a call leaves undefined, its result in r0 aside.
const CLOBBERED: PRegSet = PRegSet::empty().with(preg(1)).with(preg(2)).with(preg(3)).with(preg(4)).with(preg(5));

impl VCode {
    fn list(&self, range: &Range<u32>) -> &[VReg] {
        &self.values[range.start as usize..range.end as usize]
    }
}

impl ra::Function for VCode {
    fn num_insts(&self) -> usize {
        self.insts.len()
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn entry_block(&self) -> ra::Block {
        ra::Block::new(0)
    }

    fn block_insns(&self, block: ra::Block) -> ra::InstRange {
        let insts = &self.blocks[block.index()].insts;
        ra::InstRange::new(ra::Inst::new(insts.start as usize), ra::Inst::new(insts.end as usize))
    }

    fn block_succs(&self, block: ra::Block) -> &[ra::Block] {
        self.flow.succs(block.index())
    }

    fn block_preds(&self, block: ra::Block) -> &[ra::Block] {
        self.flow.preds(block.index())
    }

    fn block_params(&self, block: ra::Block) -> &[VReg] {
        self.list(&self.blocks[block.index()].params)
    }

    fn is_ret(&self, inst: ra::Inst) -> bool {
        self.insts[inst.index()].op == Op::Return
    }

    fn is_branch(&self, inst: ra::Inst) -> bool {
        matches!(self.insts[inst.index()].op, Op::Jump | Op::Branch(_) | Op::MayGoto | Op::Switch)
    }

    fn branch_blockparams(&self, block: ra::Block, _: ra::Inst, _: usize) -> &[VReg] {
        self.list(&self.blocks[block.index()].args)
    }

    fn inst_operands(&self, inst: ra::Inst) -> &[Operand] {
        let range = &self.insts[inst.index()].operands;
        &self.operands[range.start as usize..range.end as usize]
    }

    fn inst_clobbers(&self, inst: ra::Inst) -> PRegSet {
        match self.insts[inst.index()].op {
            // A call always defines r0: one whose result nobody wants has a definition nobody uses.
            Op::Call(_) => CLOBBERED,
            _ => PRegSet::empty(),
        }
    }

    fn num_vregs(&self) -> usize {
        self.vregs
    }

    fn spillslot_size(&self, _: RegClass) -> usize {
        1
    }
}
