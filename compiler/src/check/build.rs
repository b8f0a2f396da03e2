//! Resolves names: a handler of the syntax tree becomes hir, once for every place its probe stands at.
//!
//! Types are not looked at here, except that `$variables` bring theirs along from the kernel.

use super::alias::{Aliases, Decided, Expanded};
use super::builder::Builder;
use super::context::Context;
use super::counter;
use super::entry::{Entry, Kept};
use super::instance::Instances;
use super::names::Names;
use super::place;
use super::pointee::learn;
use crate::hir::{self, Handler, Local, LocalId, Program, Stmt, StmtKind, Target};
use crate::host::{Extractor, Sort, SortBy};
use crate::probe::{self, Resolver, Site, unsupported};
use tapster_lang::ast::{self, AssignOp, Block, Expr, Ident, Item, ProbePoint, Script, SortOrder, Walked};
use tapster_lang::{Diagnostic, Span};
use tapster_runtime_ebpf::aggregate::Histogram;

/// Builds every function once, and every probe once for each site. Where a probe uses a pointer that only a later one
/// puts into a global, all is built once more, knowing what it points to.
pub fn build(scripts: &[Script], names: &Names, program: &mut Program, resolver: &mut Resolver, cx: &mut Context) {
    let (globals, functions) = (program.globals.clone(), program.functions.clone());
    let (said, late) = (cx.diagnostics.len(), cx.late.len());
    build_once(scripts, names, program, resolver, cx);
    let is_unknown = |error: &Diagnostic| error.code == super::target::UNKNOWN_TYPE;
    if program.globals.iter().all(|global| global.pointee.is_none()) || !cx.diagnostics.iter().any(is_unknown) {
        return;
    }
    let known: Vec<_> = program.globals.iter().map(|global| global.pointee).collect();
    *program = Program { globals, functions, ..Program::default() };
    program.globals.iter_mut().zip(known).for_each(|(global, pointee)| global.pointee = pointee);
    cx.diagnostics.truncate(said);
    cx.late.truncate(late);
    build_once(scripts, names, program, resolver, cx);
}

fn build_once(scripts: &[Script], names: &Names, program: &mut Program, resolver: &mut Resolver, cx: &mut Context) {
    let aliases = Aliases::new(scripts);
    counter::declare(scripts, &aliases, resolver, cx);
    let mut instances = Instances::new(names, &program.functions);
    functions(names, program, resolver, cx, &mut instances);
    for (file, script) in scripts.iter().enumerate() {
        for item in &script.items {
            let Item::Probe(probe) = item else { continue };
            let mut refused = Refused::default();
            for point in &probe.points {
                let (mut resolved, mut decided) = (0, Decided::default());
                for expanded in aliases.expand(point, file, cx) {
                    if decided.rules_out(&expanded) {
                        continue;
                    }
                    let sites = sites(&expanded.point, &aliases, resolver, &mut refused);
                    decided.take(&expanded, !sites.is_empty());
                    resolved += sites.len();
                    let written = Written { expanded: &expanded, point, probe, file };
                    place::place(&written, sites, (names, &mut instances), program, resolver, cx);
                }
                let errors = refused.take(point.sufficient);
                if resolved > 0 && is_pattern(point) {
                    note_passed_over(point, &errors, resolver);
                } else {
                    errors.into_iter().for_each(|error| cx.report(error));
                }
                if point.sufficient && resolved > 0 {
                    break;
                }
            }
        }
    }
    if program.probes.is_empty() && !cx.has_errors() {
        cx.report(Diagnostic::error("check::no-probes", "no probes found").help("a script needs at least one `probe`"));
    }
}

fn functions(
    names: &Names,
    program: &mut Program,
    resolver: &mut Resolver,
    cx: &mut Context,
    instances: &mut Instances,
) {
    let mut builder =
        Builder::new(program, cx, resolver.btf, names, (&mut resolver.notes, &resolver.counters), instances);
    builder.other_functions();
}

