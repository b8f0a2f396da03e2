//! DWARF's types as BTF, with everything that they are made of. Those that the kernel has a name for are its own.

use super::{Debug, Place, Space};
use crate::kernel::btf::{Btf, Kind, TypeId};
use crate::probe::process::types::{Writer, int};
use gimli::{AttributeValue, constants};
use std::collections::HashMap;

/// Types of one probe point: what is beyond has no members.
const TYPES_MAX: usize = 20_000;
/// Parts of a structure or an enumeration that BTF has room for.
const PARTS_MAX: usize = 0xffff;

/// How much room values of a type take.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Bytes.
    pub bytes: u32,
    signed: bool,
    is_number: bool,
}

impl Size {
    /// Bytes and sign of what fits into a register as a number.
    pub fn number(self) -> Option<(u8, bool)> {
        (self.is_number && matches!(self.bytes, 1 | 2 | 4 | 8)).then_some((self.bytes as u8, self.signed))
    }
}

impl Debug<'_> {
    /// The size of a type, behind its names and qualifiers.
    pub fn size(&self, ty: Place) -> Option<Size> {
        let mut at = ty;
        for _ in 0..super::REFERENCES_MAX {
            let tag = self.entry(at)?.tag();
            let bytes = self.number(at, constants::DW_AT_byte_size).map(|bytes| bytes as u32);
            let of =
                |bytes: Option<u32>, signed: bool, is_number: bool| Some(Size { bytes: bytes?, signed, is_number });
            return match tag {
                constants::DW_TAG_base_type => {
                    let encoding = self.attribute(at, constants::DW_AT_encoding).map(|(encoding, _)| encoding);
                    let is = |wanted| encoding == Some(AttributeValue::Encoding(wanted));
                    let signed = is(constants::DW_ATE_signed) || is(constants::DW_ATE_signed_char);
                    of(bytes, signed, !is(constants::DW_ATE_float) && !is(constants::DW_ATE_complex_float))
                }
                constants::DW_TAG_enumeration_type => of(bytes, self.is_signed(at), true),
                constants::DW_TAG_pointer_type
                | constants::DW_TAG_reference_type
                | constants::DW_TAG_rvalue_reference_type => of(bytes.or(Some(8)), false, true),
                constants::DW_TAG_structure_type | constants::DW_TAG_class_type | constants::DW_TAG_union_type => {
                    of(bytes, false, false)
                }
                constants::DW_TAG_array_type => of(bytes.or(Some(u32::MAX / 16)), false, false),
                _ => {
                    at = self.type_of(at)?;
                    continue;
                }
            };
        }
        None
    }

    /// Whether an enumeration has a sign: by what it is made of, or as one of its constants is below zero.
    fn is_signed(&self, enumeration: Place) -> bool {
        let made_of = self.type_of(enumeration).and_then(|ty| self.size(ty));
        made_of.is_some_and(|size| size.signed) || self.constants(enumeration).any(|(_, number)| number < 0)
    }

    /// The constants of an enumeration.
    fn constants(&self, enumeration: Place) -> impl Iterator<Item = (Place, i64)> {
        let children = self.children(enumeration).into_iter();
        children.filter(|(_, tag)| *tag == constants::DW_TAG_enumerator).take(PARTS_MAX).map(|(place, _)| {
            let value = self.attribute(place, constants::DW_AT_const_value).map(|(value, _)| value);
            let number = match value {
                Some(AttributeValue::Sdata(number)) => number,
                // Forms without a sign of their own hold what is not below zero.
                other => other.and_then(|value| value.udata_value()).unwrap_or(0) as i64,
            };
            (place, number)
        })
    }
}

/// Types that are being gathered; each has its number as soon as somebody refers to it.
pub struct Types<'t, 'd> {
    debug: &'t Debug<'d>,
    btf: &'t Btf<'t>,
    first: TypeId,
    known: HashMap<Place, TypeId>,
    wanted: Vec<Wanted>,
}

/// A type that is to be written.
#[derive(Clone, Debug)]
enum Wanted {
    Entry(Place),
    /// An array of this many elements, whose dimensions from the n-th on are left.
    Array(Place, usize),
    /// What arrays are indexed with.
    Index,
}

impl<'t, 'd> Types<'t, 'd> {
    /// Types behind those that are there.
    pub fn new(debug: &'t Debug<'d>, btf: &'t Btf<'t>) -> Types<'t, 'd> {
        let first = match debug.space {
            Space::Process => btf.next_foreign(),
            Space::Kernel(_) => btf.next_own(),
        };
        Types { debug, btf, first, known: HashMap::new(), wanted: Vec::new() }
    }

