//! What a shell offers while a word is typed: probe points of this kernel, functions of the library, and the variables
//! that a probe has.
//!
//! The shell asks this program itself (`COMPLETE=bash tapster`), so what is offered is what this kernel has.

use clap::{Arg, Command};
use clap_complete::engine::{PathCompleter, ValueCompleter};
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use std::env;
use std::ffi::OsStr;
use tapster_compiler::check::{Options, places};
use tapster_compiler::dump::{Dump, dump};
use tapster_compiler::library;
use tapster_lang::SourceMap;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::Environment;
use tapster_runtime::Machine;

use crate::args::{self, COMMANDS};
use crate::example;

/// So many are offered at once: more are no help.
const MOST: usize = 500;

/// The command line as a shell has it so far: `explain` has a topic, all else options.
pub fn command() -> Command {
    // Behind `--` stand the words, the program first.
    let words: Vec<_> = env::args_os().skip_while(|word| word != "--").skip(2).collect();
    if words.len() < 2 || words[0] != "explain" {
        return args::command();
    }
    let topic = Arg::new("topic").add(ArgValueCompleter::new(topic));
    Command::new("tapster").disable_help_flag(true).arg(Arg::new("explain")).arg(topic)
}

/// What a probe point may become: `-l` and `-L`.
pub fn point(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = points(unquoted(&typed.to_string_lossy()));
    // Shells close the quote behind a word that can become one thing alone: more must follow.
    if let [open] = found.as_slice()
        && open.ends_with("(\"")
    {
        found.extend(points(open));
    }
    candidates(found)
}

/// What a script's text may become at its end: `-e` and `-E`.
pub fn text(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = texts(unquoted(&typed.to_string_lossy()));
    // No script ends behind a name; a second one keeps the shell from closing the quote.
    if let [name] = found.as_slice() {
        found.push(format!("{name} "));
    }
    candidates(found)
}

/// What the script may be: a file, one that comes along with `--example`, or a command instead.
pub fn script(typed: &OsStr) -> Vec<CompletionCandidate> {
    let fits = |name: &&str| name.starts_with(&*typed.to_string_lossy());
    if env::args_os().any(|word| word == "--example") {
        return example::names().filter(fits).map(CompletionCandidate::new).collect();
    }
    let commands = COMMANDS.iter().map(|(name, _)| *name).filter(fits).map(CompletionCandidate::new);
    commands.chain(PathCompleter::any().complete(typed)).collect()
}

/// What there is something to say of: functions and probe points.
fn topic(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let names = functions().into_iter().map(|name| name.trim_end_matches('(').to_owned()).chain(aliases());
    candidates(names.filter(|name| name.starts_with(&*typed)).collect())
}

/// Shells hand over the quote that a word begins with, and keep it themselves.
fn unquoted(typed: &str) -> &str {
    typed.strip_prefix(['\'', '"']).unwrap_or(typed)
}

/// In order, and the last one always among them: what all have in common shells type by themselves.
fn candidates(mut all: Vec<String>) -> Vec<CompletionCandidate> {
    all.sort();
    all.dedup();
    if all.len() > MOST {
        all.drain(MOST - 1..all.len() - 1);
    }
    all.into_iter().map(CompletionCandidate::new).collect()
}

fn points(typed: &str) -> Vec<String> {
    if typed.matches('"').count() % 2 == 1 {
        let open = typed.matches('(').count() > typed.matches(')').count();
        let found = listed(&format!("{typed}*\"{}", if open { ")" } else { "" }), false);
        return found.into_iter().filter_map(|point| as_typed(point, typed)).collect();
    }
    let skeleton = skeleton(typed);
    let forms = dump(Dump::ProbeTypes, &Environment::default());
    let mut all: Vec<String> = forms.iter().filter_map(|form| rest(form, &skeleton, typed)).collect();
    all.extend(aliases().into_iter().filter(|name| name.starts_with(typed)));
    all.sort();
    all.dedup();
    all
}

/// A point that begins as it was typed; tracepoints need not be told by their system.
fn as_typed(point: String, typed: &str) -> Option<String> {
    if point.starts_with(typed) {
        return Some(point);
    }
    let (head, rest) = point.split_once('"')?;
    let (_, name) = rest.split_once(':')?;
    Some(format!("{head}\"{name}")).filter(|point| point.starts_with(typed))
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
    match library::complete(&mut scripts, &mut sources, &environment) {
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

fn aliases() -> Vec<String> {
    let aliases = dump(Dump::ProbeAliases, &Environment::default());
    aliases.iter().filter_map(|alias| alias.split_once(' ')).map(|(name, _)| name.to_owned()).collect()
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
    fn what_is_left_out_is_in_the_middle() {
        let many: Vec<String> = (0..2000).map(|n| format!("a{n:04}")).collect();
        let offered = candidates(many);
        let last = offered.last().map(|last| last.get_value().to_os_string());
        assert_eq!((offered.len(), last), (MOST, Some("a1999".into())));
    }

    #[test]
    fn tracepoints_are_called_as_they_were_typed() {
        let point = || "kernel.trace(\"sched:sched_switch\")".to_owned();
        assert_eq!(as_typed(point(), "kernel.trace(\"sched_sw").as_deref(), Some("kernel.trace(\"sched_switch\")"));
        assert_eq!(as_typed(point(), "kernel.trace(\"sched:sch"), Some(point()));
        assert_eq!(as_typed(point(), "kernel.trace(\"x"), None);
    }

    #[test]
    fn texts_grow_at_their_end() {
        assert!(texts("probe begin { println(execn").contains(&"probe begin { println(execname(".to_owned()));
        assert_eq!(text(OsStr::new("'probe begin { println(execn")).len(), 2);
        assert!(texts("probe begin, ti").contains(&"probe begin, timer.s(".to_owned()));
    }
}
