//! Lowers a checked program to Cranelift IR, one function a handler.
//!
//! Control flow becomes blocks here; what only one side of the kernel boundary can do goes through [`target::Target`].
//! Types are not changed, and nothing is compiled yet.

mod code;
mod expr;
mod handler;
pub mod kernel;
mod plan;
mod target;
pub mod user;

use crate::check::Options;
use crate::hir::{Place, Probe, Program};
use crate::image::{Attach, When};
use crate::kernel::KernelFacts;
use cranelift_codegen::ir::{Function, UserFuncName};
use cranelift_frontend::FunctionBuilderContext;
use handler::Lowerer;
use kernel::{Kernel, ProgramFacts};
use user::User;

pub use plan::{Plan, map_name};

/// A program as Cranelift IR.
#[derive(Debug)]
pub struct Lowered {
    /// Where everything lives; scratch maps included.
    pub plan: Plan,
    /// Handlers that run in the kernel.
    pub kernel: Vec<KernelHandler>,
    /// Handlers that run in user space.
    pub user: Vec<UserHandler>,
}

/// A kernel handler as IR.
#[derive(Debug)]
pub struct KernelHandler {
    /// Its place among the probes.
    pub probe: usize,
    /// The IR.
    pub func: Function,
}

/// A user handler as IR.
#[derive(Debug)]
pub struct UserHandler {
    /// Its place among the probes.
    pub probe: usize,
    /// When it runs.
    pub when: When,
    /// The IR.
    pub func: Function,
}

/// Lowers a program.
pub fn lower(program: &mut Program, options: &Options, facts: KernelFacts) -> Lowered {
    let plan = plan::plan(program, options);
    let mut lowered = Lowered { plan, kernel: Vec::new(), user: Vec::new() };
    let mut context = FunctionBuilderContext::new();
    for (number, probe) in program.probes.iter().enumerate() {
        match &probe.place {
            Place::Never => {}
            Place::User(when) => {
                let func = user_handler(program, probe, number, &lowered.plan, options, &mut context);
                lowered.user.push(UserHandler { probe: number, when: *when, func });
            }
            Place::Kernel { attach, .. } => {
                let facts = (facts, ProgramFacts { probe: number, skip_frames: skip_frames(attach) });
                let (func, scratch) = kernel_handler(program, probe, &lowered.plan, options, facts, &mut context);
                lowered.plan.maps.extend(scratch);
                lowered.kernel.push(KernelHandler { probe: number, func });
            }
        }
    }
    lowered
}

/// Frames at the start of a stack that are the tracer's: the program itself and what called it. A third,
/// `__traceiter_*`, is there only when somebody else probes the same tracepoint and is dropped by name when printed.
fn skip_frames(attach: &Attach) -> u32 {
    match attach {
        Attach::Fentry { .. } | Attach::BtfTracepoint { .. } => 2,
        Attach::Kprobe { .. } | Attach::KprobeMulti { .. } => 0,
    }
}

fn user_handler(
    program: &Program,
    probe: &Probe,
    number: usize,
    plan: &Plan,
    options: &Options,
    context: &mut FunctionBuilderContext,
) -> Function {
    let mut func = Function::with_name_signature(UserFuncName::testcase(name(number)), code::signature(1));
    let (mut code, params) = code::Code::start(&mut func, context);
    code.at(probe.span);
    let target = User::new(&mut code, params[0]);
    Lowerer::new(code, target, plan, &program.globals, &probe.handler, options.max_action).run(&probe.handler.body);
    func
}

fn kernel_handler(
    program: &Program,
    probe: &Probe,
    plan: &Plan,
    options: &Options,
    (facts, own): (KernelFacts, ProgramFacts),
    context: &mut FunctionBuilderContext,
) -> (Function, Option<crate::image::Map>) {
    let mut func = Function::with_name_signature(UserFuncName::testcase(name(own.probe)), code::signature(1));
    let (mut code, params) = code::Code::start(&mut func, context);
    code.at(probe.span);
    let mut target = Kernel::new(plan, facts, own, params[0], plan.maps.len());
    target.enter(&mut code);
    let lowerer = Lowerer::new(code, target, plan, &program.globals, &probe.handler, options.max_action);
    let target = lowerer.run(&probe.handler.body);
    let scratch = target.scratch();
    (func, scratch)
}

fn name(number: usize) -> String {
    format!("probe_{number}")
}
