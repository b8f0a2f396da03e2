//! A program to try: a handler with what it uses, not yet bound to a side.

use tapster_compiler::hir::{Expr, ExprKind, Function, Global, Handler, Local, Slot, Stmt, StmtKind, Type};
use tapster_compiler::image::Format;
use tapster_compiler::intrinsic;
use tapster_lang::Span;

/// A program to try.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The seed it was made from.
    pub seed: u64,
    /// Bytes of a string with its NUL.
    pub max_string: u32,
    /// Whether to leave out what has no effect.
    pub elide: bool,
    /// Its globals.
    pub globals: Vec<Global>,
    /// Its functions.
    pub functions: Vec<Function>,
    /// Its only handler.
    pub handler: Handler,
    /// Formats of its prints.
    pub formats: Vec<Format>,
    /// Its regular expressions.
    pub regexes: Vec<Vec<u8>>,
}

/// A typed expression; [`crate::show`] gives it its place.
pub fn expr(kind: ExprKind, ty: Type) -> Expr {
    Expr { kind, ty, span: Span::NONE, at: Span::NONE, pointee: None }
}

/// A number.
pub fn long(kind: ExprKind) -> Expr {
    expr(kind, Type::Long)
}

/// A string.
pub fn text(kind: ExprKind) -> Expr {
    expr(kind, Type::String)
}

/// A call of a function of the table.
pub fn intrinsic_call(name: &str, args: Vec<Expr>) -> ExprKind {
    ExprKind::Intrinsic(
        intrinsic::find_taking(name, args.len()).expect("only functions of the table are asked for"),
        args,
    )
}

/// A statement.
pub fn stmt(kind: StmtKind) -> Stmt {
    Stmt { kind, span: Span::NONE }
}

/// An expression for its effect.
pub fn act(e: Expr) -> Stmt {
    stmt(StmtKind::Expr(e))
}

/// A variable of a type.
pub fn local(name: String, ty: Type) -> Local {
    Local { name, slot: slot(ty), assigned: true, ..Local::default() }
}

/// What holds a value of a type.
pub fn slot(ty: Type) -> Slot {
    Slot { ty, ..Slot::default() }
}
