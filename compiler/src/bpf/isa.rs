//! How eBPF instructions are encoded (the kernel's `Documentation/bpf/standardization/instruction-set.rst`).

/// One eBPF instruction as the kernel takes it (`struct bpf_insn`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Insn {
    /// Class, operation and source bit.
    pub code: u8,
    /// Destination register in the low four bits, source register in the high four.
    pub regs: u8,
    /// Jump distance or memory offset; a variant of the operation in some.
    pub off: i16,
    /// Immediate operand.
    pub imm: i32,
}

const _: () = assert!(size_of::<Insn>() == 8);

/// Slots that a constant, a map or a function address take: a load and its second half.
pub(super) const WIDE_LOAD: u8 = LD | DW;
/// The frame pointer.
pub(super) const FP: u8 = 10;

// Classes.
pub(super) const LD: u8 = 0x00;
pub(super) const LDX: u8 = 0x01;
pub(super) const ST: u8 = 0x02;
pub(super) const STX: u8 = 0x03;
pub(super) const ALU32: u8 = 0x04;
pub(super) const JMP: u8 = 0x05;
pub(super) const JMP32: u8 = 0x06;
pub(super) const ALU64: u8 = 0x07;

/// The second operand is a register.
pub(super) const X: u8 = 0x08;

// Arithmetic.
pub(super) const ADD: u8 = 0x00;
pub(super) const SUB: u8 = 0x10;
pub(super) const MUL: u8 = 0x20;
pub(super) const DIV: u8 = 0x30;
pub(super) const OR: u8 = 0x40;
pub(super) const AND: u8 = 0x50;
pub(super) const LSH: u8 = 0x60;
pub(super) const RSH: u8 = 0x70;
pub(super) const NEG: u8 = 0x80;
pub(super) const MOD: u8 = 0x90;
pub(super) const XOR: u8 = 0xa0;
pub(super) const MOV: u8 = 0xb0;
pub(super) const ARSH: u8 = 0xc0;
pub(super) const END: u8 = 0xd0;

// Jumps.
pub(super) const JA: u8 = 0x00;
pub(super) const JEQ: u8 = 0x10;
pub(super) const JGT: u8 = 0x20;
pub(super) const JGE: u8 = 0x30;
pub(super) const JSET: u8 = 0x40;
pub(super) const JNE: u8 = 0x50;
pub(super) const JSGT: u8 = 0x60;
pub(super) const JSGE: u8 = 0x70;
pub(super) const CALL: u8 = 0x80;
pub(super) const EXIT: u8 = 0x90;
pub(super) const JLT: u8 = 0xa0;
pub(super) const JLE: u8 = 0xb0;
pub(super) const JSLT: u8 = 0xc0;
pub(super) const JSLE: u8 = 0xd0;
pub(super) const JCOND: u8 = 0xe0;

// Memory access: size and mode.
pub(super) const W: u8 = 0x00;
pub(super) const H: u8 = 0x08;
pub(super) const B: u8 = 0x10;
pub(super) const DW: u8 = 0x18;
pub(super) const MEM: u8 = 0x60;
pub(super) const MEMSX: u8 = 0x80;
pub(super) const ATOMIC: u8 = 0xc0;

// Atomic operations live in the immediate; plain ones share the arithmetic codes.
pub(super) const FETCH: i32 = 0x01;
pub(super) const XCHG: i32 = 0xe1;
pub(super) const CMPXCHG: i32 = 0xf1;

// The source register of a call or a two-slot load says what its immediate is.
pub(super) const PSEUDO_MAP_FD: u8 = 1;
pub(super) const PSEUDO_MAP_VALUE: u8 = 2;
pub(super) const PSEUDO_FUNC: u8 = 4;
pub(super) const PSEUDO_CALL: u8 = 1;
pub(super) const PSEUDO_KFUNC: u8 = 2;

impl Insn {
    pub(super) const fn new(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Self {
        Self { code, regs: dst | src << 4, off, imm }
    }

    pub(super) const fn dst(self) -> u8 {
        self.regs & 0xf
    }

    pub(super) const fn src(self) -> u8 {
        self.regs >> 4
    }

    /// Whether the next slot is the second half of this instruction.
    pub const fn is_wide(self) -> bool {
        self.code == WIDE_LOAD
    }
}

/// The arithmetic class of a 64-bit or 32-bit operation. 32-bit ones clear the upper half of their result.
pub(super) const fn alu_class(wide: bool) -> u8 {
    if wide { ALU64 } else { ALU32 }
}

/// The jump that is taken exactly when `cond` is not. A bit test has none.
pub(super) const fn inverse(cond: u8) -> Option<u8> {
    Some(match cond {
        JEQ => JNE,
        JNE => JEQ,
        JGT => JLE,
        JLE => JGT,
        JGE => JLT,
        JLT => JGE,
        JSGT => JSLE,
        JSLE => JSGT,
        JSGE => JSLT,
        JSLT => JSGE,
        _ => return None,
    })
}
