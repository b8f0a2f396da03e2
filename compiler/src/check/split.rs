//! Divides kernel handlers: from the first thing that only user space can do, the rest of a handler goes on there.
//!
//! `if` is decided in the kernel as long as its condition can be; a loop goes over as a whole. What the rest reads of
//! the kernel (`$p->f`, `kernel_string()`, `backtrace()`) is read before and captured with the variables it uses; facts
//! of the task travel with every handoff. What would have to be read later is refused.

mod ahead;
mod aside;
mod early;
mod guarded;

use super::added;
use super::context::Context;
use super::sides::{Refusal, Side};
use crate::hir::walk::{expr_mut, handler_mut, stmt_mut, stmts_mut};
use crate::hir::{Expr, ExprKind, FunctionId, Handler, Handoff, Local, Place, Program, Stmt, StmtKind, Target, reach};
use crate::host::LibraryFn;
use crate::intrinsic::Op;
use ahead::Fixed;
use tapster_lang::{Diagnostic, Span};

/// Expressions of a kernel handler, with those in its copies of the functions it calls. What is beyond goes over: calls
/// of calls can double with every level, and the verifier follows a million instructions.
const SIZE_MAX: usize = 100_000;
/// Calls within each other that a kernel handler may hold copies of.
const NESTING_MAX: u32 = 256;
/// Expressions that may be repeated where the branches of an `if` go over with what follows it.
const COPIES_MAX: usize = 20_000;

const PLACE: &str = "where this handler goes on in user space";
const AT_THE_RETURN: &str = "take the numbers and pointers at the entry, and make text of them at the return";

/// Divides every kernel handler, and refuses what neither side can do.
pub fn split(program: &mut Program, cx: &mut Context) {
    let max = cx.options.max_string;
    program.remembers_match = remembers_match(program);
    let whole = program.probes.clone();
    let functions = loop {
        let functions = functions(program, max);
        divide(program, &functions, max, cx.options.loops_at_once);
        if !added::note(program) {
            break functions;
        }
        // A statistic that was taken to be the kernel's alone is not: once more from the start.
        program.probes.clone_from(&whole);
        program.handoffs.clear();
    };
    refuse(program, &functions, max, cx);
}

fn divide(program: &mut Program, functions: &[Needs], max: u32, loops_at_once: bool) {
    for nth in 0..program.probes.len() {
        if matches!(program.probes[nth].place, Place::Kernel { .. }) {
            let handler = core::mem::take(&mut program.probes[nth].handler);
            let locals = handler.locals;
            let mut splitter = Splitter {
                program,
                functions,
                probe: nth,
                max,
                loops_at_once,
                locals,
                room: SIZE_MAX,
                copies: COPIES_MAX,
            };
            let body = splitter.list(handler.body, &[]);
            let locals = splitter.locals;
            program.probes[nth].handler = Handler { locals, body };
            capture(program, nth);
        }
    }
}

/// Whether anything asks for what a regular expression found.
fn remembers_match(program: &mut Program) -> bool {
    let mut remembers = false;
    for handler in program.handlers_mut() {
        handler_mut(handler, &mut |e| {
            let ExprKind::Intrinsic(intrinsic, _) = &e.kind else { return };
            remembers |= matches!(intrinsic.op, Op::Library(LibraryFn::matched | LibraryFn::ngroups));
        });
    }
    remembers
}

/// What a function, with those it calls, asks of a side.
#[derive(Clone, Debug, Default)]
struct Needs {
    /// The first thing that only user space has.
    user: Option<Refusal>,
    /// The first thing that only the kernel has.
    kernel: Option<Refusal>,
    /// Whether it reads memory, or what else a kernel probe stopped at.
    reads: bool,
    /// Whether it may raise an error, but for what it catches itself.
    fails: bool,
    /// Whether it goes round in loops.
    loops: bool,
    /// Whether it mentions globals.
    globals: bool,
    /// Whether it reads the memory of the process.
    process: bool,
    /// Expressions.
    size: usize,
    /// Calls within each other.
    nesting: u32,
}

