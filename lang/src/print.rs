//! The tree as text, in the layout of `stap -p1`: one statement a line, every operand in parentheses.
//!
//! What is printed parses again to the same tree, places apart. For that it keeps what SystemTap's dump drops (types,
//! priorities, `private`), leaves forms in the order of the text, and ends no block with a `;`.

mod expr;

use crate::ast::{
    Alias, Block, Component, EmbeddedC, Expr, Extractor, Foreach, Function, FunctionBody, Global, Index, Item, Literal,
    Param, Probe, ProbePoint, Script, SortBy, SortOrder, Stmt, StmtKind, TypeName, Walked,
};
use crate::{literal, source::bytes};
use std::fmt::{self, Display, Formatter, Write};

/// The dump of one file under its name, as `stap -p1` heads it.
pub fn print(name: &str, script: &Script) -> String {
    let mut out = String::from("# parse tree dump\n");
    let _ = writeln!(out, "# file {}\n{script}", bytes::printable(name));
    out
}

/// Parts with something between them.
struct Joined<'a, T>(&'a [T], &'static str);

impl<T: Display> Display for Joined<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(self.1)?;
            }
            part.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.items.iter().try_for_each(|item| writeln!(f, "{item}"))
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Item::Global(global) => global.fmt(f),
            Item::Function(function) => function.fmt(f),
            Item::Probe(probe) => probe.fmt(f),
            Item::Alias(alias) => alias.fmt(f),
            Item::EmbeddedC(code) => code.fmt(f),
        }
    }
}

impl Display for EmbeddedC {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "%{{{}%}}", self.text)
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Number(value) => value.fmt(f),
            Literal::String(value) => f.write_str(&literal::quote(value)),
        }
    }
}

fn privacy(private: bool) -> &'static str {
    if private { "private " } else { "" }
}

impl Display for Global {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}global {}", privacy(self.private), self.name.name)?;
        if self.wrap {
            f.write_char('%')?;
        }
        if let Some((size, _)) = self.size {
            write!(f, "[{size}]")?;
        }
        match &self.init {
            Some((value, _)) => write!(f, " = {value}"),
            None => Ok(()),
        }
    }
}

impl Display for TypeName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TypeName::Long => "long",
            TypeName::String => "string",
        })
    }
}

impl Display for Param {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name.name)?;
        self.ty.map_or(Ok(()), |ty| write!(f, ":{ty}"))
    }
}

impl Display for Function {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}function {}", privacy(self.private), self.name.name)?;
        if let Some(ty) = self.result {
            write!(f, ":{ty}")?;
        }
        write!(f, " ({})", Joined(&self.params, ", "))?;
        if let Some((priority, _)) = self.priority {
            write!(f, ":{priority}")?;
        }
        match &self.body {
            FunctionBody::Script(block) => write!(f, "\n{block}"),
            FunctionBody::EmbeddedC(code) => write!(f, "\n{code}"),
        }
    }
}

impl Display for Probe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "probe {}{}", Joined(&self.points, ","), self.body)
    }
}

impl Display for Alias {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let op = if self.epilogue { "+=" } else { "=" };
        write!(f, "probe {} {op} {}{}", Joined(&self.names, " = "), Joined(&self.points, ", "), self.body)?;
        self.after.as_ref().map_or(Ok(()), |after| write!(f, ", {after}"))
    }
}

impl Display for ProbePoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Joined(&self.components, ".").fmt(f)?;
        match (self.sufficient, self.optional) {
            (true, _) => f.write_char('!')?,
            (_, true) => f.write_char('?')?,
            _ => {}
        }
        self.condition.as_ref().map_or(Ok(()), |condition| write!(f, " if ({condition})"))
    }
}

impl Display for Component {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name.name)?;
        self.arg.as_ref().map_or(Ok(()), |(arg, _)| write!(f, "({arg})"))
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("{\n")?;
        self.stmts.iter().try_for_each(|stmt| writeln!(f, "{stmt}"))?;
        f.write_char('}')
    }
}

impl Display for Stmt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            StmtKind::Expr(expr) => write!(f, "{expr};"),
            StmtKind::Block(block) => block.fmt(f),
            StmtKind::Null => f.write_char(';'),
            StmtKind::If(condition, then, None) => write!(f, "if ({condition}) {then}"),
            StmtKind::If(condition, then, Some(other)) => write!(f, "if ({condition}) {then}\nelse {other}"),
            StmtKind::While(condition, body) => write!(f, "while ({condition}) {body}"),
            StmtKind::For(init, condition, step, body) => {
                let part = |part: &Option<Expr>| part.as_ref().map_or_else(String::new, Expr::to_string);
                write!(f, "for ({}; {}; {}) {body}", part(init), part(condition), part(step))
            }
            StmtKind::Foreach(foreach) => foreach.fmt(f),
            StmtKind::Break => f.write_str("break;"),
            StmtKind::Continue => f.write_str("continue;"),
            StmtKind::Return(None) => f.write_str("return;"),
            StmtKind::Return(Some(value)) => write!(f, "return {value};"),
            StmtKind::Next => f.write_str("next;"),
            StmtKind::Delete(target) => write!(f, "delete {target};"),
            StmtKind::Try(body, None, handler) => write!(f, "try {body} catch {handler}"),
            StmtKind::Try(body, Some(variable), handler) => write!(f, "try {body} catch ({}) {handler}", variable.name),
            StmtKind::EmbeddedC(code) => write!(f, "{code};"),
        }
    }
}

impl Display for Foreach {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("foreach (")?;
        if let Some(value) = &self.value {
            write!(f, "{} = ", value.name)?;
        }
        f.write_char('[')?;
        let sort = self.sort.map(|(by, order, _)| (by, if order == SortOrder::Ascending { "+" } else { "-" }));
        for (index, key) in self.keys.iter().enumerate() {
            let mark = sort.filter(|(by, _)| *by == SortBy::Key(index)).map_or("", |(_, mark)| mark);
            write!(f, "{}{}{mark}", if index > 0 { ", " } else { "" }, key.name)?;
        }
        write!(f, "] in {}", self.over)?;
        match sort {
            Some((SortBy::Value(None), mark)) => f.write_str(mark)?,
            Some((SortBy::Value(Some(extractor)), mark)) => write!(f, " {extractor}{mark}")?,
            _ => {}
        }
        if let Some(limit) = &self.limit {
            write!(f, " limit {limit}")?;
        }
        write!(f, ") {}", self.body)
    }
}

impl Display for Walked {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Walked::Array(name, slice) if slice.is_empty() => f.write_str(&name.name),
            Walked::Array(name, slice) => write!(f, "{}[{}]", name.name, Joined(slice, ", ")),
            Walked::Histogram(histogram) => histogram.fmt(f),
        }
    }
}

impl Display for Index {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Index::Expr(expr) => expr.fmt(f),
            Index::Any(_) => f.write_char('*'),
        }
    }
}

impl Display for Extractor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Extractor::Count => "@count",
            Extractor::Sum => "@sum",
            Extractor::Min => "@min",
            Extractor::Max => "@max",
            Extractor::Avg => "@avg",
            Extractor::Variance => "@variance",
        })
    }
}
