//! Source text and places in it.
//!
//! All files share one space of positions, so a [`Span`] is two numbers and still knows its file. Text made by macros
//! and pasted arguments is a file of its own whose pieces remember where they came from.
//!
//! Scripts are bytes, the parser reads `str`: [`bytes`] keeps what is no UTF-8 without loss.

pub mod bytes;
mod expanded;

pub use expanded::{Expanded, ExpansionSite, Piece};

use std::sync::OnceLock;

/// A range of positions, end excluded. The default, 0..0, is no place at all.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub struct Span {
    /// First position.
    pub start: u32,
    /// First position behind it.
    pub end: u32,
}

impl Span {
    /// No place: positions start at 1.
    pub const NONE: Span = Span { start: 0, end: 0 };

    /// The range from `start` to `end`.
    pub const fn new(start: u32, end: u32) -> Span {
        Span { start, end }
    }

    /// From the start of this span to the end of the other; [`Span::NONE`] adds nothing.
    pub fn to(self, other: Span) -> Span {
        match (self.is_none(), other.is_none()) {
            (true, _) => other,
            (_, true) => self,
            _ => Span::new(self.start.min(other.start), self.end.max(other.end)),
        }
    }

    /// Whether it stands for no place.
    pub const fn is_none(self) -> bool {
        self.start == 0
    }

    /// How many bytes of text it covers.
    pub const fn len(self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it covers no text.
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

/// A file of a [`SourceMap`].
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FileId(u32);

/// A place as people write it, always in text that somebody typed: never in a macro's expansion.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Location<'a> {
    /// The file's name, empty for no place.
    pub file: &'a str,
    /// From 1; 0 for no place.
    pub line: u32,
    /// In bytes, from 1, as SystemTap counts; 0 for no place.
    pub column: u32,
}

/// One use of a macro or an argument through which a text came to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expansion {
    /// What was expanded: `@foo` or `$1`.
    pub name: String,
    /// Where it was written.
    pub call_site: Span,
}

impl Expansion {
    /// Whether it is a pasted argument rather than a macro.
    pub fn is_argument(&self) -> bool {
        self.name[1..].starts_with(|c: char| c.is_ascii_digit() || c == '#')
    }
}

/// Every text of one run, and where positions are in it.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    name: String,
    text: String,
    start: u32,
    /// Offsets at which lines start, computed when the first place is asked for.
    lines: OnceLock<Vec<u32>>,
    /// Whether characters stand for bytes that are no text, found out likewise.
    has_bytes: OnceLock<bool>,
    expanded: Option<Expanded>,
}

impl File {
    /// The position behind the text; it belongs to the file, so that its end is a place too.
    fn end(&self) -> u32 {
        self.start + self.text.len() as u32
    }

    fn lines(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(breaks.map(|(at, _)| at as u32 + 1)).collect()
        })
    }

    /// The line of an offset, from 0, and the offset at which it starts.
    fn line_at(&self, offset: u32) -> (usize, u32) {
        let line = self.lines().partition_point(|start| *start <= offset) - 1;
        (line, self.lines()[line])
    }

    /// How many bytes were typed between two offsets. Nothing is read where each is one, as nearly everywhere.
    fn original_len(&self, start: u32, end: u32) -> u32 {
        match self.has_bytes.get_or_init(|| self.text.contains(bytes::is_escape)) {
            true => bytes::original_len(&self.text[start as usize..end as usize]) as u32,
            false => end - start,
        }
    }

    fn line_text(&self, line: usize) -> &str {
        let start = self.lines()[line] as usize;
        let end = self.lines().get(line + 1).map_or(self.text.len(), |next| *next as usize - 1);
        self.text[start..end].trim_end_matches('\r')
    }
}

impl SourceMap {
    /// An empty map.
    pub fn new() -> SourceMap {
        SourceMap::default()
    }

