//! What a handler comes to: only that is printed, and looked at in the end.

use std::collections::BTreeSet;
use tapster_compiler::hir::walk::{handler_mut, stmts_mut};
use tapster_compiler::hir::{ExprKind, Function, FunctionId, GlobalId, Handler, StmtKind, Target, Walked};
use tapster_compiler::host::Extractor;

/// Globals and functions.
#[derive(Debug, Default)]
pub struct Used {
    /// The globals.
    pub globals: BTreeSet<GlobalId>,
    /// The functions, with the overloads that `next` passes to.
    pub functions: BTreeSet<FunctionId>,
    /// Whether it reads a variance.
    pub variance: bool,
}

impl Used {
    /// What a handler comes to, itself or through functions.
    pub fn of(functions: &[Function], handler: &Handler) -> Used {
        let mut used = Used::default();
        used.visit(functions, handler);
        used
    }

    fn visit(&mut self, functions: &[Function], handler: &Handler) {
        // The walks may change what they see, so they get a copy.
        let mut handler = handler.clone();
        stmts_mut(&mut handler.body, &mut |stmt| match &stmt.kind {
            StmtKind::Delete(target) => self.target(target),
            StmtKind::Foreach(walk) => {
                let (Walked::Array(global, _) | Walked::Buckets(global, _)) = walk.over;
                self.globals.insert(global);
            }
            _ => {}
        });
        let mut called = Vec::new();
        handler_mut(&mut handler, &mut |e| match &e.kind {
            ExprKind::Global(global)
            | ExprKind::Element(global, _)
            | ExprKind::In(global, _)
            | ExprKind::Stat(_, global, _)
            | ExprKind::Aggregate(global, ..) => {
                self.variance |= matches!(e.kind, ExprKind::Stat(Extractor::Variance, ..));
                self.globals.insert(*global);
            }
            ExprKind::Assign(target, ..) | ExprKind::Step(target, ..) => self.target(target),
            ExprKind::Call(first, _) => called.push(*first),
            _ => {}
        });
        for first in called {
            let overloads = std::iter::successors(Some(first), |id| functions[*id].next);
            for id in overloads {
                if self.functions.insert(id) {
                    self.visit(functions, &functions[id].handler);
                }
            }
        }
    }

    fn target(&mut self, target: &Target) {
        self.globals.extend(target.global());
    }
}
