//! Strings.

use super::{Generator, NODES_MAX};
use crate::sample::{intrinsic_call, text};
use tapster_compiler::hir::{Expr, ExprKind, Type};

/// What a string can be made of.
#[derive(Clone, Copy)]
enum Kind {
    Choose,
    Element,
    Call,
    Assign,
    Concat,
    Format,
}

impl Generator {
    /// A string.
    pub(super) fn text(&mut self, depth: usize) -> Expr {
        self.body.nodes += 1;
        if depth == 0 || self.body.nodes > NODES_MAX || self.rng.chance(40) {
            return self.text_leaf();
        }
        let f = self.features;
        let when = |on: bool, weight: usize| if on { weight } else { 0 };
        let kind = self.rng.weighted(&[
            (8, Kind::Choose),
            (when(f.arrays, 10), Kind::Element),
            (when(f.functions, 10), Kind::Call),
            (when(f.effects, 10), Kind::Assign),
            (when(f.making, 25), Kind::Concat),
            (when(f.making, 12), Kind::Format),
        ]);
        self.text_of(kind, depth - 1).unwrap_or_else(|| self.text_leaf())
    }

    fn text_of(&mut self, kind: Kind, depth: usize) -> Option<Expr> {
        Some(match kind {
            Kind::Choose => {
                let (cond, a, b) = (self.long(depth), self.text(depth), self.text(depth));
                text(ExprKind::Choose(cond.into(), a.into(), b.into()))
            }
            Kind::Element => {
                let array = self.array_of(Type::String)?;
                text(ExprKind::Element(array, self.keys(array, depth)))
            }
            Kind::Call => self.call(Type::String, depth)?,
            Kind::Assign => self.assignment(Type::String, depth)?,
            Kind::Concat => {
                let (a, b) = (self.text(depth), self.text(depth));
                text(ExprKind::Concat(a.into(), b.into()))
            }
            Kind::Format => {
                let (format, args) = self.format(depth, false);
                text(ExprKind::Format(format, args))
            }
        })
    }

    fn text_leaf(&mut self) -> Expr {
        match self.rng.below(10) {
            0..=3 => self.word(),
            4..=6 => self.some_local(Type::String, false).map_or_else(|| self.word(), |id| text(ExprKind::Local(id))),
            7 if self.features.facts => {
                let name = *self.rng.pick(&["execname", "execname", "pp", "pn"]);
                text(intrinsic_call(name, Vec::new()))
            }
            _ => self.scalar(Type::String).map_or_else(|| self.word(), |id| text(ExprKind::Global(id))),
        }
    }

    /// A literal.
    pub(super) fn word(&mut self) -> Expr {
        text(ExprKind::Text(self.rng.pick(&self.words).clone()))
    }
}
