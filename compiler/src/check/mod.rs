//! Checks scripts: from syntax trees to [`hir::Program`].
//!
//! The steps run in this order, each in a file of its own: [`declare`] collects globals, [`build`] resolves every name
//! at every place a probe stands, [`elide`] leaves out what has no effect, [`infer`] gives types, [`modified`] refuses
//! changes of what is walked, [`display`] adds probes that show what is never read, [`unseen`] leaves out counting that
//! nobody sees, [`defer`] puts off what aliases work out, [`usage`] finds out who uses what, [`refine`] works out what is constant, [`shape`] how long strings
//! can get, and [`sides`] refuses what a handler cannot do where it runs. Each goes on after an error, so that a run
//! reports all of them.

mod access;
mod added;
mod ahead;
mod alias;
mod build;
mod build_call;
mod build_expr;
mod builder;
mod caches;
mod context;
mod counter;
mod declare;
mod defer;
mod display;
mod elide;
mod entry;
mod format;
mod infer;
mod infer_call;
mod instance;
mod modified;
mod names;
mod once;
mod origin;
mod packets;
mod place;
mod places;
mod pointee;
mod refine;
pub mod refused;
pub mod registers;
pub(crate) mod shape;
mod sides;
mod split;
mod target;
mod unresolved;
mod unseen;
mod usage;
mod variables;
pub(crate) mod walk;

use crate::hir;
use crate::kernel::btf::Btf;
use crate::kernel::{self, KernelFacts};
use crate::probe::{Listing, Resolver, Target};
use crate::world::World;
use access::Accesses;
use context::Context;
use names::Names;
use origin::LibraryText;
use tapster_lang::Diagnostic;
use tapster_lang::ast::Script;

pub use context::Options;
pub use places::places;

/// A checked script with what was noticed on the way.
#[derive(Debug, Default)]
pub struct Checked {
    /// The script.
    pub program: hir::Program,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// Errors that do not keep a script from being listed, but from being compiled.
    pub late: Vec<Diagnostic>,
    /// Translated names, one line each.
    pub notes: Vec<String>,
    /// What generated code needs to know of this kernel.
    pub facts: KernelFacts,
}

/// Checks scripts against a machine.
pub fn check(scripts: &[Script], world: &dyn World, options: &Options) -> Result<Checked, Vec<Diagnostic>> {
    let btf = world.btf("vmlinux").and_then(Btf::new);
    let mut cx = Context::new(world, options);
    let strings = declare::strings(scripts, options);
    let (mut names, functions) = Names::functions(scripts);
    let globals = declare::globals(scripts, &mut names, &mut cx);
    let mut program = hir::Program { globals, functions, ..hir::Program::default() };
    let mut resolver = resolver(world, btf.as_ref(), options, &strings);
    build::build(scripts, &names, &mut program, &mut resolver, &mut cx);
    let in_kernel = program.probes.iter().any(|probe| matches!(probe.place, hir::Place::Kernel { .. }));
    let facts = if in_kernel { kernel::facts(resolver.btf, world.features()) } else { KernelFacts::default() };
    program.served = core::mem::take(&mut resolver.served);
    let mut notes = resolver.notes;
    let library = LibraryText::new(scripts);
    let mentioned = Accesses::mentioned(&mut program);
    if !cx.has_errors() {
        elide::elide(&library, &mut program, &mut cx);
    }
    if !cx.has_errors() {
        infer::infer(&mut program, &mut cx);
        unresolved::unresolved(&library, &mut program, &mut cx);
    }
    if !cx.has_errors() {
        modified::modified(&mut program, &mut cx);
    }
    if !cx.has_errors() {
        if options.display && !options.keep_all {
            display::display(&library, &mentioned, &mut program);
        }
        if options.elide && !options.keep_all {
            unseen::unseen(&mut program);
        }
        declare::overrides(&mut program.globals, &mut cx);
        behind_types(&library, &mut program, &mut notes, &mut cx);
    }
    if !cx.has_errors() {
        embedded(&mut program, &mut cx);
        packets::packets(&mut program, &mut cx);
    }
    if cx.has_errors() {
        return Err(cx.diagnostics);
    }
    Ok(Checked { program, warnings: cx.diagnostics, late: cx.late, notes, facts })
}

fn resolver<'a>(
    world: &'a dyn World,
    btf: Option<&'a Btf<'a>>,
    options: &'a Options,
    strings: &'a [String],
) -> Resolver<'a> {
    let target = Target { pid: options.target, own_pid: options.own_pid, program: options.program.clone() };
    let (attach, max_sites) = (options.attach, options.max_sites as usize);
    let (turned_down, refused, listing) = (&options.turned_down, &options.refused, Listing::No);
    let (listed, served, counters, notes, unsaid) = Default::default();
    Resolver {
        world,
        btf,
        attach,
        turned_down,
        refused,
        target,
        max_sites,
        listing,
        listed,
        strings,
        served,
        counters,
        notes,
        unsaid,
    }
}

/// Does what [`check`] does behind names, to a program that has them and types already: tests make such programs.
pub fn settle(program: &mut hir::Program, world: &dyn World, options: &Options) -> Result<(), Vec<Diagnostic>> {
    let mut cx = Context::new(world, options);
    elide::elide(&LibraryText::new(&[]), program, &mut cx);
    if options.elide {
        unseen::unseen(program);
    }
    behind_types(&LibraryText::new(&[]), program, &mut Vec::new(), &mut cx);
    if cx.has_errors() { Err(cx.diagnostics) } else { Ok(()) }
}

fn behind_types(library: &LibraryText, program: &mut hir::Program, notes: &mut Vec<String>, cx: &mut Context) {
    hir::reach::reach(program);
    usage::usage(program);
    if cx.options.keep_all {
        usage::whole_statistics(program);
    }
    refine::constants(program);
    caches::translate(program, notes, cx);
    refine::refine(program);
    defer::defer(library, program);
    shape::shape(program, cx.options.max_string);
    split::split(program, cx);
    usage::note_sides(program);
}

/// Refuses C that would have to be run, after everything else has been checked.
fn embedded(program: &mut hir::Program, cx: &mut Context) {
    for nth in 0..program.probes.len() {
        let called = hir::reach::reached(program, nth);
        called.into_iter().filter_map(|id| program.functions[id].embedded).for_each(|at| cx.refuse_c(at));
    }
}
