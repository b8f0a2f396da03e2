//! Numbers.

use super::{Generator, NODES_MAX};
use crate::sample::{act, intrinsic_call, long};
use tapster_compiler::hir::walk::parts_mut;
use tapster_compiler::hir::{Arith, Compare, Expr, ExprKind, FunctionId, GlobalId, Modify, Stmt, Target, Type};
use tapster_compiler::host::Extractor;
use tapster_runtime_ebpf::aggregate::Layout;

const ARITH: &[Arith] = &[
    Arith::Add,
    Arith::Sub,
    Arith::Mul,
    Arith::Div,
    Arith::Mod,
    Arith::And,
    Arith::Or,
    Arith::Xor,
    Arith::Shl,
    Arith::Shr,
];

const COMPARES: &[Compare] = &[Compare::Eq, Compare::Ne, Compare::Lt, Compare::Le, Compare::Gt, Compare::Ge];

const PATTERNS: &[&str] =
    &["a", "^b", "d$", "a+b", "[ab]c*d", "^(ab|cd)", "c.a?", "[^a-c]", "^$", "A|B|C", "b{2}", "..."];

/// What a number can be made of.
#[derive(Clone, Copy)]
enum Kind {
    Arith,
    Unary,
    Compare,
    CompareText,
    Logic,
    Choose,
    Element,
    In,
    Call,
    Assign,
    Step,
    Match,
    Extract,
    Length,
}

impl Generator {
    /// An expression of a type.
    pub(super) fn of_type(&mut self, ty: Type, depth: usize) -> Expr {
        if ty == Type::String { self.text(depth) } else { self.long(depth) }
    }

    /// A number.
    pub(super) fn long(&mut self, depth: usize) -> Expr {
        self.body.nodes += 1;
        if depth == 0 || self.body.nodes > NODES_MAX || self.rng.chance(25) {
            return self.long_leaf();
        }
        let f = self.features;
        let when = |on: bool, weight: usize| if on { weight } else { 0 };
        let kind = self.rng.weighted(&[
            (30, Kind::Arith),
            (8, Kind::Unary),
            (10, Kind::Compare),
            (when(f.texts, 10), Kind::CompareText),
            (8, Kind::Logic),
            (6, Kind::Choose),
            (when(f.arrays, 10), Kind::Element),
            (when(f.arrays, 5), Kind::In),
            (when(f.functions, 8), Kind::Call),
            (when(f.effects, 6), Kind::Assign),
            (when(f.effects, 6), Kind::Step),
            (when(f.regexes, 10), Kind::Match),
            (when(f.extractors, 10), Kind::Extract),
            (when(f.making, 6), Kind::Length),
        ]);
        self.made_of(kind, depth - 1).unwrap_or_else(|| self.long_leaf())
    }

    fn made_of(&mut self, kind: Kind, depth: usize) -> Option<Expr> {
        Some(match kind {
            Kind::Arith => {
                let op = *self.rng.pick(ARITH);
                let (a, b) = (self.long(depth), self.right_operand(op, depth));
                long(ExprKind::Arith(op, a.into(), b.into()))
            }
            Kind::Unary => {
                let a = self.long(depth).into();
                long(match self.rng.below(3) {
                    0 => ExprKind::Neg(a),
                    1 => ExprKind::BitNot(a),
                    _ => ExprKind::Not(a),
                })
            }
            Kind::Compare => {
                let (a, b) = (self.long(depth).into(), self.long(depth).into());
                long(ExprKind::Compare(*self.rng.pick(COMPARES), a, b))
            }
            Kind::CompareText => self.compare_text(depth),
            Kind::Logic => {
                // A right side that is constant decides, and the left one may be left out with its fault.
                let (a, mut b) = (self.long(depth), self.long(depth));
                if is_constant(&mut b) {
                    let id = self.some_local(Type::Long, false)?;
                    b = long(ExprKind::Local(id));
                }
                let (a, b) = (a.into(), b.into());
                long(if self.rng.chance(50) { ExprKind::And(a, b) } else { ExprKind::Or(a, b) })
            }
            Kind::Choose => {
                let (cond, a, b) = (self.long(depth), self.long(depth), self.long(depth));
                long(ExprKind::Choose(cond.into(), a.into(), b.into()))
            }
            Kind::Element => {
                let array = self.array_of(Type::Long)?;
                long(ExprKind::Element(array, self.keys(array, depth)))
            }
            Kind::In => self.is_in(depth)?,
            Kind::Call => self.call(Type::Long, depth)?,
            Kind::Assign => self.assignment(Type::Long, depth)?,
            Kind::Step => self.step(depth)?,
            Kind::Match => {
                let pattern = self.rng.pick(PATTERNS).as_bytes().to_vec();
                self.sample.regexes.push(pattern);
                let subject = self.text(depth);
                long(ExprKind::Match(subject.into(), self.sample.regexes.len() - 1, self.rng.chance(25)))
            }
            Kind::Extract => self.extractor(depth)?,
            Kind::Length => long(intrinsic_call("strlen", vec![self.text(depth)])),
        })
    }

