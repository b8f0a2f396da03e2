//! Structures of a process, of which a few words were read, as text.

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
        _ if read.address == 0 => b"NULL".to_vec(),
        b"data" if count <= 0 => b"\"\"".to_vec(),
        _ if read.byte < 0 => format!("0x{:x}", read.address).into_bytes(),
        b"data" => data(count, read),
        b"sockaddr" => sockaddr(read),
        b"timespec" => time(w[0], w[1], 9).into_bytes(),
        b"timeval" => time(w[0], w[1], 6).into_bytes(),
        b"itimerspec" => format!("[{},{}]", time(w[0], w[1], 9), time(w[2], w[3], 9)).into_bytes(),
        b"itimerval" => format!("[{},{}]", time(w[0], w[1], 6), time(w[2], w[3], 6)).into_bytes(),
        b"rlimit" => format!("[{},{}]", limit(w[0]), limit(w[1])).into_bytes(),
        _ => format!("0x{:x}", read.address).into_bytes(),
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
        libc::AF_UNIX => {
            // A name that starts with NUL is in no file system.
            let path =
                if read.path.is_empty() { abstract_name(&bytes[2..]) } else { text::escape(read.path, 110, true) };
            [b"{AF_UNIX, ", path.as_slice(), b"}"].concat()
        }
        other => format!("{{{}, ...}}", super::flags::describe(b"family", other.into())).into_bytes(),
    }
}

fn abstract_name(bytes: &[u8]) -> Vec<u8> {
    let name: &[u8] = bytes[1..].split(|byte| *byte == 0).next().unwrap_or_default();
    [b"\"\\000", name, b"\""].concat()
}
