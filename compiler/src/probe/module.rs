//! `module("PATTERN").function("PATTERN")`: functions of modules that are loaded, each on the best rung of the ladder.

use super::function::{exported, say_left_out, stand};
use super::ladder::{Asked, Function};
use super::pattern::{self, is_pattern};
use super::site::{Resolver, Sites, mismatch, text};
use super::suffix;
use crate::kernel::btf::Kind;
use crate::suggest::did_you_mean;
use tapster_lang::ast::ProbePoint;
use tapster_lang::preprocess::glob;
use tapster_lang::{Diagnostic, Span};

/// `module("M").function("F")`
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    functions(point, 0, false, resolver)
}

/// The functions that a point names from its part `module` on, the nth; `registers` as in [`Asked`].
pub fn functions(point: &ProbePoint, nth: usize, registers: bool, resolver: &mut Resolver) -> Sites {
    let (module, module_at) = text(&point.components[nth])?;
    match point.components.get(nth + 1).map(|part| (part.name.name.as_str(), part.name.span)) {
        Some(("function", _)) => {}
        Some(("statement", at)) => return Err(suffix::debuginfo("statement", at)),
        _ => return Err(mismatch(point, nth + 1, ["function"])),
    }
    let (name, at) = text(&point.components[nth + 1])?;
    let suffix = suffix::read(point, nth + 2)?;
    // The kernel's own names have no `-`, files of modules do.
    let modules = loaded(&module.replace('-', "_"), name, module_at, resolver)?;
    let lenient = is_pattern(name) || modules.len() > 1;
    let asked = Asked { name, suffix, registers, lenient, at };
    let functions = matching(&asked, &modules, resolver)?;
    stand(&asked, &functions, resolver)
}

/// The modules that a pattern stands for, of those that are loaded.
fn loaded(pattern: &str, function: &str, at: Span, resolver: &Resolver) -> Result<Vec<String>, Diagnostic> {
    let all = resolver.world.modules().unwrap_or_default();
    let modules: Vec<String> = all.iter().filter(|name| glob(pattern.as_bytes(), name.as_bytes())).cloned().collect();
    if modules.is_empty() { Err(not_loaded(pattern, function, at, resolver)) } else { Ok(modules) }
}

fn matching(asked: &Asked, modules: &[String], resolver: &mut Resolver) -> Result<Vec<Function>, Diagnostic> {
    let mut found = Vec::new();
    for module in modules {
        let (mut functions, left_out) = pattern::module_functions(resolver.btf, (module, asked.name), resolver);
        if !is_pattern(asked.name) && functions.iter().any(|function| function.name == asked.name) {
            functions.retain(|function| function.name == asked.name);
        }
        if asked.lenient {
            say_left_out(asked.name, &left_out, "that the kernel lets nobody probe", resolver);
        }
        found.extend(functions);
    }
    if asked.suffix.exported {
        found = exported(found, asked, resolver)?;
    }
    if found.is_empty() {
        return Err(no_match(asked, modules, resolver));
    }
    resolver.limit(asked.name, found.len(), asked.at)?;
    Ok(found)
}

fn no_match(asked: &Asked, modules: &[String], resolver: &Resolver) -> Diagnostic {
    let of = if modules.len() == 1 { format!("the module {}", modules[0]) } else { "these modules".into() };
    let error = Diagnostic::error("probe::no-match", format!("no function of {of} matches `{}`", asked.name))
        .label(asked.at, "matches nothing");
    if resolver.unsaid {
        return error;
    }
    let all = modules.iter().flat_map(|module| pattern::module_functions(resolver.btf, (module, "*"), resolver).0);
    let names: Vec<String> = all.map(|function| function.name).collect();
    match did_you_mean(asked.name, names.iter().map(String::as_str)) {
        Some(help) => error.help(help),
        None => error.help("the compiler may have inlined it: probe a caller, or a tracepoint with kernel.trace(…)"),
    }
}

fn not_loaded(pattern: &str, function: &str, at: Span, resolver: &Resolver) -> Diagnostic {
    let world = resolver.world;
    let Some(all) = world.modules() else {
        return Diagnostic::error("probe::no-module", "this kernel has no modules").label(at, "cannot be loaded").help(
            instead(function, resolver).unwrap_or_else(|| "probe what is part of it: kernel.function(…)".into()),
        );
    };
    let error = Diagnostic::error("probe::no-module", format!("no module `{pattern}` is loaded"))
        .label(at, "none of those in /proc/modules");
    let near = || did_you_mean(pattern, all.iter().map(String::as_str));
    match instead(function, resolver).or_else(near) {
        Some(help) => error.help(help),
        None => error.help(format!("load it first: modprobe {pattern}")),
    }
}

/// Where the kernel has the function itself.
fn instead(function: &str, resolver: &Resolver) -> Option<String> {
    let is_there = resolver.btf.is_some_and(|btf| btf.find(Kind::Func, function).is_some());
    is_there.then(|| format!("this kernel has the function built in: kernel.function(\"{function}\")"))
}
