//! Arguments and results of system calls as text.

pub mod flags;
mod names;
pub mod structure;

use super::{Arguments, number, text};
use structure::Read;
use tapster_compiler::syscall::{Call, Kind, Slots, Width, by_number, calls, said_before};

/// The name of a call, or its number.
pub fn name(number: i64) -> String {
    by_number(number).map_or_else(|| number.to_string(), |call| call.name.into())
}

/// The number of a call, -1 where there is none of that name.
pub fn number(name: &[u8]) -> i64 {
    calls().find(|call| call.name.as_bytes() == name).map_or(-1, |call| call.number.into())
}

/// What probe points call it, or its number.
pub fn point(number: i64) -> String {
    by_number(number).map_or_else(|| number.to_string(), |call| call.names[0].into())
}

/// Which of its parameters have something behind an address.
pub fn slots(number: i64) -> i64 {
    by_number(number).map_or(0, |call| Slots::of(&call).encode())
}

/// A string of a process in quotes, or its address where it could not be read.
pub fn quoted(address: i64, byte: i64, string: &[u8], most: usize) -> Vec<u8> {
    if byte < 0 { format!("0x{address:x}").into_bytes() } else { text::escape(string, most, true) }
}

/// What a structure's arguments are from the n-th on: first byte, words, path.
fn read<'a>(address: i64, args: &impl Arguments<'a>, nth: usize) -> Read<'a> {
    let words = std::array::from_fn(|word| args.long(nth + 1 + word));
    Read { address, byte: args.long(nth), words, path: args.text(nth + 7) }
}

/// `__syscall_structure`
pub fn structure<'a>(args: &impl Arguments<'a>) -> Vec<u8> {
    structure::describe(args.text(0), args.long(2), &read(args.long(1), args, 3))
}

/// `__syscall_strings`: `["a", "b"]`, as far as they were read.
pub fn strings<'a>(args: &impl Arguments<'a>, most: usize) -> Vec<u8> {
    const READ: usize = 8;
    let there = (0..READ).take_while(|nth| args.long(2 * nth) != 0);
    let mut all: Vec<Vec<u8>> = there.map(|nth| text::escape(args.text(2 * nth + 1), most, true)).collect();
    if all.len() == READ && args.long(2 * READ) != 0 {
        all.push(b"...".to_vec());
    }
    [b"[", all.join(&b", "[..]).as_slice(), b"]"].concat()
}

/// The result of a call, of one that gives an address in hexadecimal, as SystemTap's tapset does.
pub fn result_of(number: i64, value: i64) -> Vec<u8> {
    let format = match by_number(number).map(|call| call.name) {
        Some("mmap" | "mremap") => 2,
        Some("umask") => 3,
        _ => 1,
    };
    result(format, value)
}

/// `return_str`
pub fn result(format: i64, result: i64) -> Vec<u8> {
    let name = number::errno_str(result);
    if result < 0 && !name.is_empty() && !name.starts_with(b"E#") {
        return [format!("{result} (").as_bytes(), &name, b")"].concat();
    }
    match format {
        2 => format!("0x{result:x}").into_bytes(),
        3 if result == 0 => b"0".to_vec(),
        3 => format!("0{result:o}").into_bytes(),
        _ => result.to_string().into_bytes(),
    }
}

/// `__syscall_argstr`
pub fn argstr<'a>(args: &impl Arguments<'a>, most: usize) -> Vec<u8> {
    let Some(call) = by_number(args.long(0)) else { return Vec::new() };
    let slots = Slots::of(&call);
    let told = (1..=call.params.len()).filter(|nth| is_told(&call, *nth, args));
    let parts: Vec<Vec<u8>> = told.map(|nth| argument(&call, slots, nth, args, most)).collect();
    parts.join(&b", "[..])
}

/// Whether an argument means something: the mode of a file does where one is created, and of a futex's arguments what
/// its operation takes.
fn is_told<'a>(call: &Call, nth: usize, args: &impl Arguments<'a>) -> bool {
    // The upper half of an offset is none on 64 bits, and SystemTap tells of four arguments of clone.
    if matches!(call.params[nth - 1].variable, "offset_high" | "tls") {
        return false;
    }
    if call.name == "futex" {
        return nth <= 3 || futex_takes(args.long(2)).contains(&nth);
    }
    let before = nth.checked_sub(2).map(|at| call.params[at].kind);
    let creates = i64::from(libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY));
    !matches!(before, Some(Kind::Set("open", _)))
        || call.params[nth - 1].kind != Kind::Octal
        || args.long(nth - 1) & creates != 0
}

