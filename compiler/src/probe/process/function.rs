//! `.function("NAME")` and `.plt("NAME")`: functions of a file by their symbols.

use super::binary::{Binary, matches};
use crate::elf::Function;
use crate::hir::Place;
use crate::image::UprobePlace;
use crate::probe::pattern::is_pattern;
use crate::probe::site::{Context, Resolver, Site, Sites, mismatch, no_more, text, unsupported};
use crate::suggest::did_you_mean;
use tapster_lang::ast::{Literal, ProbePoint};
use tapster_lang::{Diagnostic, Span};

/// Where in a function a probe stands, by the end of its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Entry,
    Call,
    Exported,
    Return,
}

impl Moment {
    const SUFFIXES: &[&str] = &["call", "return", "exported"];

    /// What follows the n-th part.
    fn after(point: &ProbePoint, nth: usize) -> Result<Moment, Diagnostic> {
        let Some(part) = point.components.get(nth) else { return Ok(Moment::Entry) };
        no_more(point, nth + 1)?;
        match part.name.name.as_str() {
            "call" => Ok(Moment::Call),
            "return" => Ok(Moment::Return),
            "exported" => Ok(Moment::Exported),
            known @ ("inline" | "label" | "callee" | "callees") => {
                Err(unsupported(&format!("`.{known}` probes of processes"), part.name.span))
            }
            _ => Err(mismatch(point, nth, Moment::SUFFIXES.iter().copied())),
        }
    }

    /// The end of the point.
    fn suffix(self) -> &'static str {
        match self {
            Moment::Entry => "",
            Moment::Call => ".call",
            Moment::Exported => ".exported",
            Moment::Return => ".return",
        }
    }
}

/// `.function("NAME")` with `.call`, `.exported` or `.return`.
pub fn resolve(binary: &Binary, point: &ProbePoint, nth: usize, resolver: &mut Resolver) -> Sites {
    let (wanted, at) = text(&point.components[nth])?;
    let moment = Moment::after(point, nth + 1)?;
    if wanted.contains('@') {
        return Err(unsupported("file names in functions of processes", at));
    }
    let functions = matching(binary, wanted, moment);
    if functions.is_empty() {
        return Err(no_match(binary, wanted, at));
    }
    resolver.limit(wanted, functions.len(), at)?;
    let many = functions.len() > 1;
    let site =
        |function: &Function| site(binary, "function", (&function.name, function.address), (moment, many), resolver);
    let sites: Vec<Site> = functions.iter().filter_map(site).collect();
    match sites.is_empty() {
        true => Err(no_match(binary, wanted, at)),
        false => Ok(sites),
    }
}

/// Functions whose name is wanted. One that has several names is there once where a pattern fits.
fn matching(binary: &Binary, wanted: &str, moment: Moment) -> Vec<Function> {
    let mut functions = match is_pattern(wanted) {
        true => binary.elf.functions(),
        false => binary.elf.all_functions(),
    };
    functions.retain(|function| matches(wanted, &function.name) && (moment != Moment::Exported || function.global));
    functions.sort_by_key(|function| function.address);
    functions.dedup_by_key(|function| function.address);
    functions
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

fn site(
    binary: &Binary,
    kind: &str,
    (name, address): (&str, u64),
    (moment, many): (Moment, bool),
    resolver: &Resolver,
) -> Option<Site> {
    let place = UprobePlace { offset: binary.elf.offset(address)?, semaphore: None };
    let attach = binary.attach(place, moment == Moment::Return, many, resolver);
    let point = format!("process(\"{}\").{kind}(\"{name}\"){}", binary.path, moment.suffix());
    Some(Site {
        point,
        place: Place::Kernel { attach, why: Vec::new() },
        context: Context { name: name.to_owned(), ..Context::default() },
        lenient: many,
    })
}

fn no_match(binary: &Binary, wanted: &str, at: Span) -> Diagnostic {
    let error = Diagnostic::error("probe::no-match", format!("no function of `{}` matches `{wanted}`", binary.path))
        .label(at, "matches nothing");
    let functions = binary.elf.all_functions();
    match did_you_mean(wanted, functions.iter().map(|function| function.name.as_str())) {
        Some(help) => error.help(help),
        None if functions.is_empty() => error.help("it has no symbols: install its debug information"),
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
