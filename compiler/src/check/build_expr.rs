//! Resolves the names in expressions.

use super::builder::Builder;
use super::format;
use crate::hir::{Arith, Compare, Expr, ExprKind, GlobalId, Target, Type};
use crate::image::Format;
use crate::intrinsic::{self, INTRINSICS};
use crate::probe::unsupported;
use crate::suggest::did_you_mean;
use tapster_lang::ast::{self, AssignOp, BinaryOp, Ident, Index, Literal, PrintOp, UnaryOp};
use tapster_lang::{Diagnostic, Span};
use tapster_runtime_ebpf::aggregate::Histogram;

impl Expr {
    /// An expression whose type is not known yet.
    pub fn new(kind: ExprKind, span: Span) -> Expr {
        Expr { kind, ty: Type::Unknown, span, at: span, pointee: None }
    }

    /// A number.
    pub fn long(number: i64, span: Span) -> Expr {
        Expr { kind: ExprKind::Long(number), ty: Type::Long, span, at: span, pointee: None }
    }

    /// A string.
    pub fn text(bytes: Vec<u8>, span: Span) -> Expr {
        Expr { kind: ExprKind::Text(bytes), ty: Type::String, span, at: span, pointee: None }
    }
}

impl Builder<'_, '_> {
    /// Resolves an expression. After an error it is a number, so that building goes on.
    pub(super) fn expr(&mut self, e: &ast::Expr) -> Expr {
        self.try_expr(e).unwrap_or_else(|| Expr::long(0, e.span))
    }

    /// An array's element: global and keys.
    pub(super) fn element(&mut self, array: &Ident, indexes: &[Index]) -> Option<(GlobalId, Vec<Expr>)> {
        let global = self.global(array)?;
        self.arity(global, indexes.len(), array.span);
        let mut keys = Vec::with_capacity(indexes.len());
        for index in indexes {
            match index {
                Index::Expr(e) => keys.push(self.expr(e)),
                Index::Any(span) => return self.refuse(unsupported("`*` indexes", *span)),
            }
        }
        Some((global, keys))
    }

    fn try_expr(&mut self, e: &ast::Expr) -> Option<Expr> {
        use ast::ExprKind as Ast;
        let kind = match &e.kind {
            Ast::Literal(Literal::Number(number)) => return Some(Expr::long(*number, e.span)),
            Ast::Literal(Literal::String(bytes)) => return Some(Expr::text(bytes.clone(), e.span)),
            Ast::Var(name) => self.variable(name, e.span),
            Ast::Index(array, indexes) => {
                let (global, keys) = self.element(array, indexes)?;
                ExprKind::Element(global, keys)
            }
            Ast::Call(name, args) => self.call(name, args)?,
            Ast::Print(op, args) => self.print(*op, args, e.span)?,
            Ast::Unary(op, a) => self.unary(*op, a),
            Ast::Binary(op, a, b) => self.binary(*op, a, b, e.span)?,
            Ast::Ternary(a, b, c) => {
                ExprKind::Choose(Box::new(self.expr(a)), Box::new(self.expr(b)), Box::new(self.expr(c)))
            }
            Ast::Assign(op, target, value) => self.assign(*op, target, value)?,
            Ast::Step { target, down, prefix } => {
                let target = self.written(target)?;
                ExprKind::Step(target, if *down { -1 } else { 1 }, *prefix)
            }
            Ast::In(indexes, array) => {
                let (global, keys) = self.element(array, indexes)?;
                ExprKind::In(global, keys)
            }
            Ast::Stat(extractor, stat, None) => {
                let extractor = self.extractor(*extractor, e.span)?;
                let (global, keys) = self.statistic(stat)?;
                ExprKind::Stat(extractor, global, keys)
            }
            Ast::Target(name, path) => return self.target_variable(name, path, e.span),
            Ast::Stat(..) => return self.refuse(unsupported("bit shifts of `@variance`", e.span)),
            Ast::Match { .. } => return self.refuse(unsupported("regular expressions", e.span)),
            Ast::HistLog(_) | Ast::HistLinear(..) => return self.refuse(unsupported("histograms as values", e.span)),
            Ast::Bucket(..) => return self.refuse(unsupported("single buckets", e.span)),
            Ast::AddressOf(_) | Ast::Deref(..) => {
                return self.refuse(unsupported("address and pointer operators", e.span));
            }
            Ast::Defined(_) | Ast::Cast { .. } | Ast::GlobalVar { .. } => {
                return self.refuse(unsupported("`@defined`, `@cast` and `@var`", e.span));
            }
            Ast::Operator(name, _) => {
                return self.refuse(unsupported(&format!("`{}` operators", name.name), name.span));
            }
            Ast::EmbeddedC(code) => return self.refuse(unsupported(super::declare::EMBEDDED_C, code.span)),
        };
        Some(Expr { at: e.at, ..Expr::new(kind, e.span) })
    }

