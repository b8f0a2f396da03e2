//! Records for user space: errors and `exit()` on the control ring, prints on the event ring.

use super::{Kernel, helper};
use crate::image::{Loss, MapRole};
use crate::lower::code::{Addr, Code};
use crate::lower::target::{PrintArg, Raise, Target, Text};
use cranelift_codegen::ir::Value;
use cranelift_codegen::ir::condcodes::IntCC;
use tapster_runtime_ebpf::record::{ERROR_SIZE, HEADER, KIND, Kind, TIME};
use tapster_runtime_ebpf::state;

impl Kernel<'_> {
    pub(super) fn send_error(&mut self, code: &mut Code, raise: Raise) {
        let record = code.slot(ERROR_SIZE);
        self.header(code, record, Kind::Error, raise.fault as u32);
        let detail = raise.detail.unwrap_or_else(|| code.k(0));
        code.store(detail, record.plus(HEADER));
        code.store_k(i64::from(raise.span.start), record.plus(HEADER + 8));
        self.send(code, record, ERROR_SIZE);
    }

    pub(super) fn send_exit(&mut self, code: &mut Code) {
        let record = code.slot(HEADER);
        self.header(code, record, Kind::Exit, 0);
        self.send(code, record, HEADER);
    }

    /// Sends what ends the session, and has the handlers that follow do nothing.
    fn send(&mut self, code: &mut Code, record: Addr, size: u32) {
        let stopping = self.state(code, state::STOPPING);
        code.store_k(1, stopping);
        let control = self.role(MapRole::Control);
        let (ring, record) = (self.map(code, control), code.pointer(record));
        let (size, flags) = (code.k(i64::from(size)), code.k(0));
        // A full control ring already holds what ends the session.
        self.helper(code, helper::RINGBUF_OUTPUT, &[ring, record, size, flags]);
    }

    /// Kind and index are one word: two halves in memory order.
    fn header(&mut self, code: &mut Code, record: Addr, kind: Kind, index: u32) {
        code.store_k((u64::from(index) << 32 | u64::from(kind as u32)) as i64, record.plus(KIND));
        let now = self.helper(code, helper::KTIME_GET_NS, &[]);
        code.store(now, record.plus(TIME));
    }

    pub(super) fn send_print(&mut self, code: &mut Code, format: usize, args: &[PrintArg]) {
        // A string that cannot be read raises an error, and a reserved record must not be left behind: strings are
        // read before.
        let args: Vec<PrintArg> = args.iter().map(|arg| self.read_ahead(code, arg)).collect();
        let size = HEADER + args.iter().map(arg_size).sum::<u32>();
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
        self.fill(code, record, format, &args);
        let flags = code.k(0);
        self.helper(code, helper::RINGBUF_SUBMIT, &[record, flags]);
        code.jump(done, &[]);
        code.to(done);
    }

    fn read_ahead(&mut self, code: &mut Code, arg: &PrintArg) -> PrintArg {
        match arg {
            PrintArg::Text(text @ Text::KernelString(..), size) => {
                PrintArg::Text(Text::At(self.at(code, text, *size), *size), *size)
            }
            other => other.clone(),
        }
    }

    fn fill(&mut self, code: &mut Code, record: Value, format: usize, args: &[PrintArg]) {
        let record = Addr::at(record);
        self.header(code, record, Kind::Print, format as u32);
        let mut at = record.plus(HEADER);
        for arg in args {
            match arg {
                PrintArg::Long(value) => code.store(*value, at),
                PrintArg::Text(text, size) => self.put(code, text, at, *size, false),
            }
            at = at.plus(arg_size(arg));
        }
    }
}

fn arg_size(arg: &PrintArg) -> u32 {
    match arg {
        PrintArg::Long(_) => 8,
        PrintArg::Text(_, size) => *size,
    }
}
