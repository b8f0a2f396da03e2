//! The syntax tree of a script: data that holds what was written, and nothing it means.
//!
//! Every node has the [`Span`] of its text. Names are kept as written; what they refer to is found by the compiler.

use crate::source::Span;

/// One script or tapset file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Script {
    /// Top-level forms, in the order of the text.
    pub items: Vec<Item>,
    /// Whether it is a file of the library, not the user's.
    pub library: bool,
}

/// A name with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ident {
    /// The name as written; target variables keep their `$`, operators their `@`.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

/// A top-level form.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `global a, b[10] = …`, one entry a name.
    Global(Global),
    /// `function f(…) { … }`.
    Function(Function),
    /// `probe p, q { … }`.
    Probe(Probe),
    /// `probe name = p, q { … }` and `probe name += …`.
    Alias(Alias),
    /// `%{ … %}` at top level.
    EmbeddedC(EmbeddedC),
}

/// C code between `%{` and `%}`, uninterpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedC {
    /// The text between the marks.
    pub text: String,
    /// Marks included.
    pub span: Span,
}

/// A literal value, as allowed in initialisers and probe point arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// A number, wrapped into 64 bits.
    Number(i64),
    /// A string with its escapes already read. Bytes, because `\xff` is no UTF-8.
    String(Vec<u8>),
}

/// One global variable.
#[derive(Debug, Clone, PartialEq)]
pub struct Global {
    /// Its name.
    pub name: Ident,
    /// Visible in its own file only.
    pub private: bool,
    /// `%` after the name: the oldest element gives way when the array is full.
    pub wrap: bool,
    /// `[N]`: how many elements fit.
    pub size: Option<(u64, Span)>,
    /// `= literal`.
    pub init: Option<(Literal, Span)>,
}

/// The type written after a function's name or parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeName {
    /// `:long`
    Long,
    /// `:string`
    String,
}

/// A function parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: Ident,
    /// Its type, where written.
    pub ty: Option<TypeName>,
}

/// A function definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: Ident,
    /// Visible in its own file only.
    pub private: bool,
    /// The result's type, where written.
    pub result: Option<TypeName>,
    /// Parameters, passed by value.
    pub params: Vec<Param>,
    /// `:N` after the parameters: overloads are tried from the lowest.
    pub priority: Option<(i64, Span)>,
    /// What it does.
    pub body: FunctionBody,
    /// From `function` to the end of the body.
    pub span: Span,
}

/// What a function does.
#[derive(Debug, Clone, PartialEq)]
pub enum FunctionBody {
    /// A block of the language.
    Script(Block),
    /// `%{ C %}`.
    EmbeddedC(EmbeddedC),
}

/// A probe definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The points it stands at.
    pub points: Vec<ProbePoint>,
    /// What happens there.
    pub body: Block,
    /// From `probe` to the end of the body.
    pub span: Span,
}

/// A probe alias definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    /// The names it defines, as dotted points without arguments (`probe a.b = c.d = …` defines two).
    pub names: Vec<ProbePoint>,
    /// `+=`: the body runs after the user's handler instead of before it.
    pub epilogue: bool,
    /// The points it stands for.
    pub points: Vec<ProbePoint>,
    /// The body.
    pub body: Block,
    /// A second block, `{ prologue }, { epilogue }`.
    pub after: Option<Block>,
    /// From `probe` to the end.
    pub span: Span,
}

/// One probe point: `kernel.function("x").return ? if (cond)`. Braces are already multiplied out.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbePoint {
    /// `.`-separated parts.
    pub components: Vec<Component>,
    /// `?`: may match nothing.
    pub optional: bool,
    /// `!`: if it matches, later points of the list are dropped.
    pub sufficient: bool,
    /// `if (…)`: armed only while this is true.
    pub condition: Option<Expr>,
    /// The whole point.
    pub span: Span,
}

/// One part of a probe point.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Its name, may hold `*`.
    pub name: Ident,
    /// Its argument.
    pub arg: Option<(Literal, Span)>,
}

/// Statements between braces.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Block {
    /// In order.
    pub stmts: Vec<Stmt>,
    /// Braces included.
    pub span: Span,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// Its text.
    pub span: Span,
}

/// What a statement is.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "few statements are loops, but most of those expressions would be boxed twice"
)]
pub enum StmtKind {
    /// `e`
    Expr(Expr),
    /// `{ … }`
    Block(Block),
    /// `;`
    Null,
    /// `if (c) s else s`
    If(Expr, Box<Stmt>, Option<Box<Stmt>>),
    /// `while (c) s`
    While(Expr, Box<Stmt>),
    /// `for (init; cond; step) s`
    For(Option<Expr>, Option<Expr>, Option<Expr>, Box<Stmt>),
    /// `foreach (…) s`
    Foreach(Box<Foreach>),
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `return e`
    Return(Option<Expr>),
    /// `next`
    Next,
    /// `delete lvalue`
    Delete(Expr),
    /// `try { } catch (var) { }`
    Try(Block, Option<Ident>, Block),
    /// `%{ … %}` as a statement.
    EmbeddedC(EmbeddedC),
}

/// The order of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortOrder {
    /// `+`
    Ascending,
    /// `-`
    Descending,
}

/// What a walk is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// The n-th key variable.
    Key(usize),
    /// The value, or an extractor of it; `None` is the plain mark after the array or value.
    Value(Option<Extractor>),
}

