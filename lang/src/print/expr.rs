//! Expressions as text.

use super::Joined;
use crate::ast::{Access, AssignOp, BinaryOp, Expr, ExprKind, Literal, PrintOp, UnaryOp};
use crate::literal;
use std::fmt::{self, Display, Formatter, Write};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            // A negative number came from one above 2^63: as `-1` it would be read as an operator.
            ExprKind::Literal(Literal::Number(value)) => value.cast_unsigned().fmt(f),
            ExprKind::Literal(value) => value.fmt(f),
            ExprKind::Var(name) => f.write_str(name),
            ExprKind::Index(name, indexes) => write!(f, "{}[{}]", name.name, Joined(indexes, ", ")),
            ExprKind::Call(name, args) => write!(f, "{}({})", name.name, Joined(args, ", ")),
            ExprKind::Print(op, args) => write!(f, "{op}({})", Joined(args, ", ")),
            ExprKind::Unary(op, value) => write!(f, "{op}({value})"),
            ExprKind::Binary(op, left, right) => write!(f, "({left}) {op} ({right})"),
            ExprKind::Ternary(condition, then, other) => write!(f, "({condition})?({then}):({other})"),
            ExprKind::Assign(op, left, right) => write!(f, "({left}) {op} ({right})"),
            ExprKind::Step { target, down, prefix } => step(f, target, *down, *prefix),
            ExprKind::In(keys, array) => write!(f, "[{}] in {}", Joined(keys, ", "), array.name),
            ExprKind::Match { subject, negated, pattern } => {
                let op = if *negated { "!~" } else { "=~" };
                write!(f, "({subject}) {op} {}", literal::quote(&pattern.0))
            }
            ExprKind::Target(name, path) => write!(f, "{}{}", name.name, Joined(path, "")),
            ExprKind::AddressOf(value) => match value.kind {
                ExprKind::Target(..) | ExprKind::Cast { .. } | ExprKind::GlobalVar { .. } | ExprKind::Deref(..) => {
                    write!(f, "&{value}")
                }
                _ => write!(f, "&({value})"),
            },
            ExprKind::Deref(value, path) => write!(f, "({value}){}", Joined(path, "")),
            ExprKind::Stat(extractor, stat, None) => write!(f, "{extractor}({stat})"),
            ExprKind::Stat(extractor, stat, Some(shift)) => write!(f, "{extractor}({stat}, {shift})"),
            ExprKind::HistLog(stat) => write!(f, "@hist_log({stat})"),
            ExprKind::HistLinear(stat, params) => write!(f, "@hist_linear({stat}, {})", Joined(params, ", ")),
            ExprKind::Bucket(histogram, index) => write!(f, "{histogram}[{index}]"),
            ExprKind::Defined(value) => write!(f, "@defined({value})"),
            ExprKind::Cast { value, ty, module, path } => {
                write!(f, "@cast({value}, {}", literal::quote(&ty.0))?;
                source(f, module, path)
            }
            ExprKind::GlobalVar { name, module, path } => {
                write!(f, "@var({}", literal::quote(&name.0))?;
                source(f, module, path)
            }
            ExprKind::Operator(name, args) => write!(f, "{}({})", name.name, Joined(args, ", ")),
            ExprKind::EmbeddedC(code) => code.fmt(f),
        }
    }
}

fn step(f: &mut Formatter<'_>, target: &Expr, down: bool, prefix: bool) -> fmt::Result {
    let op = if down { "--" } else { "++" };
    if prefix { write!(f, "{op}({target})") } else { write!(f, "({target}){op}") }
}

/// The end of `@cast` and `@var`: where the type is looked for, and the steps behind.
fn source(f: &mut Formatter<'_>, module: &Option<(Vec<u8>, crate::Span)>, path: &[Access]) -> fmt::Result {
    if let Some((module, _)) = module {
        write!(f, ", {}", literal::quote(module))?;
    }
    write!(f, "){}", Joined(path, ""))
}

impl Display for Access {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Access::Member(name) => write!(f, "->{}", name.name),
            Access::Index(index) => write!(f, "[{index}]"),
            Access::Pretty { deep, .. } => f.write_str(if *deep { "->$$" } else { "->$" }),
        }
    }
}

impl Display for PrintOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.char {
            return f.write_str("print_char");
        }
        let mark = |is: bool, mark: &'static str| if is { mark } else { "" };
        f.write_str(mark(self.to_string, "s"))?;
        f.write_str("print")?;
        f.write_str(mark(self.format, "f"))?;
        f.write_str(mark(self.delimited, "d"))?;
        f.write_str(mark(self.newline, "ln"))
    }
}

impl Display for UnaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char(match self {
            UnaryOp::Plus => '+',
            UnaryOp::Minus => '-',
            UnaryOp::Not => '!',
            UnaryOp::BitNot => '~',
        })
    }
}

impl Display for AssignOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            AssignOp::Set => f.write_str("="),
            AssignOp::Aggregate => f.write_str("<<<"),
            AssignOp::Compound(op) => write!(f, "{op}="),
        }
    }
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BinaryOp::LogicalOr => "||",
            BinaryOp::LogicalAnd => "&&",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
            BinaryOp::BitAnd => "&",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::ShiftLeft => "<<",
            BinaryOp::ShiftRight => ">>",
            BinaryOp::ShiftRightUnsigned => ">>>",
            BinaryOp::Concat => ".",
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Mod => "%",
        })
    }
}
