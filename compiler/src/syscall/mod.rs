//! The system calls: their names, numbers and parameters, and the aliases that stand for them in scripts.

mod aliases;

pub use aliases::{Made, listed, variables};

/// What aliases write around a condition that is looked at where a call begins as well, should `@entry` ask there:
/// `__both_ends(c)` is `c`.
pub const BOTH_ENDS: &str = "__both_ends";

/// The table.
const CALLS: &str = include_str!("calls.txt");
/// Numbers that tables for the kernel have room for; no architecture has that many calls.
pub const NUMBERS: usize = 512;
/// Bytes of a name in such a table, with its NUL.
pub const NAME_SIZE: u32 = 24;

/// The arguments of a system call, where the tracepoints of all calls show them.
pub const ARGUMENTS: [&str; 6] = if cfg!(target_arch = "aarch64") {
    ["$regs->orig_x0", "$regs->regs[1]", "$regs->regs[2]", "$regs->regs[3]", "$regs->regs[4]", "$regs->regs[5]"]
} else {
    ["$regs->di", "$regs->si", "$regs->dx", "$regs->r10", "$regs->r8", "$regs->r9"]
};

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What the kernel calls it.
    pub name: &'static str,
    /// Its number on this architecture.
    pub number: u32,
    /// What probe points call it, the name that `syscall.*` gives it first.
    pub names: Vec<&'static str>,
    /// Its parameters.
    pub params: Vec<Param>,
    /// Variables beside them, with what they are in the language: `arg1` is the first argument, `{words 1}` what is
    /// read there.
    pub extras: Vec<(&'static str, &'static str)>,
}

/// A parameter of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// The variable of its value; of its text, where the kind is [`Kind::Text`] and there is no other.
    pub variable: &'static str,
    /// The variable of its text, where the table names one.
    pub text: Option<&'static str>,
    /// What it is.
    pub kind: Kind,
}

/// What a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number of 32 bits with a sign.
    Int,
    /// One without.
    Uint,
    /// A number of 64 bits with a sign.
    Long,
    /// One without.
    Word,
    /// A number of 32 bits, written with eight digits a three bits.
    Octal,
    /// A number, written in hexadecimal.
    Hex,
    /// An address.
    Pointer,
    /// The address of a string.
    Text,
    /// The address of bytes that the next parameter counts.
    Data,
    /// The address of addresses of strings.
    Strings,
    /// The address of a structure of this name.
    Structure(&'static str),
    /// A number of so many bits whose meaning is in the set of this name.
    Set(&'static str, Width),
}

/// How much of a register a number takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 32 bits with a sign.
    Int,
    /// 32 bits without.
    Uint,
    /// All of it.
    Word,
}

/// How many parameters before one of this set stands the one that says what it means; 0 where none does.
#[must_use]
pub fn said_before(set: &str) -> usize {
    match set {
        "optname" => 1,
        "protocol" => 2,
        _ => 0,
    }
}

/// The structures that texts are made of.
const STRUCTURES: &[&str] = &[
    "fds",
    "itimerspec",
    "itimerval",
    "rlimit",
    "sched_attr",
    "sigaction",
    "siginfo",
    "sigset",
    "sockaddr",
    "stack",
    "timespec",
    "timespecs",
    "timeval",
    "timevals",
    "timezone",
    "tms",
    "utimbuf",
];

/// All calls of this architecture.
pub fn calls() -> impl Iterator<Item = Call> {
    let mut lines = CALLS.lines().filter(|line| !line.starts_with('#')).peekable();
    core::iter::from_fn(move || {
        let line = lines.next()?;
        let mut extras = Vec::new();
        while let Some(extra) = lines.next_if(|line| line.starts_with("  ")) {
            extras.extend(extra.trim_start().split_once(" = "));
        }
        Some(call(line, extras))
    })
    .flatten()
}

/// The call with this number.
pub fn by_number(number: i64) -> Option<Call> {
    calls().find(|call| i64::from(call.number) == number)
}

fn call(line: &'static str, extras: Vec<(&'static str, &'static str)>) -> Option<Call> {
    let mut words = line.split(' ');
    let (name, x86_64, arm64) = (words.next()?, words.next()?, words.next()?);
    let number = if cfg!(target_arch = "aarch64") { arm64 } else { x86_64 };
    let mut words = words.peekable();
    let names =
        words.next_if(|word| word.starts_with('=')).map_or_else(|| vec![name], |word| word[1..].split(',').collect());
    Some(Call { name, number: number.parse().ok()?, names, params: words.filter_map(param).collect(), extras })
}

fn param(word: &'static str) -> Option<Param> {
    let (variables, kind) = word.split_once(':')?;
    let (variable, text) = match variables.split_once('/') {
        Some((variable, text)) => (variable, Some(text)),
        None => (variables, None),
    };
    let kind = match kind {
        "d" => Kind::Int,
        "u" => Kind::Uint,
        "l" => Kind::Long,
        "w" => Kind::Word,
        "o" => Kind::Octal,
        "x" => Kind::Hex,
        "p" => Kind::Pointer,
        "path" => Kind::Text,
        "data" => Kind::Data,
        "argv" => Kind::Strings,
        structure if STRUCTURES.contains(&structure) => Kind::Structure(structure),
        set => match set.split_once('.') {
            Some((set, "u")) => Kind::Set(set, Width::Uint),
            Some((set, _)) => Kind::Set(set, Width::Word),
            None => Kind::Set(set, Width::Int),
        },
    };
    Some(Param { variable, text, kind })
}

