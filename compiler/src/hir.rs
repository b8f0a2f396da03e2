//! A checked script: every name resolved, every expression typed, every probe at one place.
//!
//! This is data; [`crate::check`] makes it and [`crate::lower`] turns it into Cranelift IR. A probe point that names
//! several places has become several probes, each with its own copy of the handler, as `$variables` differ by place.

pub mod print;
pub mod reach;
pub mod types;
pub mod walk;

pub use types::{Shape, Type};

use crate::host::{Extractor, Sort};
use crate::image::{Attach, Counted, Format, ServedFile};
use crate::intrinsic::{Intrinsic, Memory};
use crate::kernel::btf::TypeId;
use crate::regex::Pattern;
use tapster_lang::Span;
use tapster_lang::ast::Literal;
use tapster_runtime_ebpf::aggregate::Layout;

/// A checked script.
#[derive(Debug, Default)]
pub struct Program {
    /// Globals; their number is their place here.
    pub globals: Vec<Global>,
    /// Functions; their number is their place here.
    pub functions: Vec<Function>,
    /// Probes in the order of the script.
    pub probes: Vec<Probe>,
    /// Formats of printing statements.
    pub formats: Vec<Format>,
    /// Patterns of `=~`.
    pub regexes: Vec<Pattern>,
    /// Whether anything asks what the last `=~` found.
    pub remembers_match: bool,
    /// What kernel handlers leave to user space.
    pub handoffs: Vec<Handoff>,
    /// Files that the script serves.
    pub served: Vec<ServedFile>,
}

impl Program {
    /// Every body of statements with its variables: functions first, then probes, then handoffs.
    pub fn handlers_mut(&mut self) -> impl Iterator<Item = &mut Handler> {
        let functions = self.functions.iter_mut().map(|function| &mut function.handler);
        let probes = self.probes.iter_mut().map(|probe| &mut probe.handler);
        functions.chain(probes).chain(self.handoffs.iter_mut().map(|handoff| &mut handoff.handler))
    }
}

/// The rest of a kernel handler, which runs in user space.
#[derive(Clone, Debug)]
pub struct Handoff {
    /// The probe it belongs to.
    pub probe: usize,
    /// The probe's variables, and what is left to do.
    pub handler: Handler,
    /// Variables whose values come from the kernel.
    pub captures: Vec<LocalId>,
    /// The kernel's part goes on behind it: this is one statement that nothing there depends on.
    pub aside: bool,
}

/// A function of the script.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its name in its definition.
    pub span: Span,
    /// How many of the first locals are parameters.
    pub params: usize,
    /// Its variables and its body.
    pub handler: Handler,
    /// What it returns; of unknown type where it returns nothing.
    pub result: Slot,
    /// The place that gave the result its type.
    pub result_from: Span,
    /// Whether the script wrote the result's type.
    pub typed: bool,
    /// The overload that `next` passes to.
    pub next: Option<FunctionId>,
    /// Whether it has a `next`.
    pub passes: bool,
    /// Whether calling it does something beside giving a result.
    pub effect: bool,
    /// Whether it can reach itself.
    pub recursive: bool,
    /// Its body is C, which cannot be compiled.
    pub embedded: Option<Span>,
    /// Whether it comes from a library file: nobody is warned about those.
    pub library: bool,
    /// What its result points to, where that is known.
    pub pointee: Option<TypeId>,
}

/// Something that holds a value: a variable, a key's part, an element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Its type.
    pub ty: Type,
    /// How it is held, for strings.
    pub shape: Shape,
}

/// A global variable.
#[derive(Clone, Debug, Default)]
pub struct Global {
    /// Its name.
    pub name: String,
    /// Its declaration.
    pub span: Span,
    /// The slots of its key; `None` until a use says so, empty for a scalar.
    pub keys: Option<Vec<Slot>>,
    /// The use that said so.
    pub keys_from: Span,
    /// Its value, or its elements'.
    pub value: Slot,
    /// The place that gave the value its type.
    pub value_from: Span,
    /// What the script gives it at the start.
    pub init: Option<Literal>,
    /// `[N]` or MAXMAPENTRIES.
    pub max_entries: u32,
    /// Whether the script gave the size.
    pub sized: bool,
    /// `%`: the oldest element gives way when the array is full.
    pub wrap: bool,
    /// The parts of a statistic that are read.
    pub layout: Layout,
    /// Where a walk sorts by an extractor: it must be a statistic.
    pub sorted_by_extractor: Option<Span>,
    /// What it, or its elements, point to, where that is known.
    pub pointee: Option<TypeId>,
    /// Whether anything writes it.
    pub written: bool,
    /// Whether anything reads it.
    pub read: bool,
    /// Whether a `foreach` walks over it: the order of its elements can be seen.
    pub walked: bool,
    /// Whether a kernel handler uses it.
    pub in_kernel: bool,
    /// How many kernel handlers write it: more than one may nest on one CPU.
    pub kernel_writers: u32,
    /// Whether user handlers add to it while kernel handlers run: a statistic that the kernel does not see all of.
    pub added_in_user: bool,
}

