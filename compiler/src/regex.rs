//! The patterns of `=~`: what is one, and its automaton for the kernel.

use regex_automata::Input;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::meta::{self, Config};
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use std::cell::OnceCell;
use std::collections::HashMap;

/// A pattern, and its automaton once somebody has asked for it.
#[derive(Clone, Debug, Default)]
pub struct Pattern {
    /// As the script has it.
    pub text: Vec<u8>,
    automaton: OnceCell<Option<Automaton>>,
}

impl Pattern {
    /// A pattern that was checked.
    pub fn new(text: Vec<u8>) -> Pattern {
        Pattern { text, automaton: OnceCell::new() }
    }

    /// Its automaton; `None` where that is too large for a kernel handler.
    pub fn automaton(&self) -> Option<&Automaton> {
        self.automaton.get_or_init(|| Automaton::of(&self.text)).as_ref()
    }
}

/// How SystemTap reads a pattern: bytes, and `.` is any of them.
fn syntax() -> syntax::Config {
    syntax::Config::new().utf8(false).unicode(false).dot_matches_new_line(true)
}

/// Classes that brackets may name.
const CLASSES: &[&[u8]] = &[
    b"alnum", b"alpha", b"blank", b"cntrl", b"digit", b"graph", b"lower", b"print", b"punct", b"space", b"upper",
    b"xdigit",
];

/// A pattern as the library reads it: over bytes, whatever they mean; in brackets stand characters, ranges and classes,
/// and a group is no more than that.
fn bytes(pattern: &[u8]) -> Result<String, String> {
    let (mut out, mut rest, mut in_brackets) = (String::new(), pattern, false);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.first()) {
            (b'\\', Some(next)) => {
                if next.is_ascii() {
                    out.push('\\');
                }
                push(&mut out, *next);
                rest = &tail[1..];
            }
            (b'(', Some(b'?')) if !in_brackets => return Err("unexpected '(?'".into()),
            (b'[', _) if !in_brackets => {
                in_brackets = true;
                out.push('[');
                if let Some(after) = rest.strip_prefix(b"^") {
                    out.push('^');
                    rest = after;
                }
                if let Some(after) = rest.strip_prefix(b"]") {
                    out.push_str("\\]");
                    rest = after;
                }
            }
            (b'[', Some(b':')) => {
                let name = tail[1..].split(|byte| *byte == b':').next().unwrap_or_default();
                if !CLASSES.contains(&name) || !tail[1 + name.len()..].starts_with(b":]") {
                    return Err(format!("unknown character class '{}'", String::from_utf8_lossy(name)));
                }
                out.push_str(&format!("[:{}:]", String::from_utf8_lossy(name)));
                rest = &tail[name.len() + 3..];
            }
            (b'[' | b'&' | b'~', _) if in_brackets => {
                out.push('\\');
                push(&mut out, byte);
            }
            _ => {
                in_brackets &= byte != b']';
                push(&mut out, byte);
            }
        }
    }
    Ok(out)
}

fn push(out: &mut String, byte: u8) {
    if byte.is_ascii() {
        out.push(char::from(byte));
    } else {
        out.push_str(&format!("\\x{byte:02x}"));
    }
}

/// Whether a pattern is one; gives what is wrong with it.
pub fn check(pattern: &[u8]) -> Result<(), String> {
    compile(pattern).map(|_| ())
}

/// A pattern that can be searched for.
pub fn compile(pattern: &[u8]) -> Result<meta::Regex, String> {
    let config = Config::new().utf8_empty(false);
    let built = meta::Regex::builder().syntax(syntax()).configure(config).build(&bytes(pattern)?);
    built.map_err(|error| match error.syntax_error() {
        Some(syntax) => {
            syntax.to_string().lines().last().unwrap_or("syntax error").trim_start_matches("error: ").into()
        }
        None => error.to_string(),
    })
}

/// Finds out whether a pattern stands anywhere in a NUL-terminated string.
///
/// A state is the place of its row in `next`; `next[state + classes[byte]]` is the state behind a byte. The end of the
/// string is the byte 0. [`Automaton::FAILED`] and [`Automaton::found`] are never left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automaton {
    /// The class of each byte.
    pub classes: Vec<u8>,
    /// Rows of states, and zeros up to a power of two.
    pub next: Vec<u16>,
    /// The first state.
    pub start: u16,
    /// States in a row: how many classes there are.
    pub width: u16,
}

/// Entries of the largest table: 64 KiB, which all places in fit into 16 bits.
const ENTRIES_MAX: usize = 1 << 15;
/// Bytes that building an automaton may take.
const BUILD_MAX: usize = 8 << 20;

impl Automaton {
    /// The state in which the pattern cannot be found any more.
    pub const FAILED: u16 = 0;

    /// The state in which it was found.
    pub fn found(&self) -> u16 {
        self.width
    }

