//! Run-time errors in the kernel: to the catch block, or to user space and out of the handler.

use super::{Kernel, helper};
use crate::hir::GlobalId;
use crate::image::MapRole;
use crate::lower::code::{Addr, Catch, Code};
use crate::lower::target::{Raise, Target, Text};
use cranelift_codegen::ir::types::{I8, I64};
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use tapster_lang::Span;
use tapster_runtime_ebpf::record::{ERROR_SIZE, ERROR_TEXT_MAX, Fault, HEADER, KIND, Kind, TIME};
use tapster_runtime_ebpf::state;

impl Kernel<'_> {
    /// Goes to the catch block with the error's message, or reports it and leaves the handler.
    pub(super) fn fault(&mut self, code: &mut Code, raise: Raise) {
        let Some(Catch { block, message }) = code.catch else { return self.report(code, raise) };
        if let Some((home, size)) = message {
            self.describe(code, raise, home, size);
        }
        code.jump(block, &[]);
    }

    /// As `fault`, of a full array.
    pub(super) fn overflow(&mut self, code: &mut Code, global: GlobalId, span: Span) {
        let detail = code.k(global as i64);
        let raise = Raise { fault: Fault::ArrayOverflow, detail: Some(detail), span };
        let Some(Catch { block, message }) = code.catch else { return self.report(code, raise) };
        if let Some((home, size)) = message {
            let limit = match self.plan.array(global) {
                Some(array) if array.sized => format!("size limit ({})", array.max_entries),
                _ => "MAXMAPENTRIES".into(),
            };
            let text = format!("{}{limit}", raise.fault.text());
            self.put(code, &Text::Literal(text.into_bytes()), home, size, false);
        }
        code.jump(block, &[]);
    }

    /// As `fault`, with a message of the script's own.
    pub(super) fn fault_text(&mut self, code: &mut Code, text: &Text, size: u32) {
        let Some(Catch { block, message }) = code.catch else { return self.report_text(code, text, size) };
        if let Some((home, size)) = message {
            self.put(code, text, home, size, false);
        }
        code.jump(block, &[]);
    }

    /// Writes an error's message in the words of the runtime, which knows it by the fault.
    fn describe(&mut self, code: &mut Code, raise: Raise, to: Addr, size: u32) {
        let start = raise.fault.text();
        let format = match raise.detail {
            Some(_) if raise.fault == Fault::KernelReadFault => format!("{start}0x%016llx"),
            Some(_) => format!("{start}0x%llx [man error::fault]"),
            None => return self.put(code, &Text::Literal(start.into()), to, size, false),
        };
        let mark = code.mark();
        let data = code.slot(8);
        raise.detail.into_iter().for_each(|detail| code.store(detail, data));
        let format = self.constant(code, format.as_bytes());
        let (to, room) = (code.pointer(to), code.k(i64::from(self.room(size))));
        let (data, bytes) = (code.pointer(data), code.k(8));
        // Where it fails it writes nothing: an empty message stands there.
        let nul = code.b.ins().iconst(I8, 0);
        code.store(nul, Addr::at(to));
        self.kernel_format(code, &[to, room, format, data, bytes]);
        code.release(mark);
    }

    /// Sends an error and leaves the handler. All errors go the same way: it is long.
    fn report(&mut self, code: &mut Code, raise: Raise) {
        let known = self.reporting;
        let way = known.unwrap_or_else(|| {
            let way = code.block();
            for _ in 0..3 {
                code.b.append_block_param(way, I64);
            }
            way
        });
        let kind = code.k(word(Kind::Error, raise.fault as u32));
        let detail = raise.detail.unwrap_or_else(|| code.k(0));
        let position = code.k(i64::from(raise.span.start));
        code.jump(way, &[kind, detail, position]);
        if known.is_none() {
            self.reporting = Some(way);
            self.report_here(code, way);
        }
    }

    fn report_here(&mut self, code: &mut Code, way: Block) {
        code.to(way);
        code.cold(way);
        let [kind, detail, position] = *code.b.block_params(way) else { unreachable!("it has three") };
        let mark = code.mark();
        let record = code.slot(ERROR_SIZE);
        self.header(code, record, kind);
        code.store(detail, record.plus(HEADER));
        code.store(position, record.plus(HEADER + 8));
        self.send(code, record, ERROR_SIZE);
        code.release(mark);
        self.leave(code);
    }

    /// Sends an error with its text, which names no place in the script.
    fn report_text(&mut self, code: &mut Code, text: &Text, size: u32) {
        let size = size.min(ERROR_TEXT_MAX);
        let record = self.text_memory_far(code, ERROR_SIZE + size);
        self.put(code, text, record.plus(ERROR_SIZE), size, false);
        let kind = code.k(word(Kind::Error, Fault::Text as u32));
        self.header(code, record, kind);
        code.store_k(0, record.plus(HEADER));
        code.store_k(0, record.plus(HEADER + 8));
        self.send(code, record, ERROR_SIZE + size);
        self.leave(code);
    }

    /// `exit()`
    pub(super) fn send_exit(&mut self, code: &mut Code) {
        let mark = code.mark();
        let record = code.slot(HEADER);
        let kind = code.k(word(Kind::Exit, 0));
        self.header(code, record, kind);
        self.send(code, record, HEADER);
        code.release(mark);
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

    /// The record's kind and index as one word, then the time.
    pub(super) fn header(&mut self, code: &mut Code, record: Addr, kind: Value) {
        code.store(kind, record.plus(KIND));
        let now = self.helper(code, helper::KTIME_GET_NS, &[]);
        code.store(now, record.plus(TIME));
    }
}

/// Kind and index, two halves in memory order.
pub(super) fn word(kind: Kind, index: u32) -> i64 {
    (u64::from(index) << 32 | u64::from(kind as u32)) as i64
}