fn functions(program: &mut Program, max: u32) -> Vec<Needs> {
    let count = program.functions.len();
    let mut own: Vec<Needs> = Vec::with_capacity(count);
    for id in 0..count {
        let mut handler = core::mem::take(&mut program.functions[id].handler);
        let mut needs = Needs {
            user: refusals(program, &mut handler, max, true).into_iter().next(),
            kernel: refusals(program, &mut handler, max, false).into_iter().next(),
            reads: ahead::reads(&mut handler),
            fails: program.functions[id].recursive || guarded::fails(&handler),
            loops: guarded::loops(&mut handler),
            globals: ahead::mentions_globals(&mut handler),
            process: aside::reads_process(&mut handler),
            ..Needs::default()
        };
        program.functions[id].handler = handler;
        if program.functions[id].recursive {
            needs.user.get_or_insert_with(|| Refusal::new("recursion", program.functions[id].span));
        }
        own.push(needs);
    }
    with_callees(program, &own)
}

/// What functions ask for with those that they call.
fn with_callees(program: &mut Program, own: &[Needs]) -> Vec<Needs> {
    let calls = reach::calls(program);
    let mut all = vec![Needs::default(); own.len()];
    for group in reach::groups(program) {
        let mut needs = Needs::default();
        for id in &group {
            let callees = calls[*id].iter().map(|callee| &all[*callee]);
            for part in [&own[*id]].into_iter().chain(callees) {
                needs.user = needs.user.or_else(|| part.user.clone());
                needs.kernel = needs.kernel.or_else(|| part.kernel.clone());
                needs.reads |= part.reads;
                needs.loops |= part.loops;
                needs.globals |= part.globals;
                needs.process |= part.process;
                needs.nesting = needs.nesting.max(part.nesting);
            }
            needs.fails |= own[*id].fails || guarded::fails_in(&program.functions[*id].handler, program, &all);
            let mut handler = core::mem::take(&mut program.functions[*id].handler);
            needs.size = needs.size.saturating_add(size(&mut handler.body, program, &all));
            program.functions[*id].handler = handler;
        }
        needs.nesting += 1;
        if needs.size > SIZE_MAX || needs.nesting > NESTING_MAX {
            let span = program.functions[group[0]].span;
            needs.user.get_or_insert_with(|| Refusal::new("so much code", span));
        }
        group.into_iter().for_each(|id| all[id] = needs.clone());
    }
    all
}

/// The expressions in statements, with those in copies of these functions.
fn size(stmts: &mut [Stmt], program: &Program, functions: &[Needs]) -> usize {
    let mut size: usize = 0;
    for stmt in stmts {
        stmt_mut(stmt, &mut |e| {
            let copies = calls(e, program).filter_map(|id| Some(functions.get(id)?.size));
            size = copies.fold(size.saturating_add(1), usize::saturating_add);
        });
    }
    size
}

fn refusals(program: &Program, handler: &mut Handler, max: u32, in_kernel: bool) -> Vec<Refusal> {
    let mut found = Vec::new();
    let locals = handler.locals.clone();
    let side = Side::new(program, &locals, max, in_kernel);
    stmts_mut(&mut handler.body, &mut |stmt| found.extend(side.stmt(&stmt.kind, stmt.span)));
    handler_mut(handler, &mut |e| found.extend(side.expr(e)));
    found
}

struct Splitter<'a> {
    program: &'a mut Program,
    functions: &'a [Needs],
    probe: usize,
    max: u32,
    /// What functions with loops fail with is raised where they are called ahead.
    loops_at_once: bool,
    /// Variables of the handler; what is read ahead gets new ones.
    locals: Vec<Local>,
    /// Expressions that the kernel's part still has room for.
    room: usize,
    /// Expressions that may still be repeated.
    copies: usize,
}

