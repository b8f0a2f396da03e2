//! `.mark("NAME")`, `.provider("NAME").mark("NAME")`: places that a program's author has marked (sys/sdt.h).

use super::binary::{Binary, matches};
use super::operand::{self, Surroundings};
use super::types;
use crate::elf::Mark;
use crate::hir::Place;
use crate::image::UprobePlace;
use crate::probe::site::{Arg, Context, Resolver, Site, Sites, mismatch, no_more, text};
use crate::suggest::did_you_mean;
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};

/// From the n-th part on: `.mark("NAME")`, `.provider("NAME").mark("NAME")`.
pub fn resolve(binary: &Binary, point: &ProbePoint, nth: usize, resolver: &mut Resolver) -> Sites {
    let first = &point.components[nth];
    let (provider, nth) = match first.name.name.as_str() {
        "provider" => (Some(text(first)?.0), nth + 1),
        _ => (None, nth),
    };
    let part = match point.components.get(nth) {
        Some(part) if part.name.name == "mark" => part,
        _ => return Err(mismatch(point, nth, ["mark"])),
    };
    let (wanted, at) = text(part)?;
    no_more(point, nth + 1)?;
    let marks = binary.elf.marks();
    let is_it =
        |mark: &&Mark| provider.is_none_or(|provider| matches(provider, &mark.provider)) && matches(wanted, &mark.name);
    let found: Vec<&Mark> = marks.iter().filter(is_it).collect();
    resolver.limit(wanted, found.len(), at)?;
    let how = (provider.is_some(), found.len() > 1);
    let sites: Vec<Site> = found.into_iter().filter_map(|mark| site(binary, mark, how, resolver)).collect();
    match sites.is_empty() {
        true => Err(no_match(binary, wanted, &marks, at)),
        false => Ok(sites),
    }
}

fn site(binary: &Binary, mark: &Mark, (with_provider, many): (bool, bool), resolver: &Resolver) -> Option<Site> {
    let semaphore = mark.semaphore.and_then(|address| binary.elf.data_offset(address));
    let place = UprobePlace { offset: binary.elf.offset(mark.address)?, semaphore };
    let attach = binary.attach(place, false, many, resolver);
    let provider = if with_provider { format!(".provider(\"{}\")", mark.provider) } else { String::new() };
    let point = format!("process(\"{}\"){provider}.mark(\"{}\")", binary.path, mark.name);
    let symbol = |name: &str| binary.elf.symbol(name);
    let values = operand::parse(&mark.arguments, &Surroundings { mark: mark.address, symbol: &symbol });
    let ty = types::long(resolver);
    let arg = |(value, number): (Option<super::value::Value>, usize)| {
        Some(Arg { name: format!("arg{number}"), ty, source: value?.source(), typed: false, words: 1 })
    };
    let args = values.into_iter().zip(1..).filter_map(arg).collect();
    let context = Context { name: mark.name.clone(), args, system: Some(mark.provider.clone()), ..Context::default() };
    Some(Site { point, place: Place::Kernel { attach, why: Vec::new() }, context, lenient: many })
}

fn no_match(binary: &Binary, wanted: &str, marks: &[Mark], at: Span) -> Diagnostic {
    let error = Diagnostic::error("probe::no-match", format!("no mark of `{}` matches `{wanted}`", binary.path))
        .label(at, "matches nothing");
    match did_you_mean(wanted, marks.iter().map(|mark| mark.name.as_str())) {
        Some(help) => error.help(help),
        None if marks.is_empty() => {
            error.help("it has no marks: they are put in by <sys/sdt.h>, often by an option of the build")
        }
        None => {
            let mut names: Vec<&str> = marks.iter().map(|mark| mark.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            error.help(format!("it has {}", names[..names.len().min(20)].join(" ")))
        }
    }
}
