//! `.function("NAME")` and `.plt("NAME")`: functions of a file by its debug information and its symbols.

use super::asked::{Asked, Moment};
use super::binary::{Binary, matches};
use super::dwarf::{self, Debug, Instruction, Sections, Types};
use super::{callee, statement};
use crate::hir::{ArgSource, Place};
use crate::image::UprobePlace;
use crate::probe::saved::RESULT_REGISTER;
use crate::probe::site::{Arg, Context, Resolver, Site, Sites, mismatch, text};
use crate::suggest::did_you_mean;
use tapster_lang::ast::{Literal, ProbePoint};
use tapster_lang::{Diagnostic, Span};

/// `.function("NAME[@FILE[:LINE]]")` with `.call`, `.exported`, `.inline` or `.return`.
pub fn resolve<'a>(binary: &Binary<'a>, point: &ProbePoint, nth: usize, resolver: &mut Resolver<'a>) -> Sites {
    if point.components.get(nth + 1).is_some_and(|part| part.name.name == "label") {
        return statement::labels(binary, point, nth, resolver);
    }
    if point.components.get(nth + 1).is_some_and(|part| part.name.name == "callee") {
        return callee::resolve(binary, point, nth, resolver);
    }
    let asked = Asked::read(point, nth)?;
    let symbols = by_symbol(binary, &asked, resolver);
    let sections = Sections::find(&binary.path, &binary.elf, resolver.world);
    let sites = match &sections {
        Some(sections) => by_debuginfo(binary, &asked, &Debug::new(sections), &symbols, resolver)?,
        None if asked.needs_debuginfo() => return Err(no_debuginfo(binary, asked.at)),
        None => {
            resolver.limit(asked.name, symbols.len(), asked.at)?;
            let how = (asked.moment, symbols.len() > 1);
            symbols.iter().filter_map(|symbol| by_name_alone(binary, symbol, how, None, resolver)).collect()
        }
    };
    if sites.is_empty() {
        return Err(no_match(binary, &asked, sections.as_ref()));
    }
    Ok(sites)
}

/// Functions whose symbol is wanted, each once, by their addresses.
fn by_symbol(binary: &Binary, asked: &Asked, resolver: &Resolver) -> Vec<(String, u64)> {
    let mut functions = binary.elf.all_functions();
    // Debug information in a file of its own has the symbols that were stripped, too.
    if let Some(separate) = dwarf::separate(&binary.path, &binary.elf, resolver.world) {
        functions.extend(separate.all_functions());
    }
    functions.retain(|function| matches(asked.name, &function.name) && (!asked.exported() || function.global));
    functions.sort_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
    functions.dedup_by_key(|function| function.address);
    functions.into_iter().map(|function| (function.name, function.address)).collect()
}

/// Functions with what the debug information says of them; those it does not know stand by their symbols alone.
fn by_debuginfo<'d>(
    binary: &Binary,
    asked: &Asked,
    debug: &Debug<'d>,
    symbols: &[(String, u64)],
    resolver: &mut Resolver,
) -> Result<Vec<Site>, Diagnostic> {
    let addresses: Vec<u64> = symbols.iter().map(|(_, address)| *address).collect();
    let mut functions = debug.functions(|name| matches(asked.name, name), &addresses);
    let known: Vec<u64> = functions.iter().map(|function| function.address).collect();
    functions.retain(|function| asked.takes(function) && debug.spans(function, asked.lines));
    functions.dedup_by_key(|function| function.address);
    let alone = |symbol: &&(String, u64)| !asked.needs_debuginfo() && known.binary_search(&symbol.1).is_err();
    let alone: Vec<&(String, u64)> = symbols.iter().filter(alone).collect();
    let count = functions.len() + alone.len();
    resolver.limit(asked.name, count, asked.at)?;
    let many = count > 1;
    let mut variables = resolver.btf.map(|btf| Types::new(debug, btf));
    let mut sites: Vec<Site> = Vec::new();
    for function in &functions {
        let types = variables.as_mut();
        sites.extend(of_function(binary, asked, debug, function, types, many, resolver));
    }
    if let Some(types) = variables {
        types.add_all();
    }
    let how = (asked.moment, many);
    sites.extend(alone.iter().filter_map(|symbol| by_name_alone(binary, symbol, how, Some(debug), resolver)));
    Ok(sites)
}

/// A function of which only the symbol is known.
fn by_name_alone(
    binary: &Binary,
    (name, address): &(String, u64),
    how: (Moment, bool),
    debug: Option<&Debug>,
    resolver: &Resolver,
) -> Option<Site> {
    let mut site = site(binary, "function", (name, *address), how, resolver)?;
    site.context.lack = Some(match debug {
        None => format!("`{}` has no debug information: {}", binary.path, dwarf::REMEDY),
        Some(debug) => debug.elsewhere().unwrap_or("the debug information does not know this function").to_owned(),
    });
    Some(site)
}

