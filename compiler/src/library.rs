//! The library: functions, globals and aliases in the language itself, embedded in the binary.
//!
//! Only the files whose names a script uses are parsed, and then those whose names they use.

use crate::intrinsic;
use std::collections::HashSet;
use tapster_lang::ast::{self, ExprKind, FunctionBody, Item, ProbePoint, Script};
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};
use tapster_lang::{Diagnostic, SourceMap};

include!(concat!(env!("OUT_DIR"), "/tapset.rs"));

/// The macros of the library that a text may use.
pub fn macros(text: &[u8], sources: &mut SourceMap, environment: &Environment) -> Result<Macros, Vec<Diagnostic>> {
    let mut macros = Macros::default();
    let mut taken: HashSet<u16> = HashSet::new();
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'@') {
        let length = text[at + 1..].iter().take_while(|byte| is_name(byte)).count();
        let name = core::str::from_utf8(&text[at..=at + length]).unwrap_or_default();
        if let Some(file) = file_of(name)
            && taken.insert(file)
        {
            let (name, text) = FILES[usize::from(file)];
            let id = sources.add_bytes(format!("tapset/{name}"), text.as_bytes());
            macros.add_file(id, sources, environment)?;
        }
    }
    Ok(macros)
}

/// Adds the files of the library that scripts need, in the order in which they are found to be needed.
pub fn complete(
    scripts: &mut Vec<Script>,
    sources: &mut SourceMap,
    environment: &Environment,
    macros: &Macros,
) -> Result<(), Vec<Diagnostic>> {
    let environment = Environment { user_script: false, ..*environment };
    let mut taken: HashSet<u16> = HashSet::new();
    let mut calls = crate::syscall::Made::default();
    let mut counters = crate::counter::Made::default();
    let mut looked_at = 0;
    while looked_at < scripts.len() {
        let own = defined(&scripts[..]);
        let mut wanted: Vec<u16> = Vec::new();
        uses(&scripts[looked_at], &mut |name| {
            if !own.contains(name) {
                wanted.extend(files_of(name).filter(|file| taken.insert(*file)));
            }
        });
        for file in wanted {
            let (name, text) = FILES[usize::from(file)];
            let id = sources.add_bytes(format!("tapset/{name}"), text.as_bytes());
            scripts.push(parse(id, sources, &environment, macros)?.script);
        }
        if let Some(text) = calls.text(&scripts[looked_at]) {
            let id = sources.add_bytes("tapset/syscall", text.as_bytes());
            scripts.push(parse(id, sources, &environment, macros)?.script);
        }
        if let Some(text) = counters.text(&scripts[looked_at]) {
            let id = sources.add_bytes("tapset/counter", text.as_bytes());
            scripts.push(parse(id, sources, &environment, macros)?.script);
        }
        looked_at += 1;
    }
    Ok(())
}

/// The files by name, with their texts.
pub fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    FILES.iter().copied()
}

/// The signatures of a function of the library, one a way to call it.
pub fn signatures(name: &str) -> impl Iterator<Item = &'static str> {
    let text = text_of(name).unwrap_or_default();
    let of_name = |rest: &str| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', '(', ' ']));
    let found: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("function ")).filter(|rest| of_name(rest)).collect();
    found.into_iter().map(|rest| rest.split_inclusive(')').next().unwrap_or(rest))
}

/// The names that the library defines.
pub fn names() -> impl Iterator<Item = &'static str> {
    INDEX.iter().map(|(name, _)| *name)
}

/// The file that defines a name.
pub fn text_of(name: &str) -> Option<&'static str> {
    file_of(name).map(|file| FILES[usize::from(file)].1)
}

/// A file of a library that the user brings along.
#[derive(Debug)]
pub struct Extra {
    name: String,
    text: Vec<u8>,
    /// What it defines, macros with their `@`.
    names: Vec<String>,
}

impl Extra {
    /// A file with its text.
    pub fn new(name: String, text: Vec<u8>) -> Extra {
        let shown = String::from_utf8_lossy(&text).into_owned();
        let starts = core::iter::once(0).chain(shown.match_indices('\n').map(|(at, _)| at + 1));
        let names = starts.flat_map(|start| defined_in(&shown[start..])).collect();
        Extra { name, text, names }
    }

    /// Whether it holds macros alone.
    fn is_macros(&self) -> bool {
        self.name.ends_with(".stpm")
    }
}

/// Names that the text at the start of a line defines: of functions, globals and macros, and the first parts of aliases.
fn defined_in(text: &str) -> Vec<String> {
    let text = text.trim_start().trim_start_matches("@__private30").trim_start();
    let text = text.strip_prefix("private ").unwrap_or(text).trim_start();
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    match text.split_once(char::is_whitespace) {
        Some(("@define", rest)) => vec![format!("@{}", name(rest))],
        Some(("function", rest)) => vec![name(rest)],
        // The name of an alias may stand on the next line; a probe that is none defines nothing.
        Some(("probe", rest)) if rest.split('{').next().is_some_and(|head| head.contains('=')) => vec![name(rest)],
        Some(("global", rest)) => rest.lines().next().unwrap_or_default().split(',').map(name).collect(),
        _ => Vec::new(),
    }
}

