//! Working memory: one value of a map of the program's own, on each CPU.
//!
//! Programs nest on one CPU, so each has its own; a program does not nest in itself: the kernel or [`super::enter`] sees
//! to it. Nothing shares a place here but what is over before the next begins.

use super::outline::{Looping, outline};
use super::{Kernel, demote, rounds};
use crate::image::{Map, MapKind, MapRole};
use crate::lower::code::{Addr, Code};
use crate::lower::target::Target;
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, Function, Value};

/// Rounds of loops beyond MAXACTION: those in which the error is on its way out of `catch` blocks.
const SPARE_ROUNDS: u32 = 64;
/// Rounds that the kernel accepts: `BPF_MAX_LOOPS` of kernel/bpf/bpf_iter.c.
const MOST_ROUNDS: u32 = 1 << 23;

/// The working memory of one program.
#[derive(Default)]
pub(super) struct Scratch {
    /// The place of its map, were there one.
    map: usize,
    size: u32,
    /// Bytes behind everything else, for the verifier alone: no program writes there.
    room: u32,
    /// Where the memory's address was found: what comes after such a block on every way can use it.
    found: Vec<(Block, Value)>,
    /// The block that asked last, with its answer.
    last: Option<(Block, Value)>,
}

impl Scratch {
    /// None yet; `map` is the place of its map.
    pub(super) fn new(map: usize) -> Scratch {
        Scratch { map, ..Scratch::default() }
    }

    fn reserve(&mut self, bytes: u32) -> u32 {
        let offset = self.size;
        self.size += bytes.next_multiple_of(8);
        offset
    }

    /// Strings of this size are written from anywhere in their place on.
    pub(super) fn make_room(&mut self, size: u32) {
        self.room = self.room.max(size);
    }
}

impl Kernel<'_> {
    /// The map of working memory that the handler turned out to need.
    pub fn scratch(&self) -> Option<Map> {
        let used = self.scratch.size > 0 || !self.scratch.found.is_empty();
        used.then(|| Map {
            name: format!("scratch{}", self.program.probe),
            kind: MapKind::PercpuArray,
            key_size: 4,
            value_size: (self.scratch.size + self.scratch.room.next_multiple_of(8)).max(8),
            max_entries: 1,
            mmapable: false,
            role: MapRole::Scratch,
        })
    }

    /// Reserves working memory: gives its offset.
    pub(super) fn reserve(&mut self, bytes: u32) -> u32 {
        self.scratch.reserve(bytes)
    }

    /// Working memory at an offset.
    pub(super) fn scratch_at(&mut self, code: &mut Code, offset: u32) -> Addr {
        Addr::at(self.scratch_base(code)).plus(offset)
    }

    /// The address of working memory: found once on every way that needs it.
    pub(super) fn scratch_base(&mut self, code: &mut Code) -> Value {
        if let Some(base) = self.known_base(code) {
            return base;
        }
        let base = self.only_value(code, self.scratch.map);
        let found = code.b.current_block().map(|block| (block, base));
        self.scratch.found.extend(found);
        self.scratch.last = found;
        base
    }

    /// The address, if it was found on every way here.
    fn known_base(&mut self, code: &mut Code) -> Option<Value> {
        let here = code.b.current_block()?;
        if self.scratch.last.is_none_or(|(block, _)| block != here) {
            let cfg = ControlFlowGraph::with_function(code.b.func);
            let dominators = DominatorTree::with_function(code.b.func, &cfg);
            let mut found = self.scratch.found.iter();
            let (_, base) = found.find(|(block, _)| dominators.block_dominates(*block, here))?;
            self.scratch.last = Some((here, *base));
        }
        self.scratch.last.map(|(_, base)| base)
    }

    /// The only value of an array map. The handler is left where there is none, which does not happen.
    pub(super) fn only_value(&mut self, code: &mut Code, map: usize) -> Value {
        let mark = code.mark();
        let key = code.slot(8);
        code.store_k(0, key);
        let value = self.lookup(code, map, key);
        code.release(mark);
        let (missing, there) = (code.block(), code.block());
        code.branch_if(IntCC::Equal, value, 0, missing, there);
        code.to(missing);
        code.cold(missing);
        self.leave(code);
        code.to(there);
        value
    }

    /// Makes functions of the handler's loops where they cannot stay: gives all callbacks of the handler, by number.
    pub fn outline(&mut self, func: &mut Function) -> Vec<Function> {
        let mut callbacks = core::mem::take(&mut self.callbacks.functions);
        if self.program.loops_stay {
            rounds::hide_numbers(func, &self.counted);
            return callbacks;
        }
        // Whoever counts statements has asked for it at the handler's start.
        if let Some((_, base)) = self.scratch.found.first().copied().filter(|_| !self.counted.is_empty()) {
            let scratch = &mut self.scratch;
            let memory = demote::Memory { base, context: self.context, reserve: &mut || scratch.reserve(8) };
            let rounds = self.program.max_action.saturating_add(SPARE_ROUNDS).min(MOST_ROUNDS);
            let first = callbacks.len();
            let own = self.callbacks.frame;
            callbacks.extend(outline(func, Looping { memory, counted: &self.counted, rounds, first, own }));
        }
        callbacks
    }
}
