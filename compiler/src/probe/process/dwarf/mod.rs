//! Debug information of programs: where functions are, what their parameters are and where those lie.
//!
//! Nothing in a file is taken for granted: what cannot be read is not there.

mod function;
mod line;
mod location;
mod types;

use crate::elf::Elf;
use crate::world::World;
use gimli::{AttributeValue, DebugInfoOffset, DwarfSections, EndianSlice, LittleEndian, UnitOffset, constants};
use std::borrow::Cow;

pub use function::{Function, Kind};
pub use location::{Instruction, result};
pub use types::Types;

type Slice<'d> = EndianSlice<'d, LittleEndian>;
type Unit<'d> = gimli::Unit<Slice<'d>>;
type Entry<'d> = gimli::DebuggingInformationEntry<Slice<'d>>;

/// References from one entry to the next that are followed.
const REFERENCES_MAX: u32 = 16;
/// What to do where there is no debug information.
pub const REMEDY: &str = "compile it with -g, or install the package with its debug symbols (…-dbgsym, …-debuginfo)";
/// Where packages put debug information.
const DEBUG_FOLDER: &str = "/usr/lib/debug";

/// The sections of a file with debug information, and of the program those on how to unwind its stack.
pub struct Sections<'a> {
    debug: DwarfSections<Cow<'a, [u8]>>,
    frames: Cow<'a, [u8]>,
    frames_address: u64,
    is_shared: bool,
}

impl<'a> Sections<'a> {
    /// Of a program: its own, or those of the file that its package has for it.
    pub fn find(path: &str, elf: &Elf<'a>, world: &'a dyn World) -> Option<Sections<'a>> {
        let separate = || separate(path, elf, world);
        let has_own = !elf.section(".debug_info").is_empty();
        let other = if has_own { None } else { Some(separate()?) };
        let holder = other.as_ref().unwrap_or(elf);
        let debug = DwarfSections::load(|id| Ok::<_, ()>(holder.section(id.name()))).ok()?;
        let frames = elf.section(".eh_frame");
        let frames_address = elf.section_address(".eh_frame").unwrap_or(0);
        let is_shared = !holder.section(".gnu_debugaltlink").is_empty();
        Some(Sections { debug, frames, frames_address, is_shared })
    }
}

/// The file that the debug information was put into: by the build's number, or by its name.
pub fn separate<'a>(path: &str, elf: &Elf<'a>, world: &'a dyn World) -> Option<Elf<'a>> {
    let id = elf.build_id();
    let hex: Option<String> = id.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect());
    let by_id = hex.filter(|hex| hex.len() > 2).map(|hex| {
        let (first, rest) = hex.split_at(2);
        format!("{DEBUG_FOLDER}/.build-id/{first}/{rest}.debug")
    });
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let by_name = elf.debug_link().into_iter().flat_map(|name| {
        [format!("{folder}/{name}"), format!("{folder}/.debug/{name}"), format!("{DEBUG_FOLDER}{folder}/{name}")]
    });
    let other = |file: String| (file != path).then(|| world.file(&file)).flatten().and_then(Elf::new);
    let is_of_this_build = |other: &Elf| id.is_none() || other.build_id() == id;
    by_id.into_iter().chain(by_name).filter_map(other).find(is_of_this_build)
}

/// The debug information of a program.
pub struct Debug<'d> {
    dwarf: gimli::Dwarf<Slice<'d>>,
    units: Vec<Unit<'d>>,
    frames: gimli::EhFrame<Slice<'d>>,
    frames_address: u64,
    is_shared: bool,
}

/// An entry of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    unit: usize,
    offset: UnitOffset<usize>,
}

