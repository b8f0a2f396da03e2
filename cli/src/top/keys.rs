//! Keys of a terminal: what it sends becomes keys here, sequences of xterm and its kind included.
//!
//! Whoever waits for keys waits for the session's events as well, so the bytes are read as they come: a sequence that is not
//! complete yet waits for its rest until the next look.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use tapster_runtime::sys::wait;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    /// ^C or ^D.
    Interrupt,
    /// ^Z.
    Suspend,
}

/// The keys of standard input.
#[derive(Debug)]
pub struct Keys {
    input: File,
    pending: Vec<u8>,
}

impl Keys {
    /// Of this process.
    pub fn new() -> io::Result<Keys> {
        Ok(Keys { input: io::stdin().as_fd().try_clone_to_owned()?.into(), pending: Vec::new() })
    }

    /// What can be read when there are some.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// The keys that were hit since the last call.
    pub fn take(&mut self) -> io::Result<Vec<Key>> {
        let mut is_late = true;
        while wait::readable(&[self.input.as_fd()], Some(Duration::ZERO))? {
            let mut bytes = [0; 256];
            match self.input.read(&mut bytes)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.pending.extend_from_slice(&bytes[..read]),
            }
            is_late = false;
        }
        let (keys, used) = parse(&self.pending, is_late);
        self.pending.drain(..used);
        Ok(keys)
    }
}

/// The keys that bytes stand for, and how many of the bytes; those of a beginning sequence only where nothing follows it.
fn parse(bytes: &[u8], is_late: bool) -> (Vec<Key>, usize) {
    let (mut keys, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let (key, used) = match next(&bytes[at..]) {
            Some(found) => found,
            None if is_late => (Some(Key::Escape), bytes.len() - at),
            None => break,
        };
        keys.extend(key);
        at += used;
    }
    (keys, at)
}

/// The first key and its length; nothing where its end is missing.
fn next(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let single = |key| Some((Some(key), 1));
    match bytes {
        [0x1b, b'[' | b'O', rest @ ..] => {
            let end = rest.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
            Some((sequence(&rest[..=end]), end + 3))
        }
        [0x1b] => None,
        [0x1b, ..] => single(Key::Escape),
        [b'\r' | b'\n', ..] => single(Key::Enter),
        [b'\t', ..] => single(Key::Tab),
        [0x7f | 0x08, ..] => single(Key::Backspace),
        [0x03 | 0x04, ..] => single(Key::Interrupt),
        [0x1a, ..] => single(Key::Suspend),
        [0..0x20, ..] => Some((None, 1)),
        [first, ..] => {
            let length = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            let text = String::from_utf8_lossy(bytes.get(..length)?);
            Some((text.chars().next().map(Key::Char), length))
        }
        [] => None,
    }
}

/// What stands behind `ESC [` or `ESC O`.
fn sequence(bytes: &[u8]) -> Option<Key> {
    Some(match bytes {
        [.., b'A'] => Key::Up,
        [.., b'B'] => Key::Down,
        [.., b'C'] => Key::Right,
        [.., b'D'] => Key::Left,
        [.., b'H'] | b"1~" | b"7~" => Key::Home,
        [.., b'F'] | b"4~" | b"8~" => Key::End,
        b"5~" => Key::PageUp,
        b"6~" => Key::PageDown,
        [.., b'Z'] => Key::BackTab,
        [.., b'M'] => Key::Enter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_keys() {
        let (keys, used) = parse(b"q\x1b[A\x1bOB\x1b[6~\x1b[1;5C\x1b[15~\xc3\xa4\r\t\x1a\x03", false);
        let expected = [
            Key::Char('q'),
            Key::Up,
            Key::Down,
            Key::PageDown,
            Key::Right,
            Key::Char('ä'),
            Key::Enter,
            Key::Tab,
            Key::Suspend,
            Key::Interrupt,
        ];
        assert_eq!((keys, used), (expected.to_vec(), 28));
    }

    #[test]
    fn what_is_not_complete_waits_for_its_rest() {
        assert_eq!(parse(b"a\x1b[", false), (vec![Key::Char('a')], 1));
        assert_eq!(parse(b"\x1b", false), (vec![], 0));
        assert_eq!(parse(b"\x1b", true), (vec![Key::Escape], 1));
    }
}
