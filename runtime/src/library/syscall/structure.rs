//! Structures of a process, of which a few words were read, as text.

use super::flags;
use crate::library::text;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What was read at an address of a process.
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// The address.
    pub address: i64,
    /// The first byte, -1 where there was nothing to read.
    pub byte: i64,
    /// The words there.
    pub words: [i64; 6],
    /// The string behind the first two bytes, which a socket's address may be.
    pub path: &'a [u8],
}

/// Bytes of data that are shown, with the quotes (SystemTap's `syscall_string_trunc`).
pub const DATA: usize = 50;

/// A structure of this kind, or data of so many bytes.
pub fn describe(kind: &[u8], count: i64, read: &Read) -> Vec<u8> {
    let w = &read.words;
    match kind {
        b"af" | b"ip" | b"port" | b"flowinfo" | b"scope" if read.address == 0 || read.byte < 0 => Vec::new(),
        _ if read.address == 0 => b"NULL".to_vec(),
        b"data" if count <= 0 => b"\"\"".to_vec(),
        _ if read.byte < 0 => format!("0x{:x}", read.address).into_bytes(),
        b"data" => data(count, read),
        b"sockaddr" => sockaddr(read),
        b"timespec" => time(w[0], w[1], 9).into_bytes(),
        b"timeval" => time(w[0], w[1], 6).into_bytes(),
        b"timespecs" => (time_or_not(w[0], w[1]) + &time_or_not(w[2], w[3])).into_bytes(),
        b"timevals" => (time(w[0], w[1], 6) + &time(w[2], w[3], 6)).into_bytes(),
        b"timezone" => format!("[{}, {}]", w[0] as i32, (w[0] >> 32) as i32).into_bytes(),
        b"fds" => format!("[{}, {}]", w[0] as i32, (w[0] >> 32) as i32).into_bytes(),
        b"sigset" => flags::signals(w[0]).into_bytes(),
        b"sigaction" => action(w).into_bytes(),
        b"siginfo" => information(w).into_bytes(),
        b"stack" => {
            let flags = flags::describe(b"sigstack", w[1] & 0xffff_ffff);
            format!("{{ss_sp=0x{:x}, ss_flags={flags}, ss_size={}}}", w[0], w[2] as u64).into_bytes()
        }
        b"tms" => {
            let [user, system, of_children, system_of_children, ..] = w;
            format!(
                "{{tms_utime={user}, tms_stime={system}, tms_cutime={of_children}, tms_cstime={system_of_children}}}"
            )
            .into_bytes()
        }
        b"utimbuf" => [&b"["[..], &date(w[0]), b", ", &date(w[1]), b"]"].concat(),
        b"sched_attr" => scheduling(w).into_bytes(),
        b"af" => flags::describe(b"family", family(w).into()).into_bytes(),
        b"ip" | b"port" | b"flowinfo" | b"scope" => internet(kind, w).into_bytes(),
        b"itimerspec" => both_times(w, 9).into_bytes(),
        b"itimerval" => both_times(w, 6).into_bytes(),
        b"rlimit" => format!("[{},{}]", limit(w[0]), limit(w[1])).into_bytes(),
        _ => format!("0x{:x}", read.address).into_bytes(),
    }
}

/// An interval and a time, with so many places of fractions.
fn both_times(words: &[i64; 6], places: usize) -> String {
    format!("[{}.{:0places$},{}.{:0places$}]", words[0], words[1], words[2], words[3])
}

/// A time that a file gets, or what stands for none.
fn time_or_not(seconds: i64, fraction: i64) -> String {
    match fraction {
        libc::UTIME_NOW => "[UTIME_NOW]".into(),
        libc::UTIME_OMIT => "[UTIME_OMIT]".into(),
        _ => time(seconds, fraction, 9),
    }
}

/// A date as `ctime` writes it, or the number of a year that has more digits.
fn date(seconds: i64) -> Vec<u8> {
    crate::library::number::ctime(seconds).unwrap_or_else(|_| seconds.to_string().into_bytes())
}

/// The kernel's `struct sigaction`.
fn action(&[handler, flags, restorer, mask, ..]: &[i64; 6]) -> String {
    /// What says that there is a restorer; the C library keeps it for itself.
    const SA_RESTORER: i64 = 0x0400_0000;
    match handler {
        0 => return "SIG_DFL".into(),
        1 => return "SIG_IGN".into(),
        _ => {}
    }
    let restorer_named = match (flags & SA_RESTORER != 0, flags & !SA_RESTORER) {
        (true, 0) => "SA_RESTORER".to_owned(),
        (true, rest) => flags::describe(b"sigaction", rest) + "|SA_RESTORER",
        (false, all) => flags::describe(b"sigaction", all),
    };
    format!("0x{handler:x}, {restorer_named}, 0x{restorer:x}, {}", flags::signals(mask))
}

