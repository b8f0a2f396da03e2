//! `$name->member[i]`: a path from a probe's argument through the kernel's types.

use super::builder::Builder;
use crate::hir::{Arith, Expr, ExprKind, Load, Type};
use crate::kernel::btf::{Btf, Kind, Member, TypeId};
use crate::kernel::renames::{PARAMS, matches};
use crate::probe::{Arg, unsupported};
use crate::suggest::did_you_mean;
use tapster_lang::ast::{self, Access, Ident};
use tapster_lang::{Diagnostic, Span};

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
        let btf = self.btf;
        let step = self.variable_step(name, path, span)?;
        self.value(btf?, step, span)
    }

    /// `@cast(e, "type")->member`: a path from any address.
    pub(super) fn cast(
        &mut self,
        value: &ast::Expr,
        ty: &(Vec<u8>, Span),
        module: Option<&(Vec<u8>, Span)>,
        path: &[Access],
        span: Span,
    ) -> Option<Expr> {
        let btf = self.btf;
        let step = self.cast_step(value, ty, module, path, span)?;
        self.value(btf?, step, span)
    }

    /// `&$name->member`, `&@cast(…)->member`: where it lies.
    pub(super) fn address_of(&mut self, e: &ast::Expr, span: Span) -> Option<Expr> {
        let step = match &e.kind {
            ast::ExprKind::Target(name, path) => self.variable_step(name, path, e.span)?,
            ast::ExprKind::Cast { value, ty, module, path } => {
                self.cast_step(value, ty, module.as_ref(), path, e.span)?
            }
            _ => return self.refuse(unsupported("addresses of this", e.span)),
        };
        if !step.is_address {
            return self.refuse(
                Diagnostic::error("target::no-address", "cannot take the address of a value")
                    .label(e.span, "lies in a register, not in memory"),
            );
        }
        Some(Expr { pointee: Some(step.ty), ..address(step.value, span) })
    }

    fn cast_step(
        &mut self,
        value: &ast::Expr,
        (name, _): &(Vec<u8>, Span),
        module: Option<&(Vec<u8>, Span)>,
        path: &[Access],
        span: Span,
    ) -> Option<Step> {
        if let Some((module, at)) = module
            && !module.split(|byte| *byte == b':').any(|one| one == b"kernel" || one.starts_with(b"kernel<"))
        {
            return self.refuse(unsupported("types of other modules than the kernel", *at));
        }
        let name = String::from_utf8_lossy(name);
        let found = self.btf.and_then(|btf| named_type(btf, &name));
        let Some(ty) = found else {
            return self.refuse(
                Diagnostic::error("target::no-type", format!("type definition '{name}' not found in ''"))
                    .label(span, format!("`{name}` is not a type of this kernel's BTF")),
            );
        };
        let step = Step { value: self.expr(value), ty, is_address: true, typed: false };
        // The value is a pointer, which can be indexed before anything follows.
        match path {
            [Access::Index(index), rest @ ..] => {
                let step = self.element_at(step.value, ty, index, span)?;
                self.follow(step, rest, span)
            }
            path => self.follow(step, path, span),
        }
    }

    fn variable_step(&mut self, name: &Ident, path: &[Access], span: Span) -> Option<Step> {
        if let Some(text) = self.site.and_then(|site| site.context.text(&name.name)) {
            let value = Expr { ty: Type::String, ..Expr::new(ExprKind::Text(text.into()), name.span) };
            return Some(Step { value, ty: 0, is_address: false, typed: false });
        }
        if name.name.starts_with("$$") {
            return self.refuse(unsupported("`$$vars`, `$$parms` and their kind", name.span));
        }
        let arg = self.find_arg(name)?;
        let btf = self.btf?;
        let (size, signed) = scalar(btf, arg.ty).unwrap_or((8, false));
        let typed = arg.typed && btf.pointee(arg.ty).is_some();
        let kind = ExprKind::Arg { source: arg.source, size, signed, typed };
        let value = Expr { kind, ty: Type::Long, span: name.span, at: name.span, pointee: btf.pointee(arg.ty) };
        self.follow(Step { value, ty: arg.ty, is_address: false, typed }, path, span)
    }

    /// Goes along a path.
    fn follow(&mut self, mut step: Step, path: &[Access], span: Span) -> Option<Step> {
        let btf = self.btf?;
        for access in path {
            step = match access {
                Access::Member(member) => self.member(btf, step, member, span)?,
                Access::Index(index) => self.index(btf, step, index, span)?,
                Access::Pretty { span, .. } => return self.refuse(unsupported("pretty-printed variables", *span)),
            };
        }
        Some(step)
    }

    fn find_arg(&mut self, name: &Ident) -> Option<Arg> {
        let wanted = name.name.trim_start_matches('$');
        let Some(site) = self.site else {
            return self.refuse(unsupported("`$variables` in functions", name.span));
        };
        let context = &site.context;
        let named = |wanted: &str| context.args.iter().find(|arg| arg.name == wanted).cloned();
        if let Some(arg) = named(wanted) {
            return Some(arg);
        }
        if let Some(entry) = &context.entry
            && entry.context.args.iter().any(|arg| arg.name == wanted)
        {
            return self.refuse(unsupported("parameters at the return of a function", name.span));
        }
        let rows = PARAMS.iter().filter(|row| row.asked == wanted && matches(row.function, &context.name));
        if let Some((row, arg)) = rows.filter_map(|row| named(row.actual).map(|arg| (row, arg))).next() {
            let line = format!("${wanted} of {} is ${} on this kernel ({})", row.function, row.actual, row.source);
            if !self.notes.contains(&line) {
                self.notes.push(line);
            }
            return Some(arg);
        }
        let names: Vec<&str> = context.args.iter().map(|arg| arg.name.as_str()).collect();
        let listed = names.iter().map(|n| format!("${n}")).collect::<Vec<_>>().join(" ");
        let message = if names.is_empty() {
            format!("unable to find local '{wanted}'")
        } else {
            format!("unable to find local '{wanted}' (alternatives: {listed})")
        };
        let at = if context.name.is_empty() { "this probe".to_owned() } else { format!("`{}`", context.name) };
        let help = did_you_mean(wanted, names.iter().copied()).unwrap_or_else(|| match names.is_empty() {
            true => format!("{at} has no variables"),
            false => format!("{at} has {listed}"),
        });
        let label = format!("not a variable of {at}");
        self.refuse(Diagnostic::error("target::no-variable", message).label(name.span, label).help(help))
    }

    /// `->name`: from a structure or a pointer to one.
    fn member(&mut self, btf: &Btf, step: Step, name: &Ident, span: Span) -> Option<Step> {
        let step = self.through_pointer(btf, step, span)?;
        let (_, record) = btf.strip(step.ty)?;
        let Some(member) = record.member(&name.name) else {
            return self.refuse(no_member(btf, step.ty, name));
        };
        let field = format!("{}.{}", record.name(), name.name);
        self.step_to(btf, step, member, field, span)
    }

    /// From a pointer to what it points to: afterwards the step is an address.
    fn through_pointer(&mut self, btf: &Btf, step: Step, span: Span) -> Option<Step> {
        let (_, ty) = btf.strip(step.ty)?;
        match ty.kind() {
            Kind::Struct | Kind::Union if step.is_address => Some(step),
            Kind::Ptr => {
                let target = ty.target();
                let value = if step.is_address { load(&step, 8, false, None, span) } else { step.value };
                let kind = btf.strip(target).map(|(_, t)| t.kind());
                let typed = step.typed && matches!(kind, Some(Kind::Struct | Kind::Union));
                Some(Step { value, ty: target, is_address: true, typed })
            }
            _ => {
                let message = format!("'{}' is being accessed instead of a structure", btf.type_name(step.ty));
                self.refuse(
                    Diagnostic::error("target::no-structure", message).label(span, "not a pointer or structure"),
                )
            }
        }
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
        let (_, ty) = btf.strip(step.ty)?;
        let (base, element) = match ty.kind() {
            Kind::Array => (address(step.value, span), ty.element().0),
            Kind::Ptr => {
                let step = self.through_pointer(btf, step, span)?;
                (step.value, step.ty)
            }
            _ => {
                return self
                    .refuse(Diagnostic::error("target::no-array", "not an array").label(span, "cannot be indexed"));
            }
        };
        self.element_at(base, element, index, span)
    }

    /// The element with an index behind an address.
    fn element_at(&mut self, base: Expr, element: TypeId, index: &ast::Expr, span: Span) -> Option<Step> {
        let size = i64::from(bytes(self.btf?, element)?);
        let index = self.expr(index);
        let scaled = binary(Arith::Mul, index, Expr::long(size, span), span);
        let value = binary(Arith::Add, base, scaled, span);
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
            None => Some(address(step.value, span)),
        }
    }
}