impl Probe {
    /// How many places it stands at.
    pub fn places(&self) -> usize {
        self.sites.len().max(1)
    }
}

impl Global {
    /// Whether it has keys.
    pub fn is_array(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| !keys.is_empty())
    }
}

/// A probe at one place.
#[derive(Clone, Debug)]
pub struct Probe {
    /// What `pp()` says; where several places share the handler, the point that stands for all of them.
    pub point: String,
    /// What `pp()` says at each of several places that share this handler.
    pub sites: Vec<String>,
    /// What `pn()` says: the point as the script wrote it, perhaps an alias.
    pub name: String,
    /// One of the places that a pattern stands for: what the kernel refuses is passed over.
    pub lenient: bool,
    /// The probe definition.
    pub span: Span,
    /// Where it stands.
    pub place: Place,
    /// What happens there.
    pub handler: Handler,
}

/// Where a probe stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// In user space.
    User(crate::image::When),
    /// Nowhere.
    Never,
    /// At a place in the kernel.
    Kernel {
        /// Program type and target.
        attach: Attach,
        /// Why this rung.
        why: Vec<String>,
    },
}

/// A handler's body with its variables.
#[derive(Clone, Debug, Default)]
pub struct Handler {
    /// Local variables; their number is their place here.
    pub locals: Vec<Local>,
    /// The body.
    pub body: Vec<Stmt>,
}

/// A local variable.
#[derive(Clone, Debug, Default)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// Its first mention.
    pub span: Span,
    /// What it holds.
    pub slot: Slot,
    /// The place that gave it its type.
    pub from: Span,
    /// Whether anything assigns it.
    pub assigned: bool,
    /// It is not the script's: it holds what a pretty-printed variable reads, and is set at one place.
    pub hidden: bool,
    /// What it points to, where that is known.
    pub pointee: Option<TypeId>,
}

/// Number of a function.
pub type FunctionId = usize;
/// Number of a local.
pub type LocalId = usize;
/// Number of a global.
pub type GlobalId = usize;

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// Its text.
    pub span: Span,
}

/// What a statement is.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// An expression for its effect.
    Expr(Expr),
    /// Several.
    Block(Vec<Stmt>),
    /// `if`
    If(Expr, Box<Stmt>, Option<Box<Stmt>>),
    /// `while`, and `for` with its step.
    Loop {
        /// Goes on while this is true.
        cond: Expr,
        /// After each round, and after `continue`.
        step: Option<Expr>,
        /// What is done.
        body: Box<Stmt>,
    },
    /// `foreach`
    Foreach(Box<Foreach>),
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// `next`: leaves the handler; in a function, passes to the next overload.
    Next,
    /// `return`
    Return(Option<Expr>),
    /// User space goes on with the handoff of this number; the kernel's part ends, unless it is one aside.
    Handoff(usize),
    /// `delete`
    Delete(Target),
    /// `try`
    Try {
        /// What may fail.
        body: Vec<Stmt>,
        /// The local that gets the message.
        message: Option<LocalId>,
        /// What is done when it did.
        catch: Vec<Stmt>,
    },
}

/// A walk over an array, or over the buckets of a histogram.
#[derive(Clone, Debug)]
pub struct Foreach {
    /// What is walked.
    pub over: Walked,
    /// A local for each key, or for the bucket's number.
    pub keys: Vec<LocalId>,
    /// A local for the value.
    pub value: Option<LocalId>,
    /// The order.
    pub sort: Sort,
    /// At most so many.
    pub limit: Option<Expr>,
    /// What is done.
    pub body: Stmt,
}

/// What a `foreach` walks.
#[derive(Clone, Debug)]
pub enum Walked {
    /// An array; where a slice is given, the elements whose keys equal those that are.
    Array(GlobalId, Slice),
    /// The buckets of a statistic; the keys are empty for a scalar.
    Buckets(GlobalId, Vec<Expr>),
}

/// Keys of which some may be any: `a[1, *]`. Empty stands for all elements.
pub type Slice = Vec<Option<Expr>>;

/// Something that can be written.
#[derive(Clone, Debug)]
pub enum Target {
    /// A local.
    Local(LocalId),
    /// A scalar global, or a whole array.
    Global(GlobalId),
    /// An element.
    Element(GlobalId, Vec<Expr>),
    /// Several elements, which can only be deleted.
    Slice(GlobalId, Slice),
}

