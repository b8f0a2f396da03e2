//! Types of programs as BTF behind the kernel's: what `$variables` are made of is looked at in one way for both.

use crate::kernel::btf::{Kind, TypeId};
use crate::probe::site::Resolver;

/// BTF that is being written.
pub struct Writer {
    first: TypeId,
    count: u32,
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Writer {
    /// Of types that have numbers from `first` on.
    pub fn new(first: TypeId) -> Writer {
        Writer { first, count: 0, types: Vec::new(), strings: vec![0] }
    }

    /// The number of the next type.
    pub fn next(&self) -> TypeId {
        self.first + self.count
    }

    /// Adds a type: its name, kind, number of parts, flag, and the word that is its size or the type it refers to;
    /// then the words of its parts.
    pub fn add(&mut self, name: &str, kind: Kind, (parts, flag): (u32, bool), word: u32, more: &[u32]) -> TypeId {
        let id = self.next();
        let name = self.string(name);
        let info = (kind as u32) << 24 | parts & 0xffff | u32::from(flag) << 31;
        [name, info, word].iter().chain(more).for_each(|word| self.types.extend(word.to_le_bytes()));
        self.count += 1;
        id
    }

    /// The place of a name among the strings.
    pub fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        at
    }

    /// The blob (Documentation/bpf/btf.rst).
    pub fn finish(self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut blob = vec![0x9f, 0xeb, 1, 0];
        for word in [24, 0, types, types, strings] {
            blob.extend_from_slice(&u32::to_le_bytes(word));
        }
        blob.extend(self.types);
        blob.extend(self.strings);
        blob
    }
}

/// An `int` of BTF: its encoding, and its bits.
pub fn int(signed: bool, bytes: u32) -> u32 {
    (u32::from(signed) << 24) | (bytes * 8)
}

/// The type of a number of 64 bits with a sign; 0 where the kernel has no types for it to stand behind.
pub fn long(resolver: &Resolver) -> TypeId {
    let Some(btf) = resolver.btf else { return 0 };
    let mut writer = Writer::new(btf.next_foreign());
    let id = writer.add("long", Kind::Int, (0, false), 8, &[int(true, 8)]);
    if btf.add_foreign(writer.finish()) { id } else { 0 }
}
