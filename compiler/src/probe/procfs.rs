//! `procfs("PATH").read`, `.write`: files that the script serves while it runs. `__input.char`, `__input.line`: what comes
//! on standard input, for the aliases of the library.

use super::site::{Context, Resolver, Site, Sites, mismatch, no_more, number, text};
use crate::hir::Place;
use crate::image::{ServedFile, When};
use tapster_lang::ast::{Component, ProbePoint};
use tapster_lang::{Diagnostic, Span};

/// The file of a point that names none.
const COMMAND: &str = "command";
/// Nobody but the owner, where a script does not say.
const UMASK: i64 = 0o077;
/// Bytes that a file may give, at most.
const SIZE_MOST: i64 = 1 << 20;

/// `procfs("PATH").read`, `.write`, with `.umask(N)` and `.maxsize(N)`
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let head = &point.components[0];
    let (path, at) = if head.arg.is_some() { text(head)? } else { (COMMAND, head.name.span) };
    let mut file = ServedFile { path: checked(path, at)?, is_read: false, mode: UMASK as u32, size: None };
    let mut moment = None;
    for (nth, part) in point.components.iter().enumerate().skip(1) {
        match part.name.name.as_str() {
            "read" | "write" if moment.is_none() => {
                file.is_read = part.name.name == "read";
                moment = Some(part);
            }
            "umask" => file.mode = in_range(part, 0o777)? as u32,
            "maxsize" => file.size = Some(in_range(part, SIZE_MOST)? as u32),
            _ => return Err(mismatch(point, nth, ["read", "write", "umask", "maxsize"])),
        }
    }
    let Some(moment) = moment else { return Err(mismatch(point, point.components.len(), ["read", "write"])) };
    let all = if file.is_read { 0o444 } else { 0o222 };
    file.mode = all & !file.mode;
    if resolver.served.iter().any(|other| other.path == file.path && other.is_read != file.is_read) {
        return Err(Diagnostic::error("probe::argument", format!("`{path}` is both read and written"))
            .label(moment.name.span, "a file goes one way alone")
            .help("give each its own name: a reader and a writer meet at no pipe"));
    }
    let nth = resolver.served.iter().position(|other| *other == file).unwrap_or(resolver.served.len());
    if nth == resolver.served.len() {
        resolver.served.push(file);
    }
    Ok(vec![site(point, When::Served(nth))])
}

/// `__input.char`, `__input.line`
pub fn input(point: &ProbePoint, _: &mut Resolver) -> Sites {
    no_more(point, 2)?;
    match point.components.get(1).map(|part| part.name.name.as_str()) {
        Some("char") => Ok(vec![site(point, When::Key)]),
        Some("line") => Ok(vec![site(point, When::Line)]),
        _ => Err(mismatch(point, 1, ["char", "line"])),
    }
}

fn site(point: &ProbePoint, when: When) -> Site {
    let context = Context { has_text: true, ..Context::default() };
    Site { point: point.to_string(), place: Place::User(when), context, lenient: false }
}

/// A path below the session's folder.
fn checked(path: &str, at: Span) -> Result<String, Diagnostic> {
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if path.split('/').all(is_name) {
        return Ok(path.into());
    }
    Err(Diagnostic::error("probe::argument", format!("`{path}` is no path of a file below the session's folder"))
        .label(at, "a name, or names with `/` between"))
}

fn in_range(part: &Component, most: i64) -> Result<i64, Diagnostic> {
    let name = &part.name.name;
    number(part).filter(|number| (0..=most).contains(number)).ok_or_else(|| {
        Diagnostic::error("probe::range", format!("`{name}` goes from 0 to {most}"))
            .label(part.name.span, "needs a number in parentheses")
    })
}
