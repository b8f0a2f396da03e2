//! The control flow of a function as the register allocator needs it.
//!
//! Only blocks that can be reached are in it (the verifier refuses instructions that cannot), a branch on a constant counts as
//! a jump, and every critical edge has a block of its own, on which its arguments are passed. Edge blocks that end up with
//! nothing but a jump are threaded away by `emit`.
use super::CompileError;
use cranelift_codegen::entity::{EntityRef, SecondaryMap};
use cranelift_codegen::ir::{self, BlockCall, Function, InstructionData, Opcode, ValueDef};
use regalloc2 as ra;
use std::ops::Range;

/// Blocks in the order they are emitted: a block before what it dominates, an edge block behind its source.
pub(super) struct Flow {
    pub(super) nodes: Vec<Node>,
    succs: Vec<ra::Block>,
    succ_calls: Vec<BlockCall>,
    preds: Vec<ra::Block>,
    pred_calls: Vec<BlockCall>,
}

/// One block of the function, or one split edge.
pub(super) struct Node {
    /// The block of the IR; none for an edge.
    pub(super) body: Option<ir::Block>,
    /// Some edge into this block comes from a block behind it.
    pub(super) is_loop_head: bool,
    /// The IR marks it, or the block it leads to, as rarely run.
    pub(super) is_cold: bool,
    succs: Range<u32>,
    preds: Range<u32>,
}

impl Flow {
    pub(super) fn of(func: &Function) -> Result<Self, CompileError> {
        let entry = func.layout.entry_block().ok_or(CompileError::Shape("the function has no block"))?;
        let (order, pred_counts) = reverse_postorder(func, entry);
        if pred_counts[entry] != 0 {
            return Err(CompileError::Shape("a branch leads back to the entry block"));
        }
        let mut flow = Self { nodes: vec![], succs: vec![], succ_calls: vec![], preds: vec![], pred_calls: vec![] };
        flow.place(func, &order, &pred_counts);
        flow.find_predecessors();
        Ok(flow)
    }

    /// Gives every block and every split edge its number and its successors.
    fn place(&mut self, func: &Function, order: &[ir::Block], pred_counts: &SecondaryMap<ir::Block, u32>) {
        let is_split = |exits: &[BlockCall], exit: &BlockCall| exits.len() > 1 && pred_counts[target(func, exit)] > 1;
        let mut first: SecondaryMap<ir::Block, u32> = SecondaryMap::with_capacity(order.len());
        let mut count = 0;
        for block in order {
            first[*block] = count;
            let exits = exits(func, *block);
            count += 1 + exits.iter().filter(|exit| is_split(exits, exit)).count() as u32;
        }
        for block in order {
            let exits = exits(func, *block);
            let number = |exit: &BlockCall| ra::Block::new(first[target(func, exit)] as usize);
            let mut edge = first[*block] + 1;
            let start = self.succs.len() as u32;
            for exit in exits {
                let succ = if is_split(exits, exit) { ra::Block::new(edge as usize) } else { number(exit) };
                edge += u32::from(is_split(exits, exit));
                self.add_successor(succ, *exit);
            }
            let is_cold = func.layout.is_cold(*block);
            self.add_node(Some(*block), is_cold, start);
            for exit in exits.iter().filter(|exit| is_split(exits, exit)) {
                let start = self.succs.len() as u32;
                self.add_successor(number(exit), *exit);
                self.add_node(None, is_cold || func.layout.is_cold(target(func, exit)), start);
            }
        }
    }

    fn add_successor(&mut self, block: ra::Block, call: BlockCall) {
        self.succs.push(block);
        self.succ_calls.push(call);
    }

    fn add_node(&mut self, body: Option<ir::Block>, is_cold: bool, first_succ: u32) {
        let succs = first_succ..self.succs.len() as u32;
        self.nodes.push(Node { body, is_loop_head: false, is_cold, succs, preds: 0..0 });
    }

