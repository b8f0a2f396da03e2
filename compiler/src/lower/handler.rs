//! Statements and variables, the same for both sides.

use super::code::{Addr, Code};
use super::plan::{Plan, text_size};
use super::target::{Raise, Target, Text};
use crate::check::shape::Scope;
use crate::hir::{self, Expr, FunctionId, Handler, Shape, Slot, Stmt, StmtKind, Type};
use crate::image::{KeyKind, KeyPart, Storage, Value as Element};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, Value};
use cranelift_frontend::Variable;
use tapster_lang::Span;
use tapster_runtime_ebpf::record::Fault;

/// So many statements are counted at once in straight code.
const ACTIONS_AT_ONCE: u32 = 10;

/// Where a local variable lives.
#[derive(Clone, Copy, Debug)]
pub enum Home {
    /// A number, or a stack's handle.
    Word(Variable),
    /// A number in memory: there may be more of them than registers.
    Stored(Addr),
    /// A string of at most this many bytes.
    Text(Addr, u32),
}

/// A loop's exits.
pub(super) struct Loop {
    pub(super) next: Block,
    pub(super) done: Block,
}

/// What `return` and `next` mean in a body.
#[derive(Clone, Copy)]
pub(super) enum Exit {
    /// It is a probe's: both leave the handler.
    Handler,
    /// It is a native function: its result goes to an address, its status back.
    Native(Value),
    /// It stands in its caller's code.
    Inline {
        /// Where the caller goes on.
        done: Block,
        /// Where the next overload stands.
        next: Block,
        /// What takes the result.
        result: Home,
    },
}

/// A body under construction: its variables and its ways out.
pub(super) struct Frame<'a> {
    pub(super) locals: &'a [hir::Local],
    pub(super) homes: Vec<Home>,
    pub(super) loops: Vec<Loop>,
    pub(super) exit: Exit,
    /// The function whose body it is.
    pub(super) function: Option<FunctionId>,
}

/// Lowers one handler or function.
pub struct Lowerer<'a, 'f, T> {
    pub(super) code: Code<'f>,
    pub(super) target: T,
    pub(super) plan: &'a Plan,
    pub(super) program: &'a hir::Program,
    pub(super) frame: Frame<'a>,
    /// Whether statements are counted: only what has loops or recursion can exceed MAXACTION.
    counting: bool,
    /// Statements of straight code that are not counted yet.
    actions: u32,
    /// Statements counted so far, of all branches, as long as none can run twice.
    once: Option<u32>,
    /// The block being filled has ended.
    pub(super) ended: bool,
}

impl<'a, 'f, T: Target> Lowerer<'a, 'f, T> {
    /// Starts a body: the variables are zero and empty. `counting` has statements counted.
    pub fn new(
        code: Code<'f>,
        target: T,
        plan: &'a Plan,
        program: &'a hir::Program,
        handler: &'a Handler,
        counting: bool,
    ) -> Self {
        let frame =
            Frame { locals: &handler.locals, homes: vec![], loops: vec![], exit: Exit::Handler, function: None };
        let once = Some(0);
        let mut lowerer = Lowerer { code, target, plan, program, frame, counting, actions: 0, once, ended: false };
        if counting {
            lowerer.target.start_counting(&mut lowerer.code);
        }
        lowerer.frame.homes = lowerer.homes(&handler.locals);
        lowerer
    }

    /// Homes for variables, all zero and empty.
    pub(super) fn homes(&mut self, locals: &[hir::Local]) -> Vec<Home> {
        locals
            .iter()
            .map(|local| if local.hidden { self.stored_home(local.slot) } else { self.home(local.slot) })
            .collect()
    }

    /// As [`Self::home`], but numbers have theirs in memory, too.
    fn stored_home(&mut self, slot: Slot) -> Home {
        if slot.ty == Type::String {
            return self.home(slot);
        }
        let home = self.target.text_home(&mut self.code, 8);
        self.code.store_k(0, home);
        Home::Stored(home)
    }

    pub(super) fn home(&mut self, slot: Slot) -> Home {
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
        self.stmts(body);
        if !self.ended {
            self.target.leave(&mut self.code);
        }
        self.code.finish();
        self.target
    }

