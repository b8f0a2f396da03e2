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
            /// Reports a run-time error: fault number, detail, source position. The handler then returns.
            raise(fault, detail, position);
            /// Prints a format; `args` is the address of one word an argument.
            print(format, args);
            /// Prints a stack as `print_stack` does, one symbol a line.
            print_stack(stack);
            /// Prints the histogram of a statistic, a blank line after it; gives a fault where it is empty.
            print_histogram(global, key);
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
            /// Starts a walk; `sort` is [`Sort::encode`]d, `limit` is negative for none. Gives the walk's handle.
            walk_begin(global, sort, limit);
            /// The address of the next key, 0 at the end.
            walk_next(walk);
            /// Ends a walk.
            walk_end(walk);
            /// The address of the NUL-terminated string with this handle.
            text_of(handle);
            /// Writes a stack as a string of hex addresses to `out`, at most `size` bytes with the NUL.
            stack_text(stack, out, size);
            /// Copies the string at `from` to `to`, cut to `size` bytes with its NUL; the rest is filled with NULs.
            copy_text(from, to, size);
            /// The order of two NUL-terminated strings: negative, 0 or positive.
            compare_text(left, right);
            /// The handle of the NUL-terminated string at this address; the run remembers its bytes.
            intern(text);
            /// A fact of the process or the clock, by [`Fact`]'s number.
            fact(which);
            /// Writes this process's name to `out`, at most `size` bytes with the NUL.
            execname(out, size);
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

/// Addresses of the host functions, in the order of [`HostFn::ALL`].
#[derive(Clone, Debug)]
pub struct HostTable(pub Vec<*const u8>);

/// The start of the run's context, as generated code reads it.
#[repr(C)]
#[derive(Debug)]
pub struct ContextHeader {
    /// The state block.
    pub state: *mut u8,
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

/// A fact that a user handler can ask of its own process or the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "named as the language's functions")]
pub enum Fact {
    Pid = 0,
    Tid = 1,
    Ppid = 2,
    Uid = 3,
    Euid = 4,
    Gid = 5,
    Egid = 6,
    Cpu = 7,
    GettimeofdayNs = 8,
    KtimeNs = 9,
    Target = 10,
}

impl Fact {
    /// The fact with this number.
    pub fn from_number(number: u32) -> Option<Fact> {
        use Fact::*;
        [Pid, Tid, Ppid, Uid, Euid, Gid, Egid, Cpu, GettimeofdayNs, KtimeNs, Target].get(number as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_survives_its_word() {
        for by in [SortBy::Unsorted, SortBy::Key(3), SortBy::Value(Extractor::Avg)] {
            for descending in [false, true] {
                let sort = Sort { by, descending };
                assert_eq!(Sort::decode(sort.encode()), Some(sort));
            }
        }
    }
}
