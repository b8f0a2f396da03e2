//! What probe families have in common: the sites they answer with, what they ask, and their ways to refuse.

use super::listed::Listed;
use crate::hir::{ArgSource, Expr, Place};
use crate::image::{Attach, Counted, ServedFile};
use crate::kernel::btf::{Btf, Kind, TypeId};
use crate::suggest::did_you_mean;
use crate::world::{KernelVersion, Rung, World};
use std::collections::{BTreeMap, BTreeSet};
use tapster_lang::ast::{Component, Literal, ProbePoint};
use tapster_lang::{Diagnostic, Span};

/// A family's answer.
pub type Sites = Result<Vec<Site>, Diagnostic>;

/// A place a probe point stands at.
#[derive(Clone, Debug)]
pub struct Site {
    /// What `pp()` says there.
    pub point: String,
    /// The place.
    pub place: Place,
    /// What a handler can ask for there.
    pub context: Context,
    /// One of the places that a pattern stands for: what the kernel refuses is passed over.
    pub lenient: bool,
}

impl Site {
    /// Takes the arguments as if the verifier knew nothing of them, where it does not accept what BTF says: they are
    /// copied, and followed with care.
    pub fn mistrust(&mut self, places: &BTreeSet<String>) {
        let Place::Kernel { attach, .. } = &self.place else { return };
        if places.contains(&attach.describe()) {
            for arg in &mut self.context.args {
                if let ArgSource::Word(nth) = arg.source {
                    arg.source = ArgSource::CopiedWord(nth);
                }
                arg.typed = false;
            }
        }
        self.context.entry.iter_mut().for_each(|entry| entry.mistrust(places));
    }

    /// A place where there is nothing to ask for.
    pub fn bare(point: String, place: Place) -> Site {
        Site { point, place, context: Context::default(), lenient: false }
    }

    /// Whether a function returns there: its parameters are those of its entry. Of a tracepoint they are its own.
    pub fn is_return(&self) -> bool {
        self.context.entry.is_some()
            && !matches!(self.place, Place::Kernel { attach: Attach::BtfTracepoint { .. }, .. })
    }

    /// The parameters of a function that returns there, as far as they are not here any more.
    pub fn gone(&self) -> impl Iterator<Item = &Arg> + Clone {
        let here = |arg: &&Arg| self.context.args.iter().any(|here| here.name == arg.name);
        let entry = self.context.entry.iter().filter(|_| self.is_return());
        entry.flat_map(|entry| &entry.context.args).filter(move |arg| !here(arg))
    }
}

/// What a handler can ask for at a site.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The function or tracepoint, for messages and renamed parameters.
    pub name: String,
    /// `$name` for each.
    pub args: Vec<Arg>,
    /// The tracepoint's system, where the kernel tells; a mark's provider.
    pub system: Option<String>,
    /// There is a text, `$value`, which can be set where somebody reads it.
    pub has_text: bool,
    /// At a function's return: where its result is, should it give one.
    pub result: Option<ArgSource>,
    /// What must hold for the handler to run: the place is everybody's.
    pub guard: Option<Expr>,
    /// Why there are no variables, and what to do about it.
    pub lack: Option<String>,
    /// What begins here may be seen at several places, but is told of once.
    pub once: Option<Once>,
    /// At a function's return: its entry, for what is asked of it there.
    pub entry: Option<Box<Site>>,
    /// Whether system calls pass here: their arguments are in `$regs`.
    pub of_calls: bool,
}

/// Something that is told of once, wherever it is seen first.
#[derive(Clone, Debug)]
pub struct Once {
    /// Which one it is, in numbers.
    pub key: Vec<Expr>,
    /// It begins here, whether or not it was seen before.
    pub anew: bool,
}

impl Context {
    /// `$$name` and `$$system` of a tracepoint, `$$name` and `$$provider` of a mark.
    pub fn text(&self, variable: &str) -> Option<&str> {
        match variable.trim_start_matches('$') {
            "name" if variable.starts_with("$$") => Some(&self.name),
            "system" | "provider" if variable.starts_with("$$") => self.system.as_deref(),
            _ => None,
        }
    }
}

