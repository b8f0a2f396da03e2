//! `process("PATH")`, `process(PID)`, `process`: places in programs and libraries.
//!
//! What the parts of a point mean stands in files of their own; this one finds out which file is meant.

mod asked;
mod binary;
mod dwarf;
mod function;
mod life;
mod many;
mod mark;
mod operand;
mod register;
mod statement;
mod types;
mod value;
mod who;

use super::site::{Resolver, Sites, mismatch, unsupported};
use binary::Binary;
use tapster_lang::ast::ProbePoint;
pub use who::Who;

/// What may follow the program.
const VERBS: &[&str] =
    &["begin", "end", "function", "library", "mark", "plt", "provider", "statement", "syscall", "thread"];

/// A point of a program.
pub fn resolve<'a>(point: &ProbePoint, resolver: &mut Resolver<'a>) -> Sites {
    let Some(verb) = point.components.get(1) else { return Err(mismatch(point, 1, VERBS.iter().copied())) };
    if let Some(programs) = many::named(point, resolver) {
        return many::all(point, &programs, &mut |program| resolve(program, resolver));
    }
    if life::is_verb(&verb.name.name) {
        return life::resolve(point, resolver);
    }
    let binary = Binary::program(&point.components[0], resolver)?;
    match verb.name.name.as_str() {
        "library" => {
            let mut sites = Vec::new();
            // Others use the library as well.
            let guard = match binary.pid {
                None => Who::Program(binary.path.clone()).condition(resolver, verb.name.span)?,
                Some(_) => None,
            };
            for library in binary.libraries(verb, resolver)? {
                sites.extend(part(&library, point, 2, resolver)?);
            }
            sites.iter_mut().for_each(|site| site.context.guard.clone_from(&guard));
            Ok(sites)
        }
        _ => part(&binary, point, 1, resolver),
    }
}

/// A point in a file, from its n-th part on.
fn part<'a>(binary: &Binary<'a>, point: &ProbePoint, nth: usize, resolver: &mut Resolver<'a>) -> Sites {
    let Some(verb) = point.components.get(nth) else {
        return Err(mismatch(point, nth, ["function", "mark", "plt", "provider", "statement"]));
    };
    match verb.name.name.as_str() {
        "function" => function::resolve(binary, point, nth, resolver),
        "statement" => statement::resolve(binary, point, nth, resolver),
        "plt" => function::stubs(binary, point, nth, resolver),
        "mark" | "provider" => mark::resolve(binary, point, nth, resolver),
        "insn" => Err(unsupported("probes of every instruction", verb.name.span)),
        _ => Err(mismatch(point, nth, VERBS.iter().copied())),
    }
}

/// Where the kernel saves the address of what a process executes.
pub const INSTRUCTION_REGISTER: u32 = register::INSTRUCTION.offset;

/// Where the kernel saves the register with this name, its bytes, and the bits to shift it down by.
pub fn register_of(name: &str) -> Option<(u32, u8, u8)> {
    let name = if name == "ip" { "rip" } else { name };
    register::by_name(name).map(|register| (register.offset, register.size, register.shift))
}