/// A probe point as the script has it.
pub(super) struct Written<'s> {
    /// What it stands for.
    pub expanded: &'s Expanded<'s>,
    /// The point, perhaps an alias.
    pub point: &'s ProbePoint,
    /// Its definition, and the file of that.
    pub probe: &'s ast::Probe,
    pub file: usize,
}

/// What a probe's handler became at a site.
#[derive(Debug)]
pub(super) struct Built {
    pub handler: Handler,
    /// At a return: what has to be done at the entry.
    pub entry: Option<Handler>,
}

/// The handler of a probe at a site: its conditions, then the aliases' blocks around the user's.
pub(super) fn handler(
    written: &Written,
    site: &Site,
    (names, instances): (&Names, &mut Instances),
    program: &mut Program,
    (resolver, kept): (&mut Resolver, &mut Kept),
    cx: &mut Context,
) -> Built {
    instances.next_probe();
    let Written { expanded, probe, file, .. } = written;
    let mut builder = Builder {
        file: *file,
        site: Some(site),
        entry: Entry::new(core::mem::take(kept)),
        ..Builder::new(program, cx, resolver.btf, names, (&mut resolver.notes, &resolver.counters), instances)
    };
    let mut body: Vec<Stmt> = site.context.guard.iter().map(unless).collect();
    if let Some(guard) = site.context.entry.as_ref().and_then(|entry| entry.context.guard.clone()) {
        body.extend(builder.at_entry(probe.span, |_| Some(guard)).iter().map(unless));
    }
    if let Some(once) = &site.context.once {
        let mut seen = builder.entry.kept.seen;
        body.extend(builder.once(once, &mut seen, probe.span));
        builder.entry.kept.seen = seen;
    }
    for (condition, file) in &expanded.conditions {
        builder.file = *file;
        body.push(builder.condition(condition));
    }
    let user = [(&probe.body, *file)];
    for (block, file) in expanded.before.iter().copied().chain(user).chain(expanded.after.iter().copied()) {
        builder.file = file;
        body.extend(builder.block(block));
    }
    builder.open_functions();
    let (taken, entry) = builder.finish_entry(probe.span).unzip();
    *kept = core::mem::take(&mut builder.entry.kept);
    let body = taken.unwrap_or_default().into_iter().chain(body).collect();
    Built { handler: Handler { body, ..builder.handler }, entry }
}

/// Leaves the handler where a condition does not hold.
fn unless(guard: &hir::Expr) -> Stmt {
    let span = guard.span;
    let not = hir::Expr::new(hir::ExprKind::Not(Box::new(guard.clone())), span);
    let next = Stmt { kind: StmtKind::Next, span };
    Stmt { kind: StmtKind::If(not, Box::new(next), None), span }
}

/// Where a point stands; an error goes to the others.
fn sites(point: &ProbePoint, aliases: &Aliases, resolver: &mut Resolver, refused: &mut Refused) -> Vec<Site> {
    resolver.unsaid = point.optional || point.sufficient;
    probe::resolve(point, resolver, aliases.firsts()).unwrap_or_else(|diagnostic| {
        let at = point.components.first().map_or(point.span, |first| first.name.span);
        refused.add(diagnostic.during("while resolving probe point", at), point);
        Vec::new()
    })
}

/// Why points stand nowhere.
#[derive(Default)]
struct Refused {
    errors: Vec<Diagnostic>,
    /// Of an alternative before these, which is there, and cannot be probed.
    unreachable: Option<Diagnostic>,
}

impl Refused {
    fn add(&mut self, error: Diagnostic, point: &ProbePoint) {
        match error.code {
            _ if !point.optional && !point.sufficient => self.errors.push(error),
            "probe::no-rung" if point.sufficient => self.unreachable = Some(error),
            _ => {}
        }
    }

