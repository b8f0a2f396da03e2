//! Records for user space on the event ring: prints, and what goes on there.

use super::fault::word;
use super::{Kernel, helper};
use crate::image::{Loss, MapRole};
use crate::lower::code::{Addr, Code};
use crate::lower::target::{PrintArg, Text};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use tapster_runtime_ebpf::limits::TASK_COMM_LEN;
use tapster_runtime_ebpf::record::{HEADER, Kind, TIME, event};

impl Kernel<'_> {
    pub(super) fn send_print(&mut self, code: &mut Code, format: usize, args: &[PrintArg]) {
        // A string that cannot be read raises an error, and a reserved record must not be left behind: strings are
        // read before.
        let args: Vec<PrintArg> = args.iter().map(|arg| self.read_ahead(code, arg)).collect();
        let size = HEADER + args.iter().map(arg_size).sum::<u32>();
        self.send_event(code, size, |this, code, record| {
            let kind = code.k(word(Kind::Print, format as u32));
            this.header(code, record, kind);
            this.fill(code, record.plus(HEADER), &args);
        });
    }

    /// Facts of the event, then the values that the rest of the handler needs.
    pub(super) fn send_handoff(&mut self, code: &mut Code, number: usize, values: &[PrintArg]) {
        let size = TIME + event::SIZE + values.iter().map(arg_size).sum::<u32>();
        let ids = self.helper(code, helper::GET_CURRENT_PID_TGID, &[]);
        let users = self.helper(code, helper::GET_CURRENT_UID_GID, &[]);
        let cpu = self.helper(code, helper::GET_SMP_PROCESSOR_ID, &[]);
        let task = self.helper(code, helper::GET_CURRENT_TASK, &[]);
        self.send_event(code, size, |this, code, record| {
            let kind = code.k(word(Kind::Handoff, number as u32));
            this.header(code, record, kind);
            let facts = record.plus(TIME);
            let values_of = [(ids, event::PID_TGID), (users, event::UID_GID), (cpu, event::CPU), (task, event::TASK)];
            for (value, at) in values_of {
                code.store(value, facts.plus(at));
            }
            this.put(code, &Text::Execname, facts.plus(event::COMM), TASK_COMM_LEN, true);
            this.fill(code, facts.plus(event::SIZE), values);
        });
    }

    /// Sends a record of `size` bytes on the event ring, or counts it as lost.
    fn send_event(&mut self, code: &mut Code, size: u32, fill: impl FnOnce(&mut Self, &mut Code, Addr)) {
        let events = self.role(MapRole::Events);
        let (ring, bytes, flags) = (self.map(code, events), code.k(i64::from(size)), code.k(0));
        let record = self.helper(code, helper::RINGBUF_RESERVE, &[ring, bytes, flags]);
        let (full, there, done) = (code.block(), code.block(), code.block());
        code.branch_if(IntCC::Equal, record, 0, full, there);
        code.to(full);
        code.cold(full);
        self.lose(code, &Loss::EventsFull(self.program.probe));
        code.jump(done, &[]);
        code.to(there);
        fill(self, code, Addr::at(record));
        let flags = code.k(0);
        self.helper(code, helper::RINGBUF_SUBMIT, &[record, flags]);
        code.jump(done, &[]);
        code.to(done);
    }

    fn read_ahead(&mut self, code: &mut Code, arg: &PrintArg) -> PrintArg {
        match arg {
            PrintArg::Text(text @ Text::Foreign(_), size) => {
                PrintArg::Text(Text::At(self.at(code, text, *size), *size), *size)
            }
            other => other.clone(),
        }
    }

    fn fill(&mut self, code: &mut Code, mut at: Addr, args: &[PrintArg]) {
        for arg in args {
            match arg {
                PrintArg::Long(value) => code.store(*value, at),
                PrintArg::Stored(home) => {
                    let value = code.load(I64, *home);
                    code.store(value, at);
                }
                PrintArg::Text(text, size) => self.put(code, text, at, *size, false),
            }
            at = at.plus(arg_size(arg));
        }
    }
}

fn arg_size(arg: &PrintArg) -> u32 {
    match arg {
        PrintArg::Long(_) | PrintArg::Stored(_) => 8,
        PrintArg::Text(_, size) => *size,
    }
}
