//! `kernel.function("CALLER").callee("NAME")`: functions of the kernel as certain others call them, told by where they
//! return to.

use super::function::{meant, no_match, stand_by, too_many_callers};
use super::ladder::Asked;
use super::pattern::{is_pattern, source_name};
use super::site::{Resolver, Site, Sites, mismatch, text};
use super::suffix;
use crate::hir::{ArgSource, Expr, ExprKind, Place, Type};
use crate::image::Attach;
use crate::world::Rung;
use std::rc::Rc;
use tapster_lang::ast::ProbePoint;
use tapster_lang::preprocess::glob;
use tapster_lang::{Diagnostic, Span};

/// Callers that each call is held against.
const CALLERS_MAX: usize = 32;
/// Rungs on which the kernel knows who calls: a tracepoint stands somewhere within.
const RUNGS: [Rung; 3] = [Rung::Fentry, Rung::KprobeMulti, Rung::Kprobe];

/// `.callee("NAME")`, perhaps with `.call` or `.return`.
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let (caller, caller_at) = text(&point.components[1])?;
    let (name, at) = text(&point.components[2])?;
    let suffix = match point.components.get(3).map(|part| part.name.name.as_str()) {
        None | Some("call" | "return") => suffix::read(point, 3)?,
        Some(_) => return Err(mismatch(point, 3, ["call", "return"])),
    };
    let callers = ranges((caller, caller_at), resolver)?;
    let asked = Asked { name, suffix, registers: false, lenient: is_pattern(name), at };
    let mut functions = meant(&asked, resolver)?;
    let shown: Rc<str> = caller.into();
    functions.iter_mut().for_each(|function| function.caller = Some(Rc::clone(&shown)));
    let mut sites = stand_by(&asked, &functions, Some(&RUNGS), resolver)?;
    sites.iter_mut().for_each(|site| guard(site, &callers));
    Ok(sites)
}

/// Where functions lie, from the first byte to where the next symbol begins: what the compiler has split off them too.
fn ranges((pattern, at): (&str, Span), resolver: &Resolver) -> Result<Vec<(u64, u64)>, Diagnostic> {
    let symbols = resolver.world.symbols().unwrap_or_default().lines().filter(|line| !line.contains('\t'));
    let mut starts = Vec::new();
    let mut meant = Vec::new();
    for line in symbols {
        let mut words = line.split(' ');
        let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
        let Some(address) = u64::from_str_radix(address, 16).ok().filter(|address| *address > 0) else { continue };
        starts.push(address);
        if matches!(kind, "t" | "T" | "w" | "W") && glob(pattern.as_bytes(), source_name(name).as_bytes()) {
            meant.push(address);
        }
    }
    if starts.is_empty() {
        return Err(no_addresses(at));
    }
    if meant.is_empty() {
        return Err(no_match(resolver, resolver.btf(at)?, pattern, at));
    }
    starts.sort_unstable();
    meant.sort_unstable();
    meant.dedup();
    if meant.len() > CALLERS_MAX {
        return Err(too_many_callers(pattern, meant.len(), CALLERS_MAX, at));
    }
    let end = |from: u64| starts.get(starts.partition_point(|start| *start <= from)).copied();
    Ok(meant.into_iter().filter_map(|from| Some((from, end(from)?))).collect())
}

/// Has a handler run only for the calls of these. A trampoline knows who calls at the return, too; of others the entry is
/// asked.
fn guard(site: &mut Site, callers: &[(u64, u64)]) {
    let source = ArgSource::CalledFrom(callers.to_vec());
    let kind = ExprKind::Arg { source, size: 8, signed: false, typed: false };
    let guard = Some(Expr { ty: Type::Long, ..Expr::new(kind, Span::NONE) });
    let is_trampoline = matches!(site.place, Place::Kernel { attach: Attach::Fentry { .. }, .. });
    match &mut site.context.entry {
        Some(entry) if !is_trampoline => entry.context.guard = guard,
        _ => site.context.guard = guard,
    }
}

fn no_addresses(at: Span) -> Diagnostic {
    Diagnostic::error("probe::no-symbols", "/proc/kallsyms does not tell where functions are")
        .label(at, "nobody knows what it calls")
        .help("run as root, or with CAP_SYSLOG, where kernel.kptr_restrict hides addresses")
}
