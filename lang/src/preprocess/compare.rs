//! Comparing versions and matching patterns, as the C library does it for SystemTap.

use std::cmp::Ordering;

/// `strverscmp`: runs of digits compare as numbers; those that start with a zero as fractions, so `01` < `0`.
pub(super) fn versions(left: &[u8], right: &[u8]) -> Ordering {
    let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let digits = left[..same].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let run = same - digits;
    let at = |text: &[u8], index: usize| text.get(index).copied().unwrap_or(0);
    let is_number = |text: &[u8]| matches!(at(text, run), b'1'..=b'9');
    if is_number(left) && is_number(right) {
        let length = |text: &[u8]| text[same..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        return length(left).cmp(&length(right)).then(at(left, same).cmp(&at(right, same)));
    }
    let zeros = digits > 0 && left[run..same].iter().all(|byte| *byte == b'0');
    if zeros && (at(left, same).is_ascii_digit() || at(right, same).is_ascii_digit()) {
        // Behind zeros a further digit makes the text less: wrapping puts digits below everything else.
        return at(left, same).wrapping_sub(b'0').cmp(&at(right, same).wrapping_sub(b'0'));
    }
    at(left, same).cmp(&at(right, same))
}

/// `fnmatch` without escapes: `*`, `?`, `[a-z]`, `[!a]`.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when the characters after the last `*` do not fit: one further in the text.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            retry = Some((p + 1, t));
            p += 1;
            continue;
        }
        match one(&pattern[p..], text[t]) {
            Some(used) => (p, t) = (p + used, t + 1),
            None => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (p, t) = (star, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// How much of the pattern one byte matches.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => set(pattern, byte),
        literal => (*literal == byte).then_some(1),
    }
}

/// `[…]`; without its end the bracket is a character like others.
fn set(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = 1 + usize::from(negated);
    let Some(len) = pattern.iter().skip(first + 1).position(|end| *end == b']') else {
        return (byte == b'[').then_some(1);
    };
    let end = first + 1 + len;
    let (mut at, mut found) = (first, false);
    while at < end {
        match &pattern[at..end] {
            [low, b'-', high, ..] => {
                found |= (*low..=*high).contains(&byte);
                at += 3;
            }
            [single, ..] => {
                found |= *single == byte;
                at += 1;
            }
            [] => break,
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_the_manual_page_says() {
        // The examples of strverscmp(3), and kernel releases.
        let rising = ["000", "00", "01", "010", "09", "0", "1", "9", "10"];
        for pair in rising.windows(2) {
            assert_eq!(versions(pair[0].as_bytes(), pair[1].as_bytes()), Ordering::Less, "{pair:?}");
            assert_eq!(versions(pair[1].as_bytes(), pair[0].as_bytes()), Ordering::Greater, "{pair:?}");
        }
        for (low, high) in [
            ("2.6", "2.6.32"),
            ("2.6.9", "2.6.10"),
            ("4.19", "6.1"),
            ("5.9", "5.10"),
            ("jan1", "jan10"),
            ("3.10", "6.1.2"),
        ] {
            assert_eq!(versions(low.as_bytes(), high.as_bytes()), Ordering::Less, "{low} {high}");
        }
        assert_eq!(versions(b"6.18.44", b"6.18.44"), Ordering::Equal);
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text, fits) in [
            ("i?86", "i686", true),
            ("x86*", "x86_64", true),
            ("*_64", "x86_64", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("*a*b", "xaxxb", true),
            ("", "", true),
            ("*", "", true),
            ("a", "ab", false),
            ("[", "[", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }
}
