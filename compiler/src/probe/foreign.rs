//! Families of SystemTap that eBPF has no place for: they say so, with what to use instead.

use super::site::{Resolver, Sites};
use tapster_lang::Diagnostic;
use tapster_lang::ast::ProbePoint;

/// A family, why eBPF cannot serve it, and what to use instead.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("python2", "interpreters are probed from within, by a module of SystemTap", PYTHON),
    ("python3", "interpreters are probed from within, by a module of SystemTap", PYTHON),
    (
        "java",
        "methods are probed from within the virtual machine, by Byteman",
        "process(\"…/libjvm.so\").mark(\"method__entry\") sees methods, where Java runs with -XX:+ExtendedDTraceProbes",
    ),
    (
        "mark",
        "Linux has no kernel markers since 2.6.32",
        "kernel.trace(\"NAME\") probes the tracepoints that came after them",
    ),
];
/// What to use for Python.
const PYTHON: &str =
    "process(\"…/libpython3….so\").mark(\"function__entry\") sees functions, where Python has its marks";

/// `python3.…`, `java(…).…`
pub fn elsewhere(point: &ProbePoint, _: &mut Resolver) -> Sites {
    Err(refusal(point, 0))
}

/// `kernel.mark(…)`
pub fn mark(point: &ProbePoint) -> Sites {
    Err(refusal(point, 1))
}

fn refusal(point: &ProbePoint, nth: usize) -> Diagnostic {
    let part = &point.components[nth].name;
    let known = ELSEWHERE.iter().find(|(family, ..)| *family == part.name);
    let (_, why, instead) = known.expect("listed families alone come here");
    Diagnostic::error("probe::no-ebpf", format!("`{}` probes cannot be had through eBPF: {why}", part.name))
        .label(part.span, "is not the kernel's")
        .help(*instead)
}
