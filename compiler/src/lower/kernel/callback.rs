//! Functions that `bpf_loop` calls (Linux 5.17): loops of the kernel's side itself, walked by the verifier once instead
//! of round by round.

use super::{Kernel, helper, namespace};
use crate::hir::GlobalId;
use crate::lower::code::{Addr, Base, Code, signature};
use cranelift_codegen::ir::{Function, StackSlot, StackSlotData, StackSlotKind, UserFuncName, Value};
use cranelift_frontend::FunctionBuilderContext;

/// What a callback does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Compares the next bytes of two strings of this bound.
    Compare(u32),
    /// Searches the next bytes of a string of this bound for a pattern.
    Search(usize, u32),
    /// Adds one CPU's part of a statistic.
    Statistic(GlobalId),
}

/// The callbacks of a handler; script loops follow them.
#[derive(Default)]
pub(super) struct Callbacks {
    /// What helpers are given the addresses of strings in: none of them is at work when another begins.
    pub(super) frame: Option<StackSlot>,
    known: Vec<Round>,
    pub(super) functions: Vec<Function>,
}

impl Kernel<'_> {
    /// Memory for one helper's call and its callback, of at least so many bytes.
    pub(super) fn frame(&mut self, code: &mut Code, bytes: u32) -> Addr {
        let new = || code.b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3));
        let slot = *self.callbacks.frame.get_or_insert_with(new);
        let size = &mut code.b.func.sized_stack_slots[slot].size;
        *size = bytes.max(*size);
        Addr { base: Base::Slot(slot), offset: 0 }
    }

    /// Calls a callback with 0, 1, … and the address of a frame, up to `rounds` times or until it gives 1. `build` makes
    /// the callback.
    pub(super) fn rounds(
        &mut self,
        code: &mut Code,
        round: Round,
        rounds: Value,
        frame: Addr,
        build: impl FnOnce(&mut Code, Value, Addr),
    ) {
        let number = match self.callbacks.known.iter().position(|known| *known == round) {
            Some(number) => number,
            None => {
                self.callbacks.known.push(round);
                self.callbacks.functions.push(function(build));
                self.callbacks.known.len() - 1
            }
        };
        let callback = code.symbol(namespace::CALLBACK, number as u32);
        let (frame, flags) = (code.pointer(frame), code.k(0));
        self.helper(code, helper::LOOP, &[rounds, callback, frame, flags]);
    }
}

fn function(build: impl FnOnce(&mut Code, Value, Addr)) -> Function {
    let mut func = Function::with_name_signature(UserFuncName::testcase("round"), signature(2));
    let mut context = FunctionBuilderContext::new();
    let (mut code, params) = Code::start(&mut func, &mut context);
    build(&mut code, params[0], Addr::at(params[1]));
    code.finish();
    func
}
