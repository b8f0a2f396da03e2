//! Who uses what: which globals are written and read, which parts of statistics are needed, and what a handler may
//! not do on its side of the kernel boundary.

use super::Context;
use super::walk::{handler_mut, stmts_mut};
use crate::hir::{ExprKind, GlobalId, Place, Program, StmtKind, Target, Type};
use crate::host::{Extractor, SortBy};
use crate::intrinsic::{Op, Sides};
use tapster_lang::{Diagnostic, Span};
use tapster_runtime_ebpf::aggregate::{Histogram, Layout};

/// What a handler does with a global.
#[derive(Clone, Copy)]
enum Use {
    Read(GlobalId),
    Write(GlobalId),
    Extract(GlobalId, Extractor),
}

/// Notes reads, writes and extractors of globals, and refuses what a side cannot do.
pub fn usage(program: &mut Program, cx: &mut Context) {
    for nth in 0..program.probes.len() {
        let in_kernel = matches!(program.probes[nth].place, Place::Kernel { .. });
        for used in uses(program, nth) {
            apply(program, used);
        }
        refuse(program, nth, in_kernel, cx);
    }
    for global in &mut program.globals {
        let layout = &mut global.layout;
        // Whether a CPU has a value at all decides what its smallest one means.
        layout.parts.count |= layout.parts.min || layout.parts.max || layout.histogram != Histogram::None;
        if *layout == Layout::default() {
            layout.parts.count = true;
        }
    }
}

/// Notes which globals kernel handlers use, and how many of them write each. Comes last: what became constant does
/// not count.
pub fn note_sides(program: &mut Program) {
    for nth in 0..program.probes.len() {
        if !matches!(program.probes[nth].place, Place::Kernel { .. }) {
            continue;
        }
        let mut written: Vec<GlobalId> = Vec::new();
        for used in uses(program, nth) {
            let (Use::Read(global) | Use::Write(global) | Use::Extract(global, _)) = used;
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
        Use::Extract(global, extractor) => {
            let global = &mut program.globals[global];
            global.read = true;
            let parts = &mut global.layout.parts;
            match extractor {
                Extractor::Count => parts.count = true,
                Extractor::Sum => parts.sum = true,
                Extractor::Min => parts.min = true,
                Extractor::Max => parts.max = true,
                Extractor::Avg => (parts.count, parts.sum) = (true, true),
            }
        }
    }
}

/// All uses of globals in a probe's handler.
fn uses(program: &mut Program, nth: usize) -> Vec<Use> {
    let mut uses = Vec::new();
    let stats: Vec<bool> = program.globals.iter().map(|global| global.value.ty == Type::Stats).collect();
    let handler = &mut program.probes[nth].handler;
    stmts_mut(&mut handler.body, &mut |stmt| match &stmt.kind {
        StmtKind::Foreach(walk) => uses.push(match walk.sort.by {
            SortBy::Value(extractor) if stats[walk.global] => Use::Extract(walk.global, extractor),
            _ => Use::Read(walk.global),
        }),
        StmtKind::Delete(Target::Global(global) | Target::Element(global, _)) => uses.push(Use::Write(*global)),
        _ => {}
    });
    handler_mut(handler, &mut |e| match &e.kind {
        ExprKind::Global(global) | ExprKind::Element(global, _) | ExprKind::In(global, _) => {
            uses.push(Use::Read(*global));
        }
        ExprKind::Stat(extractor, global, _) => uses.push(Use::Extract(*global, *extractor)),
        ExprKind::PrintHistogram(global, ..) => uses.push(Use::Read(*global)),
        ExprKind::Aggregate(global, ..) => uses.push(Use::Write(*global)),
        ExprKind::Assign(target, op, _) => {
            uses.extend(target.global().map(Use::Write));
            uses.extend(op.and(target.global()).map(Use::Read));
        }
        ExprKind::Step(target, ..) => uses.extend(target.global().into_iter().flat_map(|g| [Use::Write(g), Use::Read(g)])),
        _ => {}
    });
    uses
}

impl Target {
    /// The global it belongs to.
    pub fn global(&self) -> Option<GlobalId> {
        match self {
            Target::Local(_) => None,
            Target::Global(global) | Target::Element(global, _) => Some(*global),
        }
    }
}

/// Refuses what this side cannot do, with the reason.
fn refuse(program: &mut Program, nth: usize, in_kernel: bool, cx: &mut Context) {
    let mut found: Vec<(String, Span, &str)> = Vec::new();
    let handler = &mut program.probes[nth].handler;
    stmts_mut(&mut handler.body, &mut |stmt| match &stmt.kind {
        StmtKind::Foreach(_) if in_kernel => found.push(("`foreach`".into(), stmt.span, AT_THE_END)),
        StmtKind::Loop { .. } if in_kernel => found.push(("a loop".into(), stmt.span, AT_THE_END)),
        StmtKind::Delete(_) if in_kernel => found.push(("`delete`".into(), stmt.span, AT_THE_END)),
        _ => {}
    });
    handler_mut(handler, &mut |e| match &e.kind {
        ExprKind::Intrinsic(intrinsic, _) => match intrinsic.sides {
            Sides::User if in_kernel => {
                let help = if intrinsic.op == Op::PrintStack { PRINT_STACK } else { AT_THE_END };
                found.push((format!("{}()", intrinsic.name), e.span, help));
            }
            Sides::Kernel if !in_kernel => found.push((format!("{}()", intrinsic.name), e.span, IN_THE_KERNEL)),
            _ => {}
        },
        ExprKind::Stat(..) | ExprKind::PrintHistogram(..) if in_kernel => {
            found.push(("reading a statistic".into(), e.span, AT_THE_END));
        }
        ExprKind::Element(..) | ExprKind::In(..) if in_kernel => {
            found.push(("reading an array".into(), e.span, AT_THE_END));
        }
        ExprKind::Assign(Target::Element(..), ..) | ExprKind::Step(Target::Element(..), ..) if in_kernel => {
            found.push(("writing an array".into(), e.span, USE_STATISTICS));
        }
        _ => {}
    });
    let (side, other) = if in_kernel { ("in the kernel", "kernel") } else { ("in user space", "user") };
    for (what, span, help) in found {
        let error = Diagnostic::error("check::side", format!("{what} is not supported in {other} handlers"))
            .label(span, format!("this handler runs {side}"));
        cx.report(error.help(help));
    }
}

const AT_THE_END: &str = "this version does it in begin, end and timer probes only";
const USE_STATISTICS: &str = "this version counts in the kernel with statistics: `array[key] <<< value`";
const IN_THE_KERNEL: &str = "it looks at what a kernel probe stopped at";
const PRINT_STACK: &str = "collect backtrace() as a key of a statistic and print it in an end or timer probe";
