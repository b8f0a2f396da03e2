//! Resolves names: a handler of the syntax tree becomes hir, once for every place its probe stands at.
//!
//! Types are not looked at here, except that `$variables` bring theirs along from the kernel.

use super::builder::Builder;
use super::context::Context;
use crate::hir::{self, Handler, Local, LocalId, Program, Stmt, StmtKind, Target};
use crate::host::{Extractor, Sort, SortBy};
use crate::probe::{self, Resolver, Site, unsupported};
use crate::suggest::did_you_mean;
use tapster_lang::ast::{self, Block, Expr, Ident, Item, ProbePoint, Script, SortOrder, Walked};
use tapster_lang::{Diagnostic, Span};

/// Turns every probe into one hir probe a site.
pub fn build(scripts: &[Script], program: &mut Program, resolver: &mut Resolver, cx: &mut Context) {
    for item in scripts.iter().flat_map(|script| &script.items) {
        let Item::Probe(probe) = item else { continue };
        for point in &probe.points {
            for site in sites(point, resolver, cx) {
                let mut builder = Builder {
                    program,
                    cx,
                    btf: resolver.btf,
                    site: &site,
                    notes: &mut resolver.notes,
                    handler: Handler::default(),
                    loops: 0,
                };
                let body = builder.block(&probe.body);
                let handler = Handler { body, ..builder.handler };
                program.probes.push(hir::Probe {
                    point: site.point.clone(),
                    span: probe.span,
                    place: site.place,
                    handler,
                });
            }
            if point.sufficient && !program.probes.is_empty() {
                break;
            }
        }
    }
    if program.probes.is_empty() && !cx.has_errors() {
        cx.report(Diagnostic::error("check::no-probes", "no probes found").help("a script needs at least one `probe`"));
    }
}

fn sites(point: &ProbePoint, resolver: &mut Resolver, cx: &mut Context) -> Vec<Site> {
    match probe::resolve(point, resolver) {
        Ok(sites) => sites,
        Err(_) if point.optional || point.sufficient => Vec::new(),
        Err(diagnostic) => {
            cx.report(diagnostic);
            Vec::new()
        }
    }
}

impl Builder<'_, '_> {
    /// Statements of a block.
    fn block(&mut self, block: &Block) -> Vec<Stmt> {
        block.stmts.iter().filter_map(|stmt| self.stmt(stmt)).collect()
    }

    fn stmt(&mut self, stmt: &ast::Stmt) -> Option<Stmt> {
        use ast::StmtKind as Ast;
        let kind = match &stmt.kind {
            Ast::Expr(e) => StmtKind::Expr(self.expr(e)),
            Ast::Block(block) => StmtKind::Block(self.block(block)),
            Ast::Null => return None,
            Ast::If(cond, then, other) => self.if_else(cond, then, other.as_deref()),
            Ast::While(cond, body) => {
                StmtKind::Loop { cond: self.expr(cond), step: None, body: Box::new(self.loop_body(body)) }
            }
            Ast::For(init, cond, step, body) => self.for_loop(stmt.span, init, cond, step, body),
            Ast::Foreach(walk) => self.foreach(walk)?,
            Ast::Break | Ast::Continue if self.loops == 0 => return self.refuse(outside_loop(&stmt.kind, stmt.span)),
            Ast::Break => StmtKind::Break,
            Ast::Continue => StmtKind::Continue,
            Ast::Next => StmtKind::Next,
            Ast::Delete(target) => StmtKind::Delete(self.target(target)?),
            Ast::Return(_) => return self.refuse(unsupported("functions", stmt.span)),
            Ast::Try(..) => return self.refuse(unsupported("`try` blocks", stmt.span)),
            Ast::EmbeddedC(code) => return self.refuse(unsupported(super::declare::EMBEDDED_C, code.span)),
        };
        Some(Stmt { kind, span: stmt.span })
    }

    /// A statement that must be one, be it empty.
    fn one(&mut self, stmt: &ast::Stmt) -> Stmt {
        self.stmt(stmt).unwrap_or(Stmt { kind: StmtKind::Block(Vec::new()), span: stmt.span })
    }

    /// The body of a loop, where `break` and `continue` have a meaning.
    fn loop_body(&mut self, stmt: &ast::Stmt) -> Stmt {
        self.loops += 1;
        let body = self.one(stmt);
        self.loops -= 1;
        body
    }

    fn if_else(&mut self, cond: &Expr, then: &ast::Stmt, other: Option<&ast::Stmt>) -> StmtKind {
        let cond = self.expr(cond);
        let then = Box::new(self.one(then));
        StmtKind::If(cond, then, other.map(|s| Box::new(self.one(s))))
    }

    fn for_loop(
        &mut self,
        span: Span,
        init: &Option<Expr>,
        cond: &Option<Expr>,
        step: &Option<Expr>,
        body: &ast::Stmt,
    ) -> StmtKind {
        let init = init.as_ref().map(|e| Stmt { kind: StmtKind::Expr(self.expr(e)), span: e.span });
        let cond = cond.as_ref().map_or_else(|| hir::Expr::long(1, span), |e| self.expr(e));
        let step = step.as_ref().map(|e| self.expr(e));
        let body = Box::new(self.loop_body(body));
        let walk = Stmt { kind: StmtKind::Loop { cond, step, body }, span };
        StmtKind::Block(init.into_iter().chain([walk]).collect())
    }

