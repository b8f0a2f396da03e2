//! Functions, and the copies of them that the compiler has put into others.

use super::{Debug, Entry, Instruction, Place, Slice};
use gimli::{AttributeValue, constants};

/// A function of the source where it is in the program.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its name in the source.
    pub name: String,
    /// Its source file.
    pub file: String,
    /// The line of its declaration.
    pub line: u64,
    /// Where it begins.
    pub address: u64,
    /// Behind its first piece of code.
    pub end: u64,
    /// What it is.
    pub kind: Kind,
    /// Whether other files can call it.
    pub global: bool,
    /// What is said of it.
    pub place: Place,
    /// The function that has its frame on the stack: itself, or the one it was copied into; and where that begins.
    pub frame: (Place, u64),
}

/// A function, or a copy of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A function of its own.
    Function,
    /// A copy within another.
    Inlined,
}

impl<'d> Debug<'d> {
    /// Functions with a wanted name, or at a wanted address; by their addresses.
    pub fn functions(&self, wanted: impl Fn(&str) -> bool, addresses: &[u64]) -> Vec<Function> {
        self.functions_in(0..self.own_units, wanted, addresses)
    }

    /// Those of some units.
    pub(super) fn functions_in(
        &self,
        units: impl IntoIterator<Item = usize>,
        wanted: impl Fn(&str) -> bool,
        addresses: &[u64],
    ) -> Vec<Function> {
        let mut found = Vec::new();
        for number in units {
            self.functions_of(number, &wanted, addresses, &mut found);
        }
        found.sort_by_key(|function: &Function| (function.address, function.kind == Kind::Inlined));
        found
    }

    fn functions_of(
        &self,
        number: usize,
        wanted: &impl Fn(&str) -> bool,
        addresses: &[u64],
        found: &mut Vec<Function>,
    ) {
        let Some(unit) = self.read(number) else { return };
        let mut entries = unit.entries();
        let mut frame = (Place { unit: number, offset: gimli::UnitOffset(0) }, 0);
        while let Ok(Some(entry)) = entries.next_dfs() {
            let kind = match entry.tag() {
                constants::DW_TAG_subprogram => Kind::Function,
                constants::DW_TAG_inlined_subroutine => Kind::Inlined,
                _ => continue,
            };
            let Some((address, end)) = self.extent(number, entry) else { continue };
            let place = Place { unit: number, offset: entry.offset() };
            if kind == Kind::Function {
                frame = (place, address);
            }
            let by_address = kind == Kind::Function && addresses.binary_search(&address).is_ok();
            let Some(name) = self.name(place).filter(|name| by_address || wanted(name)) else { continue };
            let file = self.declared_in(place).unwrap_or_default();
            let line = self.number(place, constants::DW_AT_decl_line).unwrap_or(0);
            let global =
                matches!(self.attribute(place, constants::DW_AT_external), Some((AttributeValue::Flag(true), _)));
            found.push(Function { name, file, line, address, end, kind, global, place, frame });
        }
    }

    /// Where the code of an entry begins, and the end of that piece; `None` where there is none.
    fn extent(&self, unit: usize, entry: &Entry<'d>) -> Option<(u64, u64)> {
        let entry_pc = entry.attr_value(constants::DW_AT_entry_pc);
        let low = entry.attr_value(constants::DW_AT_low_pc);
        let has_code = low.is_some() || entry.has_attr(constants::DW_AT_ranges);
        if !has_code {
            return None;
        }
        let (dwarf, unit) = (self.dwarf_of(unit), self.read(unit)?);
        let mut ranges = dwarf.die_ranges(unit, entry).ok()?;
        let first = ranges.next().ok()??;
        let start = match entry_pc {
            // An offset from the first range, or an address.
            Some(AttributeValue::Udata(offset)) => first.begin.wrapping_add(offset),
            Some(value) => dwarf.attr_address(unit, value).ok().flatten().unwrap_or(first.begin),
            None => first.begin,
        };
        // What the linker has dropped stays behind at address 0.
        (start != 0).then_some((start, first.end))
    }

