//! Functions by name and source file, without a look at every unit: the kernel's debug information has hundreds of
//! megabytes.
//!
//! Names stand in a section of their own, and a unit that has one says where: it holds these four bytes. Which source
//! files a unit has is said in the head of its line table.

use super::{Debug, Function};
use crate::probe::process::binary::matches;
use gimli::Section;
use memchr::memmem::Finder;

/// Names that end in the wanted one share its bytes: with more of them than this all units are read.
const PLACES_MAX: usize = 32;

impl Debug<'_> {
    /// Functions with a name, or names of this pattern, where only some files are wanted in units that have one of them;
    /// by their addresses.
    pub fn functions_named(&self, name: &str, is_file: Option<&dyn Fn(&str) -> bool>) -> Vec<Function> {
        let has_file = |unit: &usize| is_file.is_none_or(|is_file| self.files(*unit).iter().any(|file| is_file(file)));
        let of = |units: &mut dyn Iterator<Item = usize>| {
            self.functions_in(units.filter(has_file), |other| matches(name, other), &[])
        };
        let found = self.units_with(name).map(|units| of(&mut units.into_iter()));
        // A unit may refer to another for the name.
        found.filter(|found| !found.is_empty()).unwrap_or_else(|| of(&mut (0..self.own_units)))
    }

    /// The units that hold a name; `None` where all may.
    fn units_with(&self, name: &str) -> Option<Vec<usize>> {
        let indirect = !self.dwarf.debug_str_offsets.reader().slice().is_empty();
        if indirect || self.shared.is_some() || name.contains(['*', '?', '[']) {
            return None;
        }
        let text = [name.as_bytes(), &[0]].concat();
        let names = self.dwarf.debug_str.reader().slice();
        let places: Vec<usize> = Finder::new(&text).find_iter(names).take(PLACES_MAX + 1).collect();
        if places.len() > PLACES_MAX {
            return None;
        }
        let places = places.into_iter().filter_map(|place| u32::try_from(place).ok());
        // A short name stands in the unit itself.
        let patterns: Vec<Vec<u8>> = places.map(|place| place.to_le_bytes().to_vec()).chain([text]).collect();
        let units = self.dwarf.debug_info.reader().slice();
        let mut found: Vec<usize> = Vec::new();
        for pattern in &patterns {
            let mut from = 0;
            let finder = Finder::new(pattern);
            while let Some(at) = units.get(from..).and_then(|rest| finder.find(rest)) {
                let Some(unit) = self.unit_around(from + at) else { break };
                found.push(unit);
                // The rest of this one need not be looked at.
                from = self.units[..self.own_units].get(unit + 1).map_or(units.len(), |next| next.start());
            }
        }
        found.sort_unstable();
        found.dedup();
        Some(found)
    }

    /// The source files of a unit.
    fn files(&self, number: usize) -> Vec<String> {
        let Some(unit) = self.linked(number) else { return Vec::new() };
        let count = unit.line_program.as_ref().map_or(0, |program| program.header().file_names().len());
        (0..=count as u64).filter_map(|index| self.file_name(number, index)).collect()
    }
}