    /// The number of a type; 0 stands for `void`.
    pub fn number(&mut self, place: Option<Place>) -> TypeId {
        let Some(place) = place else { return 0 };
        if let Some(known) = self.known.get(&place) {
            return *known;
        }
        if let Some(own) = self.of_kernel(place) {
            self.known.insert(place, own);
            return own;
        }
        if self.wanted.len() >= TYPES_MAX {
            return 0;
        }
        let id = self.add(Wanted::Entry(place));
        self.known.insert(place, id);
        id
    }

    /// The kernel's own type of this name.
    fn of_kernel(&self, place: Place) -> Option<TypeId> {
        if self.debug.space == Space::Process {
            return None;
        }
        let kind = match self.debug.entry(place)?.tag() {
            constants::DW_TAG_structure_type => Kind::Struct,
            constants::DW_TAG_union_type => Kind::Union,
            constants::DW_TAG_enumeration_type => Kind::Enum,
            constants::DW_TAG_typedef => Kind::Typedef,
            constants::DW_TAG_base_type => Kind::Int,
            _ => return None,
        };
        self.btf.find(kind, &self.debug.name(place)?)
    }

    fn add(&mut self, wanted: Wanted) -> TypeId {
        self.wanted.push(wanted);
        self.first + self.wanted.len() as TypeId - 1
    }

    /// Adds all of them to what is there, with those that they refer to.
    pub fn add_all(self) {
        let (btf, space) = (self.btf, self.debug.space);
        let types = self.finish();
        match space {
            Space::Process => btf.add_foreign(types),
            Space::Kernel(_) => btf.add_own(types),
        };
    }

    fn finish(mut self) -> Vec<u8> {
        let mut writer = Writer::new(self.first);
        let mut next = 0;
        while let Some(wanted) = self.wanted.get(next).cloned() {
            next += 1;
            match wanted {
                Wanted::Entry(place) => self.entry(place, &mut writer),
                Wanted::Array(place, dimension) => self.array(place, dimension, &mut writer),
                Wanted::Index => writer.add("unsigned long", Kind::Int, (0, false), 8, &[int(false, 8)]),
            };
        }
        writer.finish()
    }

    /// Writes one type; each adds exactly one.
    fn entry(&mut self, place: Place, writer: &mut Writer) -> TypeId {
        let Some(entry) = self.debug.entry(place) else { return void(writer) };
        let name = self.debug.name(place).unwrap_or_default();
        let size = self.debug.number(place, constants::DW_AT_byte_size).unwrap_or(0) as u32;
        let mut refer = |types: &mut Self, kind: Kind, name: &str| {
            let target = types.debug.type_of(place);
            let target = types.number(target);
            writer.add(name, kind, (0, false), target, &[])
        };
        match entry.tag() {
            constants::DW_TAG_base_type => self.base(place, &name, size, writer),
            constants::DW_TAG_pointer_type
            | constants::DW_TAG_reference_type
            | constants::DW_TAG_rvalue_reference_type
            | constants::DW_TAG_ptr_to_member_type => refer(self, Kind::Ptr, ""),
            constants::DW_TAG_typedef => refer(self, Kind::Typedef, &name),
            constants::DW_TAG_const_type => refer(self, Kind::Const, ""),
            constants::DW_TAG_volatile_type | constants::DW_TAG_atomic_type => refer(self, Kind::Volatile, ""),
            constants::DW_TAG_restrict_type => refer(self, Kind::Restrict, ""),
            constants::DW_TAG_structure_type | constants::DW_TAG_class_type => {
                self.record(place, Kind::Struct, &name, size, writer)
            }
            constants::DW_TAG_union_type => self.record(place, Kind::Union, &name, size, writer),
            constants::DW_TAG_enumeration_type => self.enumeration(place, &name, size, writer),
            constants::DW_TAG_array_type => self.array(place, 0, writer),
            constants::DW_TAG_subroutine_type => writer.add("", Kind::FuncProto, (0, false), 0, &[]),
            _ => void(writer),
        }
    }

