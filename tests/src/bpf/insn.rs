//! eBPF instructions, one function each (Documentation/bpf/standardization/instruction-set.rst).

/// One instruction, as the kernel reads it.
pub type Insn = u64;

/// The read-only frame pointer.
pub const FP: u8 = 10;

/// bpf_map_lookup_elem
pub const MAP_LOOKUP_ELEM: i32 = 1;
/// bpf_get_current_comm
pub const GET_CURRENT_COMM: i32 = 16;

const fn insn(op: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    op as u64 | (dst as u64) << 8 | (src as u64) << 12 | (off as u16 as u64) << 16 | (imm as u32 as u64) << 32
}

/// dst = imm
pub const fn mov(dst: u8, imm: i32) -> Insn {
    insn(0xb7, dst, 0, 0, imm)
}

/// dst = src
pub const fn mov_reg(dst: u8, src: u8) -> Insn {
    insn(0xbf, dst, src, 0, 0)
}

/// dst += imm
pub const fn add(dst: u8, imm: i32) -> Insn {
    insn(0x07, dst, 0, 0, imm)
}

/// dst &= src
pub const fn and_reg(dst: u8, src: u8) -> Insn {
    insn(0x5f, dst, src, 0, 0)
}

/// dst = a constant of 64 bits (two slots)
pub const fn mov64(dst: u8, value: u64) -> [Insn; 2] {
    [insn(0x18, dst, 0, 0, value as i32), insn(0, 0, 0, 0, (value >> 32) as i32)]
}

/// dst = the map behind this file descriptor (two slots)
pub const fn map_fd(dst: u8, fd: i32) -> [Insn; 2] {
    // src = BPF_PSEUDO_MAP_FD
    [insn(0x18, dst, 1, 0, fd), 0]
}

/// dst = *(u64 *)(src + off)
pub const fn load64(dst: u8, src: u8, off: i16) -> Insn {
    insn(0x79, dst, src, off, 0)
}

/// *(u64 *)(dst + off) = src
pub const fn store64(dst: u8, off: i16, src: u8) -> Insn {
    insn(0x7b, dst, src, off, 0)
}

/// *(u32 *)(dst + off) = imm
pub const fn store32_imm(dst: u8, off: i16, imm: i32) -> Insn {
    insn(0x62, dst, 0, off, imm)
}

/// if dst == imm, skip `off` instructions
pub const fn jump_eq(dst: u8, imm: i32, off: i16) -> Insn {
    insn(0x15, dst, 0, off, imm)
}

/// if dst != src, skip `off` instructions
pub const fn jump_ne_reg(dst: u8, src: u8, off: i16) -> Insn {
    insn(0x5d, dst, src, off, 0)
}

/// r0 = helper(r1, …)
pub const fn call(helper: i32) -> Insn {
    insn(0x85, 0, 0, 0, helper)
}

/// return r0
pub const fn exit() -> Insn {
    insn(0x95, 0, 0, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_the_kernels() {
        // From the kernel's own macros, as bytes in memory.
        assert_eq!(mov(0, 1).to_le_bytes(), [0xb7, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(store64(FP, -8, 1).to_le_bytes(), [0x7b, 0x1a, 0xf8, 0xff, 0, 0, 0, 0]);
        assert_eq!(map_fd(1, 7)[0].to_le_bytes(), [0x18, 0x11, 0, 0, 7, 0, 0, 0]);
        assert_eq!(exit().to_le_bytes()[0], 0x95);
    }
}
