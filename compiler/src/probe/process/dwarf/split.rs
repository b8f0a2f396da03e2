//! Debug information that the linker never saw: compiled with `-gsplit-dwarf`, it stays in a file beside each object
//! (`.dwo`), or all of it is packed into one (`.dwp`).
//!
//! What the program has of such a unit says the file's name and its number, and has what the linker places: addresses
//! and lines.

use super::{Header, Slice, Unit};
use crate::elf::Elf;
use crate::world::World;
use gimli::{DwarfPackageSections, DwarfSections, DwoId, EndianSlice, LittleEndian};
use std::borrow::Cow;
use std::cell::OnceCell;

/// The sections of a file, opened once.
type Opened<T> = OnceCell<Option<T>>;

/// The files of a program, each opened when somebody wants to know what is in it.
pub struct Files<'a> {
    world: &'a dyn World,
    /// The folder of the program or of its debug information.
    folder: String,
    /// Where all of them may be packed together.
    package: String,
    packed: Opened<DwarfPackageSections<Cow<'a, [u8]>>>,
    /// Those of units, by their numbers.
    units: Vec<Opened<DwarfSections<Cow<'a, [u8]>>>>,
}

/// Whoever has such files, whatever bytes they are made of.
pub trait Split {
    /// What the file of a unit has, if it is there: its sections and the unit.
    fn unit<'d>(&'d self, number: usize, program: &gimli::Dwarf<Slice<'d>>, skeleton: &Unit<'d>) -> Option<Part<'d>>;
}

/// A unit of another file, and the sections there.
pub struct Part<'d> {
    /// The sections.
    pub dwarf: gimli::Dwarf<Slice<'d>>,
    /// The unit.
    pub unit: Unit<'d>,
}

impl<'a> Files<'a> {
    /// Of a program at this path with so many units.
    pub fn new(path: &str, units: usize, world: &'a dyn World) -> Files<'a> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let package = format!("{path}.dwp");
        let units = (0..units).map(|_| OnceCell::new()).collect();
        Files { world, folder, package, packed: OnceCell::new(), units }
    }

    fn packed(&self) -> Option<&DwarfPackageSections<Cow<'a, [u8]>>> {
        let read = || {
            let elf = Elf::new(self.world.file(&self.package)?)?;
            let section = |id: gimli::SectionId| Ok::<_, gimli::Error>(elf.section(id.dwo_name().unwrap_or_default()));
            DwarfPackageSections::load(section).ok()
        };
        self.packed.get_or_init(read).as_ref()
    }

    /// The file of a unit: where it was compiled, or beside the program.
    fn separate(&self, number: usize, name: &str, compiled_in: &str) -> Option<&DwarfSections<Cow<'a, [u8]>>> {
        let read = || {
            let base = name.rsplit_once('/').map_or(name, |(_, base)| base);
            let said = if name.starts_with('/') { name.to_owned() } else { format!("{compiled_in}/{name}") };
            let here = [format!("{}/{name}", self.folder), format!("{}/{base}", self.folder)];
            let mut files = [said].into_iter().chain(here);
            let elf = files.find_map(|path| self.world.file(&path).and_then(Elf::new))?;
            let section = |id: gimli::SectionId| Ok::<_, ()>(elf.section(id.dwo_name().unwrap_or_default()));
            DwarfSections::load(section).ok()
        };
        self.units.get(number)?.get_or_init(read).as_ref()
    }
}

impl Split for Files<'_> {
    fn unit<'d>(&'d self, number: usize, program: &gimli::Dwarf<Slice<'d>>, skeleton: &Unit<'d>) -> Option<Part<'d>> {
        let (name, id) = (skeleton.dwo_name().ok()??, skeleton.dwo_id?);
        let slice = |bytes: &'d Cow<[u8]>| EndianSlice::new(&bytes[..], LittleEndian);
        let empty = EndianSlice::new(&[][..], LittleEndian);
        let packed = self.packed().and_then(|packed| packed.borrow(slice, empty).ok()?.find_cu(id, program).ok()?);
        let dwarf = packed.map(Some).unwrap_or_else(|| {
            let name = program.attr_string(skeleton, name).ok()?.to_string_lossy().into_owned();
            let compiled_in = skeleton.comp_dir.map(|folder| folder.to_string_lossy()).unwrap_or_default();
            let mut dwarf = self.separate(number, &name, &compiled_in)?.borrow(slice);
            dwarf.make_dwo(program);
            Some(dwarf)
        })?;
        let mut unit = of_number(&dwarf, id)?;
        unit.copy_relocated_attributes(skeleton);
        Some(Part { dwarf, unit })
    }
}

/// The unit with a number: a file that was compiled anew has another one.
fn of_number<'d>(dwarf: &gimli::Dwarf<Slice<'d>>, id: DwoId) -> Option<Unit<'d>> {
    let mut headers = dwarf.units();
    let units = std::iter::from_fn(|| headers.next().ok().flatten());
    units.filter_map(|header: Header| dwarf.unit(header).ok()).find(|unit| unit.dwo_id == Some(id))
}