/// The arguments behind the third that an operation on a futex takes: 4 a timeout or a number, 5 an address, 6 a number.
fn futex_takes(operation: i64) -> &'static [usize] {
    match (operation & !i64::from(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME)) as i32 {
        libc::FUTEX_WAIT | libc::FUTEX_LOCK_PI | libc::FUTEX_LOCK_PI2 => &[4],
        libc::FUTEX_WAIT_BITSET => &[4, 6],
        libc::FUTEX_WAKE_BITSET => &[6],
        libc::FUTEX_REQUEUE | libc::FUTEX_WAIT_REQUEUE_PI => &[4, 5],
        libc::FUTEX_CMP_REQUEUE | libc::FUTEX_CMP_REQUEUE_PI | libc::FUTEX_WAKE_OP => &[4, 5, 6],
        _ => &[],
    }
}

/// A futex's fourth and sixth argument, which are numbers for some operations.
fn of_futex(operation: i64, nth: usize, value: i64) -> Option<String> {
    let takes = futex_takes(operation);
    match nth {
        4 if takes.contains(&5) && takes.contains(&6) => Some((value as u32).to_string()),
        4 if operation & 0x7f == i64::from(libc::FUTEX_REQUEUE) => Some((value as u32).to_string()),
        6 if !takes.contains(&5) => Some(format!("0x{:x}", value as u32)),
        _ => None,
    }
}

/// The n-th argument, from 1 on.
fn argument<'a>(call: &Call, slots: Slots, nth: usize, args: &impl Arguments<'a>, most: usize) -> Vec<u8> {
    let value = args.long(nth);
    let address = || if value == 0 { "0x0".to_owned() } else { format!("0x{value:x}") };
    if let Some(text) = of_futex(args.long(2), nth, value).filter(|_| call.name == "futex") {
        return text.into_bytes();
    }
    let plain = match call.params[nth - 1].kind {
        Kind::Int => (value as i32).to_string(),
        Kind::Uint => (value as u32).to_string(),
        Kind::Long => value.to_string(),
        Kind::Word => (value as u64).to_string(),
        Kind::Octal => octal(value as u32),
        Kind::Hex => format!("0x{:x}", value as u32),
        Kind::Set(name, _) if said_before(name) != 0 => {
            flags::describe(name.as_bytes(), args.long(nth - said_before(name)) << 32 | value & 0xffff_ffff)
        }
        Kind::Set(name, width) => {
            let value = match width {
                Width::Int => i64::from(value as i32),
                Width::Uint => i64::from(value as u32),
                Width::Word => value,
            };
            flags::describe(name.as_bytes(), value)
        }
        Kind::Text => match slots.texts.iter().position(|slot| usize::from(*slot) == nth) {
            Some(text) => return quoted(value, args.long(7 + 2 * text), args.text(8 + 2 * text), most),
            None => address(),
        },
        Kind::Structure("sigaction") if usize::from(slots.words) == nth => {
            return [b"{", structure::describe(b"sigaction", 0, &read(value, args, 11)).as_slice(), b"}"].concat();
        }
        Kind::Structure(_) if value == 0 => return b"NULL".to_vec(),
        Kind::Data if usize::from(slots.words) == nth => {
            return structure::describe(b"data", args.long(nth + 1), &read(value, args, 11));
        }
        Kind::Data if usize::from(slots.texts[0]) == nth && args.long(7) >= 0 => {
            let (count, string) = (usize::try_from(args.long(nth + 1)).unwrap_or(usize::MAX), args.text(8));
            return text::escape(&string[..string.len().min(count)], structure::DATA, true);
        }
        Kind::Structure(name) if usize::from(slots.words) == nth => {
            return structure::describe(name.as_bytes(), 0, &read(value, args, 11));
        }
        Kind::Pointer | Kind::Strings | Kind::Data | Kind::Structure(_) => address(),
    };
    plain.into_bytes()
}

fn octal(value: u32) -> String {
    if value == 0 { "0".into() } else { format!("0{value:o}") }
}
