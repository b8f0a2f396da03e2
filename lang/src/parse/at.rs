//! Operators that start with `@`: extractors, histograms, casts and the like.
//!
//! The grammar reads each of them as a word with arguments; what these must be is known here.

use super::build::{Builder, Built, Node};
use super::expr::Row;
use super::grammar::{Pair, Rule};
use crate::ast::{ExprKind, Extractor, Ident, Literal};
use crate::diagnostic::Diagnostic;
use crate::literal;
use crate::source::Span;

/// Arguments, and the bracket that ends them.
struct Args<'i> {
    exprs: Vec<Pair<'i>>,
    span: Span,
    close: Span,
}

/// A string literal with its place.
type Text = (Vec<u8>, Span);

impl Builder<'_> {
    /// An operator with its arguments and the steps behind it.
    pub(super) fn at_operator(&mut self, word: Pair, row: &mut Row) -> Built<Node> {
        let name = self.ident(&word);
        let at = name.span;
        match name.name.as_str() {
            "@avg" => self.extractor(Extractor::Avg, name, row),
            "@count" => self.extractor(Extractor::Count, name, row),
            "@max" => self.extractor(Extractor::Max, name, row),
            "@min" => self.extractor(Extractor::Min, name, row),
            "@sum" => self.extractor(Extractor::Sum, name, row),
            "@variance" => self.extractor(Extractor::Variance, name, row),
            "@hist_log" | "@hist_linear" => self.bucket(&word, row),
            "@cast" => self.cast(name, row),
            "@var" => self.global_var(name, row),
            "@defined" => self.defined(name, row),
            "@entry" | "@enumname" | "@perf" | "@const" | "@enum" | "@probewrite" | "@kregister" | "@uregister"
            | "@kderef" | "@uderef" => self.generic(name, row),
            // An argument that does not exist, reported before.
            word if word[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                self.node(ExprKind::Literal(Literal::String(Vec::new())), at, at, 0)
            }
            unknown => {
                let message = format!("unknown operator {unknown}");
                let help = "macros must be defined before they are used, in the same file or a library";
                Err(Box::new(self.error("parse::unknown-operator", message, at).help(help)))
            }
        }
    }

    fn arguments<'i>(&self, word: Span, row: &mut Row<'i>) -> Built<Args<'i>> {
        let Some(pair) = row.next_if(|pair| pair.as_rule() == Rule::args) else {
            return Err(self.expected("expected '('", self.token_after(word.end)));
        };
        let span = self.span(&pair);
        let mut exprs: Vec<Pair> = pair.into_inner().collect();
        let close = exprs.pop().map_or(span, |close| self.span(&close));
        Ok(Args { exprs, span, close })
    }

    /// Complains unless there are from `least` to `most` arguments.
    fn count_is(&self, args: &Args, least: usize, most: usize) -> Built<()> {
        let last = args.exprs.get(args.exprs.len().min(most).wrapping_sub(1));
        let end = last.map_or(args.span.start + 1, |last| self.exact_end(last));
        match args.exprs.len() {
            0 if least > 0 => Err(self.expected("expected literal string or number", args.close)),
            found if found < least => Err(self.expected("expected ','", args.close)),
            found if found > most => Err(self.expected("expected ')'", self.token_after(end))),
            _ => Ok(()),
        }
    }

    /// The end of an expression without the blanks behind it.
    fn exact_end(&self, expr: &Pair) -> u32 {
        let last = expr.clone().into_inner().last();
        last.map_or_else(
            || self.span(expr).end,
            |last| match last.as_rule() {
                Rule::strings | Rule::walked => self.exact_end(&last),
                _ => self.span(&last).end,
            },
        )
    }

    /// A literal string and nothing else.
    fn text_argument(&self, arg: &Pair, may_be_empty: bool) -> Built<Text> {
        let start = self.token_after(self.span(arg).start);
        let mut parts = arg.clone().into_inner();
        match (parts.next(), parts.next()) {
            (Some(text), None) if text.as_rule() == Rule::strings => {
                let text = self.strings(text);
                match text.0.is_empty() && !may_be_empty {
                    true => Err(self.expected("expected non-empty string", text.1)),
                    false => Ok(text),
                }
            }
            (Some(missing), None) if missing.as_rule() == Rule::at_word => Ok((Vec::new(), start)),
            _ => Err(self.expected("expected string", start)),
        }
    }

    /// A literal number, which may have a sign.
    fn number_argument(&self, arg: &Pair) -> Built<i64> {
        let start = self.token_after(self.span(arg).start);
        let parts: Vec<Pair> = arg.clone().into_inner().collect();
        let (negative, number) = match parts.as_slice() {
            [number] if number.as_rule() == Rule::number => (false, number),
            [sign, number] if sign.as_str() == "-" && number.as_rule() == Rule::number => (true, number),
            [missing]
                if missing.as_rule() == Rule::target
                    && missing.as_str()[1..].starts_with(|c: char| c.is_ascii_digit()) =>
            {
                return Ok(1);
            }
            _ => return Err(self.expected("expected number", start)),
        };
        literal::signed_number(number.as_str(), negative).ok_or_else(|| self.out_of_range(self.span(number)))
    }

    fn extractor(&mut self, extractor: Extractor, name: Ident, row: &mut Row) -> Built<Node> {
        let args = self.arguments(name.span, row)?;
        self.count_is(&args, 1, usize::MAX)?;
        let most = if extractor == Extractor::Variance { 2 } else { 1 };
        if args.exprs.len() > most {
            let plural = if most == 1 { "" } else { "s" };
            let comma = self.token_after(self.exact_end(&args.exprs[most - 1]));
            let message = format!("not more than {most} parameter{plural} allowed");
            return Err(Box::new(Diagnostic::error("parse::expected", message).label(comma, "").at_token()));
        }
        let shift = args.exprs.get(1).map(|arg| self.number_argument(arg)).transpose()?;
        let stat = self.expr(args.exprs[0].clone())?;
        let kind = ExprKind::Stat(extractor, Box::new(stat.expr), shift);
        self.node(kind, name.span.to(args.span), name.span, stat.height)
    }

    /// `@hist_log(s)` or `@hist_linear(s, low, high, interval)` without an index.
    pub(super) fn histogram(&mut self, word: &Pair, row: &mut Row) -> Built<Node> {
        let at = self.span(word);
        let args = self.arguments(at, row)?;
        let is_linear = word.as_str() == "@hist_linear";
        let wanted = if is_linear { 4 } else { 1 };
        self.count_is(&args, wanted, wanted)?;
        let mut params = [0; 3];
        for (param, arg) in params.iter_mut().zip(&args.exprs[1..]) {
            *param = self.number_argument(arg)?;
        }
        let stat = self.expr(args.exprs[0].clone())?;
        let (expr, span) = (Box::new(stat.expr), at.to(args.span));
        let kind = if is_linear { ExprKind::HistLinear(expr, params) } else { ExprKind::HistLog(expr) };
        self.node(kind, span, at, stat.height)
    }

    /// A histogram's bucket: the only thing that an expression may ask of it.
    fn bucket(&mut self, word: &Pair, row: &mut Row) -> Built<Node> {
        let histogram = self.histogram(word, row)?;
        let at = histogram.expr.at;
        let Some(index) = row.next_if(|pair| pair.as_rule() == Rule::subscript) else {
            let message = "base histogram operator where expression expected";
            let error = Diagnostic::error("parse::histogram", message).label(at, "").at_token();
            return Err(Box::new(error.help("print it, walk it with foreach, or read a bucket with [i]")));
        };
        let index_span = self.span(&index);
        let mut path = Vec::new();
        let (mut elements, height) = self.elements(index)?;
        match (elements.pop(), elements.is_empty()) {
            (Some(crate::ast::Index::Expr(index)), true) => {
                let span = histogram.expr.span.to(index_span);
                let height = height.max(histogram.height);
                let node = self.node(ExprKind::Bucket(Box::new(histogram.expr), Box::new(index)), span, at, height)?;
                self.path(&mut path, row)?;
                Ok(node)
            }
            _ => Err(self.expected("expected ']'", index_span)),
        }
    }

    fn cast(&mut self, name: Ident, row: &mut Row) -> Built<Node> {
        let args = self.arguments(name.span, row)?;
        self.count_is(&args, 2, 3)?;
        let value = self.expr(args.exprs[0].clone())?;
        let ty = self.text_argument(&args.exprs[1], false)?;
        let module = args.exprs.get(2).map(|arg| self.text_argument(arg, true)).transpose()?;
        let mut path = Vec::new();
        let (end, height) = self.path(&mut path, row)?;
        let span = name.span.to(args.span).to(end);
        let kind = ExprKind::Cast { value: Box::new(value.expr), ty, module, path };
        self.node(kind, span, name.span, height.saturating_add(value.height))
    }

    fn global_var(&mut self, name: Ident, row: &mut Row) -> Built<Node> {
        let args = self.arguments(name.span, row)?;
        self.count_is(&args, 1, 2)?;
        let variable = self.text_argument(&args.exprs[0], true)?;
        let module = args.exprs.get(1).map(|arg| self.text_argument(arg, true)).transpose()?;
        let mut path = Vec::new();
        let (end, height) = self.path(&mut path, row)?;
        let span = name.span.to(args.span).to(end);
        self.node(ExprKind::GlobalVar { name: variable, module, path }, span, name.span, height)
    }

    fn defined(&mut self, name: Ident, row: &mut Row) -> Built<Node> {
        let args = self.arguments(name.span, row)?;
        self.count_is(&args, 1, 1)?;
        let value = self.expr(args.exprs[0].clone())?;
        self.node(ExprKind::Defined(Box::new(value.expr)), name.span.to(args.span), name.span, value.height)
    }

    /// Operators whose arguments the compiler interprets; here only their kinds are checked.
    fn generic(&mut self, name: Ident, row: &mut Row) -> Built<Node> {
        let word = name.name.as_str();
        if matches!(word, "@const" | "@kregister" | "@kderef") && !self.privileged {
            let message = format!("using {word} operator not permitted; need stap -g");
            return Err(self.error("parse::embedded-code", message, name.span));
        }
        let args = self.arguments(name.span, row)?;
        let (least, most) = match word {
            "@kderef" | "@uderef" => (2, 2),
            "@enumname" => (1, 3),
            _ => (1, 1),
        };
        self.count_is(&args, least, most)?;
        match word {
            "@perf" | "@const" | "@enum" => drop(self.text_argument(&args.exprs[0], false)?),
            "@probewrite" => self.check_name(&args.exprs[0])?,
            "@kregister" | "@uregister" | "@kderef" | "@uderef" => drop(self.number_argument(&args.exprs[0])?),
            "@enumname" => {
                for arg in &args.exprs[1..] {
                    self.text_argument(arg, true)?;
                }
            }
            _ => {}
        }
        let (mut exprs, mut height) = (Vec::with_capacity(args.exprs.len()), 0);
        for arg in args.exprs {
            let node = self.expr(arg)?;
            height = height.max(node.height);
            exprs.push(node.expr);
        }
        let (at, span) = (name.span, name.span.to(args.span));
        self.node(ExprKind::Operator(name, exprs), span, at, height)
    }

    fn check_name(&self, arg: &Pair) -> Built<()> {
        let mut parts = arg.clone().into_inner();
        match (parts.next(), parts.next()) {
            (Some(name), None) if matches!(name.as_rule(), Rule::name | Rule::target) => Ok(()),
            _ => Err(self.expected("expected identifier", self.token_after(self.span(arg).start))),
        }
    }
}
