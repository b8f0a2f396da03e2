//! Reads the kernel's own type information (Documentation/bpf/btf.rst) where it lies.
//!
//! A script names a handful of types among 140,000, so nothing is parsed ahead: one pass notes where each type starts,
//! and names are compared in place. Types are followed by their ids. Writing BTF is `bpf::btf_writer`'s.

mod index;
mod names;
mod parts;
mod split;

pub use names::Variable;
pub use split::MODULES;

use core::cell::{Cell, OnceCell, RefCell};
use std::borrow::Cow;
use std::collections::HashMap;

/// Number of a type in one BTF blob; 0 is `void`.
pub type TypeId = u32;

/// Types from this number on are not the kernel's but those of programs: what has them lies in a process's memory.
pub const FOREIGN: TypeId = 1 << 24;

/// What a type is; the numbers are BTF's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[expect(missing_docs, reason = "named as BTF names them")]
pub enum Kind {
    Void = 0,
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
}

const KINDS: [Kind; 20] = [
    Kind::Void,
    Kind::Int,
    Kind::Ptr,
    Kind::Array,
    Kind::Struct,
    Kind::Union,
    Kind::Enum,
    Kind::Fwd,
    Kind::Typedef,
    Kind::Volatile,
    Kind::Const,
    Kind::Restrict,
    Kind::Func,
    Kind::FuncProto,
    Kind::Var,
    Kind::Datasec,
    Kind::Float,
    Kind::DeclTag,
    Kind::TypeTag,
    Kind::Enum64,
];

const MAGIC: u16 = 0xeb9f;

/// A BTF blob, with those that were added to it.
pub struct Btf<'a> {
    data: Cow<'a, [u8]>,
    /// The number of its first type.
    first: TypeId,
    /// Types of programs; behind a module's, those of the next module.
    next: OnceCell<Box<Btf<'static>>>,
    /// Types of modules.
    modules: OnceCell<Box<Btf<'static>>>,
    /// Whose they are, where it is a module.
    module: String,
    /// The number behind its last type, once somebody has counted.
    end: OnceCell<TypeId>,
    types: usize,
    types_end: usize,
    strings: usize,
    strings_end: usize,
    /// Byte offsets of every [`STRIDE`]th type, as far as anybody has walked: a type is found from the one before.
    /// All offsets would take half a megabyte and a pass of their own.
    milestones: RefCell<Vec<u32>>,
    /// Types asked for by number, up to [`MANY`].
    asked: Cell<u32>,
    /// The offset of each type, once many were asked for.
    offsets: OnceCell<Vec<u32>>,
    /// Passes that were made for names, up to [`index::PASSES`].
    passes: Cell<u32>,
    /// The types by their names, once that many were made.
    index: OnceCell<index::Index>,
    /// What was looked for, and what came of it.
    known: RefCell<HashMap<(Kind, String), Option<TypeId>>>,
}

/// Members of a structure with those of its anonymous ones: what has more holds itself.
const MEMBERS_MAX: u32 = 4_096;

/// Types between two milestones.
const STRIDE: u32 = 64;
/// Who asks for so many types asks for many more: all offsets cost less than the way from the milestones.
const MANY: u32 = 8_192;

/// A type: where it stands and its fixed part.
#[derive(Clone, Copy)]
pub struct Type<'a> {
    btf: &'a Btf<'a>,
    /// The BTF that knows all types this one may refer to.
    root: &'a Btf<'a>,
    at: usize,
    info: u32,
}

/// A member of a structure, found by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// From the start of the structure asked for, anonymous members in between counted in.
    pub bit_offset: u32,
    /// Width of a bit field, 0 for ordinary members.
    pub bits: u32,
    /// Its type.
    pub ty: TypeId,
}

/// A parameter of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// Empty where the kernel does not say.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
}

