//! Diagnostics drawn with miette: the first line keeps SystemTap's wording, then source, labels, help and notes.

use super::{Diagnostic, Severity};
use crate::source::{FileId, SourceMap, Span, bytes};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, SourceCode, SourceSpan, SpanContents};
use std::borrow::Cow;
use std::fmt;

/// How much of a line is drawn on either side of a label. miette cannot draw columns beyond 65535.
const SHOWN_MAX: usize = 1000;

/// Appends one diagnostic, its causes behind it, and an empty line.
pub(super) fn render(diagnostic: &Diagnostic, sources: &SourceMap, colour: bool, width: usize, out: &mut String) {
    paragraph(diagnostic, sources, colour, width, out);
    for cause in &diagnostic.causes {
        render(cause, sources, colour, width, out);
    }
}

fn paragraph(diagnostic: &Diagnostic, sources: &SourceMap, colour: bool, width: usize, out: &mut String) {
    let report = Report::new(diagnostic, sources);
    let mut drawn = String::new();
    let drawing = handler(diagnostic, colour, width).render_report(&mut drawn, &report);
    if drawing.is_err() {
        drawn = diagnostic.headline();
    }
    // The handler indents the headline by two columns; ours stands at the margin as SystemTap's does.
    let drawn = drawn.replace(bytes::is_escape, "\u{fffd}");
    out.push_str(drawn.trim_start().trim_end());
    out.push('\n');
    for (file, labels) in report.elsewhere {
        let text = showable(sources.file_text(file));
        let aside = Report { labels, file: Some(file), text, sources, diagnostic, elsewhere: Vec::new() };
        let mut drawn = String::new();
        if plain_handler(colour, width).render_report(&mut drawn, &aside).is_ok() {
            // Only the picture: its headline would repeat the message.
            out.push_str(drawn.split_once('\n').map_or("", |(_, picture)| picture).trim_end());
            out.push('\n');
        }
    }
    out.push('\n');
}

fn plain_handler(colour: bool, width: usize) -> GraphicalReportHandler {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_context_lines(1);
    handler.with_width(width.max(40)).without_syntax_highlighting()
}

fn handler(diagnostic: &Diagnostic, colour: bool, width: usize) -> GraphicalReportHandler {
    let mut theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let prefix = match diagnostic.prefix() {
        "" => String::new(),
        prefix => format!("{prefix}:"),
    };
    theme.characters.error.clone_from(&prefix);
    theme.characters.warning.clone_from(&prefix);
    theme.characters.advice = prefix;
    let mut footer: Vec<String> =
        diagnostic.notes.iter().map(|note| format!("note: {}", bytes::printable(note))).collect();
    footer.push(format!("more: tapster explain {}", diagnostic.code));
    plain_handler(colour, width).with_theme(theme).with_footer(footer.join("\n"))
}

/// A diagnostic as miette wants it: one source, offsets within it.
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    sources: &'a SourceMap,
    file: Option<FileId>,
    /// The file's text as it can be shown, every character as long as it was.
    text: Cow<'a, str>,
    labels: Vec<LabeledSpan>,
    /// Labels in other files, which become pictures of their own.
    elsewhere: Vec<(FileId, Vec<LabeledSpan>)>,
}

impl<'a> Report<'a> {
    fn new(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Report<'a> {
        let mut by_file: Vec<(FileId, Vec<LabeledSpan>)> = Vec::new();
        for (text, span) in places(diagnostic, sources) {
            let origin = visible(sources, sources.origin(span));
            let Some(file) = sources.file_at(origin.start) else { continue };
            let start = (origin.start - sources.file_span(file).start) as usize;
            let label =
                LabeledSpan::new(Some(text).filter(|text| !text.is_empty()), start, first_line(sources, origin));
            match by_file.iter_mut().find(|(known, _)| *known == file) {
                Some((_, labels)) if is_far(sources, file, labels[0].offset(), start) => {}
                Some((_, labels)) => labels.push(label),
                None => by_file.push((file, vec![label])),
            }
        }
        let mut by_file = by_file.into_iter();
        let (file, labels) = by_file.next().map_or((None, Vec::new()), |(file, labels)| (Some(file), labels));
        let text = file.map_or(Cow::Borrowed(""), |file| showable(sources.file_text(file)));
        Report { diagnostic, sources, file, text, labels, elsewhere: by_file.collect() }
    }
}

/// The end of a file is shown at its last line that holds anything.
fn visible(sources: &SourceMap, span: Span) -> Span {
    let Some(file) = sources.file_at(span.start).filter(|_| span.is_empty()) else { return span };
    let (place, text) = (sources.file_span(file), sources.file_text(file));
    let Some((at, last)) = text.trim_end().char_indices().next_back() else { return span };
    let start = place.start + at as u32;
    if span.start == place.end { Span::new(start, start + last.len_utf8() as u32) } else { span }
}

/// Replaces what would steer the terminal by something of the same length.
fn showable(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let shown = |c| match c {
        c if !steers(c) => c,
        c if c.len_utf8() == 1 => '?',
        _ => '\u{bf}',
    };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Labels, and where the macros were used that brought the primary one.
fn places(diagnostic: &Diagnostic, sources: &SourceMap) -> Vec<(String, Span)> {
    let mut places: Vec<_> =
        diagnostic.labels.iter().map(|label| (bytes::printable(&label.text), label.span)).collect();
    for expansion in sources.expansions(diagnostic.span()) {
        if !expansion.is_argument() {
            places.push((format!("in expansion of {}", expansion.name), expansion.call_site));
        }
    }
    places
}

/// The length of a span up to the end of its first line: a label over a whole probe would draw all of it.
fn first_line(sources: &SourceMap, span: Span) -> usize {
    let text = sources.text(span);
    text.floor_char_boundary(text.find('\n').unwrap_or(text.len()).min(SHOWN_MAX))
}

/// Whether two labels stand in one line, too far apart to be drawn together.
fn is_far(sources: &SourceMap, file: FileId, one: usize, other: usize) -> bool {
    let (low, high) = (one.min(other), one.max(other));
    high - low > SHOWN_MAX && !sources.file_text(file)[low..high].contains('\n')
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bytes::printable(&self.diagnostic.message))
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(bytes::printable(help)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.file.is_some().then_some(self as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

impl SourceCode for Report<'_> {
    /// miette asks twice: without context for the place in the heading, with it for the lines to draw, which are those
    /// of the span and no others.
    fn read_span<'b>(
        &'b self,
        span: &SourceSpan,
        before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'b> + 'b>, MietteError> {
        let file = self.file.ok_or(MietteError::OutOfBounds)?;
        let text: &str = &self.text;
        let (mut start, mut end) = (span.offset(), span.offset() + span.len());
        if end > text.len() {
            return Err(MietteError::OutOfBounds);
        }
        if before > 0 {
            let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
            let line_end = text[end..].find('\n').map_or(text.len(), |at| end + at);
            start = text.floor_char_boundary(start.saturating_sub(SHOWN_MAX)).max(line);
            end = text.ceil_char_boundary(end + SHOWN_MAX).min(line_end);
        }
        let contents = text.read_span(&(start, end - start).into(), 0, 0)?;
        let named = miette::MietteSpanContents::new_named(
            bytes::printable(self.sources.name(file)),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        );
        Ok(Box::new(named))
    }
}
