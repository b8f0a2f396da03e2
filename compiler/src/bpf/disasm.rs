//! Prints instructions as the verifier's log does (the kernel's `kernel/bpf/disasm.c`).
//!
//! Whatever the bytes are, something is printed; what the verifier would say about them is the verifier's business.
use super::helper_names::helper_name;
use super::isa::*;
use std::fmt;

/// One line an instruction, `12: r1 = *(u64 *)(r6 +8)`. The second slot of a two-slot load has no line of its own, but counts.
pub fn disassemble(insns: &[Insn]) -> impl Iterator<Item = String> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let at = next;
        let insn = *insns.get(at)?;
        let second = insns.get(at + 1).copied().filter(|_| insn.is_wide());
        next += 1 + usize::from(second.is_some());
        Some(format!("{at}: {}", Text { insn, second }))
    })
}

struct Text {
    insn: Insn,
    second: Option<Insn>,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let insn = self.insn;
        match insn.code & 7 {
            ALU32 | ALU64 => alu(f, insn),
            JMP | JMP32 => jump(f, insn),
            LDX => load(f, insn),
            ST => write!(f, "*({} *)({}) = {}", size(insn.code), Memory(insn.dst(), insn.off), insn.imm),
            STX if insn.code & 0xe0 == ATOMIC => atomic(f, insn),
            STX => write!(f, "*({} *)({}) = r{}", size(insn.code), Memory(insn.dst(), insn.off), insn.src()),
            _ if insn.is_wide() => wide_load(f, insn, self.second.unwrap_or_default().imm),
            _ => unknown(f, insn),
        }
    }
}

/// `r6 +8`
struct Memory(u8, i16);

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{} {:+}", self.0, self.1)
    }
}

fn unknown(f: &mut fmt::Formatter<'_>, insn: Insn) -> fmt::Result {
    write!(f, "BUG_{:02x}", insn.code)
}

fn size(code: u8) -> &'static str {
    match code & 0x18 {
        W => "u32",
        H => "u16",
        B => "u8",
        _ => "u64",
    }
}

fn alu(f: &mut fmt::Formatter<'_>, insn: Insn) -> fmt::Result {
    let wide = insn.code & 7 == ALU64;
    let (r, dst, src) = (if wide { 'r' } else { 'w' }, insn.dst(), insn.src());
    let op = insn.code & 0xf0;
    match op {
        END if wide => write!(f, "r{dst} = bswap{} r{dst}", insn.imm),
        END => write!(f, "r{dst} = {}{} r{dst}", if insn.code & X == 0 { "le" } else { "be" }, insn.imm),
        NEG => write!(f, "{r}{dst} = -{r}{dst}"),
        MOV if insn.code & X != 0 && insn.off != 0 => write!(f, "{r}{dst} = (s{}){r}{src}", insn.off),
        _ => {
            let Some(sign) = alu_sign(op) else { return unknown(f, insn) };
            let signed = if insn.off == 1 && matches!(op, DIV | MOD) { "s" } else { "" };
            write!(f, "{r}{dst} {signed}{sign} ")?;
            if insn.code & X == 0 { write!(f, "{}", insn.imm) } else { write!(f, "{r}{src}") }
        }
    }
}

fn alu_sign(op: u8) -> Option<&'static str> {
    Some(match op {
        ADD => "+=",
        SUB => "-=",
        MUL => "*=",
        DIV => "/=",
        OR => "|=",
        AND => "&=",
        LSH => "<<=",
        RSH => ">>=",
        MOD => "%=",
        XOR => "^=",
        MOV => "=",
        ARSH => "s>>=",
        _ => return None,
    })
}

