//! Where a function's arguments are as it begins, by the calling convention: in registers that the kernel saved, and
//! behind them on its stack.

use super::site::{Arg, is_record, word_args};
use crate::hir::{ArgSource, Arith, Computed, Expr, ExprKind, Type};
use crate::kernel::btf::{Btf, TypeId};
use tapster_lang::Span;

/// Where the kernel saves the registers that hold a function's first arguments, and its result: `struct pt_regs` of
/// arch/x86/include/asm/ptrace.h (rdi, rsi, rdx, rcx, r8, r9; rax) and arch/arm64/include/asm/ptrace.h (x0 to x7; x0).
#[cfg(target_arch = "x86_64")]
pub const ARGUMENT_REGISTERS: &[u32] = &[112, 104, 96, 88, 72, 64];
#[cfg(target_arch = "x86_64")]
pub const RESULT_REGISTER: u32 = 80;
/// The register that points to the stack, and what lies there in front of the arguments: the address to return to.
#[cfg(target_arch = "x86_64")]
const STACK: (u32, u32) = (152, 8);
/// See above.
#[cfg(target_arch = "aarch64")]
pub const ARGUMENT_REGISTERS: &[u32] = &[0, 8, 16, 24, 32, 40, 48, 56];
#[cfg(target_arch = "aarch64")]
pub const RESULT_REGISTER: u32 = 0;
#[cfg(target_arch = "aarch64")]
const STACK: (u32, u32) = (248, 0);

/// Structures with more words are never in registers.
const WORDS_IN_REGISTERS: u32 = 2;

/// The arguments of a function, in registers and on the stack.
pub fn args(btf: &Btf, function: TypeId) -> Option<Vec<Arg>> {
    let mut args = word_args(btf, function, 0, 0)?;
    let (mut registers, mut stack) = (ARGUMENT_REGISTERS.iter(), 0);
    // What has no bytes is nowhere.
    args.retain(|arg| arg.words > 0);
    for arg in &mut args {
        arg.typed = false;
        let is_referred_to = cfg!(target_arch = "aarch64") && is_record(btf, arg.ty) && arg.words > WORDS_IN_REGISTERS;
        let words = if is_referred_to { 1 } else { arg.words };
        arg.source = match registers.as_slice().get(words as usize - 1) {
            Some(_) if words <= WORDS_IN_REGISTERS => {
                let register = ArgSource::Register(registers.as_slice()[0]);
                registers.nth(words as usize - 1);
                register
            }
            _ => {
                let at = on_stack(stack);
                stack += words;
                // There smaller things still find a register behind one that did not fit; here nothing does.
                if cfg!(target_arch = "aarch64") {
                    registers = [].iter();
                }
                at
            }
        };
    }
    Some(args)
}

/// The n-th word of the caller's stack.
fn on_stack(nth: u32) -> ArgSource {
    let (register, before) = STACK;
    let at = Span::default();
    let pointer = ExprKind::Arg { source: ArgSource::Register(register), size: 8, signed: false, typed: false };
    let pointer = Expr { kind: pointer, ty: Type::Long, span: at, at, pointee: None };
    let offset = Expr::long(i64::from(before + 8 * nth), at);
    let sum = ExprKind::Arith(Arith::Add, Box::new(pointer), Box::new(offset));
    ArgSource::Memory(Computed(Box::new(Expr { kind: sum, ty: Type::Long, span: at, at, pointee: None })))
}
