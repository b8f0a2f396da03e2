//! Strings, and what prints them.

use super::code::Addr;
use super::handler::{Bound, Home, Lowerer};
use super::plan::text_size;
use super::target::{Foreign, PrintArg, Target, Text};
use crate::hir::{self, Expr, ExprKind, Modify, Shape};
use crate::host::LibraryFn;
use crate::image::Storage;
use crate::intrinsic::{Intrinsic, Op};
use cranelift_codegen::ir::{InstBuilder, Value};
use tapster_lang::Span;

impl<T: Target> Lowerer<'_, '_, T> {
    /// A string.
    pub(super) fn text(&mut self, e: &Expr) -> Text {
        match &e.kind {
            // What is folded into one literal is cut as what is put together at run time.
            ExprKind::Text(bytes) => {
                Text::Literal(bytes[..bytes.len().min(self.plan.max_string as usize - 1)].to_vec())
            }
            ExprKind::Local(local) => match self.frame.homes[*local] {
                Home::Text(home, size) => Text::At(home, size),
                Home::Word(variable) => Text::Stack(self.code.b.use_var(variable)),
                Home::Stored(_) => unreachable!("types were checked"),
            },
            ExprKind::Global(global) => self.global_text(*global),
            ExprKind::Element(global, keys) => match self.element(*global, keys) {
                Bound::Text(text) => text,
                Bound::Word(word) | Bound::Stack(word) => Text::Stack(word),
            },
            ExprKind::Intrinsic(intrinsic, args) => self.intrinsic_text(e, intrinsic, args),
            ExprKind::Call(..) => self.bound(e).text(),
            ExprKind::Choose(cond, a, b) => self.choose_text(e, cond, a, b),
            ExprKind::Concat(..) => {
                let (size, mut parts) = (self.size_of(e), Vec::new());
                flatten(e, &mut parts);
                let home = self.target.text_temp(&mut self.code, size);
                for (nth, part) in parts.into_iter().enumerate() {
                    let text = self.text(part);
                    match nth {
                        0 => self.target.put_text(&mut self.code, &text, home, size, false),
                        _ => self.target.append_text(&mut self.code, home, size, &text),
                    }
                }
                Text::At(home, size)
            }
            ExprKind::Format(format, args) => {
                let size = self.size_of(e);
                let args = self.print_args(args);
                let home = self.target.text_temp(&mut self.code, size);
                self.target.format_text(&mut self.code, *format, &args, (home, size));
                Text::At(home, size)
            }
            ExprKind::Histogram(global, keys) => {
                let key = self.key(*global, keys);
                let size = self.plan.max_string;
                let home = self.target.text_temp(&mut self.code, size);
                self.target.histogram_text(&mut self.code, *global, key, (home, size), e.at);
                Text::At(home, size)
            }
            ExprKind::Assign(target, Some(Modify::Append), value) => self.append(target, value, e.span),
            ExprKind::Assign(target, _, value) => {
                let place = self.place(target);
                let value = self.bound(value);
                self.store(place, value.clone(), e.span);
                value.text()
            }
            _ => unreachable!("types were checked"),
        }
    }

    fn global_text(&mut self, global: hir::GlobalId) -> Text {
        match self.plan.globals[global].storage {
            Storage::Text { offset, size } => Text::At(self.target.state(&mut self.code, offset), size),
            Storage::Long { .. } => Text::Stack(self.global_word(global)),
            _ => Text::Literal(Vec::new()),
        }
    }

    fn choose_text(&mut self, e: &Expr, cond: &Expr, a: &Expr, b: &Expr) -> Text {
        let shape = self.scope().shape(e);
        if shape == Shape::Stack {
            let (yes, no) = (self.code.block(), self.code.block());
            let (done, result) = self.code.block_with();
            self.cond(cond, yes, no);
            for (block, e) in [(yes, a), (no, b)] {
                self.to(block);
                let Bound::Stack(handle) = self.bound(e) else { unreachable!("shapes were joined") };
                self.code.jump(done, &[handle]);
            }
            self.to(done);
            return Text::Stack(result);
        }
        let size = text_size(shape, self.plan.max_string);
        let home = self.target.text_temp(&mut self.code, size);
        let (yes, no, done) = (self.code.block(), self.code.block(), self.code.block());
        self.cond(cond, yes, no);
        for (block, e) in [(yes, a), (no, b)] {
            self.to(block);
            let text = self.text(e);
            self.target.put_text(&mut self.code, &text, home, size, false);
            self.code.jump(done, &[]);
        }
        self.to(done);
        Text::At(home, size)
    }

    pub(super) fn intrinsic_word(&mut self, intrinsic: &Intrinsic, args: &[Expr], at: Span) -> Value {
        match intrinsic.op {
            Op::Fact(fact, divisor) => {
                let value = self.target.fact(&mut self.code, fact);
                if divisor == 1 { value } else { self.code.b.ins().udiv_imm_u(value, divisor) }
            }
            Op::Library(function) => {
                let args = self.library_args(args);
                self.target.library(&mut self.code, function, &args, None, at)
            }
            Op::ReadNumber(memory, size, signed, fault) => {
                let address = Addr::at(self.long(&args[0]));
                self.target.read(&mut self.code, memory, address, (size, signed), (fault, at))
            }
            Op::Peek(memory, size, otherwise) => {
                let address = Addr::at(self.long(&args[0]));
                self.target.peek(&mut self.code, memory, address, size, otherwise)
            }
            Op::Execname | Op::ReadText(_) | Op::PeekText(_) | Op::Backtrace(_) | Op::Point(_) | Op::Known(_) => {
                unreachable!("types were checked")
            }
            Op::PrintStack | Op::Exit | Op::Abort | Op::Error | Op::Signal => {
                self.act(intrinsic, args, at);
                self.code.k(0)
            }
        }
    }

