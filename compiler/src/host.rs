//! What native handlers may call: one list, expanded into the compiler's declarations and the runtime's table.
//!
//! Every function takes the run's context and 64-bit words and gives one word back. Addresses are words too. `global`,
//! `format` and the like are indexes into the image. A function that can fail gives a [`Fault`]'s number, or 0.
//!
//! [`Fault`]: tapster_runtime_ebpf::record::Fault

/// Calls the macro `$m` with every host function: `name(argument, …): what it does`.
#[macro_export]
macro_rules! host_functions {
    ($m:ident) => {
        $m! {
            /// `exit()`: the session ends when this handler is through.
            exit();
            /// `abort()`: the session ends at once. The handler then returns.
            abort();
            /// A run-time error is on its way (`context::PENDING`): fault number, detail, source position.
            raise(fault, detail, position);
            /// As `raise`, for the error of `error()`: `text` is the address of its NUL-terminated message.
            raise_text(text);
            /// Takes the error that is on its way and writes its message, without its place, to `out`, at most `size`
            /// bytes with the NUL; `size` 0 writes nothing.
            caught(out, size);
            /// Prints a format; `args` is the address of one word an argument.
            print(format, args);
            /// `sprintf`: writes what `print` would print to `out`, at most `size` bytes with the NUL.
            format_text(format, args, out, size);
            /// Prints a stack as `print_stack` does, one symbol a line.
            print_stack(stack);
            /// Prints the histogram of a statistic, a blank line after it; gives a fault where it is empty.
            print_histogram(global, key);
            /// Writes the histogram of a statistic to `out`, at most `size` bytes with the NUL; gives a fault where it is
            /// empty.
            histogram_text(global, key, out, size);
            /// Reads the count of a bucket into the word at `out`; gives a fault where the statistic is empty or has no
            /// such bucket.
            bucket(global, key, number, out);
            /// Adds a value to a statistic; `key` is the address of its key, 0 for a scalar. Gives a fault where the
            /// array is full.
            aggregate_add(global, key, value);
            /// Reads an extractor of a statistic into the word at `out`; gives a fault where it has none.
            aggregate_read(global, key, extractor, out);
            /// Copies an element to `out`, zeros where there is none; gives 1 where there was one.
            array_get(global, key, out);
            /// Sets an element from the bytes at `value`; gives a fault where the array is full.
            array_set(global, key, value);
            /// Gives 1 where the array has this key.
            array_has(global, key);
            /// Deletes an element; `key` 0 deletes all.
            array_delete(global, key);
            /// Gives 1 where an element's key equals the one at `key` in all parts that `mask` has a bit for.
            array_has_slice(global, key, mask);
            /// Deletes all such elements.
            array_delete_slice(global, key, mask);
            /// Starts a walk over the elements whose key equals the one at `key` in all parts that `mask` has a bit for
            /// (0 and 0: over all). `sort` is [`Sort::encode`]d, `limit` is negative for none. Gives the walk's handle.
            walk_begin(global, key, mask, sort, limit);
            /// Starts a walk over the numbers of a histogram's buckets; as values they have their counts. Gives the
            /// walk's handle.
            walk_buckets(global, key, sort, limit);
            /// The address of the next key, or of the 64 bits of the next bucket's number; 0 at the end.
            walk_next(walk);
            /// Ends a walk.
            walk_end(walk);
            /// The address of the NUL-terminated string with this handle.
            text_of(handle);
            /// Writes a stack as a string of hex addresses to `out`, at most `size` bytes with the NUL.
            stack_text(stack, out, size);
            /// Copies the string at `from` to `to`, cut to `size` bytes with its NUL; the rest is filled with NULs.
            copy_text(from, to, size);
            /// Appends the string at `from` to the one at `to`, cut so that both have room in `size` bytes with their NUL.
            append_text(to, size, from);
            /// The order of two NUL-terminated strings: negative, 0 or positive.
            compare_text(left, right);
            /// The handle of the NUL-terminated string at this address; the run remembers its bytes.
            intern(text);
            /// A fact of the process or the clock, by [`Fact`]'s number.
            fact(which);
            /// Writes this process's name to `out`, at most `size` bytes with the NUL.
            execname(out, size);
            /// Gives 1 where the regular expression with this number is found in the string at `text`.
            match_text(regex, text);
            /// Reads `size` bytes (1, 2, 4 or 8; negative: with their sign) of the kernel (`memory` 0) or of this process
            /// (1) into the word at `out`; gives 1 where there is nothing to read.
            read_number(memory, address, size, out);
            /// Reads a NUL-terminated string, likewise, to `out`, at most `size` bytes with the NUL, and `most` without it
            /// where that is not negative; gives 1 where there is nothing to read.
            read_text(memory, address, most, out, size);
            /// The address of the handler's probe point: as it was resolved (0), as the script wrote it (1), or the
            /// function in it (2).
            point(which);
            /// Calls a [`LibraryFn`]. `args` is the address of one word an argument: numbers, or addresses of
            /// NUL-terminated strings. The result goes to `out`: a word where `size` is 0, at most `size` bytes of a
            /// string with its NUL otherwise. Gives a fault.
            call(function, args, out, size);
        }
    };
}

