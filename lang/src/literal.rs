//! The values of number and string literals.

use crate::source::bytes;

/// The value of a number as `strtoull` with base 0 reads it: decimal, `0x…`, or octal after a leading `0`.
pub(crate) fn number(text: &str) -> Option<u64> {
    let lower = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    if let Some(digits) = lower {
        return u64::from_str_radix(digits, 16).ok();
    }
    match text.strip_prefix('0') {
        None => text.parse().ok(),
        Some("") => Some(0),
        Some(digits) => u64::from_str_radix(digits, 8).ok(),
    }
}

/// A number with an optional `-` before it, wrapped into 64 bits: up to 2^64-1, down to -2^63.
pub(crate) fn signed_number(text: &str, negative: bool) -> Option<i64> {
    let value = number(text)?;
    match negative {
        true if value > 1 << 63 => None,
        true => Some((value as i64).wrapping_neg()),
        false => Some(value as i64),
    }
}

/// Appends the bytes of one string literal, given with its quotes.
pub(crate) fn push_string(literal: &str, out: &mut Vec<u8>) {
    let inner = literal.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(literal);
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&bytes::unescape(&rest[..at]));
        rest = push_escape(&rest[at + 1..], out);
    }
    out.extend_from_slice(&bytes::unescape(rest));
}

/// Appends what stands behind a backslash and returns the text after it.
fn push_escape<'a>(text: &'a str, out: &mut Vec<u8>) -> &'a str {
    let Some(first) = text.chars().next() else { return text };
    let rest = &text[first.len_utf8()..];
    let byte = match first {
        'a' => 7,
        'b' => 8,
        't' => 9,
        'n' => 10,
        'v' => 11,
        'f' => 12,
        'r' => 13,
        '0'..='7' => return push_digits(text, 3, 8, out),
        // C reads as many hexadecimal digits as follow and keeps the low byte.
        'x' if rest.starts_with(|c: char| c.is_ascii_hexdigit()) => return push_digits(rest, usize::MAX, 16, out),
        other => {
            out.extend_from_slice(&bytes::unescape(other.encode_utf8(&mut [0; 4])));
            return rest;
        }
    };
    out.push(byte);
    rest
}

fn push_digits<'a>(text: &'a str, most: usize, radix: u32, out: &mut Vec<u8>) -> &'a str {
    let mut value = 0u8;
    let mut end = 0;
    for digit in text.chars().map_while(|c| c.to_digit(radix)).take(most) {
        value = value.wrapping_mul(radix as u8).wrapping_add(digit as u8);
        end += 1;
    }
    out.push(value);
    &text[end..]
}

/// A string literal that has these bytes: what [`push_string`] reads back.
pub(crate) fn quote(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for byte in value {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b' '..=b'~' => out.push(char::from(*byte)),
            other => out.push_str(&format!("\\{other:03o}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(literal: &str) -> Vec<u8> {
        let mut out = Vec::new();
        push_string(literal, &mut out);
        out
    }

    #[test]
    fn numbers_have_three_bases_and_64_bits() {
        assert_eq!(number("0x10"), Some(16));
        assert_eq!(number("010"), Some(8));
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
        for bad in ["18446744073709551616", "08", "0x", "12ab", "1z"] {
            assert_eq!(number(bad), None, "{bad}");
        }
        assert_eq!(signed_number("0xffffffffffffffff", false), Some(-1));
        assert_eq!(signed_number("9223372036854775808", true), Some(i64::MIN));
        assert_eq!(signed_number("9223372036854775809", true), None);
    }

    #[test]
    fn escapes_are_those_of_c_and_others_stand_for_themselves() {
        assert_eq!(string(r#""\x41\102\tT""#), b"AB\tT");
        assert_eq!(string(r#""\a|\e|\q|\"|\\\n""#), b"\x07|e|q|\"|\\\n");
        assert_eq!(string("\"a\\\nb\""), b"a\nb");
        assert_eq!(string(r#""\0\18\xg\xff""#), b"\0\x018xg\xff");
    }

    #[test]
    fn quoting_reads_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(string(&quote(&all)), all);
        assert_eq!(string(&quote(b"\x019")), b"\x019");
    }
}
