//! Counters of perf events: the points that name them, and `@perf("NAME")`, which reads them.

use super::alias::Aliases;
use super::builder::Builder;
use super::context::Context;
use crate::counter::function;
use crate::hir::{ArgSource, Expr, ExprKind, Type};
use crate::probe::{self, COUNTER, Resolver};
use crate::suggest::did_you_mean;
use tapster_lang::ast::{self, Ident, Item, Literal, Script};
use tapster_lang::{Diagnostic, Span};

/// Notes the counters of all scripts: a handler may read one that only a later point names. What is wrong with a point
/// is said where its probe is built.
pub(super) fn declare(scripts: &[Script], aliases: &Aliases, resolver: &mut Resolver, cx: &mut Context) {
    let said = cx.diagnostics.len();
    for (file, script) in scripts.iter().enumerate() {
        let probes =
            script.items.iter().filter_map(|item| if let Item::Probe(probe) = item { Some(probe) } else { None });
        let points = probes.flat_map(|probe| &probe.points);
        for point in points.filter(|point| point.components.iter().any(|part| part.name.name == COUNTER)) {
            for expanded in aliases.expand(point, file, cx) {
                let _ = probe::resolve(&expanded.point, resolver, aliases.firsts());
            }
        }
    }
    cx.diagnostics.truncate(said);
}

impl Builder<'_, '_> {
    /// `@perf("NAME")`: what was counted while this thread ran; in the library, what this CPU has counted.
    pub(super) fn counter(&mut self, name: &ast::Expr, span: Span) -> Option<Expr> {
        let ast::ExprKind::Literal(Literal::String(bytes)) = &name.kind else { return None };
        let text = String::from_utf8_lossy(bytes);
        match (self.counters.get(text.as_ref()), self.names.is_library(self.file)) {
            (Some(event), true) => {
                let source = ArgSource::Counter(*event);
                let kind = ExprKind::Arg { source, size: 8, signed: true, typed: false };
                Some(Expr { ty: Type::Long, ..Expr::new(kind, span) })
            }
            (Some(_), false) => self.call(&Ident { name: function(&text), span }, &[], span),
            // Whoever reads it has been told.
            (None, true) => Some(Expr::long(0, span)),
            (None, false) => {
                let known = self.counters.keys().map(String::as_str);
                let error = Diagnostic::error("target::no-counter", format!("no probe counts anything as `{text}`"))
                    .label(name.span, "counted nowhere");
                let help = did_you_mean(&text, known)
                    .unwrap_or_else(|| format!("name a counter: probe perf.sw.page_faults.counter(\"{text}\") {{}}"));
                self.refuse(error.help(help))
            }
        }
    }
}