/// A `$variable` of a site.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Its name, without `$`.
    pub name: String,
    /// Its type in the kernel's BTF.
    pub ty: TypeId,
    /// Where it comes from.
    pub source: ArgSource,
    /// Whether the verifier knows the type, so that plain loads may follow the pointer.
    pub typed: bool,
    /// Words it takes among the arguments.
    pub words: u32,
}

/// The process that the command line names.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// `-x`, or that of `-c`; 0 for none.
    pub pid: i64,
    /// Our own.
    pub own_pid: i64,
    /// The program of `-c`.
    pub program: Option<String>,
}

impl Target {
    /// The process, if there is one.
    pub fn pid(&self) -> Option<u32> {
        u32::try_from(self.pid).ok().filter(|pid| *pid > 0)
    }
}

/// Whether places are only listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// They are to be probed.
    No,
    /// By name.
    Names,
    /// With their variables.
    Variables,
}

/// What a family works with.
pub struct Resolver<'a> {
    /// The machine.
    pub world: &'a dyn World,
    /// The kernel's types.
    pub btf: Option<&'a Btf<'a>>,
    /// `--attach`: the only rung to take.
    pub attach: Option<Rung>,
    /// Places where the verifier may not accept what BTF says of the arguments.
    pub turned_down: &'a BTreeSet<String>,
    /// Places that the kernel has refused late, with why.
    pub refused: &'a BTreeMap<String, String>,
    /// What `process` without a name is.
    pub target: Target,
    /// `-D MAXPROBES`: places that one point may stand for.
    pub max_sites: usize,
    /// Places are only listed: whether the kernel lets anybody stand there is not asked.
    pub listing: Listing,
    /// The list: what takes long to keep is there and not among the sites.
    pub listed: Listed,
    /// Strings of the script that may name slab caches: some companions are probed for their sake.
    pub strings: &'a [String],
    /// Files that the script serves.
    pub served: Vec<ServedFile>,
    /// Events that are counted, by the names that `@perf` reads them by.
    pub counters: BTreeMap<String, Counted>,
    /// What was translated, one line each; said once.
    pub notes: Vec<String>,
    /// Nobody is told why the place that is looked for cannot be had: names like it are not searched for, of which a kernel
    /// has tens of thousands.
    pub unsaid: bool,
}

/// A part of a point that its family does not know.
pub fn mismatch<'a>(point: &ProbePoint, nth: usize, known: impl IntoIterator<Item = &'a str> + Clone) -> Diagnostic {
    let list: Vec<&str> = known.clone().into_iter().collect();
    let Some(part) = point.components.get(nth) else {
        return Diagnostic::error("probe::mismatch", format!("probe point truncated (follow: {})", list.join(", ")))
            .label(point.span, "more is needed here");
    };
    let error = Diagnostic::error("probe::mismatch", format!("probe point mismatch (similar: {})", list.join(", ")))
        .label(part.name.span, "not known here");
    match did_you_mean(&part.name.name, known) {
        Some(help) => error.help(help),
        None => error,
    }
}

/// Something of the language that is not there yet.
pub fn unsupported(what: &str, at: Span) -> Diagnostic {
    Diagnostic::error("check::unsupported", format!("{what} are not supported by this version"))
        .label(at, "not supported yet")
        .help("README.md lists what is not supported")
}

/// Refuses parts after the n-th.
pub fn no_more(point: &ProbePoint, after: usize) -> Result<(), Diagnostic> {
    match point.components.get(after) {
        None => Ok(()),
        Some(part) => Err(Diagnostic::error("probe::mismatch", "invalid suffix for probe")
            .label(part.name.span, "nothing may follow here")),
    }
}

/// A number in a part's parentheses.
pub fn number(part: &Component) -> Option<i64> {
    match &part.arg {
        Some((Literal::Number(number), _)) => Some(*number),
        _ => None,
    }
}

/// A string in a part's parentheses.
pub fn text(part: &Component) -> Result<(&str, Span), Diagnostic> {
    let needs = || {
        Diagnostic::error("probe::argument", format!("`{}` needs a string in parentheses", part.name.name))
            .label(part.name.span, "like (\"name\")")
    };
    match &part.arg {
        Some((Literal::String(bytes), span)) => Ok((core::str::from_utf8(bytes).map_err(|_| needs())?, *span)),
        _ => Err(needs()),
    }
}

