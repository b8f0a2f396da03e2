//! `kernel.trace("[system:]name")`: a tracepoint with its raw arguments, named and typed by BTF.

use super::site::{Context, Resolver, Site, Sites, no_more, text, unsupported, word_args};
use crate::hir::Place;
use crate::image::Attach;
use crate::kernel::btf::{Btf, Kind, TypeId};
use crate::suggest::did_you_mean;
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};

/// The typedef of a tracepoint's callback; programs attach to its id.
const CALLBACK: &str = "btf_trace_";
/// The function that fires a tracepoint; its parameters have the names of the tracepoint's prototype.
const ITERATOR: &str = "__traceiter_";

/// `kernel.trace("NAME")`
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let (pattern, at) = text(&point.components[1])?;
    no_more(point, 2)?;
    if pattern.contains(['*', '?', '[']) {
        return Err(unsupported("wildcards in tracepoints", at));
    }
    // BTF knows tracepoints without their system; the name alone is unique in the kernel.
    let name = pattern.rsplit(':').next().unwrap_or(pattern);
    let btf = resolver.btf(at)?;
    let Some(found) = find(btf, name) else {
        return Err(no_match(btf, name, at));
    };
    let place = Place::Kernel { attach: found.attach(name), why: Vec::new() };
    let context = Context { name: name.into(), args: found.args };
    Ok(vec![Site { point: format!("kernel.trace(\"{pattern}\")"), place, context }])
}

/// A tracepoint of this kernel.
pub struct Found {
    /// Id of its callback's typedef.
    callback: TypeId,
    /// Its arguments.
    pub args: Vec<super::site::Arg>,
}

impl Found {
    /// The way to stand there.
    pub fn attach(&self, name: &str) -> Attach {
        Attach::BtfTracepoint { name: name.into(), btf_id: self.callback }
    }
}

/// The types that a tracepoint has in BTF: its callback's and the function that fires it.
pub fn types(name: &str) -> [(Kind, String); 2] {
    [(Kind::Typedef, format!("{CALLBACK}{name}")), (Kind::Func, format!("{ITERATOR}{name}"))]
}

/// Looks a tracepoint up.
pub fn find(btf: &Btf, name: &str) -> Option<Found> {
    let types = types(name);
    let found = btf.find_all(&types.each_ref().map(|(kind, name)| (*kind, name.as_str())));
    // The first parameter is the callback's private data, which programs do not see.
    Some(Found { callback: found[0]?, args: word_args(btf, found[1]?, 1, 0)? })
}

fn no_match(btf: &Btf, name: &str, at: Span) -> Diagnostic {
    let known: Vec<&str> = btf.names(Kind::Typedef).filter_map(|n| n.strip_prefix(CALLBACK)).collect();
    let error = Diagnostic::error("probe::no-match", format!("no tracepoint `{name}` in this kernel"))
        .label(at, "matches nothing");
    match did_you_mean(name, known.iter().copied()) {
        Some(help) => error.help(help),
        None => error,
    }
}
