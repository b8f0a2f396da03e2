//! Why a function cannot become eBPF.
use super::{Code, STACK_BYTES_MAX};
use std::fmt;
use tapster_runtime_ebpf::limits::PERCPU_VALUE;

/// Why a function cannot become eBPF. Lowering keeps to what the back end translates, so all but the sizes are our own bugs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// An operation without a translation.
    Unsupported {
        /// The opcode of the IR.
        opcode: String,
        /// The whole instruction, as the IR prints it.
        inst: String,
    },
    /// A translated operation with operands eBPF cannot take.
    Operand {
        /// What is wrong.
        reason: &'static str,
        /// The whole instruction, as the IR prints it.
        inst: String,
    },
    /// The function as a whole has a shape eBPF does not know.
    Shape(&'static str),
    /// More stack than a function may have.
    Stack {
        /// Bytes of the IR's stack slots.
        slots: u32,
        /// Bytes the register allocator added.
        spills: u32,
        /// Bytes the kernel adds for [`Pseudo::MayGoto`](super::Pseudo::MayGoto).
        kernel: u32,
    },
    /// More working memory than a value of a per-CPU map may have.
    Memory {
        /// Bytes of it.
        bytes: u32,
    },
    /// A jump beyond 16 bits on a target without far jumps.
    JumpTooFar {
        /// Instructions in the function.
        insns: usize,
    },
    /// The register allocator gave up.
    Allocator(String),
}

impl CompileError {
    /// Functions that call each other need more stack than they have together.
    pub fn stack(functions: &[Code]) -> Self {
        let spills = functions.iter().map(|code| 8 * code.spills as u32).sum();
        let all: u32 = functions.iter().map(|code| code.stack).sum();
        Self::Stack { slots: all.saturating_sub(spills), spills, kernel: 0 }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { opcode, inst } => write!(f, "`{opcode}` has no translation to eBPF, in `{inst}`"),
            Self::Operand { reason, inst } => write!(f, "{reason}, in `{inst}`"),
            Self::Shape(reason) => f.write_str(reason),
            Self::Stack { slots, spills, kernel } => {
                let total = slots + spills + kernel;
                write!(f, "{total} bytes of stack, of which eBPF has {STACK_BYTES_MAX}: ")?;
                write!(f, "{slots} for variables, {spills} for spilled registers, {kernel} for `may_goto`")
            }
            Self::Memory { bytes } => {
                write!(f, "{bytes} bytes of working memory for strings, of which a program has {PERCPU_VALUE}")
            }
            Self::JumpTooFar { insns } => {
                write!(
                    f,
                    "a jump does not reach its target in a function of {insns} instructions; eBPF cpu v4 has far jumps"
                )
            }
            Self::Allocator(reason) => write!(f, "register allocation failed: {reason}"),
        }
    }
}

impl std::error::Error for CompileError {}
