//! Where the pieces of an expanded text came from.

use super::{Expansion, Span};

/// A run of expanded text with one origin; it lasts until the next piece starts.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Offset in the expanded text.
    pub at: u32,
    /// The text it came from.
    pub origin: Span,
    /// The origin holds the same characters; otherwise the whole piece stands for all of it, as pasted arguments do.
    pub verbatim: bool,
    /// The innermost expansion that brought it, an index of [`Expanded::sites`].
    pub site: Option<u32>,
}

/// One use of a macro or argument, as a link of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpansionSite {
    /// What was expanded and where it was written.
    pub expansion: Expansion,
    /// The expansion in whose text it was written.
    pub outer: Option<u32>,
}

/// The history of an expanded text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Expanded {
    /// In order of their offsets.
    pub pieces: Vec<Piece>,
    /// Every expansion that happened; links point to earlier entries.
    pub sites: Vec<ExpansionSite>,
}

impl Expanded {
    fn piece(&self, offset: u32) -> Option<&Piece> {
        self.pieces[..self.pieces.partition_point(|piece| piece.at <= offset)].last()
    }

    /// The origin of the text between two offsets. Where both ends have different histories, the start decides.
    pub(super) fn origin(&self, start: u32, end: u32) -> Span {
        let Some(first) = self.piece(start) else { return Span::NONE };
        if !first.verbatim {
            return first.origin;
        }
        let origin_start = (first.origin.start + (start - first.at)).min(first.origin.end);
        let last = self.piece(end.saturating_sub(1).max(start)).unwrap_or(first);
        let origin_end = match last.verbatim {
            true => (last.origin.start + (end - last.at.min(end))).min(last.origin.end),
            false => last.origin.end,
        };
        let together = last.site == first.site && origin_end >= origin_start;
        Span::new(origin_start, if together { origin_end } else { first.origin.end.max(origin_start) })
    }

    /// The expansions that brought the text at an offset, innermost first.
    pub(super) fn chain(&self, offset: u32) -> Vec<Expansion> {
        let mut chain = Vec::new();
        let mut link = self.piece(offset).and_then(|piece| piece.site);
        while let Some(site) = link.and_then(|link| self.sites.get(link as usize)) {
            chain.push(site.expansion.clone());
            link = site.outer;
        }
        chain
    }
}
