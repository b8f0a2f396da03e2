//! The functions that native handlers call, in the order of the compiler's list.
//!
//! This is where words of generated code become values: indexes, addresses, handles. What the functions do is
//! [`Run`]'s business and that of [`crate::library`].

mod array;
mod event;
mod text;

use crate::fault::Raised;
use crate::output::format::{self, Arguments};
use crate::run::{Handles, Run};
use crate::sys::peek::Source;
use crate::sys::process::{self, Clock, Id};
use std::ffi::{CStr, c_char};
use tapster_compiler::host::{Fact, HostTable};
use tapster_compiler::host_functions;
use tapster_runtime_ebpf::record::Fault;

macro_rules! define_table {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*);)*) => {
        /// The table to compile native handlers with.
        pub fn table() -> HostTable {
            HostTable(vec![$(entry::$name as *const u8),*])
        }

        /// One function a row of the list: a row that [`Host`] lacks, or has with other arguments, does not compile.
        mod entry {
            use super::{Host, Run};
            $(pub(super) unsafe extern "C" fn $name(run: *mut Run, $($arg: i64),*) -> i64 {
                // SAFETY: generated code passes on the context it was called with, which `Run::call` vouches for, and
                // addresses of its own live values.
                unsafe { Host { run: &mut *run }.$name($($arg),*) }
            })*
        }
    };
}
host_functions!(define_table);

/// Each function takes what generated code passed: safe to call only from there, with the addresses that the list asks
/// for.
struct Host<'a> {
    run: &'a mut Run,
}

/// Where generated code means an index or a handle; what is none finds nothing.
fn index(word: i64) -> usize {
    usize::try_from(word).unwrap_or(usize::MAX)
}

/// A number of the list; what is none stands for nothing.
fn number(word: i64) -> u32 {
    u32::try_from(word).unwrap_or(u32::MAX)
}

/// A fault's number, 0 for none.
fn status(result: Result<(), Fault>) -> i64 {
    result.map_or_else(|fault| fault as i64, |()| 0)
}

/// Bytes at an address that generated code passed.
///
/// # Safety
/// There must be `len` bytes, and nobody may write to them while the result is used.
#[inline]
unsafe fn bytes<'a>(address: i64, len: usize) -> &'a [u8] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(address as *const u8, len) }
}

/// The string at an address that generated code passed, without its NUL.
///
/// # Safety
/// It must end with a NUL, and nobody may write to it while the result is used.
unsafe fn string<'a>(address: i64) -> &'a [u8] {
    // SAFETY: as above.
    unsafe { CStr::from_ptr(address as *const c_char) }.to_bytes()
}

/// Copies bytes to an address that generated code passed.
///
/// # Safety
/// There must be room for them.
#[inline]
unsafe fn store(address: i64, bytes: &[u8]) {
    // SAFETY: as above; `bytes` is memory of the runtime, the address is generated code's. Most are numbers, which need
    // no call.
    unsafe {
        match bytes.as_array::<8>() {
            Some(number) => (address as *mut [u8; 8]).write(*number),
            None => std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()),
        }
    }
}

/// How many bytes beside its NUL a string may have in so many.
fn most(size: i64) -> Option<usize> {
    usize::try_from(size).ok()?.checked_sub(1)
}

/// Arguments of a print: words, strings by their address.
struct Words<'a> {
    next: *const i64,
    handles: Handles<'a>,
}

impl Arguments for Words<'_> {
    fn long(&mut self) -> i64 {
        // SAFETY: the handler passes one word for every argument of the format, and a print takes no more.
        unsafe {
            let word = self.next.read_unaligned();
            self.next = self.next.add(1);
            word
        }
    }

    fn text(&mut self, _bound: u32) -> &[u8] {
        let address = self.long();
        // SAFETY: where the format says string, the word is the address of one that ends with a NUL and that nobody
        // writes to until the print is done.
        unsafe { string(address) }
    }

    fn stack(&mut self, out: &mut Vec<u8>) {
        let handle = self.long() as u64;
        self.handles.stack(handle, out);
    }
}

