//! `kprobe.function("NAME")`: a function by its symbol alone. There are registers and no types: `int_arg(n)`, `returnval()`.

use super::function::{matching, renamed, stand};
use super::ladder::{Asked, Function};
use super::module;
use super::pattern::{self, is_pattern};
use super::site::{Resolver, Sites, mismatch, text};
use super::{statement, suffix};
use tapster_lang::ast::ProbePoint;

/// `kprobe.function("NAME")` with `.call` or `.return`
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    match point.components.get(1).map(|part| (part.name.name.as_str(), part.name.span)) {
        Some(("function", _)) => {}
        Some(("module", _)) => return module::functions(point, 1, true, resolver),
        Some(("statement", _)) => return statement::resolve(point, resolver),
        _ => return Err(mismatch(point, 1, ["function", "module", "statement"])),
    }
    let (name, at) = text(&point.components[1])?;
    let suffix = suffix::read(point, 2)?;
    let asked = Asked { name, suffix, registers: true, lenient: is_pattern(name), at };
    let functions = match asked.lenient {
        true => matching(&asked, resolver)?,
        false if is_there(name, resolver) => vec![Function::new(name, 0)],
        false => renamed(&asked, resolver)?,
    };
    stand(&asked, &functions, resolver)
}

/// Whether the kernel has such a symbol; where nobody tells, attaching will.
pub fn is_there(name: &str, resolver: &Resolver) -> bool {
    let is_function = |line: &str| {
        let mut words = line.split([' ', '\t']).skip(1);
        matches!(words.next(), Some("t" | "T" | "w" | "W")) && words.next() == Some(name)
    };
    pattern::is_listed(name, resolver) == Some(true)
        || resolver.world.symbols().is_none_or(|symbols| symbols.lines().any(is_function))
}
