//! Patterns over lines: a regular expression whose letters are lines.
//!
//! | pattern | matches |
//! |---|---|
//! | `REGEX` | a line |
//! | `+ REGEX` | one or more lines of this form |
//! | `...` | any number of lines |
//! | `+(` … `+)` | one or more times what is between |
//!
//! No regular expression can begin with `+`, so nothing is lost to the notation.

use std::collections::BTreeSet;

use regex_lite::Regex;

/// One line of a `-matches` section.
#[derive(Debug)]
pub(super) enum Pattern {
    One(Regex),
    Many(Regex),
    Rest,
    Open,
    /// With the place of what it closes.
    Close(usize),
}

/// Where a match may stand: the pattern that comes next, and whether it has matched before and may be passed.
type Position = (usize, bool);

/// Reads patterns.
pub(super) fn parse(lines: &[String]) -> Result<Vec<Pattern>, String> {
    let compile = |text: &str| Regex::new(&format!("^(?:{text})$")).map_err(|e| format!("`{text}`: {e}"));
    let mut open = vec![];
    let mut patterns = vec![];
    for (i, line) in lines.iter().enumerate() {
        patterns.push(match (line.as_str(), line.strip_prefix("+ ")) {
            ("...", _) => Pattern::Rest,
            ("+(", _) => {
                open.push(i);
                Pattern::Open
            }
            ("+)", _) => Pattern::Close(open.pop().ok_or("`+)` closes nothing")?),
            (_, Some(text)) => Pattern::Many(compile(text)?),
            (text, None) => Pattern::One(compile(text)?),
        });
    }
    if open.is_empty() { Ok(patterns) } else { Err("`+(` is not closed".into()) }
}

/// Matches all lines of a text against patterns: all positions that are possible advance line by line.
pub(super) fn check(wanted: &[String], text: &str) -> Result<(), String> {
    let patterns = parse(wanted)?;
    let furthest = |positions: &BTreeSet<Position>| {
        let last = positions.iter().rev().find(|position| patterns.get(position.0).is_some_and(Pattern::takes_a_line));
        last.map_or("the end", |position| wanted[position.0].as_str())
    };
    let mut at = closure(&patterns, [(0, false)]);
    for (number, line) in text.lines().enumerate() {
        let next = at.iter().filter_map(|&(i, _)| step(patterns.get(i)?, i, line));
        let next = closure(&patterns, next);
        if next.is_empty() {
            let want = furthest(&at);
            return Err(format!("line {} does not match\n  expected {want}\n  but got  {line}", number + 1));
        }
        at = next;
    }
    if at.iter().any(|position| position.0 == patterns.len()) {
        return Ok(());
    }
    Err(format!("ends where this is expected: {}", furthest(&at)))
}

impl Pattern {
    fn takes_a_line(&self) -> bool {
        matches!(self, Pattern::One(_) | Pattern::Many(_))
    }
}

/// All positions that can be reached without taking a line.
fn closure(patterns: &[Pattern], from: impl IntoIterator<Item = Position>) -> BTreeSet<Position> {
    let mut all = BTreeSet::new();
    let mut pending: Vec<Position> = from.into_iter().collect();
    while let Some((i, matched)) = pending.pop() {
        if !all.insert((i, matched)) {
            continue;
        }
        match patterns.get(i) {
            Some(Pattern::Rest | Pattern::Open) => pending.push((i + 1, false)),
            Some(Pattern::Close(open)) => pending.extend([(i + 1, false), (*open, false)]),
            Some(Pattern::Many(_)) if matched => pending.push((i + 1, false)),
            _ => {}
        }
    }
    all
}

fn step(pattern: &Pattern, i: usize, line: &str) -> Option<Position> {
    match pattern {
        Pattern::One(regex) => regex.is_match(line).then_some((i + 1, false)),
        Pattern::Many(regex) => regex.is_match(line).then_some((i, true)),
        Pattern::Rest => Some((i, false)),
        Pattern::Open | Pattern::Close(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(patterns: &[&str], text: &str) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        check(&patterns, text).is_ok()
    }

    #[test]
    fn patterns_match_successive_lines() {
        let patterns = ["head", r"+ \w+:\t\d+", "", "...", "tail"];
        for good in ["head\na:\t1\nb:\t22\n\ntail\n", "head\na:\t1\n\nx\ntail\ntail\n"] {
            assert!(holds(&patterns, good), "{good:?}");
        }
        for bad in ["head\n\ntail\n", "head\na:\t1\n\nx\n", "head\na:\tb\n\ntail\n", "head\na:\t1\n\ntail\nx\n", ""] {
            assert!(!holds(&patterns, bad), "{bad:?}");
        }
    }

    #[test]
    fn groups_repeat() {
        let patterns = ["+(", "name", r"+ \d+", "+)", "end"];
        for good in ["name\n1\nend\n", "name\n1\n2\nname\n3\nend\n"] {
            assert!(holds(&patterns, good), "{good:?}");
        }
        for bad in ["end\n", "name\nend\n", "name\n1\n", "name\n1\nname\nend\n"] {
            assert!(!holds(&patterns, bad), "{bad:?}");
        }
    }

    #[test]
    fn mistakes_are_found() {
        for bad in ["(", "+(", "+)"] {
            assert!(parse(&[bad.to_owned()]).is_err());
        }
    }

    #[test]
    fn what_failed_is_told() {
        let patterns: Vec<String> = ["a", "+ b"].map(String::from).to_vec();
        assert!(check(&patterns, "a\nb\nc\n").expect_err("c").contains("line 3"));
        assert!(check(&patterns, "a\n").expect_err("no b").contains("+ b"));
    }
}
