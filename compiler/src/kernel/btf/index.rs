//! Types by their names, for scripts that ask for many.
//!
//! A pass over all types finds any number of names that are asked for together, and is cheaper than an index; who asks
//! again and again is better off with one.

use super::{Btf, Kind, TypeId, word};

/// Who has asked for this many passes gets an index, which costs as much as four.
pub(super) const PASSES: u32 = 12;

/// Buckets.
const BUCKETS: usize = 1 << 14;

/// Named types, those with a name together, in order of their numbers.
pub(super) struct Index {
    /// Where each bucket begins, and the end of the last.
    starts: Vec<u32>,
    /// Number and byte offset.
    types: Vec<(TypeId, u32)>,
}

impl Index {
    pub(super) fn of(btf: &Btf) -> Index {
        let mut named: Vec<(TypeId, u32, u16)> = Vec::new();
        for (id, at, _) in btf.walk() {
            let name = word(&btf.data, at);
            if name != 0 {
                named.push((id, at as u32, bucket(btf.bytes(name))));
            }
        }
        let mut starts = vec![0_u32; BUCKETS + 1];
        named.iter().for_each(|(.., bucket)| starts[usize::from(*bucket) + 1] += 1);
        for bucket in 0..BUCKETS {
            starts[bucket + 1] += starts[bucket];
        }
        let mut free = starts.clone();
        let mut types = vec![(0, 0); named.len()];
        for (id, at, bucket) in named {
            let place = &mut free[usize::from(bucket)];
            types[*place as usize] = (id, at);
            *place += 1;
        }
        Index { starts, types }
    }

    /// The first type of this kind and name.
    pub(super) fn find(&self, btf: &Btf, kind: Kind, name: &str) -> Option<TypeId> {
        let bucket = usize::from(bucket(name.as_bytes().iter().copied()));
        let types = &self.types[self.starts[bucket] as usize..self.starts[bucket + 1] as usize];
        let is_it = |at: usize| {
            word(&btf.data, at + 4) >> 24 & 0x1f == kind as u32 && btf.name_is(word(&btf.data, at), name.as_bytes())
        };
        types.iter().find(|(_, at)| is_it(*at as usize)).map(|(id, _)| *id)
    }
}

/// A number for a name (FNV-1a, cut to the number of buckets).
fn bucket(name: impl Iterator<Item = u8>) -> u16 {
    let hash = name.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    ((hash ^ hash >> 14) % BUCKETS as u32) as u16
}
