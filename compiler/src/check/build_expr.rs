//! Resolves the names in expressions.

use super::build::extractor_of;
use super::builder::Builder;
use crate::hir::{Arith, Compare, Expr, ExprKind, GlobalId, Modify, Slice, Target, Type};
use crate::probe::unsupported;
use crate::regex::Pattern;
use tapster_lang::ast::{self, AssignOp, BinaryOp, Ident, Index, Literal, UnaryOp};
use tapster_lang::{Diagnostic, Severity, Span};

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
        let (global, keys) = self.slice(array, indexes)?;
        if let Some(Index::Any(at)) = indexes.iter().find(|index| matches!(index, Index::Any(_))) {
            return self.refuse(
                Diagnostic::error("check::slice", "unexpected '*' in array index")
                    .label(*at, "stands for many elements")
                    .help("`*` is for `delete`, `in` and `foreach`"),
            );
        }
        Some((global, keys.into_iter().flatten().collect()))
    }

    /// Elements of an array: global, and the keys that are given.
    pub(super) fn slice(&mut self, array: &Ident, indexes: &[Index]) -> Option<(GlobalId, Slice)> {
        let global = self.global(array, indexes.len())?;
        self.arity(global, indexes.len(), array.span);
        let key = |index: &Index| match index {
            Index::Expr(e) => Some(self.expr(e)),
            Index::Any(_) => None,
        };
        Some((global, indexes.iter().map(key).collect()))
    }

    pub(super) fn try_expr(&mut self, e: &ast::Expr) -> Option<Expr> {
        use ast::ExprKind as Ast;
        if let Err(error) = self.cx.count_expression(e.span) {
            return self.refuse(error);
        }
        let kind = match &e.kind {
            Ast::Literal(Literal::Number(number)) => return Some(Expr::long(*number, e.span)),
            Ast::Literal(Literal::String(bytes)) => return Some(Expr::text(bytes.clone(), e.span)),
            Ast::Var(name) => self.variable(name, e.span),
            Ast::Index(array, indexes) => {
                let (global, keys) = self.element(array, indexes)?;
                ExprKind::Element(global, keys)
            }
            Ast::Call(name, args) => return self.call(name, args, e.span),
            Ast::Print(op, args) => self.print(*op, args, e.span)?,
            Ast::Unary(op, a) => self.unary(*op, a),
            Ast::Binary(op, a, b) => self.binary(*op, a, b, e.span)?,
            Ast::Ternary(a, b, c) => {
                if let Some(decided) = self.decided(a) {
                    return self.try_expr(if decided { b } else { c });
                }
                ExprKind::Choose(Box::new(self.expr(a)), Box::new(self.expr(b)), Box::new(self.expr(c)))
            }
            Ast::Assign(op, target, value) => self.assign(*op, target, value)?,
            Ast::Step { target, down, prefix } => {
                let target = self.written(target)?;
                ExprKind::Step(target, if *down { -1 } else { 1 }, *prefix)
            }
            Ast::In(indexes, array) => {
                let (global, keys) = self.slice(array, indexes)?;
                ExprKind::In(global, keys)
            }
            Ast::Stat(extractor, stat, shift) => {
                let (global, keys) = self.statistic(stat)?;
                if *extractor == ast::Extractor::Variance {
                    self.variance(global, shift.unwrap_or(0), e.span);
                }
                ExprKind::Stat(extractor_of(*extractor), global, keys)
            }
            Ast::Match { subject, negated, pattern } => self.pattern(subject, *negated, pattern)?,
            Ast::Bucket(histogram, number) => {
                let (global, keys) = self.histogram(histogram)?;
                ExprKind::Bucket(global, keys, Box::new(self.expr(number)))
            }
            Ast::HistLog(_) | Ast::HistLinear(..) => {
                let (global, keys) = self.histogram(e)?;
                ExprKind::Histogram(global, keys)
            }
            Ast::Target(..) | Ast::AddressOf(_) if self.is_bad_variable(e) => return Some(Expr::long(0, e.span)),
            Ast::Target(..) if self.is_text(e) => return Some(self.event_text(e.span)),
            Ast::Target(name, path) => return self.target_variable(name, path, e.span),
            Ast::AddressOf(inner) => return self.address_of(inner, e.span),
            Ast::Cast { value, ty, module, path } => return self.cast(value, ty, module.as_ref(), path, e.span),
            Ast::Defined(inner) => return Some(Expr::long(i64::from(self.is_defined(inner)), e.span)),
            Ast::Deref(inner, path) => {
                return self.deref(inner, path, e.span, e.at);
            }
            Ast::Operator(name, args) if name.name == "@entry" && args.len() == 1 => {
                return self.at_entry(e.span, |builder| Some(builder.expr(&args[0])));
            }
            Ast::GlobalVar { name, module, path } => {
                return self.global_variable(name, module.as_ref(), path, e.span);
            }
            Ast::Operator(name, args) if matches!(name.name.as_str(), "@enum" | "@const") => {
                return self.constant(name, args, e.span);
            }
            Ast::Operator(name, args) if name.name == "@perf" => return self.counter(&args[0], e.span),
            Ast::Operator(name, _) => {
                return self.refuse(unsupported(&format!("`{}` operators", name.name), name.span));
            }
            Ast::EmbeddedC(code) => {
                self.cx.refuse_c(code.span);
                ExprKind::Long(0)
            }
        };
        let pointee = self.pointee(&kind);
        Some(Expr { at: e.at, pointee, ..Expr::new(kind, without_parentheses(e)) })
    }

    /// Whether a target variable is one to take 0 for (`--skip-badvars`), which is warned about.
    fn is_bad_variable(&mut self, e: &ast::Expr) -> bool {
        if !self.cx.options.skip_badvars || self.trying || self.is_defined(e) {
            return false;
        }
        let warning = Diagnostic::warning("target::skipped", "Bad $context variable being substituted with literal 0");
        self.cx.report(warning.label(e.span, "not there"));
        true
    }

    /// Whether an expression means anything here: it is built for a try.
    fn is_defined(&mut self, e: &ast::Expr) -> bool {
        let (said, noted, late) = (self.cx.diagnostics.len(), self.notes.len(), self.cx.late.len());
        let locals = self.handler.locals.len();
        let (outer, ahead) = (core::mem::replace(&mut self.trying, true), self.ahead.len());
        let built = self.try_expr(e).is_some();
        self.trying = outer;
        self.ahead.truncate(ahead);
        let defined = built && !self.cx.diagnostics[said..].iter().any(|d| d.severity == Severity::Error);
        self.cx.diagnostics.truncate(said);
        self.cx.late.truncate(late);
        self.notes.truncate(noted);
        self.handler.locals.truncate(locals);
        defined
    }

    /// What a condition comes to where `@defined` decides it: what it excludes is not even looked at.
    pub(super) fn decided(&mut self, cond: &ast::Expr) -> Option<bool> {
        match &cond.kind {
            ast::ExprKind::Defined(e) => Some(self.is_defined(e)),
            ast::ExprKind::Unary(UnaryOp::Not, a) => self.decided(a).map(|decided| !decided),
            ast::ExprKind::Binary(BinaryOp::LogicalAnd, a, b) => match (self.decided(a), self.decided(b)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            ast::ExprKind::Binary(BinaryOp::LogicalOr, a, b) => match (self.decided(a), self.decided(b)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// One bit shift a statistic: it decides how values are kept.
    fn variance(&mut self, global: GlobalId, shift: i64, at: Span) {
        let known = &mut self.program.globals[global];
        let shift = shift as u8;
        match known.layout.parts.variance {
            Some(other) if other != shift => {
                let message = format!("conflicting bit shifts declared (previously {other})");
                self.cx.report(Diagnostic::error("check::variance", message).label(at, format!("{shift} here")));
            }
            _ => known.layout.parts.variance = Some(shift),
        }
    }

    /// `=~` and `!~`: the pattern is checked here and kept once.
    fn pattern(&mut self, subject: &ast::Expr, negated: bool, (pattern, at): &(Vec<u8>, Span)) -> Option<ExprKind> {
        let subject = Box::new(self.expr(subject));
        if let Err(fault) = crate::regex::check(pattern) {
            return self.refuse(
                Diagnostic::error("check::regex", format!("regex compilation error: {fault}"))
                    .label(*at, "not a regular expression"),
            );
        }
        let regexes = &mut self.program.regexes;
        let number = regexes.iter().position(|known| known.text == *pattern).unwrap_or_else(|| {
            regexes.push(Pattern::new(pattern.clone()));
            regexes.len() - 1
        });
        Some(ExprKind::Match(subject, number, negated))
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
        let (a, b) = (Box::new(self.expr(a)), Box::new(self.expr(b)));
        if let Some(op) = arith(op) {
            return Some(ExprKind::Arith(op, a, b));
        }
        Some(match op {
            BinaryOp::Concat => ExprKind::Concat(a, b),
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
            AssignOp::Set if self.is_text(target) => self.set_text("__event_set", value),
            AssignOp::Compound(BinaryOp::Concat) if self.is_text(target) => self.set_text("__event_add", value),
            AssignOp::Aggregate => {
                let (global, keys) = self.statistic(target)?;
                Some(ExprKind::Aggregate(global, keys, Box::new(self.expr(value))))
            }
            AssignOp::Set => {
                let target = self.written(target)?;
                let value = self.expr(value);
                self.point(&target, &value);
                Some(ExprKind::Assign(target, None, Box::new(value)))
            }
            AssignOp::Compound(op) => {
                let modify = arith(op).map_or(Modify::Append, Modify::Arith);
                let target = self.written(target)?;
                Some(ExprKind::Assign(target, Some(modify), Box::new(self.expr(value))))
            }
        }
    }

    /// A variable that is assigned.
    fn written(&mut self, target: &ast::Expr) -> Option<Target> {
        let found = self.target(target)?;
        match &found {
            Target::Local(local) => self.handler.locals[*local].assigned = true,
            Target::Global(global) => self.arity(*global, 0, target.span),
            Target::Element(..) | Target::Slice(..) => {}
        }
        Some(found)
    }

    /// A statistic: a global, or an element of an array of them.
    pub(super) fn statistic(&mut self, e: &ast::Expr) -> Option<(GlobalId, Vec<Expr>)> {
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

/// The text of an expression; of an assignment from what is assigned on, which messages name, whatever stands before.
fn without_parentheses(e: &ast::Expr) -> Span {
    let target = match &e.kind {
        ast::ExprKind::Assign(_, target, _) | ast::ExprKind::Step { target, .. } => target,
        _ => return e.span,
    };
    match &target.kind {
        ast::ExprKind::Index(array, _) => Span { start: array.span.start, ..e.span },
        _ => e.span,
    }
}
