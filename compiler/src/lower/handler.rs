//! Handlers: variables, statements and control flow, the same for both sides.

use super::code::{Addr, Code};
use super::plan::{Plan, text_size};
use super::target::{Raise, Target, Text};
use crate::hir::{self, Expr, Foreach, Handler, Shape, Slot, Stmt, StmtKind, Type};
use crate::image::{KeyKind, KeyPart, Value as Element};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use cranelift_frontend::Variable;
use tapster_lang::Span;
use tapster_runtime_ebpf::record::Fault;

/// Where a local variable lives.
#[derive(Clone, Copy, Debug)]
pub enum Home {
    /// A number, or a stack's handle.
    Word(Variable),
    /// A string of at most this many bytes.
    Text(Addr, u32),
}

/// A loop's exits.
struct Loop {
    next: Block,
    done: Block,
}

/// Lowers one handler.
pub struct Lowerer<'a, 'f, T> {
    pub(super) code: Code<'f>,
    pub(super) target: T,
    pub(super) plan: &'a Plan,
    pub(super) globals: &'a [hir::Global],
    pub(super) locals: &'a [hir::Local],
    pub(super) homes: Vec<Home>,
    loops: Vec<Loop>,
    /// Rounds that loops may still make, where the handler has any.
    rounds: Option<Variable>,
    max_action: u32,
    /// The block being filled has ended.
    ended: bool,
}

impl<'a, 'f, T: Target> Lowerer<'a, 'f, T> {
    /// Starts a handler: the variables are zero and empty.
    pub fn new(
        code: Code<'f>,
        target: T,
        plan: &'a Plan,
        globals: &'a [hir::Global],
        handler: &'a Handler,
        max_action: u32,
    ) -> Self {
        let locals = &handler.locals;
        let homes = Vec::with_capacity(locals.len());
        let loops = Vec::new();
        let mut lowerer =
            Lowerer { code, target, plan, globals, locals, homes, loops, rounds: None, max_action, ended: false };
        for local in locals {
            let home = lowerer.home(local.slot);
            lowerer.homes.push(home);
        }
        lowerer
    }

    fn home(&mut self, slot: Slot) -> Home {
        match (slot.ty, slot.shape) {
            (Type::String, Shape::Text(_) | Shape::None) => {
                let size = text_size(slot.shape, self.plan.max_string);
                let home = self.target.text_home(&mut self.code, size);
                self.code.store_k(0, home);
                Home::Text(home, size)
            }
            _ => Home::Word(self.zero_variable()),
        }
    }

    fn zero_variable(&mut self) -> Variable {
        let variable = self.code.b.declare_var(I64);
        let zero = self.code.k(0);
        self.code.b.def_var(variable, zero);
        variable
    }

    /// Lowers the body and ends the function.
    pub fn run(mut self, body: &[Stmt]) -> T {
        if has_loops(body) {
            self.rounds = Some(self.zero_variable());
        }
        self.stmts(body);
        if !self.ended {
            self.target.leave(&mut self.code);
        }
        self.code.finish();
        self.target
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            if self.ended {
                // What follows a `next` is never reached, and the verifier refuses such instructions.
                return;
            }
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &Stmt) {
        self.code.at(stmt.span);
        // Keys, values and strings that a statement builds end with it; variables were placed before the first one.
        let mark = self.code.mark();
        self.stmt_kind(stmt);
        self.code.release(mark);
    }

