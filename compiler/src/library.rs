//! The library: functions, globals and aliases in the language itself, embedded in the binary.
//!
//! Only the definitions whose names a script uses are parsed, and then those whose names they use.

use crate::intrinsic;
use std::collections::{HashMap, HashSet, VecDeque};
use tapster_lang::ast::{self, ExprKind, FunctionBody, Item, ProbePoint, Script};
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};
use tapster_lang::{Diagnostic, FileId, SourceMap};

/// Where the library defines a name.
struct Definition {
    /// A function's, a global's, a macro's with its `@`, or the first two parts of an alias's, `vfs.read`.
    name: &'static str,
    /// Only definitions of the same file know it.
    private: bool,
    /// One of [`FILES`].
    file: u16,
    /// Where its text starts in the file.
    start: u32,
    /// The end of its text.
    end: u32,
}

include!(concat!(env!("OUT_DIR"), "/tapset.rs"));

/// The files of the library of which something is used.
#[derive(Default)]
struct Opened(HashMap<u16, FileId>);

impl Opened {
    /// A definition as a text of its own, which knows where in its file it stands.
    fn text(&mut self, definition: &Definition, sources: &mut SourceMap) -> FileId {
        let (name, text) = FILES[usize::from(definition.file)];
        let add = || sources.add_bytes(format!("tapset/{name}"), text.as_bytes());
        let file = *self.0.entry(definition.file).or_insert_with(add);
        sources.add_part(file, definition.start, definition.end)
    }
}

/// The macros of the library that a text may use.
pub fn macros(text: &[u8], sources: &mut SourceMap, environment: &Environment) -> Result<Macros, Vec<Diagnostic>> {
    let mut used = Used::default();
    used.add(text, sources, environment)?;
    Ok(used.macros)
}

/// Macros of the library that texts use, and those that these use.
#[derive(Default)]
struct Used {
    macros: Macros,
    opened: Opened,
    taken: HashSet<&'static str>,
}

impl Used {
    /// Adds those that one more text uses.
    fn add(&mut self, text: &[u8], sources: &mut SourceMap, environment: &Environment) -> Result<(), Vec<Diagnostic>> {
        let mut texts: Vec<&[u8]> = vec![text];
        while let Some(text) = texts.pop() {
            for name in operators(text) {
                if let Some(definition) = definitions(name, None).next()
                    && self.taken.insert(definition.name)
                {
                    let id = self.opened.text(definition, sources);
                    self.macros.add_file(id, sources, environment)?;
                    texts.push(definition.text().as_bytes());
                }
            }
        }
        Ok(())
    }
}

/// The words of a text that begin with `@`.
fn operators(text: &[u8]) -> impl Iterator<Item = &str> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let starts = text.iter().enumerate().filter(|(_, byte)| **byte == b'@').map(|(at, _)| at);
    starts.map(move |at| {
        let length = text[at + 1..].iter().take_while(|byte| is_name(byte)).count();
        core::str::from_utf8(&text[at..=at + length]).unwrap_or_default()
    })
}

/// Adds what scripts need of the library, in the order in which it is found to be needed. Definitions of one file stay
/// together, as its private names are theirs alone.
pub fn complete(
    scripts: &mut Vec<Script>,
    sources: &mut SourceMap,
    environment: &Environment,
) -> Result<(), Vec<Diagnostic>> {
    let environment = Environment { user_script: false, ..*environment };
    let mut needs = Needs { own: defined(scripts), ..Needs::default() };
    scripts.iter().for_each(|script| needs.look(script, None));
    let mut opened = Opened::default();
    let mut used = Used::default();
    let mut places: HashMap<u16, usize> = HashMap::new();
    while let Some(needed) = needs.queue.pop_front() {
        let (id, file) = match needed {
            Needed::Definition(definition) => {
                used.add(definition.text().as_bytes(), sources, &environment)?;
                (opened.text(definition, sources), Some(definition.file))
            }
            Needed::Made(name, text) => (sources.add_bytes(name, text.as_bytes()), None),
        };
        // The library sees its own macros alone.
        let script = parse(id, sources, &environment, &used.macros)?.script;
        needs.look(&script, file);
        match file.map(|file| *places.entry(file).or_insert(scripts.len())).filter(|place| *place < scripts.len()) {
            Some(place) => scripts[place].items.extend(script.items),
            None => scripts.push(script),
        }
    }
    Ok(())
}

