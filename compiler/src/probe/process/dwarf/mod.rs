//! Debug information of programs and of the kernel: where functions are, what their parameters are and where those lie.
//!
//! Nothing in a file is taken for granted: what cannot be read is not there.

mod frame;
mod function;
mod line;
mod location;
mod named;
mod split;
mod types;

use crate::elf::{Elf, hexadecimal};
use crate::intrinsic::Memory;
use crate::separate;
use crate::world::World;
use gimli::{AttributeValue, DebugInfoOffset, DwarfSections, EndianSlice, LittleEndian, UnitOffset, constants};
use std::borrow::Cow;
use std::cell::OnceCell;

pub use function::{Function, Kind};
pub use location::{Instruction, result};
pub use types::Types;

type Slice<'d> = EndianSlice<'d, LittleEndian>;
type Unit<'d> = gimli::Unit<Slice<'d>>;
type Header<'d> = gimli::UnitHeader<Slice<'d>>;
type Entry<'d> = gimli::DebuggingInformationEntry<Slice<'d>>;

/// References from one entry to the next that are followed.
const REFERENCES_MAX: u32 = 16;
/// What to do where there is no debug information.
pub const REMEDY: &str = "compile it with -g, or install the package with its debug symbols (…-dbgsym, …-debuginfo)";

/// The sections of a file with debug information, and of the program those on how to unwind its stack.
pub struct Sections<'a> {
    debug: DwarfSections<Cow<'a, [u8]>>,
    frames: Cow<'a, [u8]>,
    frames_address: u64,
    /// How to unwind, where that is not needed to run.
    debug_frames: Cow<'a, [u8]>,
    shared: Shared<'a>,
    /// What is in files of their own.
    split: Option<split::Files<'a>>,
    space: Space,
}

/// What dwz has moved into a file that several programs share.
enum Shared<'a> {
    /// There is none of it.
    Nothing,
    /// That file is not there.
    Missing,
    /// Its sections.
    Found(Box<DwarfSections<Cow<'a, [u8]>>>),
}

/// Where the code of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Space {
    /// In processes, each of which has it anywhere.
    Process,
    /// In the kernel, so many bytes behind where the file says.
    Kernel(u64),
}

impl<'a> Sections<'a> {
    /// Of a program: its own, or those of the file that its package has for it.
    pub fn find(path: &str, elf: &Elf<'a>, world: &'a dyn World) -> Option<Sections<'a>> {
        let has_own = !elf.section(".debug_info").is_empty();
        let other = if has_own { None } else { Some(separate_file(path, elf, world)?) };
        let (path, holder) = other.as_ref().map_or((path, elf), |(path, other)| (path.as_str(), other));
        let own = Sections::of(holder, elf)?;
        let units = own.units();
        let split = Some(split::Files::new(path, units, world));
        Some(Sections { shared: Shared::find(path, holder, world), split, ..own })
    }

    /// Of the kernel, which has so many bytes before its code that the file does not tell of; `None` where the file has
    /// no debug information.
    pub fn of_kernel(elf: &Elf<'a>, moved: u64) -> Option<Sections<'a>> {
        let has_any = !elf.section(".debug_info").is_empty();
        has_any.then(|| Some(Sections { space: Space::Kernel(moved), ..Sections::of(elf, elf)? }))?
    }

    fn of(holder: &Elf<'a>, elf: &Elf<'a>) -> Option<Sections<'a>> {
        let debug = DwarfSections::load(|id| Ok::<_, ()>(holder.section(id.name()))).ok()?;
        let frames = elf.section(".eh_frame");
        let frames_address = elf.section_address(".eh_frame").unwrap_or(0);
        let debug_frames = holder.section(".debug_frame");
        let shared = Shared::Nothing;
        Some(Sections { debug, frames, frames_address, debug_frames, shared, split: None, space: Space::Process })
    }

    fn units(&self) -> usize {
        Lazy::all(&self.debug.borrow(|bytes| slice(bytes))).len()
    }
}

fn slice(bytes: &[u8]) -> Slice<'_> {
    EndianSlice::new(bytes, LittleEndian)
}