    /// A counting sort of the edges by their target.
    fn find_predecessors(&mut self) {
        let mut next = vec![0u32; self.nodes.len() + 1];
        for succ in &self.succs {
            next[succ.index() + 1] += 1;
        }
        for i in 1..next.len() {
            next[i] += next[i - 1];
        }
        for (node, bounds) in self.nodes.iter_mut().zip(next.windows(2)) {
            node.preds = bounds[0]..bounds[1];
        }
        self.preds = vec![ra::Block::invalid(); self.succs.len()];
        self.pred_calls = self.succ_calls.clone();
        for from in 0..self.nodes.len() {
            for edge in range(&self.nodes[from].succs) {
                let to = self.succs[edge].index();
                let at = next[to] as usize;
                next[to] += 1;
                self.preds[at] = ra::Block::new(from);
                self.pred_calls[at] = self.succ_calls[edge];
                self.nodes[to].is_loop_head |= from >= to;
            }
        }
    }

    pub(super) fn succs(&self, node: usize) -> &[ra::Block] {
        &self.succs[range(&self.nodes[node].succs)]
    }

    pub(super) fn preds(&self, node: usize) -> &[ra::Block] {
        &self.preds[range(&self.nodes[node].preds)]
    }

    /// What each predecessor passes to this block.
    pub(super) fn incoming(&self, node: usize) -> &[BlockCall] {
        &self.pred_calls[range(&self.nodes[node].preds)]
    }

    /// The only successor of a block and what is passed to it; none for a return or a branch.
    ///
    /// A branch passes nothing: its edges either have blocks of their own, or their arguments are the only ones the target
    /// ever gets and stand for its parameters.
    pub(super) fn only_exit(&self, node: usize) -> Option<(usize, BlockCall)> {
        let succs = range(&self.nodes[node].succs);
        (succs.len() == 1).then(|| (self.succs[succs.start].index(), self.succ_calls[succs.start]))
    }
}

fn range(r: &Range<u32>) -> Range<usize> {
    r.start as usize..r.end as usize
}

fn target(func: &Function, exit: &BlockCall) -> ir::Block {
    exit.block(&func.dfg.value_lists)
}

/// Where a block can go, as far as its terminator alone tells. An empty block goes nowhere; selection reports it.
pub(super) fn exits(func: &Function, block: ir::Block) -> &[BlockCall] {
    let Some(last) = func.layout.last_inst(block) else { return &[] };
    let inst = &func.dfg.insts[last];
    let all = inst.branch_destination(&func.dfg.jump_tables, &func.dfg.exception_tables);
    match inst {
        InstructionData::Brif { arg, .. } => match constant_condition(func, *arg) {
            Some(true) => &all[..1],
            Some(false) => &all[1..],
            None => all,
        },
        _ => all,
    }
}

fn constant_condition(func: &Function, value: ir::Value) -> Option<bool> {
    let ValueDef::Result(inst, 0) = func.dfg.value_def(func.dfg.resolve_aliases(value)) else { return None };
    match func.dfg.insts[inst] {
        InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => Some(imm.bits() != 0),
        _ => None,
    }
}

/// Reachable blocks, and how many edges lead to each. The first target of a branch comes right behind it, where it can.
fn reverse_postorder(func: &Function, entry: ir::Block) -> (Vec<ir::Block>, SecondaryMap<ir::Block, u32>) {
    let blocks = func.dfg.num_blocks();
    let mut pred_counts: SecondaryMap<ir::Block, u32> = SecondaryMap::with_capacity(blocks);
    let mut seen: SecondaryMap<ir::Block, bool> = SecondaryMap::with_capacity(blocks);
    let mut order = Vec::with_capacity(blocks);
    let mut open = vec![(entry, exits(func, entry))];
    seen[entry] = true;
    while let Some((block, remaining)) = open.last_mut() {
        let Some((last, rest)) = remaining.split_last() else {
            order.push(*block);
            open.pop();
            continue;
        };
        *remaining = rest;
        let next = target(func, last);
        pred_counts[next] += 1;
        if !std::mem::replace(&mut seen[next], true) {
            open.push((next, exits(func, next)));
        }
    }
    order.reverse();
    (order, pred_counts)
}

/// The index of an entity in a plain vector.
pub(super) fn at<E: EntityRef>(entity: E) -> usize {
    entity.index()
}