    /// What to say of a point, which may have alternatives behind it. That the last of some is not there is not what
    /// stops a script, where another one is.
    fn take(&mut self, goes_on: bool) -> Vec<Diagnostic> {
        let mut errors = core::mem::take(&mut self.errors);
        if let Some(last) = errors.iter_mut().find(|error| error.code == "probe::no-match")
            && let Some(first) = self.unreachable.take()
        {
            let note = core::mem::take(&mut last.message);
            *last = first.note(note);
        }
        self.unreachable = self.unreachable.take().filter(|_| goes_on);
        errors
    }
}

/// Whether a point may stand for several aliases, of which not all have to be there.
fn is_pattern(point: &ProbePoint) -> bool {
    point.components.iter().any(|part| part.name.name.contains(['*', '?']))
}

/// Says what of a pattern is passed over.
fn note_passed_over(point: &ProbePoint, refused: &[Diagnostic], resolver: &mut Resolver) {
    let Some(first) = refused.first() else { return };
    let parts: Vec<&str> = point.components.iter().map(|part| part.name.name.as_str()).collect();
    let others = match refused.len() {
        1 => String::new(),
        all => format!(", and {} more", all - 1),
    };
    resolver.note(format!("{}: passed over what is not here: {}{others}", parts.join("."), first.message));
}

impl Builder<'_, '_> {
    /// Statements of a block.
    pub(super) fn block(&mut self, block: &Block) -> Vec<Stmt> {
        block.stmts.iter().filter_map(|stmt| self.stmt(stmt)).collect()
    }

    /// `if (condition)` of a probe point: leaves the handler while it does not hold.
    fn condition(&mut self, condition: &Expr) -> Stmt {
        let locals = self.handler.locals.len();
        let cond = self.expr(condition);
        if let Some(message) = condition_fault(&cond, self.handler.locals.get(locals)) {
            let (message, at) = message;
            let error = Diagnostic::error("check::condition", format!("probe condition must not {message}"));
            self.cx.report(error.label(at, "only scalar globals may decide whether a probe is armed"));
        }
        let span = condition.span;
        let not = hir::Expr::new(hir::ExprKind::Not(Box::new(cond)), span);
        let next = Stmt { kind: StmtKind::Next, span };
        Stmt { kind: StmtKind::If(not, Box::new(next), None), span }
    }

    pub(super) fn stmt_itself(&mut self, stmt: &ast::Stmt) -> Option<Stmt> {
        use ast::StmtKind as Ast;
        if self.cx.has_enough() {
            return None;
        }
        let kind = match &stmt.kind {
            Ast::Expr(e) => StmtKind::Expr(self.expr(e)),
            Ast::Block(block) => StmtKind::Block(self.block(block)),
            Ast::Null => return None,
            Ast::If(cond, then, other) => match self.decided(cond) {
                Some(true) => return self.stmt(then),
                Some(false) => return other.as_deref().and_then(|other| self.stmt(other)),
                None => self.if_else(cond, then, other.as_deref()),
            },
            Ast::While(cond, body) => {
                let cond = self.expr(cond);
                self.conditional_loop(cond, 0, None, body)
            }
            Ast::For(init, cond, step, body) => self.for_loop(stmt.span, init, cond, step, body),
            Ast::Foreach(walk) => self.foreach(walk)?,
            Ast::Break | Ast::Continue if self.loops == 0 => {
                self.cx.report_late(outside_loop(&stmt.kind, stmt.span));
                if matches!(stmt.kind, Ast::Break) { StmtKind::Break } else { StmtKind::Continue }
            }
            Ast::Break => StmtKind::Break,
            Ast::Continue => StmtKind::Continue,
            Ast::Next => StmtKind::Next,
            Ast::Delete(target) => StmtKind::Delete(self.deleted(target)?),
            Ast::Return(value) => StmtKind::Return(value.as_ref().map(|e| self.returned(e))),
            Ast::Try(body, message, catch) => {
                let body = self.block(body);
                let mut copies = Vec::new();
                let message = message.as_ref().map(|name| self.taking(name, &mut copies));
                copies.extend(self.block(catch));
                StmtKind::Try { body, message, catch: copies }
            }
            Ast::EmbeddedC(code) => {
                self.cx.refuse_c(code.span);
                return None;
            }
        };
        Some(Stmt { kind, span: stmt.span })
    }

