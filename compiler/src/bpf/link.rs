//! Puts functions together to a program.
use super::isa::Insn;
use super::{Code, Reloc};

/// An entry function and the subprograms it reaches, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Linked {
    /// The instructions, entry first.
    pub insns: Vec<Insn>,
    /// What the loader fills in, by instruction, ascending: maps only.
    pub map_relocs: Vec<(usize, Reloc)>,
    /// `(first instruction, index of the function)`, ascending.
    pub functions: Vec<(usize, usize)>,
    /// `(instruction, bits of the IR source location)`, ascending. If there are any, each function starts with one, as the
    /// kernel demands; a function without locations of its own gets the entry's.
    pub lines: Vec<(usize, u32)>,
    /// Bytes of stack along the deepest chain of calls. Kernels without private stacks (before 6.13) allow 512.
    pub stack_bytes: u32,
}

/// Links the function at index `entry` of `functions` with what it calls, directly and through callbacks.
///
/// Subprograms nobody reaches are left out: the verifier refuses them.
///
/// # Panics
/// When a function refers to an index that `functions` does not have.
pub fn link(functions: &[Code], entry: usize) -> Linked {
    let order = reach(functions, entry);
    let mut linked = Linked::default();
    let mut starts = vec![usize::MAX; functions.len()];
    for index in &order {
        starts[*index] = linked.insns.len();
        linked.functions.push((linked.insns.len(), *index));
        linked.insns.extend_from_slice(&functions[*index].insns);
    }
    for index in &order {
        for (at, reloc) in &functions[*index].relocs {
            let at = starts[*index] + at;
            match *reloc {
                Reloc::Subprogram(callee) | Reloc::FuncAddr(callee) => {
                    linked.insns[at].imm = (starts[callee] as i64 - at as i64 - 1) as i32;
                }
                Reloc::Map(_) | Reloc::MapValue { .. } => linked.map_relocs.push((at, *reloc)),
            }
        }
    }
    linked.lines = lines(functions, &linked.functions);
    linked.stack_bytes = deepest_stack(functions, &order);
    linked
}

/// The functions reachable from the entry, each once, in the order they are first mentioned.
fn reach(functions: &[Code], entry: usize) -> Vec<usize> {
    let mut seen = vec![false; functions.len()];
    let mut order = vec![entry];
    seen[entry] = true;
    let mut next = 0;
    while let Some(index) = order.get(next) {
        next += 1;
        for callee in callees(&functions[*index]) {
            if !std::mem::replace(&mut seen[callee], true) {
                order.push(callee);
            }
        }
    }
    order
}

fn callees(code: &Code) -> impl Iterator<Item = usize> {
    code.relocs.iter().filter_map(|(_, reloc)| match reloc {
        Reloc::Subprogram(callee) | Reloc::FuncAddr(callee) => Some(*callee),
        Reloc::Map(_) | Reloc::MapValue { .. } => None,
    })
}

fn lines(functions: &[Code], placed: &[(usize, usize)]) -> Vec<(usize, u32)> {
    let first = placed.iter().find_map(|(_, index)| functions[*index].lines.first());
    let Some((_, fallback)) = first else { return vec![] };
    let mut lines = vec![];
    for (start, index) in placed {
        let own = &functions[*index].lines;
        if own.first().is_none_or(|line| line.0 != 0) {
            lines.push((*start, *fallback));
        }
        lines.extend(own.iter().map(|(at, line)| (start + at, *line)));
    }
    lines
}

/// Frames count as the verifier of Linux 6.1 counts them, in steps of 32 bytes; later ones take 16. Recursion, which the verifier
/// refuses, is not followed.
fn deepest_stack(functions: &[Code], order: &[usize]) -> u32 {
    const OPEN: u32 = u32::MAX;
    let mut depth: Vec<Option<u32>> = vec![None; functions.len()];
    let mut open: Vec<usize> = order.first().copied().into_iter().collect();
    while let Some(index) = open.last().copied() {
        if depth[index].is_none() {
            depth[index] = Some(OPEN);
            open.extend(callees(&functions[index]).filter(|callee| depth[*callee].is_none()));
            continue;
        }
        open.pop();
        if depth[index] == Some(OPEN) {
            let below = callees(&functions[index]).filter_map(|callee| depth[callee]).filter(|d| *d != OPEN).max();
            depth[index] = Some(functions[index].stack.max(1).next_multiple_of(32) + below.unwrap_or(0));
        }
    }
    order.first().and_then(|entry| depth[*entry]).unwrap_or(0)
}
