//! A probe at the places it stands at: those where its handler comes out the same share one program.

use super::build::{Written, handler};
use super::context::Context;
use super::instance::Instances;
use super::names::Names;
use crate::hir::{self, Place, Program};
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
    let asks = sites.len() > 1 && asks_site(written, names);
    // By what the handler became: the probe that has it. Where it asks nothing of its site it is the same everywhere.
    let mut known: HashMap<String, usize> = HashMap::new();
    for site in sites {
        if !asks && first < program.probes.len() && share(&mut program.probes[first], &site, written) {
            continue;
        }
        let mark = cx.mark();
        let user = (&written.probe.body, written.file);
        let built = handler(written.expanded, user, &site, (names, instances), program, resolver, cx);
        let key = if asks { format!("{built:?}") } else { String::new() };
        if let Some(known) = known.get(&key).filter(|_| asks)
            && share(&mut program.probes[*known], &site, written)
        {
            cx.rewind(mark);
            continue;
        }
        known.insert(key, program.probes.len());
        program.probes.push(hir::Probe {
            point: site.point,
            sites: Vec::new(),
            name: written.point.to_string(),
            lenient: site.lenient,
            span: written.probe.span,
            place: site.place,
            handler: built,
        });
    }
}

/// Has a probe stand at one more place; not where that takes a program of its own.
fn share(probe: &mut hir::Probe, site: &Site, written: &Written) -> bool {
    let (Place::Kernel { attach, .. }, Place::Kernel { attach: other, .. }) = (&mut probe.place, &site.place) else {
        return false;
    };
    if !attach.join(other) {
        return false;
    }
    if probe.sites.is_empty() {
        let all = written.expanded.point.to_string();
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
