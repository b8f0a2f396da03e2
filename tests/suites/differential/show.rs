//! Prints a program as a script, and gives every statement and expression its place in that text.
//!
//! So an error of the program names a line that its reader has before him, and the verifier's log quotes it.

mod exprs;

pub use exprs::extractor_name;

use crate::sample::Sample;
use tapster_compiler::hir::types::Type;
use tapster_compiler::hir::{ExprKind, Function, Global, Local, Slice, Stmt, StmtKind, Walked};
use tapster_compiler::host::SortBy;
use tapster_lang::Span;
use tapster_lang::ast::Literal;

/// The first position of a source map.
const FIRST: u32 = 1;

/// Prints a sample; its places are those of the only file in a source map.
pub fn show(sample: &mut Sample) -> String {
    let mut handler = std::mem::take(&mut sample.handler);
    let mut functions = std::mem::take(&mut sample.functions);
    let mut writer = Writer { text: String::new(), indent: 0, sample, locals: Vec::new(), names: Vec::new() };
    writer.names = functions.iter().map(|function| function.name.clone()).collect();
    let used = crate::used::Used::of(&functions, &handler);
    for (number, global) in writer.sample.globals.iter().enumerate() {
        if used.globals.contains(&number) {
            writer.text += &declaration(global);
        }
    }
    for (number, function) in functions.iter_mut().enumerate() {
        if used.functions.contains(&number) {
            writer.function(function);
        }
    }
    handler_text(&mut writer, &mut handler);
    let text = writer.text;
    (sample.handler, sample.functions) = (handler, functions);
    text
}

fn handler_text(writer: &mut Writer, handler: &mut tapster_compiler::hir::Handler) {
    writer.locals = handler.locals.clone();
    writer.text += "probe begin {\n";
    writer.list(&mut handler.body);
    writer.text += "}\n";
}

fn declaration(global: &Global) -> String {
    let size = if global.sized { format!("[{}]", global.max_entries) } else { String::new() };
    let init = match &global.init {
        None => String::new(),
        Some(Literal::Number(number)) => format!(" = {}", number_text(*number)),
        Some(Literal::String(bytes)) => format!(" = {}", quoted(bytes)),
    };
    let keys: Vec<&str> = global.keys.iter().flatten().map(|slot| slot.ty.name()).collect();
    let keys = if keys.is_empty() { String::new() } else { format!(" [{}]", keys.join(", ")) };
    format!("global {}{size}{init} // {}{keys}\n", global.name, global.value.ty.name())
}

/// A number as the language writes it: the smallest has no other way.
fn number_text(number: i64) -> String {
    if number == i64::MIN { "0x8000000000000000".into() } else { number.to_string() }
}

/// A string in quotes.
fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escaped(bytes))
}

/// What stands between the quotes.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text += &format!("\\{}", char::from(*byte)),
            b'\n' => text += "\\n",
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => text += &format!("\\{byte:03o}"),
        }
    }
    text
}

struct Writer<'a> {
    text: String,
    indent: usize,
    sample: &'a Sample,
    /// Variables of the body that is written.
    locals: Vec<Local>,
    /// Names of functions.
    names: Vec<String>,
}

