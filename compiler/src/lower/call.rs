//! Calls of the script's functions: real calls in native code, copies of the body in eBPF, which has neither recursion
//! nor room for frames.

use super::code::Addr;
use super::expr::is_pointer;
use super::handler::{Bound, Exit, Frame, Home, Lowerer};
use super::plan::text_size;
use super::target::{PrintArg, Raise, Target, Text};
use crate::hir::{self, Expr, FunctionId, Shape, Slot, Type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::record::Fault;

/// What a native function gives back.
pub mod status {
    /// Its result stands at the address it was given.
    pub const OK: i64 = 0;
    /// An error is on its way.
    pub const FAILED: i64 = 1;
    /// `next`: the following overload is to be called.
    pub const NEXT: i64 = 2;
    /// `abort()`: every caller returns.
    pub const ABORTED: i64 = 3;
}

impl<'a, T: Target> Lowerer<'a, '_, T> {
    /// Calls a function, and those that `next` passes to; gives its result.
    pub(super) fn call(&mut self, first: FunctionId, args: &[Expr], span: Span) -> Bound {
        // A string that lies in a variable is copied by whoever gets it: arguments are passed by value.
        let mut values = self.values(&args.iter().collect::<Vec<_>>());
        for (value, _) in values.iter_mut().zip(args).filter(|(_, arg)| is_pointer(arg)) {
            *value = Bound::Word(self.target.as_number(&mut self.code, value.word()));
        }
        if self.program.functions[first].passes {
            // What the first overload changes is not what the next one gets.
            values = values.into_iter().zip(args).map(|(value, arg)| self.kept(value, arg)).collect();
        }
        let args = values;
        let slot = self.program.functions[first].result;
        let result = self.result_home(slot);
        let done = self.code.block();
        let mut callee = Some(first);
        while let Some(id) = callee {
            let function = &self.program.functions[id];
            let next = self.code.block();
            if T::IN_KERNEL {
                self.inline(id, &args, result, done, next);
            } else {
                self.native(id, &args, result, done, next, span);
            }
            if !function.passes {
                break;
            }
            self.to(next);
            callee = function.next;
            if callee.is_none() {
                let raise = Raise { fault: Fault::FunctionsExhausted, detail: None, span };
                self.target.raise(&mut self.code, raise);
            }
        }
        self.to(done);
        self.value_of(result, slot)
    }

    /// Memory for a result, zero and empty.
    fn result_home(&mut self, slot: Slot) -> Home {
        match (slot.ty, slot.shape) {
            (Type::String, Shape::Text(_) | Shape::None) => {
                let size = text_size(slot.shape, self.plan.max_string);
                let home = self.target.text_temp(&mut self.code, size);
                self.code.store_k(0, home);
                Home::Text(home, size)
            }
            _ => self.home(Slot { ty: Type::Long, shape: Shape::None }),
        }
    }

    fn value_of(&mut self, home: Home, slot: Slot) -> Bound {
        match home {
            Home::Text(home, size) => Bound::Text(Text::At(home, size)),
            Home::Word(variable) if slot.ty == Type::String => Bound::Stack(self.code.b.use_var(variable)),
            Home::Word(variable) => Bound::Word(self.code.b.use_var(variable)),
            Home::Stored(home) => Bound::Word(self.code.load(I64, home)),
        }
    }

    /// The body, here.
    fn inline(&mut self, id: FunctionId, args: &[Bound], result: Home, done: Block, next: Block) {
        let function: &'a hir::Function = &self.program.functions[id];
        let homes = self.homes(&function.handler.locals);
        for (home, arg) in homes.iter().zip(args) {
            self.set_home(*home, arg.clone());
        }
        let exit = Exit::Inline { done, next, result };
        let frame = Frame { locals: &function.handler.locals, homes, loops: vec![], exit, function: Some(id) };
        let outer = core::mem::replace(&mut self.frame, frame);
        self.stmts(&function.handler.body);
        if !self.ended {
            self.code.jump(done, &[]);
        }
        self.frame = outer;
    }

    /// A call of machine code. The block being filled ends.
    fn native(&mut self, id: FunctionId, args: &[Bound], result: Home, done: Block, next: Block, span: Span) {
        let function: &'a hir::Function = &self.program.functions[id];
        let out = match result {
            Home::Text(home, _) | Home::Stored(home) => home,
            Home::Word(_) => self.code.slot(8),
        };
        let mut words = vec![self.code.pointer(out)];
        for (arg, param) in args.iter().zip(&function.handler.locals) {
            words.push(self.pass(arg, param.slot));
        }
        if function.recursive {
            self.target.enter_call(&mut self.code, self.plan.max_nesting, span);
        }
        let status = self.target.call(&mut self.code, id, &words);
        if function.recursive {
            self.target.leave_call(&mut self.code);
        }
        let (ok, other, failed) = (self.code.block(), self.code.block(), self.code.block());
        self.code.branch_if(IntCC::Equal, status, status::OK, ok, other);
        self.to(other);
        self.code.cold(other);
        if function.passes {
            self.code.branch_if(IntCC::Equal, status, status::NEXT, next, failed);
        } else {
            self.code.jump(failed, &[]);
        }
        self.to(failed);
        self.code.cold(failed);
        self.target.fail(&mut self.code, status);
        self.to(ok);
        if let Home::Word(variable) = result {
            let word = self.code.load(I64, out);
            self.code.b.def_var(variable, word);
        }
        self.code.jump(done, &[]);
    }

    /// An argument as the word that a native function takes.
    fn pass(&mut self, arg: &Bound, param: Slot) -> Value {
        match (param.ty, param.shape, arg) {
            (Type::String, Shape::Stack, arg) => arg.word(),
            (Type::String, shape, arg) => {
                let size = text_size(shape, self.plan.max_string);
                let place = self.target.text_at(&mut self.code, &arg.clone().text(), size);
                self.code.pointer(place)
            }
            (_, _, arg) => arg.word(),
        }
    }

    /// Starts the body of a native function: takes its arguments.
    pub(super) fn enter(&mut self, id: FunctionId, params: &[Value]) {
        let function: &'a hir::Function = &self.program.functions[id];
        self.frame.exit = Exit::Native(params[0]);
        self.frame.function = Some(id);
        for (nth, word) in params[1..].iter().enumerate() {
            let slot = function.handler.locals[nth].slot;
            let bound = match (slot.ty, slot.shape) {
                (Type::String, Shape::Stack) => Bound::Stack(*word),
                (Type::String, shape) => Bound::Text(Text::At(Addr::at(*word), text_size(shape, self.plan.max_string))),
                _ => Bound::Word(*word),
            };
            self.set_local(nth, bound);
        }
        // What falls off the end gives 0 or an empty string.
        self.code.store_k(0, Addr::at(params[0]));
    }

    /// Hands the rest of the handler, or a statement of it, to user space.
    pub(super) fn hand_over(&mut self, number: usize) {
        let handoff = &self.program.handoffs[number];
        let values: Vec<PrintArg> = handoff.captures.iter().map(|local| self.captured(*local)).collect();
        self.target.hand_over(&mut self.code, number, &values);
        if !handoff.aside {
            self.target.handed_on(&mut self.code);
            self.ended = true;
        }
    }

    fn captured(&mut self, local: hir::LocalId) -> PrintArg {
        match self.frame.homes[local] {
            Home::Word(variable) => PrintArg::Long(self.code.b.use_var(variable)),
            Home::Stored(home) => PrintArg::Stored(home),
            Home::Text(home, size) => PrintArg::Text(Text::At(home, size), size),
        }
    }

    /// Takes what the kernel's part of the handler has sent.
    pub(super) fn take_over(&mut self, captures: &[hir::LocalId]) {
        let mut at = self.target.handed_over(&mut self.code);
        for local in captures {
            let (bound, size) = match self.frame.homes[*local] {
                Home::Word(_) | Home::Stored(_) => (Bound::Word(self.code.load(I64, at)), 8),
                Home::Text(_, size) => (Bound::Text(Text::At(at, size)), size),
            };
            self.set_local(*local, bound);
            at = at.plus(size);
        }
    }

    /// `next`
    pub(super) fn next(&mut self) {
        match self.frame.exit {
            Exit::Handler => self.target.leave(&mut self.code),
            Exit::Native(_) => self.code.ret(status::NEXT),
            Exit::Inline { next, .. } => self.code.jump(next, &[]),
        }
        self.ended = true;
    }

    /// `return`
    pub(super) fn give_back(&mut self, value: Option<&Expr>) {
        let value = value.map(|value| self.assigned(value));
        match (self.frame.exit, value) {
            (Exit::Handler, _) => self.target.leave(&mut self.code),
            (Exit::Native(out), value) => {
                let slot = self.frame.function.map_or(Slot::default(), |id| self.program.functions[id].result);
                if let Some(value) = value {
                    self.put_result(Addr::at(out), slot, value);
                }
                self.code.ret(status::OK);
            }
            (Exit::Inline { done, result, .. }, value) => {
                if let Some(value) = value {
                    self.set_home(result, value);
                }
                self.code.jump(done, &[]);
            }
        }
        self.ended = true;
    }

    fn put_result(&mut self, out: Addr, slot: Slot, value: Bound) {
        match (slot.ty, slot.shape) {
            (Type::String, Shape::Text(_) | Shape::None) => {
                let size = text_size(slot.shape, self.plan.max_string);
                self.target.put_text(&mut self.code, &value.text(), out, size, false);
            }
            _ => self.code.store(value.word(), out),
        }
    }
}