/// `foreach (value = [k1, k2] in array[slice] sort limit n) body`
#[derive(Debug, Clone, PartialEq)]
pub struct Foreach {
    /// `value =`
    pub value: Option<Ident>,
    /// Key variables.
    pub keys: Vec<Ident>,
    /// What is walked.
    pub over: Walked,
    /// The mark, with its place.
    pub sort: Option<(SortBy, SortOrder, Span)>,
    /// `limit e`
    pub limit: Option<Expr>,
    /// What happens each time.
    pub body: Stmt,
}

/// What a `foreach` walks.
#[derive(Debug, Clone, PartialEq)]
pub enum Walked {
    /// An array, with the slice's indexes where given.
    Array(Ident, Vec<Index>),
    /// The buckets of `@hist_log(s)` or `@hist_linear(s, …)`.
    Histogram(Expr),
}

/// An index of an array access: `*` stands for every key.
#[derive(Debug, Clone, PartialEq)]
pub enum Index {
    /// `e`
    Expr(Expr),
    /// `*`
    Any(Span),
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its text.
    pub span: Span,
    /// The token that messages name: the operator, the name that is called or indexed, or the text itself.
    pub at: Span,
}

/// An extractor of a statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extractor {
    /// `@count`
    Count,
    /// `@sum`
    Sum,
    /// `@min`
    Min,
    /// `@max`
    Max,
    /// `@avg`
    Avg,
    /// `@variance`
    Variance,
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named after its operator")]
pub enum BinaryOp {
    LogicalOr,
    LogicalAnd,
    BitOr,
    BitXor,
    BitAnd,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    ShiftLeft,
    ShiftRight,
    /// `>>>` parses and is refused when checked.
    ShiftRightUnsigned,
    Concat,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

/// A prefix operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is named after its operator")]
pub enum UnaryOp {
    Plus,
    Minus,
    Not,
    BitNot,
}

/// An assignment operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssignOp {
    /// `=`
    Set,
    /// `<<<`
    Aggregate,
    /// `+=` and its kind.
    Compound(BinaryOp),
}

/// Where the pieces of a printing call go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrintOp {
    /// `sprint…`: gives a string instead of writing one.
    pub to_string: bool,
    /// `…f`: the first argument is a format.
    pub format: bool,
    /// `…d`: the first argument is a delimiter.
    pub delimited: bool,
    /// `…ln`: a newline at the end.
    pub newline: bool,
    /// `print_char`.
    pub char: bool,
}

/// One step from a target variable: `->f`, `[i]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Access {
    /// `->name`
    Member(Ident),
    /// `[e]`
    Index(Expr),
    /// `$` or `$$` at the end: pretty print, the second one with nested structures.
    Pretty {
        /// `$$`
        deep: bool,
        /// The mark.
        span: Span,
    },
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A literal.
    Literal(Literal),
    /// A variable.
    Var(String),
    /// `a[i, *]`
    Index(Ident, Vec<Index>),
    /// `f(…)`
    Call(Ident, Vec<Expr>),
    /// `print…(…)`
    Print(PrintOp, Vec<Expr>),
    /// `- e`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `a ? b : c`
    Ternary(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `a = b`
    Assign(AssignOp, Box<Expr>, Box<Expr>),
    /// `++a`, `a++`, `--a`, `a--`
    Step {
        /// What is counted.
        target: Box<Expr>,
        /// `--`
        down: bool,
        /// Before the operand: the new value is the result.
        prefix: bool,
    },
    /// `[a, *] in array`
    In(Vec<Index>, Ident),
    /// `e =~ "re"`, negated for `!~`
    Match {
        /// The string.
        subject: Box<Expr>,
        /// `!~`
        negated: bool,
        /// The pattern, always a literal.
        pattern: (Vec<u8>, Span),
    },
    /// `$name->f[i]$`
    Target(Ident, Vec<Access>),
    /// `&$name->f`
    AddressOf(Box<Expr>),
    /// `p->f` where `p` is an expression with a pointer's type: autocast.
    Deref(Box<Expr>, Vec<Access>),
    /// `@count(s)` and its kind; `@variance` may have a bit shift.
    Stat(Extractor, Box<Expr>, Option<i64>),
    /// `@hist_log(s)`
    HistLog(Box<Expr>),
    /// `@hist_linear(s, low, high, interval)`
    HistLinear(Box<Expr>, [i64; 3]),
    /// `@hist_log(s)[i]`
    Bucket(Box<Expr>, Box<Expr>),
    /// `@defined(e)`
    Defined(Box<Expr>),
    /// `@cast(e, "type", "module")->f`
    Cast {
        /// The pointer.
        value: Box<Expr>,
        /// The type's name.
        ty: (Vec<u8>, Span),
        /// Where to look for it.
        module: Option<(Vec<u8>, Span)>,
        /// What follows.
        path: Vec<Access>,
    },
    /// `@var("name@file", "module")->f`
    GlobalVar {
        /// The variable.
        name: (Vec<u8>, Span),
        /// Where to look for it.
        module: Option<(Vec<u8>, Span)>,
        /// What follows.
        path: Vec<Access>,
    },
    /// `@entry(e)`, `@perf("x")`, `@const("X")`, `@enum("X")`, `@enumname(e, …)`, `@probewrite(v)`, `@kderef(n, a)` …
    Operator(Ident, Vec<Expr>),
    /// `%{ … %}` as an expression.
    EmbeddedC(EmbeddedC),
}
