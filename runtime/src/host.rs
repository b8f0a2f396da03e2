//! The functions that native handlers call, in the order of the compiler's list.
//!
//! This is where words of generated code become values: indexes, addresses, handles. What the functions do is
//! [`Run`]'s business.

use crate::fault::Raised;
use crate::output::format::{self, Arguments};
use crate::run::{Handles, Run};
use crate::sys::process::{self, Clock, Id};
use std::ffi::{CStr, c_char};
use tapster_compiler::host::{Extractor, Fact, HostTable, Sort};
use tapster_compiler::host_functions;
use tapster_compiler::image::Value;
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

struct Host<'a> {
    run: &'a mut Run,
}

/// Where generated code means an index or a handle; what is none finds nothing.
fn index(word: i64) -> usize {
    usize::try_from(word).unwrap_or(usize::MAX)
}

/// A fault's number, 0 for none.
fn status(result: Result<(), Fault>) -> i64 {
    result.map_or_else(|fault| fault as i64, |()| 0)
}

/// Bytes at an address that generated code passed.
///
/// # Safety
/// There must be `len` bytes, and nobody may write to them while the result is used.
unsafe fn bytes<'a>(address: i64, len: usize) -> &'a [u8] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(address as *const u8, len) }
}

/// Copies bytes to an address that generated code passed.
///
/// # Safety
/// There must be room for them.
unsafe fn store(address: i64, bytes: &[u8]) {
    // SAFETY: as above; `bytes` is memory of the runtime, the address is generated code's.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) }
}

/// Copies a text to an address, cut to `size` bytes with its NUL.
///
/// # Safety
/// There must be room for `size` bytes.
unsafe fn store_text(address: i64, size: i64, text: &[u8]) {
    let Some(most) = index(size).checked_sub(1).filter(|_| size > 0) else { return };
    let text = &text[..text.len().min(most)];
    // SAFETY: the text and its NUL are at most `size` bytes.
    unsafe {
        store(address, text);
        store(address + text.len() as i64, b"\0");
    }
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
        unsafe { CStr::from_ptr(address as *const c_char) }.to_bytes()
    }

    fn stack(&mut self, out: &mut Vec<u8>) {
        let handle = self.long() as u64;
        self.handles.stack(handle, out);
    }
}

