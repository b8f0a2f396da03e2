//! Registers of a process: where the kernel saves them, by their names and by DWARF's numbers.
//!
//! `struct pt_regs` of arch/x86/include/asm/ptrace.h and arch/arm64/include/asm/ptrace.h; the numbers are those of the
//! System V ABI's AMD64 supplement (figure 3.36) and of the DWARF document for the Arm architecture.

/// A register, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Where it is saved.
    pub offset: u32,
    /// Bytes of it that the name stands for.
    pub size: u8,
    /// Bits to shift it down by first: `%ah`.
    pub shift: u8,
}

impl Register {
    const fn whole(offset: u32) -> Register {
        Register { offset, size: 8, shift: 0 }
    }
}

/// The instruction that is executed.
#[cfg(target_arch = "x86_64")]
pub const INSTRUCTION: Register = Register::whole(128);
/// See above.
#[cfg(target_arch = "aarch64")]
pub const INSTRUCTION: Register = Register::whole(256);

/// The stack's end.
#[cfg(target_arch = "x86_64")]
pub const STACK: Register = Register::whole(152);
/// See above.
#[cfg(target_arch = "aarch64")]
pub const STACK: Register = Register::whole(248);

/// What a function returns.
#[cfg(target_arch = "x86_64")]
pub const RESULTS: [Register; 2] = [Register::whole(80), Register::whole(96)];
/// See above.
#[cfg(target_arch = "aarch64")]
pub const RESULTS: [Register; 2] = [Register::whole(0), Register::whole(8)];

/// By DWARF's numbers, where the kernel saves them.
#[cfg(target_arch = "x86_64")]
const NUMBERED: [u32; 17] = [80, 96, 88, 40, 104, 112, 32, 152, 72, 64, 56, 48, 24, 16, 8, 0, 128];

/// The register with this number of DWARF's.
#[cfg(target_arch = "x86_64")]
pub fn by_number(number: u16) -> Option<Register> {
    NUMBERED.get(usize::from(number)).map(|offset| Register::whole(*offset))
}

/// See above.
#[cfg(target_arch = "aarch64")]
pub fn by_number(number: u16) -> Option<Register> {
    (number <= 31).then(|| Register::whole(8 * u32::from(number)))
}

/// The register with this name, without the `%`.
#[cfg(target_arch = "x86_64")]
pub fn by_name(name: &str) -> Option<Register> {
    /// Names by DWARF's numbers: 8, 4, 2 and 1 bytes.
    const OLD: [[&str; 4]; 8] = [
        ["rax", "eax", "ax", "al"],
        ["rdx", "edx", "dx", "dl"],
        ["rcx", "ecx", "cx", "cl"],
        ["rbx", "ebx", "bx", "bl"],
        ["rsi", "esi", "si", "sil"],
        ["rdi", "edi", "di", "dil"],
        ["rbp", "ebp", "bp", "bpl"],
        ["rsp", "esp", "sp", "spl"],
    ];
    const SIZES: [u8; 4] = [8, 4, 2, 1];
    if name == "rip" {
        return Some(INSTRUCTION);
    }
    for (names, number) in OLD.iter().zip(0..) {
        if let Some(nth) = names.iter().position(|known| *known == name) {
            return by_number(number).map(|register| Register { size: SIZES[nth], ..register });
        }
    }
    if let Some(number) = ["ah", "dh", "ch", "bh"].iter().position(|known| *known == name) {
        return by_number(number as u16).map(|register| Register { size: 1, shift: 8, ..register });
    }
    let rest = name.strip_prefix('r')?;
    let digits = rest.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let size = match &rest[digits.len()..] {
        "" => 8,
        "d" => 4,
        "w" => 2,
        "b" => 1,
        _ => return None,
    };
    let number = digits.parse().ok().filter(|number| (8..16).contains(number))?;
    by_number(number).map(|register| Register { size, ..register })
}

/// See above.
#[cfg(target_arch = "aarch64")]
pub fn by_name(name: &str) -> Option<Register> {
    match name {
        "sp" => return Some(STACK),
        "xzr" | "wzr" => return None,
        _ => {}
    }
    let size = if name.starts_with('x') { 8 } else { 4 };
    let number = name.strip_prefix(['x', 'w'])?.parse().ok().filter(|number| *number <= 30)?;
    by_number(number).map(|register| Register { size, ..register })
}