fn jump(f: &mut fmt::Formatter<'_>, insn: Insn) -> fmt::Result {
    let wide = insn.code & 7 == JMP;
    match insn.code & 0xf0 {
        CALL => call(f, insn),
        EXIT => f.write_str("exit"),
        JA if wide => write!(f, "goto pc{:+}", insn.off),
        JA => write!(f, "gotol pc{:+}", insn.imm),
        JCOND => write!(f, "may_goto pc{:+}", insn.off),
        op => {
            let Some(sign) = jump_sign(op) else { return unknown(f, insn) };
            let r = if wide { 'r' } else { 'w' };
            write!(f, "if {r}{} {sign} ", insn.dst())?;
            if insn.code & X == 0 {
                write!(f, "0x{:x}", insn.imm)?
            } else {
                write!(f, "{r}{}", insn.src())?
            }
            write!(f, " goto pc{:+}", insn.off)
        }
    }
}

fn jump_sign(op: u8) -> Option<&'static str> {
    Some(match op {
        JEQ => "==",
        JGT => ">",
        JLT => "<",
        JGE => ">=",
        JLE => "<=",
        JSET => "&",
        JNE => "!=",
        JSGT => "s>",
        JSLT => "s<",
        JSGE => "s>=",
        JSLE => "s<=",
        _ => return None,
    })
}

fn call(f: &mut fmt::Formatter<'_>, insn: Insn) -> fmt::Result {
    match insn.src() {
        PSEUDO_CALL => write!(f, "call pc{:+}", insn.imm),
        PSEUDO_KFUNC => write!(f, "call kernel-function#{}", insn.imm),
        _ => match helper_name(insn.imm as u32) {
            Some(name) => write!(f, "call bpf_{name}#{}", insn.imm),
            None => write!(f, "call unknown#{}", insn.imm),
        },
    }
}

fn load(f: &mut fmt::Formatter<'_>, insn: Insn) -> fmt::Result {
    let size = match (insn.code & 0xe0, size(insn.code)) {
        (MEMSX, "u8") => "s8",
        (MEMSX, "u16") => "s16",
        (MEMSX, "u32") => "s32",
        (MEM, size) => size,
        _ => return unknown(f, insn),
    };
    write!(f, "r{} = *({size} *)({})", insn.dst(), Memory(insn.src(), insn.off))
}

fn atomic(f: &mut fmt::Formatter<'_>, insn: Insn) -> fmt::Result {
    let (size, at, src) = (size(insn.code), Memory(insn.dst(), insn.off), insn.src());
    let bits = if size == "u64" { "64" } else { "" };
    match insn.imm {
        XCHG => write!(f, "r{src} = atomic{bits}_xchg(({size} *)({at}), r{src})"),
        CMPXCHG => write!(f, "r0 = atomic{bits}_cmpxchg(({size} *)({at}), r0, r{src})"),
        imm => {
            let op = (imm & !FETCH) as u8;
            match (atomic_name(op), alu_sign(op)) {
                (Some(name), _) if imm & FETCH != 0 => {
                    write!(f, "r{src} = atomic{bits}_fetch_{name}(({size} *)({at}), r{src})")
                }
                (Some(_), Some(sign)) => write!(f, "lock *({size} *)({at}) {sign} r{src}"),
                _ => unknown(f, insn),
            }
        }
    }
}

fn atomic_name(op: u8) -> Option<&'static str> {
    Some(match op {
        ADD => "add",
        AND => "and",
        OR => "or",
        XOR => "xor",
        _ => return None,
    })
}

/// A constant is printed whole; a map or function as what the loader is to put there.
fn wide_load(f: &mut fmt::Formatter<'_>, insn: Insn, high: i32) -> fmt::Result {
    let dst = insn.dst();
    match insn.src() {
        PSEUDO_MAP_FD => write!(f, "r{dst} = map_fd[{}]", insn.imm),
        PSEUDO_MAP_VALUE => write!(f, "r{dst} = map_value[{}]+{}", insn.imm, high as u32),
        PSEUDO_FUNC => write!(f, "r{dst} = func pc{:+}", insn.imm),
        _ => write!(f, "r{dst} = 0x{:x}", u64::from(high as u32) << 32 | u64::from(insn.imm as u32)),
    }
}
