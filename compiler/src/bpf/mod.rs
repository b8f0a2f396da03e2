//! The eBPF back end: from Cranelift IR to instructions the kernel's verifier accepts.
//!
//! [`compile`] turns one function into [`Code`]; [`link`] puts an entry function and the subprograms it reaches one after the
//! other. What an external name of the IR means (a helper, a map, a subprogram) is asked from the caller through [`Resolver`],
//! which is the only thing the back end knows about lowering. It never optimises beyond selection: moving a bounds check away
//! from what it guards is how programs get rejected. It does not open maps, load programs or know what kernel it runs on.
//!
//! The steps, one file each:
//!
//! | file | step |
//! |---|---|
//! | `flow` | reachable blocks in order, critical edges split, branches on constants folded |
//! | `facts` | what is known of each value: constant, stack address, map, bits that may be set |
//! | `select` | IR instructions to [`vcode`], backwards, so that what nobody uses is never selected |
//! | `allocate` | regalloc2 |
//! | `emit` | instructions, jump offsets, line records |
//! | `link` | functions to one program |
//!
//! [`disasm`], [`btf_writer`] and [`object`] are for whoever holds the result.
pub mod btf_writer;
mod copies;
pub mod disasm;
pub mod object;

mod allocate;
mod emit;
mod error;
mod facts;
mod flow;
mod helper_names;
mod isa;
mod jumps;
mod link;
mod select;
mod vcode;

pub use error::CompileError;
pub use isa::Insn;
pub use link::{Linked, link};

use cranelift_codegen::ir::Function;

/// What an external name of the IR stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// A kernel helper, by its number in `enum bpf_func_id`.
    Helper(u32),
    /// A kernel function open to eBPF, by its type id in vmlinux BTF.
    Kfunc(u32),
    /// Another function of the same program.
    Subprogram(usize),
    /// A map, as helpers take it.
    Map(usize),
    /// The address of byte `offset` in the only value of an array map.
    MapValue {
        /// Which map.
        map: usize,
        /// Offset in the value, in bytes.
        offset: u32,
    },
    /// An operation of the back end itself.
    Pseudo(Pseudo),
}

/// Operations the IR spells as calls and the back end as one allocator instruction.
///
/// The verifier learns a bound from the very register a branch compared. When check and use are one instruction for the
/// register allocator, nothing can come between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pseudo {
    /// `ptrchk(base, index, limit)`: `base + index` where `index < limit` (unsigned), else `base`. `limit` is a constant
    /// from 1 to `i32::MAX`.
    PtrChk,
    /// `ptradd(base, index)`: `base + index`, for an index the program has already bounded.
    PtrAdd,
    /// `opaque(x)`: `x`, in a register of its own.
    Opaque,
    /// `may_goto()`: zero while the kernel lets the loop go on (Linux 6.9). Its result may only be the condition of the
    /// `brif` that follows it.
    MayGoto,
    /// `func_addr()`: the address of a subprogram, for `bpf_loop` and other callbacks. The IR instruction `func_addr` of a
    /// [`Symbol::Subprogram`] and a `symbol_value` say the same.
    FuncAddr(usize),
}

/// Says what the external name (namespace, index) stands for.
pub type Resolver<'a> = &'a dyn Fn(u32, u32) -> Symbol;

/// What the target kernel can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Instruction set version 4 (Linux 6.6): signed division, sign extension, far jumps.
    pub cpu_v4: bool,
}

/// One compiled function, its references to maps and other functions still open.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The instructions.
    pub insns: Vec<Insn>,
    /// What to fill in, by instruction.
    pub relocs: Vec<(usize, Reloc)>,
    /// `(instruction, bits of the IR source location)`, ascending: where the location changes. The first record is of
    /// instruction 0, if there is any.
    pub lines: Vec<(usize, u32)>,
    /// Eight-byte slots the register allocator needed.
    pub spills: usize,
    /// Bytes of stack, with spills and what the kernel adds for `may_goto`.
    pub stack: u32,
}

/// A reference [`Code`] leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloc {
    /// The file descriptor of a map, in a two-slot load with `src = BPF_PSEUDO_MAP_FD`.
    Map(usize),
    /// The file descriptor of a map in a two-slot load with `src = BPF_PSEUDO_MAP_VALUE`; the offset is in the second slot.
    MapValue {
        /// Which map.
        map: usize,
    },
    /// A call. [`link`] resolves it.
    Subprogram(usize),
    /// A two-slot load with `src = BPF_PSEUDO_FUNC`. [`link`] resolves it.
    FuncAddr(usize),
}

/// The stack a function may have, spills included.
pub const STACK_BYTES_MAX: u32 = 512;

/// Compiles one function.
///
/// The function comes as `FunctionBuilder` leaves it, neither optimised nor legalised. Time and space are linear in its size,
/// the register allocator aside.
///
/// # Errors
/// An instruction without a translation, a stack beyond [`STACK_BYTES_MAX`], a jump out of reach.
pub fn compile(func: &Function, resolve: Resolver, options: &Options) -> Result<Code, CompileError> {
    let flow = flow::Flow::of(func)?;
    let facts = facts::Facts::of(func, &flow, resolve)?;
    let frame = facts.frame_bytes();
    if frame > STACK_BYTES_MAX {
        return Err(CompileError::Stack { slots: frame, spills: 0, kernel: 0 });
    }
    let vcode = select::select(func, flow, facts, resolve, options)?;
    let allocated = allocate::allocate(&vcode)?;
    emit::emit(&vcode, &allocated, frame, options)
}
