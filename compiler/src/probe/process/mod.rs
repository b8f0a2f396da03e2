//! `process("PATH")`, `process(PID)`, `process`: places in programs and libraries.
//!
//! What the parts of a point mean stands in files of their own; this one finds out which file is meant.

mod binary;
mod function;
mod mark;
mod operand;
mod register;
mod types;
mod value;

use super::site::{Resolver, Sites, mismatch, unsupported};
use binary::Binary;
use tapster_lang::ast::ProbePoint;

/// What may follow the program.
const VERBS: &[&str] = &["function", "library", "mark", "plt", "provider"];
/// What may follow one day.
const MISSING: &[&str] = &["statement", "begin", "end", "thread", "syscall"];

/// A point of a program.
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let Some(verb) = point.components.get(1) else { return Err(mismatch(point, 1, VERBS.iter().copied())) };
    let binary = Binary::program(&point.components[0], resolver)?;
    match verb.name.name.as_str() {
        "library" => {
            let mut sites = Vec::new();
            for library in binary.libraries(verb, resolver)? {
                sites.extend(part(&library, point, 2, resolver)?);
            }
            Ok(sites)
        }
        _ => part(&binary, point, 1, resolver),
    }
}

/// A point in a file, from its n-th part on.
fn part(binary: &Binary, point: &ProbePoint, nth: usize, resolver: &mut Resolver) -> Sites {
    let Some(verb) = point.components.get(nth) else {
        return Err(mismatch(point, nth, ["function", "mark", "plt", "provider"]));
    };
    match verb.name.name.as_str() {
        "function" => function::resolve(binary, point, nth, resolver),
        "plt" => function::stubs(binary, point, nth, resolver),
        "mark" | "provider" => mark::resolve(binary, point, nth, resolver),
        missing if MISSING.contains(&missing) => {
            Err(unsupported(&format!("`.{missing}` probes of processes"), verb.name.span))
        }
        "insn" => Err(unsupported("probes of every instruction", verb.name.span)),
        _ => Err(mismatch(point, nth, VERBS.iter().copied())),
    }
}
