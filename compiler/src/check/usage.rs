//! Who uses what: which globals are written and read, which parts of statistics are needed.

use crate::hir::reach::reached;
use crate::hir::walk::{handler_mut, stmts_mut};
use crate::hir::{ExprKind, GlobalId, Handler, Place, Program, StmtKind, Target, Type, Walked};
use crate::host::{Extractor, SortBy};
use tapster_runtime_ebpf::aggregate::{Histogram, Layout};

/// What a handler does with a global.
#[derive(Clone, Copy)]
enum Use {
    Read(GlobalId),
    Write(GlobalId),
    Extract(GlobalId, Extractor),
    Walk(GlobalId),
}

/// Notes reads, writes and extractors of globals.
pub fn usage(program: &mut Program) {
    let stats = stats(program);
    let uses: Vec<Use> = program.handlers_mut().flat_map(|handler| uses(handler, &stats)).collect();
    uses.into_iter().for_each(|used| apply(program, used));
    for global in &mut program.globals {
        let layout = &mut global.layout;
        // Whether a CPU has a value at all decides what its smallest one means.
        layout.parts.count |= layout.parts.min || layout.parts.max || layout.histogram != Histogram::None;
        if *layout == Layout::default() {
            layout.parts.count = true;
        }
    }
}

/// Has all statistics keep what their extractors need, whether the script asks or not.
pub fn whole_statistics(program: &mut Program) {
    for global in &mut program.globals {
        let parts = &mut global.layout.parts;
        (parts.count, parts.sum, parts.min, parts.max) = (true, true, true, true);
    }
}

/// Notes which globals kernel handlers use, and how many of them write each. Comes last: what became constant does
/// not count.
pub fn note_sides(program: &mut Program) {
    let stats = stats(program);
    let by_function: Vec<Vec<Use>> =
        program.functions.iter_mut().map(|function| uses(&mut function.handler, &stats)).collect();
    for nth in 0..program.probes.len() {
        if !matches!(program.probes[nth].place, Place::Kernel { .. }) {
            continue;
        }
        let mut written: Vec<GlobalId> = Vec::new();
        let mut all = uses(&mut program.probes[nth].handler, &stats);
        all.extend(reached(program, nth).into_iter().flat_map(|id| by_function[id].iter().copied()));
        for used in all {
            let (Use::Read(global) | Use::Write(global) | Use::Extract(global, _) | Use::Walk(global)) = used;
            program.globals[global].in_kernel = true;
            if matches!(used, Use::Write(_)) && !written.contains(&global) {
                written.push(global);
                program.globals[global].kernel_writers += 1;
            }
        }
    }
}

fn apply(program: &mut Program, used: Use) {
    match used {
        Use::Read(global) => program.globals[global].read = true,
        Use::Write(global) => program.globals[global].written = true,
        Use::Walk(global) => (program.globals[global].read, program.globals[global].walked) = (true, true),
        Use::Extract(global, extractor) => {
            let global = &mut program.globals[global];
            global.read = true;
            let parts = &mut global.layout.parts;
            match extractor {
                Extractor::Count => parts.count = true,
                Extractor::Sum => parts.sum = true,
                Extractor::Min => parts.min = true,
                Extractor::Max => parts.max = true,
                Extractor::Avg | Extractor::Variance => (parts.count, parts.sum) = (true, true),
            }
        }
    }
}

fn stats(program: &Program) -> Vec<bool> {
    program.globals.iter().map(|global| global.value.ty == Type::Stats).collect()
}

/// All uses of globals in a handler; `stats` says which are statistics.
fn uses(handler: &mut Handler, stats: &[bool]) -> Vec<Use> {
    let mut uses = Vec::new();
    stmts_mut(&mut handler.body, &mut |stmt| match &stmt.kind {
        StmtKind::Foreach(walk) => match (&walk.over, walk.sort.by) {
            (Walked::Array(global, _), SortBy::Value(extractor)) if stats[*global] => {
                uses.push(Use::Extract(*global, extractor));
            }
            (Walked::Array(global, _), _) => uses.push(Use::Walk(*global)),
            (Walked::Buckets(global, _), _) => uses.push(Use::Read(*global)),
        },
        StmtKind::Delete(target) => uses.extend(target.global().map(Use::Write)),
        _ => {}
    });
    handler_mut(handler, &mut |e| match &e.kind {
        ExprKind::Global(global) | ExprKind::Element(global, _) | ExprKind::In(global, _) => {
            uses.push(Use::Read(*global));
        }
        ExprKind::Stat(extractor, global, _) => uses.push(Use::Extract(*global, *extractor)),
        ExprKind::Histogram(global, ..) | ExprKind::Bucket(global, ..) => uses.push(Use::Read(*global)),
        ExprKind::Aggregate(global, ..) => uses.push(Use::Write(*global)),
        ExprKind::Assign(target, op, _) => {
            uses.extend(target.global().map(Use::Write));
            uses.extend(op.and(target.global()).map(Use::Read));
        }
        ExprKind::Step(target, ..) => {
            uses.extend(target.global().into_iter().flat_map(|g| [Use::Write(g), Use::Read(g)]))
        }
        _ => {}
    });
    uses
}

impl Target {
    /// The global it belongs to.
    pub fn global(&self) -> Option<GlobalId> {
        match self {
            Target::Local(_) => None,
            Target::Global(global) | Target::Element(global, _) | Target::Slice(global, _) => Some(*global),
        }
    }
}
