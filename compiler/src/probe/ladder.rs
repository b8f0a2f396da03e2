//! The ladder: the best way to stand at a kernel function that this kernel offers.
//!
//! What a handler finds there depends on the rung: typed words with a trampoline, registers with kprobes, the
//! arguments of the tracepoint that stands in.

use super::listed::Listed;
use super::saved;
use super::site::{Arg, Context, Resolver, Site, is_record, word, word_args};
use super::suffix::Suffix;
use super::tracepoint;
use crate::hir::{ArgSource, Place};
use crate::image::{Attach, Moment};
use crate::kernel::btf::{Btf, Kind, TypeId};
use crate::kernel::renames::{self, STAND_INS, StandInParam, StandInRow};
use crate::world::{Rung, Wanted};
use std::rc::Rc;
use tapster_lang::{Diagnostic, Span};

/// More functions than this are probed by one program with kprobes where that can be: a trampoline takes a program and
/// a change of the kernel's code for each.
const FENTRY_MOST: usize = 16;
/// So often a trampoline may be refused before nobody asks any more: some functions cannot have one.
const FENTRY_REFUSALS: usize = 4;
/// The ladder for many functions.
const FOR_MANY: [Rung; 4] = [Rung::KprobeMulti, Rung::Kprobe, Rung::Fentry, Rung::Tracepoint];

/// The name of a function's result.
pub const RESULT: &str = "return";

/// A function of this kernel.
#[derive(Clone, Debug)]
pub struct Function {
    /// The symbol to stand at.
    pub name: String,
    /// The module it is in.
    pub module: Option<Rc<str>>,
    /// Its id in BTF, 0 where that has no prototype of it.
    pub btf_id: TypeId,
    /// Since when it has this name, and who says so, where the script's is another.
    pub since: Option<String>,
    /// As its place in the source says it, `f@file:line`, where that is known.
    pub source: Option<String>,
    /// Where it is, where its name would not tell it from others.
    pub address: Option<u64>,
    /// The function of the kernel that has to call it, as the script names that; all may where there is none.
    pub caller: Option<Rc<str>>,
}

/// What all functions of one probe point have in common.
pub struct Asked<'a> {
    /// The name or pattern in the script.
    pub name: &'a str,
    /// What stands behind the function in the point.
    pub suffix: Suffix,
    /// Only registers will do: `kprobe.function`.
    pub registers: bool,
    /// The name is a pattern: a function that cannot be probed is passed over.
    pub lenient: bool,
    /// Where the script says it.
    pub at: Span,
}

impl Function {
    /// A function of the core kernel.
    pub fn new(name: &str, btf_id: TypeId) -> Function {
        Function { name: name.into(), module: None, btf_id, since: None, source: None, address: None, caller: None }
    }

    /// How the runtime finds it.
    fn symbol(&self) -> String {
        match (&self.module, self.address) {
            (Some(module), _) => format!("{module}:{}", self.name),
            (None, Some(address)) => format!("{address:#x}"),
            (None, None) => self.name.clone(),
        }
    }
}

impl Asked<'_> {
    /// The point that stands at one of the functions, without what may follow.
    fn point(&self, function: &Function) -> String {
        let core = if self.registers { "kprobe" } else { "kernel" };
        let own = function.source.as_ref().unwrap_or(&function.name);
        match &function.module {
            None if let Some(caller) = &function.caller => format!("{core}.function(\"{caller}\").callee(\"{own}\")"),
            None => format!("{core}.function(\"{own}\")"),
            Some(module) if self.registers => format!("{core}.module(\"{module}\").function(\"{}\")", function.name),
            Some(module) => format!("module(\"{module}\").function(\"{}\")", function.name),
        }
    }
}

/// The way down the ladder for all functions of one probe point.
pub struct Ladder<'a> {
    asked: &'a Asked<'a>,
    rungs: [Rung; 4],
    /// Rungs that the kernel refused; it would again.
    refused: Vec<(Rung, String)>,
    /// Rungs that do not depend on the function, and that the kernel offered.
    offered: Vec<Rung>,
    /// Tracepoints that already stand in: one may do so for several functions.
    stood_in: Vec<&'static str>,
}