/// A function with its variables; nothing where its code is not in the file.
pub fn of_function(
    binary: &Binary,
    asked: &Asked,
    debug: &Debug,
    function: &dwarf::Function,
    mut types: Option<&mut Types>,
    many: bool,
    resolver: &Resolver,
) -> Option<Site> {
    let start = debug.start(function);
    let at_return = asked.moment == Moment::Return;
    let name = format!("{}@{}:{}", function.name, function.file, function.line);
    let parameters = match &mut types {
        Some(types) => parameters(debug, function, start, types),
        None => Vec::new(),
    };
    let lack = debug.elsewhere().filter(|_| parameters.is_empty()).map(str::to_owned);
    let entry = Context { name: function.name.clone(), args: parameters, lack, ..Context::default() };
    let at_start = site(binary, "function", (&name, start.address), (asked.moment.at_entry(), many), resolver)?;
    let at_start = Site { context: entry, ..at_start };
    if !at_return {
        return Some(at_start);
    }
    let result = types.and_then(|types| {
        let (source, ty) = (debug.result(function.place)?, types.number(debug.type_of(function.place)));
        Some(Arg { name: "return".into(), ty, source, typed: false, words: 1 })
    });
    let context = Context {
        name: function.name.clone(),
        args: result.into_iter().collect(),
        result: Some(dwarf::result()),
        entry: Some(Box::new(at_start)),
        ..Context::default()
    };
    let site = site(binary, "function", (&name, function.address), (asked.moment, many), resolver)?;
    Some(Site { context, ..site })
}

/// The parameters that are somewhere as the function begins.
pub fn parameters(debug: &Debug, function: &dwarf::Function, start: Instruction, types: &mut Types) -> Vec<Arg> {
    let found = debug.parameters(function.place).into_iter();
    found.filter_map(|variable| variable_at(debug, variable, start, types)).collect()
}

/// A variable where it is at an instruction; `None` where it is nowhere.
pub fn variable_at(
    debug: &Debug,
    (name, place): (String, dwarf::Place),
    at: Instruction,
    types: &mut Types,
) -> Option<Arg> {
    let (source, ty) = (debug.locate(place, at)?, types.number(debug.type_of(place)));
    Some(Arg { name, ty, source, typed: false, words: 1 })
}

/// `.plt`, `.plt("NAME")`, with `.return`: where the file calls functions of others.
pub fn stubs(binary: &Binary, point: &ProbePoint, nth: usize, resolver: &mut Resolver) -> Sites {
    let part = &point.components[nth];
    let (wanted, at) = match &part.arg {
        None => ("*", part.name.span),
        Some((Literal::String(_) | Literal::Number(_), _)) => text(part)?,
    };
    let moment = match Moment::after(point, nth + 1)? {
        moment @ (Moment::Entry | Moment::Return) => moment,
        _ => return Err(mismatch(point, nth + 1, ["return"])),
    };
    let known = binary.elf.plt();
    let stubs: Vec<&(String, u64)> = known.iter().filter(|(name, _)| matches(wanted, name)).collect();
    resolver.limit(wanted, stubs.len(), at)?;
    let how = (moment, stubs.len() > 1);
    let site = |(name, address): &&(String, u64)| site(binary, "plt", (name, *address), how, resolver);
    let sites: Vec<Site> = stubs.iter().filter_map(site).collect();
    match sites.is_empty() {
        true => Err(no_stub(binary, wanted, known.iter().map(|(name, _)| name.as_str()), at)),
        false => Ok(sites),
    }
}

/// A place by its address, where there is nothing to ask for.
pub fn site(
    binary: &Binary,
    kind: &str,
    (name, address): (&str, u64),
    (moment, many): (Moment, bool),
    resolver: &Resolver,
) -> Option<Site> {
    let place = UprobePlace { offset: binary.elf.offset(address)?, semaphore: None };
    let attach = binary.attach(place, moment == Moment::Return, many, resolver);
    let point = format!("process(\"{}\").{kind}(\"{name}\"){}", binary.path, moment.suffix());
    let function = name.split('@').next().unwrap_or(name).to_owned();
    let result = (moment == Moment::Return).then_some(ArgSource::Register(RESULT_REGISTER));
    Some(Site {
        point,
        place: Place::Kernel { attach, why: Vec::new() },
        context: Context { name: function, result, ..Context::default() },
        lenient: many,
    })
}

/// A file whose debug information is needed and nowhere.
pub fn no_debuginfo(binary: &Binary, at: Span) -> Diagnostic {
    let message = format!("only debug information tells of source files and lines, and `{}` has none", binary.path);
    Diagnostic::error("probe::debuginfo", message).label(at, "needs debug information").help(dwarf::REMEDY)
}

/// A name that no function has.
pub fn no_match(binary: &Binary, asked: &Asked, sections: Option<&Sections>) -> Diagnostic {
    let message = format!("no function of `{}` matches `{}`", binary.path, asked.text);
    let error = Diagnostic::error("probe::no-match", message).label(asked.at, "matches nothing");
    let symbols = binary.elf.all_functions();
    let more = sections.map(|sections| Debug::new(sections).functions(|_| true, &[])).unwrap_or_default();
    let names = symbols.iter().map(|function| function.name.as_str());
    match did_you_mean(asked.name, names.chain(more.iter().map(|function| function.name.as_str()))) {
        Some(help) => error.help(help),
        None if symbols.is_empty() && more.is_empty() => error.help("it has no symbols: install its debug information"),
        None => error.help("the compiler may have inlined it, or it may be of a library: `.library(\"NAME\")`"),
    }
}

fn no_stub<'n>(binary: &Binary, wanted: &str, known: impl Iterator<Item = &'n str>, at: Span) -> Diagnostic {
    let message = format!("`{}` calls no function `{wanted}` of a library by way of its PLT", binary.path);
    let error = Diagnostic::error("probe::no-match", message).label(at, "matches nothing");
    match did_you_mean(wanted, known) {
        Some(help) => error.help(help),
        None => error.help("it may be linked with -fno-plt: probe the library's function, `.library(\"NAME\")`"),
    }
}