impl<'a> Btf<'a> {
    /// Looks at a blob; `None` where it is not BTF of version 1.
    pub fn new(data: &'a [u8]) -> Option<Btf<'a>> {
        Btf::starting_at(1, Cow::Borrowed(data))
    }

    /// The number that the first type of the next blob to be added must have.
    pub fn next_foreign(&self) -> TypeId {
        match self.next.get() {
            Some(next) => next.next_foreign(),
            None if self.first < FOREIGN => FOREIGN,
            None => self.end(),
        }
    }

    /// Adds types of a program, which know each other by their numbers from [`Btf::next_foreign`] on; gives whether it
    /// could.
    pub fn add_foreign(&self, data: Vec<u8>) -> bool {
        match self.next.get() {
            Some(next) => next.add_foreign(data),
            None => Btf::starting_at(self.next_foreign(), Cow::Owned(data))
                .is_some_and(|added| self.next.set(Box::new(added)).is_ok()),
        }
    }

    fn starting_at(first: TypeId, data: Cow<'a, [u8]>) -> Option<Btf<'a>> {
        if data.len() < 24 || u16::from_le_bytes([data[0], data[1]]) != MAGIC {
            return None;
        }
        let header = word(&data, 4) as usize;
        let types = header + word(&data, 8) as usize;
        let strings = header + word(&data, 16) as usize;
        let types_end = types + word(&data, 12) as usize;
        let strings_end = strings + word(&data, 20) as usize;
        let milestones = RefCell::new(vec![types as u32]);
        (types_end <= data.len() && strings_end <= data.len() && strings < strings_end).then(|| Btf {
            data,
            first,
            next: OnceCell::new(),
            modules: OnceCell::new(),
            module: String::new(),
            end: OnceCell::new(),
            types,
            types_end,
            strings,
            strings_end,
            milestones,
            asked: Cell::new(0),
            offsets: OnceCell::new(),
            passes: Cell::new(0),
            index: OnceCell::new(),
            known: RefCell::default(),
        })
    }

    /// The first type of this kind and name.
    pub fn find(&'a self, kind: Kind, name: &str) -> Option<TypeId> {
        self.find_all(&[(kind, name)])[0]
    }

    /// The first type of each kind and name. What is not known yet is looked for in one pass: a pass reads megabytes,
    /// so names that will be needed are best asked for together.
    pub fn find_all(&'a self, wanted: &[(Kind, &str)]) -> Vec<Option<TypeId>> {
        let key = |(kind, name): &(Kind, &str)| (*kind, (*name).to_owned());
        let open: Vec<(Kind, &str)> =
            wanted.iter().filter(|name| !self.known.borrow().contains_key(&key(name))).copied().collect();
        if !open.is_empty() {
            let found = self.look_for(&open);
            self.known.borrow_mut().extend(open.iter().map(key).zip(found));
        }
        let known = self.known.borrow();
        wanted.iter().map(|name| known.get(&key(name)).copied().flatten()).collect()
    }

    fn look_for(&self, wanted: &[(Kind, &str)]) -> Vec<Option<TypeId>> {
        if self.passes.get() == index::PASSES {
            let index = self.index.get_or_init(|| index::Index::of(self));
            return wanted.iter().map(|(kind, name)| index.find(self, *kind, name)).collect();
        }
        self.passes.set(self.passes.get() + 1);
        let mut found = vec![None; wanted.len()];
        let kinds = wanted.iter().fold(0_u32, |kinds, (kind, _)| kinds | 1 << *kind as u32);
        // Nearly all names differ in their first four bytes; a shorter one has its NUL among them.
        let starts: Vec<u32> = wanted.iter().map(|(_, name)| start_of(name.as_bytes())).collect();
        let mut likely = [false; 256];
        starts.iter().for_each(|start| likely[bucket(*start)] = true);
        let mut open = wanted.len();
        let mut walk = self.walk();
        while let Some((id, name, info)) = walk.step()
            && open > 0
        {
            if kinds >> (info >> 24 & 0x1f) & 1 == 0 {
                continue;
            }
            let start = word(&self.data, self.strings + name as usize);
            if !likely[bucket(start)] {
                continue;
            }
            for (nth, _) in starts.iter().enumerate().filter(|(_, wanted)| **wanted == start) {
                let (kind, text) = wanted[nth];
                if found[nth].is_none() && info >> 24 & 0x1f == kind as u32 && self.name_is(name, text.as_bytes()) {
                    found[nth] = Some(id);
                    open -= 1;
                }
            }
        }
        found
    }

    /// Names of all types of a kind, for suggestions.
    pub fn names(&'a self, kind: Kind) -> impl Iterator<Item = &'a str> {
        self.of_kind(kind).map(|(_, name)| name)
    }

    /// All types of a kind, in one pass: number and name.
    pub fn of_kind(&'a self, kind: Kind) -> impl Iterator<Item = (TypeId, &'a str)> {
        self.of_kinds(&[kind]).map(|(id, _, name)| (id, name))
    }

    /// All types of some kinds, in one pass.
    pub fn of_kinds(&'a self, kinds: &[Kind]) -> impl Iterator<Item = (TypeId, Kind, &'a str)> + use<'a> {
        let kinds = kinds.iter().fold(0_u32, |kinds, kind| kinds | 1 << *kind as u32);
        let wanted = self.walk().filter(move |(_, _, info)| kinds >> (info >> 24 & 0x1f) & 1 == 1);
        wanted.map(|(id, at, info)| Type { btf: self, root: self, at, info }.numbered(id))
    }

    /// A type by its number.
    pub fn get(&'a self, id: TypeId) -> Option<Type<'a>> {
        if id == 0 {
            return Some(Type { btf: self, root: self, at: 0, info: 0 });
        }
        let btf = self.holder(id)?;
        btf.walk_from(id).next().map(|(_, at, info)| Type { btf, root: self, at, info })
    }

    /// The blob that a type is in.
    fn holder(&'a self, id: TypeId) -> Option<&'a Btf<'a>> {
        let added = match id {
            FOREIGN.. => &self.next,
            split::MODULES.. => &self.modules,
            _ => return Some(self),
        };
        let mut holder: &'a Btf<'a> = added.get()?;
        while let Some(next) = holder.next.get().filter(|next| id >= next.first) {
            holder = next;
        }
        Some(holder)
    }

    /// The type behind names and qualifiers.
    pub fn strip(&'a self, id: TypeId) -> Option<(TypeId, Type<'a>)> {
        let mut id = id;
        // A chain longer than this is a cycle, which no compiler writes.
        for _ in 0..32 {
            let ty = self.get(id)?;
            match ty.kind() {
                Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => id = ty.target(),
                _ => return Some((id, ty)),
            }
        }
        None
    }

    /// What a pointer points to, qualifiers stripped.
    pub fn pointee(&'a self, id: TypeId) -> Option<TypeId> {
        let (_, ty) = self.strip(id)?;
        (ty.kind() == Kind::Ptr).then(|| self.strip(ty.target()).map(|(id, _)| id)).flatten()
    }

    /// A type as C writes it, short (`struct kmem_cache *`).
    pub fn type_name(&'a self, id: TypeId) -> String {
        let mut id = id;
        // What stands behind the name, the last first.
        let mut behind: Vec<String> = Vec::new();
        for _ in 0..32 {
            let Some(ty) = self.get(id) else { break };
            let name = match ty.kind() {
                Kind::Ptr => {
                    behind.push("*".into());
                    id = ty.target();
                    continue;
                }
                Kind::Array => {
                    behind.push(format!("[{}]", ty.element().1));
                    id = ty.element().0;
                    continue;
                }
                Kind::Const => {
                    behind.push(" const".into());
                    id = ty.target();
                    continue;
                }
                Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                    id = ty.target();
                    continue;
                }
                Kind::Void => "void".into(),
                Kind::Struct | Kind::Fwd => format!("struct {}", ty.name()),
                Kind::Union => format!("union {}", ty.name()),
                Kind::Enum | Kind::Enum64 => format!("enum {}", ty.name()),
                Kind::FuncProto => "function".into(),
                _ => ty.name().into(),
            };
            return behind.into_iter().rev().fold(name, |name, part| name + &part);
        }
        "?".into()
    }

    /// All types in order: number, byte offset, info word.
    fn walk(&self) -> Walk<'_> {
        Walk { btf: self, id: self.first, at: self.types }
    }

    /// The types from one on, reached from the nearest milestone.
    fn walk_from(&self, id: TypeId) -> Walk<'_> {
        if self.asked.get() == MANY {
            return self.walk_at(id);
        }
        self.asked.set(self.asked.get() + 1);
        let (nth, at) = {
            let milestones = self.milestones.borrow();
            let nth = ((id.saturating_sub(self.first) / STRIDE) as usize).min(milestones.len() - 1);
            (nth as u32, milestones[nth] as usize)
        };
        let mut walk = Walk { btf: self, id: self.first + nth * STRIDE, at };
        while walk.id < id && walk.next().is_some() {}
        walk
    }

