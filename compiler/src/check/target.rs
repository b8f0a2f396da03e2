//! `$name->member[i]`: a path from a probe's argument through the kernel's types.

mod at_return;
mod context;
mod named;
mod pretty;

use super::builder::Builder;
use crate::hir::{ArgSource, Arith, Expr, ExprKind, Load, Type};
use crate::intrinsic::Memory;
use crate::kernel::btf::{Btf, FOREIGN, Kind, Member, TypeId};
use crate::kernel::renames::{PARAMS, matches};
use crate::probe::{Arg, best_source, is_record, unsupported};
use crate::suggest::{did_you_mean, nearest};
use tapster_lang::ast::{self, Access, Ident, Literal};
use tapster_lang::{Diagnostic, Span};

/// The code of a member that is asked of a value of which nobody knows what it points to.
pub const UNKNOWN_TYPE: &str = "target::unknown-type";

/// Members that a message lists.
const LISTED: usize = 20;

/// A place on the way: an address or a value, and the type of what is there.
struct Step {
    value: Expr,
    /// Type of the value, or of what lies at the address.
    ty: TypeId,
    /// The value is the address of something of that type, not the thing itself.
    is_address: bool,
    /// The verifier follows: plain loads are allowed from here.
    typed: bool,
}

impl Builder<'_, '_> {
    /// Resolves a target variable with what follows it.
    pub(super) fn target_variable(&mut self, name: &Ident, path: &[Access], span: Span) -> Option<Expr> {
        let (shown, pretty) = split_pretty(path);
        if name.name.starts_with("$$") {
            return self.context_text(name, pretty, span);
        }
        if self.is_gone(name, path) {
            return self.gone(name, path, span);
        }
        let step = self.variable_step(name, shown, span)?;
        self.shown(step, pretty, span)
    }

    /// `p->member`: a path from a value that brings its type along.
    pub(super) fn deref(&mut self, value: &ast::Expr, path: &[Access], span: Span, at: Span) -> Option<Expr> {
        let (path, pretty) = split_pretty(path);
        let step = self.deref_step(value, path, span, at)?;
        self.shown(step, pretty, span)
    }

    /// What a script gets of a step: its value, or its text.
    fn shown(&mut self, step: Step, pretty: Option<bool>, span: Span) -> Option<Expr> {
        let btf = self.btf?;
        match pretty {
            Some(deep) => self.pretty(btf, step, deep, span),
            None => self.value(btf, step, span),
        }
    }

    fn deref_step(&mut self, value: &ast::Expr, path: &[Access], span: Span, at: Span) -> Option<Step> {
        let value = self.try_expr(value)?;
        match value.pointee {
            None | Some(0) => self.refuse(
                Diagnostic::error(UNKNOWN_TYPE, "unknown type in dereference")
                    .label(at, "nothing says what this points to")
                    .help("say it: @cast(value, \"task_struct\")->member"),
            ),
            Some(ty) => self.follow_pointer(value, ty, path, span),
        }
    }

    /// `&$name->member`, `&@cast(…)->member`: where it lies.
    pub(super) fn address_of(&mut self, e: &ast::Expr, span: Span) -> Option<Expr> {
        if let ast::ExprKind::Target(name, path) = &e.kind
            && self.is_gone(name, path)
        {
            return self.at_entry(span, |builder| builder.address_of(e, span));
        }
        let step = match &e.kind {
            ast::ExprKind::Deref(value, path) => self.deref_step(value, path, e.span, e.at)?,
            ast::ExprKind::Target(name, path) => self.variable_step(name, path, e.span)?,
            ast::ExprKind::Cast { value, ty, module, path } => {
                self.cast_step(value, ty, module.as_ref(), path, e.span)?
            }
            ast::ExprKind::GlobalVar { name, module, path } => self.global_step(name, module.as_ref(), path, e.span)?,
            _ => return self.refuse(unsupported("addresses of this", e.span)),
        };
        if !step.is_address {
            let message = match &step.value.kind {
                ExprKind::Load(_) => "cannot take the address of a bit field",
                _ => "cannot take address of object in register",
            };
            return self
                .refuse(Diagnostic::error("target::no-address", message).label(e.span, "lies in no byte of memory"));
        }
        Some(Expr { pointee: Some(step.ty), ..address(step.value, span) })
    }

