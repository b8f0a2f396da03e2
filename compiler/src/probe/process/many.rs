//! `process("PATTERN")` and `process("BUILD")`: programs by other names than their path.

use super::binary::no_file;
use crate::probe::site::{Resolver, Site, Sites, text};
use tapster_lang::ast::{Literal, ProbePoint};

/// Digits of a build's number.
const BUILD_DIGITS: core::ops::RangeInclusive<usize> = 32..=64;

/// Whether a name is the number of a build, as `file` and `readelf -n` print it.
pub fn is_build(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    BUILD_DIGITS.contains(&name.len()) && name.bytes().all(is_digit)
}

/// The point with the paths of the programs that its first part stands for; `None` where it names one, or a process.
pub fn named(point: &ProbePoint, resolver: &Resolver) -> Option<Vec<ProbePoint>> {
    let Some((Literal::String(_), _)) = point.components[0].arg else { return None };
    let (name, _) = text(&point.components[0]).ok()?;
    if resolver.world.executable(name).is_some() {
        return None;
    }
    let paths = match name {
        name if is_build(name) => resolver.world.of_build(name).into_iter().collect(),
        name if name.contains(['*', '?', '[']) => resolver.world.executables(name),
        _ => return None,
    };
    Some(paths.into_iter().map(|path| with_program(point, path)).collect())
}

fn with_program(point: &ProbePoint, path: String) -> ProbePoint {
    let mut point = point.clone();
    if let Some((literal, _)) = &mut point.components[0].arg {
        *literal = Literal::String(path.into_bytes());
    }
    point
}

/// The places of all programs that have such a place; the first reason where none has one.
pub fn all(point: &ProbePoint, points: &[ProbePoint], resolve: &mut dyn FnMut(&ProbePoint) -> Sites) -> Sites {
    let (mut sites, mut refused): (Vec<Site>, _) = (Vec::new(), None);
    for program in points {
        match resolve(program) {
            Ok(found) => sites.extend(found),
            Err(error) => drop(refused.get_or_insert(error)),
        }
    }
    match (sites.is_empty(), refused) {
        (true, Some(refused)) => Err(refused),
        (true, None) => {
            let (name, at) = text(&point.components[0])?;
            Err(no_file(name, at))
        }
        (false, _) => {
            // One that is refused does not keep the others from being probed.
            let many = points.len() > 1;
            sites.iter_mut().for_each(|site| site.lenient |= many);
            Ok(sites)
        }
    }
}