impl<'a> Ladder<'a> {
    /// For so many functions.
    pub fn new(asked: &'a Asked<'a>, functions: usize) -> Ladder<'a> {
        let rungs = if functions > FENTRY_MOST { FOR_MANY } else { Rung::LADDER };
        Ladder { asked, rungs, refused: Vec::new(), offered: Vec::new(), stood_in: Vec::new() }
    }

    /// Takes the first rung this kernel offers; nothing where the function is covered already.
    pub fn stand(
        &mut self,
        btf: Option<&Btf>,
        function: &Function,
        resolver: &mut Resolver,
    ) -> Result<Option<Site>, Diagnostic> {
        let rungs = self.rungs;
        self.stand_by(&rungs, btf, function, resolver)
    }

    /// Takes the first of some rungs that this kernel offers.
    pub fn stand_by(
        &mut self,
        rungs: &[Rung],
        btf: Option<&Btf>,
        function: &Function,
        resolver: &mut Resolver,
    ) -> Result<Option<Site>, Diagnostic> {
        let mut why = Vec::new();
        let forced = resolver.attach;
        for rung in rungs.iter().copied().filter(|rung| forced.is_none_or(|only| only == *rung)) {
            if let Some(refusal) = self.refusal(btf, rung, function, resolver) {
                why.push(format!("no {}: {refusal}", rung.name()));
                continue;
            }
            if rung == Rung::Tracepoint && self.is_covered(function) {
                return Ok(None);
            }
            match self.on_rung(btf, rung, function, resolver) {
                Some((attach, _)) if let Some(said) = resolver.refused.get(&attach.describe()) => {
                    why.push(format!("no {}: {said}", rung.name()));
                }
                Some((attach, context)) => {
                    let point = self.asked.point(function) + &self.asked.suffix.text;
                    let place = Place::Kernel { attach, why };
                    return Ok(Some(Site { point, place, context, lenient: self.asked.lenient }));
                }
                None => why.push(format!("no {}: nothing stands for {}", rung.name(), function.name)),
            }
        }
        Err(no_rung(function, &why, self.asked.at))
    }

    fn refusal(&mut self, btf: Option<&Btf>, rung: Rung, function: &Function, resolver: &Resolver) -> Option<String> {
        match rung {
            Rung::Fentry if function.btf_id == 0 => return Some("no prototype in BTF".into()),
            Rung::Fentry if function.address.is_some() => return Some("several functions have its name".into()),
            Rung::Fentry if self.asked.registers => return Some("it has no registers".into()),
            Rung::Tracepoint if self.asked.registers => return Some("it has no registers".into()),
            _ => {}
        }
        let refusals = || self.refused.iter().filter(|(refused, _)| *refused == rung);
        let most = if rung == Rung::Fentry && self.asked.lenient { FENTRY_REFUSALS } else { 1 };
        if let Some((_, why)) = refusals().next()
            && refusals().count() >= most
        {
            return Some(why.clone());
        }
        if self.offered.contains(&rung) {
            return None;
        }
        match resolver.world.offers(rung, &self.wanted(btf, function)) {
            // Whether a trampoline can be had is another question for every function.
            Ok(()) if rung == Rung::Fentry => None,
            Ok(()) => {
                self.offered.push(rung);
                None
            }
            Err(refusal) => {
                self.refused.push((rung, refusal.0.clone()));
                Some(refusal.0)
            }
        }
    }

    fn wanted<'f>(&self, btf: Option<&Btf>, function: &'f Function) -> Wanted<'f> {
        let ty = btf.map(|btf| btf.kernel_type(function.btf_id)).unwrap_or_default();
        let is_wide = btf.is_some_and(|btf| is_wide(btf, function.btf_id));
        Wanted { function: &function.name, ty, moment: self.asked.suffix.moment, is_wide }
    }

    fn is_covered(&self, function: &Function) -> bool {
        row_of(function).is_some_and(|row| self.stood_in.contains(&row.tracepoint))
    }

    fn on_rung(
        &mut self,
        btf: Option<&Btf>,
        rung: Rung,
        function: &Function,
        resolver: &mut Resolver,
    ) -> Option<(Attach, Context)> {
        let moment = self.asked.suffix.moment;
        let functions = vec![function.symbol()];
        match rung {
            Rung::Fentry => trampoline(btf?, function, moment, self.asked),
            Rung::KprobeMulti => registers(btf, function, moment, self.asked, |moment| Attach::KprobeMulti {
                functions: functions.clone(),
                moment,
            }),
            Rung::Kprobe => registers(btf, function, moment, self.asked, |moment| Attach::Kprobe {
                functions: functions.clone(),
                moment,
            }),
            Rung::Tracepoint => {
                let row = row_of(function)?;
                let (attach, args) = stand_in(btf?, row, moment)?;
                self.stood_in.push(row.tracepoint);
                resolver.note(format!(
                    "{} is probed at tracepoint {}, which covers {} ({})",
                    self.asked.name, row.tracepoint, row.covers, row.source
                ));
                let result = args.iter().find(|arg| arg.name == RESULT).map(|arg| arg.source.clone());
                Some((attach, Context { name: function.name.clone(), args, result, ..Context::default() }))
            }
        }
    }
}

