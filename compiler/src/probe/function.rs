//! `kernel.function("NAME")`: the entry of a kernel function, on the best rung of the ladder this kernel offers.
//!
//! Names that kernels changed are translated by the rows of [`crate::kernel::renames`], and said in a note.

use super::site::{Arg, Context, Resolver, Site, Sites, no_more, text, unsupported, word_args};
use super::tracepoint;
use crate::hir::{ArgSource, Place};
use crate::image::Attach;
use crate::kernel::btf::{Btf, Kind, TypeId};
use crate::kernel::renames::{
    self, COMPANIONS, CompanionRow, FUNCTIONS, STAND_INS, SUFFIXES, StandInParam, StandInRow, When,
};
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
    /// Since when it has this name, and who says so, where the script's is another.
    since: Option<String>,
}

/// `kernel.function("NAME")`, `kernel.function("NAME").call`
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let (asked, at) = text(&point.components[1])?;
    match point.components.get(2) {
        None => {}
        Some(part) if part.name.name == "call" => no_more(point, 3)?,
        Some(part) => return Err(unsupported(&format!("`.{}` probes of functions", part.name.name), part.name.span)),
    }
    if asked.contains(['*', '?', '[', '@']) {
        return Err(unsupported("wildcards and file names in functions", at));
    }
    let btf = resolver.btf(at)?;
    let companions = companions(asked, resolver);
    let names: Vec<&str> = [asked].into_iter().chain(companions.iter().map(|row| row.companion)).collect();
    let mut found = find(btf, &names).into_iter();
    let Some(main) = found.next().flatten() else {
        return Err(no_match(btf, asked, at));
    };
    let functions: Vec<Function> = [main].into_iter().chain(found.flatten()).collect();
    say_names(asked, &functions, resolver);
    let mut ladder = Ladder { asked, refused: Vec::new(), stood_in: Vec::new() };
    let mut sites = Vec::new();
    for function in &functions {
        sites.extend(ladder.stand(btf, function, at, resolver)?);
    }
    Ok(sites)
}

/// Finds functions by their names or what became of them, all in one pass over the kernel's types.
fn find(btf: &Btf, names: &[&str]) -> Vec<Option<Function>> {
    let candidates: Vec<Vec<(String, Option<String>)>> = names.iter().map(|name| candidates(name)).collect();
    let asked: Vec<(Kind, &str)> = candidates.iter().flatten().map(|(name, _)| (Kind::Func, name.as_str())).collect();
    // What the last rung and the code itself will ask for is looked for in the same pass.
    let rows = STAND_INS.iter().filter(|row| names.iter().any(|name| renames::matches(row.function, name)));
    let stand_ins: Vec<[(Kind, String); 2]> = rows.map(|row| tracepoint::types(row.tracepoint)).collect();
    let ahead = stand_ins.iter().flatten().map(|(kind, name)| (*kind, name.as_str()));
    let task = [(Kind::Struct, crate::kernel::TASK)];
    let wanted: Vec<(Kind, &str)> = asked.iter().copied().chain(ahead).chain(task).collect();
    let mut ids = btf.find_all(&wanted).into_iter().take(asked.len());
    let mut first = |candidates: Vec<(String, Option<String>)>| {
        let found: Vec<Option<TypeId>> = ids.by_ref().take(candidates.len()).collect();
        let hit = candidates.into_iter().zip(found).find_map(|(candidate, id)| Some((candidate, id?)));
        hit.map(|((name, since), btf_id)| Function { name, btf_id, since })
    };
    candidates.clone().into_iter().map(&mut first).collect()
}

/// The names that a function may have, the script's first; each with since when.
fn candidates(name: &str) -> Vec<(String, Option<String>)> {
    let rows = FUNCTIONS.iter().filter(|row| row.asked == name);
    let renamed = rows.map(|row| (row.actual.to_owned(), format!("since {}: {}", row.since, row.source)));
    let suffixes = SUFFIXES.iter();
    let suffixed =
        suffixes.map(|row| (format!("{name}{}", row.suffix), format!("since {}: {}", row.since, row.source)));
    let others = renamed.chain(suffixed).map(|(name, since)| (name, Some(since)));
    [(name.to_owned(), None)].into_iter().chain(others).collect()
}

/// Functions that took over a part of this one's calls.
fn companions(asked: &str, resolver: &Resolver) -> Vec<&'static CompanionRow> {
    let wanted = |when: When| match when {
        When::Always => true,
        When::CacheNamed(start) => resolver.strings.iter().any(|text| {
            text.starts_with(start) || renames::cache(text).is_some_and(|(name, _)| name.starts_with(start))
        }),
    };
    COMPANIONS.iter().filter(|row| row.asked == asked && wanted(row.when)).collect()
}