    /// Goes along a path from a pointer to this type.
    fn follow_pointer(&mut self, value: Expr, ty: TypeId, path: &[Access], span: Span) -> Option<Step> {
        match path {
            // It can be indexed before anything follows.
            [Access::Index(index), rest @ ..] => {
                let step = self.element_at(value, ty, index, span)?;
                self.follow(step, rest, span)
            }
            path => self.follow(Step { value, ty, is_address: true, typed: false }, path, span),
        }
    }

    fn variable_step(&mut self, name: &Ident, path: &[Access], span: Span) -> Option<Step> {
        let arg = self.find_arg(name)?;
        let step = self.arg_step(self.btf?, &arg, name.span);
        self.follow(step, path, span)
    }

    /// An argument of the probe itself.
    fn arg_step(&self, btf: &Btf, arg: &Arg, span: Span) -> Step {
        let (size, signed) = scalar(btf, arg.ty).unwrap_or((8, false));
        let source = best_source(btf, arg);
        // Of what a helper copies, and of addresses of anything but structures, the verifier knows nothing.
        let known = btf.pointee(arg.ty).is_some_and(|to| is_record(btf, to));
        let typed = arg.typed && known && !matches!(source, ArgSource::CopiedWord(_));
        let (kind, is_address) = match source {
            ArgSource::Value(computed) => (computed.0.kind, false),
            ArgSource::Memory(computed) => (computed.0.kind, true),
            source => (ExprKind::Arg { source, size, signed, typed }, false),
        };
        let value = Expr { kind, ty: Type::Long, span, at: span, pointee: btf.pointee(arg.ty) };
        Step { value, ty: arg.ty, is_address, typed }
    }

    /// Goes along a path.
    fn follow(&mut self, mut step: Step, path: &[Access], span: Span) -> Option<Step> {
        let btf = self.btf?;
        for access in path {
            step = match access {
                Access::Member(member) => self.member(btf, step, member, span)?,
                Access::Index(index) => self.index(btf, step, index, span)?,
                Access::Pretty { span, .. } => {
                    let message = "cannot take address of pretty-printed variable";
                    return self.refuse(Diagnostic::error("target::no-address", message).label(*span, "a text"));
                }
            };
        }
        Some(step)
    }

    fn find_arg(&mut self, name: &Ident) -> Option<Arg> {
        let wanted = name.name.trim_start_matches('$');
        let site = self.site?;
        let context = &site.context;
        let named = |wanted: &str| context.args.iter().find(|arg| arg.name == wanted).cloned();
        if let Some(arg) = named(wanted) {
            return Some(arg);
        }
        let rows = PARAMS.iter().filter(|row| row.asked == wanted && matches(row.function, &context.name));
        if let Some((row, arg)) = rows.filter_map(|row| named(row.actual).map(|arg| (row, arg))).next() {
            let line = format!("${wanted} of {} is ${} on this kernel ({})", row.function, row.actual, row.source);
            if !self.notes.contains(&line) {
                self.notes.push(line);
            }
            return Some(arg);
        }
        self.no_variable(name, wanted)
    }

    /// A variable that the probe does not have.
    fn no_variable<T>(&mut self, name: &Ident, wanted: &str) -> Option<T> {
        let context = &self.site?.context;
        let names: Vec<&str> = context.args.iter().map(|arg| arg.name.as_str()).filter(|n| !n.is_empty()).collect();
        let at = if context.name.is_empty() { "this probe".to_owned() } else { format!("`{}`", context.name) };
        let label = format!("not a variable of {at}");
        if names.is_empty() {
            let error = Diagnostic::error("target::no-variable", "unresolved target-symbol expression");
            let help = context.lack.clone().unwrap_or_else(|| format!("{at} has no variables"));
            return self.refuse(error.label(name.span, label).help(help));
        }
        let listed = names.iter().map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let message = format!("unable to find local '{wanted}' (alternatives: {listed})");
        let help = did_you_mean(wanted, names).unwrap_or_else(|| format!("{at} has {listed}"));
        self.refuse(Diagnostic::error("target::no-variable", message).label(name.span, label).help(help))
    }

