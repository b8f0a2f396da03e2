//! `$x$` and `$x$$`: a value as text, by its type.
//!
//! As SystemTap does it, a value becomes a `sprintf` whose format is made of the type. What it prints is read before
//! the statement it stands in, under a `try` of its own, so that the reads can be made where the probe stands wherever
//! the text is put together; where one fails the text is `ERROR`.

use super::{Step, memory_of, scalar};
use crate::check::builder::Builder;
use crate::check::format;
use crate::hir::{Compare, Expr, ExprKind, Local, LocalId, Stmt, StmtKind, Target, Type};
use crate::intrinsic::{self, Memory};
use crate::kernel::btf::{self, Btf, Kind, TypeId};
use tapster_lang::Span;

/// As many values as SystemTap prints; what is beyond is `...`.
const VALUES_MAX: usize = 32;
/// Structures within structures: types that hold themselves are none that a compiler makes.
const NESTING_MAX: u32 = 32;

/// A text in the making.
struct Pretty {
    /// The format.
    text: String,
    /// Its arguments.
    args: Vec<Expr>,
    /// What is read before.
    reads: Vec<Stmt>,
    /// `$$`: structures within structures are shown.
    deep: bool,
    /// The pointer that was followed to what is shown.
    base: Option<Expr>,
    span: Span,
}

impl Builder<'_, '_> {
    /// The text of what a path leads to.
    pub(super) fn pretty(&mut self, btf: &Btf, step: Step, deep: bool, span: Span) -> Option<Expr> {
        let (text, args, reads) = (String::new(), Vec::new(), Vec::new());
        let mut pretty = Pretty { text, args, reads, deep, base: None, span };
        self.show(btf, step, true, 0, &mut pretty);
        let Pretty { text, args, mut reads, base, .. } = pretty;
        let format = format::parse(text.as_bytes(), span).ok()?;
        let shown = Expr { ty: Type::String, ..Expr::new(ExprKind::Format(self.add(format), args), span) };
        if reads.is_empty() && base.is_none() {
            return Some(shown);
        }
        // Where the verifier knows the type a null pointer reads as zeros: it is looked at itself.
        let good = match base {
            Some(base) => compare(base, Expr::long(0, span), span),
            None => Expr::long(1, span),
        };
        let is_good = self.hidden("readable", span);
        reads.push(set(is_good, good, span));
        let body = reads;
        let catch = vec![set(is_good, Expr::long(0, span), span)];
        self.ahead.push(Stmt { kind: StmtKind::Try { body, message: None, catch }, span });
        let error = Expr::text(b"ERROR".to_vec(), span);
        Some(choose(local(is_good, Type::Long, span), shown, error))
    }

    /// Adds a value. `top` is what was asked for itself: pointers to that are followed.
    fn show(&mut self, btf: &Btf, step: Step, top: bool, depth: u32, to: &mut Pretty) -> Option<()> {
        let (id, ty) = btf.strip(step.ty)?;
        match ty.kind() {
            Kind::Ptr => self.show_pointer(btf, step, ty.target(), top, depth, to)?,
            Kind::Array if is_chars(btf, innermost(btf, id)) && (top || to.deep) => {
                let address = super::address(step.value, to.span);
                self.show_text(address, memory_of(step.ty), to);
            }
            Kind::Array if top || to.deep => self.show_array(btf, Step { ty: innermost(btf, id), ..step }, depth, to),
            Kind::Array => to.text.push_str("[...]"),
            Kind::Struct | Kind::Union if (top || to.deep) && depth < NESTING_MAX && step.is_address => {
                self.show_members(btf, step, depth, to);
            }
            Kind::Struct | Kind::Union | Kind::Fwd => to.text.push_str("{...}"),
            Kind::Int | Kind::Enum | Kind::Enum64 => self.show_number(btf, step, to),
            _ => to.text.push('?'),
        }
        Some(())
    }

    fn show_number(&mut self, btf: &Btf, step: Step, to: &mut Pretty) {
        let Some((size, signed)) = scalar(btf, step.ty) else { return to.text.push('?') };
        let is_character = size == 1 && is_chars(btf, step.ty);
        let is_bool = btf.strip(step.ty).is_some_and(|(_, ty)| ty.kind() == Kind::Int && ty.name() == "_Bool");
        let conversion = match (is_character, signed || is_bool) {
            (true, _) => "'%#c'",
            (false, true) => "%i",
            (false, false) => "%u",
        };
        self.show_value(btf, step, conversion, to);
    }

    fn show_value(&mut self, btf: &Btf, step: Step, conversion: &str, to: &mut Pretty) {
        let Some(value) = self.value(btf, step, to.span) else { return };
        let value = self.read(value, to);
        to.args.push(value);
        to.text.push_str(conversion);
    }

    fn show_pointer(
        &mut self,
        btf: &Btf,
        step: Step,
        target: TypeId,
        top: bool,
        depth: u32,
        to: &mut Pretty,
    ) -> Option<()> {
        let (pointee, kind) = btf.strip(target).map(|(id, ty)| (id, ty.kind()))?;
        if is_chars(btf, pointee) {
            let memory = memory_of(step.ty);
            let value = self.value(btf, step, to.span)?;
            self.show_text(value, memory, to);
        } else if top && kind == Kind::FuncProto {
            self.show_value(btf, step, "<function>:%p", to);
        } else if top && kind != Kind::Void && depth < NESTING_MAX {
            let step = self.based(btf, step, target, to)?;
            self.show(btf, step, true, depth + 1, to)?;
        } else {
            self.show_value(btf, step, "%p", to);
        }
        Some(())
    }

