//! Places in the kernel's source: functions of a file, lines, inlined copies and labels, where the kernel's debug
//! information is installed.
//!
//! Whole functions go by the ladder as all others do; a place within one takes a kprobe at its address, and has the
//! variables that the debug information knows there.

use super::function::{exported, say_left_out, stand};
use super::installed::{Installed, Symbols};
use super::ladder::{self, Ladder};
use super::pattern::is_pattern;
use super::process::asked::{Asked, Moment};
use super::process::dwarf::{Debug, Function, Kind, Types};
use super::process::{function as variables, statement as lines};
use super::site::{Context, Listing, Resolver, Site, Sites, mismatch, no_more, text};
use super::suffix::{self, Suffix};
use crate::hir::Place;
use crate::image::{self, Attach};
use crate::kernel::btf;
use crate::world::Rung;
use std::collections::HashSet;
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};

/// A place within a function.
struct Within<'f> {
    function: &'f Function,
    address: u64,
    /// What the point says of it.
    point: String,
    /// Variables of the function's body are known there, too.
    has_locals: bool,
}

/// A point at functions that only debug information can tell; `None` where it takes none, or can do without.
pub fn functions(point: &ProbePoint, resolver: &mut Resolver) -> Option<Sites> {
    let (wanted, at) = text(&point.components[1]).ok()?;
    let part = point.components.get(2).map(|part| (part.name.name.as_str(), part.name.span));
    let (needs, needs_at) = match part {
        Some(("inline" | "label", _)) => part?,
        _ if !wanted.contains('@') => return None,
        _ if wanted.contains(':') => ("line", at),
        _ => ("file", at),
    };
    let installed = match Installed::find(resolver) {
        Ok(installed) => installed,
        // The function may be known by its name alone.
        Err(_) if needs == "file" && !is_pattern(wanted.split('@').next().unwrap_or(wanted)) => return None,
        Err(missing) => return Some(Err(missing.say(suffix::debuginfo(needs, needs_at)))),
    };
    let debug = Debug::new(&installed.sections);
    Some(match needs {
        "label" => labels(point, &debug, resolver),
        "inline" => no_more(point, 3).and_then(|()| {
            let asked = Asked::parse(wanted, at, Moment::Inline)?;
            in_files(
                &asked,
                &Suffix { moment: image::Moment::Entry, exported: false, text: String::new() },
                &debug,
                resolver,
            )
        }),
        _ => suffix::read(point, 2).and_then(|suffix| {
            let moment = match (suffix.moment, suffix.text.as_str()) {
                (image::Moment::Entry, "") => Moment::Entry,
                _ => Moment::Call,
            };
            in_files(&Asked::parse(wanted, at, moment)?, &suffix, &debug, resolver)
        }),
    })
}

/// `NAME@FILE`, `NAME@FILE:LINE`, and copies of functions.
fn in_files(asked: &Asked, suffix: &Suffix, debug: &Debug, resolver: &mut Resolver) -> Sites {
    let mut found = debug.functions_named(asked.name, file_of(asked).as_deref());
    found.retain(|function| asked.takes(function) && debug.spans(function, asked.lines));
    found.dedup_by_key(|function| (function.address, function.kind == Kind::Inlined));
    let (whole, copies): (Vec<_>, Vec<_>) = found.iter().partition(|function| function.kind == Kind::Function);
    let whole = known(&whole, asked, suffix, debug, resolver)?;
    if whole.is_empty() && copies.is_empty() {
        return Err(no_match(asked, debug));
    }
    let count = whole.len() + copies.len();
    resolver.limit(asked.text, count, asked.at)?;
    let lenient = is_pattern(asked.name) || count > 1;
    let of_ladder = ladder::Asked { name: asked.text, suffix: suffix.clone(), registers: false, lenient, at: asked.at };
    let mut sites = if whole.is_empty() { Vec::new() } else { stand(&of_ladder, &whole, resolver)? };
    let point = |function: &Function| format!("kernel.function(\"{}\").inline", said(function));
    let copies = copies.into_iter().map(|function| {
        let address = debug.start(function).address;
        Within { function, address, point: point(function), has_locals: false }
    });
    match within(copies.collect(), (lenient, asked.at), debug, resolver) {
        Ok(more) => sites.extend(more),
        Err(error) if sites.is_empty() => return Err(error),
        Err(_) => say_left_out(asked.text, &["copies"], "that this kernel has no kprobes for", resolver),
    }
    Ok(sites)
}

