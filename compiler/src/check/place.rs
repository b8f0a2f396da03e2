//! A probe at the places it stands at: those where its handler comes out the same share one program.

use super::build::{Written, handler};
use super::context::Context;
use super::entry::Kept;
use super::instance::Instances;
use super::names::Names;
use crate::hir::{self, Handler, Place, Program};
use crate::image::Moment;
use crate::probe::{Resolver, Site};
use std::collections::HashMap;
use tapster_lang::ast::{Block, FunctionBody};

/// Builds the handler at every site, and a probe for each that is not the same as another's.
pub(super) fn place(
    written: &Written,
    sites: Vec<Site>,
    (names, instances): (&Names, &mut Instances),
    program: &mut Program,
    resolver: &mut Resolver,
    cx: &mut Context,
) {
    let first = program.probes.len();
    // What guards a place may differ from place to place, too.
    let asks = sites.len() > 1 && (asks_site(written, names) || sites.iter().any(is_guarded));
    // By what the handler became: the probe that has it. Where it asks nothing of its site it is the same everywhere.
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut kept = Kept::default();
    for mut site in sites {
        if !asks && known.get("").is_some_and(|at| share(&mut program.probes[first..=*at], &site, written)) {
            continue;
        }
        let mark = cx.mark();
        let built = handler(written, &site, (names, instances), program, (resolver, &mut kept), cx);
        let key = if asks { format!("{built:?}") } else { String::new() };
        if let Some(at) = known.get(&key).filter(|_| asks)
            && share(&mut program.probes[first..=*at], &site, written)
        {
            cx.rewind(mark);
            continue;
        }
        if let (Some(entry), Some(place)) = (built.entry, site.context.entry.take()) {
            program.probes.push(probe(*place, entry, written));
        }
        known.insert(key, program.probes.len());
        program.probes.push(probe(site, built.handler, written));
    }
}

/// Whether a condition of the place stands before its handler, at this end of a call or at the other.
fn is_guarded(site: &Site) -> bool {
    site.context.guard.is_some() || site.context.entry.as_ref().is_some_and(|entry| is_guarded(entry))
}

fn probe(site: Site, handler: Handler, written: &Written) -> hir::Probe {
    hir::Probe {
        point: site.point,
        sites: Vec::new(),
        name: written.point.to_string(),
        lenient: site.lenient,
        span: written.probe.span,
        place: site.place,
        handler,
    }
}

/// Has the last of some probes stand at one more place, and the one at its function's entry, which stands before it; not
/// where that takes programs of their own.
fn share(probes: &mut [hir::Probe], site: &Site, written: &Written) -> bool {
    let Some((probe, before)) = probes.split_last_mut() else { return false };
    if !join(probe, site, written.expanded.point.to_string()) {
        return false;
    }
    if let (Some(entry), Some(place)) = (before.last_mut(), &site.context.entry)
        && is_entry(entry, probe)
    {
        join(entry, place, entry.point.clone());
    }
    true
}

/// Whether a probe is the one at the entry of another's function.
fn is_entry(entry: &hir::Probe, probe: &hir::Probe) -> bool {
    let of = |probe: &hir::Probe| match &probe.place {
        Place::Kernel { attach, .. } => (attach.moment(), attach.functions().first().cloned()),
        _ => (Moment::Entry, None),
    };
    let (entry, probe) = (of(entry), of(probe));
    entry.0 == Moment::Entry && probe.0 == Moment::Return && entry.1 == probe.1
}

/// Has a probe stand at one more place; `all` stands for all of them.
fn join(probe: &mut hir::Probe, site: &Site, all: String) -> bool {
    let (Place::Kernel { attach, .. }, Place::Kernel { attach: other, .. }) = (&mut probe.place, &site.place) else {
        return false;
    };
    if !attach.join(other) {
        return false;
    }
    if probe.sites.is_empty() {
        probe.sites.push(core::mem::replace(&mut probe.point, all));
    }
    probe.sites.push(site.point.clone());
    true
}

/// Whether a handler may come out differently at each place: a `$` in its text, or in that of a function.
fn asks_site(written: &Written, names: &Names) -> bool {
    let expanded = written.expanded;
    let blocks = expanded.before.iter().chain(&expanded.after).map(|(block, _)| *block);
    let asks = |block: &Block| block.to_string().contains('$');
    let functions = names.definitions.iter().filter_map(|(function, _)| match &function.body {
        FunctionBody::Script(body) => Some(body),
        _ => None,
    });
    let conditions = expanded.conditions.iter().any(|(condition, _)| condition.to_string().contains('$'));
    conditions || blocks.chain([&written.probe.body]).any(asks) || functions.into_iter().any(asks)
}