impl<'a> Shared<'a> {
    /// Looks for the file that one with debug information names: its path, and the number of its build.
    fn find(path: &str, holder: &Elf<'a>, world: &'a dyn World) -> Shared<'a> {
        let link = holder.section(".gnu_debugaltlink");
        let Some(end) = link.iter().position(|byte| *byte == 0) else { return Shared::Nothing };
        let (name, id) = (String::from_utf8_lossy(&link[..end]), &link[end + 1..]);
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let by_name = if name.starts_with('/') { name.into_owned() } else { format!("{folder}/{name}") };
        let files = [by_name].into_iter().chain(separate::of_build(&hexadecimal(id)));
        let other = |file: String| world.file(&file).and_then(Elf::new).filter(|elf| elf.build_id() == Some(id));
        let found = files.into_iter().find_map(other);
        let sections = found.and_then(|elf| DwarfSections::load(|id| Ok::<_, ()>(elf.section(id.name()))).ok());
        sections.map_or(Shared::Missing, |sections| Shared::Found(sections.into()))
    }
}

/// The file that the debug information was put into: by the build's number, or by its name.
pub fn separate<'a>(path: &str, elf: &Elf<'a>, world: &'a dyn World) -> Option<Elf<'a>> {
    separate_file(path, elf, world).map(|(_, elf)| elf)
}

fn separate_file<'a>(path: &str, elf: &Elf<'a>, world: &'a dyn World) -> Option<(String, Elf<'a>)> {
    let files = separate::places(path, elf, world.debug_places()).into_iter();
    let read = |file: String| world.file(&file).and_then(Elf::new).map(|elf| (file, elf));
    files.filter_map(read).find(|(file, other)| separate::is_of(elf, file, other))
}

/// The debug information of a program.
pub struct Debug<'d> {
    dwarf: gimli::Dwarf<Slice<'d>>,
    units: Vec<Lazy<'d>>,
    /// What several programs share, with its units behind those of the program.
    shared: Option<gimli::Dwarf<Slice<'d>>>,
    own_units: usize,
    split: Option<&'d (dyn split::Split + 'd)>,
    frames: frame::Frames<'d>,
    lacks_shared: bool,
    space: Space,
}

/// A unit, read once somebody wants to know what is in it: the kernel has thousands.
struct Lazy<'d> {
    header: Header<'d>,
    unit: OnceCell<Option<Unit<'d>>>,
    /// What is said of it in a file of its own.
    part: OnceCell<Option<split::Part<'d>>>,
}

/// An entry of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    unit: usize,
    offset: UnitOffset<usize>,
}

/// The last of some units that begins before an offset.
fn around(units: &[Lazy], offset: usize) -> Option<usize> {
    units.partition_point(|unit| unit.start() <= offset).checked_sub(1)
}

impl<'d> Lazy<'d> {
    fn all(dwarf: &gimli::Dwarf<Slice<'d>>) -> Vec<Lazy<'d>> {
        let (mut units, mut headers) = (Vec::new(), dwarf.units());
        while let Ok(Some(header)) = headers.next() {
            units.push(Lazy { header, unit: OnceCell::new(), part: OnceCell::new() });
        }
        units
    }

    /// Where it begins in its section.
    fn start(&self) -> usize {
        self.header.offset().0
    }
}

impl<'d> Debug<'d> {
    /// Looks at sections; units whose headers cannot be read are passed over.
    pub fn new(sections: &'d Sections) -> Debug<'d> {
        let mut dwarf = sections.debug.borrow(|bytes| slice(bytes));
        let mut units = Lazy::all(&dwarf);
        let own_units = units.len();
        let shared = match &sections.shared {
            Shared::Found(sections) => Some(sections.borrow(|bytes| slice(bytes))),
            Shared::Nothing | Shared::Missing => None,
        };
        if let (Some(shared), Shared::Found(sections)) = (&shared, &sections.shared) {
            units.extend(Lazy::all(shared));
            dwarf.sup = Some(sections.borrow(|bytes| slice(bytes)).into());
        }
        let lacks_shared = matches!(sections.shared, Shared::Missing);
        let split = sections.split.as_ref().map(|split| split as &dyn split::Split);
        let frames = frame::Frames::new(sections);
        Debug { dwarf, units, shared, own_units, split, frames, lacks_shared, space: sections.space }
    }

    /// A unit by its number, in a file of its own if it is there; `None` where it cannot be read.
    fn read(&self, number: usize) -> Option<&Unit<'d>> {
        self.part(number).map(|part| &part.unit).or_else(|| self.linked(number))
    }