impl Writer<'_> {
    fn position(&self) -> u32 {
        FIRST + self.text.len() as u32
    }

    fn since(&self, start: u32) -> Span {
        Span::new(start, self.position())
    }

    fn function(&mut self, function: &mut Function) {
        self.locals = function.handler.locals.clone();
        let start = self.position() + "function ".len() as u32;
        self.text += &format!("function {}", function.name);
        function.span = self.since(start);
        let params: Vec<String> = self.locals[..function.params]
            .iter()
            .map(|local| format!("{}:{}", local.name, local.slot.ty.name()))
            .collect();
        let result = match function.result.ty {
            Type::Unknown => String::new(),
            ty => format!(":{}", ty.name()),
        };
        self.text += &format!("{result}({}) {{\n", params.join(", "));
        self.list(&mut function.handler.body);
        self.text += "}\n";
    }

    fn list(&mut self, stmts: &mut [Stmt]) {
        self.indent += 1;
        for stmt in stmts {
            self.text += &"  ".repeat(self.indent);
            self.stmt(stmt);
            self.text.push('\n');
        }
        self.indent -= 1;
    }

    fn braces(&mut self, stmts: &mut [Stmt]) {
        self.text += "{\n";
        self.list(stmts);
        self.text += &format!("{}}}", "  ".repeat(self.indent));
    }

    fn stmt(&mut self, stmt: &mut Stmt) {
        let start = self.position();
        match &mut stmt.kind {
            StmtKind::Expr(e) => {
                self.outermost(e);
                self.text.push(';');
            }
            StmtKind::Block(stmts) => self.braces(stmts),
            StmtKind::If(cond, then, other) => {
                self.text += "if (";
                self.outermost(cond);
                self.text += ") ";
                self.stmt(then);
                if let Some(other) = other {
                    self.text += " else ";
                    self.stmt(other);
                }
            }
            StmtKind::Loop { cond, step: Some(step), body } => {
                self.text += "for (; ";
                self.outermost(cond);
                self.text += "; ";
                self.outermost(step);
                self.text += ") ";
                self.stmt(body);
            }
            StmtKind::Loop { cond, step: None, body } => {
                self.text += "while (";
                self.outermost(cond);
                self.text += ") ";
                self.stmt(body);
            }
            StmtKind::Foreach(walk) => self.foreach(walk),
            StmtKind::Break => self.text += "break;",
            StmtKind::Continue => self.text += "continue;",
            StmtKind::Next => self.text += "next;",
            StmtKind::Return(value) => {
                self.text += "return";
                if let Some(value) = value {
                    self.text.push(' ');
                    self.outermost(value);
                }
                self.text.push(';');
            }
            StmtKind::Delete(target) => {
                self.text += "delete ";
                self.target(target);
                self.text.push(';');
            }
            StmtKind::Try { body, message, catch } => {
                self.text += "try ";
                self.braces(body);
                self.text += " catch ";
                if let Some(message) = message {
                    self.text += &format!("({}) ", self.locals[*message].name);
                }
                self.braces(catch);
            }
            StmtKind::Handoff(_) => unreachable!("only checking makes these"),
        }
        stmt.span = self.since(start);
    }

    fn foreach(&mut self, walk: &mut tapster_compiler::hir::Foreach) {
        let Walked::Array(global, _) = walk.over else { unreachable!("nothing else is generated") };
        let SortBy::Key(by) = walk.sort.by else { unreachable!("nothing else is generated") };
        let mark = if walk.sort.descending { "-" } else { "+" };
        let name = |writer: &Self, local: usize| writer.locals[local].name.clone();
        let value = walk.value.map_or_else(String::new, |value| format!("{} = ", name(self, value)));
        let keys: Vec<String> = walk
            .keys
            .iter()
            .enumerate()
            .map(|(nth, key)| {
                let mark = if nth == by as usize { mark } else { "" };
                format!("{}{mark}", name(self, *key))
            })
            .collect();
        self.text += &format!("foreach ({value}[{}] in {}", keys.join(", "), self.sample.globals[global].name);
        if let Some(limit) = &mut walk.limit {
            self.text += " limit ";
            self.outermost(limit);
        }
        self.text += ") ";
        self.stmt(&mut walk.body);
    }

    fn slice(&mut self, slice: &mut Slice) {
        for (nth, key) in slice.iter_mut().enumerate() {
            self.text += if nth > 0 { ", " } else { "" };
            match key {
                Some(key) => self.outermost(key),
                None => self.text.push('*'),
            }
        }
    }

    fn args(&mut self, args: &mut [tapster_compiler::hir::Expr]) {
        for (nth, arg) in args.iter_mut().enumerate() {
            self.text += if nth > 0 { ", " } else { "" };
            self.outermost(arg);
        }
    }

    /// `g1` or `g1[1, "a"]`.
    fn indexed(&mut self, global: usize, keys: &mut [tapster_compiler::hir::Expr]) {
        self.text += &self.sample.globals[global].name.clone();
        if !keys.is_empty() {
            self.text.push('[');
            self.args(keys);
            self.text.push(']');
        }
    }
}

/// Whether an expression needs parentheses where it is a part of another.
fn is_compound(kind: &ExprKind) -> bool {
    match kind {
        ExprKind::Long(number) => *number < 0,
        ExprKind::Text(_)
        | ExprKind::Local(_)
        | ExprKind::Global(_)
        | ExprKind::Element(..)
        | ExprKind::Call(..)
        | ExprKind::Intrinsic(..)
        | ExprKind::Stat(..)
        | ExprKind::Format(..)
        | ExprKind::Print(..) => false,
        _ => true,
    }
}
