//! Checks scripts: from syntax trees to [`hir::Program`].
//!
//! The steps run in this order, each in a file of its own: [`declare`] collects globals, [`build`] resolves every name
//! at every place a probe stands, [`infer`] gives types, [`usage`] finds out who uses what, [`refine`] works out what
//! is constant, [`shape`] how long strings can get, and [`sides`] refuses what a handler cannot do where it runs. Each
//! goes on after an error, so that a run reports all of them.

mod build;
mod build_expr;
mod builder;
mod caches;
mod context;
mod declare;
mod format;
mod infer;
mod refine;
pub(crate) mod shape;
mod sides;
mod target;
mod usage;
mod walk;

use crate::hir;
use crate::kernel::btf::Btf;
use crate::kernel::{self, KernelFacts};
use crate::probe::Resolver;
use crate::world::World;
use context::Context;
use tapster_lang::Diagnostic;
use tapster_lang::ast::Script;

pub use context::Options;

/// A checked script with what was noticed on the way.
#[derive(Debug, Default)]
pub struct Checked {
    /// The script.
    pub program: hir::Program,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// Translated names, one line each.
    pub notes: Vec<String>,
    /// What generated code needs to know of this kernel.
    pub facts: KernelFacts,
}

/// Checks scripts against a machine.
pub fn check(scripts: &[Script], world: &dyn World, options: &Options) -> Result<Checked, Vec<Diagnostic>> {
    let btf = world.btf("vmlinux").and_then(Btf::new);
    let mut cx = Context { world, options, diagnostics: Vec::new() };
    let strings = declare::strings(scripts);
    let mut program = hir::Program { globals: declare::globals(scripts, &mut cx), ..hir::Program::default() };
    let mut resolver =
        Resolver { world, btf: btf.as_ref(), attach: options.attach, strings: &strings, notes: Vec::new() };
    build::build(scripts, &mut program, &mut resolver, &mut cx);
    let in_kernel = program.probes.iter().any(|probe| matches!(probe.place, hir::Place::Kernel { .. }));
    let facts = if in_kernel { kernel::facts(resolver.btf) } else { KernelFacts::default() };
    let mut notes = resolver.notes;
    if !cx.has_errors() {
        infer::infer(&mut program, &mut cx);
    }
    if !cx.has_errors() {
        usage::usage(&mut program);
        refine::constants(&mut program);
        caches::translate(&mut program, &mut notes, &mut cx);
        refine::refine(&mut program);
        shape::shape(&mut program, options.max_string);
        sides::refuse(&mut program, options.max_string, &mut cx);
        usage::note_sides(&mut program);
    }
    if cx.has_errors() {
        return Err(cx.diagnostics);
    }
    Ok(Checked { program, warnings: cx.diagnostics, notes, facts })
}
