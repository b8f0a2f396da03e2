//! What a handler at a function's return knows of its entry: `@entry(e)`, and parameters, which are gone by then.
//!
//! [`Builder::at_entry`] builds an expression for the entry instead. A probe of its own stands there and saves the value
//! under the task and how deep the task is in such functions; the return takes it out again. All of it is ordinary hir:
//! arrays nobody else can name, and statements before the handler's own.

use super::builder::Builder;
use crate::hir::{
    self, ArgSource, Expr, ExprKind, Global, Handler, Local, LocalId, Slot, Stmt, StmtKind, Target, Type,
};
use crate::probe::{Site, unsupported};
use std::collections::HashMap;
use tapster_lang::{Diagnostic, Span, ast};

/// What such an array is called; a blank keeps it apart from those of scripts.
const VALUE: &str = "entry value";
/// Calls that may be under way at once, of all tasks.
const CALLS_MOST: u32 = 10_240;

/// The arrays that values are kept in, shared by all places of one point: its calls nest, whichever program sees them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// How deep a task is.
    depth: Option<hir::GlobalId>,
    /// By the text that asks, and how often it did before in the same handler.
    values: HashMap<(Span, usize), hir::GlobalId>,
    /// What the handler was told of ([`super::once`]).
    pub(super) seen: Option<hir::GlobalId>,
}

/// Whether a global holds values between an entry and its return.
pub(super) fn is_kept(global: &Global) -> bool {
    global.name.starts_with(VALUE)
}

/// The probe at the entry, under construction.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub kept: Kept,
    handler: Handler,
    saved: Vec<Saved>,
}

impl Entry {
    /// Nothing is asked yet.
    pub fn new(kept: Kept) -> Entry {
        Entry { kept, ..Entry::default() }
    }
}

/// A value that goes from the entry to the return.
#[derive(Debug)]
struct Saved {
    at: (Span, usize),
    value: Expr,
    kept: hir::GlobalId,
    /// The return's variable that gets it.
    local: LocalId,
}

impl<'b> Builder<'b, '_> {
    fn entry_site(&self) -> Option<&'b Site> {
        self.site.and_then(|site| site.context.entry.as_deref())
    }

    /// The value that an expression had when the function was entered.
    pub(super) fn at_entry(&mut self, span: Span, build: impl FnOnce(&mut Self) -> Option<Expr>) -> Option<Expr> {
        let Some(site) = self.entry_site() else {
            return self.refuse(
                Diagnostic::error("target::no-entry", "@entry is only valid in .return probes")
                    .label(span, "no function returns here"),
            );
        };
        if self.params.is_some() {
            return self.refuse(unsupported("parameters at a function's return, in functions of the script", span));
        }
        let value = self.built_there(site, build)?;
        if self.trying {
            return Some(value);
        }
        let before = self.entry.saved.iter().filter(|saved| saved.at.0 == span).count();
        let kept = self.kept_value((span, before));
        let name = format!("at entry {}", self.handler.locals.len());
        self.handler.locals.push(Local { name, span, from: span, assigned: true, ..Local::default() });
        let local = self.handler.locals.len() - 1;
        let (ty, pointee) = (value.ty, value.pointee);
        self.entry.saved.push(Saved { at: (span, before), value, kept, local });
        Some(Expr { kind: ExprKind::Local(local), ty, span, at: span, pointee })
    }

    /// A condition that holds for a call at both of its ends, and is looked at there.
    pub(super) fn at_both_ends(&mut self, cond: &ast::Expr) -> Option<Expr> {
        if let Some(site) = self.entry_site()
            && let Some(there) = self.built_there(site, |builder| builder.try_expr(cond))
            && !self.trying
        {
            let (not, span) = (Box::new(there), cond.span);
            let not = Expr { ty: Type::Long, ..Expr::new(ExprKind::Not(not), span) };
            let leave = StmtKind::If(not, Box::new(Stmt { kind: StmtKind::Next, span }), None);
            self.entry.handler.body.push(Stmt { kind: leave, span });
        }
        self.try_expr(cond)
    }

    /// Builds something for the entry's handler.
    fn built_there(&mut self, site: &'b Site, build: impl FnOnce(&mut Self) -> Option<Expr>) -> Option<Expr> {
        let at_return = self.site.replace(site);
        let ahead = core::mem::take(&mut self.ahead);
        core::mem::swap(&mut self.handler, &mut self.entry.handler);
        let value = build(self);
        core::mem::swap(&mut self.handler, &mut self.entry.handler);
        let ahead = core::mem::replace(&mut self.ahead, ahead);
        self.site = at_return;
        if value.is_some() && !self.trying {
            self.entry.handler.body.extend(ahead);
        }
        value
    }

    fn kept_value(&mut self, at: (Span, usize)) -> hir::GlobalId {
        if let Some(kept) = self.entry.kept.values.get(&at) {
            return *kept;
        }
        let kept = self.nameless(format!("{VALUE} {}", self.entry.kept.values.len() + 1), 2, at.0);
        self.entry.kept.values.insert(at, kept);
        kept
    }

    /// An array that has no name in the language.
    fn nameless(&mut self, name: String, keys: usize, span: Span) -> hir::GlobalId {
        let keys = Some(vec![Slot::default(); keys]);
        let global =
            Global { name, span, keys, keys_from: span, max_entries: CALLS_MOST, sized: true, ..Global::default() };
        self.program.globals.push(global);
        self.program.globals.len() - 1
    }

    /// Ends the building: the statements that the return begins with, and the entry's handler; nothing where the return
    /// asks nothing of the entry.
    pub(super) fn finish_entry(&mut self, span: Span) -> Option<(Vec<Stmt>, Handler)> {
        let saved = core::mem::take(&mut self.entry.saved);
        if saved.is_empty() {
            return None;
        }
        let depths = match self.entry.kept.depth {
            Some(depths) => depths,
            None => self.nameless("entry depth".into(), 1, span),
        };
        self.entry.kept.depth = Some(depths);
        let words = Words { span, depths };
        let mut entry = core::mem::take(&mut self.entry.handler);
        let deep = words.local(&mut entry.locals);
        let deeper = words.plus(words.depth(), 1);
        // What values are worked out from comes first: it may leave the handler with an error.
        entry.body.push(words.assign(Target::Local(deep), deeper));
        entry.body.push(words.assign(words.depth_target(), words.value(deep)));
        let (deep_there, mut taken) = (words.local(&mut self.handler.locals), Vec::new());
        taken.push(words.assign(Target::Local(deep_there), words.depth()));
        taken.push(words.leave_unless(deep_there));
        for Saved { value, kept, local, .. } in saved {
            entry.body.push(words.assign(words.element(kept, deep), value));
            let Target::Element(_, keys) = words.element(kept, deep_there) else { continue };
            taken.push(words.assign(Target::Local(local), words.expr(ExprKind::Element(kept, keys.clone()))));
            taken.push(words.stmt(StmtKind::Delete(Target::Element(kept, keys))));
        }
        taken.push(words.rise(deep_there));
        Some((taken, entry))
    }
}

