//! What scripts can be made of, as SystemTap lists it: the forms of probe points, the library's aliases and its functions
//! (`stap --dump-probe-types`, `--dump-probe-aliases`, `--dump-functions`).

use crate::intrinsic::INTRINSICS;
use crate::library;
use crate::probe;
use crate::reference;
use crate::syscall;
use std::collections::BTreeSet;
use tapster_lang::SourceMap;
use tapster_lang::ast::{Alias, Item, ProbePoint};
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump {
    /// The forms of probe points.
    ProbeTypes,
    /// The aliases of probe points.
    ProbeAliases,
    /// The functions.
    Functions,
}

/// The list, a line each, by name.
pub fn dump(what: Dump, environment: &Environment) -> BTreeSet<String> {
    match what {
        Dump::ProbeTypes => probe::forms().map(String::from).collect(),
        Dump::ProbeAliases => aliases(environment).chain(calls()).collect(),
        Dump::Functions => functions(),
    }
}

/// `vfs.read = kernel.function("vfs_read")`; those that begin with `_` are the library's own.
fn aliases(environment: &Environment) -> impl Iterator<Item = String> {
    let environment = Environment { user_script: false, ..*environment };
    let items = library::files().flat_map(move |(name, text)| {
        let mut sources = SourceMap::new();
        let macros = library::macros(text.as_bytes(), &mut sources, &environment).unwrap_or_else(|_| Macros::default());
        let file = sources.add_bytes(name, text.as_bytes());
        parse(file, &mut sources, &environment, &macros).map_or_else(|_| Vec::new(), |parsed| parsed.script.items)
    });
    items
        .filter_map(|item| if let Item::Alias(alias) = item { Some(alias) } else { None })
        .flat_map(|alias| lines(&alias))
}

fn lines(alias: &Alias) -> Vec<String> {
    let points: Vec<String> = alias.points.iter().map(ProbePoint::to_string).collect();
    let sign = if alias.epilogue { "+=" } else { "=" };
    let names = alias.names.iter().map(ProbePoint::to_string).filter(|name| !name.starts_with('_'));
    names.map(|name| format!("{name} {sign} {}", points.join(", "))).collect()
}

/// The aliases of system calls, which are made on demand.
fn calls() -> impl Iterator<Item = String> {
    let names = syscall::calls().flat_map(|call| call.names);
    names.flat_map(|name| {
        [
            format!("syscall.{name} = kernel.trace(\"sys_enter\")"),
            format!("syscall.{name}.return = kernel.trace(\"sys_exit\")"),
        ]
    })
}

/// `name:long (value:long, text:string)`; a type that nothing says is not there.
fn functions() -> BTreeSet<String> {
    let rows = INTRINSICS.iter().filter(|row| !row.name.starts_with('_')).map(|row| {
        let params: Vec<&str> = row.params.iter().map(|ty| ty.name()).collect();
        format!("{}:{} ({})", row.name, row.result.name(), params.join(", "))
    });
    let files = reference::functions().flat_map(library::signatures).map(|signature| match signature.split_once('(') {
        Some((name, rest)) => format!("{} ({rest}", name.trim_end()),
        None => signature.to_owned(),
    });
    rows.chain(files).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(what: Dump) -> BTreeSet<String> {
        dump(what, &Environment { arch: std::env::consts::ARCH, ..Environment::default() })
    }

    #[test]
    fn functions_have_the_signatures_of_the_library() {
        let lines = lines_of(Dump::Functions);
        for name in reference::functions() {
            let has = |line: &&String| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', ' ']));
            assert!(lines.iter().any(|line| has(&line)), "{name}");
        }
        assert!(
            lines.contains("pid:long ()") && lines.iter().all(|line| !line.starts_with('_') && line.ends_with(')'))
        );
    }

    #[test]
    fn every_file_of_the_library_gives_its_aliases() {
        let lines = lines_of(Dump::ProbeAliases);
        let defined = library::files().flat_map(|(_, text)| text.lines().filter_map(alias_of));
        for name in defined.filter(|name| !name.starts_with('_')) {
            assert!(lines.iter().any(|line| line.starts_with(&format!("{name} "))), "{name}");
        }
        assert!(lines.contains("syscall.openat = kernel.trace(\"sys_enter\")"));
    }

    /// The name of an alias that a line defines.
    fn alias_of(line: &str) -> Option<&str> {
        let (names, _) = line.strip_prefix("probe ")?.split_once('=')?;
        names.trim_end_matches('+').split_whitespace().next()
    }
}
