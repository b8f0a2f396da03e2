//! Probe families: from a probe point to the places it stands at.
//!
//! A family is a file with one function, listed in [`FAMILIES`]. It answers with sites: where to stand and what a
//! handler there can ask for. It asks the machine through [`World`]; attaching is the runtime's.

mod callee;
mod foreign;
mod function;
mod installed;
mod kprobe;
mod ladder;
mod listed;
mod module;
mod netfilter;
mod pattern;
mod perf;
mod process;
mod procfs;
mod saved;
mod session;
mod site;
mod source;
mod statement;
mod suffix;
mod syscall;
mod timer;
mod tracepoint;

use crate::kernel::btf::{Btf, Kind};
use crate::suggest::did_you_mean;
use site::{Sites, mismatch};
use tapster_lang::Diagnostic;
use tapster_lang::ast::ProbePoint;

pub use ladder::RESULT;
pub use perf::COUNTER;
pub use process::{INSTRUCTION_REGISTER, register_of};
pub use saved::ARGUMENT_REGISTERS;
pub use site::{Arg, Listing, Once, Resolver, Site, Target, best_source, is_record, unsupported};

type Family = fn(&ProbePoint, &mut Resolver) -> Sites;

/// Families by the first part of their points.
const FAMILIES: &[(&str, Family)] = &[
    ("begin", session::begin),
    ("end", session::end),
    ("error", session::error),
    ("never", session::never),
    ("timer", timer::resolve),
    ("kernel", kernel),
    ("kprobe", kprobe::resolve),
    ("module", module::resolve),
    ("perf", perf::resolve),
    ("process", process::resolve),
    ("python2", foreign::elsewhere),
    ("python3", foreign::elsewhere),
    ("java", foreign::elsewhere),
    ("procfs", procfs::resolve),
    ("__input", procfs::input),
    ("netfilter", netfilter::resolve),
    ("syscall", syscall::resolve),
    ("nd_syscall", syscall::resolve),
    ("dw_syscall", syscall::resolve),
    ("tp_syscall", syscall::resolve),
    (syscall::PASS, syscall::pass),
];

/// Probe points by their form, as `--dump-probe-types` lists them.
pub fn forms() -> impl Iterator<Item = &'static str> {
    include_str!("forms.txt").lines()
}

/// The places a probe point stands at; `aliases` are names that a point may start with, too.
pub fn resolve<'a>(point: &ProbePoint, resolver: &mut Resolver, aliases: impl Iterator<Item = &'a str>) -> Sites {
    let first = point.components.first().map_or("", |c| c.name.name.as_str());
    match FAMILIES.iter().find(|(name, _)| *name == first) {
        Some((_, family)) => {
            let mut sites = family(point, resolver)?;
            if !resolver.turned_down.is_empty() {
                sites.iter_mut().for_each(|site| site.mistrust(resolver.turned_down));
            }
            Ok(sites)
        }
        None => Err(no_family(point, first, resolver.btf, aliases)),
    }
}

fn kernel(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    match point.components.get(1).map(|c| c.name.name.as_str()) {
        Some("function") => function::resolve(point, resolver),
        Some("statement") => statement::resolve(point, resolver),
        Some("trace") => tracepoint::resolve(point, resolver),
        Some("data") => perf::data(point, resolver),
        Some("mark") => foreign::mark(point),
        _ => Err(mismatch(point, 1, ["function", "statement", "trace", "data"])),
    }
}

/// The probe point of what the kernel calls so: a system call, a tracepoint or a function.
fn of_kernel(btf: &Btf, name: &str) -> Option<String> {
    if crate::syscall::calls().any(|call| call.names.contains(&name)) {
        return Some(format!("the system call is `syscall.{name}`"));
    }
    tracepoint::of_name(btf, name).or_else(|| {
        btf.find(Kind::Func, name).map(|_| format!("the kernel's function is `kernel.function(\"{name}\")`"))
    })
}

fn no_family<'a>(
    point: &ProbePoint,
    first: &str,
    btf: Option<&Btf>,
    aliases: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let known: Vec<&str> = FAMILIES.iter().map(|(name, _)| *name).chain(aliases).collect();
    let error = Diagnostic::error("probe::unknown", format!("probe point mismatch: identifier '{first}'"))
        .label(point.span, "no probe point starts like this");
    let of_kernel = btf.filter(|_| point.components.len() == 1).and_then(|btf| of_kernel(btf, first));
    match of_kernel.or_else(|| did_you_mean(first, known)) {
        Some(help) => error.help(help),
        None => error.help(
            "this version knows begin, end, error, never, timer.*, kernel.function(…), kernel.trace(…) and process(…)",
        ),
    }
}
