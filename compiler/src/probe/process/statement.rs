//! `.statement("NAME@FILE:LINE")`, `.statement(ADDRESS)`: an instruction in the midst of a function.

use super::asked::{Asked, Moment};
use super::binary::{Binary, matches};
use super::dwarf::{Debug, Function, Kind, Sections, Types};
use super::function::{no_debuginfo, site, variable_at};
use crate::hir::Place;
use crate::image::UprobePlace;
use crate::probe::site::{Arg, Context, Resolver, Site, Sites, mismatch, no_more, number, text};
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};

/// An instruction, and what a point calls it.
pub struct Found<'f> {
    /// The function it is in.
    pub function: &'f Function,
    /// The source file.
    pub file: String,
    /// The line.
    pub line: u64,
    /// Where it is.
    pub address: u64,
}

/// `.statement(…)`, perhaps with `.nearest`.
pub fn resolve<'a>(binary: &Binary<'a>, point: &ProbePoint, nth: usize, resolver: &mut Resolver<'a>) -> Sites {
    let part = &point.components[nth];
    let nearest = match point.components.get(nth + 1) {
        None => false,
        Some(part) if part.name.name == "nearest" => true,
        Some(_) => return Err(mismatch(point, nth + 1, ["nearest"])),
    };
    no_more(point, nth + 2)?;
    let sections = Sections::find(&binary.path, &binary.elf, resolver.world);
    if let Some(address) = number(part) {
        return at_address(binary, address as u64, sections.as_ref(), part.name.span, resolver);
    }
    let (wanted, at) = text(part)?;
    let asked = Asked::parse(wanted, at, Moment::Entry)?;
    let sections = sections.ok_or_else(|| no_debuginfo(binary, at))?;
    let debug = Debug::new(&sections);
    let mut functions = debug.functions(|name| matches(asked.name, name), &[]);
    functions.retain(|function| function.kind == Kind::Function && asked.is_file(&function.file));
    let found: Vec<Found> = functions.iter().flat_map(|function| lines(&asked, &debug, function, nearest)).collect();
    resolver.limit(wanted, found.len(), at)?;
    if found.is_empty() {
        return Err(no_line(&format!("`{}`", binary.path), &asked, &debug, &functions));
    }
    let how = ("statement", found.len() > 1);
    let place = |found: &Found| (format!("{}@{}:{}", found.function.name, found.file, found.line), found.address);
    let places: Vec<_> = found.iter().map(|found| (found.function, place(found))).collect();
    Ok(instructions(binary, &debug, &places, how, resolver))
}

/// `.function("NAME").label("LABEL")`: where the functions' labels are that the source has for `goto`.
pub fn labels<'a>(binary: &Binary<'a>, point: &ProbePoint, nth: usize, resolver: &mut Resolver<'a>) -> Sites {
    let (wanted, at) = text(&point.components[nth])?;
    let (label, label_at) = text(&point.components[nth + 1])?;
    no_more(point, nth + 2)?;
    let asked = Asked::parse(wanted, at, Moment::Entry)?;
    let sections = Sections::find(&binary.path, &binary.elf, resolver.world).ok_or_else(|| no_debuginfo(binary, at))?;
    let debug = Debug::new(&sections);
    let mut functions = debug.functions(|name| matches(asked.name, name), &[]);
    functions.retain(|function| asked.takes(function) && debug.spans(function, asked.lines));
    let (found, names) = labels_of(&debug, &functions, label);
    if found.is_empty() {
        return Err(no_label((&format!("`{}`", binary.path), wanted), (label, label_at), &names));
    }
    resolver.limit(label, found.len(), label_at)?;
    let places: Vec<(&Function, (String, u64))> = found
        .into_iter()
        .map(|(function, name, address)| {
            let place = format!("{}@{}:{}\").label(\"{name}", function.name, function.file, function.line);
            (function, (place, address))
        })
        .collect();
    Ok(instructions(binary, &debug, &places, ("function", places.len() > 1), resolver))
}

