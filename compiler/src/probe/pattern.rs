//! Which functions of the kernel a pattern stands for.
//!
//! BTF has their prototypes; what ftrace lists, where it may be read, says which of them can be probed, and which the
//! compiler has renamed (`f.isra.0`, `f.constprop.0`, `f.part.0`).

use super::ladder::Function;
use super::site::Resolver;
use crate::kernel::btf::{Btf, Kind, TypeId};
use std::collections::HashSet;
use std::rc::Rc;
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
    let listed = resolver.world.traceable().map(|list| list.lines().filter(|line| !line.contains(' ')));
    chosen(&typed(btf, pattern), listed, pattern)
}

/// The functions of a module that a pattern stands for, likewise.
pub fn module_functions<'b>(
    btf: Option<&'b Btf<'b>>,
    (module, pattern): (&str, &str),
    resolver: &Resolver<'b>,
) -> (Vec<Function>, Vec<&'b str>) {
    let world = resolver.world;
    let types = btf.and_then(|btf| btf.module(module, world.btf(module)?));
    let typed = types.map(|types| typed(types, pattern)).unwrap_or_default();
    let listed: Option<Vec<&str>> = match (world.traceable(), world.symbols()) {
        (Some(list), _) => Some(list.lines().filter_map(|line| traced(line, module)).collect()),
        (None, Some(symbols)) => Some(symbols.lines().filter_map(|line| function(line, module)).collect()),
        (None, None) => None,
    };
    let (mut functions, left_out) = chosen(&typed, listed.map(Vec::into_iter), pattern);
    let module: Rc<str> = module.into();
    functions.iter_mut().for_each(|function| function.module = Some(Rc::clone(&module)));
    (functions, left_out)
}

/// The functions that have prototypes, by name: the first of those of one name.
fn typed<'b>(btf: &'b Btf<'b>, pattern: &str) -> Vec<(&'b str, TypeId)> {
    let functions = btf.of_kind(Kind::Func).filter(|(_, name)| glob(pattern.as_bytes(), name.as_bytes()));
    let mut typed: Vec<(&str, TypeId)> = functions.map(|(id, name)| (name, id)).collect();
    typed.sort();
    typed.dedup_by_key(|(name, _)| *name);
    typed
}

/// Those of a list that a pattern stands for, or all with prototypes where there is no list.
fn chosen<'b, 'l>(
    typed: &[(&'b str, TypeId)],
    listed: Option<impl Iterator<Item = &'l str>>,
    pattern: &str,
) -> (Vec<Function>, Vec<&'b str>) {
    let Some(listed) = listed else {
        return (typed.iter().map(|(name, id)| Function::new(name, *id)).collect(), Vec::new());
    };
    let prototype = |name: &str| {
        let nth = typed.binary_search_by_key(&name, |(name, _)| name).ok()?;
        Some(typed[nth].1)
    };
    let mut found: Vec<Function> = Vec::new();
    let mut traced: HashSet<&str> = HashSet::new();
    let is_asked = |symbol: &&str| glob(pattern.as_bytes(), source_name(symbol).as_bytes());
    for symbol in listed.filter(is_asked).filter(|symbol| !symbol.starts_with("__ftrace_invalid")) {
        let known = prototype(symbol).or_else(|| prototype(source_name(symbol)));
        found.push(Function::new(symbol, known.unwrap_or(0)));
        traced.insert(source_name(symbol));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    (found, typed.iter().map(|(name, _)| *name).filter(|name| !traced.contains(name)).collect())
}

/// The function in a line of ftrace's list, where it is this module's: `name [module]`.
fn traced<'l>(line: &'l str, module: &str) -> Option<&'l str> {
    let (name, of) = line.split_once(" [")?;
    (of.strip_suffix(']') == Some(module)).then_some(name)
}

/// The function in a line of the table of symbols, likewise: `address t name`, a tab and `[module]`.
fn function<'l>(line: &'l str, module: &str) -> Option<&'l str> {
    let (symbol, of) = line.split_once('\t')?;
    let mut words = symbol.split(' ').skip(1);
    let is_function = matches!(words.next(), Some("t" | "T" | "w" | "W"));
    let name = words.next().filter(|name| !name.starts_with("__pfx_") && !name.contains(".cold"))?;
    (is_function && of.strip_prefix('[')?.strip_suffix(']')? == module).then_some(name)
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