/// What an assignment does with the old value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modify {
    /// `+=` and its kind.
    Arith(Arith),
    /// `.=`
    Append,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its type.
    pub ty: Type,
    /// Its text.
    pub span: Span,
    /// The token that messages name: the operator, the name that is called.
    pub at: Span,
    /// What it points to, where that is known.
    pub pointee: Option<TypeId>,
}

/// Arithmetic of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after its operator")]
pub enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
    Shl,
    Shr,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after its operator")]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// Where an argument of a probe comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ArgSource {
    /// The n-th 64-bit word of the context: fentry, tp_btf.
    Word(u32),
    /// The same, of a type that old verifiers load from no context: copied out of it.
    CopiedWord(u32),
    /// A register saved at this byte offset of `struct pt_regs`: kprobe.
    Register(u32),
    /// Worked out of registers and memory of the process.
    Value(Computed),
    /// In the process's memory, at an address that is worked out.
    Memory(Computed),
    /// The current task's structure.
    Task,
    /// What is reached from the current task by pointers at these offsets; 0 where one leads nowhere.
    Reach(Vec<u32>),
    /// What this CPU has counted of an event.
    Counter(Counted),
    /// Whether the kernel's function goes back to code that lies in one of these ranges: from, to.
    CalledFrom(Vec<(u64, u64)>),
    /// The slab cache of the object at that address, by the kfunc with this BTF id.
    CacheOf(Box<ArgSource>, TypeId),
}

/// What an argument is worked out by; no two are known to be the same.
#[derive(Clone, Debug)]
pub struct Computed(pub Box<Expr>);

impl PartialEq for Computed {
    fn eq(&self, _: &Computed) -> bool {
        false
    }
}

/// A read of memory.
#[derive(Clone, Debug)]
pub struct Load {
    /// Whose.
    pub memory: Memory,
    /// The address, before the offset.
    pub base: Box<Expr>,
    /// Bytes to add.
    pub offset: u32,
    /// Bytes to read: 1, 2, 4 or 8.
    pub size: u8,
    /// Whether to extend the sign.
    pub signed: bool,
    /// First bit and width of a bit field.
    pub bits: Option<(u8, u8)>,
    /// The verifier knows the type behind the base: a plain load will do.
    pub direct: bool,
    /// `struct.member`, where it was asked for by name.
    pub field: String,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number.
    Long(i64),
    /// A string.
    Text(Vec<u8>),
    /// A local's value.
    Local(LocalId),
    /// A scalar global's value.
    Global(GlobalId),
    /// An element's value.
    Element(GlobalId, Vec<Expr>),
    /// An argument of the probe.
    Arg {
        /// Where it comes from.
        source: ArgSource,
        /// Bytes of its type.
        size: u8,
        /// Whether its type is signed.
        signed: bool,
        /// The verifier knows its type.
        typed: bool,
    },
    /// A read of memory.
    Load(Load),
    /// A function of the script.
    Call(FunctionId, Vec<Expr>),
    /// A function of the table.
    Intrinsic(&'static Intrinsic, Vec<Expr>),
    /// `-`, of a number.
    Neg(Box<Expr>),
    /// `~`
    BitNot(Box<Expr>),
    /// `!`
    Not(Box<Expr>),
    /// Arithmetic.
    Arith(Arith, Box<Expr>, Box<Expr>),
    /// A comparison of two numbers or two strings.
    Compare(Compare, Box<Expr>, Box<Expr>),
    /// `&&`
    And(Box<Expr>, Box<Expr>),
    /// `||`
    Or(Box<Expr>, Box<Expr>),
    /// `? :`
    Choose(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `.`
    Concat(Box<Expr>, Box<Expr>),
    /// `=~`, of the pattern with this number; `true` for `!~`.
    Match(Box<Expr>, usize, bool),
    /// `=`, and `+=` with its operator.
    Assign(Target, Option<Modify>, Box<Expr>),
    /// `++`, `--`: the change, and whether the new value is the result.
    Step(Target, i64, bool),
    /// `<<<`; the keys are empty for a scalar.
    Aggregate(GlobalId, Vec<Expr>, Box<Expr>),
    /// `@count` and its kind.
    Stat(Extractor, GlobalId, Vec<Expr>),
    /// `in`
    In(GlobalId, Slice),
    /// A printing statement: format and arguments.
    Print(usize, Vec<Expr>),
    /// `sprint` and its kind: what a printing statement would print.
    Format(usize, Vec<Expr>),
    /// The text of `@hist_…(s)`, as an argument of a print; the keys are empty for a scalar.
    Histogram(GlobalId, Vec<Expr>),
    /// A bucket of a histogram: statistic, keys, number.
    Bucket(GlobalId, Vec<Expr>, Box<Expr>),
}