/// Which parameters of a call have something behind an address: by their number from 1 on, 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// The first two strings, or the path in a socket's address.
    pub texts: [u8; 2],
    /// What is read as words.
    pub words: u8,
}

impl Slots {
    /// Those of a call.
    pub fn of(call: &Call) -> Slots {
        let mut slots = Slots::default();
        // The first structure is read as words: data beside one is read as a string.
        let has_structure = call.params.iter().any(|param| matches!(param.kind, Kind::Structure(_)));
        let mut texts = slots.texts.into_iter().enumerate();
        for (nth, param) in (1..).zip(&call.params) {
            match param.kind {
                Kind::Text | Kind::Data if param.kind == Kind::Text || has_structure => {
                    if let Some((text, _)) = texts.next() {
                        slots.texts[text] = nth;
                    }
                }
                Kind::Structure(_) | Kind::Data if slots.words == 0 => slots.words = nth,
                _ => {}
            }
        }
        slots
    }

    /// As one number: eight bits each.
    pub fn encode(self) -> i64 {
        i64::from(self.texts[0]) | i64::from(self.texts[1]) << 8 | i64::from(self.words) << 16
    }
}

/// A table by number, from -1 on: what has no number of its own is at the start.
fn table(entry: impl Fn(&Call, &mut [u8]), other: impl Fn(usize, &mut [u8]), size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size * (NUMBERS + 1)];
    bytes.chunks_mut(size).enumerate().for_each(|(row, bytes)| other(row, bytes));
    for call in calls() {
        let row = &mut bytes[size * (call.number as usize + 1)..][..size];
        row.fill(0);
        entry(&call, row);
    }
    bytes
}

/// The names of all calls, for the kernel; those of probe points, or the kernel's own.
pub fn name_table(of_points: bool) -> Vec<u8> {
    let put = |text: &str, row: &mut [u8]| row[..text.len()].copy_from_slice(text.as_bytes());
    let entry = |call: &Call, row: &mut [u8]| put(if of_points { call.names[0] } else { call.name }, row);
    let other = |row: usize, bytes: &mut [u8]| match row.checked_sub(1) {
        Some(number) => put(&number.to_string(), bytes),
        None => put("unknown", bytes),
    };
    table(entry, other, NAME_SIZE as usize)
}

/// [`Slots::encode`]d slots of all calls, for the kernel.
pub fn slot_table() -> Vec<u8> {
    table(|call, row| row.copy_from_slice(&Slots::of(call).encode().to_le_bytes()), |_, _| {}, 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_line_of_the_table_is_a_call() {
        let (extras, lines): (Vec<&str>, Vec<&str>) =
            CALLS.lines().filter(|line| !line.starts_with('#')).partition(|line| line.starts_with("  "));
        assert_eq!(calls().map(|call| call.extras.len()).sum::<usize>(), extras.len());
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let known = words[1..3].iter().all(|number| *number == "-" || number.parse::<u32>().is_ok());
            assert!(known, "{line}");
            let params = words[3..].iter().filter(|word| !word.starts_with('='));
            assert!(params.clone().count() <= 6 && params.clone().all(|word| param(word).is_some()), "{line}");
            if let Some(call) = call(line, Vec::new()) {
                assert!((call.number as usize) < NUMBERS && call.name.len() < NAME_SIZE as usize, "{line}");
            }
        }
        let numbers: HashSet<u32> = calls().map(|call| call.number).collect();
        assert_eq!(numbers.len(), calls().count());
    }

    /// What the C library was told by the kernel's headers.
    #[test]
    fn numbers_are_the_systems() {
        let number = |name: &str| calls().find(|call| call.name == name).map(|call| i64::from(call.number));
        for (name, expected) in [("read", 0), ("openat", 257), ("execve", 59), ("statx", 332), ("close_range", 436)] {
            if cfg!(target_arch = "x86_64") {
                assert_eq!(number(name), Some(expected), "{name}");
            }
        }
    }

    #[test]
    fn slots_are_what_lies_in_memory() {
        let slots = |name: &str| Slots::of(&calls().find(|call| call.name == name).expect("a call"));
        assert_eq!(slots("renameat"), Slots { texts: [2, 4], words: 0 });
        assert_eq!(slots("connect"), Slots { texts: [0, 0], words: 2 });
        assert_eq!(slots("write"), Slots { texts: [0, 0], words: 2 });
        assert_eq!(slots("rt_sigtimedwait"), Slots { texts: [0, 0], words: 1 });
        assert_eq!(slots("setxattr"), Slots { texts: [1, 2], words: 3 });
    }
}
