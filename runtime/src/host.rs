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
        let Some(size) = self.run.globals.array(index(global)).map(|array| array.value.size() as usize) else {
            return 0;
        };
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
        // SAFETY: `from` is the address of a string that ends with a NUL, `to` has room for `size` bytes. The two may
        // be one place: hence a copy that allows for it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{ALL, array, run};
    use tapster_compiler::host::{HostFn, SortBy};
    use tapster_compiler::image::{ArgKind, Conversion, Format, Image, Measure, Piece};
    use tapster_runtime_ebpf::aggregate::{Histogram, Layout};

    /// Calls a host function as generated code does.
    fn call(run: &mut Run, function: HostFn, args: &[i64]) -> i64 {
        assert_eq!(args.len(), function.arity(), "{}", function.name());
        let address = table().0[function as usize];
        let run: *mut Run = run;
        let at = |n: usize| args.get(n).copied().unwrap_or(0);
        // SAFETY: a function of the table takes its context and up to five words; in the C calling convention those it
        // does not take do it no harm. The addresses among them are those of the tests' own values.
        unsafe {
            let function: unsafe extern "C" fn(*mut Run, i64, i64, i64, i64) -> i64 = std::mem::transmute(address);
            function(run, at(0), at(1), at(2), at(3))
        }
    }

    fn of<T: ?Sized>(value: &T) -> i64 {
        std::ptr::from_ref(value).cast::<u8>() as i64
    }

    #[test]
    fn the_table_has_every_function_of_the_list() {
        assert_eq!(table().0.len(), HostFn::ALL.len());
    }

    #[test]
    fn elements_are_set_read_walked_and_deleted() {
        let image = Image { globals: vec![array("a", Value::Long, 2)], ..Image::default() };
        let (mut run, _) = run(image);
        let run = &mut *run;
        for n in [7i64, 3] {
            assert_eq!(call(run, HostFn::array_set, &[0, of(&n), of(&(n * 10))]), 0);
        }
        let overflow = call(run, HostFn::array_set, &[0, of(&1i64), of(&1i64)]);
        assert_eq!(overflow, Fault::ArrayOverflow as i64);
        let mut out = 0i64;
        assert_eq!(call(run, HostFn::array_get, &[0, of(&7i64), &raw mut out as i64]), 1);
        assert_eq!(out, 70);
        assert_eq!(call(run, HostFn::array_get, &[0, of(&8i64), &raw mut out as i64]), 0);
        assert_eq!(out, 0);
        let sort = Sort { by: SortBy::Key(0), descending: false }.encode();
        let walk = call(run, HostFn::walk_begin, &[0, sort, -1]);
        let mut keys = Vec::new();
        loop {
            let key = call(run, HostFn::walk_next, &[walk]);
            if key == 0 {
                break;
            }
            // SAFETY: a walk's keys stay where they are until it ends.
            keys.push(unsafe { (key as *const i64).read_unaligned() });
        }
        call(run, HostFn::walk_end, &[walk]);
        assert_eq!(keys, [3, 7]);
        call(run, HostFn::array_delete, &[0, of(&3i64)]);
        assert_eq!(call(run, HostFn::array_has, &[0, of(&3i64)]), 0);
        call(run, HostFn::array_delete, &[0, 0]);
        assert_eq!(call(run, HostFn::array_has, &[0, of(&7i64)]), 0);
    }

    #[test]
    fn string_elements_end_at_their_nul() {
        let (mut run, _) = run(Image { globals: vec![array("a", Value::Text(8), 2)], ..Image::default() });
        let mut out = [0xffu8; 8];
        call(&mut run, HostFn::array_set, &[0, of(&1i64), of(b"0123456789\0")]);
        call(&mut run, HostFn::array_get, &[0, of(&1i64), out.as_mut_ptr() as i64]);
        assert_eq!(&out, b"0123456\0");
        call(&mut run, HostFn::array_set, &[0, of(&1i64), of(b"ab\0junk")]);
        call(&mut run, HostFn::array_get, &[0, of(&1i64), out.as_mut_ptr() as i64]);
        assert_eq!(&out, b"ab\0\0\0\0\0\0");
    }

    #[test]
    fn statistics_are_added_to_and_read() {
        let layout = Layout { parts: ALL, histogram: Histogram::None };
        let image = Image { globals: vec![array("a", Value::Aggregate(layout), 2)], ..Image::default() };
        let (mut run, _) = run(image);
        let (key, mut out) = (5i64, 0i64);
        for value in [3, 8] {
            assert_eq!(call(&mut run, HostFn::aggregate_add, &[0, of(&key), value]), 0);
        }
        let mut read = |extractor: Extractor, key: i64| {
            let fault = call(&mut run, HostFn::aggregate_read, &[0, of(&key), extractor as i64, &raw mut out as i64]);
            (fault, out)
        };
        assert_eq!(read(Extractor::Count, 5), (0, 2));
        assert_eq!(read(Extractor::Max, 5), (0, 8));
        assert_eq!(read(Extractor::Count, 6), (0, 0));
        assert_eq!(read(Extractor::Avg, 6).0, Fault::EmptyAggregate as i64);
    }

    #[test]
    fn prints_take_their_arguments_from_words() {
        let conversion = |kind, arg| {
            Piece::Conversion(Conversion { flag: None, width: Measure::None, precision: Measure::None, kind, arg })
        };
        let pieces = vec![conversion(b'd', ArgKind::Long), conversion(b's', ArgKind::Text(16))];
        let (mut run, shown) = run(Image { formats: vec![Format { pieces }], ..Image::default() });
        let args = [42, of(b" find\0")];
        call(&mut run, HostFn::print, &[0, of(&args)]);
        call(&mut run, HostFn::print, &[99, 0]);
        run.output.flush();
        assert_eq!(shown.text(), "42 find");
    }

    #[test]
    fn texts_are_copied_compared_and_interned() {
        let (mut run, _) = run(Image::default());
        let mut to = [0xffu8; 6];
        call(&mut run, HostFn::copy_text, &[of(b"dentry\0"), to.as_mut_ptr() as i64, 6]);
        assert_eq!(&to, b"dentr\0");
        call(&mut run, HostFn::copy_text, &[of(b"a\0"), to.as_mut_ptr() as i64, 6]);
        assert_eq!(&to, b"a\0\0\0\0\0");
        let mut order = |a: &[u8], b: &[u8]| call(&mut run, HostFn::compare_text, &[of(a), of(b)]);
        assert!(order(b"a\0", b"b\0") < 0 && order(b"b\0", b"a\0") > 0 && order(b"a\0x", b"a\0y") == 0);
        assert!(order(b"\xff\0", b"a\0") > 0, "strings compare as unsigned bytes");
        let handle = call(&mut run, HostFn::intern, &[of(b"a long name\0")]);
        let address = call(&mut run, HostFn::text_of, &[handle]);
        // SAFETY: interned texts stay where they are and end with a NUL.
        assert_eq!(unsafe { CStr::from_ptr(address as *const c_char) }, c"a long name");
        let mut name = [0xffu8; 4];
        call(&mut run, HostFn::execname, &[name.as_mut_ptr() as i64, 4]);
        assert_eq!(name[3], 0);
    }

    #[test]
    fn faults_and_exit_reach_the_run() {
        let (mut run, _) = run(Image::default());
        call(&mut run, HostFn::raise, &[Fault::DivisionByZero as i64, 0, 43]);
        call(&mut run, HostFn::raise, &[999, 0, 43]);
        let raised = run.take_raised();
        assert_eq!(raised, [Raised { fault: Fault::DivisionByZero, detail: 0, position: 43 }]);
        assert!(!run.is_exiting());
        call(&mut run, HostFn::exit, &[]);
        assert!(run.is_exiting());
        assert_eq!(call(&mut run, HostFn::fact, &[Fact::Pid as i64]), i64::from(std::process::id()));
    }
}