impl<'d> Debug<'d> {
    /// Looks at sections; units that cannot be read are passed over.
    pub fn new(sections: &'d Sections) -> Debug<'d> {
        let slice = |bytes: &'d Cow<[u8]>| EndianSlice::new(bytes, LittleEndian);
        let dwarf = sections.debug.borrow(slice);
        let mut units = Vec::new();
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            units.extend(dwarf.unit(header));
        }
        let frames = gimli::EhFrame::new(&sections.frames, LittleEndian);
        let Sections { frames_address, is_shared, .. } = *sections;
        Debug { dwarf, units, frames, frames_address, is_shared }
    }

    /// Where the rest of the debug information is, if it is in files that are not read.
    pub fn elsewhere(&self) -> Option<&'static str> {
        if self.units.iter().any(|unit| unit.dwo_name().is_ok_and(|name| name.is_some())) {
            return Some(
                "its debug information is in .dwo files, which are not read: compile it without -gsplit-dwarf",
            );
        }
        self.is_shared.then_some(
            "parts of its debug information are in a file that dwz has made for several programs, which is not read: \
             compile it with -g, or take a package whose debug information is whole",
        )
    }

    fn unit(&self, place: Place) -> &Unit<'d> {
        &self.units[place.unit]
    }

    fn entry(&self, place: Place) -> Option<Entry<'d>> {
        self.unit(place).entry(place.offset).ok()
    }

    /// What an attribute refers to.
    fn referred(&self, unit: usize, value: AttributeValue<Slice<'d>>) -> Option<Place> {
        match value {
            AttributeValue::UnitRef(offset) => Some(Place { unit, offset }),
            AttributeValue::DebugInfoRef(offset) => self.at(offset),
            _ => None,
        }
    }

    /// The entry at an offset in the whole section.
    fn at(&self, offset: DebugInfoOffset<usize>) -> Option<Place> {
        let start = |unit: &Unit| unit.header.offset().0;
        let unit = self.units.partition_point(|unit| start(unit) <= offset.0).checked_sub(1)?;
        let offset = UnitOffset(offset.0 - start(&self.units[unit]));
        Some(Place { unit, offset })
    }

    /// An attribute of an entry, or of the one that it is a copy of; and where it was found.
    fn attribute(&self, place: Place, name: gimli::DwAt) -> Option<(AttributeValue<Slice<'d>>, Place)> {
        let mut at = place;
        for _ in 0..REFERENCES_MAX {
            let entry = self.entry(at)?;
            if let Some(value) = entry.attr_value(name) {
                return Some((value, at));
            }
            let origin = [constants::DW_AT_abstract_origin, constants::DW_AT_specification];
            let next = origin.iter().find_map(|origin| entry.attr_value(*origin))?;
            at = self.referred(at.unit, next)?;
        }
        None
    }

    /// A number among the attributes.
    fn number(&self, place: Place, name: gimli::DwAt) -> Option<u64> {
        self.attribute(place, name)?.0.udata_value()
    }

    /// The name of an entry.
    fn name(&self, place: Place) -> Option<String> {
        let (value, at) = self.attribute(place, constants::DW_AT_name)?;
        let text = self.dwarf.attr_string(self.unit(at), value).ok()?;
        Some(text.to_string_lossy().into_owned())
    }

    /// The type that an entry refers to; `None` for none, `void`.
    pub fn type_of(&self, place: Place) -> Option<Place> {
        let (value, at) = self.attribute(place, constants::DW_AT_type)?;
        self.referred(at.unit, value)
    }

    /// The entries directly below one.
    fn children(&self, place: Place) -> Vec<(Place, gimli::DwTag)> {
        let mut found = Vec::new();
        let Ok(mut entries) = self.unit(place).entries_at_offset(place.offset) else { return found };
        if !matches!(entries.next_dfs(), Ok(Some(entry)) if entry.has_children()) {
            return found;
        }
        let mut next = entries.next_dfs();
        while let Ok(Some(entry)) = next {
            found.push((Place { unit: place.unit, offset: entry.offset() }, entry.tag()));
            next = entries.next_sibling();
        }
        found
    }
}
