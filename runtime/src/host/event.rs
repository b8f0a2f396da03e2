//! What handlers learn of the kernel: its memory, and the event whose handler goes on here.

use super::{Host, store};
use crate::run::Run;
use crate::sys::peek::{Peek, Source};
use crate::sys::process;
use tapster_compiler::host::Fact;
use tapster_runtime_ebpf::record::event;

impl Host<'_> {
    pub(super) unsafe fn read_number(&mut self, memory: i64, address: i64, size: i64, out: i64) -> i64 {
        let bytes = size.unsigned_abs() as usize;
        let source = if memory == 0 { Source::Kernel } else { Source::User };
        let Some(read) = self.run.peek(source, address, bytes.min(8)) else { return 1 };
        let negative = size < 0 && read.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut word = if negative { [0xff; 8] } else { [0; 8] };
        word[..read.len()].copy_from_slice(read);
        // SAFETY: `out` is the address of a word.
        unsafe { store(out, &word) };
        0
    }

    pub(super) unsafe fn read_text(&mut self, memory: i64, address: i64, most: i64, out: i64, size: i64) -> i64 {
        let room = usize::try_from(size).unwrap_or(0);
        // One byte more than fits tells whether the string was cut.
        let source = if memory == 0 { Source::KernelText } else { Source::UserText };
        let most = usize::try_from(most).map_or(room, |most| most.min(room));
        let Some(read) = self.run.peek(source, address, most + 1) else { return 1 };
        let text = read.to_vec();
        // SAFETY: as the list says.
        unsafe { self.store_text(out, size, &text) };
        0
    }

    /// The name of the task that the event behind a handoff happened to.
    pub(super) fn name_of_event(&self) -> Option<[u8; 16]> {
        let record = self.run.event()?;
        let [first, second] = [0, 1].map(|word| record[event::COMM as usize / 8 + word].to_ne_bytes());
        let mut name = [0; 16];
        name[..8].copy_from_slice(&first);
        name[8..].copy_from_slice(&second);
        Some(name)
    }

    /// A fact of the event behind a handoff.
    pub(super) fn fact_of_event(&self, fact: Fact) -> Option<i64> {
        let record = self.run.event()?;
        let word = |at: u32| record[at as usize / 8];
        let halves = |at: u32| (word(at) as u32, (word(at) >> 32) as u32);
        Some(i64::from(match fact {
            Fact::Pid => halves(event::PID_TGID).1,
            Fact::Tid => halves(event::PID_TGID).0,
            Fact::Uid => halves(event::UID_GID).0,
            Fact::Gid => halves(event::UID_GID).1,
            Fact::Cpu => word(event::CPU) as u32,
            Fact::KtimeNs => return Some(word(event::TIME) as i64),
            Fact::GettimeofdayNs => return Some(word(event::TIME) as i64 + process::ahead()),
            Fact::Task => return Some(word(event::TASK) as i64),
            Fact::Jiffies | Fact::FunctionAddress | Fact::UserRegisters => return None,
        }))
    }
}

impl Run {
    /// What the kernel says of this moment; 0 where nobody may ask it.
    pub(super) fn ask(&mut self, source: Source) -> i64 {
        self.peek(source, 0, 0);
        self.peek.as_ref().map_or(0, Peek::answer)
    }

    /// Loads what reads memory for handlers, while that is allowed.
    pub fn load_peek(&mut self) {
        if self.peek.is_none() {
            self.peek = Peek::new().ok();
        }
    }

    /// Bytes of the kernel's memory or of this process's; `None` where there are none, or nobody may read them.
    fn peek(&mut self, source: Source, address: i64, most: usize) -> Option<&[u8]> {
        self.load_peek();
        self.peek.as_mut()?.read(source, address as u64, most).ok()
    }
}
