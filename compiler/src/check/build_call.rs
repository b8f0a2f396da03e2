//! Resolves calls: functions of the script, of the library and of the table, and the printing functions.

use super::builder::Builder;
use super::format;
use crate::hir::{Expr, ExprKind, Type};
use crate::image::Format;
use crate::intrinsic::{self, INTRINSICS, Intrinsic, Known, Op};
use crate::probe::unsupported;
use crate::suggest::did_you_mean;
use crate::syscall::BOTH_ENDS;
use tapster_lang::ast::{self, Ident, Literal, PrintOp};
use tapster_lang::{Diagnostic, Span};

/// What prints, most used first.
const PRINTS: [&str; 8] = ["println", "printf", "print", "printdln", "printd", "sprintf", "sprint", "print_char"];

impl Builder<'_, '_> {
    /// A call. What a probe knows of itself is a literal.
    pub(super) fn call(&mut self, name: &Ident, args: &[ast::Expr], span: Span) -> Option<Expr> {
        if name.name == BOTH_ENDS
            && let [cond] = args
        {
            return self.at_both_ends(cond);
        }
        let overloads = self.names.overloads(&name.name, self.file);
        let fitting = |id: &&usize| self.program.functions[**id].params == args.len();
        let kind = match overloads.iter().find(fitting) {
            Some(first) => {
                let first = *first;
                let args: Vec<Expr> = args.iter().map(|arg| self.expr(arg)).collect();
                ExprKind::Call(self.instance(first, &args), args)
            }
            None if overloads.is_empty()
                && let Some(found) = self.of_place(name, args, span) =>
            {
                return found;
            }
            None => match (overloads.first(), intrinsic::find_taking(&name.name, args.len())) {
                (_, Some(Intrinsic { op: Op::Known(known), params: [], .. })) if args.is_empty() => {
                    return self.known(*known, span);
                }
                (_, Some(found)) if found.op == Op::Signal && !self.cx.options.guru => {
                    return self.refuse(
                        Diagnostic::error("check::guru", format!("{} needs -g", name.name))
                            .label(name.span, "changes what the traced program does")
                            .help("run the script with `tapster -g`"),
                    );
                }
                (_, Some(found)) if found.params.len() == args.len() => {
                    let args: Vec<Expr> = args.iter().map(|arg| self.expr(arg)).collect();
                    ExprKind::Intrinsic(found, args)
                }
                (None, None) => return self.refuse(self.unknown(name)),
                (Some(other), _) => {
                    let other = &self.program.functions[*other];
                    let error = arity(name, other.params, args.len()).label(other.span, "defined here");
                    return self.refuse(error);
                }
                (None, Some(found)) => return self.refuse(arity(name, found.params.len(), args.len())),
            },
        };
        let pointee = self.pointee(&kind);
        Some(Expr { at: name.span, pointee, ..Expr::new(kind, span) })
    }

    fn known(&mut self, known: Known, span: Span) -> Option<Expr> {
        let result = self.site.and_then(|site| site.context.result.clone());
        Some(match known {
            Known::Target => Expr::long(self.cx.options.target, span),
            Known::OwnPid => Expr::long(self.cx.options.own_pid, span),
            Known::OwnUid => Expr::long(self.cx.options.own_uid, span),
            Known::ModuleName => Expr::text(b"tapster".to_vec(), span),
            Known::IsReturn | Known::ReturnValue if self.site.is_none() => {
                return self.refuse(unsupported("is_return() and returnval() in functions", span));
            }
            Known::IsReturn => Expr::long(result.is_some().into(), span),
            Known::ReturnValue => match result {
                Some(source) => {
                    let kind = ExprKind::Arg { source, size: 8, signed: true, typed: false };
                    Expr { ty: Type::Long, ..Expr::new(kind, span) }
                }
                None => {
                    return self.refuse(
                        Diagnostic::error("target::no-entry", "returnval() is only valid in .return probes")
                            .label(span, "no function returns here"),
                    );
                }
            },
        })
    }

