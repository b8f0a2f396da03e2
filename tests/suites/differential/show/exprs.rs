//! Expressions.

use super::{Writer, escaped, is_compound, number_text, quoted};
use tapster_compiler::hir::{Arith, Compare, Expr, ExprKind, Modify, Target};
use tapster_compiler::host::Extractor;
use tapster_compiler::image::{Measure, Piece};

impl Writer<'_> {
    /// An expression, in parentheses where it is made of others.
    fn nested(&mut self, e: &mut Expr) {
        let compound = is_compound(&e.kind);
        self.text += if compound { "(" } else { "" };
        self.outermost(e);
        self.text += if compound { ")" } else { "" };
    }

    /// An expression that something else bounds.
    pub(super) fn outermost(&mut self, e: &mut Expr) {
        let mut start = self.position();
        e.at = self.since(start);
        match &mut e.kind {
            ExprKind::Long(number) => self.text += &number_text(*number),
            ExprKind::Text(bytes) => self.text += &quoted(bytes),
            ExprKind::Local(local) => self.text += &self.locals[*local].name.clone(),
            ExprKind::Global(global) => self.indexed(*global, &mut []),
            ExprKind::Element(global, keys) => self.indexed(*global, keys),
            ExprKind::Call(id, args) => {
                let name = self.names[*id].clone();
                self.call(&name, args);
            }
            ExprKind::Intrinsic(intrinsic, args) => self.call(intrinsic.name, args),
            ExprKind::Neg(a) => self.unary("-", a),
            ExprKind::BitNot(a) => self.unary("~", a),
            ExprKind::Not(a) => self.unary("!", a),
            ExprKind::Arith(op, a, b) => e.at = self.binary(arith(*op), a, b),
            ExprKind::Compare(op, a, b) => e.at = self.binary(compare(*op), a, b),
            ExprKind::And(a, b) => e.at = self.binary("&&", a, b),
            ExprKind::Or(a, b) => e.at = self.binary("||", a, b),
            ExprKind::Concat(a, b) => e.at = self.binary(".", a, b),
            ExprKind::Choose(cond, a, b) => {
                self.nested(cond);
                self.text += " ? ";
                self.nested(a);
                self.text += " : ";
                self.nested(b);
            }
            ExprKind::Match(subject, regex, negated) => {
                self.nested(subject);
                self.text += if *negated { " !~ " } else { " =~ " };
                self.text += &quoted(&self.sample.regexes[*regex]);
            }
            ExprKind::Assign(target, modify, value) => {
                self.target(target);
                self.text.push(' ');
                let at = self.position();
                match modify {
                    None => {}
                    Some(Modify::Arith(op)) => self.text += arith(*op),
                    Some(Modify::Append) => self.text.push('.'),
                }
                self.text.push('=');
                e.at = self.since(at);
                self.text.push(' ');
                self.nested(value);
            }
            ExprKind::Step(target, by, prefix) => {
                let operator = if *by > 0 { "++" } else { "--" };
                self.text += if *prefix { operator } else { "" };
                // An element is named by its array, whatever stands before it.
                start = if matches!(target, Target::Element(..)) { self.position() } else { start };
                self.target(target);
                self.text += if *prefix { "" } else { operator };
            }
            ExprKind::Aggregate(global, keys, value) => {
                self.indexed(*global, keys);
                self.text += " <<< ";
                self.nested(value);
            }
            ExprKind::Stat(extractor, global, keys) => {
                self.text += extractor_name(*extractor);
                self.text.push('(');
                self.indexed(*global, keys);
                self.text += &variance_shift(*extractor, self.sample.globals[*global].layout.parts.variance);
                self.text.push(')');
            }
            ExprKind::In(global, slice) => {
                self.text.push('[');
                self.slice(slice);
                self.text += &format!("] in {}", self.sample.globals[*global].name);
            }
            ExprKind::Print(format, args) => self.formatted("printf", *format, args),
            ExprKind::Format(format, args) => self.formatted("sprintf", *format, args),
            ExprKind::Arg { .. } | ExprKind::Load(_) | ExprKind::Histogram(..) | ExprKind::Bucket(..) => {
                unreachable!("none is generated")
            }
            #[expect(unreachable_patterns, reason = "the list of expressions grows")]
            _ => unreachable!("none is generated"),
        }
        e.span = self.since(start);
    }

    fn call(&mut self, name: &str, args: &mut [Expr]) {
        self.text += name;
        self.text.push('(');
        self.args(args);
        self.text.push(')');
    }

    fn unary(&mut self, operator: &str, a: &mut Expr) {
        self.text += operator;
        self.nested(a);
    }

    fn binary(&mut self, operator: &str, a: &mut Expr, b: &mut Expr) -> tapster_lang::Span {
        self.nested(a);
        self.text.push(' ');
        let at = self.position();
        self.text += operator;
        let at = self.since(at);
        self.text.push(' ');
        self.nested(b);
        at
    }

    pub(super) fn target(&mut self, target: &mut Target) {
        match target {
            Target::Local(local) => self.text += &self.locals[*local].name.clone(),
            Target::Global(global) => self.indexed(*global, &mut []),
            Target::Element(global, keys) => self.indexed(*global, keys),
            Target::Slice(global, slice) => {
                self.indexed(*global, &mut []);
                self.text.push('[');
                self.slice(slice);
                self.text.push(']');
            }
        }
    }

    fn formatted(&mut self, function: &str, format: usize, args: &mut [Expr]) {
        let pieces = self.sample.formats[format].pieces.iter();
        let format: String = pieces.map(piece).collect();
        self.text += &format!("{function}(\"{format}\"");
        for arg in args {
            self.text += ", ";
            self.outermost(arg);
        }
        self.text.push(')');
    }
}

fn piece(piece: &Piece) -> String {
    let measure = |measure| match measure {
        Measure::None => String::new(),
        Measure::Fixed(number) => number.to_string(),
        Measure::Arg => "*".into(),
    };
    match piece {
        Piece::Literal(bytes) => escaped(bytes).replace('%', "%%"),
        Piece::Conversion(conversion) => {
            let flag = conversion.flag.map_or_else(String::new, |flag| char::from(flag).into());
            let precision = match conversion.precision {
                Measure::None => String::new(),
                given => format!(".{}", measure(given)),
            };
            format!("%{flag}{}{precision}{}", measure(conversion.width), char::from(conversion.kind))
        }
    }
}

fn variance_shift(extractor: Extractor, shift: Option<u8>) -> String {
    match (extractor, shift) {
        (Extractor::Variance, Some(shift)) if shift > 0 => format!(", {shift}"),
        _ => String::new(),
    }
}

/// How the language writes an extractor.
pub fn extractor_name(extractor: Extractor) -> &'static str {
    match extractor {
        Extractor::Count => "@count",
        Extractor::Sum => "@sum",
        Extractor::Min => "@min",
        Extractor::Max => "@max",
        Extractor::Avg => "@avg",
        Extractor::Variance => "@variance",
    }
}

fn arith(op: Arith) -> &'static str {
    match op {
        Arith::Add => "+",
        Arith::Sub => "-",
        Arith::Mul => "*",
        Arith::Div => "/",
        Arith::Mod => "%",
        Arith::And => "&",
        Arith::Or => "|",
        Arith::Xor => "^",
        Arith::Shl => "<<",
        Arith::Shr => ">>",
    }
}

fn compare(op: Compare) -> &'static str {
    match op {
        Compare::Eq => "==",
        Compare::Ne => "!=",
        Compare::Lt => "<",
        Compare::Le => "<=",
        Compare::Gt => ">",
        Compare::Ge => ">=",
    }
}
