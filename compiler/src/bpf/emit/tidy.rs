//! Leaves out of emitted code what turns out to be of no use: copies of registers, and jumps to jumps.
use super::super::copies::{self, Piece};
use super::super::isa::*;
use super::super::jumps;
use super::Emitter;

impl Emitter<'_> {
    pub(super) fn tidy(&mut self) {
        let (pieces, skips) = (self.pieces(), self.skips());
        let args = |at: usize| self.calls.binary_search_by_key(&at, |call| call.0).map_or(0, |nth| self.calls[nth].1);
        let useless = copies::tidy(&mut self.code.insns, &pieces, &args, &skips);
        self.leave_out(&useless);
    }

    /// Jumps to jumps, of which moves that went may have left some.
    pub(super) fn thread(&mut self) {
        let useless = jumps::thread(&mut self.code.insns, &mut self.jumps, &self.starts);
        self.leave_out(&useless);
    }

    fn leave_out(&mut self, useless: &[bool]) {
        // Where each instruction goes; what is left out goes to the one behind it.
        let mut places = Vec::with_capacity(useless.len() + 1);
        let mut kept = 0;
        for useless in useless {
            places.push(kept);
            kept += usize::from(!useless);
        }
        places.push(kept);
        let mut nth = 0;
        self.code.insns.retain(|_| {
            nth += 1;
            !useless[nth - 1]
        });
        self.code.relocs.iter_mut().for_each(|(at, _)| *at = places[*at]);
        self.jumps.retain(|(at, _)| !useless[*at]);
        self.jumps.iter_mut().for_each(|(at, _)| *at = places[*at]);
        self.starts.iter_mut().for_each(|start| *start = places[*start]);
        let lines = &mut self.code.lines;
        lines.retain(|(at, _)| places[*at] < kept);
        lines.iter_mut().for_each(|(at, _)| *at = places[*at]);
        // Of two at one instruction the last stands.
        lines.reverse();
        lines.dedup_by_key(|(at, _)| *at);
        lines.reverse();
    }

    fn pieces(&self) -> Vec<Piece> {
        let order = &self.layout.order;
        let mut position = vec![0; self.vcode.blocks.len()];
        order.iter().enumerate().for_each(|(nth, block)| position[*block] = nth);
        let end = |nth: usize| order.get(nth + 1).map_or(self.code.insns.len(), |next| self.starts[*next]);
        let next = |block: usize| {
            let succs = 0..self.vcode.flow.succs(block).len();
            succs.map(|nth| position[self.succ(block, nth)]).collect()
        };
        let piece =
            |(nth, block): (usize, &usize)| Piece { start: self.starts[*block], end: end(nth), next: next(*block) };
        order.iter().enumerate().map(piece).collect()
    }

    /// Which instructions a jump within its block may pass over.
    fn skips(&self) -> Vec<bool> {
        let mut skips = vec![false; self.code.insns.len()];
        let mut between = self.jumps.iter().map(|(at, _)| *at).peekable();
        let mut at = 0;
        while at < self.code.insns.len() {
            let insn = self.code.insns[at];
            let leaves = between.next_if_eq(&at).is_some();
            let is_jump = matches!(insn.code & 7, JMP | JMP32) && !matches!(insn.code & 0xf0, CALL | EXIT);
            if is_jump && !leaves {
                skips[at + 1..=at + insn.off as usize].fill(true);
            }
            at += if insn.is_wide() { 2 } else { 1 };
        }
        skips
    }
}