macro_rules! declare {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*);)*) => {
        /// A host function; its number is its place in the runtime's table.
        #[expect(non_camel_case_types, reason = "named as the functions are")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum HostFn { $($(#[$doc])* $name),* }

        impl HostFn {
            /// All of them, in order.
            pub const ALL: &[HostFn] = &[$(HostFn::$name),*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(HostFn::$name => stringify!($name)),* }
            }

            /// How many words it takes beside the context.
            pub const fn arity(self) -> usize {
                match self { $(HostFn::$name => <[&str]>::len(&[$(stringify!($arg)),*])),* }
            }
        }
    };
}
host_functions!(declare);

/// Calls the macro `$m` with every function of the language's library that only user space has: `name(argument, …)`.
#[macro_export]
macro_rules! library_functions {
    ($m:ident) => {
        $m! {
            /// The length of a string.
            strlen(text);
            /// The part of a string from `start` on, `length` bytes at most.
            substr(text, start, length);
            /// The byte at a position; an error where the string has none there.
            stringat(text, position);
            /// 1 where the first string contains the second.
            isinstr(text, part);
            /// Where the second string first stands in the first, or -1.
            strpos(text, part);
            /// A string as a number, as far as it is one.
            strtol(text, base);
            /// The string with every `old` in it replaced.
            str_replace(text, old, new);
            /// The string in double quotes, what cannot be printed as escapes.
            string_quoted(text);
            /// The string, what cannot be printed as escapes.
            text_str(text);
            /// As `text_str`, or in quotes, with no more than `length` bytes.
            text_strn(text, length, quoted);
            /// The first word of a string up to a delimiter, of the last one's rest where it is empty.
            tokenize(text, delimiters);
            /// A group of the last regular expression that was found.
            matched(group);
            /// How many groups the last regular expression has, the whole of it counted; an error where it was not found.
            ngroups();
            /// Prints a line.
            log(text);
            /// Prints a `WARNING:` line on standard error.
            warn(text);
            /// A time in seconds as a date.
            ctime(seconds);
            /// The name of an error number.
            errno_str(number);
            /// A line of a file, by its number.
            file_line(path, number);
            /// The name of what is in a folder, by its number.
            folder_entry(path, number);
            /// Where a symbolic link leads.
            link_target(path);
            /// The process that holds most memory, the second, and so on.
            largest_process(number);
            /// A word of a text, by its number.
            word(text, number);
            /// The kernel function that an address lies in.
            symname(address);
            /// The same with offset, size and module.
            symdata(address);
            /// The module that an address lies in.
            modname(address);
            /// Starts a command of the shell.
            system(command);
            /// Has the output go on in the next file.
            switch_file();
            /// The name of a system call.
            syscall_name(number);
            /// The number of a system call, -1 where there is none of that name.
            syscall_num(name);
            /// What probe points call it.
            __syscall_point(number);
            /// Which of its parameters have something behind an address.
            __syscall_slots(number);
            /// Its arguments as text: number and arguments; two strings, each with its first byte; a structure.
            __syscall_argstr(
                number, a, b, c, d, e, f, first_byte, first, second_byte, second, byte, u, v, w, x, y, z, path
            );
            /// A string in quotes, or its address where it has no first byte.
            __syscall_quoted(address, byte, text);
            /// A structure, or data of so many bytes, of which these words were read.
            __syscall_structure(kind, address, count, byte, u, v, w, x, y, z, path);
            /// What a number means in a set of names.
            __syscall_set(set, number);
            /// Strings, each with its address; then the address of the first that was not read.
            __syscall_strings(a, at, b, bt, c, ct, d, dt, e, et, f, ft, g, gt, h, ht, more);
            /// What a system call gave.
            __syscall_result(number, result);
            /// A result: decimal (1), hexadecimal (2) or octal (3), an error with its name.
            return_str(format, result);
            /// A stack of the kernel as text.
            sprint_syms(stack);
            /// Prints a stack of the kernel.
            print_syms(stack);
            /// The function of a process at an address.
            __usymname(pid, address);
            /// The same with offset, size and file.
            __usymdata(pid, address);
            /// The file that an address of a process belongs to.
            __umodname(pid, address);
            /// A stack of a process as text.
            __sprint_usyms(pid, stack);
            /// Prints a stack of a process.
            __print_usyms(pid, stack);
            /// An address of a stack, from 0 on.
            __nth_address(stack, number);
            /// The name of the session's time zone.
            tz_name();
            /// How many seconds the session's time zone is behind UTC.
            tz_gmtoff();
            /// The word of a text with this number, from 0 on; the last argument where there is none.
            __nth_word(words, number, otherwise);
            /// An error number without its sign, 0 where it is none.
            errno_p(number);
            /// A random number below a limit.
            randint(limit);
            /// The name of the task with this thread id, empty where there is none.
            pid2execname(pid);
            /// The kernel's ticks in a second.
            HZ();
            /// One of the three load averages, without its fraction.
            get_loadavg_index(index);
            /// The text of what woke the handler: what came on standard input, or was written to a file.
            __event_text();
            /// Sets what a reader of the file gets.
            __event_set(text);
            /// Adds to it.
            __event_add(text);
            /// A number that was read before, or the error that its reading was.
            __number_or_error(number, message);
            /// A string, likewise.
            __text_or_error(text, message);
            /// Writes a line into the kernel's trace buffer.
            ftrace(text);
            /// Writes a line into the kernel's log.
            printk(level, text);
            /// The content of a variable of the environment of the process with this id.
            __env_of(pid, name);
            /// Bytes of a page of memory.
            mem_page_size();
            /// Calculates with numbers of 64-bit floating point.
            __fp(operator, left, right);
            /// A number of floating point as text, with so many digits behind the point.
            __fp_text(number, digits);
            /// A text as a number of floating point.
            __fp_of(text);
        }
    };
}