/// Adds the macros of the user's library, and those of ours that its files use.
pub fn extra_macros(
    text: &[u8],
    extras: &[Extra],
    sources: &mut SourceMap,
    environment: &Environment,
) -> Result<Macros, Vec<Diagnostic>> {
    let mut all = text.to_vec();
    extras.iter().for_each(|extra| all.extend_from_slice(&extra.text));
    let mut known = macros(&all, sources, environment)?;
    for extra in extras.iter().filter(|extra| extra.is_macros()) {
        // A macro of ours stands for the same one there.
        let id = sources.add_bytes(extra.name.clone(), &extra.text);
        let mut theirs = Macros::default();
        theirs.add_file(id, sources, environment)?;
        known.fill(theirs);
    }
    Ok(known)
}

/// Adds the files of the user's library that scripts need. What ours has is taken from ours.
pub fn extend(
    scripts: &mut Vec<Script>,
    extras: &[Extra],
    sources: &mut SourceMap,
    environment: &Environment,
    macros: &Macros,
) -> Result<(), Vec<Diagnostic>> {
    let environment = Environment { user_script: false, ..*environment };
    let mut taken = vec![false; extras.len()];
    let mut looked_at = 0;
    while looked_at < scripts.len() {
        let own = defined(&scripts[..]);
        let mut wanted = Vec::new();
        uses(&scripts[looked_at], &mut |name| {
            let is_ours = file_of(name).is_some() || crate::intrinsic::find(name).is_some() || own.contains(name);
            let mut with_name = (0..extras.len()).filter(|at| extras[*at].names.iter().any(|known| known == name));
            if !is_ours
                && let Some(at) = with_name.next()
                && !core::mem::replace(&mut taken[at], true)
            {
                wanted.push(at);
            }
        });
        for at in wanted {
            let id = sources.add_bytes(extras[at].name.clone(), &extras[at].text);
            scripts.push(parse(id, sources, &environment, macros)?.script);
        }
        looked_at += 1;
    }
    Ok(())
}

fn file_of(name: &str) -> Option<u16> {
    files_of(name).next()
}

/// The files that define a name: several may have aliases that start with it.
fn files_of(name: &str) -> impl Iterator<Item = u16> {
    let first = INDEX.partition_point(|(known, _)| *known < name);
    INDEX[first..].iter().take_while(move |(known, _)| *known == name).map(|(_, file)| *file)
}

/// Names that the scripts define themselves: theirs win over the library's.
fn defined(scripts: &[Script]) -> HashSet<String> {
    let mut names = HashSet::new();
    for item in scripts.iter().flat_map(|script| &script.items) {
        match item {
            Item::Global(global) => names.insert(global.name.name.clone()),
            Item::Function(function) => names.insert(function.name.name.clone()),
            _ => false,
        };
    }
    names
}

/// The names of variables that a block mentions.
pub fn variables(block: &ast::Block) -> HashSet<String> {
    let mut names = HashSet::new();
    crate::check::walk::exprs(block, &mut |e| {
        if let ExprKind::Var(name) = &e.kind {
            names.insert(name.clone());
        }
    });
    names
}

/// Every name that a script calls, reads or probes.
fn uses(script: &Script, name: &mut dyn FnMut(&str)) {
    let point = |points: &[ProbePoint], name: &mut dyn FnMut(&str)| {
        points.iter().filter_map(|point| point.components.first()).for_each(|first| name(&first.name.name));
        for condition in points.iter().filter_map(|point| point.condition.as_ref()) {
            crate::check::walk::expr(condition, &mut |e| named(e, name));
        }
    };
    for item in &script.items {
        let blocks: Vec<&ast::Block> = match item {
            Item::Probe(probe) => {
                point(&probe.points, name);
                vec![&probe.body]
            }
            Item::Alias(alias) => {
                point(&alias.points, name);
                [&alias.body].into_iter().chain(&alias.after).collect()
            }
            Item::Function(ast::Function { body: FunctionBody::Script(body), .. }) => vec![body],
            Item::Function(_) | Item::Global(_) | Item::EmbeddedC(_) => vec![],
        };
        for block in blocks {
            crate::check::walk::exprs(block, &mut |e| named(e, name));
        }
    }
}

fn named(e: &ast::Expr, name: &mut dyn FnMut(&str)) {
    match &e.kind {
        ExprKind::Var(var) => name(var),
        ExprKind::Index(array, _) | ExprKind::In(_, array) => name(&array.name),
        // What the table has with so many parameters is not looked for in files: they have the other overloads.
        ExprKind::Call(function, args) if intrinsic::takes(&function.name, args.len()) => {}
        ExprKind::Call(function, _) => name(&function.name),
        _ => {}
    }
}