/// Says in one line what is probed where that is not simply the name in the script.
fn say_names(asked: &str, functions: &[Function], resolver: &mut Resolver) {
    let kernel = resolver.kernel();
    let (main, also) = (&functions[0], &functions[1..]);
    let also = also.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(", ");
    let renamed = main.since.as_ref().map(|since| format!("{asked} is {} on Linux {kernel} ({since})", main.name));
    resolver.note(match (renamed, also.is_empty()) {
        (None, true) => return,
        (Some(renamed), true) => renamed,
        (Some(renamed), false) => format!("{renamed}; {also}, which it was split into, probed too"),
        (None, false) => format!("{asked} on Linux {kernel}: {also}, which it was split into, probed too"),
    });
}

/// The way down the ladder for all functions of one probe point.
struct Ladder<'a> {
    asked: &'a str,
    /// Rungs that the kernel refused once; it would again.
    refused: Vec<(Rung, String)>,
    /// Tracepoints that already stand in: one may do so for several functions.
    stood_in: Vec<&'static str>,
}

impl Ladder<'_> {
    /// Takes the first rung this kernel offers; nothing where the function is covered already.
    fn stand(
        &mut self,
        btf: &Btf,
        function: &Function,
        at: Span,
        resolver: &mut Resolver,
    ) -> Result<Option<Site>, Diagnostic> {
        let mut why = Vec::new();
        let forced = resolver.attach;
        for rung in Rung::LADDER.into_iter().filter(|rung| forced.is_none_or(|only| only == *rung)) {
            if let Some(refusal) = self.refusal(rung, function, resolver) {
                why.push(format!("no {}: {refusal}", rung.name()));
                continue;
            }
            if rung == Rung::Tracepoint && self.is_covered(function) {
                return Ok(None);
            }
            match self.on_rung(btf, rung, function, resolver) {
                Some((attach, context)) => {
                    let point = format!("kernel.function(\"{}\")", function.name);
                    return Ok(Some(Site { point, place: Place::Kernel { attach, why }, context }));
                }
                None => why.push(format!("no {}: nothing stands for {}", rung.name(), function.name)),
            }
        }
        Err(no_rung(function, &why, at))
    }

    fn refusal(&mut self, rung: Rung, function: &Function, resolver: &Resolver) -> Option<String> {
        if let Some((_, why)) = self.refused.iter().find(|(refused, _)| *refused == rung) {
            return Some(why.clone());
        }
        let refusal = resolver.world.offers(rung, &function.name, function.btf_id).err()?;
        self.refused.push((rung, refusal.0.clone()));
        Some(refusal.0)
    }

    fn is_covered(&self, function: &Function) -> bool {
        row_of(function).is_some_and(|row| self.stood_in.contains(&row.tracepoint))
    }

    fn on_rung(
        &mut self,
        btf: &Btf,
        rung: Rung,
        function: &Function,
        resolver: &mut Resolver,
    ) -> Option<(Attach, Context)> {
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
                let row = row_of(function)?;
                self.stood_in.push(row.tracepoint);
                let (attach, args) = stand_in(btf, row)?;
                resolver.note(format!(
                    "{} is probed at tracepoint {}, which covers {} ({})",
                    self.asked, row.tracepoint, row.covers, row.source
                ));
                Some((attach, Context { name, args }))
            }
        }
    }
}

/// The row that says which tracepoint stands for a function.
fn row_of(function: &Function) -> Option<&'static StandInRow> {
    STAND_INS.iter().find(|row| renames::matches(row.function, &function.name))
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
fn stand_in(btf: &Btf, row: &StandInRow) -> Option<(Attach, Vec<Arg>)> {
    let found = tracepoint::find(btf, row.tracepoint)?;
    let args: Vec<Arg> = row.params.iter().filter_map(|(name, from)| param(btf, name, from, &found.args)).collect();
    // A row whose kfunc this kernel lacks cannot serve: its first parameter is what scripts ask for.
    (args.len() == row.params.len()).then(|| (found.attach(row.tracepoint), args))
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

fn no_match(btf: &Btf, name: &str, at: Span) -> Diagnostic {
    let error = Diagnostic::error("probe::no-match", format!("no kernel function matches `{name}`"))
        .label(at, "matches nothing");
    // A renamed function is known by the name it had.
    let former = FUNCTIONS.iter().map(|row| row.asked);
    match did_you_mean(name, btf.names(Kind::Func).chain(former)) {
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
