//! Checks scripts: from syntax trees to [`hir::Program`].
//!
//! The steps run in this order, each in a file of its own: [`declare`] collects globals, [`build`] resolves every name
//! at every place a probe stands, [`infer`] gives types, [`usage`] finds out who uses what, [`refine`] works out what
//! is constant, [`shape`] how long strings can get, and [`sides`] refuses what a handler cannot do where it runs. Each
//! goes on after an error, so that a run reports all of them.

mod build;
mod build_expr;
mod caches;
mod declare;
mod format;
mod infer;
mod refine;
pub(crate) mod shape;
mod sides;
mod target;
mod usage;
pub(crate) mod walk;

use crate::hir;
use crate::kernel::btf::{Btf, Kind};
use crate::lower::kernel::KernelFacts;
use crate::probe::Resolver;
use crate::world::{Rung, World};
use tapster_lang::ast::Script;
use tapster_lang::{Diagnostic, Severity};

/// Limits and choices of a run, `-D` and `--attach`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of a string with its NUL.
    pub max_string: u32,
    /// Elements of an array that gives no size.
    pub max_entries: u32,
    /// Frames kept of a stack.
    pub max_backtrace: u32,
    /// Statements of a user handler.
    pub max_action: u32,
    /// The only rung to take.
    pub attach: Option<Rung>,
}

impl Default for Options {
    fn default() -> Options {
        use tapster_runtime_ebpf::limits;
        Options {
            max_string: limits::MAXSTRINGLEN,
            max_entries: limits::MAXMAPENTRIES,
            max_backtrace: limits::MAXBACKTRACE,
            max_action: limits::MAXACTION,
            attach: None,
        }
    }
}

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

/// What the steps share: the machine, the options and what was found wrong.
struct Context<'a> {
    world: &'a dyn World,
    options: &'a Options,
    diagnostics: Vec<Diagnostic>,
}

impl Context<'_> {
    fn report(&mut self, diagnostic: Diagnostic) {
        if !self.diagnostics.contains(&diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }

    fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }
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
    let facts = if in_kernel { kernel_facts(resolver.btf) } else { KernelFacts::default() };
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

/// The facts of a kernel that generated code uses.
fn kernel_facts(btf: Option<&Btf>) -> KernelFacts {
    let comm = || {
        let btf = btf?;
        let task = btf.get(btf.find(Kind::Struct, TASK)?)?;
        task.member("comm").map(|member| member.bit_offset / 8)
    };
    KernelFacts { comm: comm() }
}

/// The kernel's structure of a task.
pub const TASK: &str = "task_struct";