    fn of(pattern: &[u8]) -> Option<Automaton> {
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .minimize(false)
            .accelerate(false)
            .dfa_size_limit(Some(BUILD_MAX))
            .determinize_size_limit(Some(BUILD_MAX));
        let built = dense::Builder::new().configure(config).syntax(syntax()).build(&bytes(pattern).ok()?).ok()?;
        let rows = rows(&built)?;
        let (classes, columns) = classes(&rows);
        let width = columns.len();
        let entries = (rows.len() * width).next_power_of_two();
        if entries > ENTRIES_MAX {
            return None;
        }
        let mut next: Vec<u16> =
            rows.iter().flat_map(|row| columns.iter().map(|byte| row[*byte] * width as u16)).collect();
        next.resize(entries, Automaton::FAILED);
        Some(Automaton { classes, next, start: START * width as u16, width: width as u16 })
    }

    /// Whether the pattern stands in a text without NUL: what kernel handlers do.
    pub fn is_match(&self, text: &[u8]) -> bool {
        let mut state = self.start;
        for byte in text.iter().chain(&[0]) {
            state = self.next[usize::from(state) + usize::from(self.classes[usize::from(*byte)])];
        }
        state == self.found()
    }
}

/// Numbers of the states that every automaton has; its own come behind them.
const FAILED: u16 = 0;
const FOUND: u16 = 1;
const START: u16 = 2;

type Row = [u16; 256];

/// The state behind each byte, for each state; `None` where there are too many.
fn rows(built: &dense::DFA<Vec<u32>>) -> Option<Vec<Row>> {
    let mut numbers: HashMap<StateID, u16> = HashMap::new();
    let mut states = vec![built.start_state_forward(&Input::new("")).ok()?];
    numbers.insert(states[0], START);
    let mut rows = vec![[FAILED; 256], [FOUND; 256]];
    let mut at = 0;
    while let Some(state) = states.get(at).copied() {
        let mut row = [FAILED; 256];
        for (byte, next) in row.iter_mut().enumerate() {
            // A string ends where its NUL is.
            let to = if byte == 0 { built.next_eoi_state(state) } else { built.next_state(state, byte as u8) };
            *next = match to {
                _ if built.is_match_state(state) || built.is_match_state(to) => FOUND,
                _ if byte == 0 || built.is_dead_state(to) || built.is_quit_state(to) => FAILED,
                _ => *numbers.entry(to).or_insert_with(|| {
                    states.push(to);
                    START + states.len() as u16 - 1
                }),
            };
        }
        rows.push(row);
        at += 1;
        if states.len() > ENTRIES_MAX / 2 {
            return None;
        }
    }
    Some(rows)
}

/// Bytes that are the same to every state are one class: the class of each byte, and a byte of each class.
fn classes(rows: &[Row]) -> (Vec<u8>, Vec<usize>) {
    let mut known: HashMap<Vec<u16>, u8> = HashMap::new();
    let mut columns = Vec::new();
    let class = |byte: usize| {
        let column: Vec<u16> = rows.iter().map(|row| row[byte]).collect();
        *known.entry(column).or_insert_with(|| {
            columns.push(byte);
            (columns.len() - 1) as u8
        })
    };
    let classes = (0..256).map(class).collect();
    (classes, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases of the runtime's regular expressions, and what looks around.
    #[test]
    fn an_automaton_finds_what_a_regular_expression_finds() {
        let patterns = [
            "world",
            "^world",
            "(foo|bar)+$",
            "[[:digit:]]{3}",
            "[[:alpha:]_]+[0-9]",
            "a.b",
            "^[^a]$",
            "^\u{e9}+$",
            "",
            "^$",
            "a*",
            "x?y+z{2,3}",
            r"\bfoo\b",
            "(a|b)*abb",
            "^(GET|POST) /[^ ]*",
            "a{0}$",
            "[^[:space:]]+=",
        ];
        let texts = [
            "",
            "a",
            "hello world!",
            "world",
            "xfoobar",
            "xfoobarx",
            "ab12c",
            "ab123c",
            "__x7",
            "a\nb",
            "\u{e9}",
            "b",
            "xyzz",
            "a foo b",
            "afoo",
            "aababb",
            "GET /index",
            "key=value",
            "=",
            "yz",
        ];
        for pattern in patterns {
            let regex = compile(pattern.as_bytes()).expect("a pattern");
            let automaton = Automaton::of(pattern.as_bytes()).expect("a small one");
            for text in texts {
                let text = text.as_bytes();
                assert_eq!(automaton.is_match(text), regex.is_match(text), "{pattern} in {}", text.escape_ascii());
            }
            assert!(automaton.next.len().is_power_of_two());
        }
    }

    #[test]
    fn what_would_be_too_large_is_none() {
        assert_eq!(Automaton::of(b"[ab]*a[ab]{16}"), None);
        assert_eq!(Pattern::new(b"[ab]*a[ab]{16}".to_vec()).automaton(), None);
    }
}