    /// The local that `catch` or `foreach` puts something into. Where the script names a global there, a statement copies it.
    fn taking(&mut self, name: &Ident, copies: &mut Vec<Stmt>) -> LocalId {
        if self.find_global(&name.name).is_none() {
            return self.assigned(name);
        }
        // No script can name it so.
        let own = Ident { name: format!("into {}", name.name), ..name.clone() };
        let local = self.assigned(&own);
        let ast = |kind: ast::ExprKind| Expr { kind, span: name.span, at: name.span };
        let named = |name: &Ident| Box::new(ast(ast::ExprKind::Var(name.name.clone())));
        let copy = ast(ast::ExprKind::Assign(AssignOp::Set, named(name), named(&own)));
        copies.push(Stmt { kind: StmtKind::Expr(self.expr(&copy)), span: name.span });
        local
    }

    /// What a function gives.
    fn returned(&mut self, e: &Expr) -> hir::Expr {
        let value = self.expr(e);
        learn(&mut self.returned, value.pointee);
        value
    }

    /// A statement that must be one, be it empty.
    fn one(&mut self, stmt: &ast::Stmt) -> Stmt {
        self.stmt(stmt).unwrap_or(Stmt { kind: StmtKind::Block(Vec::new()), span: stmt.span })
    }

    /// The body of a loop, where `break` and `continue` have a meaning.
    pub(super) fn loop_body(&mut self, stmt: &ast::Stmt) -> Stmt {
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
        let before = self.ahead.len();
        let cond = cond.as_ref().map_or_else(|| hir::Expr::long(1, span), |e| self.expr(e));
        let kept = self.ahead.len();
        let step = step.as_ref().map(|e| self.expr(e));
        if self.ahead.len() > kept {
            self.ahead.truncate(kept);
            self.cx.report(unsupported("pretty-printed variables in the step of a `for`", span));
        }
        let walk = Stmt { kind: self.conditional_loop(cond, before, step, body), span };
        StmtKind::Block(init.into_iter().chain([walk]).collect())
    }

    fn foreach(&mut self, walk: &ast::Foreach) -> Option<StmtKind> {
        let over = match &walk.over {
            Walked::Array(array, slice) => {
                let global = self.global(array, walk.keys.len())?;
                self.arity(global, walk.keys.len(), array.span);
                let slice = if slice.is_empty() { Vec::new() } else { self.slice(array, slice)?.1 };
                hir::Walked::Array(global, slice)
            }
            Walked::Histogram(e) => {
                let (global, keys) = self.histogram(e)?;
                hir::Walked::Buckets(global, keys)
            }
        };
        let mut copies = Vec::new();
        let keys: Vec<LocalId> = walk.keys.iter().map(|key| self.taking(key, &mut copies)).collect();
        let value = walk.value.as_ref().map(|value| self.taking(value, &mut copies));
        if let (hir::Walked::Array(global, _), Some(value)) = (&over, value) {
            learn(&mut self.handler.locals[value].pointee, self.program.globals[*global].pointee);
        }
        let sort = self.sort(walk, &over);
        let limit = walk.limit.as_ref().map(|e| self.expr(e));
        let mut body = self.loop_body(&walk.body);
        if !copies.is_empty() {
            let span = body.span;
            copies.push(body);
            body = Stmt { kind: StmtKind::Block(copies), span };
        }
        Some(StmtKind::Foreach(Box::new(hir::Foreach { over, keys, value, sort, limit, body })))
    }

