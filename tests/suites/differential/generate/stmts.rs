//! Statements.

use super::Generator;
use crate::sample::{act, expr, intrinsic_call, long, stmt, text};
use tapster_compiler::hir::{
    Arith, Compare, Expr, ExprKind, Foreach, LocalId, Modify, Stmt, StmtKind, Target, Type, Walked,
};
use tapster_compiler::host::{Sort, SortBy};

/// What a statement can be.
#[derive(Clone, Copy)]
enum Kind {
    Assign,
    AssignText,
    Step,
    Count,
    Print,
    If,
    Loop,
    Delete,
    Call,
    Try,
    Walk,
    Leave,
    Raise,
    Exit,
    Effect,
}

impl Generator {
    /// So many statements.
    pub(super) fn stmts(&mut self, count: usize, depth: usize) -> Vec<Stmt> {
        (0..count).map(|_| self.stmt(depth)).collect()
    }

    /// Values for variables, which would all be zero and empty otherwise.
    pub(super) fn first_values(&mut self) -> Vec<Stmt> {
        let mut stmts = Vec::new();
        for id in 0..self.body.locals.len() {
            if self.rng.chance(60) {
                let ty = self.body.locals[id].slot.ty;
                let value = self.of_type(ty, 0);
                stmts.push(act(expr(ExprKind::Assign(Target::Local(id), None, value.into()), ty)));
            }
        }
        stmts
    }

    fn block(&mut self, count: usize, depth: usize) -> Box<Stmt> {
        let count = 1 + self.rng.below(count);
        Box::new(stmt(StmtKind::Block(self.stmts(count, depth))))
    }

    fn stmt(&mut self, depth: usize) -> Stmt {
        let f = self.features;
        let when = |on: bool, weight: usize| if on { weight } else { 0 };
        let nested = depth > 0;
        let kind = self.rng.weighted(&[
            (22, Kind::Assign),
            (when(f.texts, 14), Kind::AssignText),
            (8, Kind::Step),
            (when(f.stats, 16), Kind::Count),
            (14, Kind::Print),
            (when(nested, 12), Kind::If),
            (when(nested && f.loops && self.body.loops < 2, 9), Kind::Loop),
            (5, Kind::Delete),
            (when(f.functions, 6), Kind::Call),
            (when(nested && f.tries, 12), Kind::Try),
            (when(nested && f.walks && self.body.walks == 0, 10), Kind::Walk),
            (3, Kind::Leave),
            (when(f.tries, 3) + when(f.faults, 1), Kind::Raise),
            (1, Kind::Exit),
            (3, Kind::Effect),
        ]);
        self.stmt_of(kind, depth).unwrap_or_else(|| self.print(1))
    }

    fn stmt_of(&mut self, kind: Kind, depth: usize) -> Option<Stmt> {
        Some(match kind {
            Kind::Assign => act(self.assignment(Type::Long, 3)?),
            Kind::AssignText => act(self.assignment(Type::String, 3)?),
            Kind::Step => act(self.step(2)?),
            Kind::Count => {
                let global = self.some_global(|global| global.value.ty == Type::Stats)?;
                if self.body.walks > 0 {
                    return None;
                }
                self.counted(global, 2)
            }
            Kind::Print => self.print(2),
            Kind::If => {
                let cond = self.long(3);
                let then = self.block(3, depth - 1);
                let other = self.rng.chance(40).then(|| self.block(2, depth - 1));
                stmt(StmtKind::If(cond, then, other))
            }
            Kind::Loop => self.repeat(depth - 1),
            Kind::Delete => self.delete()?,
            Kind::Call => {
                let ty = *self.rng.pick(&[Type::Long, Type::String, Type::Unknown]);
                act(self.call(ty, 2)?)
            }
            Kind::Try => self.attempt(depth - 1),
            Kind::Walk => self.walk(depth - 1)?,
            Kind::Leave => self.leave(),
            Kind::Raise => {
                let message = if self.features.texts { self.text(1) } else { text(ExprKind::Text(b"raised".to_vec())) };
                self.perhaps(act(expr(intrinsic_call("error", vec![message]), Type::Unknown)))
            }
            Kind::Exit => act(expr(intrinsic_call("exit", Vec::new()), Type::Unknown)),
            Kind::Effect => act(self.long(3)),
        })
    }

