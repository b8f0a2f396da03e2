//! Bytes as text without loss.
//!
//! A byte that is part of no UTF-8 sequence becomes the character U+10FF00 + byte, from the very end of the last
//! private plane. Should a script really contain one of those characters, its four bytes are kept the same way, so
//! that [`unescape`] gives back exactly what was read.

use std::borrow::Cow;

const FIRST: u32 = 0x10FF80;
const BASE: u32 = 0x10FF00;

/// Whether a character stands for one byte of the input.
pub fn is_escape(c: char) -> bool {
    c as u32 >= FIRST
}

/// Text for any bytes.
pub fn escape(input: &[u8]) -> String {
    let mut text = String::with_capacity(input.len());
    for chunk in input.utf8_chunks() {
        push_text(&mut text, chunk.valid());
        push_bytes(&mut text, chunk.invalid());
    }
    text
}

/// The same for text; nothing is copied unless it holds one of the characters used here.
pub fn escape_text(input: String) -> String {
    if !input.contains(is_escape) {
        return input;
    }
    escape(input.as_bytes())
}

fn push_text(text: &mut String, valid: &str) {
    let mut rest = valid;
    while let Some(at) = rest.find(is_escape) {
        text.push_str(&rest[..at]);
        push_bytes(text, &rest.as_bytes()[at..at + 4]);
        rest = &rest[at + 4..];
    }
    text.push_str(rest);
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    text.extend(bytes.iter().filter_map(|byte| char::from_u32(BASE + u32::from(*byte))));
}

/// The bytes that a text stands for.
pub fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(is_escape) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match is_escape(c) {
            true => out.push((c as u32 - BASE) as u8),
            false => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(out)
}

/// How many bytes of the input a text stands for.
pub fn original_len(text: &str) -> usize {
    text.len() - 3 * text.chars().filter(|c| is_escape(*c)).count()
}

/// Text for a terminal: bytes that are no text become U+FFFD, control characters `?`. Tabs and line breaks stay.
pub fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        c if is_escape(c) => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => '?',
        c => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_string_comes_back() {
        let inputs: [&[u8]; 5] =
            [b"plain", b"\xff\x80a\xc3", "grüße".as_bytes(), "\u{10ffff}x".as_bytes(), b"\xf4\x8f\xbe"];
        for input in inputs {
            let text = escape(input);
            assert_eq!(unescape(&text).as_ref(), input);
            assert_eq!(original_len(&text), input.len());
        }
    }

    #[test]
    fn a_terminal_sees_no_escape_sequences() {
        assert_eq!(printable("a\x1b[31m\tb"), "a?[31m\tb");
        assert_eq!(printable(&escape(b"\xff")), "\u{fffd}");
    }
}