    fn stmt_kind(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Expr(e) => self.effect(e),
            StmtKind::Block(stmts) => self.stmts(stmts),
            StmtKind::If(cond, then, other) => self.if_else(cond, then, other.as_deref()),
            StmtKind::Loop { cond, step, body } => self.repeat(cond, step.as_ref(), body, stmt.span),
            StmtKind::Foreach(walk) => self.foreach(walk),
            StmtKind::Break => self.leave_loop(|l| l.done),
            StmtKind::Continue => self.leave_loop(|l| l.next),
            StmtKind::Next => {
                self.target.leave(&mut self.code);
                self.ended = true;
            }
            StmtKind::Delete(target) => self.delete(target),
        }
    }

    fn if_else(&mut self, cond: &Expr, then: &Stmt, other: Option<&Stmt>) {
        let (yes, end) = (self.code.block(), self.code.block());
        let no = if other.is_some() { self.code.block() } else { end };
        self.cond(cond, yes, no);
        self.branch_of(yes, then, end);
        if let Some(other) = other {
            self.branch_of(no, other, end);
        }
        self.to(end);
    }

    fn branch_of(&mut self, block: Block, stmt: &Stmt, end: Block) {
        self.to(block);
        self.stmt(stmt);
        if !self.ended {
            self.code.jump(end, &[]);
        }
    }

    /// Goes on in a block.
    pub(super) fn to(&mut self, block: Block) {
        self.code.to(block);
        self.ended = false;
    }

    fn repeat(&mut self, cond: &Expr, step: Option<&Expr>, body: &Stmt, span: Span) {
        let (head, inside, next, done) = (self.code.block(), self.code.block(), self.code.block(), self.code.block());
        self.code.jump(head, &[]);
        self.to(head);
        self.count_round(span);
        self.cond(cond, inside, done);
        self.to(inside);
        self.loops.push(Loop { next, done });
        self.stmt(body);
        self.loops.pop();
        if !self.ended {
            self.code.jump(next, &[]);
        }
        self.to(next);
        if let Some(step) = step {
            self.effect(step);
        }
        self.code.jump(head, &[]);
        self.to(done);
    }

    /// Raises an error when loops have made more rounds than a handler may.
    fn count_round(&mut self, span: Span) {
        let Some(variable) = self.rounds else { return };
        let rounds = self.code.b.use_var(variable);
        let one = self.code.k(1);
        let rounds = self.code.b.ins().iadd(rounds, one);
        self.code.b.def_var(variable, rounds);
        let (over, ok) = (self.code.block(), self.code.block());
        // SystemTap gives handlers that may be interrupted ten times the actions (MAXACTION_INTERRUPTIBLE).
        self.code.branch_if(IntCC::SignedGreaterThan, rounds, 10 * i64::from(self.max_action), over, ok);
        self.to(over);
        self.code.cold(over);
        self.target.raise(&mut self.code, Raise { fault: Fault::MaxAction, detail: None, span });
        self.to(ok);
    }

    fn leave_loop(&mut self, exit: impl Fn(&Loop) -> Block) {
        let block = self.loops.last().map(exit).expect("the checker refuses `break` and `continue` outside loops");
        self.code.jump(block, &[]);
        self.ended = true;
    }

    fn foreach(&mut self, walk: &Foreach) {
        let limit = match &walk.limit {
            Some(limit) => self.long(limit),
            None => self.code.k(-1),
        };
        let handle = self.target.walk_begin(&mut self.code, walk.global, walk.sort, limit);
        let (next, done) = (self.code.block(), self.code.block());
        let (body, key) = self.code.block_with();
        self.code.jump(next, &[]);
        self.to(next);
        let found = self.target.walk_next(&mut self.code, handle);
        self.code.b.ins().brif(found, body, &[found.into()], done, &[]);
        self.to(body);
        self.bind(walk, Addr::at(key));
        self.loops.push(Loop { next, done });
        self.stmt(&walk.body);
        self.loops.pop();
        if !self.ended {
            self.code.jump(next, &[]);
        }
        self.to(done);
        self.target.walk_end(&mut self.code, handle);
    }

    /// Sets the variables of a walk from the key at an address.
    fn bind(&mut self, walk: &Foreach, key: Addr) {
        let Some(array) = self.plan.array(walk.global) else { return };
        let parts: Vec<KeyPart> = array.key.clone();
        for (local, part) in walk.keys.iter().zip(parts) {
            let at = key.plus(part.offset);
            match part.kind {
                KeyKind::Long | KeyKind::Stack => {
                    let word = self.code.load(I64, at);
                    self.set_local(*local, Bound::Word(word));
                }
                KeyKind::Text(size) => self.set_local(*local, Bound::Text(Text::At(at, size))),
                KeyKind::Interned => {
                    let handle = self.code.load(I64, at);
                    let text = self.target.text_of(&mut self.code, handle);
                    self.set_local(*local, Bound::Text(Text::At(text, self.plan.max_string)));
                }
            }
        }
        if let Some(value) = walk.value {
            let bound = self.element_at(walk.global, key);
            self.set_local(value, bound);
        }
    }

    /// Reads the element with a key.
    pub(super) fn element_at(&mut self, global: hir::GlobalId, key: Addr) -> Bound {
        let value = self.plan.array(global).map_or(Element::Long, |array| array.value);
        let to = self.element_memory(value);
        self.target.get(&mut self.code, global, key, to);
        match value {
            Element::Text(size) => Bound::Text(Text::At(to, size)),
            Element::Stack => Bound::Stack(self.code.load(I64, to)),
            Element::Long | Element::Aggregate(_) => Bound::Word(self.code.load(I64, to)),
        }
    }

    /// Assigns a local.
    pub(super) fn set_local(&mut self, local: hir::LocalId, bound: Bound) {
        match (self.homes[local], bound) {
            (Home::Word(variable), Bound::Word(word) | Bound::Stack(word)) => self.code.b.def_var(variable, word),
            (Home::Word(variable), Bound::Text(Text::Stack(word))) => self.code.b.def_var(variable, word),
            (Home::Text(home, size), Bound::Text(text)) => {
                self.target.put_text(&mut self.code, &text, home, size, false);
            }
            (Home::Text(home, size), Bound::Stack(word)) => {
                self.target.put_text(&mut self.code, &Text::Stack(word), home, size, false);
            }
            (Home::Word(_), Bound::Text(_)) | (Home::Text(..), Bound::Word(_)) => {
                unreachable!("types were checked and shapes joined")
            }
        }
    }

    fn delete(&mut self, target: &hir::Target) {
        match target {
            hir::Target::Local(local) => match self.homes[*local] {
                Home::Word(variable) => {
                    let zero = self.code.k(0);
                    self.code.b.def_var(variable, zero);
                }
                Home::Text(home, _) => self.code.store_k(0, home),
            },
            hir::Target::Global(global) => self.delete_global(*global),
            hir::Target::Element(global, keys) => {
                let key = self.key(*global, keys);
                self.target.delete(&mut self.code, *global, key);
            }
        }
    }

    fn delete_global(&mut self, global: hir::GlobalId) {
        match self.plan.globals[global].storage {
            crate::image::Storage::Long { offset } | crate::image::Storage::Text { offset, .. } => {
                let place = self.target.state(&mut self.code, offset);
                self.code.store_k(0, place);
            }
            _ => self.target.delete(&mut self.code, global, None),
        }
    }

    /// Builds the key of an element on the handler's stack; `None` for a scalar.
    pub(super) fn key(&mut self, global: hir::GlobalId, keys: &[Expr]) -> Option<Addr> {
        if keys.is_empty() {
            return None;
        }
        let (parts, size): (Vec<KeyPart>, u32) = self.plan.array(global).map(|a| (a.key.clone(), a.key_size))?;
        // Parts are evaluated first: an error in one must not leave a half-written key behind.
        let values: Vec<Bound> = keys.iter().map(|key| self.bound(key)).collect();
        let slot = self.code.slot(size);
        for (part, value) in parts.iter().zip(values) {
            let at = slot.plus(part.offset);
            match (part.kind, value) {
                (KeyKind::Text(size), value) => {
                    self.target.put_text(&mut self.code, &value.text(), at, size, true);
                }
                (KeyKind::Interned, value) => {
                    let handle = self.target.intern(&mut self.code, &value.text(), self.plan.max_string);
                    self.code.store(handle, at);
                }
                (KeyKind::Long | KeyKind::Stack, value) => {
                    let word = value.word();
                    self.code.store(word, at);
                }
            }
        }
        Some(slot)
    }
}

/// A value of some type.
#[derive(Clone, Debug)]
pub enum Bound {
    /// A number.
    Word(Value),
    /// A stack's handle.
    Stack(Value),
    /// A string.
    Text(Text),
}

impl Bound {
    fn text(self) -> Text {
        match self {
            Bound::Text(text) => text,
            Bound::Word(word) | Bound::Stack(word) => Text::Stack(word),
        }
    }

    fn word(self) -> Value {
        match self {
            Bound::Word(word) | Bound::Stack(word) | Bound::Text(Text::Stack(word)) => word,
            Bound::Text(_) => unreachable!("types were checked and shapes joined"),
        }
    }
}

fn has_loops(stmts: &[Stmt]) -> bool {
    stmts.iter().any(|stmt| match &stmt.kind {
        StmtKind::Loop { .. } => true,
        StmtKind::Block(inner) => has_loops(inner),
        StmtKind::If(_, then, other) => {
            has_loops(core::slice::from_ref(then))
                || other.as_deref().is_some_and(|s| has_loops(core::slice::from_ref(s)))
        }
        StmtKind::Foreach(walk) => has_loops(core::slice::from_ref(&walk.body)),
        _ => false,
    })
}
