//! Strings.

use super::Refusal;
use crate::regex::{NoGroup, Regexes};

/// The bytes from `start` on, `length` at most; none where either is out of range.
pub fn substr(text: &[u8], start: i64, length: i64) -> &[u8] {
    let rest = usize::try_from(start).ok().and_then(|start| text.get(start..)).unwrap_or_default();
    &rest[..usize::try_from(length).unwrap_or(0).min(rest.len())]
}

/// The byte at a position.
pub fn stringat(text: &[u8], position: i64) -> Result<i64, Refusal> {
    let byte = usize::try_from(position).ok().and_then(|position| text.get(position));
    byte.map(|byte| i64::from(*byte)).ok_or("Position out of bounds".into())
}

/// Where a part first stands in a text.
pub fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    match part {
        [] => Some(0),
        _ => text.windows(part.len()).position(|window| window == part),
    }
}

/// The text with every `old` in it replaced, from left to right.
pub fn replace(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let (mut replaced, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = find(rest, old).filter(|_| !old.is_empty()) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

/// As [`escape`], within `length` bytes where that is more than 0 and less than `most`.
pub fn escape_some(text: &[u8], length: i64, quoted: bool, most: usize) -> Vec<u8> {
    let length = usize::try_from(length).unwrap_or(0).min(most);
    escape(text, if length == 0 { most } else { length }, quoted)
}

/// The text in at most so many bytes, what cannot be printed as escapes of C. In quotes, with dots behind them where it
/// was cut (`_stp_text_str` of SystemTap's runtime/string.c).
pub fn escape(text: &[u8], most: usize, quoted: bool) -> Vec<u8> {
    // A cut text gives up a quote and three dots.
    let most = if quoted { most.max(5) - 2 } else { most };
    let mut out = Vec::new();
    out.extend(quoted.then_some(b'"'));
    let start = out.len();
    let mut is_cut = false;
    for byte in text {
        let escaped = escape_byte(*byte);
        if out.len() - start + escaped.as_ref().len() > most {
            is_cut = true;
            break;
        }
        out.extend_from_slice(escaped.as_ref());
    }
    if quoted {
        if is_cut {
            out.truncate(start + most - 3);
        }
        out.extend_from_slice(if is_cut { b"\"..." } else { b"\"" });
    }
    out
}

/// One to four bytes that stand for one.
fn escape_byte(byte: u8) -> impl AsRef<[u8]> {
    let letter = match byte {
        7 => b'a',
        8 => b'b',
        9 => b't',
        10 => b'n',
        11 => b'v',
        12 => b'f',
        13 => b'r',
        b'"' | b'\\' => byte,
        b' '..=b'~' => return Escaped([byte, 0, 0, 0], 1),
        _ => return Escaped([b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)], 4),
    };
    Escaped([b'\\', letter, 0, 0], 2)
}

struct Escaped([u8; 4], usize);

impl AsRef<[u8]> for Escaped {
    fn as_ref(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

/// The word with a number, from 0 on.
pub fn nth_word(words: &[u8], number: i64) -> Option<&[u8]> {
    words.split(|byte| *byte == b' ').nth(usize::try_from(number).ok()?)
}

/// A group of the last regular expression that was found (SystemTap's tapset/regex.stp).
pub fn group(regexes: &Regexes, group: i64) -> Result<&[u8], Refusal> {
    regexes.group(group).map_err(|why| {
        let what = match why {
            NoGroup::NotFound => format!("subexpression {group} from failed match"),
            NoGroup::Nonexistent => format!("nonexistent subexpression {group}"),
        };
        format!("Attempted to get {what}").into()
    })
}

/// How many groups the last regular expression has, if it was found.
pub fn groups(regexes: &Regexes) -> Result<i64, Refusal> {
    regexes.groups().map_err(|_| "Attempted to get subexpression count from failed match".into())
}

/// What `tokenize()` has not given yet.
#[derive(Debug, Default)]
pub struct Tokens {
    text: Vec<u8>,
    /// Where the rest begins; behind the text where there is none.
    at: usize,
}

impl Tokens {
    /// The next word that is not empty: of a text, or of the last one's rest where that is empty. Empty where no more
    /// are left.
    pub fn next(&mut self, text: &[u8], delimiters: &[u8]) -> &[u8] {
        if !text.is_empty() {
            self.text.clear();
            self.text.extend_from_slice(text);
            self.at = 0;
        }
        let is_word = |byte: &u8| !delimiters.contains(byte);
        let rest = &self.text[self.at.min(self.text.len())..];
        let start = rest.iter().position(is_word).unwrap_or(rest.len());
        let len = rest[start..].iter().position(|byte| !is_word(byte)).unwrap_or(rest.len() - start);
        // The delimiter behind a word is used up: the next call may have others.
        self.at += start + len + 1;
        &rest[start..start + len]
    }
}

/// The n-th word, from 1, with blanks and tabs around it.
pub fn word(text: &[u8], number: i64) -> &[u8] {
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    usize::try_from(number.saturating_sub(1)).ok().and_then(|nth| words.nth(nth)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// function::substr(3stap), and E13 of the golden run g01.
    #[test]
    fn a_part_of_a_text_lies_within_it() {
        let part = |start, length| substr(b"abc", start, length);
        assert_eq!([part(0, 2), part(1, 9), part(3, 1)], [&b"ab"[..], b"bc", b""]);
        assert_eq!([part(10, 2), part(-1, 2), part(0, 0), part(0, -5)], [b""; 4]);
        assert_eq!(part(1, i64::MAX), b"bc");
    }

    /// E15 of the golden run g01.
    #[test]
    fn a_position_outside_is_an_error() {
        assert_eq!(stringat(b"abc", 2), Ok(i64::from(b'c')));
        for position in [5, 3, -1] {
            assert_eq!(stringat(b"abc", position), Err("Position out of bounds".into()));
        }
    }

    #[test]
    fn parts_are_found_and_replaced() {
        assert_eq!([find(b"hello", b"l"), find(b"hello", b""), find(b"hello", b"x")], [Some(2), Some(0), None]);
        assert_eq!(find(b"he", b"hello"), None);
        assert_eq!(replace(b"aXbXX", b"X", b"--"), b"a--b----");
        assert_eq!(replace(b"aaa", b"aa", b"b"), b"ba");
        assert_eq!(replace(b"abc", b"", b"x"), b"abc");
    }

    /// function::text_strn(3stap); bytes as `printf '\ooo'` of a shell takes them.
    #[test]
    fn what_cannot_be_printed_is_escaped() {
        assert_eq!(escape(b"a\tb\n\"c\\\x01\xff", 511, false), br#"a\tb\n\"c\\\001\377"#);
        assert_eq!(escape(b"abc", 511, true), b"\"abc\"");
        assert_eq!(escape_some(b"abcdefgh", 0, true, 511), b"\"abcdefgh\"");
        assert_eq!(escape_some(b"abcdefgh", 3, false, 511), b"abc");
        assert_eq!(escape_some(b"ab\n", 3, false, 511), b"ab", "an escape is not cut in two");
    }

    /// By hand after `_stp_text_str`: the text, its quotes and the dots have the length that was asked for.
    #[test]
    fn a_quoted_text_that_was_cut_says_so() {
        assert_eq!(escape_some(b"abcdefghij", 9, true, 511), b"\"abcd\"...");
        assert_eq!(escape_some(b"abcdefg", 9, true, 511), b"\"abcdefg\"");
        assert_eq!(escape_some(b"abcdefghij", 1, true, 511), b"\"\"...");
        assert_eq!(escape(b"abcdef", 7, true), b"\"ab\"...");
    }

    /// function::tokenize(3stap).
    #[test]
    fn words_come_one_by_one() {
        let mut tokens = Tokens::default();
        assert_eq!(tokens.next(b"", b","), b"");
        assert_eq!(tokens.next(b",,one,two three", b","), b"one");
        assert_eq!(tokens.next(b"", b" "), b"two");
        assert_eq!(tokens.next(b"", b" "), b"three");
        assert_eq!([tokens.next(b"", b" ").len(), tokens.next(b"", b" ").len()], [0, 0]);
        assert_eq!(tokens.next(b"again", b""), b"again");
    }
}
