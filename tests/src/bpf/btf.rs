//! Finds a function's or a typedef's id in the kernel's BTF (Documentation/bpf/btf.rst).

use std::fs;

/// BTF_KIND_TYPEDEF
pub const TYPEDEF: u32 = 8;
/// BTF_KIND_FUNC
pub const FUNC: u32 = 12;

/// The kernel's type information.
#[derive(Debug)]
pub struct Btf(Vec<u8>);

impl Btf {
    /// The running kernel's.
    pub fn vmlinux() -> Option<Btf> {
        fs::read("/sys/kernel/btf/vmlinux").ok().map(Btf)
    }

    /// The id of the type of this kind and name.
    pub fn find(&self, kind: u32, name: &str) -> Option<u32> {
        let header = self.word(4)? as usize;
        let types = header + self.word(8)? as usize;
        let end = types + self.word(12)? as usize;
        let strings = header + self.word(16)? as usize;
        let (mut at, mut id) = (types, 1);
        while at < end {
            let (name_at, info) = (self.word(at)? as usize, self.word(at + 4)?);
            if info >> 24 & 0x1f == kind && self.has_string(strings + name_at, name) {
                return Some(id);
            }
            at += 12 + trailing_bytes(info)?;
            id += 1;
        }
        None
    }

    fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(self.0.get(at..at + 4)?.try_into().ok()?))
    }

    fn has_string(&self, at: usize, text: &str) -> bool {
        self.0.get(at..).is_some_and(|s| s.starts_with(text.as_bytes()) && s.get(text.len()) == Some(&0))
    }
}

/// What follows a type's twelve bytes, by its `info` word.
fn trailing_bytes(info: u32) -> Option<usize> {
    let members = (info & 0xffff) as usize;
    Some(match info >> 24 & 0x1f {
        1 | 14 | 17 => 4,
        2 | 7..=12 | 16 | 18 => 0,
        3 => 12,
        4 | 5 | 15 | 19 => members * 12,
        6 | 13 => members * 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_found_behind_larger_ones() {
        let strings = b"\0one\0two\0";
        let types: Vec<u32> = [
            vec![1, 4 << 24 | 2, 8, 0, 0, 0, 0, 0, 32], // struct of two members
            vec![5, TYPEDEF << 24, 1],
            vec![5, FUNC << 24, 1],
        ]
        .concat();
        let mut bytes: Vec<u8> = [0xeb9f_u32 | 1 << 16, 24, 0, 60, 60, strings.len() as u32]
            .iter()
            .chain(&types)
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        bytes.extend(strings);
        let btf = Btf(bytes);
        assert_eq!(btf.find(FUNC, "two"), Some(3));
        assert_eq!(btf.find(TYPEDEF, "two"), Some(2));
        assert_eq!(btf.find(FUNC, "one"), None);
    }
}
