//! What building one handler works on. Statements, expressions and target variables have files of their own.

use super::context::Context;
use super::entry::Entry;
use super::instance::Instances;
use super::names::Names;
use crate::hir::{Handler, Program, Stmt};
use crate::image::Counted;
use crate::kernel::btf::{Btf, TypeId};
use crate::probe::Site;
use std::collections::BTreeMap;

/// Builds one handler.
pub struct Builder<'b, 'a> {
    pub(super) program: &'b mut Program,
    pub(super) cx: &'b mut Context<'a>,
    pub(super) btf: Option<&'b Btf<'b>>,
    pub(super) names: &'b Names<'b>,
    /// The file of the text being built: private names are its own.
    pub(super) file: usize,
    /// How many of the locals are parameters, which hide globals; probes have none.
    pub(super) params: Option<usize>,
    /// Where the probe stands; a function stands nowhere.
    pub(super) site: Option<&'b Site>,
    pub(super) notes: &'b mut Vec<String>,
    /// Events that are counted, by name.
    pub(super) counters: &'b BTreeMap<String, Counted>,
    pub(super) handler: Handler,
    /// Loops around the statement being built.
    pub(super) loops: u32,
    /// What the handler of a return asks of the entry.
    pub(super) entry: Entry,
    /// The functions built so far.
    pub(super) instances: &'b mut Instances,
    /// What is done before the statement being built.
    pub(super) ahead: Vec<Stmt>,
    /// Something is built only to see whether it can be.
    pub(super) trying: bool,
    /// What the function being built returns points to.
    pub(super) returned: Option<TypeId>,
}

impl<'b, 'a> Builder<'b, 'a> {
    /// A builder that stands nowhere, of a text of the script's own.
    pub(super) fn new(
        program: &'b mut Program,
        cx: &'b mut Context<'a>,
        btf: Option<&'b Btf<'b>>,
        names: &'b Names<'b>,
        (notes, counters): (&'b mut Vec<String>, &'b BTreeMap<String, Counted>),
        instances: &'b mut Instances,
    ) -> Builder<'b, 'a> {
        Builder {
            program,
            cx,
            btf,
            names,
            file: 0,
            params: None,
            site: None,
            notes,
            counters,
            handler: Handler::default(),
            loops: 0,
            entry: Entry::default(),
            instances,
            ahead: Vec::new(),
            trying: false,
            returned: None,
        }
    }
}