/// Functions as the ladder knows them: by the symbols that they have in the running kernel.
fn known(
    found: &[&Function],
    asked: &Asked,
    suffix: &Suffix,
    debug: &Debug,
    resolver: &mut Resolver,
) -> Result<Vec<ladder::Function>, Diagnostic> {
    let btf = resolver.btf(asked.at)?;
    let symbols = Symbols::read(resolver.world);
    let named: Vec<(&Function, u64, &str)> = found
        .iter()
        .filter_map(|function| {
            let address = debug.placed(function.address);
            Some((*function, address, symbols.at(address, &function.name)?))
        })
        .collect();
    let wanted: Vec<(btf::Kind, &str)> =
        named.iter().map(|(function, ..)| (btf::Kind::Func, function.name.as_str())).collect();
    let ids = btf.find_all(&wanted);
    let as_known = |((function, address, symbol), id): (&(&Function, u64, &str), Option<btf::TypeId>)| {
        ladder::Function {
            source: Some(said(function)),
            // A name that several functions have says nothing of which is meant.
            address: (symbols.count(symbol) > 1).then_some(*address),
            ..ladder::Function::new(symbol, id.unwrap_or(0))
        }
    };
    let mut functions: Vec<ladder::Function> = named.iter().zip(ids).map(as_known).collect();
    if is_pattern(asked.name)
        && let Some(listed) = resolver.world.traceable()
    {
        let listed: HashSet<&str> = listed.lines().collect();
        let is_left_out = |function: &ladder::Function| !listed.contains(function.name.as_str());
        let left_out: Vec<String> =
            functions.extract_if(.., |function| is_left_out(function)).map(|f| f.name).collect();
        let left_out: Vec<&str> = left_out.iter().map(String::as_str).collect();
        say_left_out(asked.text, &left_out, "that the kernel lets nobody probe", resolver);
    }
    if !suffix.exported {
        return Ok(functions);
    }
    let of_ladder =
        ladder::Asked { name: asked.text, suffix: suffix.clone(), registers: false, lenient: true, at: asked.at };
    exported(functions, &of_ladder, resolver)
}

/// `.function("NAME").label("LABEL")`
fn labels(point: &ProbePoint, debug: &Debug, resolver: &mut Resolver) -> Sites {
    let (wanted, at) = text(&point.components[1])?;
    let (label, label_at) = text(&point.components[2])?;
    no_more(point, 3)?;
    let asked = Asked::parse(wanted, at, Moment::Entry)?;
    let mut functions = debug.functions_named(asked.name, file_of(&asked).as_deref());
    functions.retain(|function| asked.takes(function) && debug.spans(function, asked.lines));
    let (found, names) = lines::labels_of(debug, &functions, label);
    if found.is_empty() {
        return Err(lines::no_label(("the kernel", wanted), (label, label_at), &names));
    }
    resolver.limit(label, found.len(), label_at)?;
    let lenient = found.len() > 1;
    let places = found.into_iter().map(|(function, name, address)| {
        let point = format!("kernel.function(\"{}\").label(\"{name}\")", said(function));
        Within { function, address, point, has_locals: true }
    });
    within(places.collect(), (lenient, at), debug, resolver)
}

