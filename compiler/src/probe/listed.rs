//! What `-l` and `-L` say of places: a line each.
//!
//! A list may have all functions of the kernel: a place is forgotten as soon as its line is written.

use super::ladder::RESULT;
use super::site::{Arg, Site};
use crate::kernel::btf::{Btf, TypeId};
use std::collections::HashMap;

/// Lines of a list.
#[derive(Default)]
pub struct Listed {
    lines: Vec<String>,
    /// The line under construction.
    line: String,
    /// Types as C writes them: a few thousand stand in the lists of all functions.
    types: HashMap<TypeId, String>,
}

impl Listed {
    /// Adds a place; with the kernel's types, its variables.
    pub fn add(&mut self, site: &Site, btf: Option<&Btf>) {
        let (result, here): (Vec<&Arg>, Vec<&Arg>) = site.context.args.iter().partition(|arg| arg.name == RESULT);
        self.write(&site.point, result.into_iter().chain(here).chain(site.gone()), btf);
    }

    /// Adds a place with these variables.
    pub fn line(&mut self, point: &str, args: &[Arg], btf: Option<&Btf>) {
        self.write(point, args.iter(), btf);
    }

    fn write<'s>(&mut self, point: &str, args: impl Iterator<Item = &'s Arg>, btf: Option<&Btf>) {
        self.line.clear();
        self.line.push_str(point);
        for (arg, btf) in args.filter(|arg| !arg.name.is_empty()).filter_map(|arg| Some((arg, btf?))) {
            let ty = self.types.entry(arg.ty).or_insert_with(|| btf.type_name(arg.ty));
            self.line.extend([" $", &arg.name, ":", ty]);
        }
        self.lines.push(self.line.clone());
    }

    /// Adds lines that are made elsewhere.
    pub fn extend(&mut self, lines: impl IntoIterator<Item = String>) {
        self.lines.extend(lines);
    }

    /// The lines by name, each once.
    pub fn finish(mut self) -> Vec<String> {
        self.lines.sort();
        self.lines.dedup();
        self.lines
    }
}