    fn variable(&mut self, name: &str, span: Span) -> ExprKind {
        match self.find_global(name) {
            Some(global) => {
                self.arity(global, 0, span);
                ExprKind::Global(global)
            }
            None => ExprKind::Local(self.local(&Ident { name: name.into(), span })),
        }
    }

    fn unary(&mut self, op: UnaryOp, a: &ast::Expr) -> ExprKind {
        let a = Box::new(self.expr(a));
        match op {
            // `+ e` is `e` as a number.
            UnaryOp::Plus => ExprKind::Neg(Box::new(Expr::new(ExprKind::Neg(a.clone()), a.span))),
            UnaryOp::Minus => ExprKind::Neg(a),
            UnaryOp::Not => ExprKind::Not(a),
            UnaryOp::BitNot => ExprKind::BitNot(a),
        }
    }

    fn binary(&mut self, op: BinaryOp, a: &ast::Expr, b: &ast::Expr, span: Span) -> Option<ExprKind> {
        if op == BinaryOp::Concat {
            return self.refuse(unsupported("string concatenations (`.`)", span));
        }
        let (a, b) = (Box::new(self.expr(a)), Box::new(self.expr(b)));
        if let Some(op) = arith(op) {
            return Some(ExprKind::Arith(op, a, b));
        }
        Some(match op {
            BinaryOp::LogicalOr => ExprKind::Or(a, b),
            BinaryOp::LogicalAnd => ExprKind::And(a, b),
            BinaryOp::Lt => ExprKind::Compare(Compare::Lt, a, b),
            BinaryOp::Le => ExprKind::Compare(Compare::Le, a, b),
            BinaryOp::Gt => ExprKind::Compare(Compare::Gt, a, b),
            BinaryOp::Ge => ExprKind::Compare(Compare::Ge, a, b),
            BinaryOp::Eq => ExprKind::Compare(Compare::Eq, a, b),
            BinaryOp::Ne => ExprKind::Compare(Compare::Ne, a, b),
            _ => {
                return self.refuse(
                    Diagnostic::error("check::operator", "unsupported binary operator >>>")
                        .label(span, "not an operator of the language")
                        .help("`>>` shifts the sign in; mask the result where that is unwanted"),
                );
            }
        })
    }

    fn assign(&mut self, op: AssignOp, target: &ast::Expr, value: &ast::Expr) -> Option<ExprKind> {
        match op {
            AssignOp::Aggregate => {
                let (global, keys) = self.statistic(target)?;
                Some(ExprKind::Aggregate(global, keys, Box::new(self.expr(value))))
            }
            AssignOp::Set => {
                let target = self.written(target)?;
                Some(ExprKind::Assign(target, None, Box::new(self.expr(value))))
            }
            AssignOp::Compound(op) => match arith(op) {
                Some(op) => {
                    let target = self.written(target)?;
                    Some(ExprKind::Assign(target, Some(op), Box::new(self.expr(value))))
                }
                None => self.refuse(unsupported("string concatenations (`.=`)", target.span)),
            },
        }
    }

    /// A variable that is assigned.
    fn written(&mut self, target: &ast::Expr) -> Option<Target> {
        let found = self.target(target)?;
        match &found {
            Target::Local(local) => self.handler.locals[*local].assigned = true,
            Target::Global(global) => self.arity(*global, 0, target.span),
            Target::Element(..) => {}
        }
        Some(found)
    }

