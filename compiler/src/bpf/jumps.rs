//! Jumps to jumps go where those go, and what then is passed over or leads to the next instruction is left out.
use super::isa::*;

/// How many jumps in a row are followed; a loop may be nothing but a jump.
const CHAIN_MAX: usize = 8;

/// Rewrites jumps, given as where they stand, in order, and the block that they go to; gives which instructions are of no
/// use. `starts` are the first instructions of blocks.
pub(super) fn thread(insns: &mut [Insn], jumps: &mut [(usize, usize)], starts: &[usize]) -> Vec<bool> {
    for nth in 0..jumps.len() {
        for _ in 0..CHAIN_MAX {
            let there = starts[jumps[nth].1];
            let Ok(next) = jumps.binary_search_by_key(&there, |jump| jump.0) else { break };
            if !is_plain(insns[there]) {
                break;
            }
            jumps[nth].1 = jumps[next].1;
        }
    }
    let mut is_target = vec![false; insns.len() + 1];
    jumps.iter().for_each(|(_, block)| is_target[starts[*block]] = true);
    let mut useless = vec![false; insns.len()];
    for nth in (0..jumps.len()).rev() {
        let (at, block) = jumps[nth];
        if !is_plain(insns[at]) {
            continue;
        }
        // The instruction that comes after this one, or is reached by a jump there.
        let kept = |from: usize| (from..insns.len()).find(|at| !useless[*at]);
        let before = nth.checked_sub(1).map(|nth| jumps[nth]).filter(|(before, _)| before + 1 == at);
        let leads_on = kept(starts[block]) == kept(at + 1);
        let is_reached = is_target[at] || at == 0 || !ends(insns[at - 1], before.is_some());
        if leads_on || !is_reached {
            useless[at] = true;
        } else if !is_target[at]
            && let Some((test, passing)) = before
            && let Some(cond) = inverse(insns[test].code & 0xf0)
            && kept(starts[passing]) == kept(at + 1)
        {
            // A test that only passes over the jump: the opposite jumps itself.
            insns[test].code = insns[test].code & !0xf0 | cond;
            jumps[nth - 1].1 = block;
            useless[at] = true;
        }
    }
    useless
}

/// Whether nothing goes on behind an instruction.
fn ends(insn: Insn, is_jump: bool) -> bool {
    insn.code == JMP | EXIT || is_jump && is_plain(insn)
}

fn is_plain(insn: Insn) -> bool {
    insn.code == JMP | JA
}
