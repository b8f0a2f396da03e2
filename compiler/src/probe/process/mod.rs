//! `process("PATH")`, `process(PID)`, `process`: places in programs and libraries.
//!
//! What the parts of a point mean stands in files of their own; this one finds out which file is meant.

pub(super) mod asked;
mod binary;
mod callee;
pub(super) mod dwarf;
pub(super) mod function;
mod life;
mod many;
mod mark;
mod operand;
mod register;
pub(super) mod statement;
mod types;
mod value;
mod who;

use super::site::{Resolver, Sites, mismatch};
use binary::Binary;
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};
pub use who::Who;
use who::both;

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
            let (mut sites, mut refused) = (Vec::new(), None);
            // Others use the library as well.
            let guard = match binary.pid {
                None => Who::Program(binary.path.clone()).condition(resolver, verb.name.span)?,
                Some(_) => None,
            };
            // Of those that a pattern stands for, not all have such a place: the loader calls none of them.
            for library in binary.libraries(verb, resolver)? {
                match part(&library, point, 2, resolver) {
                    Ok(places) => sites.extend(places),
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
            if let Some(error) = refused.filter(|_| sites.is_empty()) {
                return Err(error);
            }
            for site in &mut sites {
                site.context.guard = match (site.context.guard.take(), guard.clone()) {
                    (Some(one), Some(other)) => Some(both(one, other)),
                    (one, other) => one.or(other),
                };
            }
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
        "insn" => Err(no_steps(verb.name.span)),
        _ => Err(mismatch(point, nth, VERBS.iter().copied())),
    }
}

/// `.insn` and `.insn.block`.
fn no_steps(at: Span) -> Diagnostic {
    let message =
        "`insn` probes cannot be had through eBPF: no program can take a process from instruction to instruction";
    Diagnostic::error("probe::no-ebpf", message)
        .label(at, "no event of the kernel")
        .help("perf.hw.instructions.process(\"PATH\") samples them, process(\"PATH\").statement(…) stands at one")
}

/// Where the kernel saves the address of what a process executes.
pub const INSTRUCTION_REGISTER: u32 = register::INSTRUCTION.offset;

/// Where the kernel saves the register with this name, its bytes, and the bits to shift it down by.
pub fn register_of(name: &str) -> Option<(u32, u8, u8)> {
    let name = if name == "ip" { "rip" } else { name };
    register::by_name(name).map(|register| (register.offset, register.size, register.shift))
}
