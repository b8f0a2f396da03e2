//! `kernel.trace("[system:]PATTERN")`: tracepoints with their raw arguments, named and typed by BTF.

use super::pattern::is_pattern;
use super::site::{Arg, Context, Resolver, Site, Sites, no_more, text, word_args};
use crate::hir::Place;
use crate::image::Attach;
use crate::kernel::btf::{Btf, Kind, TypeId};
use crate::kernel::renames::TRACEPOINTS;
use crate::suggest::did_you_mean;
use crate::world::KernelType;
use std::collections::{BTreeMap, HashMap};
use tapster_lang::ast::ProbePoint;
use tapster_lang::preprocess::glob;
use tapster_lang::{Diagnostic, Span};

/// The typedef of a tracepoint's callback; programs attach to its id.
const CALLBACK: &str = "btf_trace_";
/// The function that fires a tracepoint; its parameters have the names of the tracepoint's prototype.
const ITERATOR: &str = "__traceiter_";

/// `kernel.trace("PATTERN")`
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let (asked, at) = text(&point.components[1])?;
    no_more(point, 2)?;
    let btf = resolver.btf(at)?;
    let (system, name) = asked.split_once(':').map_or((None, asked), |(system, name)| (Some(system), name));
    let found = match is_pattern(name) || system.is_some_and(is_pattern) {
        true => matching(btf, system, name, resolver),
        false => one(btf, system, name, resolver, at)?.or_else(|| renamed(btf, name, resolver)).into_iter().collect(),
    };
    if found.is_empty() {
        return Err(no_match(resolver, btf, asked, at));
    }
    resolver.limit(asked, found.len(), at)?;
    let lenient = found.len() > 1;
    Ok(found.into_iter().map(|found| with_entry(btf, site(found, lenient))).collect())
}

/// A system call's end is at one tracepoint and its beginning at another: `@entry` looks there.
const CALL: (&str, &str) = ("sys_enter", "sys_exit");

fn with_entry(btf: &Btf, site: Site) -> Site {
    if site.context.name != CALL.1 {
        return site;
    }
    let entry = find(btf, CALL.0).map(|found| {
        let found = Found { system: site.context.system.clone(), ..found };
        Box::new(self::site(found, site.lenient))
    });
    Site { context: Context { entry, ..site.context }, ..site }
}

/// The tracepoint with this name; that of system calls' ends with their beginning.
pub fn named(name: &str, resolver: &Resolver, at: Span) -> Result<Site, Diagnostic> {
    let btf = resolver.btf(at)?;
    let found = one(btf, None, name, resolver, at)?.ok_or_else(|| no_match(resolver, btf, name, at))?;
    Ok(with_entry(btf, site(found, false)))
}

fn site(found: Found, lenient: bool) -> Site {
    let attach = found.attach();
    let Found { name, system, args, .. } = found;
    let point = match &system {
        Some(system) => format!("kernel.trace(\"{system}:{name}\")"),
        None => format!("kernel.trace(\"{name}\")"),
    };
    let place = Place::Kernel { attach, why: Vec::new() };
    Site { point, place, context: Context { name, args, system, ..Context::default() }, lenient }
}

/// The tracepoint with a name. Where nobody knows its system, the script is believed.
fn one(btf: &Btf, asked: Option<&str>, name: &str, resolver: &Resolver, at: Span) -> Result<Option<Found>, Diagnostic> {
    let in_modules = || modules(btf, name, resolver).find_map(|module| find_in(btf, module, name));
    let Some(found) = find(btf, name).or_else(in_modules) else { return Ok(None) };
    match (resolver.world.event_system(name), asked) {
        (Some(system), Some(asked)) if system != asked => Err(other_system(name, &system, at)),
        (system, asked) => Ok(Some(Found { system: system.or(asked.map(str::to_owned)), ..found })),
    }
}

/// The tracepoint that took the place of one with this name.
fn renamed(btf: &Btf, name: &str, resolver: &mut Resolver) -> Option<Found> {
    let rows = TRACEPOINTS.iter().filter(|row| row.asked == name);
    let (row, found) = rows.filter_map(|row| Some((row, find(btf, row.actual)?))).next()?;
    let kernel = resolver.kernel();
    resolver.note(format!("{name} is {} on Linux {kernel} (since {}: {})", row.actual, row.since, row.source));
    Some(Found { system: resolver.world.event_system(row.actual), ..found })
}

