//! Patterns of names: `*`, `?` and `[a-z]`, as fnmatch(3) has them.

/// Whether a text has a wildcard.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether a name matches a pattern. Takes the product of their lengths at most.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Behind the last star, and what it has swallowed so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, n));
            continue;
        }
        match one(&pattern[p..], name[n]) {
            Some(len) => (p, n) = (p + len, n + 1),
            None => match &mut star {
                Some((behind, swallowed)) => {
                    *swallowed += 1;
                    (p, n) = (*behind, *swallowed);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Bytes of the pattern that stand for this byte; `None` where they do not.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => match set(rest) {
            Some((set, negated)) => (in_set(set, byte) != negated).then_some(set.len() + 2 + usize::from(negated)),
            // A bracket that is not closed stands for itself.
            None => (byte == b'[').then_some(1),
        },
        [b'\\', quoted, ..] => (*quoted == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// What stands in brackets, and whether it is excluded. A `]` in the first place is one of the bytes.
fn set(rest: &[u8]) -> Option<(&[u8], bool)> {
    let negated = matches!(rest.first(), Some(b'!' | b'^'));
    let inner = &rest[usize::from(negated)..];
    let end = inner.iter().skip(1).position(|byte| *byte == b']')? + 1;
    Some((&inner[..end], negated))
}

fn in_set(mut set: &[u8], byte: u8) -> bool {
    while let [first, rest @ ..] = set {
        if let [b'-', last, behind @ ..] = rest {
            if (*first..=*last).contains(&byte) {
                return true;
            }
            set = behind;
        } else if *first == byte {
            return true;
        } else {
            set = rest;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_the_shell() {
        for (pattern, name) in [
            ("*", ""),
            ("s*m", "sum"),
            ("?dd", "add"),
            ("[a-c]dd", "add"),
            ("*a*b*", "xxaxxb"),
            ("[!x]", "y"),
            ("a[", "a["),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("s*m", "sums"), ("?", ""), ("[a-c]", "d"), ("[!x]", "x"), ("*a*b", "ba")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"*a".repeat(100), &"a".repeat(99)));
        assert!(!matches(&format!("{}b", "*a".repeat(200)), &"a".repeat(50_000)));
    }
}
