//! What a type of BTF is made of.

use super::{KINDS, Kind, MEMBERS_MAX, Member, Param, Type, TypeId, word};

impl<'a> Type<'a> {
    /// What it is.
    pub fn kind(&self) -> Kind {
        KINDS.get((self.info >> 24 & 0x1f) as usize).copied().unwrap_or(Kind::Void)
    }

    pub(super) fn numbered(&self, id: TypeId) -> (TypeId, Kind, &'a str) {
        (id, self.kind(), self.name())
    }

    /// Its name, empty where it has none.
    pub fn name(&self) -> &'a str {
        if self.at == 0 { "" } else { self.btf.string(word(&self.btf.data, self.at)) }
    }

    /// The type it refers to: of pointers, names, qualifiers, functions and variables.
    pub fn target(&self) -> TypeId {
        self.third()
    }

    /// Bytes, for types that have a size of their own.
    pub fn size(&self) -> Option<u32> {
        match self.kind() {
            Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float => Some(self.third()),
            Kind::Ptr => Some(8),
            _ => None,
        }
    }

    /// Whether an integer or enumeration is signed.
    pub fn is_signed(&self) -> bool {
        match self.kind() {
            Kind::Int => word(&self.btf.data, self.at + 12) >> 24 & 1 == 1,
            Kind::Enum | Kind::Enum64 => self.info >> 31 == 1,
            _ => false,
        }
    }

    /// Element type and length of an array.
    pub fn element(&self) -> (TypeId, u32) {
        (word(&self.btf.data, self.at + 12), word(&self.btf.data, self.at + 20))
    }

    /// Parameters of a function prototype.
    pub fn params(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let (btf, at) = (self.btf, self.at);
        (0..self.len()).map(move |nth| {
            let at = at + 12 + 8 * nth;
            Param { name: btf.string(word(&btf.data, at)), ty: word(&btf.data, at + 4) }
        })
    }

    /// Names and types of a structure's own members.
    pub fn members(&self) -> impl Iterator<Item = (&'a str, Member)> + use<'a> {
        let (btf, at, has_bits) = (self.btf, self.at, self.info >> 31 == 1);
        let count = if matches!(self.kind(), Kind::Struct | Kind::Union) { self.len() } else { 0 };
        (0..count).map(move |nth| {
            let at = at + 12 + 12 * nth;
            let offset = word(&btf.data, at + 8);
            let (bit_offset, bits) = if has_bits { (offset & 0xff_ffff, offset >> 24) } else { (offset, 0) };
            (btf.string(word(&btf.data, at)), Member { bit_offset, bits, ty: word(&btf.data, at + 4) })
        })
    }

    /// A member by name, looked for in anonymous structures and unions too.
    pub fn member(&self, name: &str) -> Option<Member> {
        let mut found = None;
        self.visit_members(0, &mut { MEMBERS_MAX }, &mut |own, member| {
            let is_it = own == name;
            found = found.or(is_it.then_some(member));
            !is_it
        });
        found
    }

    /// Names of all members, those of anonymous structures and unions among them.
    pub fn member_names(&self) -> Vec<&'a str> {
        let mut names = Vec::new();
        self.visit_members(0, &mut { MEMBERS_MAX }, &mut |name, _| {
            names.push(name);
            true
        });
        names
    }

    /// Visits the members that have a name, anonymous structures and unions opened, until the visitor has enough or
    /// there is no room for more.
    fn visit_members(&self, base: u32, room: &mut u32, visit: &mut dyn FnMut(&'a str, Member) -> bool) -> bool {
        self.members().all(|(name, member)| {
            // A structure that holds itself never ends: each level takes at least one.
            let Some(left) = room.checked_sub(1) else { return false };
            *room = left;
            let bit_offset = base.wrapping_add(member.bit_offset);
            if !name.is_empty() {
                return visit(name, Member { bit_offset, ..member });
            }
            match self.root.strip(member.ty) {
                Some((_, inner)) => inner.visit_members(bit_offset, room, visit),
                None => true,
            }
        })
    }

    pub(super) fn len(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    fn third(&self) -> u32 {
        if self.at == 0 { 0 } else { word(&self.btf.data, self.at + 8) }
    }
}
