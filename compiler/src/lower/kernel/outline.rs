//! Loops of the script as callbacks of `bpf_loop` (Linux 5.17).
//!
//! The verifier walks a loop that stands in the program round by round, and both ways of every `if` in it: with
//! MAXACTION rounds, a body of few lines is too much for it. A callback it walks a few times, however many rounds there
//! are. So a loop, with those inside it, becomes a function of its own. One call of it runs from the head of one of
//! these loops to the end of a round; which head comes next, or which way out was taken, stands in working memory
//! beside all that outlives the round.

use super::demote::{Memory, demote};
use super::namespace;
use crate::lower::code::signature;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{
    Block, BlockCall, ExtFuncData, ExternalName, Function, GlobalValueData, Inst, InstBuilder, InstructionData,
    MemFlagsData, Opcode, StackSlot, StackSlotData, StackSlotKind, UserExternalName, UserFuncName, Value,
};
use cranelift_codegen::loop_analysis::{Loop, LoopAnalysis};
use std::collections::BTreeMap;
use tapster_runtime_ebpf::helper;

/// Bytes of the frame before the handler's own slots: the context and the address of working memory.
const POINTERS: i32 = 16;

/// A handler with loops.
pub(super) struct Looping<'a> {
    /// Where values live from one round to the next.
    pub(super) memory: Memory<'a>,
    /// Blocks in which statements are counted: there is one in every loop of the script, and none in other loops.
    pub(super) counted: &'a [Block],
    /// More rounds than the handler can have.
    pub(super) rounds: u32,
    /// The number of the first callback.
    pub(super) first: usize,
    /// The slot that each part has for itself: nothing in it outlives a statement, and a callback cannot write addresses
    /// of the stack to the handler's frame.
    pub(super) own: Option<StackSlot>,
}

/// Takes the loops out of a handler; gives the callbacks ([`namespace::CALLBACK`]).
pub(super) fn outline(func: &mut Function, mut looping: Looping) -> Vec<Function> {
    func.dfg.resolve_all_aliases();
    let Some(mut nests) = Nests::of(func, looping.counted) else { return Vec::new() };
    nests.split_edges(func);
    let state = (looping.memory.reserve)() as i32;
    demote(func, &nests.cuts, &mut looping.memory);
    let (frame, offsets) = merge_slots(func, looping.own);
    let Memory { base, context, .. } = looping.memory;
    let split = Split { nests: &nests, base, context, state, frame, offsets };
    let callbacks = (0..nests.roots.len()).map(|nest| split.callback(func, nest)).collect();
    split.remainder(func, looping.rounds, looping.first);
    callbacks
}

/// How a block that leads to a cut does it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// A round of a loop ends.
    Round,
    /// The outermost loop is left.
    Exit,
    /// Neither: a loop is entered, from outside or from the loop around it.
    Plain,
}

/// Loops of the script, each with those inside it.
struct Nests {
    /// The heads of outermost loops.
    roots: Vec<Block>,
    /// The nest that a block is in.
    of: BTreeMap<Block, usize>,
    /// Heads of loops, and where ways out lead to. The place of a block here is its number in working memory.
    cuts: Vec<Block>,
    /// The heads among the cuts.
    heads: usize,
    loops: LoopAnalysis,
    /// How each block that jumps to a cut does it.
    edges: BTreeMap<Block, (Edge, Block)>,
}