/// Statements about how deep a task is.
struct Words {
    span: Span,
    depths: hir::GlobalId,
}

impl Words {
    fn expr(&self, kind: ExprKind) -> Expr {
        Expr::new(kind, self.span)
    }

    fn stmt(&self, kind: StmtKind) -> Stmt {
        Stmt { kind, span: self.span }
    }

    fn local(&self, locals: &mut Vec<Local>) -> LocalId {
        let name = format!("depth {}", locals.len());
        locals.push(Local { name, span: self.span, from: self.span, assigned: true, ..Local::default() });
        locals.len() - 1
    }

    fn value(&self, local: LocalId) -> Expr {
        self.expr(ExprKind::Local(local))
    }

    /// The task: idle ones have the same number on all CPUs, but structures of their own.
    fn task(&self) -> Expr {
        let kind = ExprKind::Arg { source: ArgSource::Task, size: 8, signed: false, typed: false };
        Expr { ty: Type::Long, ..self.expr(kind) }
    }

    fn depth(&self) -> Expr {
        self.expr(ExprKind::Element(self.depths, vec![self.task()]))
    }

    fn depth_target(&self) -> Target {
        Target::Element(self.depths, vec![self.task()])
    }

    fn element(&self, kept: hir::GlobalId, deep: LocalId) -> Target {
        Target::Element(kept, vec![self.task(), self.value(deep)])
    }

    fn plus(&self, value: Expr, number: i64) -> Expr {
        let number = Expr::long(number, self.span);
        let kind = ExprKind::Arith(hir::Arith::Add, Box::new(value), Box::new(number));
        Expr { ty: Type::Long, ..self.expr(kind) }
    }

    fn assign(&self, target: Target, value: Expr) -> Stmt {
        let ty = value.ty;
        let kind = ExprKind::Assign(target, None, Box::new(value));
        self.stmt(StmtKind::Expr(Expr { ty, ..self.expr(kind) }))
    }

    /// A call that began before anything was attached is none that the handler is told of.
    fn leave_unless(&self, deep: LocalId) -> Stmt {
        let not = Expr { ty: Type::Long, ..self.expr(ExprKind::Not(Box::new(self.value(deep)))) };
        self.stmt(StmtKind::If(not, Box::new(self.stmt(StmtKind::Next)), None))
    }

    /// One level up; at the top nothing is left behind.
    fn rise(&self, deep: LocalId) -> Stmt {
        let one = Box::new(Expr::long(1, self.span));
        let kind = ExprKind::Compare(hir::Compare::Gt, Box::new(self.value(deep)), one);
        let inner = Expr { ty: Type::Long, ..self.expr(kind) };
        let up = self.assign(self.depth_target(), self.plus(self.value(deep), -1));
        let out = self.stmt(StmtKind::Delete(self.depth_target()));
        self.stmt(StmtKind::If(inner, Box::new(up), Some(Box::new(out))))
    }
}