    /// A statistic: a global, or an element of an array of them.
    fn statistic(&mut self, e: &ast::Expr) -> Option<(GlobalId, Vec<Expr>)> {
        match &e.kind {
            ast::ExprKind::Index(array, indexes) => self.element(array, indexes),
            ast::ExprKind::Var(name) => match self.find_global(name) {
                Some(global) => {
                    self.arity(global, 0, e.span);
                    Some((global, Vec::new()))
                }
                None => self.refuse(
                    Diagnostic::error("check::local-stats", "stat locals not supported, missing global declaration? ")
                        .label(e.span, "not a global")
                        .help(format!("add `global {name}` at the top")),
                ),
            },
            _ => self.refuse(
                Diagnostic::error("check::lvalue", "Expecting lvalue for assignment").label(e.span, "not a statistic"),
            ),
        }
    }

    fn call(&mut self, name: &Ident, args: &[ast::Expr]) -> Option<ExprKind> {
        let Some(found) = intrinsic::find(&name.name) else {
            let error = Diagnostic::error("check::no-function", format!("unresolved function {}", name.name))
                .label(name.span, "no such function");
            let help = did_you_mean(&name.name, INTRINSICS.iter().map(|i| i.name));
            return self.refuse(match help {
                Some(help) => error.help(help),
                None => error.help("README.md lists the functions this version has"),
            });
        };
        if found.params.len() != args.len() {
            let message = format!("arity mismatch found (function '{}' takes {} args)", name.name, found.params.len());
            return self.refuse(
                Diagnostic::error("check::arguments", message).label(name.span, format!("called with {}", args.len())),
            );
        }
        let args = args.iter().map(|arg| self.expr(arg)).collect();
        Some(ExprKind::Intrinsic(found, args))
    }

    fn print(&mut self, op: PrintOp, args: &[ast::Expr], span: Span) -> Option<ExprKind> {
        if op.to_string {
            return self.refuse(unsupported("the `sprint` functions", span));
        }
        if op.char {
            return self.refuse(unsupported("`print_char` calls", span));
        }
        if let [ast::Expr { kind: ast::ExprKind::HistLog(stat), span: at, .. }] = args {
            return self.histogram(stat, Histogram::Log, *at);
        }
        if let [ast::Expr { kind: ast::ExprKind::HistLinear(stat, [low, high, interval]), span: at, .. }] = args {
            let histogram = Histogram::Linear { low: *low, high: *high, interval: *interval };
            return self.histogram(stat, histogram, *at);
        }
        let (format, rest) = self.print_format(op, args, span)?;
        let args: Vec<Expr> = rest.iter().map(|arg| self.expr(arg)).collect();
        self.program.formats.push(format);
        Some(ExprKind::Print(self.program.formats.len() - 1, args))
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

    fn histogram(&mut self, stat: &ast::Expr, histogram: Histogram, at: Span) -> Option<ExprKind> {
        let (global, keys) = self.statistic(stat)?;
        let known = &mut self.program.globals[global];
        if known.layout.histogram != Histogram::None && known.layout.histogram != histogram {
            let message = format!("multiple histogram types declared on '{}'", known.name);
            return self.refuse(Diagnostic::error("check::histograms", message).label(at, "another kind than before"));
        }
        known.layout.histogram = histogram;
        Some(ExprKind::PrintHistogram(global, keys))
    }
}

fn arith(op: BinaryOp) -> Option<Arith> {
    Some(match op {
        BinaryOp::Add => Arith::Add,
        BinaryOp::Sub => Arith::Sub,
        BinaryOp::Mul => Arith::Mul,
        BinaryOp::Div => Arith::Div,
        BinaryOp::Mod => Arith::Mod,
        BinaryOp::BitAnd => Arith::And,
        BinaryOp::BitOr => Arith::Or,
        BinaryOp::BitXor => Arith::Xor,
        BinaryOp::ShiftLeft => Arith::Shl,
        BinaryOp::ShiftRight => Arith::Shr,
        _ => return None,
    })
}

fn wrong_count(format: &Format, given: usize, span: Span) -> Diagnostic {
    let wanted = format::arguments(format).len();
    Diagnostic::error("check::print-arguments", "Wrong number of args to formatted print operator")
        .label(span, format!("the format takes {wanted}, {given} given"))
}