impl Nests {
    fn of(func: &mut Function, counted: &[Block]) -> Option<Nests> {
        let cfg = ControlFlowGraph::with_function(func);
        let dominators = DominatorTree::with_function(func, &cfg);
        let blocks: Vec<Block> = func.layout.blocks().collect();
        for block in blocks.iter().filter(|block| !dominators.is_reachable(**block)) {
            func.layout.remove_block_and_insts(*block);
        }
        let cfg = ControlFlowGraph::with_function(func);
        let mut loops = LoopAnalysis::new();
        loops.compute(func, &cfg, &dominators);
        let is_script = |l: Loop| counted.iter().any(|block| loops.is_in_loop(*block, l));
        let script: Vec<Loop> = loops.loops().filter(|l| is_script(*l)).collect();
        if script.is_empty() {
            return None;
        }
        let outermost = script.iter().filter(|l| loops.loop_parent(**l).is_none());
        let roots: Vec<Block> = outermost.map(|l| loops.loop_header(*l)).collect();
        let root_of = |block: Block| {
            let mut inner = loops.innermost_loop(block)?;
            while let Some(outer) = loops.loop_parent(inner) {
                inner = outer;
            }
            roots.iter().position(|root| *root == loops.loop_header(inner))
        };
        let of: BTreeMap<Block, usize> =
            func.layout.blocks().filter_map(|block| root_of(block).map(|nest| (block, nest))).collect();
        let mut cuts: Vec<Block> = script.iter().map(|l| loops.loop_header(*l)).collect();
        let heads = cuts.len();
        for (block, nest) in &of {
            for next in func.block_successors(*block) {
                if of.get(&next) != Some(nest) && !cuts.contains(&next) {
                    cuts.push(next);
                }
            }
        }
        Some(Nests { roots, of, cuts, heads, loops, edges: BTreeMap::new() })
    }

    /// Gives every branch to a cut a block of its own on the way, and notes how cuts are reached.
    fn split_edges(&mut self, func: &mut Function) {
        let blocks: Vec<Block> = func.layout.blocks().collect();
        for block in blocks {
            let last = func.layout.last_inst(block).expect("a block ends in a terminator");
            let next: Vec<Block> = func.block_successors(block).collect();
            let is_branch = next.len() > 1;
            for (nth, cut) in next.into_iter().enumerate().filter(|(_, next)| self.cuts.contains(next)) {
                let edge = self.edge(block, cut);
                let from = if is_branch { split_edge(func, last, nth, block) } else { block };
                if let Some(nest) = self.of.get(&block) {
                    self.of.insert(from, *nest);
                }
                self.edges.insert(from, (edge, cut));
            }
        }
    }

    fn edge(&self, from: Block, cut: Block) -> Edge {
        match self.of.get(&from) {
            None => Edge::Plain,
            nest if nest != self.of.get(&cut) => Edge::Exit,
            _ => match self.loops.is_loop_header(cut) {
                Some(l) if self.loops.is_in_loop(from, l) => Edge::Round,
                _ => Edge::Plain,
            },
        }
    }

    /// The number of a cut.
    fn number(&self, cut: Block) -> i64 {
        self.cuts.iter().position(|known| *known == cut).map_or(0, |at| at as i64)
    }
}

/// Puts a block on the `nth` edge of a branch.
fn split_edge(func: &mut Function, branch: Inst, nth: usize, behind: Block) -> Block {
    let between = func.dfg.make_block();
    func.layout.insert_block_after(between, behind);
    let dfg = &mut func.dfg;
    let call = dfg.insts[branch].branch_destination(&dfg.jump_tables, &dfg.exception_tables)[nth];
    let plain = BlockCall::new(between, [], &mut dfg.value_lists);
    dfg.insts[branch].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables)[nth] = plain;
    let jump = InstructionData::Jump { opcode: Opcode::Jump, destination: call };
    let jump = dfg.make_inst(jump);
    func.layout.append_inst(jump, between);
    func.set_srcloc(jump, func.srcloc(branch));
    if func.layout.is_cold(call.block(&func.dfg.value_lists)) {
        func.layout.set_cold(between);
    }
    between
}

/// Puts all slots into one, whose address callbacks are given. Gives their offsets in it.
fn merge_slots(func: &mut Function, own: Option<StackSlot>) -> (StackSlot, BTreeMap<StackSlot, i32>) {
    let mut size = POINTERS;
    let mut offsets = BTreeMap::new();
    for inst in slot_addresses(func) {
        let slot = func.dfg.insts[inst].stack_slot().filter(|slot| Some(*slot) != own);
        let Some(slot) = slot else { continue };
        offsets.entry(slot).or_insert_with(|| {
            size += func.sized_stack_slots[slot].size as i32;
            size - func.sized_stack_slots[slot].size as i32
        });
    }
    let frame = func.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size as u32, 3));
    (frame, offsets)
}

