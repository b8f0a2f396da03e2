//! `kernel.function("PATTERN")`: kernel functions by name, each on the best rung of the ladder this kernel offers.
//!
//! Names that kernels changed are translated by the rows of [`crate::kernel::renames`], and said in a note.

use super::callee;
use super::ladder::{self, Asked, Function, Ladder};
use super::pattern::{self, is_pattern};
use super::site::{Listing, Resolver, Site, Sites, text};
use super::source;
use super::suffix;
use super::tracepoint;
use crate::hir::Place;
use crate::image::Attach;
use crate::kernel::btf::{Btf, Kind, TypeId};
use crate::kernel::renames::{self, COMPANIONS, CompanionRow, FUNCTIONS, STAND_INS, SUFFIXES, When};
use crate::suggest::did_you_mean;
use crate::world::Rung;
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};

/// As many places as a point may stand for, where nobody said otherwise.
const DEFAULT_MOST: usize = tapster_runtime_ebpf::limits::MAXPROBES as usize;
/// Functions that are probed where the kernel takes them one by one: it needs milliseconds to attach to each, and tens of
/// them to detach again.
const ONE_BY_ONE: usize = 2_000;
/// Functions that a note names; the others are counted.
const NAMED: usize = 8;

/// `kernel.function("PATTERN")` with what may follow.
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let (asked, at) = text(&point.components[1])?;
    if let Some(sites) = source::functions(point, resolver) {
        return sites;
    }
    if point.components.get(2).is_some_and(|part| part.name.name == "callee") {
        return callee::resolve(point, resolver);
    }
    let suffix = suffix::read(point, 2)?;
    let name = without_file(asked, resolver);
    let asked = Asked { name, suffix, registers: false, lenient: is_pattern(name), at };
    let functions = meant(&asked, resolver)?;
    stand(&asked, &functions, resolver)
}

/// The functions that a name or a pattern stands for.
pub fn meant(asked: &Asked, resolver: &mut Resolver) -> Result<Vec<Function>, Diagnostic> {
    if asked.lenient { matching(asked, resolver) } else { named(asked, resolver) }
}

/// Stands at each function on the best rung.
pub fn stand(asked: &Asked, functions: &[Function], resolver: &mut Resolver) -> Sites {
    stand_by(asked, functions, None, resolver)
}

/// The same on the best of certain rungs.
pub fn stand_by(asked: &Asked, functions: &[Function], rungs: Option<&[Rung]>, resolver: &mut Resolver) -> Sites {
    let btf = resolver.btf;
    if resolver.listing != Listing::No {
        let btf = btf.filter(|_| resolver.listing == Listing::Variables);
        functions.iter().for_each(|function| ladder::list(btf, function, asked, &mut resolver.listed));
        return Ok(Vec::new());
    }
    let mut ladder = Ladder::new(asked, functions.len());
    let mut sites: Vec<Site> = Vec::with_capacity(functions.len());
    let mut refused = Vec::new();
    for function in functions {
        let site = match rungs {
            None => ladder.stand(btf, function, resolver),
            Some(rungs) => ladder.stand_by(rungs, btf, function, resolver),
        };
        match site {
            Ok(site) => {
                sites.extend(site);
                if sites.len() > ONE_BY_ONE && is_single(sites.last()) && resolver.max_sites == DEFAULT_MOST {
                    return Err(one_by_one(asked, functions.len()));
                }
            }
            Err(error) if !asked.lenient => return Err(error),
            Err(error) => refused.push((function.name.as_str(), error)),
        }
    }
    if sites.is_empty()
        && let Some((_, error)) = refused.pop()
    {
        return Err(error);
    }
    let names: Vec<&str> = refused.iter().map(|(name, _)| *name).collect();
    say_left_out(asked.name, &names, "that no rung serves", resolver);
    Ok(sites)
}

/// `name@file` without its file, which BTF does not know.
fn without_file<'p>(asked: &'p str, resolver: &mut Resolver) -> &'p str {
    let Some((name, file)) = asked.split_once('@') else { return asked };
    resolver.note(format!("{name} is probed wherever it stands: without debuginfo nobody knows what is in {file}"));
    name
}

/// The functions that a pattern stands for.
pub fn matching(asked: &Asked, resolver: &mut Resolver) -> Result<Vec<Function>, Diagnostic> {
    let btf = resolver.btf(asked.at)?;
    let (mut functions, untraceable) = pattern::functions(btf, asked.name, resolver);
    if asked.suffix.exported {
        functions = exported(functions, asked, resolver)?;
    }
    if functions.is_empty() {
        return Err(no_match(resolver, btf, asked.name, asked.at));
    }
    resolver.limit(asked.name, functions.len(), asked.at)?;
    say_left_out(asked.name, &untraceable, "that the kernel lets nobody probe", resolver);
    Ok(functions)
}