/// Each takes what generated code passed: safe to call only from there, with the addresses that the list asks for.
impl Host<'_> {
    /// The key at an address; `None` for address 0.
    unsafe fn key<'k>(&self, global: i64, key: i64) -> Option<&'k [u8]> {
        let size = self.run.globals.array(index(global))?.key_size as usize;
        // SAFETY: keys are records of the array's key size in the handler's own memory or in a walk that is under way.
        (key != 0).then(|| unsafe { bytes(key, size) })
    }

    unsafe fn exit(&mut self) -> i64 {
        self.run.exit();
        0
    }

    unsafe fn raise(&mut self, fault: i64, detail: i64, position: i64) -> i64 {
        if let Some(fault) = u32::try_from(fault).ok().and_then(Fault::from_number) {
            self.run.raise(Raised { fault, detail, position: position as u32 });
        }
        0
    }

    unsafe fn print(&mut self, format: i64, args: i64) -> i64 {
        self.run.print(index(format), |format, handles, out| {
            format::render(format, &mut Words { next: args as *const i64, handles }, out);
        });
        0
    }

    unsafe fn print_stack(&mut self, stack: i64) -> i64 {
        self.run.print_stack(stack as u64);
        0
    }

    unsafe fn print_histogram(&mut self, global: i64, key: i64) -> i64 {
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        status(self.run.print_histogram(index(global), key))
    }

    unsafe fn aggregate_add(&mut self, global: i64, key: i64, value: i64) -> i64 {
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        status(self.run.globals.add(index(global), key, value))
    }

    unsafe fn aggregate_read(&mut self, global: i64, key: i64, extractor: i64, out: i64) -> i64 {
        let Some(extractor) = u32::try_from(extractor).ok().and_then(Extractor::from_number) else { return 0 };
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        status(self.run.aggregate_read(index(global), key, extractor).map(|read| {
            // SAFETY: `out` is the address of a word.
            unsafe { store(out, &read.to_ne_bytes()) }
        }))
    }

    unsafe fn array_get(&mut self, global: i64, key: i64, out: i64) -> i64 {
        let Some(size) = self.run.globals.array(index(global)).map(|array| array.value.size() as usize) else { return 0 };
        // SAFETY: as the list says.
        let Some(key) = (unsafe { self.key(global, key) }) else { return 0 };
        match self.run.globals.element(index(global), key) {
            Some(value) => {
                // SAFETY: `out` has room for an element.
                unsafe { store(out, value) };
                1
            }
            None => {
                // SAFETY: as above.
                unsafe { std::ptr::write_bytes(out as *mut u8, 0, size) };
                0
            }
        }
    }

    unsafe fn array_set(&mut self, global: i64, key: i64, value: i64) -> i64 {
        let Some(kind) = self.run.globals.array(index(global)).map(|array| array.value) else { return 0 };
        // SAFETY: as the list says.
        let Some(key) = (unsafe { self.key(global, key) }) else { return 0 };
        let size = kind.size() as usize;
        if let Value::Text(_) = kind {
            // What stands behind a string's NUL is nobody's business: elements are filled with NULs.
            // SAFETY: a string value ends with a NUL.
            let text = unsafe { CStr::from_ptr(value as *const c_char) }.to_bytes();
            let mut element = vec![0; size];
            let len = text.len().min(size - 1);
            element[..len].copy_from_slice(&text[..len]);
            return status(self.run.globals.set(index(global), key, &element));
        }
        // SAFETY: `value` is the address of an element.
        let value = unsafe { bytes(value, size) };
        status(self.run.globals.set(index(global), key, value))
    }

    unsafe fn array_has(&mut self, global: i64, key: i64) -> i64 {
        // SAFETY: as the list says.
        let Some(key) = (unsafe { self.key(global, key) }) else { return 0 };
        self.run.globals.element(index(global), key).is_some().into()
    }

    unsafe fn array_delete(&mut self, global: i64, key: i64) -> i64 {
        // SAFETY: as the list says.
        let key = unsafe { self.key(global, key) };
        self.run.globals.delete(index(global), key);
        0
    }

    unsafe fn walk_begin(&mut self, global: i64, sort: i64, limit: i64) -> i64 {
        let unsorted = Sort { by: tapster_compiler::host::SortBy::Unsorted, descending: false };
        let sort = Sort::decode(sort).unwrap_or(unsorted);
        self.run.walk_begin(index(global), sort, usize::try_from(limit).ok()) as i64
    }

    unsafe fn walk_next(&mut self, walk: i64) -> i64 {
        self.run.walk_next(index(walk)).map_or(0, |key| key.as_ptr() as i64)
    }

    unsafe fn walk_end(&mut self, walk: i64) -> i64 {
        self.run.walk_end(index(walk));
        0
    }

    unsafe fn text_of(&mut self, handle: i64) -> i64 {
        self.run.text_of(handle as u64).as_ptr() as i64
    }

    unsafe fn stack_text(&mut self, stack: i64, out: i64, size: i64) -> i64 {
        let mut text = Vec::new();
        self.run.stack_text(stack as u64, &mut text);
        // SAFETY: as the list says.
        unsafe { store_text(out, size, &text) };
        0
    }

    unsafe fn copy_text(&mut self, from: i64, to: i64, size: i64) -> i64 {
        let Some(most) = index(size).checked_sub(1).filter(|_| size > 0) else { return 0 };
        // SAFETY: `from` is the address of a string that ends with a NUL, `to` has room for `size` bytes. The two may be
        // one place: hence a copy that allows for it.
        unsafe {
            let len = CStr::from_ptr(from as *const c_char).count_bytes().min(most);
            let to = to as *mut u8;
            std::ptr::copy(from as *const u8, to, len);
            std::ptr::write_bytes(to.add(len), 0, most + 1 - len);
        }
        0
    }

    unsafe fn compare_text(&mut self, left: i64, right: i64) -> i64 {
        // SAFETY: both are addresses of strings that end with a NUL.
        let (left, right) = unsafe { (CStr::from_ptr(left as *const c_char), CStr::from_ptr(right as *const c_char)) };
        left.to_bytes().cmp(right.to_bytes()) as i64
    }

    unsafe fn intern(&mut self, text: i64) -> i64 {
        // SAFETY: `text` is the address of a string that ends with a NUL.
        let text = unsafe { CStr::from_ptr(text as *const c_char) }.to_bytes();
        self.run.intern(text) as i64
    }

    unsafe fn fact(&mut self, which: i64) -> i64 {
        match u32::try_from(which).ok().and_then(Fact::from_number) {
            Some(fact) => self.read_fact(fact),
            None => 0,
        }
    }

    unsafe fn execname(&mut self, out: i64, size: i64) -> i64 {
        let name = process::comm();
        let len = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        // SAFETY: as the list says.
        unsafe { store_text(out, size, &name[..len]) };
        0
    }

    fn read_fact(&self, fact: Fact) -> i64 {
        match fact {
            Fact::Pid => process::id(Id::Pid),
            Fact::Tid => process::id(Id::Tid),
            Fact::Ppid => process::id(Id::Ppid),
            Fact::Uid => process::id(Id::Uid),
            Fact::Euid => process::id(Id::Euid),
            Fact::Gid => process::id(Id::Gid),
            Fact::Egid => process::id(Id::Egid),
            Fact::Cpu => process::cpu(),
            Fact::GettimeofdayNs => process::now(Clock::Wall) as i64,
            Fact::KtimeNs => process::now(Clock::Monotonic) as i64,
            Fact::Target => self.run.target,
        }
    }
}
