//! Lowers a checked program to Cranelift IR, one function a handler.
//!
//! Control flow becomes blocks here; what only one side of the kernel boundary can do goes through [`target::Target`].
//! Types are not changed, and nothing is compiled yet.

mod call;
mod code;
mod cond;
mod constants;
mod expr;
mod handler;
pub mod kernel;
mod loops;
mod plan;
mod store;
mod target;
mod text;
pub mod user;
mod values;

use crate::check::Options;
use crate::hir::reach;
use crate::hir::walk::stmts_mut;
use crate::hir::{FunctionId, Place, Probe, Program, Stmt, StmtKind};
use crate::image::{Attach, When};
use crate::kernel::KernelFacts;
use cranelift_codegen::ir::{Function, UserFuncName};
use cranelift_frontend::FunctionBuilderContext;
use handler::Lowerer;
use kernel::{Kernel, ProgramFacts};
use user::User;

pub use plan::{Plan, home_size, map_name};

/// `NF_ACCEPT` of include/uapi/linux/netfilter.h: the packet goes on.
const ACCEPT: i64 = 1;

/// A program as Cranelift IR.
#[derive(Debug)]
pub struct Lowered {
    /// Where everything lives; scratch maps included.
    pub plan: Plan,
    /// Handlers that run in the kernel.
    pub kernel: Vec<KernelHandler>,
    /// Handlers that run in user space.
    pub user: Vec<UserHandler>,
    /// The functions that those call.
    pub functions: Vec<UserFunction>,
}

/// A function of the script as IR, for user space.
#[derive(Debug)]
pub struct UserFunction {
    /// Its number.
    pub id: FunctionId,
    /// The IR: the run's context, the result's address and a word for each argument.
    pub func: Function,
}

/// A kernel handler as IR.
#[derive(Debug)]
pub struct KernelHandler {
    /// Its place among the probes.
    pub probe: usize,
    /// The IR.
    pub func: Function,
    /// Its callbacks, by number: loops among them.
    pub callbacks: Vec<Function>,
    /// Bytes of its working memory.
    pub memory: u32,
    /// Whether it works on memory that each CPU has once.
    keeps_by_cpu: bool,
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
    let mut lowered = Lowered { plan, kernel: Vec::new(), user: Vec::new(), functions: Vec::new() };
    let mut context = FunctionBuilderContext::new();
    let in_user = reach::reached_from_user(program);
    let costs: Vec<Cost> = (0..program.functions.len()).map(|id| own_cost(program, id)).collect();
    let whole = |id| reach::reached_from(program, vec![id]).into_iter().map(|id| costs[id]).sum();
    let costs: Vec<Cost> = (0..costs.len()).map(whole).collect();
    let program = &*program;
    for (number, probe) in program.probes.iter().enumerate() {
        match &probe.place {
            Place::Never => {}
            Place::User(when) => {
                let func = user_handler(program, number, &lowered.plan, &mut context);
                lowered.user.push(UserHandler { probe: number, when: *when, func });
            }
            Place::Kernel { attach, .. } => {
                let own = ProgramFacts {
                    points: (&probe.point, &probe.name),
                    sites: &probe.sites,
                    max_action: options.max_action,
                    probe: number,
                    skip_frames: skip_frames(attach),
                    stops_programs: matches!(attach, Attach::Perf(_)),
                    may_goto: facts.may_goto && !options.turned_down.contains(&attach.describe()),
                    loops_stay: false,
                    result: if matches!(attach, Attach::Netfilter(_)) { ACCEPT } else { 0 },
                    is_alone: true,
                };
                let mut lower = |own| kernel_handler(program, probe, &lowered.plan, &costs, (facts, own), &mut context);
                let (mut handler, mut scratch) = lower(own);
                if may_nest(attach) && handler.keeps_by_cpu {
                    (handler, scratch) = lower(ProgramFacts { is_alone: false, ..own });
                }
                lowered.plan.maps.extend(scratch);
                lowered.kernel.push(handler);
            }
        }
    }
    for number in 0..program.handoffs.len() {
        let func = handed_over(program, number, &lowered.plan, &mut context);
        let probe = program.handoffs[number].probe;
        lowered.user.push(UserHandler { probe, when: When::Handoff, func });
    }
    for id in in_user {
        let func = user_function(program, id, &lowered.plan, &mut context);
        lowered.functions.push(UserFunction { id, func });
    }
    lowered
}

/// Statements of a handler whose loops may stand in its program as they are. The verifier walks loops of larger ones for
/// seconds, along each way through their branches; a function made of a loop it walks by itself.
const FEW: usize = 24;

/// What a body costs the verifier.
#[derive(Clone, Copy)]
struct Cost {
    /// It can run for ever.
    loops: bool,
    statements: usize,
}

impl Cost {
    fn of(body: &mut [Stmt]) -> Cost {
        let mut statements = 0;
        stmts_mut(body, &mut |_| statements += 1);
        Cost { loops: has_loops(body), statements }
    }
}

