//! What a point asks for: a name, a source file with lines, and where in a function to stand.

use super::binary::matches;
use super::dwarf::{Function, Kind};
use crate::probe::site::{mismatch, no_more, text};
use tapster_lang::ast::ProbePoint;
use tapster_lang::{Diagnostic, Span};

/// Where in a function a probe stands, by the end of its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// As it begins, or a copy of it.
    Entry,
    /// As it begins.
    Call,
    /// As one begins that other files can call.
    Exported,
    /// As a copy of it begins within another.
    Inline,
    /// As it returns.
    Return,
}

impl Moment {
    const SUFFIXES: &[&str] = &["call", "return", "exported", "inline", "label"];

    /// What follows the parts before the n-th.
    pub fn after(point: &ProbePoint, nth: usize) -> Result<Moment, Diagnostic> {
        let Some(part) = point.components.get(nth) else { return Ok(Moment::Entry) };
        no_more(point, nth + 1)?;
        match part.name.name.as_str() {
            "call" => Ok(Moment::Call),
            "return" => Ok(Moment::Return),
            "exported" => Ok(Moment::Exported),
            "inline" => Ok(Moment::Inline),
            "callees" => {
                Err(Diagnostic::error("probe::mismatch", "`callees` would stand at every function of the file")
                    .label(part.name.span, "too many, and those of libraries not among them")
                    .help("name them: .callee(\"NAME\"), perhaps with a pattern"))
            }
            _ => Err(mismatch(point, nth, Moment::SUFFIXES.iter().copied())),
        }
    }

    /// The end of the point.
    pub fn suffix(self) -> &'static str {
        match self {
            Moment::Entry => "",
            Moment::Call => ".call",
            Moment::Exported => ".exported",
            Moment::Inline => ".inline",
            Moment::Return => ".return",
        }
    }

    /// The beginning of what returns.
    pub fn at_entry(self) -> Moment {
        if self == Moment::Return { Moment::Call } else { self }
    }
}

/// A function as a point names it.
#[derive(Clone, Debug)]
pub struct Asked<'p> {
    /// All of it.
    pub text: &'p str,
    /// The name, perhaps a pattern.
    pub name: &'p str,
    /// The source file, perhaps a pattern.
    pub file: Option<&'p str>,
    /// Lines, first and last.
    pub lines: Option<(u64, u64)>,
    /// The lines are counted from the function's.
    pub relative: bool,
    /// All lines, `:*`.
    pub every_line: bool,
    /// Where to stand.
    pub moment: Moment,
    /// Where the script says it.
    pub at: Span,
}

impl<'p> Asked<'p> {
    /// Reads the n-th part of a point and what follows it.
    pub fn read(point: &'p ProbePoint, nth: usize) -> Result<Asked<'p>, Diagnostic> {
        let (text, at) = text(&point.components[nth])?;
        Asked::parse(text, at, Moment::after(point, nth + 1)?)
    }

    /// Reads `NAME[@FILE[:LINES|+LINES]]`.
    pub fn parse(text: &'p str, at: Span, moment: Moment) -> Result<Asked<'p>, Diagnostic> {
        let (name, rest) = text.split_once('@').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let blank = Asked { text, name, file: rest, lines: None, relative: false, every_line: false, moment, at };
        let (relative, split) = match rest.map(|rest| (rest.rsplit_once(':'), rest.rsplit_once('+'))) {
            Some((Some(split), _)) => (false, split),
            Some((None, Some(split))) if range(split.1).is_some() => (true, split),
            _ => return Ok(blank),
        };
        let (file, lines) = (Some(split.0), split.1);
        match lines {
            "*" => Ok(Asked { file, every_line: true, ..blank }),
            _ => Ok(Asked { file, lines: Some(range(lines).ok_or_else(|| no_lines(lines, at))?), relative, ..blank }),
        }
    }

    /// Whether only debug information can tell.
    pub fn needs_debuginfo(&self) -> bool {
        self.file.is_some() || self.moment == Moment::Inline
    }

    /// Whether only functions are meant that other files can call.
    pub fn exported(&self) -> bool {
        self.moment == Moment::Exported
    }

    /// Whether a function whose name fits is meant.
    pub fn takes(&self, function: &Function) -> bool {
        let kind = match self.moment {
            Moment::Entry => true,
            Moment::Call | Moment::Return => function.kind == Kind::Function,
            Moment::Exported => function.kind == Kind::Function && function.global,
            Moment::Inline => function.kind == Kind::Inlined,
        };
        kind && self.is_file(&function.file)
    }

    /// Whether a source file is meant: by its whole path, or by the end of it.
    pub fn is_file(&self, path: &str) -> bool {
        self.file.is_none_or(|file| matches(file, path) || matches(&format!("*/{file}"), path))
    }
}

/// `6`, `6-9`
fn range(text: &str) -> Option<(u64, u64)> {
    match text.split_once('-') {
        Some((first, last)) => Some((first.parse().ok()?, last.parse().ok()?)),
        None => text.parse().ok().map(|line| (line, line)),
    }
}

fn no_lines(text: &str, at: Span) -> Diagnostic {
    Diagnostic::error("probe::argument", format!("`{text}` is no line"))
        .label(at, "like name@file.c:12, name@file.c:12-20 or name@file.c:*")
}