    fn sort(&mut self, walk: &ast::Foreach, over: &hir::Walked) -> Sort {
        let Some((by, order, _)) = &walk.sort else {
            return Sort { by: SortBy::Unsorted, descending: false };
        };
        let (hir::Walked::Array(global, _) | hir::Walked::Buckets(global, _)) = over;
        let by = match by {
            ast::SortBy::Key(nth) => SortBy::Key(*nth as u32),
            // A plain mark sorts a statistic by its count.
            ast::SortBy::Value(None) => SortBy::Value(Extractor::Count),
            ast::SortBy::Value(Some(extractor)) => {
                let array = match &walk.over {
                    Walked::Array(array, _) => array.span,
                    Walked::Histogram(e) => e.span,
                };
                self.program.globals[*global].sorted_by_extractor = Some(array);
                SortBy::Value(extractor_of(*extractor))
            }
        };
        Sort { by, descending: *order == SortOrder::Descending }
    }

    /// The statistic of `@hist_log(s)` or `@hist_linear(s, …)`; its kind is noted.
    pub(super) fn histogram(&mut self, e: &Expr) -> Option<(hir::GlobalId, Vec<hir::Expr>)> {
        let (stat, histogram) = match &e.kind {
            ast::ExprKind::HistLog(stat) => (stat, Histogram::Log),
            ast::ExprKind::HistLinear(stat, [low, high, interval]) => {
                (stat, Histogram::Linear { low: *low, high: *high, interval: *interval })
            }
            _ => return self.refuse(not_a_histogram(e.span)),
        };
        let (global, keys) = self.statistic(stat)?;
        let known = &mut self.program.globals[global];
        if known.layout.histogram != Histogram::None && known.layout.histogram != histogram {
            let message = format!("multiple histogram types declared on '{}'", known.name);
            return self
                .refuse(Diagnostic::error("check::histograms", message).label(e.span, "another kind than before"));
        }
        known.layout.histogram = histogram;
        Some((global, keys))
    }

    /// What `delete` may name.
    fn deleted(&mut self, e: &Expr) -> Option<Target> {
        if let ast::ExprKind::Index(array, indexes) = &e.kind
            && indexes.iter().any(|index| matches!(index, ast::Index::Any(_)))
        {
            let (global, slice) = self.slice(array, indexes)?;
            return Some(Target::Slice(global, slice));
        }
        self.target(e)
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
            ast::ExprKind::Target(..)
            | ast::ExprKind::Cast { .. }
            | ast::ExprKind::Deref(..)
            | ast::ExprKind::GlobalVar { .. } => self.refuse(super::target::read_only(e, self.cx.options.guru)),
            _ => self.refuse(
                Diagnostic::error("check::lvalue", "Expecting lvalue for assignment").label(e.span, "not a variable"),
            ),
        }
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

/// The extractor's number in the host's table.
pub(super) fn extractor_of(extractor: ast::Extractor) -> Extractor {
    match extractor {
        ast::Extractor::Count => Extractor::Count,
        ast::Extractor::Sum => Extractor::Sum,
        ast::Extractor::Min => Extractor::Min,
        ast::Extractor::Max => Extractor::Max,
        ast::Extractor::Avg => Extractor::Avg,
        ast::Extractor::Variance => Extractor::Variance,
    }
}

fn not_a_histogram(at: Span) -> Diagnostic {
    Diagnostic::error("check::lvalue", "expected a histogram").label(at, "neither @hist_log nor @hist_linear")
}

/// What a probe condition may not do.
fn condition_fault(cond: &hir::Expr, local: Option<&Local>) -> Option<(&'static str, Span)> {
    use hir::ExprKind as E;
    if let Some(local) = local {
        return Some(("reference undeclared global", local.span));
    }
    let mut fault = None;
    let mut cond = cond.clone();
    hir::walk::expr_mut(&mut cond, &mut |e| {
        let found = match &e.kind {
            E::Call(..) | E::Intrinsic(..) | E::Print(..) | E::Format(..) => "reference function",
            E::Assign(..) | E::Step(..) | E::Aggregate(..) => "modify any variables",
            E::Element(..) | E::In(..) | E::Stat(..) | E::Bucket(..) | E::Histogram(..) => "reference arrays",
            E::Arg { .. } | E::Load(_) => "reference target variables",
            _ => return,
        };
        fault.get_or_insert((found, e.at));
    });
    fault
}
