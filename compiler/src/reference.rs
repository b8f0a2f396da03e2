//! What there is to say of functions, probe aliases, families of probe points and system calls: for `tapster explain`, and
//! for the pages docs/tapset.md and docs/probes.md.

use crate::intrinsic::{self, INTRINSICS, Intrinsic};
use crate::library;
use crate::probe;
use crate::syscall::{self, Call};
use std::collections::BTreeSet;

/// What is said of a name.
pub fn explain(name: &str) -> Option<String> {
    let of_table = || intrinsic::find(name).map(of_intrinsic);
    of_table().or_else(|| function(name)).or_else(|| alias(name)).or_else(|| family(name)).or_else(|| call(name))
}

/// All names of which something is said, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    let of_table = INTRINSICS.iter().map(|row| row.name).filter(|name| !name.starts_with('_'));
    of_table.chain(functions()).chain(aliases()).chain(families().map(|(name, _)| name))
}

/// The functions of the library that scripts may call, by name.
pub fn functions() -> impl Iterator<Item = &'static str> {
    library::names().filter(|name| function(name).is_some())
}

/// `docs/tapset.md`: every function that scripts may call, by name.
pub fn functions_page() -> String {
    let rows = INTRINSICS.iter().filter(|row| !row.name.starts_with('_'));
    let mut all: Vec<(&str, String)> = rows.map(|row| (row.name, of_intrinsic(row))).collect();
    all.extend(functions().filter_map(|name| Some((name, function(name)?))));
    all.sort();
    let head = "# The library's functions\n\nGenerated from the library; `tapster explain NAME` prints each of them. Do not edit.\n";
    all.iter().fold(head.to_owned(), |page, (_, text)| page + &section("##", text))
}

/// `docs/probes.md`: families of probe points, aliases, system calls.
pub fn probes_page() -> String {
    let mut page = String::from(
        "# Probe points\n\nGenerated; `tapster explain NAME` prints each of them. Do not edit.\n\n## Families\n",
    );
    for (name, text) in families() {
        page.push_str(&format!("\n### `{name}`\n\n{text}\n"));
        match forms(name) {
            forms if forms.is_empty() => {}
            forms => page.push_str(&format!("\n```text\n{}\n```\n", forms.join("\n"))),
        }
    }
    page.push_str("\n## Aliases\n");
    for name in aliases() {
        page.push_str(&section("###", &alias(name).unwrap_or_default()));
    }
    page.push_str("\n## System calls\n\nTheir variables, beside `name` and `argstr`; at the end, `.return`, `retval` and `retstr`.\n\n");
    let mut calls: Vec<String> = syscall::calls().map(|call| line(&call)).collect();
    calls.sort();
    page + &calls.concat()
}

/// A section of a page, whose first line is its heading.
fn section(level: &str, text: &str) -> String {
    let (heading, rest) = text.split_once('\n').unwrap_or((text, ""));
    format!("\n{level} `{heading}`\n{}\n", rest.trim_end())
}

fn of_intrinsic(row: &Intrinsic) -> String {
    let params: Vec<&str> = row.params.iter().map(|ty| ty.name()).collect();
    let result = if row.result.name() == "unknown" { String::new() } else { format!(":{}", row.result.name()) };
    format!("{}{result}({})\n\n{}", row.name, params.join(", "), row.doc)
}

/// A function of the library: its signatures, each with what stands before it.
pub fn function(name: &str) -> Option<String> {
    if name.starts_with(['_', '@']) {
        return None;
    }
    let is_it = |rest: &str| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', '(']));
    let text = library::text_of(name)?;
    let found = documented(text, "function ").filter(|(rest, _)| is_it(rest));
    let said: Vec<String> =
        found.map(|(rest, comment)| format!("{}\n\n{comment}", rest.trim_end_matches(['{', ' ']))).collect();
    (!said.is_empty()).then(|| said.join("\n\n"))
}

/// The aliases of the library, by name.
fn aliases() -> BTreeSet<&'static str> {
    let of_file = |(_, text)| documented(text, "probe ").map(|(rest, _)| name_of(rest));
    // A probe of the library's own stands at a point with arguments.
    library::files().flat_map(of_file).filter(|name| !name.starts_with('_') && !name.contains('(')).collect()
}

