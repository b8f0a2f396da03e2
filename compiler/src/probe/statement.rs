//! `kernel.statement(ADDRESS)`, `kernel.statement("FUNCTION+OFFSET")`, `kprobe.statement(…)`: one instruction of the
//! kernel, by a breakpoint. There are registers and no types.

use super::function::no_match;
use super::kprobe::is_there;
use super::ladder::{Asked, Function, Ladder};
use super::site::{Resolver, Sites, mismatch, no_more, text};
use super::source;
use super::suffix::{self, Suffix};
use crate::image::Moment;
use crate::world::Rung;
use tapster_lang::ast::{Literal, ProbePoint};
use tapster_lang::{Diagnostic, Span};

/// A `statement` with what may follow.
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let part = &point.components[1];
    if matches!(&part.arg, Some((Literal::String(text), _)) if text.contains(&b'@')) {
        return source::statement(point, resolver);
    }
    let (place, at) = match &part.arg {
        Some((Literal::Number(address), at)) => (format!("{address:#x}"), *at),
        Some((Literal::String(_), _)) => named(text(part)?, resolver)?,
        None => {
            return Err(Diagnostic::error("probe::argument", "`statement` needs an address or a place in parentheses")
                .label(part.name.span, "like (\"vfs_read+0x10\")"));
        }
    };
    let absolute = match point.components.get(2).map(|part| part.name.name.as_str()) {
        None => "",
        Some("absolute") => ".absolute",
        Some("nearest") => return Err(suffix::debuginfo("statement", point.components[2].name.span)),
        Some(_) => return Err(mismatch(point, 2, ["absolute"])),
    };
    no_more(point, 3)?;
    let suffix = Suffix { moment: Moment::Entry, exported: false, text: absolute.into() };
    let asked = Asked { name: &place, suffix, registers: true, lenient: false, at };
    let function = Function::new(&place, 0);
    let site = Ladder::new(&asked, 1).stand_by(&[Rung::Kprobe], resolver.btf, &function, resolver)?;
    let shown = if place.starts_with("0x") { place.clone() } else { format!("\"{place}\"") };
    let head = &point.components[0].name.name;
    Ok(site
        .into_iter()
        .map(|site| super::Site { point: format!("{head}.statement({shown}){absolute}"), ..site })
        .collect())
}

/// `FUNCTION+OFFSET`, in the words of the kernel: an offset that is not said is none.
fn named((place, at): (&str, Span), resolver: &Resolver) -> Result<(String, Span), Diagnostic> {
    let (name, offset) = place.split_once('+').unwrap_or((place, "0"));
    let offset = match offset.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => offset.parse(),
    };
    let offset = offset.map_err(|_| {
        Diagnostic::error("probe::argument", format!("`{place}` is no place of a function"))
            .label(at, "like (\"vfs_read+0x10\")")
    })?;
    if !is_there(name, resolver) {
        return Err(no_match(resolver, resolver.btf(at)?, name, at));
    }
    Ok((format!("{name}+{offset:#x}"), at))
}
