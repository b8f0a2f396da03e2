//! Regular expressions of `=~`: compiled when one is first asked for, and what the last one found.
//!
//! How a pattern is read is the compiler's business ([`tapster_compiler::regex`]).

use regex_automata::meta::Regex;
use std::ops::Range;
use tapster_compiler::regex;

/// The regular expressions of a run, and what the last one found.
#[derive(Debug, Default)]
pub struct Regexes {
    compiled: Vec<Option<Regex>>,
    last: Last,
}

/// What `matched()` speaks of.
#[derive(Debug, Default)]
struct Last {
    /// The regular expression, where it was found.
    regex: Option<usize>,
    text: Vec<u8>,
}

/// Why there is no such group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoGroup {
    /// Nothing was found the last time.
    NotFound,
    /// The regular expression has no group with this number.
    Nonexistent,
}

impl Regexes {
    /// Whether regular expression `number`, whose pattern is this, is found in a text. What is none is found nowhere.
    pub fn is_match(&mut self, number: usize, pattern: &[u8], text: &[u8]) -> bool {
        if self.compiled.len() <= number {
            self.compiled.resize(number + 1, None);
        }
        let compiled = &mut self.compiled[number];
        if compiled.is_none() {
            *compiled = regex::compile(pattern).ok();
        }
        let found = compiled.as_ref().is_some_and(|regex| regex.is_match(text));
        self.last.regex = found.then_some(number);
        if found {
            self.last.text.clear();
            self.last.text.extend_from_slice(text);
        }
        found
    }

    /// How many groups the last regular expression has, if that was found; all of it is one.
    pub fn groups(&self) -> Result<i64, NoGroup> {
        self.last().map(|regex| regex.captures_len() as i64)
    }

    /// A group of the last regular expression, if that was found; group 0 is all of it. Empty where it took no part.
    pub fn group(&self, group: i64) -> Result<&[u8], NoGroup> {
        let regex = self.last()?;
        let group = usize::try_from(group).ok().filter(|group| *group < regex.captures_len());
        let group = group.ok_or(NoGroup::Nonexistent)?;
        let mut captures = regex.create_captures();
        regex.captures(&self.last.text, &mut captures);
        let range: Range<usize> = captures.get_group(group).map_or(0..0, Range::from);
        Ok(&self.last.text[range])
    }

    fn last(&self) -> Result<&Regex, NoGroup> {
        let compiled = self.last.regex.and_then(|number| self.compiled[number].as_ref());
        compiled.ok_or(NoGroup::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Extended regular expressions of POSIX, in the C locale.
    #[test]
    fn patterns_match_as_in_a_shell_tool() {
        let mut regexes = Regexes::default();
        let cases: [(&[u8], &[u8], bool); 13] = [
            (b"world", b"hello world!", true),
            (b"^world", b"hello world!", false),
            (b"(foo|bar)+$", b"xfoobar", true),
            (b"[[:digit:]]{3}", b"ab12c", false),
            (b"[[:alpha:]_]+[0-9]", b"__x7", true),
            (b"a.b", b"a\nb", true),
            (b"^[^a]$", b"\xff", true),
            (b"^\xc3\xa9+$", "\u{e9}".as_bytes(), true),
            (b"", b"", true),
            (b"^[[]$", b"[", true),
            (b"^[a&&b]+$", b"ab&", true),
            (b"^[]~]+$", b"]~~", true),
            (b"^[^][:digit:]]$", b"7", false),
        ];
        for (number, (pattern, text, found)) in cases.into_iter().enumerate() {
            assert_eq!(regexes.is_match(number, pattern, text), found, "{}", pattern.escape_ascii());
        }
        assert!(!regexes.is_match(99, b"(", b"("), "what is no pattern is found nowhere");
    }

    /// function::matched(3stap).
    #[test]
    fn groups_are_those_of_the_last_match() {
        let mut regexes = Regexes::default();
        assert_eq!(regexes.group(0), Err(NoGroup::NotFound));
        assert!(regexes.is_match(0, b"(a+)(b)?(c|d)", b"xaacd"));
        let groups = [0, 1, 2, 3].map(|group| regexes.group(group).map(<[u8]>::to_vec));
        assert_eq!(groups, [b"aac", &b"aa"[..], b"", b"c"].map(|group| Ok(group.to_vec())));
        assert_eq!(regexes.groups(), Ok(4));
        assert_eq!(regexes.group(4), Err(NoGroup::Nonexistent));
        assert_eq!(regexes.group(-1), Err(NoGroup::Nonexistent));
        assert!(!regexes.is_match(1, b"q", b"xaacd"));
        assert_eq!(regexes.group(0), Err(NoGroup::NotFound), "the last one was not found");
        assert_eq!(regexes.groups(), Err(NoGroup::NotFound));
    }
}
