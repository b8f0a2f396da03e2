//! `kernel.function("NAME")`: the entry of a kernel function, on the best rung of the ladder this kernel offers.
//!
//! Names that kernels changed are translated by the rows of [`crate::kernel::renames`], and said in a note.

use super::{Arg, Context, Resolver, Site, Sites, no_more, text, tracepoint, unsupported, word_args};
use crate::hir::{ArgSource, Place};
use crate::image::Attach;
use crate::kernel::btf::{Btf, Kind, TypeId};
use crate::kernel::renames::{self, COMPANIONS, FUNCTIONS, STAND_INS, SUFFIXES, StandInParam, StandInRow, When};
use crate::suggest::did_you_mean;
use crate::world::Rung;
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};

/// Where the kernel saves the registers that hold a function's first arguments: `struct pt_regs` of
/// arch/x86/include/asm/ptrace.h (rdi, rsi, rdx, rcx, r8, r9) and arch/arm64/include/asm/ptrace.h (x0 to x7).
#[cfg(target_arch = "x86_64")]
const ARGUMENT_REGISTERS: &[u32] = &[112, 104, 96, 88, 72, 64];
/// See above.
#[cfg(target_arch = "aarch64")]
const ARGUMENT_REGISTERS: &[u32] = &[0, 8, 16, 24, 32, 40, 48, 56];

/// A function of this kernel.
struct Function {
    name: String,
    btf_id: TypeId,
}

/// `kernel.function("NAME")`, `kernel.function("NAME").call`
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let (pattern, at) = text(&point.components[1])?;
    match point.components.get(2) {
        None => {}
        Some(part) if part.name.name == "call" => no_more(point, 3)?,
        Some(part) => return Err(unsupported(&format!("`.{}` probes of functions", part.name.name), part.name.span)),
    }
    if pattern.contains(['*', '?', '[', '@']) {
        return Err(unsupported("wildcards and file names in functions", at));
    }
    let btf = resolver.btf(at)?;
    let Some((main, since)) = find(btf, pattern) else {
        return Err(no_match(btf, pattern, at));
    };
    let mut functions = vec![main];
    functions.extend(companions(btf, pattern, resolver));
    say_names(pattern, &functions, since, resolver);
    let mut sites: Vec<Site> = Vec::new();
    for function in &functions {
        let site = stand(btf, function, at, resolver)?;
        // One tracepoint may stand for several of the functions.
        if !sites.iter().any(|other| same_place(other, &site)) {
            sites.push(site);
        }
    }
    Ok(sites)
}

/// Finds a function by its name or what became of it; the second part says since when it is called so.
fn find(btf: &Btf, name: &str) -> Option<(Function, Option<String>)> {
    if let Some(btf_id) = btf.find(Kind::Func, name) {
        return Some((Function { name: name.into(), btf_id }, None));
    }
    let rows = FUNCTIONS.iter().filter(|row| row.asked == name);
    let renamed = rows.map(|row| (row.actual.to_owned(), row.since, row.source));
    let suffixed = SUFFIXES.iter().map(|row| (format!("{name}{}", row.suffix), row.since, row.source));
    renamed.chain(suffixed).find_map(|(name, since, source)| {
        let btf_id = btf.find(Kind::Func, &name)?;
        Some((Function { name, btf_id }, Some(format!("since {since}: {source}"))))
    })
}

/// Functions that took over a part of this one's calls.
fn companions(btf: &Btf, asked: &str, resolver: &Resolver) -> Vec<Function> {
    let wanted = |when: When| match when {
        When::Always => true,
        When::CacheNamed(start) => resolver.strings.iter().any(|text| {
            text.starts_with(start) || renames::cache(text).is_some_and(|(name, _)| name.starts_with(start))
        }),
    };
    COMPANIONS
        .iter()
        .filter(|row| row.asked == asked && wanted(row.when))
        .filter_map(|row| find(btf, row.companion).map(|(function, _)| function))
        .collect()
}

/// Says in one line what is probed where that is not simply the name in the script.
fn say_names(asked: &str, functions: &[Function], since: Option<String>, resolver: &mut Resolver) {
    let kernel = resolver.kernel();
    let also: Vec<&str> = functions[1..].iter().map(|f| f.name.as_str()).collect();
    let line = match (since, also.as_slice()) {
        (None, []) => return,
        (Some(since), []) => format!("{asked} is {} on Linux {kernel} ({since})", functions[0].name),
        (None, also) => format!("{asked} on Linux {kernel}: probing {} too", also.join(", ")),
        (Some(since), also) => {
            format!("{asked} is {} on Linux {kernel} ({since}); probing {} too", functions[0].name, also.join(", "))
        }
    };
    resolver.note(line);
}