    fn foreach(&mut self, walk: &ast::Foreach) -> Option<StmtKind> {
        let (array, slice) = match &walk.over {
            Walked::Array(array, slice) => (array, slice),
            Walked::Histogram(e) => return self.refuse(unsupported("walks over buckets", e.span)),
        };
        if !slice.is_empty() {
            return self.refuse(unsupported("slices in `foreach`", array.span));
        }
        let global = self.global(array)?;
        self.arity(global, walk.keys.len(), array.span);
        let keys: Vec<LocalId> = walk.keys.iter().map(|key| self.local(key)).collect();
        let value = walk.value.as_ref().map(|value| self.local(value));
        for local in value.iter().chain(keys.iter()) {
            self.handler.locals[*local].assigned = true;
        }
        let sort = self.sort(walk)?;
        let limit = walk.limit.as_ref().map(|e| self.expr(e));
        let body = self.loop_body(&walk.body);
        Some(StmtKind::Foreach(Box::new(hir::Foreach { global, keys, value, sort, limit, body })))
    }

    fn sort(&mut self, walk: &ast::Foreach) -> Option<Sort> {
        let Some((by, order, span)) = &walk.sort else {
            return Some(Sort { by: SortBy::Unsorted, descending: false });
        };
        let by = match by {
            ast::SortBy::Key(nth) => SortBy::Key(*nth as u32),
            // A plain mark sorts a statistic by its count.
            ast::SortBy::Value(None) => SortBy::Value(Extractor::Count),
            ast::SortBy::Value(Some(extractor)) => SortBy::Value(self.extractor(*extractor, *span)?),
        };
        Some(Sort { by, descending: *order == SortOrder::Descending })
    }

    /// The extractor's number in the host's table.
    pub(super) fn extractor(&mut self, extractor: ast::Extractor, at: Span) -> Option<Extractor> {
        Some(match extractor {
            ast::Extractor::Count => Extractor::Count,
            ast::Extractor::Sum => Extractor::Sum,
            ast::Extractor::Min => Extractor::Min,
            ast::Extractor::Max => Extractor::Max,
            ast::Extractor::Avg => Extractor::Avg,
            ast::Extractor::Variance => return self.refuse(unsupported("`@variance` and its kind", at)),
        })
    }

    /// Something that can be written.
    pub(super) fn target(&mut self, e: &Expr) -> Option<Target> {
        match &e.kind {
            ast::ExprKind::Var(name) => {
                let ident = Ident { name: name.clone(), span: e.span };
                Some(match self.find_global(name) {
                    Some(global) => Target::Global(global),
                    None => Target::Local(self.local(&ident)),
                })
            }
            ast::ExprKind::Index(array, indexes) => {
                let (global, keys) = self.element(array, indexes)?;
                Some(Target::Element(global, keys))
            }
            ast::ExprKind::Target(..) => self.refuse(
                Diagnostic::error("check::read-only", "write not permitted; need stap -g")
                    .label(e.span, "kernel memory is read only")
                    .help("eBPF cannot write kernel variables"),
            ),
            _ => self.refuse(
                Diagnostic::error("check::lvalue", "Expecting lvalue for assignment").label(e.span, "not a variable"),
            ),
        }
    }

    pub(super) fn find_global(&self, name: &str) -> Option<hir::GlobalId> {
        self.program.globals.iter().position(|global| global.name == name)
    }

    /// A global array by name.
    pub(super) fn global(&mut self, array: &Ident) -> Option<hir::GlobalId> {
        let found = self.find_global(&array.name);
        if found.is_none() {
            let error = Diagnostic::error(
                "check::no-array",
                format!("unresolved global array {}, missing global declaration?", array.name),
            )
            .label(array.span, "no such array");
            let names: Vec<&str> = self.program.globals.iter().map(|g| g.name.as_str()).collect();
            let help = did_you_mean(&array.name, names)
                .unwrap_or_else(|| format!("arrays are global: add `global {}` at the top", array.name));
            self.cx.report(error.help(help));
        }
        found
    }

    /// Notes how many keys a global has; all uses must agree.
    pub(super) fn arity(&mut self, global: hir::GlobalId, count: usize, at: Span) {
        let global = &mut self.program.globals[global];
        match &global.keys {
            None => {
                global.keys = Some(vec![hir::Slot::default(); count]);
                global.keys_from = at;
            }
            Some(keys) if keys.len() == count => {}
            Some(keys) => {
                let message = format!("inconsistent arity ({count} vs {})", keys.len());
                let first = format!("arity {} first inferred here", keys.len());
                let from = global.keys_from;
                self.cx.report(
                    Diagnostic::error("check::arity", message).label(at, format!("{count} here")).label(from, first),
                );
            }
        }
    }

    /// A local by name, declared by its first mention.
    pub(super) fn local(&mut self, ident: &Ident) -> LocalId {
        if let Some(found) = self.handler.locals.iter().position(|local| local.name == ident.name) {
            return found;
        }
        self.handler.locals.push(Local { name: ident.name.clone(), span: ident.span, ..Local::default() });
        self.handler.locals.len() - 1
    }

    /// Reports an error and gives nothing.
    pub(super) fn refuse<T>(&mut self, diagnostic: Diagnostic) -> Option<T> {
        self.cx.report(diagnostic);
        None
    }
}

fn outside_loop(kind: &ast::StmtKind, at: Span) -> Diagnostic {
    let word = if matches!(kind, ast::StmtKind::Break) { "break" } else { "continue" };
    Diagnostic::error("check::outside-loop", format!("cannot '{word}' outside loop"))
        .label(at, "no loop around it")
        .help("`next` leaves a probe handler")
}