    /// What decides how strings are held here.
    pub(super) fn scope(&self) -> Scope<'a> {
        let hir::Program { globals, functions, formats, .. } = self.program;
        Scope { globals, functions, formats, locals: self.frame.locals, max: self.plan.max_string }
    }

    /// Bytes for a string expression, in whole words.
    pub(super) fn size_of(&self, e: &Expr) -> u32 {
        text_size(self.scope().shape(e), self.plan.max_string)
    }

    pub(super) fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            if self.ended {
                // What follows a `next` is never reached, and the verifier refuses such instructions.
                return;
            }
            self.stmt(stmt);
        }
    }

    pub(super) fn stmt(&mut self, stmt: &Stmt) {
        self.code.at(stmt.span);
        // Keys, values and strings that a statement builds end with it; variables were placed before the first one.
        let mark = self.code.mark();
        self.stmt_kind(stmt);
        self.code.release(mark);
    }

    fn stmt_kind(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::Expr(e) => {
                self.effect(e);
                self.count(1, stmt.span, false);
            }
            StmtKind::Block(stmts) => self.stmts(stmts),
            StmtKind::If(cond, then, other) => {
                self.count(1, stmt.span, true);
                self.if_else(cond, then, other.as_deref());
            }
            StmtKind::Loop { cond, step, body } => self.repeat(cond, step.as_ref(), body, stmt.span),
            StmtKind::Foreach(walk) => self.foreach(walk, stmt.span),
            StmtKind::Break => self.leave_loop(stmt.span, |l| l.done),
            StmtKind::Continue => self.leave_loop(stmt.span, |l| l.next),
            StmtKind::Next => {
                self.count(1, stmt.span, true);
                self.next();
            }
            StmtKind::Return(value) => {
                self.count(1, stmt.span, true);
                self.give_back(value.as_ref());
            }
            StmtKind::Delete(target) => {
                self.delete(target);
                self.count(1, stmt.span, false);
            }
            StmtKind::Handoff(number) => self.hand_over(*number),
            StmtKind::Try { body, message, catch } => self.try_catch(body, *message, catch, stmt.span),
        }
    }

    /// Counts statements, and raises an error when the handler has run more than it may. `now` has it done here: what
    /// follows is a loop or a branch.
    pub(super) fn count(&mut self, statements: u32, at: Span, now: bool) {
        if !self.counting || self.ended {
            return;
        }
        self.actions += statements;
        if self.actions == 0 || !now && self.actions < ACTIONS_AT_ONCE {
            return;
        }
        let spent = core::mem::take(&mut self.actions);
        let left = self.target.spend(&mut self.code, spent);
        self.once = self.once.map(|counted| counted + spent);
        if self.once.is_some_and(|counted| self.target.always_has(counted)) {
            return;
        }
        let (over, ok) = (self.code.block(), self.code.block());
        self.code.branch_if(IntCC::SignedLessThanOrEqual, left, 0, over, ok);
        self.to(over);
        self.code.cold(over);
        self.target.raise(&mut self.code, Raise { fault: Fault::MaxAction, detail: None, span: at });
        self.to(ok);
    }

    /// What follows may run more than once.
    pub(super) fn repeats(&mut self) {
        self.once = None;
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
        self.count(0, stmt.span, true);
        if !self.ended {
            self.code.jump(end, &[]);
        }
    }

    /// Goes on in a block.
    pub(super) fn to(&mut self, block: Block) {
        self.code.to(block);
        self.ended = false;
    }

    /// An error inside the body goes to the catch block instead of out of the handler.
    fn try_catch(&mut self, body: &[Stmt], message: Option<hir::LocalId>, catch: &[Stmt], span: Span) {
        self.count(0, span, true);
        let (caught, end) = (self.code.block(), self.code.block());
        let home = message.and_then(|local| match self.frame.homes[local] {
            Home::Text(home, size) => Some((home, size)),
            Home::Word(_) | Home::Stored(_) => None,
        });
        let outer = self.code.catch.replace(super::code::Catch { block: caught, message: home });
        self.stmts(body);
        self.count(0, span, true);
        if !self.ended {
            self.code.jump(end, &[]);
        }
        self.code.catch = outer;
        self.to(caught);
        self.code.cold(caught);
        self.target.caught(&mut self.code, home);
        self.stmts(catch);
        self.count(0, span, true);
        if !self.ended {
            self.code.jump(end, &[]);
        }
        self.to(end);
    }

    fn delete(&mut self, target: &hir::Target) {
        match target {
            hir::Target::Local(local) => match self.frame.homes[*local] {
                Home::Word(variable) => {
                    let zero = self.code.k(0);
                    self.code.b.def_var(variable, zero);
                }
                Home::Text(home, _) | Home::Stored(home) => self.code.store_k(0, home),
            },
            hir::Target::Global(global) => self.delete_global(*global),
            hir::Target::Element(global, keys) => {
                let key = self.key(*global, keys);
                self.target.delete(&mut self.code, *global, key);
            }
            hir::Target::Slice(global, slice) => match self.slice_key(*global, slice) {
                Some((key, mask)) => self.target.delete_slice(&mut self.code, *global, key, mask),
                None => self.target.delete(&mut self.code, *global, None),
            },
        }
    }

    fn delete_global(&mut self, global: hir::GlobalId) {
        match self.plan.globals[global].storage {
            Storage::Long { offset } | Storage::Text { offset, .. } => {
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
        let keys: Vec<Option<&Expr>> = keys.iter().map(Some).collect();
        self.key_of(global, &keys)
    }

    /// Builds the parts of a key that are given, and a bit for each; `None` where none is.
    pub(super) fn slice_key(&mut self, global: hir::GlobalId, slice: &hir::Slice) -> Option<(Addr, u64)> {
        let mask = slice.iter().rev().fold(0, |mask, key| mask << 1 | u64::from(key.is_some()));
        if mask == 0 {
            return None;
        }
        let keys: Vec<Option<&Expr>> = slice.iter().map(Option::as_ref).collect();
        self.key_of(global, &keys).map(|key| (key, mask))
    }

    fn key_of(&mut self, global: hir::GlobalId, keys: &[Option<&Expr>]) -> Option<Addr> {
        let (parts, size): (Vec<KeyPart>, u32) = self.plan.array(global).map(|a| (a.key.clone(), a.key_size))?;
        // Parts are evaluated first: an error in one must not leave a half-written key behind.
        let mut given = self.values(&keys.iter().copied().flatten().collect::<Vec<_>>()).into_iter();
        let slot = self.code.slot(size);
        for (part, key) in parts.iter().zip(keys) {
            let Some(value) = key.and_then(|_| given.next()) else { continue };
            let at = slot.plus(part.offset);
            match part.kind {
                KeyKind::Text(size) => self.target.put_text(&mut self.code, &value.text(), at, size, true),
                KeyKind::Interned => {
                    let handle = self.target.intern(&mut self.code, &value.text(), self.plan.max_string);
                    self.code.store(handle, at);
                }
                KeyKind::Long | KeyKind::Stack => self.code.store(value.word(), at),
            }
        }
        Some(slot)
    }

    /// Reads the element with a key.
    pub(super) fn element_at(&mut self, global: hir::GlobalId, key: Addr) -> Bound {
        let value = self.plan.array(global).map_or(Element::Long, |array| array.value);
        let to = self.element_memory(global);
        self.target.get(&mut self.code, global, key, to);
        match value {
            Element::Text(size) => Bound::Text(Text::At(to, size)),
            Element::Stack => Bound::Stack(self.code.load(I64, to)),
            Element::Long | Element::Aggregate(_) => Bound::Word(self.code.load(I64, to)),
        }
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
    pub(super) fn text(self) -> Text {
        match self {
            Bound::Text(text) => text,
            Bound::Word(word) | Bound::Stack(word) => Text::Stack(word),
        }
    }

    pub(super) fn word(&self) -> Value {
        match self {
            Bound::Word(word) | Bound::Stack(word) | Bound::Text(Text::Stack(word)) => *word,
            Bound::Text(_) => unreachable!("types were checked and shapes joined"),
        }
    }
}