    /// A unit as the linker has seen it, with its lines.
    fn linked(&self, number: usize) -> Option<&Unit<'d>> {
        let Lazy { header, unit, .. } = self.units.get(number)?;
        unit.get_or_init(|| self.linked_in(number).unit(*header).ok()).as_ref()
    }

    /// What is said of a unit in a file of its own.
    fn part(&self, number: usize) -> Option<&split::Part<'d>> {
        let find = || self.split?.unit(number, &self.dwarf, self.linked(number)?);
        self.units.get(number)?.part.get_or_init(find).as_ref()
    }

    /// The sections that a unit is in.
    fn dwarf_of(&self, unit: usize) -> &gimli::Dwarf<Slice<'d>> {
        self.part(unit).map_or_else(|| self.linked_in(unit), |part| &part.dwarf)
    }

    /// The sections that the linker has put a unit into.
    fn linked_in(&self, unit: usize) -> &gimli::Dwarf<Slice<'d>> {
        self.shared.as_ref().filter(|_| unit >= self.own_units).unwrap_or(&self.dwarf)
    }

    /// Where an instruction is that the file has at this address, as far as everybody has it there.
    pub fn placed(&self, address: u64) -> u64 {
        match self.space {
            Space::Process => address,
            Space::Kernel(moved) => address.wrapping_add(moved),
        }
    }

    /// Whose memory variables lie in.
    fn memory(&self) -> Memory {
        if self.space == Space::Process { Memory::User } else { Memory::Kernel }
    }

    /// Where the rest of the debug information is, if it is in files that are not read.
    pub fn elsewhere(&self) -> Option<&'static str> {
        let mut alone = (0..self.own_units).filter(|number| self.part(*number).is_none());
        let is_said_elsewhere = |unit: &Unit| unit.dwo_name().is_ok_and(|name| name.is_some());
        if alone.any(|number| self.linked(number).is_some_and(is_said_elsewhere)) {
            return Some(
                "parts of its debug information are in .dwo files of this build, which are neither where it was compiled \
                 nor beside it: bring them there, or pack them with dwp",
            );
        }
        self.lacks_shared.then_some(
            "parts of its debug information are in a file that dwz has made for several programs, which is not there: \
             install the package that it belongs to whole",
        )
    }

    fn unit(&self, place: Place) -> &Unit<'d> {
        self.read(place.unit).expect("places are those of units that were read")
    }

    fn entry(&self, place: Place) -> Option<Entry<'d>> {
        self.unit(place).entry(place.offset).ok()
    }

    /// The unit that an offset in the whole section is in, or behind.
    fn unit_around(&self, offset: usize) -> Option<usize> {
        around(&self.units[..self.own_units], offset)
    }

    /// What an attribute refers to.
    fn referred(&self, unit: usize, value: AttributeValue<Slice<'d>>) -> Option<Place> {
        match value {
            AttributeValue::UnitRef(offset) => Some(Place { unit, offset }),
            AttributeValue::DebugInfoRef(offset) if self.part(unit).is_none() => {
                self.at(offset, unit >= self.own_units)
            }
            AttributeValue::DebugInfoRefSup(offset) => self.at(offset, true),
            _ => None,
        }
    }

    /// The entry at an offset in the whole section, of the program or of what is shared.
    fn at(&self, offset: DebugInfoOffset<usize>, is_shared: bool) -> Option<Place> {
        let unit = match is_shared {
            false => self.unit_around(offset.0)?,
            true => self.own_units + around(&self.units[self.own_units..], offset.0)?,
        };
        let offset = UnitOffset(offset.0 - self.units[unit].start());
        self.read(unit).map(|_| Place { unit, offset })
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
        let text = self.dwarf_of(at.unit).attr_string(self.unit(at), value).ok()?;
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
