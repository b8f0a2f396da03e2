//! `.begin`, `.end`, `.thread.begin`, `.thread.end`, `.syscall` and `.syscall.return`: what processes do, from the
//! kernel's tracepoints.

use super::types;
use super::value::Value;
use super::who::{Who, both, is, not, own, walk};
use crate::hir::{Expr, Place};
use crate::image::{Attach, Moment};
use crate::kernel::btf::{Btf, Kind};
use crate::probe::site::{Arg, Context, Once, Resolver, Site, Sites, mismatch, no_more};
use crate::probe::tracepoint;
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};

/// System calls that return in a new task, with 0.
#[cfg(target_arch = "x86_64")]
const FORKS: &[i64] = &[56, 57, 58, 435];
/// See above.
#[cfg(target_arch = "aarch64")]
const FORKS: &[i64] = &[220, 435];

/// The member of `struct pt_regs` with a system call's number, and those with its arguments.
#[cfg(target_arch = "x86_64")]
const CALL: (&str, [&str; 6]) = ("orig_ax", ["di", "si", "dx", "r10", "r8", "r9"]);
/// See above; arguments are the first registers, the first of which is kept apart as the result takes its place.
#[cfg(target_arch = "aarch64")]
const CALL: (&str, [&str; 6]) = ("syscallno", ["orig_x0", "", "", "", "", ""]);

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Begin,
    End,
    ThreadBegin,
    ThreadEnd,
    Call,
    Return,
}

/// Whether a part of a point is one of these.
pub fn is_verb(name: &str) -> bool {
    matches!(name, "begin" | "end" | "thread" | "syscall")
}

/// From the second part on.
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let (event, suffix) = event(point)?;
    let at = point.components[1].name.span;
    let btf = resolver.btf(at)?;
    let who = Who::read(&point.components[0], resolver)?;
    let meant = who.condition(resolver, at)?;
    let shown = format!("{}{suffix}", who.shown());
    let places = places(event, btf, resolver.target.own_pid, at)?;
    let is_group = is_leader();
    let process = if event == Event::Begin { Some(process(btf, at)?) } else { None };
    let sites = places.into_iter().map(|place| {
        let kind = match event {
            Event::End => Some(is_group.clone()),
            Event::ThreadBegin | Event::ThreadEnd => Some(not(is_group.clone())),
            Event::Begin | Event::Call | Event::Return => None,
        };
        let once = process.clone().map(|key| Once { key, anew: place.anew });
        let guard = [kind, place.guard, meant.clone()].into_iter().flatten().reduce(both);
        let context =
            Context { name: suffix.into(), args: arguments(event, btf, resolver), guard, once, ..Context::default() };
        let place = Place::Kernel { attach: place.attach, why: Vec::new() };
        Site { point: shown.clone(), place, context, lenient: false }
    });
    Ok(sites.collect())
}

fn event(point: &ProbePoint) -> Result<(Event, &'static str), Diagnostic> {
    let word = |nth: usize| point.components.get(nth).map(|part| part.name.name.as_str());
    let (event, suffix, parts) = match (word(1), word(2)) {
        (Some("begin"), _) => (Event::Begin, ".begin", 2),
        (Some("end"), _) => (Event::End, ".end", 2),
        (Some("thread"), Some("begin")) => (Event::ThreadBegin, ".thread.begin", 3),
        (Some("thread"), Some("end")) => (Event::ThreadEnd, ".thread.end", 3),
        (Some("thread"), _) => return Err(mismatch(point, 2, ["begin", "end"])),
        (_, Some("return")) => (Event::Return, ".syscall.return", 3),
        (_, None) => (Event::Call, ".syscall", 2),
        _ => return Err(mismatch(point, 2, ["return"])),
    };
    no_more(point, parts)?;
    Ok((event, suffix))
}

/// A place where such events are seen, among others.
struct Seen {
    attach: Attach,
    guard: Option<Expr>,
    /// A process that is seen here begins.
    anew: bool,
}