macro_rules! declare_library {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*);)*) => {
        /// A function of the library that only user space has, by its number.
        #[expect(non_camel_case_types, reason = "named as the functions are")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum LibraryFn { $($(#[$doc])* $name),* }

        impl LibraryFn {
            /// All of them, in order.
            pub const ALL: &[LibraryFn] = &[$(LibraryFn::$name),*];

            /// The function with this number.
            pub fn from_number(number: u32) -> Option<LibraryFn> {
                LibraryFn::ALL.get(number as usize).copied()
            }

            /// Its name in the language.
            pub const fn name(self) -> &'static str {
                match self { $(LibraryFn::$name => stringify!($name)),* }
            }

            /// How many arguments it takes.
            pub const fn arity(self) -> usize {
                match self { $(LibraryFn::$name => <[&str]>::len(&[$(stringify!($arg)),*])),* }
            }
        }
    };
}
library_functions!(declare_library);

/// Addresses of the host functions, in the order of [`HostFn::ALL`].
#[derive(Clone, Debug)]
pub struct HostTable(pub Vec<*const u8>);

/// The start of the run's context, as generated code reads it.
#[repr(C)]
#[derive(Debug)]
pub struct ContextHeader {
    /// The state block.
    pub state: *mut u8,
    /// 1 while a run-time error is on its way to a catch block or out of the handler.
    pub pending: i64,
    /// Statements that the handler may still run.
    pub actions: i64,
    /// How deep calls of functions are nested; 0 at the start of a handler.
    pub nesting: i64,
    /// What a kernel handler handed on: the bytes behind its record's header. Null in all other handlers.
    pub record: *const u8,
}

