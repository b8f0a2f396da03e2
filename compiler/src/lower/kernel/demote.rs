//! Values that outlive a part of a function, moved to memory: the parts can then become functions of their own.
//!
//! A value is written where it is made and read in every other block that uses it, so that nothing but memory crosses
//! a cut. What costs nothing to make is made again instead.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{Block, BlockCall, Function, Inst, InstBuilder, MemFlagsData, Opcode, Value, ValueDef};
use std::collections::{BTreeSet, HashMap};

/// Where values live from one part to the next.
pub(super) struct Memory<'a> {
    /// The address of the memory.
    pub(super) base: Value,
    /// The program's context. This and the base reach every part by themselves.
    pub(super) context: Value,
    /// Takes eight bytes of the memory: gives their offset.
    pub(super) reserve: &'a mut dyn FnMut() -> u32,
}

/// Moves to memory what is used behind any of the cuts, and what is passed to them. Only jumps may lead to a cut.
pub(super) fn demote(func: &mut Function, cuts: &[Block], memory: &mut Memory) {
    let params = cuts.iter().flat_map(|cut| func.dfg.block_params(*cut).to_vec());
    let crossing: BTreeSet<Value> = live_at(func, cuts, memory).into_iter().chain(params).collect();
    let homes = crossing.into_iter().map(|value| (value, (memory.reserve)() as i32)).collect();
    let mut demoter = Demoter { func, cuts, memory, homes, at_hand: HashMap::new() };
    let blocks: Vec<Block> = demoter.func.layout.blocks().collect();
    blocks.into_iter().for_each(|block| demoter.block(block));
    for cut in cuts {
        func.dfg.detach_block_params(*cut);
    }
}

struct Demoter<'a, 'm> {
    func: &'a mut Function,
    cuts: &'a [Block],
    memory: &'a Memory<'m>,
    /// The offset of each value that is moved.
    homes: HashMap<Value, i32>,
    /// What values are called in the block that is being rewritten.
    at_hand: HashMap<Value, Value>,
}

impl Demoter<'_, '_> {
    fn block(&mut self, block: Block) {
        self.at_hand.clear();
        let insts: Vec<Inst> = self.func.layout.block_insts(block).collect();
        // What is passed to a cut stands in memory when it is reached.
        if !self.cuts.contains(&block) {
            for param in self.func.dfg.block_params(block).to_vec() {
                self.at_hand.insert(param, param);
                self.keep(param, insts[0]);
            }
        }
        for (nth, inst) in insts.iter().enumerate() {
            self.uses(*inst);
            for result in self.func.dfg.inst_results(*inst).to_vec() {
                self.at_hand.insert(result, result);
                self.keep(result, insts[nth + 1]);
            }
        }
        self.passes(insts[insts.len() - 1]);
    }

    /// Writes a value to its home, if it has one.
    fn keep(&mut self, value: Value, before: Inst) {
        if let Some(home) = self.homes.get(&value) {
            let mut cursor = FuncCursor::new(self.func).at_inst(before);
            cursor.use_srcloc(before);
            cursor.ins().store(MemFlagsData::trusted(), value, self.memory.base, *home);
        }
    }

    /// Replaces what an instruction uses of other blocks.
    fn uses(&mut self, inst: Inst) {
        let values: Vec<Value> = self.func.dfg.inst_values(inst).collect();
        for value in values {
            if !self.at_hand.contains_key(&value) {
                let here = self.fetch(value, inst);
                self.at_hand.insert(value, here);
            }
        }
        let at_hand = &self.at_hand;
        self.func.dfg.map_inst_values(inst, |value| at_hand[&value]);
    }

    /// A value of another block.
    fn fetch(&mut self, value: Value, before: Inst) -> Value {
        if let Some(home) = self.homes.get(&value) {
            let ty = self.func.dfg.value_type(value);
            let mut cursor = FuncCursor::new(self.func).at_inst(before);
            cursor.use_srcloc(before);
            return cursor.ins().load(ty, MemFlagsData::trusted(), self.memory.base, *home);
        }
        let ValueDef::Result(def, 0) = self.func.dfg.value_def(value) else { return value };
        if !is_free(self.func, self.memory, value) || value == self.memory.base {
            return value;
        }
        let again = self.func.dfg.clone_inst(def);
        for part in self.func.dfg.inst_args(again).to_vec() {
            let here = self.fetch(part, before);
            self.func.dfg.map_inst_values(again, |value| if value == part { here } else { value });
        }
        let mut cursor = FuncCursor::new(self.func).at_inst(before);
        cursor.insert_inst(again);
        self.func.dfg.first_result(again)
    }

    /// Writes what a jump passes to a cut.
    fn passes(&mut self, jump: Inst) {
        let Some((to, args)) = destination(self.func, jump).filter(|(to, _)| self.cuts.contains(to)) else { return };
        let params = self.func.dfg.block_params(to).to_vec();
        let mut cursor = FuncCursor::new(self.func).at_inst(jump);
        cursor.use_srcloc(jump);
        for (param, arg) in params.iter().zip(args) {
            cursor.ins().store(MemFlagsData::trusted(), arg, self.memory.base, self.homes[param]);
        }
        let dfg = &mut self.func.dfg;
        let plain = BlockCall::new(to, [], &mut dfg.value_lists);
        dfg.insts[jump].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables)[0] = plain;
    }
}

/// Where a jump goes, and what it passes.
fn destination(func: &Function, inst: Inst) -> Option<(Block, Vec<Value>)> {
    let dfg = &func.dfg;
    if dfg.insts[inst].opcode() != Opcode::Jump {
        return None;
    }
    let call = dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables).first()?;
    let args = call.args(&dfg.value_lists).filter_map(|arg| arg.as_value()).collect();
    Some((call.block(&dfg.value_lists), args))
}

/// Whether a value reaches every part by itself, or can be made anew anywhere.
fn is_free(func: &Function, memory: &Memory, value: Value) -> bool {
    if value == memory.base || value == memory.context {
        return true;
    }
    let ValueDef::Result(def, 0) = func.dfg.value_def(value) else { return false };
    match func.dfg.insts[def].opcode() {
        Opcode::Iconst | Opcode::SymbolValue | Opcode::StackAddr => true,
        Opcode::Iadd => func.dfg.inst_args(def).iter().all(|part| is_free(func, memory, *part)),
        _ => false,
    }
}

/// What is used behind the start of any of some blocks, and made before it.
fn live_at(func: &Function, cuts: &[Block], memory: &Memory) -> BTreeSet<Value> {
    let mut live: SecondaryMap<Block, BTreeSet<Value>> = SecondaryMap::new();
    let mut changed = true;
    while changed {
        changed = false;
        let mut block = func.layout.last_block();
        while let Some(here) = block {
            let mut values: BTreeSet<Value> = func.block_successors(here).flat_map(|next| live[next].clone()).collect();
            let mut inst = func.layout.last_inst(here);
            while let Some(at) = inst {
                for result in func.dfg.inst_results(at) {
                    values.remove(result);
                }
                values.extend(func.dfg.inst_values(at).filter(|value| !is_free(func, memory, *value)));
                inst = func.layout.prev_inst(at);
            }
            for param in func.dfg.block_params(here) {
                values.remove(param);
            }
            changed |= values.len() != live[here].len();
            live[here] = values;
            block = func.layout.prev_block(here);
        }
    }
    cuts.iter().flat_map(|cut| live[*cut].clone()).collect()
}