/// Labels of functions that a pattern stands for: function, name and address; and the names of all.
pub fn labels_of<'f>(
    debug: &Debug,
    functions: &'f [Function],
    label: &str,
) -> (Vec<(&'f Function, String, u64)>, Vec<String>) {
    let (mut found, mut names) = (Vec::new(), Vec::new());
    for function in functions {
        for (name, address) in debug.labels(function.place) {
            names.push(name.clone());
            if matches(label, &name) {
                found.push((function, name, address));
            }
        }
    }
    (found, names)
}

/// A label that no function of that name has.
pub fn no_label((holder, function): (&str, &str), (label, at): (&str, Span), names: &[String]) -> Diagnostic {
    let message = format!("no label of `{function}` in {holder} matches `{label}`");
    let error = Diagnostic::error("probe::no-match", message).label(at, "matches nothing");
    match names.is_empty() {
        true => error.help("it has no labels that the compiler has kept"),
        false => error.help(format!("it has {}", names.join(", "))),
    }
}

/// Instructions of functions by what points call them, with the variables there.
fn instructions(
    binary: &Binary,
    debug: &Debug,
    places: &[(&Function, (String, u64))],
    (kind, many): (&str, bool),
    resolver: &Resolver,
) -> Vec<Site> {
    let mut variables = resolver.btf.map(|btf| Types::new(debug, btf));
    let mut sites = Vec::new();
    for (function, (name, address)) in places {
        let place = site(binary, kind, (name, *address), (Moment::Entry, many), resolver);
        let args = match &mut variables {
            Some(types) => all_variables(debug, function, *address, types),
            None => Vec::new(),
        };
        let context = Context { name: function.name.clone(), args, ..Context::default() };
        sites.extend(place.map(|site| Site { context, ..site }));
    }
    if let Some(types) = variables {
        types.add_all();
    }
    sites
}

/// The first instruction of each wanted line of a function.
pub fn lines<'f>(asked: &Asked, debug: &Debug, function: &'f Function, nearest: bool) -> Vec<Found<'f>> {
    let of = |line: u64, address: u64, file: String| Found { function, file, line, address };
    let base = if asked.relative { function.line } else { 0 };
    let wanted = asked.lines.map(|(first, last)| (first.saturating_add(base), last.saturating_add(base)));
    if wanted.is_none() && !asked.every_line {
        return vec![of(function.line, function.address, function.file.clone())];
    }
    let mut rows = debug.rows(function.place, (function.address, function.end));
    rows.retain(|row| asked.is_file(&row.file));
    let (first, last) = wanted.unwrap_or((0, u64::MAX));
    let has_exact = rows.iter().any(|row| (first..=last).contains(&row.line));
    if !has_exact && nearest {
        let best = rows.iter().min_by_key(|row| row.line.abs_diff(first)).map(|row| row.line);
        rows.retain(|row| Some(row.line) == best);
    } else {
        rows.retain(|row| (first..=last).contains(&row.line));
    }
    let mut known: Vec<u64> = Vec::new();
    rows.retain(|row| {
        let is_new = !known.contains(&row.line);
        known.push(row.line);
        is_new
    });
    rows.into_iter().map(|row| of(row.line, row.address, row.file)).collect()
}

/// Parameters and variables at an instruction; an inner one hides an outer one.
pub fn all_variables(debug: &Debug, function: &Function, address: u64, types: &mut Types) -> Vec<Arg> {
    let at = debug.instruction(function, address);
    let variables = debug.parameters(function.place).into_iter().chain(debug.variables(function.place, address));
    let mut args: Vec<Arg> = Vec::new();
    for variable in variables {
        if !args.iter().any(|arg| arg.name == variable.0) {
            args.extend(variable_at(debug, variable, at, types));
        }
    }
    args
}

/// An instruction by its address, with the variables that the debug information knows there.
fn at_address(binary: &Binary, address: u64, sections: Option<&Sections>, at: Span, resolver: &Resolver) -> Sites {
    let offset = binary.elf.offset(address).ok_or_else(|| {
        Diagnostic::error("probe::no-match", format!("`{}` has no instruction at {address:#x}", binary.path))
            .label(at, "no code there")
            .help("addresses are those that `objdump -d` and `nm` print")
    })?;
    let attach = binary.attach(UprobePlace { offset, semaphore: None }, false, false, resolver);
    let mut context = Context::default();
    if let Some(sections) = sections {
        let debug = Debug::new(sections);
        let all = debug.functions(|_| true, &[]);
        let covers = |function: &&Function| {
            function.kind == Kind::Function && (function.address..function.end).contains(&address)
        };
        if let (Some(function), Some(btf)) = (all.iter().find(covers), resolver.btf) {
            let mut types = Types::new(&debug, btf);
            let args = all_variables(&debug, function, address, &mut types);
            types.add_all();
            context = Context { name: function.name.clone(), args, ..Context::default() };
        }
    }
    let point = format!("process(\"{}\").statement({address:#x})", binary.path);
    Ok(vec![Site { point, place: Place::Kernel { attach, why: Vec::new() }, context, lenient: false }])
}

/// A line that has no code.
pub fn no_line(holder: &str, asked: &Asked, debug: &Debug, functions: &[Function]) -> Diagnostic {
    let message = format!("no line of {holder} matches `{}`", asked.text);
    let error = Diagnostic::error("probe::no-match", message).label(asked.at, "matches nothing");
    let first = asked.lines.map_or(0, |(first, _)| first);
    let rows = functions.iter().flat_map(|function| debug.rows(function.place, (function.address, function.end)));
    let mut lines: Vec<u64> = rows.filter(|row| asked.is_file(&row.file)).map(|row| row.line).collect();
    lines.sort_unstable_by_key(|line| line.abs_diff(first));
    lines.dedup();
    match lines.as_slice() {
        [] => error.help("no function of that name is in that file"),
        lines => {
            let near: Vec<String> = lines.iter().take(5).map(u64::to_string).collect();
            error.help(format!("lines with code near it are {}; `.nearest` takes the first of them", near.join(", ")))
        }
    }
}