    /// `->name`: from a structure or a pointer to one.
    fn member(&mut self, btf: &Btf, step: Step, name: &Ident, span: Span) -> Option<Step> {
        let access = format!("->{}", name.name);
        let refuse = |message: String| {
            Diagnostic::error("target::no-structure", message).label(name.span, "not a member of anything known")
        };
        let is_record = |id| btf.strip(id).is_some_and(|(_, ty)| matches!(ty.kind(), Kind::Struct | Kind::Union));
        let step = match btf.strip(step.ty)?.1.kind() {
            Kind::Struct | Kind::Union if step.is_address => step,
            Kind::Ptr => self.through_pointer(btf, step, span)?,
            Kind::Array => return self.refuse(refuse(format!("invalid access '{access}' for array type"))),
            _ => return self.refuse(refuse(invalid_access(btf, &access, step.ty))),
        };
        let (id, record) = btf.strip(step.ty)?;
        if !is_record(id) {
            let message = match record.kind() {
                Kind::Fwd => format!("unresolved {}", btf.type_name(id)),
                _ => format!("invalid access '{access}' vs '{}*'", btf.type_name(id)),
            };
            return self.refuse(refuse(message));
        }
        let Some(member) = record.member(&name.name) else {
            return self.refuse(no_member(btf, step.ty, name));
        };
        let field = format!("{}.{}", record.name(), name.name);
        self.step_to(btf, step, member, field, span)
    }

    /// From a pointer to what it points to: afterwards the step is an address.
    fn through_pointer(&mut self, btf: &Btf, step: Step, span: Span) -> Option<Step> {
        let target = btf.strip(step.ty)?.1.target();
        let value = if step.is_address { load(&step, 8, false, None, span) } else { step.value };
        let kind = btf.strip(target).map(|(_, t)| t.kind());
        let typed = step.typed && matches!(kind, Some(Kind::Struct | Kind::Union));
        Some(Step { value, ty: target, is_address: true, typed })
    }

    fn step_to(&mut self, btf: &Btf, step: Step, member: Member, field: String, span: Span) -> Option<Step> {
        if member.bits > 0 {
            return self.bit_field(btf, step, member, field, span);
        }
        let Step { value, typed, .. } = step;
        let value = at_offset(value, member.bit_offset / 8, field, span);
        Some(Step { value, ty: member.ty, is_address: true, typed })
    }

    /// A bit field: the whole word around it is read, then cut out.
    fn bit_field(&mut self, btf: &Btf, step: Step, member: Member, field: String, span: Span) -> Option<Step> {
        let (size, signed) = scalar(btf, member.ty)?;
        let word = u32::from(size) * 8;
        let start = member.bit_offset / word * word;
        let inside = member.bit_offset - start;
        if inside + member.bits > word {
            return self.refuse(unsupported("bit fields across words", span));
        }
        let at = Step { value: at_offset(step.value, start / 8, field, span), ..step };
        let bits = Some((inside as u8, member.bits as u8));
        let value = load(&at, size, signed, bits, span);
        Some(Step { value, ty: member.ty, is_address: false, typed: false })
    }