/// Byte offsets in the [`ContextHeader`].
pub mod context {
    use super::ContextHeader;
    use core::mem::offset_of;

    /// The state block's address.
    pub const STATE: u32 = offset_of!(ContextHeader, state) as u32;
    /// 1 while a run-time error is on its way.
    pub const PENDING: u32 = offset_of!(ContextHeader, pending) as u32;
    /// Statements left.
    pub const ACTIONS: u32 = offset_of!(ContextHeader, actions) as u32;
    /// Nesting of calls.
    pub const NESTING: u32 = offset_of!(ContextHeader, nesting) as u32;
    /// The address of what was handed on.
    pub const RECORD: u32 = offset_of!(ContextHeader, record) as u32;

    const _: () = assert!(STATE == 0 && PENDING == 8 && ACTIONS == 16 && NESTING == 24 && RECORD == 32);
    const _: () = assert!(size_of::<ContextHeader>() == 40);
}

/// What a walk is sorted by, packed into a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// Largest first.
    pub descending: bool,
}

/// What a walk is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// As the array stands.
    Unsorted,
    /// The n-th key.
    Key(u32),
    /// The value; of a statistic this extractor.
    Value(Extractor),
}

/// An extractor, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "named as the language names them")]
pub enum Extractor {
    Count = 0,
    Sum = 1,
    Min = 2,
    Max = 3,
    Avg = 4,
    Variance = 5,
}

impl Extractor {
    /// The extractor with this number.
    pub const fn from_number(number: u32) -> Option<Extractor> {
        match number {
            0 => Some(Extractor::Count),
            1 => Some(Extractor::Sum),
            2 => Some(Extractor::Min),
            3 => Some(Extractor::Max),
            4 => Some(Extractor::Avg),
            5 => Some(Extractor::Variance),
            _ => None,
        }
    }
}

impl Sort {
    /// As a word.
    pub const fn encode(self) -> i64 {
        let (by, number) = match self.by {
            SortBy::Unsorted => (0, 0),
            SortBy::Key(nth) => (1, nth),
            SortBy::Value(extractor) => (2, extractor as u32),
        };
        (by << 8 | self.descending as i64) | (number as i64) << 16
    }

    /// From a word.
    pub fn decode(word: i64) -> Option<Sort> {
        let number = (word >> 16) as u32;
        let by = match word >> 8 & 0xff {
            0 => SortBy::Unsorted,
            1 => SortBy::Key(number),
            2 => SortBy::Value(Extractor::from_number(number)?),
            _ => return None,
        };
        Some(Sort { by, descending: word & 1 == 1 })
    }
}

/// A fact of the current task or the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "named as the language's functions")]
pub enum Fact {
    Pid = 0,
    Tid = 1,
    Uid = 2,
    Gid = 3,
    Cpu = 4,
    GettimeofdayNs = 5,
    KtimeNs = 6,
    Task = 7,
    Jiffies = 8,
    FunctionAddress = 9,
    UserRegisters = 10,
}

impl Fact {
    /// The fact with this number.
    pub fn from_number(number: u32) -> Option<Fact> {
        use Fact::*;
        [Pid, Tid, Uid, Gid, Cpu, GettimeofdayNs, KtimeNs, Task, Jiffies, FunctionAddress, UserRegisters]
            .get(number as usize)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_survives_its_word() {
        for by in [SortBy::Unsorted, SortBy::Key(3), SortBy::Value(Extractor::Variance)] {
            for descending in [false, true] {
                let sort = Sort { by, descending };
                assert_eq!(Sort::decode(sort.encode()), Some(sort));
            }
        }
    }
}