pub fn say_left_out(pattern: &str, names: &[&str], why: &str, resolver: &mut Resolver) {
    let listed = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let (count, are) = (names.len(), if names.len() == 1 { "function" } else { "functions" });
    match count {
        0 => {}
        1..=NAMED => resolver.note(format!("{pattern}: {count} {are} {why}: {listed}")),
        _ => resolver.note(format!("{pattern}: {count} {are} {why}: {listed} and {} more", count - NAMED)),
    }
}

/// Those of some functions that modules can use: each has an entry in a table of symbols.
pub fn exported(functions: Vec<Function>, asked: &Asked, resolver: &Resolver) -> Result<Vec<Function>, Diagnostic> {
    const TABLE: &str = "__ksymtab_";
    let symbols = resolver.world.symbols().unwrap_or_default();
    let names = symbols.lines().filter_map(|line| line.split([' ', '\t']).nth(2)?.strip_prefix(TABLE));
    let names: std::collections::HashSet<&str> = names.collect();
    if names.is_empty() {
        return Err(Diagnostic::error(
            "probe::no-symbols",
            "/proc/kallsyms does not tell which functions are exported",
        )
        .label(asked.at, "cannot be told from others")
        .help("leave `.exported` away, or run as root on a kernel with CONFIG_KALLSYMS_ALL=y"));
    }
    Ok(functions.into_iter().filter(|function| names.contains(function.name.as_str())).collect())
}

/// The functions that one name stands for.
fn named(asked: &Asked, resolver: &mut Resolver) -> Result<Vec<Function>, Diagnostic> {
    let btf = resolver.btf(asked.at)?;
    let companions = companions(asked.name, resolver);
    let names: Vec<&str> = [asked.name].into_iter().chain(companions.iter().map(|row| row.companion)).collect();
    let mut found = find(btf, &names).into_iter();
    let functions: Vec<Function> = match found.next().flatten() {
        Some(main) => [main].into_iter().chain(found.flatten()).collect(),
        None => unknown_to_btf(asked.name, resolver),
    };
    if functions.is_empty() {
        return Err(no_match(resolver, btf, asked.name, asked.at));
    }
    say_names(asked.name, &functions, resolver);
    if asked.suffix.exported {
        let kept = exported(functions, asked, resolver)?;
        return if kept.is_empty() { Err(not_exported(asked)) } else { Ok(kept) };
    }
    Ok(functions)
}

/// The function that a name stands for that the kernel has no symbol of.
pub fn renamed(asked: &Asked, resolver: &mut Resolver) -> Result<Vec<Function>, Diagnostic> {
    let btf = resolver.btf(asked.at)?;
    let functions: Vec<Function> = find(btf, &[asked.name]).into_iter().flatten().collect();
    if functions.is_empty() {
        return Err(no_match(resolver, btf, asked.name, asked.at));
    }
    say_names(asked.name, &functions, resolver);
    Ok(functions)
}

/// A function that BTF has no prototype of, by the names the compiler gave to what became of it.
fn unknown_to_btf(name: &str, resolver: &mut Resolver) -> Vec<Function> {
    let mut symbols = pattern::variants(name, resolver);
    if symbols.is_empty() && pattern::is_listed(name, resolver) == Some(true) {
        symbols.push(name.into());
    }
    if let Some(first) = symbols.first() {
        resolver.note(format!("{name} is probed as {first}: BTF has no prototype of it, so it has no $variables"));
    }
    symbols.into_iter().map(|name| Function::new(&name, 0)).collect()
}

/// Finds functions by their names or what became of them, all in one pass over the kernel's types.
fn find(btf: &Btf, names: &[&str]) -> Vec<Option<Function>> {
    let candidates: Vec<Vec<(String, Option<String>)>> = names.iter().map(|name| candidates(name)).collect();
    let asked: Vec<(Kind, &str)> = candidates.iter().flatten().map(|(name, _)| (Kind::Func, name.as_str())).collect();
    // What the last rung and the code itself will ask for is looked for in the same pass.
    let rows = STAND_INS.iter().filter(|row| names.iter().any(|name| renames::matches(row.function, name)));
    let stand_ins: Vec<[(Kind, String); 2]> = rows.map(|row| tracepoint::types(row.tracepoint)).collect();
    let ahead = stand_ins.iter().flatten().map(|(kind, name)| (*kind, name.as_str()));
    let task = [(Kind::Struct, crate::kernel::TASK)];
    let wanted: Vec<(Kind, &str)> = asked.iter().copied().chain(ahead).chain(task).collect();
    let mut ids = btf.find_all(&wanted).into_iter().take(asked.len());
    let mut first = |candidates: Vec<(String, Option<String>)>| {
        let found: Vec<Option<TypeId>> = ids.by_ref().take(candidates.len()).collect();
        let hit = candidates.into_iter().zip(found).find_map(|(candidate, id)| Some((candidate, id?)));
        hit.map(|((name, since), btf_id)| Function { since, ..Function::new(&name, btf_id) })
    };
    candidates.clone().into_iter().map(&mut first).collect()
}