/// What scripts need that is not there yet.
#[derive(Default)]
struct Needs {
    /// Names that the user defines: the library's are not taken.
    own: HashSet<String>,
    taken: HashSet<(u16, u32)>,
    calls: crate::syscall::Made,
    counters: crate::counter::Made,
    queue: VecDeque<Needed>,
}

/// Something to parse.
enum Needed {
    Definition(&'static Definition),
    /// A text made on demand, with its name.
    Made(&'static str, String),
}

impl Needs {
    /// Asks for what a script uses; one of the library's comes from a file.
    fn look(&mut self, script: &Script, file: Option<u16>) {
        uses(script, &mut |name, within| {
            if !self.own.contains(name) {
                let found = definitions(name, file).chain(aliases(name, within));
                let new = found.filter(|found| self.taken.insert((found.file, found.start)));
                self.queue.extend(new.map(Needed::Definition));
            }
        });
        let made = [("tapset/syscall", self.calls.text(script)), ("tapset/counter", self.counters.text(script))];
        self.queue.extend(made.into_iter().filter_map(|(name, text)| Some(Needed::Made(name, text?))));
    }
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

/// The names that the library defines for scripts.
pub fn names() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<_> = INDEX.iter().filter(|found| !found.private).map(|found| found.name).collect();
    names.dedup();
    names.into_iter()
}

/// The file that defines a name.
pub fn text_of(name: &str) -> Option<&'static str> {
    definitions(name, None).next().map(|found| FILES[usize::from(found.file)].1)
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
        uses(&scripts[looked_at], &mut |name, _| {
            let is_ours = is_ours(name) || crate::intrinsic::find(name).is_some() || own.contains(name);
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

impl Definition {
    fn text(&self) -> &'static str {
        &FILES[usize::from(self.file)].1[self.start as usize..self.end as usize]
    }
}

/// The definitions of a name that a file of the library knows, or everybody.
fn definitions(name: &str, file: Option<u16>) -> impl Iterator<Item = &'static Definition> {
    let first = INDEX.partition_point(|known| known.name < name);
    let of_name = INDEX[first..].iter().take_while(move |known| known.name == name);
    of_name.filter(move |known| !known.private || Some(known.file) == file)
}

/// The aliases that a point may mean whose first part is the name: those with its second part. Where there are none, or
/// the part is a pattern, all that start with the name.
fn aliases(first: &str, second: Option<&str>) -> impl Iterator<Item = &'static Definition> {
    let prefix = second.map(|_| format!("{first}.")).unwrap_or_default();
    let start = INDEX.partition_point(|known| *known.name < *prefix);
    let count = INDEX[start..].iter().take_while(|known| second.is_some() && known.name.starts_with(&prefix)).count();
    let all = &INDEX[start..start + count];
    let is_meant = move |known: &&Definition| Some(&known.name[prefix.len()..]) == second;
    let any = !all.iter().any(|known| is_meant(&known));
    all.iter().filter(move |known| any || is_meant(known))
}

/// Whether the library has a name, as a definition's or as the first part of an alias's.
fn is_ours(name: &str) -> bool {
    definitions(name, None).next().is_some() || aliases(name, Some("")).next().is_some()
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

/// Every name that a script calls, reads or probes, with the second part of a point's.
fn uses(script: &Script, name: &mut dyn FnMut(&str, Option<&str>)) {
    let point = |points: &[ProbePoint], name: &mut dyn FnMut(&str, Option<&str>)| {
        for point in points {
            let mut parts = point.components.iter().map(|part| part.name.name.as_str());
            if let Some(first) = parts.next() {
                name(first, Some(parts.next().unwrap_or_default()));
            }
        }
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

fn named(e: &ast::Expr, name: &mut dyn FnMut(&str, Option<&str>)) {
    match &e.kind {
        ExprKind::Var(var) => name(var, None),
        ExprKind::Index(array, _) | ExprKind::In(_, array) => name(&array.name, None),
        // What the table has with so many parameters is not looked for in files: they have the other overloads.
        ExprKind::Call(function, args) if intrinsic::takes(&function.name, args.len()) => {}
        ExprKind::Call(function, _) => name(&function.name, None),
        _ => {}
    }
}
