//! Loops that stand in the program as they are, each round of them behind `may_goto` (Linux 6.9).
//!
//! The verifier walks such a loop until a round teaches it nothing new. What it knows to be a constant it would follow
//! from one number to the next, through all rounds, and through all combinations of what branches assign; so numbers
//! that outlive a round are hidden from it, behind a zero that it reads from memory.

use super::namespace;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExternalName, Function, GlobalValueData, Inst, InstBuilder, MemFlagsData, Opcode,
    UserExternalName, Value, ValueDef,
};
use cranelift_codegen::loop_analysis::LoopAnalysis;
use tapster_runtime_ebpf::state;

/// Hides what goes from round to round; in every loop of the script is one of the blocks.
pub(super) fn hide_numbers(func: &mut Function, counted: &[Block]) {
    func.dfg.resolve_all_aliases();
    for ways in loops(func, counted) {
        let zero = unknown_zero(&mut FuncCursor::new(func).at_inst(ways.enter));
        for nth in 0..func.dfg.block_params(ways.head).len() {
            let kept_unknown = ways.again.iter().all(|jump| {
                let again = passed(func, *jump, ways.head)[nth];
                is_unknown(func, again, ways.head, DEPTH)
            });
            if kept_unknown { hide_start(func, &ways, nth, zero) } else { hide_always(func, ways.head, nth, zero) }
        }
    }
}

/// How far back it is looked where a number comes from.
const DEPTH: u32 = 8;

/// A loop, and the branches that lead to its head.
struct Ways {
    head: Block,
    enter: Inst,
    again: Vec<Inst>,
}

fn loops(func: &Function, counted: &[Block]) -> Vec<Ways> {
    let cfg = ControlFlowGraph::with_function(func);
    let dominators = DominatorTree::with_function(func, &cfg);
    let mut loops = LoopAnalysis::new();
    loops.compute(func, &cfg, &dominators);
    let script = loops.loops().filter(|l| counted.iter().any(|block| loops.is_in_loop(*block, *l)));
    let ways = script.map(|l| {
        let head = loops.loop_header(l);
        let (inside, outside): (Vec<_>, Vec<_>) = cfg.pred_iter(head).partition(|way| loops.is_in_loop(way.block, l));
        let enter = outside.first().expect("a loop is entered").inst;
        Ways { head, enter, again: inside.iter().map(|way| way.inst).collect() }
    });
    ways.collect()
}

/// What a branch passes to a block.
fn passed(func: &Function, branch: Inst, to: Block) -> Vec<Value> {
    let dfg = &func.dfg;
    let ways = dfg.insts[branch].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
    let way = ways.iter().find(|way| way.block(&dfg.value_lists) == to).expect("it leads there");
    way.args(&dfg.value_lists).filter_map(|arg| arg.as_value()).collect()
}

/// Whether the verifier knows nothing of a value, as it is calculated from what it knows nothing of.
fn is_unknown(func: &Function, value: Value, head: Block, depth: u32) -> bool {
    match func.dfg.value_def(value) {
        ValueDef::Param(block, _) => block == head,
        ValueDef::Result(inst, _) if depth > 0 => match func.dfg.insts[inst].opcode() {
            Opcode::Iadd | Opcode::Isub | Opcode::Bxor => {
                func.dfg.inst_args(inst).iter().any(|arg| is_unknown(func, *arg, head, depth - 1))
            }
            _ => false,
        },
        _ => false,
    }
}

/// Hides a number where the loop is entered.
fn hide_start(func: &mut Function, ways: &Ways, nth: usize, zero: Value) {
    let mut args = passed(func, ways.enter, ways.head);
    let mut at = FuncCursor::new(func).at_inst(ways.enter);
    at.use_srcloc(ways.enter);
    args[nth] = at.ins().iadd(zero, args[nth]);
    let dfg = &mut func.dfg;
    let args: Vec<BlockArg> = args.into_iter().map(BlockArg::from).collect();
    let call = BlockCall::new(ways.head, args, &mut dfg.value_lists);
    let destinations = dfg.insts[ways.enter].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
    let way = destinations.iter_mut().find(|way| way.block(&dfg.value_lists) == ways.head);
    *way.expect("it leads there") = call;
}

/// Hides a number at the start of each round.
fn hide_always(func: &mut Function, head: Block, nth: usize, zero: Value) {
    let known = func.dfg.block_params(head)[nth];
    let first = func.layout.first_inst(head).expect("a head has code");
    let mut at = FuncCursor::new(func).at_inst(first);
    at.use_srcloc(first);
    let hidden = at.ins().iadd(zero, known);
    let hides = func.dfg.value_def(hidden).unwrap_inst();
    let insts: Vec<Inst> = func.layout.blocks().flat_map(|block| func.layout.block_insts(block)).collect();
    for inst in insts.into_iter().filter(|inst| *inst != hides) {
        func.dfg.map_inst_values(inst, |value| if value == known { hidden } else { value });
    }
}

fn unknown_zero(at: &mut FuncCursor) -> Value {
    let name = UserExternalName { namespace: namespace::STATE, index: state::ZERO };
    let name = ExternalName::user(at.func.declare_imported_user_function(name));
    let place = GlobalValueData::Symbol { name, offset: 0.into(), colocated: false, tls: false };
    let place = at.func.create_global_value(place);
    let place = at.ins().symbol_value(I64, place);
    at.ins().load(I64, MemFlagsData::trusted(), place, 0)
}