    fn intrinsic_text(&mut self, e: &Expr, intrinsic: &Intrinsic, args: &[Expr]) -> Text {
        match intrinsic.op {
            Op::Execname => Text::Execname,
            Op::Backtrace(memory) => Text::Stack(self.target.backtrace(&mut self.code, memory)),
            Op::ReadText(memory) | Op::PeekText(memory) => {
                let may_fail = matches!(intrinsic.op, Op::PeekText(_));
                let address = self.long(&args[0]);
                let most = args.get(1).map(|most| self.long(most));
                Text::Foreign(Foreign { memory, address, most, span: e.at, may_fail })
            }
            Op::Point(point) => self.target.point(&mut self.code, point),
            Op::Library(function) => {
                let size = self.size_of(e);
                let args = self.library_args(args);
                let home = self.target.text_temp(&mut self.code, size);
                self.target.library(&mut self.code, function, &args, Some((home, size)), e.at);
                Text::At(home, size)
            }
            Op::Fact(..)
            | Op::ReadNumber(..)
            | Op::Peek(..)
            | Op::PrintStack
            | Op::Exit
            | Op::Abort
            | Op::Error
            | Op::Signal
            | Op::Known(_) => {
                unreachable!("types were checked")
            }
        }
    }

    /// A function without result.
    pub(super) fn act(&mut self, intrinsic: &Intrinsic, args: &[Expr], at: Span) {
        match intrinsic.op {
            Op::Exit => self.target.exit(&mut self.code),
            Op::Abort => {
                self.target.abort(&mut self.code);
                self.after_leaving();
            }
            Op::Error => {
                let message = self.text(&args[0]);
                let size = self.size_of(&args[0]);
                self.target.raise_text(&mut self.code, &message, size);
                self.after_leaving();
            }
            Op::Signal => {
                let number = self.long(&args[0]);
                self.target.signal(&mut self.code, number);
            }
            Op::PrintStack => match self.text(&args[0]) {
                Text::Stack(handle) => self.target.print_stack(&mut self.code, handle),
                text => {
                    let addresses = [PrintArg::Text(text, self.size_of(&args[0]))];
                    self.target.library(&mut self.code, LibraryFn::print_syms, &addresses, None, at);
                }
            },
            Op::Library(function) => {
                let args = self.library_args(args);
                self.target.library(&mut self.code, function, &args, None, at);
            }
            Op::Fact(..)
            | Op::ReadNumber(..)
            | Op::Execname
            | Op::Peek(..)
            | Op::PeekText(_)
            | Op::ReadText(_)
            | Op::Backtrace(_)
            | Op::Point(_)
            | Op::Known(_) => {
                unreachable!("these have results")
            }
        }
    }

    /// What stands behind a call that never comes back is never reached, but may be the rest of an expression.
    fn after_leaving(&mut self) {
        let unreached = self.code.block();
        self.to(unreached);
    }

    pub(super) fn print(&mut self, format: usize, args: &[Expr], at: Span) {
        if let [Expr { kind: ExprKind::Histogram(global, keys), .. }] = args {
            let key = self.key(*global, keys);
            self.target.print_histogram(&mut self.code, *global, key, at);
            return;
        }
        let mut values = self.print_args(args);
        // A literal that is printed as it stands is never cut.
        for (value, arg) in values.iter_mut().zip(args) {
            if let (PrintArg::Text(text, _), ExprKind::Text(bytes), false) = (value, &arg.kind, T::IN_KERNEL) {
                *text = Text::Literal(bytes.clone());
            }
        }
        self.target.print(&mut self.code, format, &values, at);
    }

    /// As [`Self::print_args`]; a function of the library gets stacks as text.
    fn library_args(&mut self, args: &[Expr]) -> Vec<PrintArg> {
        let values = self.values(&args.iter().collect::<Vec<_>>()).into_iter().zip(args);
        let values = values.map(|(value, arg)| match value {
            Bound::Word(word) => PrintArg::Long(word),
            Bound::Stack(handle) => PrintArg::Text(Text::Stack(handle), self.plan.max_string),
            Bound::Text(text @ Text::Stack(_)) => PrintArg::Text(text, self.plan.max_string),
            Bound::Text(text) => PrintArg::Text(text, self.size_of(arg)),
        });
        values.collect()
    }

    fn print_args(&mut self, args: &[Expr]) -> Vec<PrintArg> {
        let evaluated: Vec<&Expr> = args.iter().filter(|arg| self.stored(arg).is_none()).collect();
        let mut values = self.values(&evaluated).into_iter();
        let mut value = |arg: &Expr| match self.stored(arg) {
            Some(home) => PrintArg::Stored(home),
            None => match values.next().expect("each argument has a value") {
                Bound::Word(word) | Bound::Stack(word) => PrintArg::Long(word),
                Bound::Text(text) => PrintArg::Text(text, self.size_of(arg)),
            },
        };
        args.iter().map(&mut value).collect()
    }

    /// Where a variable that is kept in memory has its number.
    fn stored(&self, e: &Expr) -> Option<Addr> {
        match e.kind {
            ExprKind::Local(local) => match self.frame.homes[local] {
                Home::Stored(home) => Some(home),
                Home::Word(_) | Home::Text(..) => None,
            },
            _ => None,
        }
    }
}

/// The strings of `a . b . c`, in order.
fn flatten<'e>(e: &'e Expr, parts: &mut Vec<&'e Expr>) {
    match &e.kind {
        ExprKind::Concat(a, b) => {
            flatten(a, parts);
            flatten(b, parts);
        }
        _ => parts.push(e),
    }
}
