//! Runs a program by walking its tree: what it must print, leave behind and fail with.
//!
//! Written from the language's description and nothing else: 64 bits that wrap, shifts by the low six bits, strings of
//! C, parts of an expression from left to right, an element's keys before what is assigned to it (SystemTap's
//! translator, `c_unparser_assignment::visit_arrayindex`).

mod eval;
mod format;
mod left;
mod statistic;

use crate::sample::Sample;
use statistic::Statistic;
use std::collections::BTreeMap;
use tapster_compiler::hir::{Foreach, FunctionId, Local, Stmt, StmtKind, Target, Type, Walked};
use tapster_compiler::host::SortBy;
use tapster_lang::ast::Literal;

/// Statements and rounds after which a program is no good: the kernel's side allows a thousand.
const STEPS_MAX: u32 = 250;

/// A value. Strings have no NUL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A number.
    Long(i64),
    /// A string.
    Text(Vec<u8>),
}

/// What a global holds.
#[derive(Clone, Debug)]
enum Held {
    Scalar(Value),
    Statistic(Statistic),
    Array(BTreeMap<Vec<Value>, Value>),
    Statistics(BTreeMap<Vec<Value>, Statistic>),
}

/// A run-time error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What a catch block gets.
    pub message: Vec<u8>,
    /// The place that is at fault.
    pub position: u32,
}

/// Why statements come to an end before their last.
#[derive(Clone, Debug)]
enum Leave {
    Break,
    Continue,
    Next,
    Return(Option<Value>),
    Fault(Fault),
    /// The program goes on for too long.
    Steps,
}

/// What a program does.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// What it prints.
    pub out: Vec<u8>,
    /// What it leaves behind: lines, sorted.
    pub left: Vec<Vec<u8>>,
    /// What it fails with.
    pub fault: Option<Fault>,
    /// Whether a string was cut to its limit.
    pub cut: bool,
    /// Whether it raised an error, caught or not.
    pub raised: bool,
}

/// Runs a program; `None` where it goes on for too long.
pub fn run(sample: &Sample, task: &Task) -> Option<Expected> {
    let globals = sample.globals.iter().map(|global| {
        let array = global.is_array();
        match (global.value.ty, &global.init) {
            (Type::Stats, _) if array => Held::Statistics(BTreeMap::new()),
            (Type::Stats, _) => Held::Statistic(Statistic::default()),
            _ if array => Held::Array(BTreeMap::new()),
            (_, Some(Literal::Number(number))) => Held::Scalar(Value::Long(*number)),
            (_, Some(Literal::String(bytes))) => Held::Scalar(Value::Text(bytes.clone())),
            (ty, None) => Held::Scalar(nothing(ty)),
        }
    });
    let globals: Vec<Held> = globals.collect();
    let is_full =
        |held: &Held| matches!(held, Held::Scalar(Value::Text(text)) if text.len() + 1 >= sample.max_string as usize);
    let cut = globals.iter().any(is_full);
    let locals = empty(&sample.handler.locals);
    let mut machine = Machine { sample, task, globals, locals, out: Vec::new(), cut, raised: false, steps: 0 };
    let fault = match machine.stmts(&sample.handler.body) {
        Err(Leave::Steps) => return None,
        Err(Leave::Fault(fault)) => Some(fault),
        Ok(()) | Err(Leave::Break | Leave::Continue | Leave::Next | Leave::Return(_)) => None,
    };
    let left = machine.left_behind();
    let raised = machine.raised || fault.is_some();
    Some(Expected { out: machine.out, left, fault, cut: machine.cut, raised })
}

/// The task that a program runs in.
#[derive(Clone, Debug)]
pub struct Task {
    /// What `pid()`, `tid()`, `uid()` and the like give, by name.
    pub numbers: Vec<(&'static str, i64)>,
    /// What `execname()`, `pp()` and `pn()` give, by name.
    pub texts: Vec<(&'static str, Vec<u8>)>,
}

fn nothing(ty: Type) -> Value {
    if ty == Type::String { Value::Text(Vec::new()) } else { Value::Long(0) }
}

fn empty(locals: &[Local]) -> Vec<Value> {
    locals.iter().map(|local| nothing(local.slot.ty)).collect()
}

struct Machine<'a> {
    sample: &'a Sample,
    task: &'a Task,
    globals: Vec<Held>,
    /// Variables of the body that is running.
    locals: Vec<Value>,
    out: Vec<u8>,
    cut: bool,
    raised: bool,
    steps: u32,
}

impl Machine<'_> {
    fn step(&mut self) -> Result<(), Leave> {
        self.steps += 1;
        if self.steps > STEPS_MAX { Err(Leave::Steps) } else { Ok(()) }
    }

