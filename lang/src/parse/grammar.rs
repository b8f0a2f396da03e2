//! The parser that pest makes of `stp.pest`, and short names for what it yields.

use pest_derive::Parser;

#[derive(Parser)]
#[grammar = "stp.pest"]
pub(super) struct Grammar;

pub(super) type Pair<'i> = pest::iterators::Pair<'i, Rule>;
pub(super) type Pairs<'i> = pest::iterators::Pairs<'i, Rule>;
