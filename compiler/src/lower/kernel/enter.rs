//! What stands before a handler: whether it shall run.

use super::Kernel;
use crate::image::{Loss, MapRole};
use crate::lower::code::Code;
use crate::lower::target::Target;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use tapster_runtime_ebpf::state;

impl Kernel<'_> {
    /// Leaves where the handler shall not run.
    pub fn enter(&mut self, code: &mut Code) {
        self.enter_session(code);
        if !self.program.is_alone {
            self.enter_alone(code);
        }
    }

    /// Leaves at once where the session is over: its end takes a moment to reach every CPU. And where the script has not
    /// begun, as some handlers stand before that.
    fn enter_session(&mut self, code: &mut Code) {
        if self.plan.map(MapRole::Control).is_none() && !self.plan.begins_late {
            return;
        }
        let place = self.state(code, state::STOPPING);
        let stopping = code.load(I64, place);
        let (over, on) = (code.block(), code.block());
        code.branch_if(IntCC::NotEqual, stopping, 0, over, on);
        code.to(over);
        code.cold(over);
        self.leave(code);
        code.to(on);
    }

    /// Leaves where the program runs on this CPU already: what it has there by CPU is in the middle of a change.
    fn enter_alone(&mut self, code: &mut Code) {
        let offset = self.reserve(8);
        let running = self.scratch_at(code, offset);
        let was_running = code.exchange(running, 1);
        let (over, on) = (code.block(), code.block());
        code.branch_if(IntCC::NotEqual, was_running, 0, over, on);
        code.to(over);
        code.cold(over);
        self.lose(code, &Loss::Nested(self.program.probe));
        self.leave(code);
        code.to(on);
        // Who comes this far leaves in another way.
        self.leaving = None;
        self.running = Some(running);
    }

    /// Whether maps are used that have their values once a CPU.
    pub fn keeps_by_cpu(&self) -> bool {
        self.by_cpu
    }
}