    fn stmts(&mut self, stmts: &[Stmt]) -> Result<(), Leave> {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt) -> Result<(), Leave> {
        self.step()?;
        match &stmt.kind {
            StmtKind::Expr(e) => self.eval(e).map(drop),
            StmtKind::Block(stmts) => self.stmts(stmts),
            StmtKind::If(cond, then, other) => match (self.truth(cond)?, other) {
                (true, _) => self.stmt(then),
                (false, Some(other)) => self.stmt(other),
                (false, None) => Ok(()),
            },
            StmtKind::Loop { cond, step, body } => {
                while self.truth(cond)? {
                    self.step()?;
                    match self.stmt(body) {
                        Err(Leave::Break) => break,
                        Err(Leave::Continue) | Ok(()) => {}
                        other => return other,
                    }
                    if let Some(step) = step {
                        self.eval(step)?;
                    }
                }
                Ok(())
            }
            StmtKind::Foreach(walk) => self.foreach(walk),
            StmtKind::Break => Err(Leave::Break),
            StmtKind::Continue => Err(Leave::Continue),
            StmtKind::Next => Err(Leave::Next),
            StmtKind::Return(value) => {
                let value = value.as_ref().map(|value| self.eval(value)).transpose()?;
                Err(Leave::Return(value))
            }
            StmtKind::Delete(target) => self.delete(target),
            StmtKind::Try { body, message, catch } => match self.stmts(body) {
                Err(Leave::Fault(fault)) => {
                    self.raised = true;
                    if let Some(message) = message {
                        self.locals[*message] = self.text(fault.message);
                    }
                    self.stmts(catch)
                }
                other => other,
            },
            StmtKind::Handoff(_) => unreachable!("only checking makes these"),
        }
    }

    /// A walk in the order of its only key over the elements there are when it starts.
    fn foreach(&mut self, walk: &Foreach) -> Result<(), Leave> {
        let limit = walk.limit.as_ref().map(|limit| self.number(limit)).transpose()?;
        let (Walked::Array(global, _), SortBy::Key(0)) = (&walk.over, walk.sort.by) else {
            unreachable!("nothing else is generated")
        };
        let Held::Array(elements) = &self.globals[*global] else { unreachable!("nothing else is generated") };
        let mut elements: Vec<(Vec<Value>, Value)> = elements.clone().into_iter().collect();
        if walk.sort.descending {
            elements.reverse();
        }
        // SystemTap counts rounds and leaves where they reach the limit: 0 and less visit nothing.
        let most = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(0));
        for (key, value) in elements.into_iter().take(most) {
            self.step()?;
            for (local, part) in walk.keys.iter().zip(key) {
                self.locals[*local] = part;
            }
            if let Some(local) = walk.value {
                self.locals[local] = value;
            }
            match self.stmt(&walk.body) {
                Err(Leave::Break) => break,
                Err(Leave::Continue) | Ok(()) => {}
                other => return other,
            }
        }
        Ok(())
    }

    fn delete(&mut self, target: &Target) -> Result<(), Leave> {
        match target {
            Target::Local(local) => {
                self.locals[*local] = match self.locals[*local] {
                    Value::Long(_) => nothing(Type::Long),
                    Value::Text(_) => nothing(Type::String),
                };
            }
            Target::Global(global) => match &mut self.globals[*global] {
                Held::Scalar(Value::Long(number)) => *number = 0,
                Held::Scalar(Value::Text(bytes)) => bytes.clear(),
                Held::Statistic(statistic) => *statistic = Statistic::default(),
                Held::Array(elements) => elements.clear(),
                Held::Statistics(elements) => elements.clear(),
            },
            Target::Element(global, keys) => {
                let keys = self.evals(keys)?;
                match &mut self.globals[*global] {
                    Held::Array(elements) => drop(elements.remove(&keys)),
                    Held::Statistics(elements) => drop(elements.remove(&keys)),
                    Held::Scalar(_) | Held::Statistic(_) => unreachable!("only arrays have elements"),
                }
            }
            Target::Slice(global, slice) => {
                let slice = self.slice(slice)?;
                match &mut self.globals[*global] {
                    Held::Array(elements) => elements.retain(|key, _| !is_in(key, &slice)),
                    Held::Statistics(elements) => elements.retain(|key, _| !is_in(key, &slice)),
                    Held::Scalar(_) | Held::Statistic(_) => unreachable!("only arrays have elements"),
                }
            }
        }
        Ok(())
    }

    /// Calls a function, and those that `next` passes to.
    fn call(&mut self, first: FunctionId, args: &[Value], position: u32) -> Result<Value, Leave> {
        let mut callee = Some(first);
        while let Some(id) = callee {
            let function = &self.sample.functions[id];
            let mut locals = empty(&function.handler.locals);
            locals[..args.len()].clone_from_slice(args);
            let outer = std::mem::replace(&mut self.locals, locals);
            let ended = self.stmts(&function.handler.body);
            self.locals = outer;
            match ended {
                Ok(()) | Err(Leave::Return(None)) => return Ok(nothing(function.result.ty)),
                Err(Leave::Return(Some(value))) => return Ok(value),
                Err(Leave::Next) => callee = function.next,
                Err(other) => return Err(other),
            }
        }
        Err(fault("all functions exhausted", position))
    }
}

/// Whether a key is in a slice.
fn is_in(key: &[Value], slice: &[Option<Value>]) -> bool {
    key.iter().zip(slice).all(|(part, wanted)| wanted.as_ref().is_none_or(|wanted| wanted == part))
}

fn fault(message: &str, position: u32) -> Leave {
    Leave::Fault(Fault { message: message.into(), position })
}