fn slot_addresses(func: &Function) -> Vec<Inst> {
    let insts = func.layout.blocks().flat_map(|block| func.layout.block_insts(block));
    insts.filter(|inst| func.dfg.insts[*inst].opcode() == Opcode::StackAddr).collect()
}

/// Makes the parts of a handler whose values cross the cuts in memory.
struct Split<'a> {
    nests: &'a Nests,
    base: Value,
    context: Value,
    /// Where working memory says which cut is next.
    state: i32,
    frame: StackSlot,
    offsets: BTreeMap<StackSlot, i32>,
}

impl Split<'_> {
    /// The function that runs a round of a nest, wherever in it a round starts: `(round, frame) -> 1 where it is left`.
    fn callback(&self, handler: &Function, nest: usize) -> Function {
        let mut func = handler.clone();
        func.signature = signature(2);
        func.name = UserFuncName::testcase(format!("loop_{nest}"));
        let blocks: Vec<Block> = func.layout.blocks().collect();
        for block in blocks.into_iter().filter(|block| self.nests.of.get(block) != Some(&nest)) {
            func.layout.remove_block_and_insts(block);
        }
        self.end_rounds(&mut func, nest);
        let body: Vec<Inst> = func.layout.blocks().flat_map(|block| func.layout.block_insts(block)).collect();
        let (context, base, frame) = self.start_round(&mut func, nest);
        for inst in body {
            func.dfg.map_inst_values(inst, |value| match value {
                _ if value == self.context => context,
                _ if value == self.base => base,
                _ => value,
            });
            if let Some((_, offset)) = self.in_frame(&func, inst) {
                let offset = FuncCursor::new(&mut func).at_inst(inst).ins().iconst(I64, i64::from(offset));
                func.replace(inst).iadd(frame, offset);
            }
        }
        func
    }

    /// The place in the frame that an instruction gives the address of.
    fn in_frame(&self, func: &Function, inst: Inst) -> Option<(Opcode, i32)> {
        let InstructionData::StackAddr { opcode, stack_slot, offset } = func.dfg.insts[inst] else { return None };
        Some((opcode, self.offsets.get(&stack_slot)? + i32::from(offset)))
    }

    /// The first block: goes to the head that is next.
    fn start_round(&self, func: &mut Function, nest: usize) -> (Value, Value, Value) {
        let entry = func.dfg.make_block();
        func.dfg.append_block_param(entry, I64);
        let frame = func.dfg.append_block_param(entry, I64);
        let first = func.layout.entry_block().expect("a loop has blocks");
        func.layout.insert_block(entry, first);
        let mut at = FuncCursor::new(func).at_bottom(entry);
        let context = at.ins().load(I64, MemFlagsData::trusted(), frame, 0);
        let base = at.ins().load(I64, MemFlagsData::trusted(), frame, 8);
        let heads = self.nests.cuts[..self.nests.heads].iter().copied();
        let heads: Vec<(Block, Block)> =
            heads.filter(|head| self.nests.of.get(head) == Some(&nest)).map(|head| (head, head)).collect();
        self.dispatch(&mut at, base, &heads);
        (context, base, frame)
    }

    /// Goes to the block of the cut that is next, each a cut and a block.
    fn dispatch(&self, at: &mut FuncCursor, base: Value, blocks: &[(Block, Block)]) {
        let Some(((_, last), others)) = blocks.split_last() else {
            let left = at.ins().iconst(I64, 0);
            at.ins().return_(&[left]);
            return;
        };
        let next = at.ins().load(I64, MemFlagsData::trusted(), base, self.state);
        for (cut, block) in others {
            let other = at.func.dfg.make_block();
            let is_it = at.ins().icmp_imm_s(IntCC::Equal, next, self.nests.number(*cut));
            at.ins().brif(is_it, *block, &[], other, &[]);
            at.insert_block(other);
        }
        at.ins().jump(*last, &[]);
    }

    /// Returns where a round ends or the nest is left.
    fn end_rounds(&self, func: &mut Function, nest: usize) {
        for (block, (edge, cut)) in &self.nests.edges {
            if self.nests.of.get(block) != Some(&nest) || *edge == Edge::Plain {
                continue;
            }
            let jump = func.layout.last_inst(*block).expect("an edge ends in a jump");
            let base = self.base;
            let mut at = FuncCursor::new(func).at_inst(jump);
            at.use_srcloc(jump);
            let number = at.ins().iconst(I64, self.nests.number(*cut));
            at.ins().store(MemFlagsData::trusted(), number, base, self.state);
            let left = at.ins().iconst(I64, i64::from(*edge == Edge::Exit));
            at.ins().return_(&[left]);
            func.layout.remove_inst(jump);
        }
    }

    /// Leaves of the handler what stands outside of loops, and calls them.
    fn remainder(&self, func: &mut Function, rounds: u32, first: usize) {
        let calls: Vec<Block> = self.nests.roots.iter().map(|_| func.dfg.make_block()).collect();
        let way_to = |cut: Block| self.nests.roots.iter().position(|root| *root == cut).map_or(cut, |nest| calls[nest]);
        for (block, (_, cut)) in self.nests.edges.iter().filter(|(block, _)| !self.nests.of.contains_key(block)) {
            let jump = func.layout.last_inst(*block).expect("an edge ends in a jump");
            func.rewrite_branch_destination(jump, *cut, way_to(*cut));
        }
        for block in self.nests.of.keys() {
            func.layout.remove_block_and_insts(*block);
        }
        for inst in slot_addresses(func) {
            if let Some((opcode, offset)) = self.in_frame(func, inst) {
                let offset = offset.into();
                func.dfg.insts[inst] = InstructionData::StackAddr { opcode, stack_slot: self.frame, offset };
            }
        }
        for (nest, call) in calls.iter().enumerate() {
            func.layout.append_block(*call);
            let mut at = FuncCursor::new(func).at_bottom(*call);
            self.call(&mut at, nest, rounds, first);
            let ways = self
                .nests
                .edges
                .iter()
                .filter(|(block, (edge, _))| self.nests.of.get(block) == Some(&nest) && *edge == Edge::Exit);
            let ways: BTreeMap<Block, Block> = ways.map(|(_, (_, cut))| (*cut, way_to(*cut))).collect();
            self.dispatch(&mut at, self.base, &ways.into_iter().collect::<Vec<_>>());
        }
    }

    /// Runs a nest.
    fn call(&self, at: &mut FuncCursor, nest: usize, rounds: u32, first: usize) {
        let frame = at.ins().stack_addr(I64, self.frame, 0);
        at.ins().store(MemFlagsData::trusted(), self.context, frame, 0);
        at.ins().store(MemFlagsData::trusted(), self.base, frame, 8);
        let root = at.ins().iconst(I64, self.nests.number(self.nests.roots[nest]));
        at.ins().store(MemFlagsData::trusted(), root, self.base, self.state);
        let callback = name(at.func, namespace::CALLBACK, (first + nest) as u32);
        let callback = at.func.create_global_value(GlobalValueData::Symbol {
            name: callback,
            offset: 0.into(),
            colocated: false,
            tls: false,
        });
        let signature = at.func.import_signature(signature(4));
        let name = name(at.func, namespace::HELPER, helper::LOOP);
        let bpf_loop = at.func.import_function(ExtFuncData { name, signature, colocated: false, patchable: false });
        let rounds = at.ins().iconst(I64, i64::from(rounds));
        let callback = at.ins().symbol_value(I64, callback);
        let flags = at.ins().iconst(I64, 0);
        at.ins().call(bpf_loop, &[rounds, callback, frame, flags]);
    }
}

fn name(func: &mut Function, namespace: u32, index: u32) -> ExternalName {
    ExternalName::user(func.declare_imported_user_function(UserExternalName { namespace, index }))
}