/// Lists a function, wherever a program would stand there; without types by its name alone.
pub fn list(btf: Option<&Btf>, function: &Function, asked: &Asked, lines: &mut Listed) {
    let point = || asked.point(function) + &asked.suffix.text;
    match (btf, asked.suffix.moment) {
        (None, _) => lines.line(&point(), &[], None),
        // Nearly all that is listed: the parameters are all there is.
        (Some(btf), Moment::Entry) if function.btf_id > 0 && !asked.registers => {
            let args = word_args(btf, function.btf_id, 0, 0);
            args.iter().for_each(|args| lines.line(&point(), args, Some(btf)));
        }
        _ => listed(btf, function, asked).iter().for_each(|site| lines.add(site, btf)),
    }
}

/// A function as it is listed.
fn listed(btf: Option<&Btf>, function: &Function, asked: &Asked) -> Option<Site> {
    let moment = asked.suffix.moment;
    let attach = |moment| Attach::Kprobe { functions: Vec::new(), moment };
    let (attach, context) = match (btf, function.btf_id, asked.registers) {
        (None, ..) => (attach(moment), Context::default()),
        (Some(btf), 1.., false) => trampoline(btf, function, moment, asked)?,
        _ => registers(btf, function, moment, asked, attach)?,
    };
    let point = asked.point(function) + &asked.suffix.text;
    let place = Place::Kernel { attach, why: Vec::new() };
    Some(Site { point, place, context, lenient: asked.lenient })
}

/// A trampoline: the arguments are there at the return, too.
fn trampoline(btf: &Btf, function: &Function, moment: Moment, asked: &Asked) -> Option<(Attach, Context)> {
    let ty = btf.kernel_type(function.btf_id);
    let attach = |moment| Attach::Fentry { function: function.symbol(), ty: ty.clone(), moment };
    let mut args = word_args(btf, function.btf_id, 0, 0)?;
    let name = function.name.clone();
    if moment == Moment::Entry {
        return Some((attach(moment), Context { name, args, ..Context::default() }));
    }
    let entry = entry_site(attach(Moment::Entry), function, args.clone(), asked);
    let words = args.iter().map(|arg| arg.words).sum();
    args.extend(result(btf, function.btf_id, |ty| word(btf, ty, words), true));
    let (result, entry) = (Some(ArgSource::CopiedWord(words)), Some(Box::new(entry)));
    Some((attach(moment), Context { name, args, result, entry, ..Context::default() }))
}