fn places(event: Event, btf: &Btf, own_pid: i64, at: Span) -> Result<Vec<Seen>, Diagnostic> {
    let find = |name: &str| {
        tracepoint::find(btf, name).ok_or_else(|| {
            Diagnostic::error("probe::no-match", format!("no tracepoint `{name}` in this kernel")).label(at, "needs it")
        })
    };
    let all = |attach| Seen { attach, guard: None, anew: true };
    // A new task's first step is to return from the call that made it.
    let forked = || {
        let numbers = FORKS.iter().map(|number| is(call_number(btf), *number));
        let is_fork = numbers.reduce(either);
        let child = is(Value::word(1).expr(), 0);
        Ok(Seen { attach: find("sys_exit")?.attach(), guard: is_fork.map(|is_fork| both(child, is_fork)), anew: true })
    };
    match event {
        // Processes that run already, and those that forked, are seen as they return from their next system call.
        Event::Begin => {
            // The process of -c is our child and begins as it becomes its program.
            let parent = walk(btf, &[("task_struct", "real_parent"), ("task_struct", "tgid")], 4, at)?;
            let guard = Some(not(is(parent, own_pid)));
            let at_work = Seen { attach: find("sys_exit")?.attach(), guard, anew: false };
            Ok(vec![all(find("sched_process_exec")?.attach()), at_work])
        }
        Event::ThreadBegin => Ok(vec![forked()?]),
        Event::Call => Ok(vec![all(find("sys_enter")?.attach())]),
        Event::Return => Ok(vec![all(find("sys_exit")?.attach())]),
        Event::End | Event::ThreadEnd => {
            let exit = find("sched_process_exit")?;
            // Before Linux 6.15, which tells whether the group is dead, memory was given up before this tracepoint, and
            // with it the program: a probe of the function stands before that.
            let has_memory = exit.args.iter().any(|arg| arg.name == "group_dead");
            let function = Attach::Kprobe { functions: vec!["do_exit".into()], moment: Moment::Entry };
            Ok(vec![all(if has_memory { exit.attach() } else { function })])
        }
    }
}

/// Which process it is: numbers are given again, but not at the same time.
fn process(btf: &Btf, at: Span) -> Result<Vec<Expr>, Diagnostic> {
    let begun = [("task_struct", "group_leader"), ("task_struct", "start_time")];
    Ok(vec![own("pid"), walk(btf, &begun, 8, at)?])
}

/// Whether the current task is its process's first.
fn is_leader() -> Expr {
    use crate::hir::{Compare, ExprKind, Type};
    let kind = ExprKind::Compare(Compare::Eq, Box::new(own("pid")), Box::new(own("tid")));
    Expr { ty: Type::Long, ..Expr::new(kind, Span::NONE) }
}

fn either(left: Expr, right: Expr) -> Expr {
    use crate::hir::{ExprKind, Type};
    Expr { ty: Type::Long, ..Expr::new(ExprKind::Or(Box::new(left), Box::new(right)), Span::NONE) }
}

/// The number of the system call, from the registers that its tracepoints have.
fn call_number(btf: &Btf) -> Expr {
    saved(btf, CALL.0).unwrap_or_else(|| Value::constant(-1)).expr()
}

/// A register that was saved as the system call began.
fn saved(btf: &Btf, member: &str) -> Option<Value> {
    let registers = btf.get(btf.find(Kind::Struct, "pt_regs")?)?;
    let member = registers.member(member)?;
    let size = btf.strip(member.ty)?.1.size()?;
    Some(Value::word(0).member(member.bit_offset / 8, size as u8))
}

/// `$syscall`, `$arg1` to `$arg6`, `$return`.
fn arguments(event: Event, btf: &Btf, resolver: &Resolver) -> Vec<Arg> {
    if !matches!(event, Event::Call | Event::Return) {
        return Vec::new();
    }
    let ty = types::long(resolver);
    let arg = |name: String, value: Value| Arg { name, ty, source: value.source(), typed: false, words: 1 };
    let number = saved(btf, CALL.0).map(|number| arg("syscall".into(), number));
    let values = CALL.1.iter().zip(0..).map(|(member, nth)| match *member {
        // An array of registers, one after the other.
        "" => Some(Value::word(0).member(8 * nth, 8)),
        member => saved(btf, member),
    });
    let values = values.zip(1..).filter_map(|(value, nth)| Some(arg(format!("arg{nth}"), value?)));
    let result = (event == Event::Return).then(|| arg("return".into(), Value::word(1)));
    number.into_iter().chain(values).chain(result).collect()
}