/// Takes the first rung this kernel offers.
fn stand(btf: &Btf, function: &Function, at: Span, resolver: &mut Resolver) -> Result<Site, Diagnostic> {
    let mut why = Vec::new();
    let forced = resolver.attach;
    for rung in Rung::LADDER.into_iter().filter(|rung| forced.is_none_or(|only| only == *rung)) {
        if let Err(refusal) = resolver.world.offers(rung, &function.name, function.btf_id) {
            why.push(format!("no {}: {}", rung.name(), refusal.0));
            continue;
        }
        match on_rung(btf, rung, function, resolver) {
            Some((attach, context)) => {
                let point = format!("kernel.function(\"{}\")", function.name);
                return Ok(Site { point, place: Place::Kernel { attach, why }, context });
            }
            None => why.push(format!("no {}: nothing stands for {}", rung.name(), function.name)),
        }
    }
    Err(no_rung(function, &why, at))
}

fn on_rung(btf: &Btf, rung: Rung, function: &Function, resolver: &mut Resolver) -> Option<(Attach, Context)> {
    let name = function.name.clone();
    match rung {
        Rung::Fentry => {
            let args = word_args(btf, function.btf_id, 0, 0)?;
            Some((Attach::Fentry { function: name.clone(), btf_id: function.btf_id }, Context { name, args }))
        }
        Rung::KprobeMulti => {
            let args = register_args(btf, function.btf_id)?;
            Some((Attach::KprobeMulti { functions: vec![name.clone()] }, Context { name, args }))
        }
        Rung::Kprobe => {
            let args = register_args(btf, function.btf_id)?;
            Some((Attach::Kprobe { function: name.clone() }, Context { name, args }))
        }
        Rung::Tracepoint => {
            let row = STAND_INS.iter().find(|row| renames::matches(row.function, &name))?;
            stand_in(btf, row, function, resolver)
        }
    }
}

/// Arguments in saved registers: those that fit, in order.
fn register_args(btf: &Btf, function: TypeId) -> Option<Vec<Arg>> {
    let mut args = word_args(btf, function, 0, 0)?;
    args.retain_mut(|arg| match arg.source {
        ArgSource::Word(nth) if (nth as usize) < ARGUMENT_REGISTERS.len() => {
            arg.source = ArgSource::Register(ARGUMENT_REGISTERS[nth as usize]);
            arg.typed = false;
            true
        }
        _ => false,
    });
    Some(args)
}

/// The tracepoint that a row names, with its arguments under the function's parameter names.
fn stand_in(btf: &Btf, row: &StandInRow, function: &Function, resolver: &mut Resolver) -> Option<(Attach, Context)> {
    let found = tracepoint::find(btf, row.tracepoint)?;
    let args: Vec<Arg> = row.params.iter().filter_map(|(name, from)| param(btf, name, from, &found.args)).collect();
    // A row whose kfunc this kernel lacks cannot serve: its first parameter is what scripts ask for.
    if args.len() < row.params.len() {
        return None;
    }
    resolver.note(format!(
        "{} is probed at tracepoint {}, which covers {} ({})",
        function.name, row.tracepoint, row.covers, row.source
    ));
    Some((found.attach(row.tracepoint), Context { name: function.name.clone(), args }))
}

fn param(btf: &Btf, name: &str, from: &StandInParam, args: &[Arg]) -> Option<Arg> {
    let named = |wanted: &str| args.iter().find(|arg| arg.name == wanted);
    match from {
        StandInParam::Arg(arg) => named(arg).map(|arg| Arg { name: name.into(), ..arg.clone() }),
        StandInParam::CacheOf(object) => {
            let kfunc = btf.find(Kind::Func, "bpf_get_kmem_cache")?;
            let ty = btf.get(btf.get(kfunc)?.target())?.target();
            let source = ArgSource::CacheOf(Box::new(named(object)?.source.clone()), kfunc);
            Some(Arg { name: name.into(), ty, source, typed: true })
        }
    }
}

fn same_place(a: &Site, b: &Site) -> bool {
    matches!((&a.place, &b.place), (Place::Kernel { attach: a, .. }, Place::Kernel { attach: b, .. }) if a == b)
}

fn no_match(btf: &Btf, name: &str, at: Span) -> Diagnostic {
    let error = Diagnostic::error("probe::no-match", format!("no kernel function matches `{name}`"))
        .label(at, "matches nothing");
    match did_you_mean(name, btf.names(Kind::Func)) {
        Some(help) => error.help(help),
        None => error.help("the compiler may have inlined it: probe a caller, or a tracepoint with kernel.trace(…)"),
    }
}

fn no_rung(function: &Function, why: &[String], at: Span) -> Diagnostic {
    why.iter().fold(
        Diagnostic::error("probe::no-rung", format!("this kernel offers no way to probe `{}`", function.name))
            .label(at, "cannot be probed here"),
        |error, reason| error.note(reason.clone()),
    )
}