    /// Adds a file of UTF-8 text.
    ///
    /// Positions are 32 bits wide: what does not fit into their space any more is cut off.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        self.push(name.into(), bytes::escape_text(text.into()), None)
    }

    /// Adds a file of any bytes.
    pub fn add_bytes(&mut self, name: impl Into<String>, text: &[u8]) -> FileId {
        self.push(name.into(), bytes::escape(text), None)
    }

    /// Adds text made from other files of this map.
    pub fn add_expanded(&mut self, name: impl Into<String>, text: String, from: Expanded) -> FileId {
        self.push(name.into(), text, Some(from))
    }

    /// Adds a part of another file as a text of its own: places in it are those of the file.
    pub fn add_part(&mut self, file: FileId, start: u32, end: u32) -> FileId {
        let from = &self.files[file.0 as usize];
        let origin = Span::new(from.start + start, from.start + end);
        let (name, text) = (from.name.clone(), from.text[start as usize..end as usize].to_owned());
        let piece = Piece { at: 0, origin, verbatim: true, site: None };
        self.push(name, text, Some(Expanded { pieces: vec![piece], sites: Vec::new() }))
    }

    fn push(&mut self, name: String, mut text: String, expanded: Option<Expanded>) -> FileId {
        let start = self.files.last().map_or(1, |last| last.end().saturating_add(1));
        let room = (u32::MAX - 1 - start.min(u32::MAX - 1)) as usize;
        if text.len() > room {
            text.truncate((0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
        }
        self.files.push(File { name, text, start, lines: OnceLock::new(), has_bytes: OnceLock::new(), expanded });
        FileId(self.files.len() as u32 - 1)
    }

    /// The name a file was added under.
    pub fn name(&self, file: FileId) -> &str {
        &self.files[file.0 as usize].name
    }

    /// The whole text of a file.
    pub fn file_text(&self, file: FileId) -> &str {
        &self.files[file.0 as usize].text
    }

    /// The positions of a file; text offset 0 stands at its start.
    pub fn file_span(&self, file: FileId) -> Span {
        let file = &self.files[file.0 as usize];
        Span::new(file.start, file.end())
    }

    /// The file that a position lies in.
    pub fn file_at(&self, pos: u32) -> Option<FileId> {
        let behind = self.files.partition_point(|file| file.start <= pos);
        let file = behind.checked_sub(1)?;
        (pos <= self.files[file].end()).then_some(FileId(file as u32))
    }

    fn file(&self, pos: u32) -> Option<&File> {
        self.file_at(pos).map(|id| &self.files[id.0 as usize])
    }

    /// The place of a position in the text that was typed.
    pub fn locate(&self, pos: u32) -> Location<'_> {
        let pos = self.origin(Span::new(pos, pos)).start;
        let Some(file) = self.file(pos) else { return Location { file: "", line: 0, column: 0 } };
        let offset = file.boundary(pos);
        let (line, start) = file.line_at(offset);
        let column = file.original_len(start, offset) + 1;
        Location { file: &file.name, line: line as u32 + 1, column }
    }

    /// The text of a span, which is the expanded one inside a macro; empty for no place.
    pub fn text(&self, span: Span) -> &str {
        let Some(file) = self.file(span.start) else { return "" };
        let start = file.boundary(span.start);
        let end = file.boundary(span.end.clamp(span.start, file.end()));
        &file.text[start as usize..end as usize]
    }

    /// The typed line in which a position lies, without its line break.
    pub fn line_text(&self, pos: u32) -> &str {
        let pos = self.origin(Span::new(pos, pos)).start;
        let Some(file) = self.file(pos) else { return "" };
        file.line_text(file.line_at(file.boundary(pos)).0)
    }

    /// Bytes of [`Self::line_text`] before a position.
    pub fn offset_in_line(&self, pos: u32) -> usize {
        let pos = self.origin(Span::new(pos, pos)).start;
        let Some(file) = self.file(pos) else { return 0 };
        let offset = file.boundary(pos);
        let (line, start) = file.line_at(offset);
        ((offset - start) as usize).min(file.line_text(line).len())
    }

    /// Where a text was typed: the macro's body, the `$1`, or the span itself.
    pub fn origin(&self, span: Span) -> Span {
        let mut span = span;
        // An origin may itself be expanded text; files only refer to earlier ones, so this ends.
        while let Some(file) = self.file(span.start) {
            let Some(expanded) = &file.expanded else { break };
            let end = span.end.clamp(span.start, file.end());
            span = expanded.origin(span.start - file.start, end - file.start);
        }
        span
    }

    /// The macros and arguments through which the start of a text came to be, innermost first.
    pub fn expansions(&self, span: Span) -> Vec<Expansion> {
        let mut span = span;
        let mut chain = Vec::new();
        while let Some(file) = self.file(span.start) {
            let Some(expanded) = &file.expanded else { break };
            chain.extend(expanded.chain(span.start - file.start));
            span = expanded.origin(span.start - file.start, span.start - file.start);
        }
        chain
    }
}

impl File {
    /// The offset of a position, moved back to the start of its character.
    fn boundary(&self, pos: u32) -> u32 {
        let offset = (pos - self.start) as usize;
        let back = (0..4).find(|back| self.text.is_char_boundary(offset.saturating_sub(*back)));
        offset.saturating_sub(back.unwrap_or(0)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_start_at_one_and_locate_by_line_and_byte() {
        let mut sources = SourceMap::new();
        let first = sources.add("a.stp", "one\ntwo\n");
        let second = sources.add("b.stp", "x");
        assert_eq!(sources.file_span(first).start, 1);
        let at = |pos| {
            let place = sources.locate(pos);
            (place.file, place.line, place.column)
        };
        assert_eq!(at(1), ("a.stp", 1, 1));
        assert_eq!(at(5), ("a.stp", 2, 1));
        assert_eq!(at(9), ("a.stp", 3, 1));
        assert_eq!(at(sources.file_span(second).start), ("b.stp", 1, 1));
        assert_eq!(at(sources.file_span(second).end), ("b.stp", 1, 2));
        assert_eq!(at(0), ("", 0, 0));
        assert_eq!(at(99), ("", 0, 0));
        assert_eq!(sources.line_text(6), "two");
        assert_eq!([1, 4, 6].map(|pos| sources.offset_in_line(pos)), [0, 3, 1]);
        assert_eq!(sources.text(Span::new(5, 8)), "two");
    }

    #[test]
    fn bytes_that_are_no_utf8_count_one_column() {
        let mut sources = SourceMap::new();
        let file = sources.add_bytes("a.stp", b"\xff\xfex");
        let x = sources.file_text(file).find('x').expect("kept") as u32;
        assert_eq!(sources.locate(sources.file_span(file).start + x).column, 3);
    }

    #[test]
    fn a_span_joins_and_ignores_no_place() {
        let span = Span::new(3, 5);
        assert_eq!(span.to(Span::new(9, 10)), Span::new(3, 10));
        assert_eq!(Span::NONE.to(span), span);
        assert_eq!(span.to(Span::NONE), span);
    }
}