/// What a signal brings along: its number, why it came, and who sent it.
fn information(words: &[i64; 6]) -> String {
    let (signal, code) = (words[0] as i32, words[1] as i32);
    let (first, second) = (words[2] as u32, (words[2] >> 32) as u32);
    let who = match (code, signal) {
        (libc::SI_TIMER, _) => format!(", si_tid=0x{first:x}, si_overrun={second}"),
        // What user space sends has a code that is not above zero.
        (..=0, _) => format!(", si_pid={first}, si_uid={second}"),
        (_, libc::SIGILL | libc::SIGFPE | libc::SIGSEGV | libc::SIGBUS) => format!(", si_addr=0x{:x}", words[2]),
        _ if words[2] == 0 => String::new(),
        _ => format!(", si_pid={first}, si_uid={second}"),
    };
    let (signal, code) = (flags::describe(b"signal", signal.into()), flags::describe(b"sigcode", code.into()));
    format!("{{si_signo={signal}, si_code={code}{who}}}")
}

/// `struct sched_attr`
fn scheduling(words: &[i64; 6]) -> String {
    let [first, flags, second, runtime, deadline, period] = words.map(|word| word as u64);
    let (size, policy, nice, priority) = (first as u32, first >> 32, second as i32, second >> 32);
    format!(
        "{{size={size}, sched_policy={policy}, sched_flags={flags}, sched_nice={nice}, sched_priority={priority}, \
         sched_runtime={runtime}, sched_deadline={deadline}, sched_period={period}}}"
    )
}

fn family(words: &[i64; 6]) -> u16 {
    words[0] as u16
}

/// A part of an internet address; of others nothing.
fn internet(part: &[u8], words: &[i64; 6]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let number = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]).to_string();
    match (part, i32::from(family(words))) {
        (b"port", libc::AF_INET | libc::AF_INET6) => u16::from_be_bytes([bytes[2], bytes[3]]).to_string(),
        (b"ip", libc::AF_INET) => Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]).to_string(),
        (b"ip", libc::AF_INET6) => {
            let address: [u8; 16] = bytes[8..24].try_into().expect("sixteen bytes");
            Ipv6Addr::from(address).to_string()
        }
        (b"flowinfo", libc::AF_INET6) => number(4),
        (b"scope", libc::AF_INET6) => number(24),
        _ => String::new(),
    }
}

/// Seconds with so many places of fractions.
fn time(seconds: i64, fraction: i64, places: usize) -> String {
    format!("[{seconds}.{fraction:0places$}]")
}

fn limit(number: i64) -> String {
    if number == -1 { "RLIM_INFINITY".into() } else { (number as u64).to_string() }
}

fn data(count: i64, read: &Read) -> Vec<u8> {
    let bytes: Vec<u8> = read.words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let all = usize::try_from(count).unwrap_or(usize::MAX);
    let mut quoted = text::escape(&bytes[..all.min(bytes.len())], DATA, true);
    if all > bytes.len() && quoted.ends_with(b"\"") {
        quoted.extend_from_slice(b"...");
    }
    quoted
}

fn sockaddr(read: &Read) -> Vec<u8> {
    let bytes: Vec<u8> = read.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let family = u16::from_ne_bytes([bytes[0], bytes[1]]);
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    match i32::from(family) {
        libc::AF_INET => {
            let address = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            format!("{{AF_INET, {address}, {port}}}").into_bytes()
        }
        libc::AF_INET6 => {
            let address: [u8; 16] = bytes[8..24].try_into().expect("sixteen bytes");
            format!("{{AF_INET6, {}, {port}}}", Ipv6Addr::from(address)).into_bytes()
        }
        libc::AF_NETLINK => {
            let number = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            format!("{{AF_NETLINK, pid={}, groups={:08x}}}", number(4), number(8)).into_bytes()
        }
        libc::AF_UNIX => {
            // A name that starts with NUL is in no file system.
            let path =
                if read.path.is_empty() { abstract_name(&bytes[2..]) } else { text::escape(read.path, 110, true) };
            [b"{AF_UNIX, ", path.as_slice(), b"}"].concat()
        }
        other => format!("{{{}, ...}}", flags::describe(b"family", other.into())).into_bytes(),
    }
}

fn abstract_name(bytes: &[u8]) -> Vec<u8> {
    let name: &[u8] = bytes[1..].split(|byte| *byte == 0).next().unwrap_or_default();
    [b"\"\\000", name, b"\""].concat()
}