impl Splitter<'_> {
    /// Divides a list of statements that `rest` follows.
    fn list(&mut self, stmts: Vec<Stmt>, rest: &[Stmt]) -> Vec<Stmt> {
        let mut kernel = Vec::with_capacity(stmts.len());
        let mut left = stmts.into_iter();
        while let Some(mut stmt) = left.next() {
            if !self.needs_user(&mut stmt) && self.has_room(&mut stmt) {
                kernel.push(stmt);
                continue;
            }
            let mut following: Vec<Stmt> = left.as_slice().iter().chain(rest).cloned().collect();
            let span = stmt.span;
            match stmt.kind {
                StmtKind::Block(inner) => kernel.extend(self.list(inner, &following)),
                StmtKind::If(cond, then, other) if !self.expr_needs_user(&cond) && self.may_repeat(&mut following) => {
                    let mut branch = |stmt: Box<Stmt>| {
                        let span = stmt.span;
                        Box::new(Stmt { kind: StmtKind::Block(self.list(vec![*stmt], &following)), span })
                    };
                    let then = branch(then);
                    let other = other.map(branch);
                    kernel.push(Stmt { kind: StmtKind::If(cond, then, other), span });
                }
                kind => {
                    let first = Stmt { kind, span };
                    let stmts: Vec<Stmt> = [&first].into_iter().chain(left.as_slice()).cloned().collect();
                    if let Some(count) = self.aside(&stmts, rest) {
                        kernel.extend(self.hand_aside(stmts[..count].to_vec(), span));
                        left.by_ref().take(count - 1).for_each(drop);
                        continue;
                    }
                    let body: Vec<Stmt> = [first].into_iter().chain(following).collect();
                    kernel.extend(self.hand_over(body, span));
                    return kernel;
                }
            }
        }
        kernel
    }

    /// Whether the kernel's part can hold a statement, too.
    fn has_room(&mut self, stmt: &mut Stmt) -> bool {
        let left = self.room.checked_sub(size(core::slice::from_mut(stmt), self.program, self.functions));
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    /// Whether statements may go over once more.
    fn may_repeat(&mut self, stmts: &mut [Stmt]) -> bool {
        let left = self.copies.checked_sub(size(stmts, self.program, &[]));
        self.copies = left.unwrap_or(self.copies);
        left.is_some()
    }

    /// What the kernel does where user space goes on: reads ahead, then hands over.
    fn hand_over(&mut self, mut body: Vec<Stmt>, span: Span) -> Vec<Stmt> {
        let mut ahead = self.prepare(&mut body);
        let number = self.program.handoffs.len();
        let handler = Handler { locals: Vec::new(), body };
        self.program.handoffs.push(Handoff { probe: self.probe, handler, captures: Vec::new(), aside: false });
        ahead.push(Stmt { kind: StmtKind::Handoff(number), span });
        ahead
    }

    /// What the kernel does for statements that go over, before it hands them over.
    fn prepare(&mut self, body: &mut [Stmt]) -> Vec<Stmt> {
        self.inline(body);
        let mut ahead = early::take(body, &self.locals);
        ahead.extend(self.read_ahead(body));
        ahead
    }

    fn needs_user(&self, stmt: &mut Stmt) -> bool {
        let side = self.side();
        let mut needs = side.stmt(&stmt.kind, stmt.span).is_some();
        stmts_mut(core::slice::from_mut(stmt), &mut |inner| needs |= side.stmt(&inner.kind, inner.span).is_some());
        stmt_mut(stmt, &mut |e| needs |= self.one_needs_user(&side, e));
        needs
    }

    fn expr_needs_user(&self, e: &Expr) -> bool {
        let side = self.side();
        let mut needs = false;
        expr_mut(&mut e.clone(), &mut |e| needs |= self.one_needs_user(&side, e));
        needs
    }

    fn one_needs_user(&self, side: &Side, e: &Expr) -> bool {
        side.expr(e).is_some() || calls(e, self.program).any(|id| self.functions[id].user.is_some())
    }

    fn side(&self) -> Side<'_> {
        Side::new(self.program, &self.locals, self.max, true)
    }
}

