//! `$$vars`, `$$parms`, `$$locals`, `$$return`: all variables of a probe as text.

use super::Step;
use crate::check::builder::Builder;
use crate::check::format;
use crate::hir::{Expr, ExprKind, Type};
use crate::intrinsic;
use crate::kernel::btf::{Btf, Kind};
use crate::probe::{Arg, RESULT};
use tapster_lang::Span;
use tapster_lang::ast::{self, Ident};

impl Builder<'_, '_> {
    /// Whether an expression is the text of a probe that has one: `$value` of files and of standard input.
    pub(in crate::check) fn is_text(&self, e: &ast::Expr) -> bool {
        let is_value = matches!(&e.kind, ast::ExprKind::Target(name, path) if name.name == "$value" && path.is_empty());
        is_value && self.site.is_some_and(|site| site.context.has_text)
    }

    /// The text of a probe that has one.
    pub(in crate::check) fn event_text(&self, span: Span) -> Expr {
        let function = intrinsic::find("__event_text").expect("a function of the table");
        Expr { ty: Type::String, ..Expr::new(ExprKind::Intrinsic(function, Vec::new()), span) }
    }

    /// Sets the text of the probe, or adds to it.
    pub(in crate::check) fn set_text(&mut self, function: &str, value: &ast::Expr) -> Option<ExprKind> {
        let function = intrinsic::find(function).expect("a function of the table");
        Some(ExprKind::Intrinsic(function, vec![self.expr(value)]))
    }

    /// `name=value name=value`; with `$` or `$$` each as [`Builder::pretty`] shows it.
    pub(super) fn context_text(&mut self, name: &Ident, pretty: Option<bool>, span: Span) -> Option<Expr> {
        let site = self.site?;
        let here = site.context.args.iter();
        let args = || site.gone().chain(here.clone()).filter(|arg| !arg.name.is_empty());
        let shown: Vec<Arg> = match name.name.as_str() {
            "$$vars" | "$$parms" => args().filter(|arg| arg.name != RESULT).cloned().collect(),
            // What the kernel's BTF does not tell of.
            "$$locals" => Vec::new(),
            "$$return" => match args().find(|arg| arg.name == RESULT) {
                Some(result) => vec![result.clone()],
                // The function gives nothing, or nobody tells what.
                None if site.is_return() => Vec::new(),
                None => return self.no_variable(name, "$return"),
            },
            other => match site.context.text(other) {
                Some(text) => return Some(Expr::text(text.into(), span)),
                None => return self.no_variable(name, &other[1..]),
            },
        };
        let btf = self.btf?;
        let mut text = String::new();
        let mut values = Vec::new();
        for arg in shown {
            let separator = if text.is_empty() { "" } else { " " };
            text.push_str(&format!("{separator}{}=", arg.name));
            let is_here = site.context.args.iter().any(|here| here.name == arg.name);
            let step = if is_here { self.arg_step(btf, &arg, span) } else { self.arg_at_entry(btf, &arg, span)? };
            match pretty {
                _ if is_record(btf, &step) => text.push_str("{...}"),
                None => {
                    text.push_str("%#x");
                    values.push(self.value(btf, step, span)?);
                }
                Some(deep) => {
                    text.push_str("%s");
                    values.push(self.pretty(btf, step, deep, span)?);
                }
            }
        }
        let format = format::parse(text.as_bytes(), span).ok()?;
        let kind = ExprKind::Format(self.add(format), values);
        Some(Expr { ty: Type::String, ..Expr::new(kind, span) })
    }
}

/// Whether an argument is a structure itself, spread over registers.
fn is_record(btf: &Btf, step: &Step) -> bool {
    let kind = btf.strip(step.ty).map(|(_, ty)| ty.kind());
    !step.is_address && matches!(kind, Some(Kind::Struct | Kind::Union))
}
