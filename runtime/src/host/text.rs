//! Strings, and the functions of the library that take and give them.

use super::{Host, index, most, number, store, string};
use crate::library::{self, Answer, Arguments};
use crate::sys::process;
use tapster_compiler::host::LibraryFn;
use tapster_runtime_ebpf::record::Fault;

/// Arguments of a library function: words, strings by their address.
struct Args(*const i64);

impl<'a> Arguments<'a> for Args {
    fn long(&self, nth: usize) -> i64 {
        // SAFETY: generated code passes a word for every argument of the function, and it asks for no more.
        unsafe { self.0.add(nth).read_unaligned() }
    }

    fn text(&self, nth: usize) -> &'a [u8] {
        // SAFETY: where the function takes a string, the word is the address of one that ends with a NUL and that
        // nobody writes to until the function is through.
        unsafe { string(self.long(nth)) }
    }
}

impl Host<'_> {
    pub(super) unsafe fn text_of(&mut self, handle: i64) -> i64 {
        self.run.text_of(handle as u64).as_ptr() as i64
    }

    pub(super) unsafe fn copy_text(&mut self, from: i64, to: i64, size: i64) -> i64 {
        let Some(most) = most(size) else { return 0 };
        // SAFETY: `from` is the address of a string that ends with a NUL.
        let len = unsafe { string(from) }.len();
        if len > most {
            self.run.note_truncation();
        }
        let len = len.min(most);
        // SAFETY: as above, and `to` has room for `size` bytes. The two may be one place: hence a copy that allows for
        // it.
        unsafe {
            let to = to as *mut u8;
            std::ptr::copy(from as *const u8, to, len);
            std::ptr::write_bytes(to.add(len), 0, most + 1 - len);
        }
        0
    }

    pub(super) unsafe fn append_text(&mut self, to: i64, size: i64, from: i64) -> i64 {
        let Some(most) = most(size) else { return 0 };
        // SAFETY: both are addresses of strings that end with a NUL.
        let (there, len) = unsafe { (string(to).len(), string(from).len()) };
        let room = most.saturating_sub(there);
        if len > room {
            self.run.note_truncation();
        }
        let len = len.min(room);
        // SAFETY: `to` has room for `size` bytes, of which `there` are taken. The two may be one place: hence a copy
        // that allows for it.
        unsafe {
            let end = (to as *mut u8).add(there);
            std::ptr::copy(from as *const u8, end, len);
            end.add(len).write(0);
        }
        0
    }

    pub(super) unsafe fn compare_text(&mut self, left: i64, right: i64) -> i64 {
        // SAFETY: both are addresses of strings that end with a NUL.
        unsafe { string(left).cmp(string(right)) as i64 }
    }

    pub(super) unsafe fn intern(&mut self, text: i64) -> i64 {
        // SAFETY: `text` is the address of a string that ends with a NUL.
        let text = unsafe { string(text) };
        self.run.intern(text) as i64
    }

    pub(super) unsafe fn execname(&mut self, out: i64, size: i64) -> i64 {
        let name = self.name_of_event().unwrap_or_else(process::comm);
        let len = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        // SAFETY: as the list says.
        unsafe { self.store_text(out, size, &name[..len]) };
        0
    }

    pub(super) unsafe fn point(&mut self, which: i64) -> i64 {
        self.run.point(index(which)).unwrap_or_default().as_ptr() as i64
    }

    pub(super) unsafe fn match_text(&mut self, regex: i64, text: i64) -> i64 {
        // SAFETY: `text` is the address of a string that ends with a NUL.
        let text = unsafe { string(text) };
        self.run.is_match(index(regex), text).into()
    }

    pub(super) unsafe fn call(&mut self, function: i64, args: i64, out: i64, size: i64) -> i64 {
        let Some(function) = LibraryFn::from_number(number(function)) else { return 0 };
        let args = Args(args as *const i64);
        let mut text = self.run.take_scratch();
        let answer = match library::call(self.run, function, &args, most(size).unwrap_or(0)) {
            Ok(Answer::Nothing) => Ok(None),
            Ok(Answer::Long(number)) => Ok(Some(number)),
            // Out of its place first: `out` may be that of an argument.
            Ok(Answer::Text(answer)) => {
                text.extend_from_slice(&answer);
                Ok(None)
            }
            Err(refusal) => Err(refusal),
        };
        // SAFETY: `out` is the address of a word where the function gives a number, of `size` bytes where it gives a
        // string.
        unsafe {
            match &answer {
                Ok(Some(number)) => store(out, &number.to_ne_bytes()),
                _ => self.store_text(out, size, &text),
            }
        }
        self.run.give_scratch(text);
        match answer {
            Ok(_) => 0,
            Err(refusal) => {
                self.run.refuse(refusal);
                Fault::Text as i64
            }
        }
    }
}