    fn long_leaf(&mut self) -> Expr {
        match self.rng.below(10) {
            0..=3 => long(ExprKind::Long(self.rng.number())),
            4..=6 => self.some_local(Type::Long, false).map_or_else(|| self.constant(), |id| long(ExprKind::Local(id))),
            7 if self.features.facts => {
                let name = *self.rng.pick(&["pid", "tid", "uid", "gid"]);
                long(intrinsic_call(name, Vec::new()))
            }
            _ => self.scalar(Type::Long).map_or_else(|| self.constant(), |id| long(ExprKind::Global(id))),
        }
    }

    fn constant(&mut self) -> Expr {
        long(ExprKind::Long(self.rng.number()))
    }

    /// What stands right of an operator: seldom a zero to divide by, and counts of shifts around those that matter.
    fn right_operand(&mut self, op: Arith, depth: usize) -> Expr {
        match op {
            Arith::Div | Arith::Mod => match self.rng.below(10) {
                0 if self.features.faults => self.long(depth),
                1..=4 => {
                    let divisor = *self.rng.pick(&[1, -1, 2, 3, 7, -7, 10, 64, 1 << 31, i64::MIN, i64::MAX]);
                    long(ExprKind::Long(divisor))
                }
                _ => {
                    let one = long(ExprKind::Long(1));
                    long(ExprKind::Arith(Arith::Or, self.long(depth).into(), one.into()))
                }
            },
            Arith::Shl | Arith::Shr if self.rng.chance(50) => {
                long(ExprKind::Long(*self.rng.pick(&[0, 1, 8, 31, 32, 33, 63, 64, 65, 127, -1, -63])))
            }
            _ => self.long(depth),
        }
    }

    /// Keys for an element, mostly few different ones.
    pub(super) fn keys(&mut self, array: GlobalId, depth: usize) -> Vec<Expr> {
        let types = self.key_types(array);
        types.into_iter().map(|ty| self.key(ty, depth)).collect()
    }

    fn key(&mut self, ty: Type, depth: usize) -> Expr {
        match ty {
            Type::Long if self.rng.chance(55) => long(ExprKind::Long(self.rng.below(4) as i64)),
            Type::String if self.rng.chance(55) => self.word(),
            _ => self.of_type(ty, depth.min(2)),
        }
    }

    fn is_in(&mut self, depth: usize) -> Option<Expr> {
        let array = self.some_global(|global| global.is_array())?;
        let keys = self.keys(array, depth);
        let slice = keys.into_iter().map(|key| (!self.leaves_out()).then_some(key)).collect();
        Some(long(ExprKind::In(array, slice)))
    }

    /// Whether a key of a slice is `*`.
    pub(super) fn leaves_out(&mut self) -> bool {
        self.features.slices && self.rng.chance(40)
    }

    /// A call of a function with this result, where there is one.
    pub(super) fn call(&mut self, ty: Type, depth: usize) -> Option<Expr> {
        if self.body.walks > 0 {
            return None;
        }
        let fitting = |id: &&FunctionId| self.sample.functions[**id].result.ty == ty;
        let ids: Vec<FunctionId> = self.body.callable.iter().filter(fitting).copied().collect();
        if ids.is_empty() {
            return None;
        }
        let id = *self.rng.pick(&ids);
        let function = &self.sample.functions[id];
        let types: Vec<Type> = function.handler.locals[..function.params].iter().map(|local| local.slot.ty).collect();
        let args = types.into_iter().map(|ty| self.of_type(ty, depth)).collect();
        // A copy of its body goes into every caller in the kernel.
        self.body.nodes += 10;
        Some(crate::sample::expr(ExprKind::Call(id, args), ty))
    }

