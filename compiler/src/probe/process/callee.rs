//! `.function("CALLER").callee("NAME")`: functions as certain others call them, told by where they return to.

use super::asked::{Asked, Moment};
use super::binary::{Binary, matches};
use super::dwarf::{Debug, Function, Sections, Types};
use super::function::{no_debuginfo, no_match, of_function};
use super::register;
use super::value::Value;
use super::who::both;
use crate::hir::{Arith, Compare, Expr, ExprKind, Type};
use crate::probe::function::too_many_callers;
use crate::probe::site::{Resolver, Site, Sites, mismatch, no_more, text};
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};

/// Callers that each call is held against.
const CALLERS_MAX: usize = 32;

/// `.callee("NAME")`, perhaps with `.call` or `.return`.
pub fn resolve<'a>(binary: &Binary<'a>, point: &ProbePoint, nth: usize, resolver: &mut Resolver<'a>) -> Sites {
    let part = &point.components[nth + 1];
    let (wanted, at) = text(part)?;
    let moment = match point.components.get(nth + 2).map(|part| part.name.name.as_str()) {
        None | Some("call") => Moment::Call,
        Some("return") => Moment::Return,
        Some(_) => return Err(mismatch(point, nth + 2, ["call", "return"])),
    };
    no_more(point, nth + 3)?;
    let (caller, caller_at) = text(&point.components[nth])?;
    let (asked, by) = (Asked::parse(wanted, at, moment)?, Asked::parse(caller, caller_at, Moment::Call)?);
    let sections = Sections::find(&binary.path, &binary.elf, resolver.world).ok_or_else(|| no_debuginfo(binary, at))?;
    let debug = Debug::new(&sections);
    let named = |asked: &Asked| {
        let mut functions = debug.functions(|name| matches(asked.name, name), &[]);
        functions.retain(|function| asked.takes(function) && debug.spans(function, asked.lines));
        functions.dedup_by_key(|function| function.address);
        if functions.is_empty() { Err(no_match(binary, asked, Some(&sections))) } else { Ok(functions) }
    };
    let (functions, callers) = (named(&asked)?, named(&by)?);
    if callers.len() > CALLERS_MAX {
        return Err(too_many_callers(caller, callers.len(), CALLERS_MAX, caller_at));
    }
    resolver.limit(wanted, functions.len(), at)?;
    let mut variables = resolver.btf.map(|btf| Types::new(&debug, btf));
    let mut sites = Vec::new();
    for function in &functions {
        let types = variables.as_mut();
        let site = of_function(binary, &asked, &debug, function, types, functions.len() > 1, resolver);
        let guard = called_from(&debug, function, &callers);
        sites.extend(site.zip(guard).map(|(site, guard)| called(site, caller, guard)));
    }
    if let Some(types) = variables {
        types.add_all();
    }
    if sites.is_empty() { Err(no_frame(wanted, at)) } else { Ok(sites) }
}

/// The site of a function for the calls that the guard holds for.
fn called(mut site: Site, caller: &str, guard: Expr) -> Site {
    site.point = site.point.replacen(".function(", &format!(".function(\"{caller}\").callee("), 1);
    // Who called is told where the call begins.
    match &mut site.context.entry {
        Some(entry) => entry.context.guard = Some(guard),
        None => site.context.guard = Some(guard),
    }
    site
}

/// Whether the call goes back into one of some functions. The file may be anywhere in memory: what counts is how far
/// apart both are.
fn called_from(debug: &Debug, function: &Function, callers: &[Function]) -> Option<Expr> {
    let start = debug.start(function);
    let here = Value::register(register::INSTRUCTION.offset, 8, false);
    let back = debug.goes_back_to(start)?.arith(Arith::Sub, here).plus(start.address as i64);
    let within = |caller: &Function| {
        // Behind a call is where it goes on: not the first byte of a function, perhaps the one behind its last.
        both(compared(Compare::Gt, &back, caller.address), compared(Compare::Le, &back, caller.end))
    };
    callers.iter().map(within).reduce(|one, other| number(ExprKind::Or(Box::new(one), Box::new(other))))
}

fn compared(how: Compare, value: &Value, bound: u64) -> Expr {
    let bound = Expr::long(bound as i64, Span::NONE);
    number(ExprKind::Compare(how, Box::new(value.clone().expr()), Box::new(bound)))
}

fn number(kind: ExprKind) -> Expr {
    Expr { ty: Type::Long, ..Expr::new(kind, Span::NONE) }
}

fn no_frame(wanted: &str, at: Span) -> Diagnostic {
    let message = format!("the debug information does not say where `{wanted}` keeps what it returns to");
    Diagnostic::error("probe::no-match", message).label(at, "nobody knows who calls it")
}
