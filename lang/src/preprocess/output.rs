//! The expanded text, grown token by token.

use super::PreToken;
use crate::source::{Expanded, ExpansionSite, Piece, SourceMap, Span};

/// Text so far, and where it came from. Neighbours in the source stay neighbours, blanks between them included:
/// parts of a probe point's name must touch each other. Tokens from different places are kept apart by a blank.
#[derive(Default)]
pub(super) struct Output {
    text: String,
    pieces: Vec<Piece>,
}

impl Output {
    pub(super) fn push(&mut self, token: PreToken, sources: &SourceMap) {
        let follows = |last: &&mut Piece| last.origin.end == token.trivia && last.site == token.site;
        if let Some(last) = self.pieces.last_mut().filter(follows) {
            self.text.push_str(sources.text(Span::new(token.trivia, token.span.end)));
            last.origin.end = token.span.end;
            return;
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        let at = self.text.len() as u32;
        self.pieces.push(Piece { at, origin: token.span, verbatim: true, site: token.site });
        self.text.push_str(token.text(sources));
    }

    pub(super) fn finish(self, sites: Vec<ExpansionSite>) -> (String, Expanded) {
        (self.text, Expanded { pieces: self.pieces, sites })
    }
}