    /// Something that can be written.
    fn target(&mut self, ty: Type, depth: usize) -> Option<Target> {
        match self.rng.below(10) {
            0..=3 => self.some_local(ty, true).map(Target::Local),
            4..=6 => self.scalar(ty).map(Target::Global),
            _ if self.body.walks > 0 => None,
            _ => self.array_of(ty).map(|array| Target::Element(array, self.keys(array, depth))),
        }
    }

    /// `=`, `+=` and their kind; `.=` of strings where they may be made.
    pub(super) fn assignment(&mut self, ty: Type, depth: usize) -> Option<Expr> {
        let target = self.target(ty, depth)?;
        let modify = match ty {
            Type::String if self.features.making && self.rng.chance(35) => Some(Modify::Append),
            Type::Long if self.rng.chance(35) => Some(Modify::Arith(*self.rng.pick(ARITH))),
            _ => None,
        };
        let value = match modify {
            Some(Modify::Arith(op)) => self.right_operand(op, depth),
            _ => self.of_type(ty, depth),
        };
        Some(crate::sample::expr(ExprKind::Assign(target, modify, value.into()), ty))
    }

    /// `++` and `--`.
    pub(super) fn step(&mut self, depth: usize) -> Option<Expr> {
        let target = self.target(Type::Long, depth)?;
        let by = if self.rng.chance(70) { 1 } else { -1 };
        Some(long(ExprKind::Step(target, by, self.rng.chance(50))))
    }

    fn compare_text(&mut self, depth: usize) -> Expr {
        let (op, a, b) = if self.features.comparing {
            (*self.rng.pick(COMPARES), self.text(depth), self.text(depth))
        } else {
            // What the kernel's side has always done: with a literal, by == and !=.
            let (one, other) = (self.text(depth), self.word());
            let op = *self.rng.pick(&COMPARES[..2]);
            if self.rng.chance(50) { (op, one, other) } else { (op, other, one) }
        };
        long(ExprKind::Compare(op, a.into(), b.into()))
    }

    fn extractor(&mut self, depth: usize) -> Option<Expr> {
        let global =
            self.some_global(|global| global.value.ty == Type::Stats && !extractors(global.layout).is_empty())?;
        let extractor = *self.rng.pick(&extractors(self.sample.globals[global].layout));
        let keys = self.keys(global, depth);
        Some(long(ExprKind::Stat(extractor, global, keys)))
    }

    /// A value for a statistic.
    pub(super) fn counted(&mut self, global: GlobalId, depth: usize) -> Stmt {
        let keys = self.keys(global, depth);
        let value =
            if self.rng.chance(50) { long(ExprKind::Long(self.rng.below(40) as i64 - 10)) } else { self.long(depth) };
        act(long(ExprKind::Aggregate(global, keys, value.into())))
    }
}

/// What can be read of a statistic that keeps these parts.
pub fn extractors(layout: Layout) -> Vec<Extractor> {
    let parts = layout.parts;
    let kept = [
        (parts.count, Extractor::Count),
        (parts.sum, Extractor::Sum),
        (parts.min, Extractor::Min),
        (parts.max, Extractor::Max),
        (parts.count && parts.sum, Extractor::Avg),
        (parts.variance.is_some(), Extractor::Variance),
    ];
    kept.into_iter().filter(|(kept, _)| *kept).map(|(_, extractor)| extractor).collect()
}

/// Whether an expression may be seen to have the same value always.
fn is_constant(e: &mut Expr) -> bool {
    match &mut e.kind {
        ExprKind::Long(_) | ExprKind::Text(_) => true,
        // The left side may decide by itself.
        ExprKind::And(a, _) | ExprKind::Or(a, _) => is_constant(a),
        ExprKind::Choose(cond, a, b) => is_constant(cond) && (is_constant(a) || is_constant(b)),
        ExprKind::Neg(_)
        | ExprKind::BitNot(_)
        | ExprKind::Not(_)
        | ExprKind::Arith(..)
        | ExprKind::Compare(..)
        | ExprKind::Concat(..) => {
            let mut constant = true;
            parts_mut(e, &mut |part| constant &= is_constant(part));
            constant
        }
        _ => false,
    }
}
