//! Takes out copies of registers that nothing needs: the allocator moves a value to a register of its own for a use that
//! could have taken it where it was.
//!
//! Memory accesses and arithmetic read the register that a copy was made of, in whichever block it was made if all ways
//! lead through such a copy; then copies that nobody reads go. What a branch compares stays as it is: the verifier learns of
//! that register.
use super::isa::*;

/// Of each register, which one holds the same: itself, if no other.
type Same = [u8; 16];

/// The instructions of one block.
pub(super) struct Piece {
    /// Its first instruction, and the one behind its last.
    pub(super) start: usize,
    pub(super) end: usize,
    /// The pieces that may follow.
    pub(super) next: Vec<usize>,
}

/// Rewrites instructions; gives which of them are of no use. `args` says how many registers a call reads, `skips` which
/// instructions a jump within a block may pass over.
pub(super) fn tidy(insns: &mut [Insn], pieces: &[Piece], args: &dyn Fn(usize) -> u8, skips: &[bool]) -> Vec<bool> {
    let entries = entries(insns, pieces, skips);
    for (piece, entry) in pieces.iter().zip(entries) {
        forward(&mut insns[piece.start..piece.end], &skips[piece.start..piece.end], entry);
    }
    let mut useless = vec![false; insns.len()];
    let mut live_in = vec![0u16; pieces.len()];
    loop {
        let before = live_in.clone();
        for (nth, piece) in pieces.iter().enumerate().rev() {
            let mut live = piece.next.iter().fold(0, |live, next| live | live_in[*next]);
            for at in (piece.start..piece.end).rev() {
                if at > piece.start && insns[at - 1].is_wide() {
                    // The second half of a load.
                    continue;
                }
                let insn = insns[at];
                let is_copy = is_move(insn) && !skips[at];
                useless[at] = is_copy && (live & 1 << insn.dst() == 0 || insn.dst() == insn.src());
                if useless[at] {
                    continue;
                }
                let effect = effect(insn, args(at));
                if !skips[at] {
                    live &= !effect.writes;
                }
                live |= effect.reads;
            }
            live_in[nth] = live;
        }
        if live_in == before {
            return useless;
        }
    }
}

fn is_move(insn: Insn) -> bool {
    insn.code == ALU64 | MOV | X && insn.off == 0
}

/// Registers that an instruction reads and writes, as bits.
#[derive(Clone, Copy)]
struct Effect {
    reads: u16,
    writes: u16,
}

fn effect(insn: Insn, args: u8) -> Effect {
    let (dst, src) = (1 << insn.dst(), 1 << insn.src());
    let register = insn.code & X != 0;
    match insn.code & 7 {
        LD => Effect { reads: 0, writes: dst },
        LDX => Effect { reads: src, writes: dst },
        ST => Effect { reads: dst, writes: 0 },
        STX if insn.code & 0xe0 == ATOMIC => match insn.imm {
            CMPXCHG => Effect { reads: dst | src | 1, writes: 1 },
            imm if imm & FETCH != 0 => Effect { reads: dst | src, writes: src },
            _ => Effect { reads: dst | src, writes: 0 },
        },
        STX => Effect { reads: dst | src, writes: 0 },
        ALU32 | ALU64 => {
            let op = insn.code & 0xf0;
            // What is no move reads its destination; negation and byte swaps have no other operand.
            let own = if op == MOV { 0 } else { dst };
            let other = if register && op != NEG && op != END { src } else { 0 };
            Effect { reads: own | other, writes: dst }
        }
        _ => match insn.code & 0xf0 {
            CALL => Effect { reads: ((1 << args) - 1) << 1, writes: 0b11_1111 },
            EXIT => Effect { reads: 1, writes: 0 },
            JA | JCOND => Effect { reads: 0, writes: 0 },
            _ => Effect { reads: dst | if register { src } else { 0 }, writes: 0 },
        },
    }
}

/// What holds the same where each block begins: what does at the end of all that lead there.
fn entries(insns: &[Insn], pieces: &[Piece], skips: &[bool]) -> Vec<Same> {
    let mut entries: Vec<Option<Same>> = vec![None; pieces.len()];
    entries[0] = Some(NONE);
    let mut changed = true;
    while changed {
        changed = false;
        for (nth, piece) in pieces.iter().enumerate() {
            let Some(mut same) = entries[nth] else { continue };
            let mut at = piece.start;
            while at < piece.end {
                follow(&mut same, insns[at], skips[at]);
                at += slots(insns[at]);
            }
            for next in &piece.next {
                let met = entries[*next].map_or(same, |entry| meet(entry, same));
                changed |= entries[*next] != Some(met);
                entries[*next] = Some(met);
            }
        }
    }
    entries.into_iter().map(|entry| entry.unwrap_or(NONE)).collect()
}

/// Every register holds something of its own.
const NONE: Same = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

fn meet(a: Same, b: Same) -> Same {
    core::array::from_fn(|register| if a[register] == b[register] { a[register] } else { register as u8 })
}

/// Has instructions of a block read what was copied instead of the copy.
fn forward(insns: &mut [Insn], skips: &[bool], mut same: Same) {
    let mut at = 0;
    while at < insns.len() {
        substitute(&mut insns[at], &same);
        follow(&mut same, insns[at], skips[at]);
        at += slots(insns[at]);
    }
}

fn slots(insn: Insn) -> usize {
    if insn.is_wide() { 2 } else { 1 }
}

/// What holds the same behind an instruction.
fn follow(same: &mut Same, insn: Insn, skipped: bool) {
    let writes = effect(insn, 0).writes;
    for (register, same) in same.iter_mut().enumerate() {
        if (writes >> register | writes >> *same) & 1 == 1 {
            *same = register as u8;
        }
    }
    if is_move(insn) && !skipped && insn.dst() != insn.src() {
        same[usize::from(insn.dst())] = insn.src();
    }
}

/// Puts the register that was copied in place of the copy, where an instruction only reads it.
fn substitute(insn: &mut Insn, same: &Same) {
    let (dst, src) = (insn.dst(), insn.src());
    let (of_dst, of_src) = (same[usize::from(dst)], same[usize::from(src)]);
    let (dst, src) = match insn.code & 7 {
        LDX => (dst, of_src),
        ST => (of_dst, src),
        STX if insn.code & 0xe0 == ATOMIC && insn.imm & FETCH != 0 => (of_dst, src),
        STX => (of_dst, of_src),
        ALU32 | ALU64 if insn.code & X != 0 && !matches!(insn.code & 0xf0, NEG | END) => (dst, of_src),
        _ => return,
    };
    insn.regs = dst | src << 4;
}
