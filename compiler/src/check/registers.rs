//! What a handler asks of the place it stands at, beside variables: arguments by their number, registers,
//! addresses.

use super::builder::Builder;
use crate::hir::{ArgSource, Arith, Expr, ExprKind, Place, Type};
use crate::image::{Attach, Moment, Rate, When};
use crate::intrinsic::{self, Known, Op};
use crate::probe::{ARGUMENT_REGISTERS, INSTRUCTION_REGISTER, RESULT, Site, register_of};
use crate::syscall::ARGUMENTS as ARGUMENTS_OF_CALLS;
use tapster_lang::ast::{self, Access, Ident, Literal};
use tapster_lang::{Diagnostic, Span};

/// Functions of an argument's number, with the bytes and the sign of what they give.
const ARGUMENTS: &[(&str, u8, bool)] = &[
    ("int_arg", 4, true),
    ("uint_arg", 4, false),
    ("long_arg", 8, true),
    ("ulong_arg", 8, false),
    ("longlong_arg", 8, true),
    ("ulonglong_arg", 8, false),
    ("pointer_arg", 8, false),
    ("s32_arg", 4, true),
    ("u32_arg", 4, false),
    ("s64_arg", 8, true),
    ("u64_arg", 8, false),
];

/// The others, with what they are for.
const OTHERS: &[(&str, usize)] = &[
    ("register", 1),
    ("u_register", 1),
    ("user_mode", 0),
    ("registers_valid", 0),
    ("addr", 0),
    ("probe_type", 0),
    ("asmlinkage", 0),
    ("fastcall", 0),
    ("regparm", 1),
];

/// Names of these functions.
pub fn names<'a>() -> impl Iterator<Item = &'a str> {
    ARGUMENTS.iter().map(|row| row.0).chain(OTHERS.iter().map(|row| row.0))
}

/// Whether a function's meaning depends on where the probe stands.
pub fn is_of_place(name: &str) -> bool {
    names().any(|known| known == name)
        || matches!(
            intrinsic::find(name).map(|intrinsic| intrinsic.op),
            Some(Op::Known(Known::IsReturn | Known::ReturnValue))
        )
}

impl Builder<'_, '_> {
    /// A call of such a function; `None` where it is none.
    pub(super) fn of_place(&mut self, name: &Ident, args: &[ast::Expr], span: Span) -> Option<Option<Expr>> {
        let argument = ARGUMENTS.iter().find(|row| row.0 == name.name && args.len() == 1);
        let other = OTHERS.iter().find(|row| row.0 == name.name && row.1 == args.len());
        if argument.is_none() && other.is_none() {
            let takes = OTHERS.iter().find(|row| row.0 == name.name).map(|row| row.1);
            let takes = takes.or_else(|| ARGUMENTS.iter().any(|row| row.0 == name.name).then_some(1))?;
            return Some(self.refuse(super::build_call::arity(name, takes, args.len())));
        }
        let Some(site) = self.site else {
            return Some(self.refuse(nothing(name, "functions stand at no place: call it in the probe's handler")));
        };
        Some(match argument {
            Some((_, size, signed)) => self.argument_by_number(site, name, &args[0], (*size, *signed), span),
            None => self.other_of_place(site, name, args, span),
        })
    }

    fn argument_by_number(
        &mut self,
        site: &Site,
        name: &Ident,
        number: &ast::Expr,
        (size, signed): (u8, bool),
        span: Span,
    ) -> Option<Expr> {
        let ast::ExprKind::Literal(Literal::Number(number)) = number.kind else {
            return self.refuse(nothing(name, "the number of an argument must be written out"));
        };
        let nth = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        if site.context.of_calls
            && let Some(register) = nth.and_then(|nth| ARGUMENTS_OF_CALLS.get(nth))
        {
            let word = self.expr(&variable(register, span));
            return Some(narrow(word, size, signed));
        }
        let source = nth.and_then(|nth| argument(site, nth));
        let Some(source) = source else {
            return self.refuse(nothing(name, &format!("argument {number} cannot be had at this place")));
        };
        Some(word(source, size, signed, span))
    }

    fn other_of_place(&mut self, site: &Site, name: &Ident, args: &[ast::Expr], span: Span) -> Option<Expr> {
        let has_registers = registers(site).is_some();
        let yes = |is: bool| Some(Expr::long(is.into(), span));
        match name.name.as_str() {
            "user_mode" => yes(matches!(&site.place, Place::Kernel { attach: Attach::Uprobe(_), .. })),
            "registers_valid" => yes(has_registers),
            "probe_type" => Some(Expr::text(mechanism(&site.place).into(), span)),
            "addr" => match &site.place {
                Place::Kernel { attach: Attach::Uprobe(_), .. } => {
                    Some(word(ArgSource::Register(INSTRUCTION_REGISTER), 8, false, span))
                }
                Place::Kernel {
                    attach: Attach::Fentry { .. } | Attach::Kprobe { .. } | Attach::KprobeMulti { .. },
                    ..
                } => {
                    let function = intrinsic::find("__function_address")?;
                    Some(Expr { ty: Type::Long, ..Expr::new(ExprKind::Intrinsic(function, Vec::new()), span) })
                }
                _ => Some(Expr::long(0, span)),
            },
            "register" | "u_register" => self.register(has_registers, name, &args[0], span),
            // Ways in which a compiler passes arguments: here there is one.
            _ => Some(Expr::long(0, span)),
        }
    }

