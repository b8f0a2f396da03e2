//! Collects what scripts declare at top level, before any handler is looked at.

use super::context::Context;
use crate::hir::{Global, Shape, Slot, Type};
use tapster_lang::ast::{self, Expr, ExprKind, Item, Literal, Script};

/// Globals of all scripts, in order.
pub fn globals(scripts: &[Script], cx: &mut Context) -> Vec<Global> {
    let mut globals: Vec<Global> = Vec::new();
    for item in scripts.iter().flat_map(|script| &script.items) {
        match item {
            Item::Global(global) => globals.push(declare(global, cx)),
            Item::EmbeddedC(code) => cx.report(crate::probe::unsupported(EMBEDDED_C, code.span)),
            Item::Function(function) => cx.report(crate::probe::unsupported("functions", function.name.span)),
            Item::Alias(alias) => cx.report(crate::probe::unsupported("probe aliases", alias.span)),
            Item::Probe(_) => {}
        }
    }
    globals
}

fn declare(global: &ast::Global, cx: &mut Context) -> Global {
    if global.wrap {
        cx.report(crate::probe::unsupported("wrapping arrays (`%`)", global.name.span));
    }
    let ty = match &global.init {
        None => Type::Unknown,
        Some((Literal::Number(_), _)) => Type::Long,
        Some((Literal::String(_), _)) => Type::String,
    };
    let scalar = global.init.is_some().then(Vec::new);
    Global {
        name: global.name.name.clone(),
        span: global.name.span,
        keys: scalar,
        keys_from: global.name.span,
        value: Slot { ty, shape: Shape::None },
        value_from: global.init.as_ref().map_or(global.name.span, |(_, span)| *span),
        init: global.init.as_ref().map(|(literal, _)| literal.clone()),
        max_entries: global.size.map_or(cx.options.max_entries, |(size, _)| u32::try_from(size).unwrap_or(u32::MAX)),
        sized: global.size.is_some(),
        ..Global::default()
    }
}

/// What embedded C is called where it is refused: guru mode alone lets the parser take it.
pub const EMBEDDED_C: &str = "pieces of C (`%{ … %}`)";

/// All string literals of the scripts: some probes stand at more places for the sake of the caches they name.
pub fn strings(scripts: &[Script]) -> Vec<String> {
    let mut strings = Vec::new();
    let mut add = |bytes: &[u8]| strings.extend(core::str::from_utf8(bytes).map(str::to_owned));
    for item in scripts.iter().flat_map(|script| &script.items) {
        match item {
            Item::Global(global) => {
                if let Some((Literal::String(bytes), _)) = &global.init {
                    add(bytes);
                }
            }
            Item::Probe(probe) => super::walk::exprs(&probe.body, &mut |expr: &Expr| {
                if let ExprKind::Literal(Literal::String(bytes)) = &expr.kind {
                    add(bytes);
                }
            }),
            _ => {}
        }
    }
    strings
}
