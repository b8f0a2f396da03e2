//! Things that several places see, and that a handler is told of once: processes that begin, or that run already.

use super::builder::Builder;
use crate::hir::{Expr, ExprKind, Global, GlobalId, Slot, Stmt, StmtKind, Target, Type};
use crate::probe::Once;
use tapster_lang::Span;

/// What the array is called; a blank keeps it apart from those of scripts.
const SEEN: &str = "seen before";
/// Things that are remembered; the one that was seen longest ago gives way.
const SEEN_MOST: u32 = 1 << 16;

impl Builder<'_, '_> {
    /// Statements that leave the handler where it was told before, and remember that it is told now. `seen` is the array
    /// that the places of one point share.
    pub(super) fn once(&mut self, once: &Once, seen: &mut Option<GlobalId>, span: Span) -> Vec<Stmt> {
        let seen = *seen.get_or_insert_with(|| {
            let keys = Some(vec![Slot::default(); once.key.len()]);
            let sizes = Global { max_entries: SEEN_MOST, sized: true, wrap: true, ..Global::default() };
            self.program.globals.push(Global { name: SEEN.into(), span, keys, keys_from: span, ..sizes });
            self.program.globals.len() - 1
        });
        let long = |kind: ExprKind| Expr { ty: Type::Long, ..Expr::new(kind, span) };
        let stmt = |kind: StmtKind| Stmt { kind, span };
        let parts = once.key.iter().cloned().map(Some).collect();
        let known = long(ExprKind::In(seen, parts));
        let leave = stmt(StmtKind::If(known, Box::new(stmt(StmtKind::Next)), None));
        let one = Box::new(Expr::long(1, span));
        let remember = stmt(StmtKind::Expr(long(ExprKind::Assign(Target::Element(seen, once.key.clone()), None, one))));
        if once.anew { vec![remember] } else { vec![leave, remember] }
    }
}