impl<'a> Resolver<'a> {
    /// The kernel's types, or an error that says what lacks.
    pub fn btf(&self, at: Span) -> Result<&'a Btf<'a>, Diagnostic> {
        self.btf.ok_or_else(|| {
            Diagnostic::error("world::no-btf", format!("this kernel ({}) has no BTF", self.world.release()))
                .label(at, "needs the kernel's type information")
                .help("Tapster reads /sys/kernel/btf/vmlinux: use a kernel built with CONFIG_DEBUG_INFO_BTF=y")
        })
    }

    /// The kernel's version in two numbers, for notes.
    pub fn kernel(&self) -> String {
        KernelVersion::parse(self.world.release())
            .map_or_else(|| self.world.release().to_owned(), |v| format!("{}.{}", v.major, v.minor))
    }

    /// Refuses a pattern that stands for more places than are allowed.
    pub fn limit(&self, pattern: &str, places: usize, at: Span) -> Result<(), Diagnostic> {
        if places > self.max_sites && self.listing == Listing::No {
            Err(super::function::too_many(pattern, places, self.max_sites, at))
        } else {
            Ok(())
        }
    }

    /// Adds a line to say, once.
    pub fn note(&mut self, line: String) {
        if !self.notes.contains(&line) {
            self.notes.push(line);
        }
    }
}

/// An argument of this type in the n-th word of the context.
pub fn word(btf: &Btf, ty: TypeId, nth: u32) -> ArgSource {
    if is_readable(btf, ty) { ArgSource::Word(nth) } else { ArgSource::CopiedWord(nth) }
}

/// Whether it is a structure or union itself.
pub fn is_record(btf: &Btf, ty: TypeId) -> bool {
    btf.strip(ty).is_some_and(|(_, ty)| matches!(ty.kind(), Kind::Struct | Kind::Union))
}

/// Where an argument that a script uses is best taken from: its word itself where this kernel's verifier lets programs
/// read pointers of every type. Asked only then, as it takes a look through all of BTF.
pub fn best_source(btf: &Btf, arg: &Arg) -> ArgSource {
    match arg.source {
        // One that was turned down is not typed.
        ArgSource::CopiedWord(nth) if arg.typed && btf.find(Kind::Func, OF_6_13).is_some() => ArgSource::Word(nth),
        _ => arg.source.clone(),
    }
}

/// A function that came with Linux 6.13, as did verifiers that know pointers of every type.
const OF_6_13: &str = "bpf_get_kmem_cache";

/// Whether the verifier of every kernel lets a program read an argument of this type: numbers, and pointers to
/// structures, numbers and plain `void`; others (`const void *`, `char **`) only from Linux 6.13 on (kernel/bpf/btf.c,
/// btf_ctx_access).
fn is_readable(btf: &Btf, ty: TypeId) -> bool {
    match btf.strip(ty) {
        Some((_, ty)) if ty.kind() == Kind::Ptr && ty.target() != 0 => {
            let pointee = btf.strip(ty.target()).map(|(_, ty)| ty.kind());
            matches!(pointee, Some(Kind::Struct | Kind::Union | Kind::Int))
        }
        _ => true,
    }
}

/// The parameters of a function or tracepoint, each a 64-bit word of the context from `first` on.
pub fn word_args(btf: &Btf, function: TypeId, skip: usize, first: u32) -> Option<Vec<Arg>> {
    let proto = btf.get(btf.get(function)?.target())?;
    if proto.kind() != Kind::FuncProto {
        return None;
    }
    let mut word = first;
    let mut args = Vec::new();
    for param in proto.params().skip(skip) {
        // A structure passed by value takes as many words as it has; a `...` has no type and ends the list.
        let bytes = match btf.strip(param.ty)? {
            (0, _) => break,
            (_, ty) => ty.size().unwrap_or(8),
        };
        let words = bytes.div_ceil(8);
        let source = self::word(btf, param.ty, word);
        args.push(Arg { name: param.name.into(), ty: param.ty, source, typed: true, words });
        word = word.saturating_add(words);
    }
    Some(args)
}
