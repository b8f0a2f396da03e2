//! The places that probe points stand for, as `-l` and `-L` list them.

use super::alias::Aliases;
use super::context::Options;
use super::{check, resolver};
use crate::hir::Type;
use crate::kernel::btf::Btf;
use crate::probe::{self, Listing};
use crate::syscall::{Call, calls, listed};
use crate::world::World;
use tapster_lang::ast::{Item, ProbePoint, Script};
use tapster_lang::preprocess::glob;

/// Lists the places of the first script's probes by name, each once; with `variables` what a handler can ask for there.
/// The other scripts are the library's. What cannot be resolved is not there.
pub fn places(scripts: &[Script], world: &dyn World, options: &Options, variables: bool) -> Vec<String> {
    let btf = world.btf("vmlinux").and_then(Btf::new);
    let aliases = Aliases::new(scripts);
    let mut resolver = resolver(world, btf.as_ref(), options, &[]);
    resolver.listing = if variables { Listing::Variables } else { Listing::Names };
    for point in points(scripts) {
        let named = aliases.named(point);
        let (patterns, named): (Vec<ProbePoint>, Vec<ProbePoint>) = named.into_iter().partition(is_pattern);
        resolver.listed.extend(patterns.iter().flat_map(|pattern| system_calls(pattern, variables)));
        resolver.listed.extend(named.iter().filter_map(|name| of_alias(name, scripts, world, options, variables)));
        if named.is_empty() && patterns.is_empty() {
            let sites = probe::resolve(point, &mut resolver, aliases.firsts()).unwrap_or_default();
            sites.iter().for_each(|site| resolver.listed.add(site, btf.as_ref().filter(|_| variables)));
        }
    }
    resolver.listed.finish()
}

fn points(scripts: &[Script]) -> impl Iterator<Item = &ProbePoint> {
    let probes = scripts.iter().take(1).flat_map(|script| &script.items).filter_map(|item| match item {
        Item::Probe(probe) => Some(probe),
        _ => None,
    });
    probes.flat_map(|probe| &probe.points)
}

/// Whether an alias is itself a pattern: that of system calls, which are probed at one place (`crate::syscall`).
fn is_pattern(name: &ProbePoint) -> bool {
    name.components.get(1).is_some_and(|part| part.name.name.contains('*'))
}

/// The system calls that a pattern stands for, with what their variables are.
fn system_calls(pattern: &ProbePoint, variables: bool) -> Vec<String> {
    let asked = pattern.components[1].name.name.as_bytes();
    let returns = pattern.components.get(2).is_some_and(|part| part.name.name == "return");
    let one = |call: &Call, name: &str| {
        let mut point = pattern.clone();
        point.components[1].name.name = name.into();
        point.to_string() + &if variables { listed(call, returns) } else { String::new() }
    };
    let of_call = |call: Call| -> Vec<String> {
        call.names.iter().filter(|name| glob(asked, name.as_bytes())).map(|name| one(&call, name)).collect()
    };
    calls().flat_map(of_call).collect()
}

/// An alias whose points exist, with the variables that it sets.
fn of_alias(
    name: &ProbePoint,
    scripts: &[Script],
    world: &dyn World,
    options: &Options,
    variables: bool,
) -> Option<String> {
    let mut scripts = scripts.to_vec();
    for item in &mut scripts.first_mut()?.items {
        if let Item::Probe(probe) = item {
            probe.points = vec![name.clone()];
        }
    }
    let options = Options { elide: false, ..options.clone() };
    let checked = check(&scripts, world, &options).ok()?;
    let locals = &checked.program.probes.first()?.handler.locals;
    let shown = locals.iter().filter(|local| variables && local.assigned && local.slot.ty != Type::Unknown);
    let text = |text: String, local: &crate::hir::Local| format!("{text} {}:{}", local.name, local.slot.ty.name());
    Some(shown.filter(|local| !local.name.contains(' ')).fold(name.to_string(), text))
}