/// The names that a function may have, the script's first; each with since when.
fn candidates(name: &str) -> Vec<(String, Option<String>)> {
    let rows = FUNCTIONS.iter().filter(|row| row.asked == name);
    let renamed = rows.map(|row| (row.actual.to_owned(), format!("since {}: {}", row.since, row.source)));
    let suffixes = SUFFIXES.iter();
    let suffixed =
        suffixes.map(|row| (format!("{name}{}", row.suffix), format!("since {}: {}", row.since, row.source)));
    let others = renamed.chain(suffixed).map(|(name, since)| (name, Some(since)));
    [(name.to_owned(), None)].into_iter().chain(others).collect()
}

/// Functions that took over a part of this one's calls.
fn companions(asked: &str, resolver: &Resolver) -> Vec<&'static CompanionRow> {
    let wanted = |when: When| match when {
        When::Always => true,
        When::CacheNamed(start) => resolver.strings.iter().any(|text| {
            text.starts_with(start) || renames::cache(text).is_some_and(|(name, _)| name.starts_with(start))
        }),
    };
    COMPANIONS.iter().filter(|row| row.asked == asked && wanted(row.when)).collect()
}

/// Says in one line what is probed where that is not simply the name in the script.
fn say_names(asked: &str, functions: &[Function], resolver: &mut Resolver) {
    let kernel = resolver.kernel();
    let (main, also) = (&functions[0], &functions[1..]);
    let also = also.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ");
    let renamed = main.since.as_ref().map(|since| format!("{asked} is {} on Linux {kernel} ({since})", main.name));
    resolver.note(match (renamed, also.is_empty()) {
        (None, true) => return,
        (Some(renamed), true) => renamed,
        (Some(renamed), false) => format!("{renamed}; {also}, which it was split into, probed too"),
        (None, false) => format!("{asked} on Linux {kernel}: {also}, which it was split into, probed too"),
    });
}

pub fn no_match(resolver: &Resolver, btf: &Btf, name: &str, at: Span) -> Diagnostic {
    let error = Diagnostic::error("probe::no-match", format!("no kernel function matches `{name}`"))
        .label(at, "matches nothing");
    if resolver.unsaid {
        return error;
    }
    // A renamed function is known by the name it had.
    let former = FUNCTIONS.iter().map(|row| row.asked);
    let near = || did_you_mean(name, btf.names(Kind::Func).chain(former));
    match super::tracepoint::of_name(btf, name).or_else(near) {
        Some(help) => error.help(help),
        None => error.help("the compiler may have inlined it: probe a caller, or a tracepoint with kernel.trace(…)"),
    }
}

pub fn too_many(pattern: &str, count: usize, most: usize, at: Span) -> Diagnostic {
    Diagnostic::error("probe::too-many", format!("`{pattern}` stands for {count} places, more than {most}"))
        .label(at, "matches too much")
        .help(format!("make it narrower, or allow more with -D MAXPROBES={count}"))
}

pub fn too_many_callers(pattern: &str, count: usize, most: usize, at: Span) -> Diagnostic {
    let message = format!("`{pattern}` stands for {count} functions, and each call is held against {most} at most");
    Diagnostic::error("probe::too-many", message).label(at, "matches too much").help("make it narrower")
}

/// Whether a probe takes a kprobe of its own for each function.
fn is_single(site: Option<&Site>) -> bool {
    site.is_some_and(|site| matches!(site.place, Place::Kernel { attach: Attach::Kprobe { .. }, .. }))
}

fn one_by_one(asked: &Asked, count: usize) -> Diagnostic {
    let message =
        format!("`{}` stands for {count} functions, and this kernel probes more than {ONE_BY_ONE} slowly", asked.name);
    Diagnostic::error("probe::too-many", message)
        .label(asked.at, "matches too much")
        .note("without kprobe.multi each is attached and detached alone, which takes the kernel up to a tenth of a second")
        .help(format!("make it narrower, or allow more with -D MAXPROBES={}", count.max(DEFAULT_MOST + 1)))
}

fn not_exported(asked: &Asked) -> Diagnostic {
    Diagnostic::error("probe::no-match", format!("`{}` is not exported to modules", asked.name))
        .label(asked.at, "matches nothing with `.exported`")
}