/// The type with this name, as C writes it: `struct task_struct`, or without the word.
fn named_type(btf: &Btf, name: &str) -> Option<TypeId> {
    let name = name.trim();
    let kinds: &[Kind] = &[Kind::Struct, Kind::Union, Kind::Typedef, Kind::Enum, Kind::Int];
    let (words, rest) = match name.split_once(' ') {
        Some(("struct", rest)) => (&kinds[..1], rest.trim()),
        Some(("union", rest)) => (&kinds[1..2], rest.trim()),
        Some(("enum", rest)) => (&kinds[3..4], rest.trim()),
        _ => (kinds, name),
    };
    let wanted: Vec<(Kind, &str)> = words.iter().map(|kind| (*kind, rest)).collect();
    btf.find_all(&wanted).into_iter().flatten().next()
}

/// Reads a number at the step's address.
fn load(step: &Step, size: u8, signed: bool, bits: Option<(u8, u8)>, span: Span) -> Expr {
    let (base, offset, field) = split_offset(&step.value);
    let load = Load { base: Box::new(base), offset, size, signed, bits, direct: step.typed, field };
    Expr { kind: ExprKind::Load(load), ty: Type::Long, span, at: span, pointee: None }
}

/// An address with bytes added. Offsets gather in a [`Load`] of size 0, which never leaves this file: what follows
/// either reads there or asks for the sum.
fn at_offset(value: Expr, offset: u32, field: String, span: Span) -> Expr {
    let (base, before, _) = split_offset(&value);
    let load = Load {
        base: Box::new(base),
        offset: before + offset,
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

fn bytes(btf: &Btf, ty: TypeId) -> Option<u32> {
    let (_, ty) = btf.strip(ty)?;
    match ty.kind() {
        Kind::Array => Some(bytes(btf, ty.element().0)? * ty.element().1),
        _ => ty.size(),
    }
}

fn no_member(btf: &Btf, ty: TypeId, name: &Ident) -> Diagnostic {
    let members: Vec<&str> = match btf.strip(ty) {
        Some((_, record)) => record.members().map(|(name, _)| name).filter(|name| !name.is_empty()).collect(),
        None => Vec::new(),
    };
    let listed = members.iter().take(12).copied().collect::<Vec<_>>().join(" ");
    let ty = btf.strip(ty).map_or_else(String::new, |(id, _)| btf.type_name(id));
    let message = format!("unable to find member '{}' for {ty} (alternatives: {listed})", name.name);
    let error = Diagnostic::error("target::no-member", message).label(name.span, format!("not a member of {ty}"));
    match did_you_mean(&name.name, members) {
        Some(help) => error.help(help),
        None => error,
    }
}