    /// What a pointer points to. The pointer is read once, unless it is an argument that the verifier knows.
    fn based(&mut self, btf: &Btf, step: Step, target: TypeId, to: &mut Pretty) -> Option<Step> {
        let kept = step.typed && matches!(step.value.kind, ExprKind::Arg { .. });
        let step = self.through_pointer(btf, step, to.span)?;
        let value = if kept { step.value } else { self.read(step.value, to) };
        to.base = Some(value.clone());
        Some(Step { value, ty: target, is_address: true, typed: step.typed && kept })
    }

    /// A string of the kernel or, where it has none there, of the process, as that of a process's own is; the address
    /// where there is none.
    fn show_text(&mut self, address: Expr, memory: Memory, to: &mut Pretty) {
        let span = to.span;
        let address = self.read(address, to);
        let (text, found) = (self.hidden("text", span), self.hidden("found", span));
        let attempt = |function: &str| {
            let function = intrinsic::find(function).expect("it is in the table");
            let value = Expr::new(ExprKind::Intrinsic(function, vec![address.clone()]), span);
            vec![set(text, value, span), set(found, Expr::long(1, span), span)]
        };
        let nothing = vec![set(found, Expr::long(0, span), span)];
        let process = StmtKind::Try { body: attempt("user_string"), message: None, catch: nothing };
        let process = vec![Stmt { kind: process, span }];
        let kernel = StmtKind::Try { body: attempt("kernel_string"), message: None, catch: process.clone() };
        match memory {
            Memory::Kernel => to.reads.push(Stmt { kind: kernel, span }),
            Memory::User => to.reads.extend(process),
        }
        let quote = intrinsic::find("string_quoted").expect("it is in the table");
        let quoted = Expr::new(ExprKind::Intrinsic(quote, vec![local(text, Type::String, span)]), span);
        let number = format::parse(b"0x%x", span).expect("a good format");
        let number = Expr::new(ExprKind::Format(self.add(number), vec![address]), span);
        to.args.push(choose(local(found, Type::Long, span), quoted, number));
        to.text.push_str("%s");
    }

    /// The first element stands for all.
    fn show_array(&mut self, btf: &Btf, element: Step, depth: u32, to: &mut Pretty) {
        to.text.push('[');
        self.show(btf, element, false, depth + 1, to);
        to.text.push_str(", ...]");
    }

    fn show_members(&mut self, btf: &Btf, step: Step, depth: u32, to: &mut Pretty) {
        let Some((_, record)) = btf.strip(step.ty) else { return };
        to.text.push('{');
        for (nth, (name, member)) in record.members().enumerate() {
            if nth > 0 {
                to.text.push_str(", ");
            }
            if to.args.len() >= VALUES_MAX || to.text.len() > self.cx.options.max_string as usize {
                to.text.push_str("...");
                break;
            }
            to.text.push_str(&label(btf, name, member));
            let field = format!("{}.{name}", record.name());
            let here = Step { value: step.value.clone(), ..step };
            // Bits that no word holds cannot be read.
            match self.step_to(btf, here, member, field, to.span) {
                Some(member) => drop(self.show(btf, member, false, depth + 1, to)),
                None => to.text.push('?'),
            }
        }
        to.text.push('}');
    }

    /// A value kept in a variable, so that it is read where the probe stands.
    fn read(&mut self, value: Expr, to: &mut Pretty) -> Expr {
        if matches!(value.kind, ExprKind::Local(_) | ExprKind::Long(_)) {
            return value;
        }
        let kept = self.hidden("value", to.span);
        let pointee = value.pointee;
        to.reads.push(set(kept, value, to.span));
        Expr { pointee, ..local(kept, Type::Long, to.span) }
    }

    /// A variable that the script does not see.
    fn hidden(&mut self, what: &str, span: Span) -> LocalId {
        let locals = &mut self.handler.locals;
        let name = format!("{what} {}", locals.len());
        locals.push(Local { name, span, assigned: true, hidden: true, ..Local::default() });
        locals.len() - 1
    }
}

/// How a member is announced.
fn label(btf: &Btf, name: &str, member: btf::Member) -> String {
    match btf.strip(member.ty).map(|(_, ty)| ty.kind()) {
        _ if !name.is_empty() => format!(".{name}="),
        Some(Kind::Union) => "<union>=".to_owned(),
        // SystemTap calls structures without a name so.
        _ => "<class>=".to_owned(),
    }
}

/// What arrays within arrays are made of.
fn innermost(btf: &Btf, id: TypeId) -> TypeId {
    let mut id = id;
    for _ in 0..NESTING_MAX {
        match btf.strip(id) {
            Some((_, ty)) if ty.kind() == Kind::Array => id = ty.element().0,
            _ => break,
        }
    }
    id
}

/// Whether a type is one of C's characters, signed or not.
fn is_chars(btf: &Btf, id: TypeId) -> bool {
    let is_character = |name: &str| matches!(name, "char" | "signed char" | "unsigned char");
    btf.strip(id).is_some_and(|(_, ty)| ty.kind() == Kind::Int && is_character(ty.name()))
}

fn local(id: LocalId, ty: Type, span: Span) -> Expr {
    Expr { ty, ..Expr::new(ExprKind::Local(id), span) }
}

fn set(id: LocalId, value: Expr, span: Span) -> Stmt {
    let kind = ExprKind::Assign(Target::Local(id), None, Box::new(value));
    Stmt { kind: StmtKind::Expr(Expr::new(kind, span)), span }
}

fn compare(a: Expr, b: Expr, span: Span) -> Expr {
    Expr::new(ExprKind::Compare(Compare::Ne, Box::new(a), Box::new(b)), span)
}

fn choose(cond: Expr, a: Expr, b: Expr) -> Expr {
    let span = cond.span;
    Expr::new(ExprKind::Choose(Box::new(cond), Box::new(a), Box::new(b)), span)
}