    fn unknown(&self, name: &Ident) -> Diagnostic {
        let known =
            || INTRINSICS.iter().map(|i| i.name).chain(super::registers::names()).chain(self.names.function_names());
        let near = crate::suggest::nearest(&name.name, known());
        let similar = if near.is_empty() { String::new() } else { format!(" (similar: {})", near.join(", ")) };
        let error = Diagnostic::error("check::no-function", format!("unresolved function {}{similar}", name.name))
            .label(name.span, "no such function");
        // What prints is a word of the language; SystemTap's list of similar names has functions alone.
        let meant = || did_you_mean(&name.name, PRINTS.into_iter().chain(known()));
        match super::refused::instead(&name.name).map(str::to_owned).or_else(meant) {
            Some(help) => error.help(help),
            None => error.help("docs/tapset.md lists the functions of the library"),
        }
    }

    /// A printing call.
    pub(super) fn print(&mut self, op: PrintOp, args: &[ast::Expr], span: Span) -> Option<ExprKind> {
        if let [arg] = args
            && matches!(arg.kind, ast::ExprKind::HistLog(_) | ast::ExprKind::HistLinear(..))
            && !op.format
        {
            // A histogram ends with a newline of its own: `println` adds none.
            let arg = self.expr(arg);
            if op.to_string {
                return Some(arg.kind);
            }
            return Some(ExprKind::Print(self.add(format::plain(1, b"", false)), vec![arg]));
        }
        if op.char {
            let args = args.iter().map(|arg| self.expr(arg)).collect();
            let format = format::parse(b"%c", span).ok()?;
            return Some(ExprKind::Print(self.add(format), args));
        }
        let (format, rest) = self.print_format(op, args, span)?;
        let args: Vec<Expr> = rest.iter().map(|arg| self.expr(arg)).collect();
        let format = self.add(format);
        Some(if op.to_string { ExprKind::Format(format, args) } else { ExprKind::Print(format, args) })
    }

    pub(super) fn add(&mut self, format: Format) -> usize {
        self.program.formats.push(format);
        self.program.formats.len() - 1
    }

    /// The format of a printing call, and the arguments that remain.
    fn print_format<'e>(
        &mut self,
        op: PrintOp,
        args: &'e [ast::Expr],
        span: Span,
    ) -> Option<(Format, &'e [ast::Expr])> {
        let leading = |what: &str| {
            Diagnostic::error("parse::format", format!("expected {what} as first argument"))
                .label(span, "not a string literal")
        };
        let literal = args.first().and_then(|first| match &first.kind {
            ast::ExprKind::Literal(Literal::String(bytes)) => Some((bytes, first.span)),
            _ => None,
        });
        if op.format {
            let Some((text, at)) = literal else { return self.refuse(leading("a format string")) };
            let format = match format::parse(text, at) {
                Ok(format) => format,
                Err(diagnostic) => return self.refuse(diagnostic),
            };
            if format::arguments(&format).len() != args.len() - 1 {
                return self.refuse(wrong_count(&format, args.len() - 1, span));
            }
            return Some((format, &args[1..]));
        }
        let (delimiter, rest): (&[u8], _) = match (op.delimited, literal) {
            (false, _) => (b"", args),
            (true, Some((text, _))) => (text, &args[1..]),
            (true, None) => return self.refuse(leading("a delimiter")),
        };
        // Types are not known yet: inference decides between %d and %s.
        Some((format::plain(rest.len(), delimiter, op.newline), rest))
    }
}

pub(super) fn arity(name: &Ident, takes: usize, given: usize) -> Diagnostic {
    let message = format!("arity mismatch found (function '{}' takes {takes} args)", name.name);
    Diagnostic::error("check::arguments", message).label(name.span, format!("called with {given}"))
}

fn wrong_count(format: &Format, given: usize, span: Span) -> Diagnostic {
    let wanted = format::arguments(format).len();
    Diagnostic::error("check::print-arguments", "Wrong number of args to formatted print operator")
        .label(span, format!("the format takes {wanted}, {given} given"))
}
