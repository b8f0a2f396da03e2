//! Diagnostics drawn with miette: the first line keeps SystemTap's wording, then source, labels, help and notes.

use super::{Diagnostic, Severity};
use crate::source::{FileId, SourceMap, Span, bytes};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, SourceCode, SourceSpan, SpanContents};
use std::fmt;

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
        let aside = Report { labels, file: Some(file), sources, diagnostic, elsewhere: Vec::new() };
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
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_context_lines(0);
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
    // Continuation lines of a long message would otherwise begin with a bar.
    theme.characters.vbar = ' ';
    let bar = GraphicalTheme::unicode().characters.vbar;
    theme.characters.vbar = bar;
    let mut footer: Vec<String> = diagnostic.notes.iter().map(|note| format!("note: {note}")).collect();
    footer.push(format!("more: tapster explain {}", diagnostic.code));
    plain_handler(colour, width).with_theme(theme).with_footer(footer.join("\n"))
}

/// A diagnostic as miette wants it: one source, offsets within it.
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    sources: &'a SourceMap,
    file: Option<FileId>,
    labels: Vec<LabeledSpan>,
    /// Labels in other files, which become pictures of their own.
    elsewhere: Vec<(FileId, Vec<LabeledSpan>)>,
}

impl<'a> Report<'a> {
    fn new(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Report<'a> {
        let mut by_file: Vec<(FileId, Vec<LabeledSpan>)> = Vec::new();
        for (text, span) in places(diagnostic, sources) {
            let origin = sources.origin(span);
            let Some(file) = sources.file_at(origin.start) else { continue };
            let start = (origin.start - sources.file_span(file).start) as usize;
            let label = LabeledSpan::new(Some(text).filter(|text| !text.is_empty()), start, first_line(sources, origin));
            match by_file.iter_mut().find(|(known, _)| *known == file) {
                Some((_, labels)) => labels.push(label),
                None => by_file.push((file, vec![label])),
            }
        }
        let mut by_file = by_file.into_iter();
        let (file, labels) = by_file.next().map_or((None, Vec::new()), |(file, labels)| (Some(file), labels));
        Report { diagnostic, sources, file, labels, elsewhere: by_file.collect() }
    }
}

/// Labels, and where the macros were used that brought the primary one.
fn places(diagnostic: &Diagnostic, sources: &SourceMap) -> Vec<(String, Span)> {
    let mut places: Vec<_> = diagnostic.labels.iter().map(|label| (label.text.clone(), label.span)).collect();
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
    text.find('\n').unwrap_or(text.len())
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
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.file.is_some().then_some(self as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

impl SourceCode for Report<'_> {
    fn read_span<'b>(
        &'b self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'b> + 'b>, MietteError> {
        let file = self.file.ok_or(MietteError::OutOfBounds)?;
        let text = self.sources.file_text(file);
        let contents = text.read_span(span, before, after)?;
        let named = miette::MietteSpanContents::new_named(
            self.sources.name(file).to_owned(),
            contents.data(),
            *contents.span(),
            contents.line(),
            contents.column(),
            contents.line_count(),
        );
        Ok(Box::new(named))
    }
}
