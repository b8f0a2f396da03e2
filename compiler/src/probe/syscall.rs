//! `syscall.NAME`: what is no alias of a system call (`crate::syscall`) is none of this architecture's calls.

use super::site::{Resolver, Sites, mismatch};
use crate::suggest::did_you_mean;
use crate::syscall::calls;
use tapster_lang::Diagnostic;
use tapster_lang::ast::ProbePoint;

/// `syscall.NAME`, `nd_syscall.NAME` and their kind
pub fn resolve(point: &ProbePoint, _: &mut Resolver) -> Sites {
    let names: Vec<&str> = calls().flat_map(|call| call.names).collect();
    let Some(part) = point.components.get(1) else {
        return Err(mismatch(point, 1, ["NAME", "*"]));
    };
    let name = part.name.name.as_str();
    let error = Diagnostic::error(
        "probe::no-match",
        format!("no system call `{name}` on {}", if cfg!(target_arch = "aarch64") { "arm64" } else { "x86-64" }),
    )
    .label(part.name.span, "matches nothing");
    Err(match did_you_mean(name, names) {
        Some(help) => error.help(help),
        None => error.help("`syscall.*` stands for all of them"),
    })
}