    /// The file that an entry is declared in.
    pub(super) fn declared_in(&self, place: Place) -> Option<String> {
        let (value, at) = self.attribute(place, constants::DW_AT_decl_file)?;
        let index = match value {
            AttributeValue::FileIndex(index) => index,
            other => other.udata_value()?,
        };
        self.file_name(at.unit, index)
    }

    /// A file of a unit, with the folder that it was compiled in.
    pub(super) fn file_name(&self, unit: usize, index: u64) -> Option<String> {
        let (dwarf, unit) = (self.linked_in(unit), self.linked(unit)?);
        let header = unit.line_program.as_ref()?.header();
        let file = header.file(index)?;
        let text = |value: AttributeValue<Slice>| {
            let text = dwarf.attr_string(unit, value).ok()?;
            Some(text.to_string_lossy().into_owned())
        };
        let name = text(file.path_name())?;
        let folder = file.directory(header).and_then(text).unwrap_or_default();
        let start = unit.comp_dir.map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
        let join = |folder: &str, name: String| match name.starts_with('/') || folder.is_empty() {
            true => name,
            false => format!("{folder}/{name}"),
        };
        let folder = if folder == start { folder } else { join(&start, folder) };
        Some(join(&folder, name))
    }

    /// The parameters of a function, in order: name and what is said of it.
    pub fn parameters(&self, function: Place) -> Vec<(String, Place)> {
        let children = self.children(function).into_iter();
        let parameters = children.filter(|(_, tag)| *tag == constants::DW_TAG_formal_parameter);
        parameters.filter_map(|(place, _)| Some((self.name(place)?, place))).collect()
    }

    /// Where a function's code is when its parameters are where they are said to be.
    pub fn start(&self, function: &Function) -> Instruction {
        let stored = || self.parameters(function.place).iter().any(|(_, place)| self.is_stored(*place));
        let behind = (function.kind == Kind::Function && stored()).then(|| self.behind_prologue(function)).flatten();
        self.instruction(function, behind.unwrap_or(function.address))
    }

    /// An instruction of a function.
    pub fn instruction(&self, function: &Function, address: u64) -> Instruction {
        Instruction { function: function.frame.0, entry: function.frame.1, address }
    }

    /// Variables of a function that are known at an address, those of inner blocks first.
    pub fn variables(&self, function: Place, address: u64) -> Vec<(String, Place)> {
        let mut found: Vec<(String, Place)> = Vec::new();
        let mut blocks = vec![function];
        while let Some(block) = blocks.pop() {
            let mut own = Vec::new();
            for (place, tag) in self.children(block) {
                match tag {
                    constants::DW_TAG_variable => own.extend(self.name(place).map(|name| (name, place))),
                    constants::DW_TAG_lexical_block if self.covers(place, address) => blocks.push(place),
                    _ => {}
                }
            }
            found.splice(0..0, own);
        }
        found
    }

    /// The labels of a function that have code: name and address.
    pub fn labels(&self, function: Place) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        let mut blocks = vec![function];
        while let Some(block) = blocks.pop() {
            for (place, tag) in self.children(block) {
                match tag {
                    constants::DW_TAG_label => found.extend(self.name(place).zip(self.address(place))),
                    constants::DW_TAG_lexical_block => blocks.push(place),
                    _ => {}
                }
            }
        }
        found.sort_by_key(|(_, address)| *address);
        found
    }

    /// Where the code of an entry is that has no extent.
    fn address(&self, place: Place) -> Option<u64> {
        let (value, at) = self.attribute(place, constants::DW_AT_low_pc)?;
        self.dwarf_of(at.unit).attr_address(self.unit(at), value).ok().flatten().filter(|address| *address != 0)
    }

    /// Whether an entry has code at an address.
    fn covers(&self, place: Place, address: u64) -> bool {
        let dwarf = self.dwarf_of(place.unit);
        let ranges = self.entry(place).and_then(|entry| dwarf.die_ranges(self.unit(place), &entry).ok());
        let Some(mut ranges) = ranges else { return false };
        while let Ok(Some(range)) = ranges.next() {
            if (range.begin..range.end).contains(&address) {
                return true;
            }
        }
        false
    }
}