/// The session and printing.
impl Host<'_> {
    unsafe fn exit(&mut self) -> i64 {
        self.run.exit();
        0
    }

    /// What is special about it, that the handler goes no further, is what generated code does behind this call.
    unsafe fn abort(&mut self) -> i64 {
        self.run.exit();
        0
    }

    unsafe fn raise(&mut self, fault: i64, detail: i64, position: i64) -> i64 {
        let position = position as u32;
        match Fault::from_number(number(fault)) {
            Some(Fault::Text) => {
                let text = self.run.take_refusal();
                self.run.raise(Raised::saying(text.as_bytes(), position));
            }
            Some(fault) => self.run.raise(Raised::new(fault, detail, position)),
            None => {}
        }
        0
    }

    unsafe fn raise_text(&mut self, text: i64) -> i64 {
        // SAFETY: as the list says.
        let text = unsafe { string(text) };
        self.run.raise(Raised::saying(text, 0));
        0
    }

    unsafe fn caught(&mut self, out: i64, size: i64) -> i64 {
        let what = self.run.catch();
        // SAFETY: as the list says.
        unsafe { self.store_text(out, size, &what) };
        0
    }

    unsafe fn print(&mut self, format: i64, args: i64) -> i64 {
        self.run.print(index(format), |format, handles, out| {
            format::render(format, &mut Words { next: args as *const i64, handles }, out);
        });
        0
    }

    unsafe fn format_text(&mut self, format: i64, args: i64, out: i64, size: i64) -> i64 {
        let mut text = self.run.take_scratch();
        self.run.format(index(format), &mut text, |format, handles, out| {
            format::render(format, &mut Words { next: args as *const i64, handles }, out);
        });
        // SAFETY: as the list says.
        unsafe { self.store_text(out, size, &text) };
        self.run.give_scratch(text);
        0
    }

    unsafe fn print_stack(&mut self, stack: i64) -> i64 {
        self.run.print_stack(stack as u64);
        0
    }

    unsafe fn stack_text(&mut self, stack: i64, out: i64, size: i64) -> i64 {
        let mut text = self.run.take_scratch();
        self.run.stack_text(stack as u64, &mut text);
        // SAFETY: as the list says.
        unsafe { self.store_text(out, size, &text) };
        self.run.give_scratch(text);
        0
    }

    unsafe fn fact(&mut self, which: i64) -> i64 {
        Fact::from_number(number(which)).map_or(0, |fact| self.read_fact(fact))
    }

    fn read_fact(&mut self, fact: Fact) -> i64 {
        if let Some(known) = self.fact_of_event(fact) {
            return known;
        }
        match fact {
            Fact::Pid => process::id(Id::Pid),
            Fact::Tid => process::id(Id::Tid),
            Fact::Uid => process::id(Id::Uid),
            Fact::Gid => process::id(Id::Gid),
            Fact::Cpu => process::cpu(),
            Fact::GettimeofdayNs => process::now(Clock::Wall) as i64,
            Fact::KtimeNs => process::now(Clock::Monotonic) as i64,
            Fact::Task => self.run.ask(Source::Task),
            Fact::Jiffies => self.run.ask(Source::Jiffies),
            // Only the kernel's handlers ask for these.
            Fact::FunctionAddress | Fact::UserRegisters => 0,
        }
    }

    /// Copies a text to an address, cut to `size` bytes with its NUL.
    ///
    /// # Safety
    /// There must be room for `size` bytes.
    unsafe fn store_text(&mut self, address: i64, size: i64, text: &[u8]) {
        let Some(most) = most(size) else { return };
        if text.len() > most {
            self.run.note_truncation();
        }
        let text = &text[..text.len().min(most)];
        // SAFETY: the text and its NUL are at most `size` bytes.
        unsafe {
            store(address, text);
            store(address + text.len() as i64, b"\0");
        }
    }
}

#[cfg(test)]
mod tests;