/// `kernel.statement("NAME@FILE:LINE")`, perhaps with `.nearest`.
pub fn statement(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let (wanted, at) = text(&point.components[1])?;
    let nearest = match point.components.get(2) {
        None => false,
        Some(part) if part.name.name == "nearest" => true,
        Some(_) => return Err(mismatch(point, 2, ["nearest"])),
    };
    no_more(point, 3)?;
    let installed = Installed::find(resolver).map_err(|missing| missing.say(suffix::debuginfo("statement", at)))?;
    let debug = Debug::new(&installed.sections);
    let asked = Asked::parse(wanted, at, Moment::Entry)?;
    let mut functions = debug.functions_named(asked.name, file_of(&asked).as_deref());
    functions.retain(|function| function.kind == Kind::Function && asked.is_file(&function.file));
    functions.dedup_by_key(|function| function.address);
    let found: Vec<lines::Found> =
        functions.iter().flat_map(|function| lines::lines(&asked, &debug, function, nearest)).collect();
    if found.is_empty() {
        return Err(lines::no_line("the kernel", &asked, &debug, &functions));
    }
    resolver.limit(wanted, found.len(), at)?;
    let lenient = found.len() > 1;
    let places = found.into_iter().map(|found| {
        let point = format!("kernel.statement(\"{}@{}:{}\")", found.function.name, found.file, found.line);
        Within { function: found.function, address: found.address, point, has_locals: true }
    });
    within(places.collect(), (lenient, at), &debug, resolver)
}

/// Places within functions, each by a kprobe.
fn within(places: Vec<Within>, (lenient, at): (bool, Span), debug: &Debug, resolver: &mut Resolver) -> Sites {
    let mut types = resolver.btf.map(|btf| Types::new(debug, btf));
    let suffix = Suffix { moment: image::Moment::Entry, exported: false, text: String::new() };
    let asked = ladder::Asked { name: "", suffix, registers: true, lenient, at };
    let mut ladder = Ladder::new(&asked, places.len());
    let mut sites = Vec::new();
    for place in places {
        let args = types.as_mut().map_or_else(Vec::new, |types| match place.has_locals {
            true => lines::all_variables(debug, place.function, place.address, types),
            false => {
                variables::parameters(debug, place.function, debug.instruction(place.function, place.address), types)
            }
        });
        let context = Context { name: place.function.name.clone(), args, ..Context::default() };
        let address = format!("{:#x}", debug.placed(place.address));
        let attach = match resolver.listing {
            Listing::No => {
                let function = ladder::Function::new(&address, 0);
                ladder.stand_by(&[Rung::Kprobe], resolver.btf, &function, resolver)?.map(|site| site.place)
            }
            _ => {
                let attach = Attach::Kprobe { functions: vec![address], moment: image::Moment::Entry };
                Some(Place::Kernel { attach, why: Vec::new() })
            }
        };
        sites.extend(attach.map(|at| Site { point: place.point, place: at, context, lenient }));
    }
    if let Some(types) = types {
        types.add_all();
    }
    Ok(sites)
}

/// A function as points say it.
fn said(function: &Function) -> String {
    format!("{}@{}:{}", function.name, function.file, function.line)
}

/// Says of source files whether they are meant.
type IsFile<'a> = Box<dyn Fn(&str) -> bool + 'a>;

/// Whether a file is meant, where one is.
fn file_of<'a>(asked: &'a Asked) -> Option<IsFile<'a>> {
    asked.file.is_some().then(|| Box::new(|file: &str| asked.is_file(file)) as IsFile)
}

fn no_match(asked: &Asked, debug: &Debug) -> Diagnostic {
    /// As many files as are named.
    const NAMED: usize = 5;
    let copies = if asked.moment == Moment::Inline { "copy of a function" } else { "function" };
    let error = Diagnostic::error("probe::no-match", format!("no {copies} of the kernel matches `{}`", asked.text))
        .label(asked.at, "matches nothing");
    let elsewhere = if is_pattern(asked.name) { Vec::new() } else { debug.functions_named(asked.name, None) };
    let mut places: Vec<String> =
        elsewhere.iter().map(|function| format!("{}:{}", function.file, function.line)).collect();
    places.sort();
    places.dedup();
    match (places.is_empty(), asked.moment) {
        (true, _) => error.help("its debug information knows no such function"),
        (false, Moment::Inline) => {
            error.help(format!("the compiler has put no copy of it anywhere; it is in {}", places[0]))
        }
        (false, _) => error.help(format!("it is in {}", places[..places.len().min(NAMED)].join(", "))),
    }
}
