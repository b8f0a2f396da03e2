//! Whose text it is: nobody is warned about the library's.

use tapster_lang::Span;
use tapster_lang::ast::{Item, Script};

/// The places of the library's files.
#[derive(Debug, Default)]
pub struct LibraryText(Vec<Span>);

impl LibraryText {
    /// Those of these scripts.
    pub fn new(scripts: &[Script]) -> LibraryText {
        let places = |script: &Script| script.items.iter().map(place).fold(Span::NONE, Span::to);
        LibraryText(scripts.iter().filter(|script| script.library).map(places).collect())
    }

    /// Whether a text stands in the library.
    pub fn holds(&self, at: Span) -> bool {
        self.0.iter().any(|file| file.start <= at.start && at.start < file.end)
    }
}

fn place(item: &Item) -> Span {
    match item {
        Item::Global(global) => global.name.span,
        Item::Function(function) => function.span,
        Item::Probe(probe) => probe.span,
        Item::Alias(alias) => alias.span,
        Item::EmbeddedC(code) => code.span,
    }
}
