//! What bodies do with their variables, before anything is typed.

use crate::hir::walk::parts_mut;
use crate::hir::{Expr, ExprKind, Foreach, Function, GlobalId, Handler, Program, Stmt, StmtKind, Target, Walked};
use crate::host::SortBy;

/// What happens to a variable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Something looks at it; `x++` and `x += 1` do.
    pub read: bool,
    /// Something changes it.
    pub written: bool,
    /// Something looks at it for more than to change it.
    pub wanted: bool,
}

const READ: Access = Access { read: true, written: false, wanted: true };
const WRITTEN: Access = Access { read: false, written: true, wanted: false };

impl Access {
    /// Of `x++`, where `seen` says whether the value goes somewhere.
    fn changed(seen: bool) -> Access {
        Access { read: true, written: true, wanted: seen }
    }

    fn add(&mut self, other: Access) {
        self.read |= other.read;
        self.written |= other.written;
        self.wanted |= other.wanted;
    }
}

/// Whether a condition, an argument or a result wants what `x++` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// It does.
    Exactly,
    /// It does not, unless the value is assigned, printed, a key, or chooses in `? :`: SystemTap decides so what it
    /// displays at the end, and shows `n` of `if (n++ < 3)`.
    AsDisplayed,
}

/// What happens to all variables of a body, and to the globals of several.
#[derive(Debug)]
pub struct Accesses {
    /// By local, of the body that was looked at last.
    pub locals: Vec<Access>,
    /// By global.
    pub globals: Vec<Access>,
    /// Globals in the order in which they are mentioned.
    mentioned: Vec<GlobalId>,
    wants: Wants,
}

impl Accesses {
    /// Nothing yet.
    pub fn new(globals: usize, wants: Wants) -> Accesses {
        Accesses { locals: Vec::new(), globals: vec![Access::default(); globals], mentioned: Vec::new(), wants }
    }

    /// What all bodies of a program do with its globals.
    pub fn of_globals(program: &mut Program, wants: Wants) -> Vec<Access> {
        let mut accesses = Accesses::new(program.globals.len(), wants);
        program.handlers_mut().for_each(|handler| accesses.body(handler));
        accesses.globals
    }

    /// The globals that bodies mention, in SystemTap's order: as probes come to them, then as functions do, by name.
    pub fn mentioned(program: &mut Program) -> Vec<GlobalId> {
        let mut accesses = Accesses::new(program.globals.len(), Wants::AsDisplayed);
        program.probes.iter_mut().for_each(|probe| accesses.body(&mut probe.handler));
        let mut functions: Vec<&mut Function> = program.functions.iter_mut().collect();
        functions.sort_by(|a, b| a.name.cmp(&b.name));
        functions.into_iter().for_each(|function| accesses.body(&mut function.handler));
        accesses.mentioned
    }

    /// Looks at a body.
    pub fn body(&mut self, handler: &mut Handler) {
        self.locals = vec![Access::default(); handler.locals.len()];
        self.stmts(&mut handler.body);
    }

    fn stmts(&mut self, stmts: &mut [Stmt]) {
        stmts.iter_mut().for_each(|stmt| self.stmt(stmt));
    }

    fn stmt(&mut self, stmt: &mut Stmt) {
        let seen = self.wants == Wants::Exactly;
        match &mut stmt.kind {
            StmtKind::Expr(e) => self.expr(e, false),
            StmtKind::Return(Some(e)) => self.expr(e, seen),
            StmtKind::Block(stmts) => self.stmts(stmts),
            StmtKind::If(cond, then, other) => {
                self.expr(cond, seen);
                self.stmt(then);
                other.iter_mut().for_each(|stmt| self.stmt(stmt));
            }
            StmtKind::Loop { cond, step, body } => {
                self.expr(cond, seen);
                step.iter_mut().for_each(|e| self.expr(e, false));
                self.stmt(body);
            }
            StmtKind::Foreach(walk) => self.foreach(walk),
            StmtKind::Delete(target) => self.target(target, Access::changed(true)),
            StmtKind::Try { body, message, catch } => {
                self.stmts(body);
                message.iter().for_each(|local| self.locals[*local].add(WRITTEN));
                self.stmts(catch);
            }
            StmtKind::Break | StmtKind::Continue | StmtKind::Next | StmtKind::Return(None) | StmtKind::Handoff(_) => {}
        }
    }

    fn foreach(&mut self, walk: &mut Foreach) {
        match &mut walk.over {
            Walked::Array(global, slice) => {
                slice.iter_mut().flatten().for_each(|key| self.expr(key, true));
                self.global(*global, READ);
                // A sorted walk leaves the array in that order.
                if walk.sort.by != SortBy::Unsorted {
                    self.global(*global, WRITTEN);
                }
            }
            Walked::Buckets(global, keys) => {
                self.element(*global, keys, READ);
            }
        }
        walk.keys.iter().chain(&walk.value).for_each(|local| self.locals[*local].add(WRITTEN));
        walk.limit.iter_mut().for_each(|limit| self.expr(limit, true));
        self.stmt(&mut walk.body);
    }

    /// `seen` says whether the expression's value goes somewhere.
    fn expr(&mut self, e: &mut Expr, seen: bool) {
        let inner = seen || self.wants == Wants::Exactly;
        match &mut e.kind {
            ExprKind::Local(local) => self.locals[*local].add(READ),
            ExprKind::Global(global) => self.global(*global, READ),
            ExprKind::Element(global, keys) | ExprKind::Stat(_, global, keys) | ExprKind::Histogram(global, keys) => {
                self.element(*global, keys, READ);
            }
            ExprKind::Bucket(global, keys, number) => {
                self.expr(number, true);
                self.element(*global, keys, READ);
            }
            ExprKind::In(global, slice) => self.element(*global, slice.iter_mut().flatten(), READ),
            ExprKind::Aggregate(global, keys, value) => {
                self.element(*global, keys, WRITTEN);
                self.expr(value, true);
            }
            ExprKind::Assign(target, None, value) => {
                self.target(target, WRITTEN);
                self.expr(value, true);
            }
            ExprKind::Assign(target, Some(_), value) => {
                self.target(target, Access::changed(seen));
                self.expr(value, inner);
            }
            ExprKind::Step(target, ..) => self.target(target, Access::changed(seen)),
            ExprKind::Choose(cond, a, b) => {
                self.expr(cond, true);
                self.expr(a, inner);
                self.expr(b, inner);
            }
            ExprKind::Print(_, args) | ExprKind::Format(_, args) => {
                args.iter_mut().for_each(|arg| self.expr(arg, true));
            }
            _ => parts_mut(e, &mut |part| self.expr(part, inner)),
        }
    }

    fn target(&mut self, target: &mut Target, access: Access) {
        match target {
            Target::Local(local) => self.locals[*local].add(access),
            Target::Global(global) => self.global(*global, access),
            Target::Element(global, keys) => self.element(*global, keys, access),
            Target::Slice(global, slice) => self.element(*global, slice.iter_mut().flatten(), access),
        }
    }

    /// An element: its keys are looked at before it is.
    fn element<'e>(&mut self, global: GlobalId, keys: impl IntoIterator<Item = &'e mut Expr>, access: Access) {
        keys.into_iter().for_each(|key| self.expr(key, true));
        self.global(global, access);
    }

    fn global(&mut self, global: GlobalId, access: Access) {
        if self.globals[global] == Access::default() {
            self.mentioned.push(global);
        }
        self.globals[global].add(access);
    }
}
