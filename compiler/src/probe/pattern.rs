//! Which functions of the kernel a pattern stands for.
//!
//! BTF has their prototypes; what ftrace lists, where it may be read, says which of them can be probed, and which the
//! compiler has renamed (`f.isra.0`, `f.constprop.0`, `f.part.0`).

use super::ladder::Function;
use super::site::Resolver;
use crate::kernel::btf::{Btf, Kind, TypeId};
use std::collections::{BTreeMap, HashSet};
use tapster_lang::preprocess::glob;

/// Whether a name stands for several.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// The part of a compiler's name for a function that stands in the source: `f` of `f.isra.0`.
pub fn source_name(symbol: &str) -> &str {
    symbol.split_once('.').map_or(symbol, |(name, _)| name)
}

/// The functions of the core kernel that a pattern stands for, by name; and the names of those that nobody may probe.
pub fn functions<'b>(btf: &'b Btf<'b>, pattern: &str, resolver: &Resolver) -> (Vec<Function>, Vec<&'b str>) {
    let matching = |name: &str| glob(pattern.as_bytes(), name.as_bytes());
    let mut typed: BTreeMap<&str, TypeId> = BTreeMap::new();
    for (id, name) in btf.of_kind(Kind::Func).filter(|(_, name)| matching(name)) {
        typed.entry(name).or_insert(id);
    }
    let function = |name: &str, btf_id: TypeId| Function { name: name.into(), btf_id, since: None };
    let Some(listed) = resolver.world.traceable() else {
        return (typed.into_iter().map(|(name, id)| function(name, id)).collect(), Vec::new());
    };
    // `name`, and behind a blank the module.
    let core = listed.lines().filter(|line| !line.contains(' ') && !line.starts_with("__ftrace_invalid"));
    let mut found: Vec<Function> = Vec::new();
    let mut traced: HashSet<&str> = HashSet::new();
    for symbol in core.filter(|symbol| matching(source_name(symbol))) {
        let known = typed.get(symbol).or_else(|| typed.get(source_name(symbol)));
        found.push(function(symbol, known.copied().unwrap_or(0)));
        traced.insert(source_name(symbol));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    (found, typed.into_keys().filter(|name| !traced.contains(name)).collect())
}

/// What the compiler has made of a function that has no symbol of its name.
pub fn variants(name: &str, resolver: &Resolver) -> Vec<String> {
    let Some(listed) = resolver.world.traceable() else { return Vec::new() };
    let of = |line: &&str| line.len() > name.len() && source_name(line) == name && !line.contains(' ');
    listed.lines().filter(of).map(str::to_owned).collect()
}

/// Whether ftrace lists a function; `None` where it does not tell.
pub fn is_listed(name: &str, resolver: &Resolver) -> Option<bool> {
    resolver.world.traceable().map(|listed| listed.lines().any(|line| line == name))
}
