//! What handlers of packets cannot do: their programs have no stack to look at.

use super::context::Context;
use crate::hir::walk::handler_mut;
use crate::hir::{ExprKind, Handler, Place, Program, reach};
use crate::image::Attach;
use crate::intrinsic::{Memory, Op};
use tapster_lang::{Diagnostic, Span};

/// Refuses stacks in handlers at netfilter's hooks.
pub(super) fn packets(program: &mut Program, cx: &mut Context) {
    for nth in 0..program.probes.len() {
        if !matches!(program.probes[nth].place, Place::Kernel { attach: Attach::Netfilter(_), .. }) {
            continue;
        }
        let called = reach::reached(program, nth);
        let functions = called.into_iter().filter_map(|id| stack(&mut program.functions[id].handler)).next();
        if let Some(at) = stack(&mut program.probes[nth].handler).or(functions) {
            let error = Diagnostic::error("check::unsupported", "the kernel gives handlers of packets no stacks");
            let help = "kernel.trace(\"net_dev_queue\") sees packets leave, with the stack of who sends";
            cx.report(error.label(at, "not at netfilter's hooks").help(help));
        }
    }
}

/// Where a body asks for a stack.
fn stack(handler: &mut Handler) -> Option<Span> {
    let mut found = None;
    handler_mut(handler, &mut |e| {
        if matches!(&e.kind, ExprKind::Intrinsic(intrinsic, _)
            if matches!(intrinsic.op, Op::Backtrace(Memory::Kernel | Memory::User) | Op::PrintStack))
        {
            found.get_or_insert(e.span);
        }
    });
    found
}