fn calls<'p>(e: &Expr, program: &'p Program) -> impl Iterator<Item = FunctionId> + use<'p> {
    let first = if let ExprKind::Call(first, _) = e.kind { Some(first) } else { None };
    core::iter::successors(first, |id| program.functions[*id].next)
}

/// Works out which variables each handoff of a probe takes along: those that it uses and the kernel's part sets.
fn capture(program: &mut Program, probe: usize) {
    let locals = program.probes[probe].handler.locals.clone();
    let mut set = Fixed::of(&mut program.probes[probe].handler.body).locals;
    set.sort_unstable();
    set.dedup();
    for handoff in program.handoffs.iter_mut().filter(|handoff| handoff.probe == probe) {
        let mut used = Fixed::of(&mut handoff.handler.body).locals;
        handler_mut(&mut handoff.handler, &mut |e| {
            if let ExprKind::Local(local) = &e.kind {
                used.push(*local);
            }
        });
        handoff.captures = set.iter().copied().filter(|local| used.contains(local)).collect();
        handoff.handler.locals = locals.clone();
    }
}

/// Refuses what is left in the wrong place. Handlers of `begin` and its kind have stopped at nothing: what they ask of
/// the kernel is empty or 0.
fn refuse(program: &mut Program, functions: &[Needs], max: u32, cx: &mut Context) {
    let mut found: Vec<Refusal> = Vec::new();
    for nth in 0..program.handoffs.len() {
        let mut handler = core::mem::take(&mut program.handoffs[nth].handler);
        found.extend(refusals(program, &mut handler, max, false));
        found.extend(of_the_process(program, &mut handler));
        found.extend(of_the_entry(program, &mut handler));
        found.extend(called(program, &mut handler, functions));
        program.handoffs[nth].handler = handler;
    }
    for Refusal { what, span, help } in found {
        let error = Diagnostic::error("check::side", format!("{what} cannot be had {PLACE}"));
        cx.report(error.label(span, "belongs to the kernel").help(help));
    }
}

/// Reads of the process's memory: where the handler goes on, the process is another.
fn of_the_process(program: &mut Program, handler: &mut Handler) -> impl Iterator<Item = Refusal> + use<> {
    let mut found = Vec::new();
    let mut look = |e: &mut Expr| {
        if let ExprKind::Intrinsic(intrinsic, _) = &e.kind
            && aside::is_of_the_process(e)
        {
            let (what, help) = (format!("{}()", intrinsic.name), super::sides::READ_BEFORE);
            found.push(Refusal { what, span: e.span, help });
        }
    };
    handler_mut(handler, &mut look);
    for id in reach::reached_from(program, reach::callees(handler, program)) {
        handler_mut(&mut program.functions[id].handler, &mut look);
    }
    found.into_iter()
}

/// What a return wants to know of its entry: the function may return before user space has looked.
fn of_the_entry(program: &Program, handler: &mut Handler) -> impl Iterator<Item = Refusal> + use<> {
    let mut found = Vec::new();
    handler_mut(handler, &mut |e| {
        if let ExprKind::Assign(Target::Element(global, _), _, value) = &e.kind
            && super::entry::is_kept(&program.globals[*global])
        {
            found.push(Refusal { what: "this at a function's entry".into(), span: value.span, help: AT_THE_RETURN });
        }
    });
    found.into_iter()
}

/// What the functions that a handler calls need of the kernel.
fn called(program: &Program, handler: &mut Handler, functions: &[Needs]) -> Vec<Refusal> {
    reach::callees(handler, program).into_iter().filter_map(|id| functions[id].kernel.clone()).collect()
}