    fn register(&mut self, has_registers: bool, name: &Ident, which: &ast::Expr, span: Span) -> Option<Expr> {
        let ast::ExprKind::Literal(Literal::String(text)) = &which.kind else {
            return self.refuse(nothing(name, "the register's name must be written out"));
        };
        let text = String::from_utf8_lossy(text);
        let found = register_of(&text).filter(|_| has_registers);
        let Some((offset, size, shift)) = found else {
            return self.refuse(nothing(name, &format!("there is no register {text} at this place")));
        };
        let signed = name.name == "register";
        let value = word(ArgSource::Register(offset), size + shift / 8, signed, span);
        if shift == 0 {
            return Some(value);
        }
        let down = Expr::long(shift.into(), span);
        let kind = ExprKind::Arith(Arith::Shr, Box::new(value), Box::new(down));
        Some(Expr { ty: Type::Long, ..Expr::new(kind, span) })
    }
}

/// What SystemTap calls the mechanism behind a place (function::probe_type(3stap)).
fn mechanism(place: &Place) -> &'static str {
    let at = |moment: Moment, entry, on_return| if moment == Moment::Entry { entry } else { on_return };
    match place {
        Place::Never | Place::User(When::Begin(_) | When::End(_) | When::Error(_)) => "begin_end",
        Place::User(When::Timer { .. }) => "hrtimer",
        Place::User(When::Served(_) | When::Handoff) => "procfs",
        Place::User(When::Key | When::Line) => "input",
        Place::Kernel { attach, .. } => match attach {
            Attach::Fentry { moment, .. } | Attach::Kprobe { moment, .. } | Attach::KprobeMulti { moment, .. } => {
                at(*moment, "kprobe", "kretprobe")
            }
            Attach::Uprobe(uprobes) if uprobes.on_return => "uretprobe",
            Attach::Uprobe(_) => "uprobe",
            Attach::BtfTracepoint { .. } | Attach::RawTracepoint { .. } => "kernel_tracepoint",
            Attach::Perf(event) if event.rate == Rate::Tick => "profile_timer",
            Attach::Perf(_) => "perf_event",
            Attach::Breakpoint { .. } => "hardware_data_breakpoint",
            Attach::Netfilter(_) => "netfilter",
        },
    }
}

/// Whether a place has registers, and which moment's.
fn registers(site: &Site) -> Option<Moment> {
    match &site.place {
        Place::Kernel { attach: Attach::Kprobe { moment, .. } | Attach::KprobeMulti { moment, .. }, .. } => {
            Some(*moment)
        }
        Place::Kernel { attach: Attach::Uprobe(uprobes), .. } => {
            Some(if uprobes.on_return { Moment::Return } else { Moment::Entry })
        }
        _ => None,
    }
}

fn argument(site: &Site, nth: usize) -> Option<ArgSource> {
    match registers(site) {
        Some(Moment::Entry) => ARGUMENT_REGISTERS.get(nth).map(|offset| ArgSource::Register(*offset)),
        Some(Moment::Return) => None,
        None => {
            let mut args = site.context.args.iter().filter(|arg| arg.name != RESULT);
            args.nth(nth).map(|arg| arg.source.clone())
        }
    }
}

/// An expression like `$regs->di` or `$regs->regs[1]`.
fn variable(text: &str, span: Span) -> ast::Expr {
    let ident = |name: &str| Ident { name: name.into(), span };
    let mut path = Vec::new();
    let mut parts = text.split("->");
    let name = ident(parts.next().unwrap_or_default());
    for part in parts {
        let (member, index) = part.trim_end_matches(']').split_once('[').unwrap_or((part, ""));
        path.push(Access::Member(ident(member)));
        path.extend(index.parse().ok().map(|index| {
            Access::Index(ast::Expr { kind: ast::ExprKind::Literal(Literal::Number(index)), span, at: span })
        }));
    }
    ast::Expr { kind: ast::ExprKind::Target(name, path), span, at: span }
}

/// The lower bytes of a word.
fn narrow(word: Expr, size: u8, signed: bool) -> Expr {
    let span = word.span;
    let shift = |op, value| {
        let by = Box::new(Expr::long(64 - 8 * i64::from(size), span));
        Expr { ty: Type::Long, ..Expr::new(ExprKind::Arith(op, Box::new(value), by), span) }
    };
    match (size, signed) {
        (8, _) => word,
        (_, true) => shift(Arith::Shr, shift(Arith::Shl, word)),
        (_, false) => {
            let mask = Box::new(Expr::long((1 << (8 * i64::from(size))) - 1, span));
            Expr { ty: Type::Long, ..Expr::new(ExprKind::Arith(Arith::And, Box::new(word), mask), span) }
        }
    }
}

fn word(source: ArgSource, size: u8, signed: bool, span: Span) -> Expr {
    let kind = ExprKind::Arg { source, size, signed, typed: false };
    Expr { ty: Type::Long, ..Expr::new(kind, span) }
}

fn nothing(name: &Ident, why: &str) -> Diagnostic {
    Diagnostic::error("target::no-register", format!("{}() cannot be had here", name.name)).label(name.span, why)
}
