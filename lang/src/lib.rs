//! SystemTap's language: text in, syntax tree and diagnostics out.
//!
//! This crate knows the language and nothing else: no files, no kernel, no types. A script comes as text, leaves as
//! [`ast::Script`], and every later stage reports to the user through [`Diagnostic`] and the [`SourceMap`] kept here.
#![forbid(unsafe_code)]

pub mod ast;
pub mod diagnostic;
mod lexer;
mod literal;
pub mod parse;
pub mod preprocess;
pub mod print;
pub mod source;

pub use diagnostic::{Diagnostic, Format, Label, Severity};
pub use source::{FileId, Location, SourceMap, Span};