    /// `[i]`: an element of an array or behind a pointer.
    fn index(&mut self, btf: &Btf, step: Step, index: &ast::Expr, span: Span) -> Option<Step> {
        let (id, ty) = btf.strip(step.ty)?;
        match ty.kind() {
            Kind::Array if step.is_address => {
                let (element, length) = ty.element();
                // The verifier follows into arrays at places that it knows.
                let known =
                    matches!(index.kind, ast::ExprKind::Literal(Literal::Number(n)) if n >= 0 && n < i64::from(length));
                let typed = step.typed && known;
                Some(Step { typed, ..self.element_at(step.value, element, index, span)? })
            }
            Kind::Ptr => {
                let step = self.through_pointer(btf, step, span)?;
                self.element_at(step.value, step.ty, index, span)
            }
            kind => {
                let access = index_text(index);
                let message = match kind {
                    Kind::Struct | Kind::Union => format!("invalid access '{access}' for {}", btf.type_name(id)),
                    _ => invalid_access(btf, &access, id),
                };
                self.refuse(Diagnostic::error("target::no-array", message).label(index.span, "cannot be indexed"))
            }
        }
    }

    /// The element with an index behind an address.
    fn element_at(&mut self, base: Expr, element: TypeId, index: &ast::Expr, span: Span) -> Option<Step> {
        let btf = self.btf?;
        let Some(size) = bytes(btf, element) else {
            let message = format!("invalid access '{}' vs '{}*'", index_text(index), btf.type_name(element));
            let error = Diagnostic::error("target::no-array", message);
            return self.refuse(error.label(index.span, "elements of no known size"));
        };
        let index = self.expr(index);
        let value = match index.kind {
            ExprKind::Long(nth) if (0..i64::from(u32::MAX)).contains(&nth) => {
                let offset = nth.checked_mul(i64::from(size)).and_then(|offset| u32::try_from(offset).ok());
                offset.map(|offset| at_offset(base.clone(), offset, String::new(), span))
            }
            _ => None,
        };
        let value = value.unwrap_or_else(|| {
            let scaled = binary(Arith::Mul, index, Expr::long(i64::from(size), span), span);
            binary(Arith::Add, address(base, span), scaled, span)
        });
        Some(Step { value, ty: element, is_address: true, typed: false })
    }

    /// What a script gets: numbers and pointers by value, structures and arrays by address.
    fn value(&mut self, btf: &Btf, step: Step, span: Span) -> Option<Expr> {
        if !step.is_address {
            return Some(Expr { span, ..step.value });
        }
        match scalar(btf, step.ty) {
            Some((size, signed)) => {
                let pointee = btf.pointee(step.ty);
                Some(Expr { pointee, ..load(&step, size, signed, None, span) })
            }
            None => Some(Expr { pointee: Some(step.ty), ..address(step.value, span) }),
        }
    }
}

/// A path without the mark at its end; with one, whether it is `$$`.
fn split_pretty(path: &[Access]) -> (&[Access], Option<bool>) {
    match path {
        [path @ .., Access::Pretty { deep, .. }] => (path, Some(*deep)),
        path => (path, None),
    }
}

/// Reads a number at the step's address.
fn load(step: &Step, size: u8, signed: bool, bits: Option<(u8, u8)>, span: Span) -> Expr {
    let (base, offset, field) = split_offset(&step.value);
    let memory = memory_of(step.ty);
    let load = Load { memory, base: Box::new(base), offset, size, signed, bits, direct: step.typed, field };
    Expr { kind: ExprKind::Load(load), ty: Type::Long, span, at: span, pointee: None }
}

/// Whose memory a type lies in.
fn memory_of(ty: TypeId) -> Memory {
    if ty < FOREIGN { Memory::Kernel } else { Memory::User }
}

/// An address with bytes added. Offsets gather in a [`Load`] of size 0, which never leaves this file: what follows
/// either reads there or asks for the sum.
fn at_offset(value: Expr, offset: u32, field: String, span: Span) -> Expr {
    let (base, before, _) = split_offset(&value);
    let load = Load {
        memory: Memory::Kernel,
        base: Box::new(base),
        offset: before.wrapping_add(offset),
        size: 0,
        signed: false,
        bits: None,
        direct: false,
        field,
    };
    Expr { kind: ExprKind::Load(load), ty: Type::Long, span, at: span, pointee: None }
}

fn split_offset(value: &Expr) -> (Expr, u32, String) {
    match &value.kind {
        ExprKind::Load(load) if load.size == 0 => ((*load.base).clone(), load.offset, load.field.clone()),
        _ => (value.clone(), 0, String::new()),
    }
}