    fn print(&mut self, depth: usize) -> Stmt {
        let (format, args) = self.format(depth, true);
        act(expr(ExprKind::Print(format, args), Type::Long))
    }

    /// A loop that a variable of its own, or a global, ends.
    fn repeat(&mut self, depth: usize) -> Stmt {
        let counter = match self.scalar(Type::Long) {
            // Anything may write it: a loop that goes on for too long makes the program a bad one.
            Some(global) if self.rng.chance(20) => Target::Global(global),
            _ => Target::Local(self.own_local("i", Type::Long)),
        };
        let value = || match counter {
            Target::Global(id) => long(ExprKind::Global(id)),
            Target::Local(id) => long(ExprKind::Local(id)),
            _ => unreachable!("it was just drawn"),
        };
        let rounds = long(ExprKind::Long(self.rng.below(6) as i64));
        let up = |prefix| long(ExprKind::Step(counter.clone(), 1, prefix));
        self.body.loops += 1;
        let count = 4;
        let mut kinds = match self.rng.below(3) {
            0 => {
                let cond = long(ExprKind::Compare(Compare::Lt, value().into(), rounds.into()));
                let body = self.block(count, depth);
                vec![stmt(StmtKind::Loop { cond, step: Some(up(false)), body })]
            }
            1 => {
                let cond = long(ExprKind::Compare(Compare::Lt, up(false).into(), rounds.into()));
                let body = self.block(count, depth);
                vec![stmt(StmtKind::Loop { cond, step: None, body })]
            }
            _ => {
                let cond = self.long(2);
                let over = long(ExprKind::Compare(Compare::Gt, up(true).into(), rounds.into()));
                let leave = stmt(StmtKind::If(over, Box::new(stmt(StmtKind::Break)), None));
                let mut body = vec![leave];
                body.extend(self.stmts(count, depth));
                vec![stmt(StmtKind::Loop { cond, step: None, body: Box::new(stmt(StmtKind::Block(body))) })]
            }
        };
        self.body.loops -= 1;
        let zero = ExprKind::Assign(counter.clone(), None, long(ExprKind::Long(0)).into());
        kinds.insert(0, act(long(zero)));
        stmt(StmtKind::Block(kinds))
    }

    fn delete(&mut self) -> Option<Stmt> {
        if self.body.walks > 0 {
            return None;
        }
        let arrays = self.features.arrays && self.rng.chance(70);
        let target = if arrays {
            let array = self.some_global(|global| global.is_array())?;
            let keys = self.keys(array, 2);
            let slice: Vec<Option<Expr>> = keys.into_iter().map(|key| (!self.leaves_out()).then_some(key)).collect();
            if slice.iter().all(Option::is_some) {
                Target::Element(array, slice.into_iter().flatten().collect())
            } else {
                Target::Slice(array, slice)
            }
        } else {
            let (arrays, stats) = (self.features.slices, self.features.extractors);
            let fits = |ty| match ty {
                Type::Stats => stats,
                _ => true,
            };
            Target::Global(self.some_global(|global| (arrays || !global.is_array()) && fits(global.value.ty))?)
        };
        Some(stmt(StmtKind::Delete(target)))
    }

    fn attempt(&mut self, depth: usize) -> Stmt {
        let count = 1 + self.rng.below(3);
        let mut body = self.stmts(count, depth);
        if self.rng.chance(50) {
            let (a, b) = (self.long(1), self.long(1));
            let divided = long(ExprKind::Arith(Arith::Div, a.into(), b.into()));
            let at = self.rng.below(body.len() + 1);
            let value = self.some_local(Type::Long, true).expect("every body has numbers");
            body.insert(at, act(long(ExprKind::Assign(Target::Local(value), None, divided.into()))));
        }
        let message = self.rng.chance(60).then(|| self.own_local("m", Type::String));
        let count = 1 + self.rng.below(2);
        let mut catch = self.stmts(count, depth);
        if let Some(message) = message {
            catch.push(self.print_local(message));
        }
        stmt(StmtKind::Try { body, message, catch })
    }