    fn base(&self, place: Place, name: &str, size: u32, writer: &mut Writer) -> TypeId {
        let encoding = match self.debug.attribute(place, constants::DW_AT_encoding) {
            Some((AttributeValue::Encoding(encoding), _)) => encoding,
            _ => constants::DW_ATE_unsigned,
        };
        let signed = matches!(encoding, constants::DW_ATE_signed | constants::DW_ATE_signed_char);
        match encoding {
            constants::DW_ATE_float | constants::DW_ATE_complex_float => {
                writer.add(name, Kind::Float, (0, false), size, &[])
            }
            _ => writer.add(name, Kind::Int, (0, false), size, &[int(signed, size.min(16))]),
        }
    }

    fn record(&mut self, place: Place, kind: Kind, name: &str, size: u32, writer: &mut Writer) -> TypeId {
        if self.debug.attribute(place, constants::DW_AT_declaration).is_some() {
            return writer.add(name, Kind::Fwd, (0, kind == Kind::Union), 0, &[]);
        }
        let mut words = Vec::new();
        let mut count = 0;
        for (member, tag) in self.debug.children(place) {
            let is_member = matches!(tag, constants::DW_TAG_member | constants::DW_TAG_inheritance);
            let is_static = self.debug.attribute(member, constants::DW_AT_external).is_some();
            if !is_member || is_static || count == PARTS_MAX as u32 {
                continue;
            }
            let ty = self.debug.type_of(member);
            let (offset, bits) = self.member_bits(member, ty);
            let member_name = self.debug.name(member).unwrap_or_default();
            let ty = self.number(ty);
            words.extend([writer.string(&member_name), ty, bits << 24 | offset & 0xff_ffff]);
            count += 1;
        }
        writer.add(name, kind, (count, true), size, &words)
    }

    /// Where a member lies, in bits, and how many it has where it is a bit field.
    fn member_bits(&self, member: Place, ty: Option<Place>) -> (u32, u32) {
        let number = |name| self.debug.number(member, name).map(|number| number as u32);
        let bits = number(constants::DW_AT_bit_size).unwrap_or(0);
        let bytes = number(constants::DW_AT_data_member_location).unwrap_or(0);
        let offset = match (number(constants::DW_AT_data_bit_offset), number(constants::DW_AT_bit_offset)) {
            (Some(offset), _) => offset,
            // DWARF 2 and 3 count from the other end of the word.
            (None, Some(from_top)) => {
                let own = number(constants::DW_AT_byte_size);
                let of_type = || ty.and_then(|ty| self.debug.number(ty, constants::DW_AT_byte_size)).map(|n| n as u32);
                let word = own.or_else(of_type).unwrap_or(4).saturating_mul(8);
                bytes.saturating_mul(8).saturating_add(word.saturating_sub(from_top.saturating_add(bits)))
            }
            (None, None) => bytes.saturating_mul(8),
        };
        (offset, bits.min(255))
    }

    fn enumeration(&mut self, place: Place, name: &str, size: u32, writer: &mut Writer) -> TypeId {
        let mut words = Vec::new();
        for (constant, number) in self.debug.constants(place) {
            let constant = self.debug.name(constant).unwrap_or_default();
            words.extend([writer.string(&constant), number as u32]);
        }
        let parts = ((words.len() / 2) as u32, self.debug.is_signed(place));
        writer.add(name, Kind::Enum, parts, size, &words)
    }

    /// An array's dimension; what it is an array of is the next one, or the element.
    fn array(&mut self, place: Place, dimension: usize, writer: &mut Writer) -> TypeId {
        let ranges = self.debug.children(place).into_iter().filter(|(_, tag)| *tag == constants::DW_TAG_subrange_type);
        let ranges: Vec<Place> = ranges.map(|(place, _)| place).collect();
        let count = ranges.get(dimension).map_or(0, |range| {
            let number = |name| self.debug.number(*range, name);
            let bound = || number(constants::DW_AT_upper_bound).map(|last| last.wrapping_add(1));
            number(constants::DW_AT_count).or_else(bound).unwrap_or(0)
        });
        let element = match dimension + 1 < ranges.len() {
            true => self.add(Wanted::Array(place, dimension + 1)),
            false => {
                let element = self.debug.type_of(place);
                self.number(element)
            }
        };
        let index = self.add(Wanted::Index);
        writer.add("", Kind::Array, (0, false), 0, &[element, index, count.min(u64::from(u32::MAX)) as u32])
    }
}

/// Something that has no members and no size.
fn void(writer: &mut Writer) -> TypeId {
    writer.add("void", Kind::Fwd, (0, false), 0, &[])
}