fn address(value: Expr, span: Span) -> Expr {
    let (base, offset, _) = split_offset(&value);
    binary(Arith::Add, base, Expr::long(i64::from(offset), span), span)
}

fn binary(op: Arith, a: Expr, b: Expr, span: Span) -> Expr {
    let kind = ExprKind::Arith(op, Box::new(a), Box::new(b));
    Expr { kind, ty: Type::Long, span, at: span, pointee: None }
}

/// Size and sign of what is read as a number.
fn scalar(btf: &Btf, ty: TypeId) -> Option<(u8, bool)> {
    let (_, ty) = btf.strip(ty)?;
    match ty.kind() {
        Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Ptr => match ty.size()? {
            size @ (1 | 2 | 4 | 8) => Some((size as u8, ty.is_signed())),
            _ => None,
        },
        _ => None,
    }
}

/// Bytes of a value; none where a type has no size.
fn bytes(btf: &Btf, ty: TypeId) -> Option<u32> {
    let mut length: u32 = 1;
    let mut ty = ty;
    // No compiler nests arrays deeper.
    for _ in 0..32 {
        match btf.strip(ty)?.1 {
            array if array.kind() == Kind::Array => {
                length = length.checked_mul(array.element().1)?;
                ty = array.element().0;
            }
            other => return other.size()?.checked_mul(length),
        }
    }
    None
}

/// Nothing writes what a probe stopped at.
pub fn read_only(e: &ast::Expr, guru: bool) -> Diagnostic {
    let message = match guru {
        false => "write to target variable not permitted; need stap -g",
        true => "write to target variable cannot be done in eBPF",
    };
    let error = Diagnostic::error("check::read-only", message);
    match &e.kind {
        // SystemTap's name for what becomes of a packet.
        ast::ExprKind::Target(name, _) if name.name.trim_start_matches('$') == "verdict" => {
            error.label(e.span, "handlers give no verdicts").help(
                "they look on, and every packet goes its way: drop packets with nft(8), and count here what it leaves",
            )
        }
        _ => error
            .label(e.span, "the kernel's memory and registers are read only")
            .help("-g does not change that: eBPF programs cannot write what they trace"),
    }
}

/// An access that a type does not have.
fn invalid_access(btf: &Btf, access: &str, ty: TypeId) -> String {
    let name = match btf.strip(ty) {
        Some((_, ty)) if matches!(ty.kind(), Kind::Enum | Kind::Enum64) && ty.name().is_empty() => {
            "enum {...}".to_owned()
        }
        Some((id, _)) => btf.type_name(id),
        None => "?".to_owned(),
    };
    format!("invalid access '{access}' vs. {name}")
}

/// An index as messages show it.
fn index_text(index: &ast::Expr) -> String {
    match &index.kind {
        ast::ExprKind::Literal(Literal::Number(number)) => format!("[{number}]"),
        _ => "[...]".to_owned(),
    }
}

fn no_member(btf: &Btf, ty: TypeId, name: &Ident) -> Diagnostic {
    let members: Vec<&str> = btf.strip(ty).map(|(_, record)| record.member_names()).unwrap_or_default();
    // The nearest ones first: some structures have hundreds.
    let near = nearest(&name.name, members.iter().copied());
    let others = members.iter().copied().filter(|member| !near.contains(member));
    let listed = near.iter().copied().chain(others).take(LISTED).collect::<Vec<_>>().join(", ");
    let more = if members.len() > LISTED { ", ..." } else { "" };
    let ty = btf.strip(ty).map_or_else(String::new, |(id, _)| btf.type_name(id));
    let message = format!("unable to find member '{}' for {ty} (alternatives: {listed}{more})", name.name);
    let error = Diagnostic::error("target::no-member", message).label(name.span, format!("not a member of {ty}"));
    match did_you_mean(&name.name, members) {
        Some(help) => error.help(help),
        None => error,
    }
}