/// An alias of the library: what it stands for, and what is said of it.
fn alias(name: &str) -> Option<String> {
    let of_file = |(_, text)| documented(text, "probe ").find(|(rest, _)| name_of(rest) == name);
    let (_, comment) = library::files().find_map(of_file).filter(|_| !name.starts_with('_'))?;
    Some(format!("{name}\n\n{comment}"))
}

/// The first name of an alias.
fn name_of(rest: &str) -> &str {
    rest.split([' ', '=', '+']).next().unwrap_or(rest)
}

/// The lines of a file of the library that begin with a word, without it, each with the comment in front.
fn documented<'t>(text: &'t str, word: &'static str) -> impl Iterator<Item = (&'t str, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let of_line = move |at: usize| {
        let rest = lines[at].strip_prefix(word)?;
        let start = lines[..at].iter().rposition(|line| line.starts_with("/**")).unwrap_or(at);
        let plain = |line: &&'t str| {
            line.trim_start_matches("/**").trim_end_matches("*/").trim().trim_start_matches('*').trim()
        };
        let comment: Vec<&str> = lines[start..at].iter().map(plain).collect();
        Some((rest, comment.join("\n").trim().to_owned()))
    };
    (0..text.lines().count()).filter_map(of_line)
}

/// The families of probe points, and what is said of each.
pub fn families() -> impl Iterator<Item = (&'static str, String)> {
    include_str!("probe/families.md").split("\n## ").skip(1).map(|section| {
        let (name, text) = section.split_once('\n').unwrap_or((section, ""));
        (name, text.trim().to_owned())
    })
}

/// A family: what it is, and the forms of its points that belong to no narrower one.
fn family(name: &str) -> Option<String> {
    let (_, text) = families().find(|(family, _)| *family == name)?;
    let forms = forms(name);
    Some(format!("{name}\n\n{text}{}{}", if forms.is_empty() { "" } else { "\n\n" }, forms.join("\n")))
}

fn forms(family: &str) -> Vec<&'static str> {
    let is_narrower = |form: &str| families().any(|(other, _)| other.len() > family.len() && is_of(form, other));
    probe::forms().filter(|form| is_of(form, family) && !is_narrower(form)).collect()
}

/// Whether the points of a form begin with the parts of a family's name.
pub fn is_of(form: &str, family: &str) -> bool {
    let without_arguments = |part: &str| part.split('(').next().unwrap_or_default().to_owned();
    let parts: Vec<String> = form.split('.').map(without_arguments).collect();
    let family: Vec<&str> = family.split('.').collect();
    parts.len() >= family.len() && parts.iter().zip(&family).all(|(part, asked)| part == asked)
}

/// `syscall.read`: its variables.
fn call(name: &str) -> Option<String> {
    let (first, name) = name.split_once('.')?;
    let name = name.strip_suffix(".return").unwrap_or(name);
    let found = syscall::calls().find(|call| call.names.contains(&name)).filter(|_| first.ends_with("syscall"))?;
    let at_the_end = "At the end, syscall.{name}.return: retval and retstr.";
    let variables = ["name", "argstr"].into_iter().map(str::to_owned).chain(variables(&found));
    Some(format!(
        "syscall.{name}\n\nVariables: {}\n{}",
        variables.collect::<Vec<_>>().join(" "),
        at_the_end.replace("{name}", name)
    ))
}

fn variables(call: &Call) -> impl Iterator<Item = String> {
    syscall::variables(call).map(|(name, _)| name)
}

fn line(call: &Call) -> String {
    format!("- `syscall.{}`: {}\n", call.names.join("`, `syscall."), variables(call).collect::<Vec<_>>().join(" "))
}
