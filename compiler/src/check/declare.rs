//! Collects what scripts declare at top level, before any handler is looked at.

use super::context::{Context, Options};
use super::names::Names;
use crate::hir::{Global, Shape, Slot, Type};
use crate::suggest::did_you_mean;
use tapster_lang::Diagnostic;
use tapster_lang::ast::{self, Expr, ExprKind, Item, Literal, Script};

/// Globals of all scripts, in order.
pub fn globals<'s>(scripts: &'s [Script], names: &mut Names<'s>, cx: &mut Context) -> Vec<Global> {
    let mut globals: Vec<Global> = Vec::new();
    for (file, script) in scripts.iter().enumerate() {
        for item in &script.items {
            let Item::Global(global) = item else { continue };
            match names.declare(global, file, globals.len()) {
                None => globals.push(declare(global, cx)),
                Some(other) => {
                    let error = Diagnostic::error("check::duplicate-global", "duplicate global name")
                        .label(global.name.span, "declared again")
                        .label(globals[other].span, "first declared here");
                    cx.report(error);
                }
            }
        }
    }
    globals
}

fn declare(global: &ast::Global, cx: &mut Context) -> Global {
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
        wrap: global.wrap,
        ..Global::default()
    }
}

/// Gives globals the initial values that the command line has for them. Their types are known by now.
pub fn overrides(globals: &mut [Global], cx: &mut Context) {
    for (name, value) in &cx.options.globals {
        let init = match globals.iter_mut().find(|global| global.name == *name) {
            Some(global) => initial(global, value).map(|init| global.init = Some(init)),
            None => Err(no_global(name, globals)),
        };
        if let Err(error) = init {
            cx.report(error);
        }
    }
}

/// What `-G` gives a global of this type.
fn initial(global: &Global, value: &str) -> Result<Literal, Diagnostic> {
    let refused = |what: &str| {
        let message = format!("-G cannot set '{}': {what}", global.name);
        Err(Diagnostic::error("check::override", message).label(global.span, "declared here"))
    };
    match global.value.ty {
        _ if global.is_array() => refused("only scalar globals have an initial value"),
        Type::Stats => refused("a statistic has no initial value"),
        Type::String => Ok(Literal::String(value.as_bytes().to_vec())),
        Type::Long | Type::Unknown => match Options::number(value) {
            Some(number) => Ok(Literal::Number(number)),
            None => refused(&format!("it is a number, and '{value}' is none")),
        },
    }
}

fn no_global(name: &str, globals: &[Global]) -> Diagnostic {
    let error = Diagnostic::error("check::override", format!("-G cannot set '{name}': no such global"));
    match did_you_mean(name, globals.iter().map(|global| global.name.as_str())) {
        Some(help) => error.help(help),
        None => error,
    }
}

/// All strings of the scripts and of `-G`: some probes stand at more places for the sake of the caches they name.
pub fn strings(scripts: &[Script], options: &Options) -> Vec<String> {
    let mut strings: Vec<String> = options.globals.iter().map(|(_, value)| value.clone()).collect();
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