/// The tracepoints that a pattern stands for, by name.
fn matching(btf: &Btf, asked: Option<&str>, pattern: &str, resolver: &Resolver) -> Vec<Found> {
    let events = resolver.world.events();
    let systems: HashMap<&str, &str> =
        events.iter().copied().flatten().map(|(system, name)| (&**name, &**system)).collect();
    let is_asked = |system: Option<&&str>| match asked {
        Some(asked) if events.is_some() => system.is_some_and(|system| glob(asked.as_bytes(), system.as_bytes())),
        _ => true,
    };
    let mut found: BTreeMap<&str, (Option<TypeId>, Option<TypeId>)> = BTreeMap::new();
    let kinds = [Kind::Typedef, Kind::Func];
    let of_modules = modules(btf, "", resolver).flat_map(|module| module.of_kinds(&kinds));
    for (id, kind, name) in btf.of_kinds(&kinds).chain(of_modules) {
        let Some(name) = name.strip_prefix(if kind == Kind::Func { ITERATOR } else { CALLBACK }) else { continue };
        if glob(pattern.as_bytes(), name.as_bytes()) && is_asked(systems.get(name)) {
            let ids = found.entry(name).or_default();
            *(if kind == Kind::Func { &mut ids.1 } else { &mut ids.0 }) = Some(id);
        }
    }
    let of = |(name, ids): (&str, (Option<TypeId>, Option<TypeId>))| {
        let found = Found::of(btf, name, ids.0?, ids.1?)?;
        Some(Found { system: systems.get(name).map(|system| (*system).to_owned()), ..found })
    };
    found.into_iter().filter_map(of).collect()
}

/// A tracepoint of this kernel.
pub struct Found {
    name: String,
    /// Its system, where somebody knows.
    system: Option<String>,
    /// Its callback's typedef.
    callback: KernelType,
    /// Its arguments.
    pub args: Vec<Arg>,
}

impl Found {
    /// The first parameter of the function that fires it is the callback's private data, which programs do not see.
    fn of(btf: &Btf, name: &str, callback: TypeId, iterator: TypeId) -> Option<Found> {
        let callback = btf.kernel_type(callback);
        Some(Found { name: name.into(), system: None, callback, args: word_args(btf, iterator, 1, 0)? })
    }

    /// The way to stand there.
    pub fn attach(&self) -> Attach {
        Attach::BtfTracepoint { name: self.name.clone(), ty: self.callback.clone() }
    }
}

/// The types of those modules that have a tracepoint of a name that begins so.
fn modules<'a>(btf: &'a Btf<'a>, name: &str, resolver: &Resolver<'a>) -> impl Iterator<Item = &'a Btf<'a>> {
    let (world, text) = (resolver.world, format!("\0{CALLBACK}{name}").into_bytes());
    let with_name = move |module: &'a String| {
        let data = world.btf(module).filter(|data| memmem(data, &text))?;
        btf.module(module, data)
    };
    world.modules().unwrap_or_default().iter().filter_map(with_name)
}

/// Whether some bytes have others in them.
fn memmem(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

/// The types that a tracepoint has in BTF: its callback's and the function that fires it.
pub fn types(name: &str) -> [(Kind, String); 2] {
    [(Kind::Typedef, format!("{CALLBACK}{name}")), (Kind::Func, format!("{ITERATOR}{name}"))]
}

/// Looks a tracepoint up.
pub fn find(btf: &Btf, name: &str) -> Option<Found> {
    find_in(btf, btf, name)
}

fn find_in<'a>(btf: &Btf, holder: &'a Btf<'a>, name: &str) -> Option<Found> {
    // Both at once, for one pass over the types.
    let names = [name, CALL.0].into_iter().take(if name == CALL.1 { 2 } else { 1 });
    let types: Vec<(Kind, String)> = names.flat_map(types).collect();
    let wanted: Vec<(Kind, &str)> = types.iter().map(|(kind, name)| (*kind, name.as_str())).collect();
    let found = holder.find_all(&wanted);
    Found::of(btf, name, found[0]?, found[1]?)
}

/// The probe point of a tracepoint, where there is one of this name.
pub fn of_name(btf: &Btf, name: &str) -> Option<String> {
    let callback = format!("{CALLBACK}{name}");
    btf.find(Kind::Typedef, &callback).map(|_| format!("the tracepoint is `kernel.trace(\"{name}\")`"))
}

fn no_match(resolver: &Resolver, btf: &Btf, asked: &str, at: Span) -> Diagnostic {
    let error = Diagnostic::error("probe::no-match", format!("no tracepoint `{asked}` in this kernel"))
        .label(at, "matches nothing");
    if asked.starts_with("syscalls:") {
        return error.help("system calls have two tracepoints: sys_enter and sys_exit tell the number, $id");
    }
    if resolver.unsaid {
        return error;
    }
    let name = asked.rsplit(':').next().unwrap_or(asked);
    match did_you_mean(name, btf.names(Kind::Typedef).filter_map(|known| known.strip_prefix(CALLBACK))) {
        Some(help) => error.help(help),
        None => error,
    }
}

fn other_system(name: &str, system: &str, at: Span) -> Diagnostic {
    Diagnostic::error("probe::no-match", format!("tracepoint `{name}` belongs to another system"))
        .label(at, "matches nothing")
        .help(format!("it is {system}:{name}"))
}