/// Kprobes: the arguments are in registers, and gone at the return.
fn registers(
    btf: Option<&Btf>,
    function: &Function,
    moment: Moment,
    asked: &Asked,
    attach: impl Fn(Moment) -> Attach,
) -> Option<(Attach, Context)> {
    let known = btf.filter(|_| function.btf_id != 0 && !asked.registers);
    let args = known.map_or_else(|| Some(Vec::new()), |btf| saved::args(btf, function.btf_id))?;
    let name = function.name.clone();
    if moment == Moment::Entry {
        return Some((attach(moment), Context { name, args, ..Context::default() }));
    }
    let entry = entry_site(attach(Moment::Entry), function, args, asked);
    let source = ArgSource::Register(saved::RESULT_REGISTER);
    let args = known.and_then(|btf| result(btf, function.btf_id, |_| source.clone(), false)).into_iter().collect();
    let (result, entry) = (Some(source), Some(Box::new(entry)));
    Some((attach(moment), Context { name, args, result, entry, ..Context::default() }))
}

/// The function's entry, for what a handler at its return wants to know of it.
fn entry_site(attach: Attach, function: &Function, args: Vec<Arg>, asked: &Asked) -> Site {
    let (point, name) = (asked.point(function) + ".call", function.name.clone());
    let place = Place::Kernel { attach, why: Vec::new() };
    Site { point, place, context: Context { name, args, ..Context::default() }, lenient: asked.lenient }
}

/// `$return`, where the function gives something back.
fn result(btf: &Btf, function: TypeId, source: impl Fn(TypeId) -> ArgSource, typed: bool) -> Option<Arg> {
    let ty = btf.get(btf.get(function)?.target())?.target();
    let (stripped, _) = btf.strip(ty)?;
    // The verifier knows an integer of what a trampoline gives, no pointer.
    let typed = typed && btf.pointee(ty).is_none();
    (stripped != 0).then(|| Arg { name: RESULT.into(), ty, source: source(ty), typed, words: 1 })
}

/// The row that says which tracepoint stands for a function.
fn row_of(function: &Function) -> Option<&'static StandInRow> {
    let stands_for = |row: &&StandInRow| function.module.is_none() && renames::matches(row.function, &function.name);
    STAND_INS.iter().find(stands_for)
}

/// Whether a function has arguments that are not one register each.
fn is_wide(btf: &Btf, function: TypeId) -> bool {
    let args = word_args(btf, function, 0, 0).unwrap_or_default();
    args.len() > saved::ARGUMENT_REGISTERS.len() || args.iter().any(|arg| arg.words != 1 || is_record(btf, arg.ty))
}

/// The tracepoint that a row names, with its arguments under the function's parameter names. It fires when the function
/// is through, so that it serves both moments.
fn stand_in(btf: &Btf, row: &StandInRow, moment: Moment) -> Option<(Attach, Vec<Arg>)> {
    let found = tracepoint::find(btf, row.tracepoint)?;
    let mut args: Vec<Arg> = row.params.iter().filter_map(|(name, from)| param(btf, name, from, &found.args)).collect();
    // A row whose kfunc this kernel lacks cannot serve: its first parameter is what scripts ask for.
    if args.len() != row.params.len() {
        return None;
    }
    if moment != Moment::Entry {
        let result = found.args.iter().find(|arg| arg.name == row.result)?;
        args.push(Arg { name: RESULT.into(), ..result.clone() });
    }
    Some((found.attach(), args))
}

fn param(btf: &Btf, name: &str, from: &StandInParam, args: &[Arg]) -> Option<Arg> {
    let named = |wanted: &str| args.iter().find(|arg| arg.name == wanted);
    match from {
        StandInParam::Arg(arg) => named(arg).map(|arg| Arg { name: name.into(), ..arg.clone() }),
        StandInParam::CacheOf(object) => {
            let kfunc = btf.find(Kind::Func, "bpf_get_kmem_cache")?;
            let ty = btf.get(btf.get(kfunc)?.target())?.target();
            let source = ArgSource::CacheOf(Box::new(named(object)?.source.clone()), kfunc);
            Some(Arg { name: name.into(), ty, source, typed: true, words: 1 })
        }
    }
}

fn no_rung(function: &Function, why: &[String], at: Span) -> Diagnostic {
    why.iter().fold(
        Diagnostic::error("probe::no-rung", format!("this kernel offers no way to probe `{}`", function.name))
            .label(at, "cannot be probed here"),
        |error, reason| error.note(reason.clone()),
    )
}