    fn print_local(&mut self, local: LocalId) -> Stmt {
        use tapster_compiler::image::{ArgKind, Conversion, Format, Measure, Piece};
        let ty = self.body.locals[local].slot.ty;
        let (kind, arg) = if ty == Type::String { (b's', ArgKind::Text(0)) } else { (b'd', ArgKind::Long) };
        let conversion = Conversion { flag: None, width: Measure::None, precision: Measure::None, kind, arg };
        let pieces = vec![Piece::Conversion(conversion), Piece::Literal(b"\n".to_vec())];
        self.sample.formats.push(Format { pieces });
        let value = expr(ExprKind::Local(local), ty);
        act(expr(ExprKind::Print(self.sample.formats.len() - 1, vec![value]), Type::Long))
    }

    /// A walk in the order of the only key, which is the same wherever the array lies.
    fn walk(&mut self, depth: usize) -> Option<Stmt> {
        let one_key = |global: &tapster_compiler::hir::Global| {
            global.keys.as_ref().is_some_and(|keys| keys.len() == 1) && global.value.ty != Type::Stats
        };
        let array = self.some_global(one_key)?;
        let key = self.key_types(array)[0];
        let key = self.own_local("k", key);
        let value = self.sample.globals[array].value.ty;
        let value = self.rng.chance(50).then(|| self.own_local("v", value));
        let limit = self.rng.chance(30).then(|| long(ExprKind::Long(self.rng.below(4) as i64)));
        let sort = Sort { by: SortBy::Key(0), descending: self.rng.chance(40) };
        (self.body.loops, self.body.walks) = (self.body.loops + 1, self.body.walks + 1);
        let mut body: Vec<Stmt> = Some(key).into_iter().chain(value).map(|local| self.print_local(local)).collect();
        let count = 1 + self.rng.below(2);
        body.extend(self.stmts(count, depth));
        (self.body.loops, self.body.walks) = (self.body.loops - 1, self.body.walks - 1);
        let body = stmt(StmtKind::Block(body));
        let over = Walked::Array(array, Vec::new());
        let walk = Foreach { over, keys: vec![key], value, sort, limit, body };
        Some(stmt(StmtKind::Foreach(Box::new(walk))))
    }

    /// A way out, mostly under a condition: what follows would never run.
    fn leave(&mut self) -> Stmt {
        let way = match self.rng.below(6) {
            0..=1 if self.body.loops > 0 => StmtKind::Break,
            2..=3 if self.body.loops > 0 => StmtKind::Continue,
            4 if self.body.passes => StmtKind::Next,
            _ => match self.body.result {
                Some(Type::Unknown) => StmtKind::Return(None),
                Some(ty) => StmtKind::Return(Some(self.of_type(ty, 2))),
                None if self.body.passes && self.rng.chance(20) => StmtKind::Next,
                None => return self.modify(),
            },
        };
        self.perhaps(stmt(way))
    }

    /// Mostly under a condition.
    fn perhaps(&mut self, way: Stmt) -> Stmt {
        if self.rng.chance(15) {
            return way;
        }
        let cond = self.long(2);
        stmt(StmtKind::If(cond, Box::new(way), None))
    }

    /// Leaves a function unless its parameter is a small number.
    pub(super) fn ends_unless_few(&mut self) -> Stmt {
        let count = || long(ExprKind::Local(0)).into();
        let few = |op, number| long(ExprKind::Compare(op, count(), long(ExprKind::Long(number)).into()));
        let cond = ExprKind::Or(few(Compare::Lt, 1).into(), few(Compare::Gt, 3).into());
        let result = self.long(1);
        stmt(StmtKind::If(long(cond), Box::new(stmt(StmtKind::Return(Some(result)))), None))
    }

    /// Returns something of what the function gives for one less.
    pub(super) fn calls_itself(&mut self, id: usize) -> Stmt {
        let less = ExprKind::Arith(Arith::Sub, long(ExprKind::Local(0)).into(), long(ExprKind::Long(1)).into());
        let (call, other) = (long(ExprKind::Call(id, vec![long(less)])), self.long(1));
        stmt(StmtKind::Return(Some(long(ExprKind::Arith(Arith::Add, call.into(), other.into())))))
    }

    /// A global that changes by itself: conditions should not stay what they were.
    fn modify(&mut self) -> Stmt {
        let local = self.some_local(Type::Long, true).expect("every body has numbers");
        let by = long(ExprKind::Long(self.rng.number()));
        let op = Modify::Arith(*self.rng.pick(&[Arith::Add, Arith::Xor, Arith::Mul]));
        act(long(ExprKind::Assign(Target::Local(local), Some(op), by.into())))
    }
}
