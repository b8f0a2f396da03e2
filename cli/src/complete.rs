//! What a shell offers while a word is typed: probe points of this kernel, functions of the library, and the variables
//! that a probe has.
//!
//! The shell asks this program itself (`COMPLETE=bash tapster`), so what is offered is what this kernel has.

use clap_complete::CompletionCandidate;
use std::ffi::OsStr;
use tapster_compiler::check::{Options, places};
use tapster_compiler::dump::{Dump, dump};
use tapster_compiler::library;
use tapster_lang::SourceMap;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::Environment;
use tapster_runtime::Machine;

/// So many are offered at once: more are no help.
const MOST: usize = 500;

/// What a probe point may become: `-l` and `-L`.
pub fn point(typed: &OsStr) -> Vec<CompletionCandidate> {
    candidates(points(unquoted(&typed.to_string_lossy())))
}

/// What a script's text may become at its end: `-e`.
pub fn text(typed: &OsStr) -> Vec<CompletionCandidate> {
    candidates(texts(unquoted(&typed.to_string_lossy())))
}

/// Shells hand over the quote that a word begins with, and keep it themselves.
fn unquoted(typed: &str) -> &str {
    typed.strip_prefix(['\'', '"']).unwrap_or(typed)
}

fn candidates(all: Vec<String>) -> Vec<CompletionCandidate> {
    all.into_iter().take(MOST).map(CompletionCandidate::new).collect()
}

fn points(typed: &str) -> Vec<String> {
    if typed.matches('"').count() % 2 == 1 {
        let open = typed.matches('(').count() > typed.matches(')').count();
        return listed(&format!("{typed}*\"{}", if open { ")" } else { "" }), false);
    }
    let skeleton = skeleton(typed);
    let forms = dump(Dump::ProbeTypes, &Environment::default());
    let mut all: Vec<String> = forms.iter().filter_map(|form| rest(form, &skeleton, typed)).collect();
    let aliases = dump(Dump::ProbeAliases, &Environment::default());
    let names = aliases.iter().filter_map(|alias| alias.split_once(' ')).map(|(name, _)| name.to_owned());
    all.extend(names.filter(|name| name.starts_with(typed)));
    all.sort();
    all.dedup();
    all
}

/// A point with the kinds of its arguments: `kernel.function(string).re`.
fn skeleton(typed: &str) -> String {
    let mut skeleton = String::new();
    for (nth, part) in typed.split('(').enumerate() {
        match (nth, part.split_once(')')) {
            (0, _) => skeleton.push_str(part),
            (_, Some((argument, rest))) => {
                let kind = if argument.starts_with('"') { "string" } else { "number" };
                skeleton.push_str(&format!("({kind}){rest}"));
            }
            (_, None) => skeleton.push('('),
        }
    }
    skeleton
}

/// What was typed, with what follows in this form, up to the next argument.
fn rest(form: &str, skeleton: &str, typed: &str) -> Option<String> {
    let rest = form.strip_prefix(skeleton).filter(|rest| !rest.is_empty())?;
    let end = match rest.split_once('(') {
        Some((name, argument)) if argument.starts_with("string") => format!("{name}(\""),
        Some((name, _)) => format!("{name}("),
        None => rest.to_owned(),
    };
    Some(format!("{typed}{end}"))
}

/// The probe points that a pattern stands for on this machine.
fn listed(pattern: &str, variables: bool) -> Vec<String> {
    let machine = Machine::new();
    let mut sources = SourceMap::new();
    let text = format!("probe {pattern} {{ }}");
    let environment = Environment { arch: std::env::consts::ARCH, ..Environment::default() };
    let file = sources.add_bytes("<input>", text.as_bytes());
    let Ok(macros) = library::macros(text.as_bytes(), &mut sources, &environment) else { return Vec::new() };
    let Ok(parsed) = parse(file, &mut sources, &environment, &macros) else { return Vec::new() };
    let mut scripts = vec![parsed.script];
    match library::complete(&mut scripts, &mut sources, &environment, &macros) {
        Ok(()) => places(&scripts, &machine, &Options::default(), variables),
        Err(_) => Vec::new(),
    }
}

fn texts(text: &str) -> Vec<String> {
    let probe = text.rfind("probe ");
    let inside = text.matches('{').count() > text.matches('}').count();
    if let (Some(probe), false) = (probe, inside) {
        let (head, point) = text.split_at(probe + "probe ".len());
        let (more, point) =
            point.rsplit_once(", ").map_or((String::new(), point), |(more, last)| (format!("{more}, "), last));
        return points(point).into_iter().map(|point| format!("{head}{more}{point}")).collect();
    }
    let word = text.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$').map_or(0, |at| at + 1);
    let (head, word) = text.split_at(word);
    let names = match (word.strip_prefix('$'), probe) {
        (Some(_), Some(probe)) => variables(&text[probe + "probe ".len()..]),
        _ if word.is_empty() => Vec::new(),
        _ => functions(),
    };
    let fitting = names.into_iter().filter(|name| name.starts_with(word));
    fitting.map(|name| format!("{head}{name}")).collect()
}

/// The variables that the first place of a probe has, with their dollars.
fn variables(probe: &str) -> Vec<String> {
    let point = probe.split('{').next().unwrap_or_default().trim();
    let place = listed(point, true).into_iter().next().unwrap_or_default();
    let named = place.split(" $").skip(1).filter_map(|variable| variable.split_once(':'));
    named.map(|(name, _)| format!("${name}")).collect()
}

fn functions() -> Vec<String> {
    let signatures = dump(Dump::Functions, &Environment::default());
    let names = signatures.iter().filter_map(|signature| signature.split([':', ' ']).next());
    let mut names: Vec<String> = names.map(|name| format!("{name}(")).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_grow_by_the_forms_there_are() {
        assert!(points("kernel.fu").contains(&"kernel.function(\"".to_owned()));
        assert!(points("kernel.function(\"a\").ret").contains(&"kernel.function(\"a\").return".to_owned()));
        assert!(points("timer.s(2).r").contains(&"timer.s(2).randomize(".to_owned()));
        assert!(points("vfs.re").contains(&"vfs.read".to_owned()));
        assert!(points("nosuch").is_empty());
    }

    #[test]
    fn texts_grow_at_their_end() {
        assert!(texts("probe begin { println(execn").contains(&"probe begin { println(execname(".to_owned()));
        assert!(texts("probe begin, ti").contains(&"probe begin, timer.s(".to_owned()));
    }
}