    /// The same, without a way to go.
    fn walk_at(&self, id: TypeId) -> Walk<'_> {
        let offsets = self.offsets.get_or_init(|| self.walk().map(|(_, at, _)| at as u32).collect());
        let at = offsets.get(id.saturating_sub(self.first) as usize).map_or(self.types_end, |at| *at as usize);
        Walk { btf: self, id, at }
    }

    fn name_is(&self, offset: u32, name: &[u8]) -> bool {
        let text = self.data.get(self.strings + offset as usize..).unwrap_or_default();
        text.len() > name.len() && text[name.len()] == 0 && &text[..name.len()] == name
    }

    /// The bytes of a name.
    fn bytes(&self, offset: u32) -> impl Iterator<Item = u8> + '_ {
        let text = self.data.get(self.strings + offset as usize..).unwrap_or_default();
        text.iter().copied().take_while(|byte| *byte != 0)
    }

    fn string(&'a self, offset: u32) -> &'a str {
        let text = self.data.get(self.strings + offset as usize..).unwrap_or_default();
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(0);
        core::str::from_utf8(&text[..end]).unwrap_or("")
    }
}

/// A walk over types in order.
struct Walk<'a> {
    btf: &'a Btf<'a>,
    id: TypeId,
    at: usize,
}

impl Iterator for Walk<'_> {
    type Item = (TypeId, usize, u32);

    fn next(&mut self) -> Option<(TypeId, usize, u32)> {
        let at = self.at;
        self.step().map(|(id, _, info)| (id, at, info))
    }
}