impl core::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Cost>>(costs: I) -> Cost {
        let both = |a: Cost, b: Cost| Cost { loops: a.loops || b.loops, statements: a.statements + b.statements };
        costs.fold(Cost { loops: false, statements: 0 }, both)
    }
}

/// What a function costs without those it calls.
fn own_cost(program: &mut Program, id: FunctionId) -> Cost {
    let function = &mut program.functions[id];
    let cost = Cost::of(&mut function.handler.body);
    Cost { loops: cost.loops || function.recursive, ..cost }
}

/// Whether there is a loop in statements.
fn has_loops(body: &mut [Stmt]) -> bool {
    let mut found = false;
    stmts_mut(body, &mut |stmt| found |= matches!(stmt.kind, StmtKind::Loop { .. } | StmtKind::Foreach(_)));
    found
}

/// Whether the kernel may begin a program on a CPU while it is at another event there: a task is preempted, or interrupted
/// by packets. Of all others the kernel sees to it, and counts what it leaves out.
fn may_nest(attach: &Attach) -> bool {
    matches!(attach, Attach::Uprobe(_) | Attach::Netfilter(_))
}

/// Frames at the start of a stack that are the tracer's: the program itself and what called it. A third,
/// `__traceiter_*`, is there only when somebody else probes the same tracepoint and is dropped by name when printed.
fn skip_frames(attach: &Attach) -> u32 {
    match attach {
        Attach::Fentry { .. } | Attach::BtfTracepoint { .. } | Attach::RawTracepoint { .. } => 2,
        _ => 0,
    }
}

fn user_handler(program: &Program, number: usize, plan: &Plan, context: &mut FunctionBuilderContext) -> Function {
    let probe = &program.probes[number];
    let mut func = Function::with_name_signature(UserFuncName::testcase(name(number)), code::signature(1));
    let (mut code, params) = code::Code::start(&mut func, context);
    code.at(probe.span);
    let target = User::new(&mut code, params[0], plan.max_string);
    let counting = has_loops(&mut probe.handler.body.clone());
    Lowerer::new(code, target, plan, program, &probe.handler, counting).run(&probe.handler.body);
    func
}

/// The rest of a kernel handler.
fn handed_over(program: &Program, number: usize, plan: &Plan, context: &mut FunctionBuilderContext) -> Function {
    let handoff = &program.handoffs[number];
    let mut func = Function::with_name_signature(UserFuncName::testcase(format!("rest_{number}")), code::signature(1));
    let (mut code, params) = code::Code::start(&mut func, context);
    code.at(program.probes[handoff.probe].span);
    let target = User::new(&mut code, params[0], plan.max_string);
    let counting = has_loops(&mut handoff.handler.body.clone());
    let mut lowerer = Lowerer::new(code, target, plan, program, &handoff.handler, counting);
    lowerer.take_over(&handoff.captures);
    lowerer.run(&handoff.handler.body);
    func
}

fn user_function(program: &Program, id: FunctionId, plan: &Plan, context: &mut FunctionBuilderContext) -> Function {
    let function = &program.functions[id];
    let signature = code::signature(2 + function.params);
    let mut func = Function::with_name_signature(UserFuncName::testcase(format!("function_{id}")), signature);
    let (mut code, params) = code::Code::start(&mut func, context);
    code.at(function.span);
    let target = User::new(&mut code, params[0], plan.max_string);
    let counting = function.recursive || has_loops(&mut function.handler.body.clone());
    let mut lowerer = Lowerer::new(code, target, plan, program, &function.handler, counting);
    lowerer.enter(id, &params[1..]);
    lowerer.run(&function.handler.body);
    func
}

fn kernel_handler(
    program: &Program,
    probe: &Probe,
    plan: &Plan,
    costs: &[Cost],
    (facts, mut own): (KernelFacts, ProgramFacts),
    context: &mut FunctionBuilderContext,
) -> (KernelHandler, Option<crate::image::Map>) {
    let mut func = Function::with_name_signature(UserFuncName::testcase(name(own.probe)), code::signature(1));
    let (mut code, params) = code::Code::start(&mut func, context);
    code.at(probe.span);
    let mut handler = probe.handler.clone();
    let called = reach::callees(&mut handler, program);
    let cost: Cost = called.iter().map(|id| costs[*id]).chain([Cost::of(&mut handler.body)]).sum();
    own.loops_stay = own.may_goto && cost.statements <= FEW;
    let mut target = Kernel::new(plan, facts, own, params[0], plan.maps.len());
    target.enter(&mut code);
    let lowerer = Lowerer::new(code, target, plan, program, &probe.handler, cost.loops);
    let mut target = lowerer.run(&probe.handler.body);
    let callbacks = target.outline(&mut func);
    let scratch = target.scratch();
    let memory = scratch.as_ref().map_or(0, |map| map.value_size);
    let keeps_by_cpu = scratch.is_some() || target.keeps_by_cpu();
    (KernelHandler { probe: own.probe, func, callbacks, memory, keeps_by_cpu }, scratch)
}

fn name(number: usize) -> String {
    format!("probe_{number}")
}