impl Walk<'_> {
    /// Goes on by one type; gives its number, the offset of its name and its info word.
    #[inline(always)]
    fn step(&mut self) -> Option<(TypeId, u32, u32)> {
        let Some(&[a, b, c, d, e, f, g, h]) = self.btf.data[..self.btf.types_end].get(self.at..self.at + 8) else {
            return None;
        };
        let (name, info) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let id = self.id;
        self.at += type_size(info);
        self.id += 1;
        if (self.id - self.btf.first).is_multiple_of(STRIDE) {
            self.pass_milestone();
        }
        Some((id, name, info))
    }

    #[cold]
    fn pass_milestone(&self) {
        let mut milestones = self.btf.milestones.borrow_mut();
        if milestones.len() == ((self.id - self.btf.first) / STRIDE) as usize {
            milestones.push(self.at as u32);
        }
    }
}

/// The first four bytes of a name with its NUL, as they lie in memory. What follows a shorter name is not known, so
/// none of two bytes or less can be found: the kernel's types have longer ones.
fn start_of(name: &[u8]) -> u32 {
    let mut start = [0; 4];
    let kept = name.len().min(4);
    start[..kept].copy_from_slice(&name[..kept]);
    u32::from_le_bytes(start)
}

/// A place in a small table for the start of a name.
fn bucket(start: u32) -> usize {
    (start.wrapping_mul(0x9e37_79b1) >> 24) as usize
}

/// Bytes of a type record, from its info word.
fn type_size(info: u32) -> usize {
    /// By kind: bytes behind the fixed part, and bytes a member.
    const SIZES: [(u8, u8); 32] = {
        let mut sizes = [(0, 0); 32];
        sizes[Kind::Int as usize] = (4, 0);
        sizes[Kind::Var as usize] = (4, 0);
        sizes[Kind::DeclTag as usize] = (4, 0);
        sizes[Kind::Array as usize] = (12, 0);
        sizes[Kind::Struct as usize] = (0, 12);
        sizes[Kind::Union as usize] = (0, 12);
        sizes[Kind::Datasec as usize] = (0, 12);
        sizes[Kind::Enum64 as usize] = (0, 12);
        sizes[Kind::Enum as usize] = (0, 8);
        sizes[Kind::FuncProto as usize] = (0, 8);
        sizes
    };
    let (fixed, member) = SIZES[(info >> 24 & 0x1f) as usize];
    12 + usize::from(fixed) + usize::from(member) * (info & 0xffff) as usize
}

#[inline]
fn word(data: &[u8], at: usize) -> u32 {
    match data.get(at..at + 4) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}
