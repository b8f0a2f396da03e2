//! What kernel handlers only read: literals, formats, tables of regular expressions. Each is there once.

use std::cell::RefCell;
use std::collections::HashMap;
use tapster_runtime_ebpf::constants::FIRST;

/// The constants so far. Handlers add to them while they are lowered, in any order.
#[derive(Debug, Default)]
pub struct Constants {
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: Vec<u8>,
    places: HashMap<Vec<u8>, u32>,
}

impl Constants {
    /// The place of NUL-terminated bytes.
    pub fn text(&self, text: &[u8]) -> u32 {
        let mut bytes = text.to_vec();
        bytes.push(0);
        self.place(&bytes)
    }

    /// The place of bytes: a multiple of 8, with zeros behind them up to the next.
    pub fn place(&self, bytes: &[u8]) -> u32 {
        let Inner { bytes: all, places } = &mut *self.inner.borrow_mut();
        if let Some(place) = places.get(bytes) {
            return *place;
        }
        all.resize(all.len().max(FIRST as usize), 0);
        let place = all.len() as u32;
        all.extend_from_slice(bytes);
        all.resize(all.len().next_multiple_of(8), 0);
        places.insert(bytes.to_vec(), place);
        place
    }

    /// The place of the number of possible CPUs.
    pub fn cpus(&self) -> u32 {
        let all = &mut self.inner.borrow_mut().bytes;
        all.resize(all.len().max(FIRST as usize), 0);
        tapster_runtime_ebpf::constants::CPUS
    }

    /// All of them; none where no handler needs any.
    pub fn into_bytes(self) -> Vec<u8> {
        self.inner.into_inner().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_has_one_place() {
        let constants = Constants::default();
        let places = [constants.text(b"a"), constants.text(b"a much longer one"), constants.text(b"a")];
        assert_eq!(places, [FIRST, FIRST + 8, FIRST]);
        let bytes = constants.into_bytes();
        assert_eq!(bytes.len() as u32, FIRST + 8 + 24);
        assert_eq!(bytes[FIRST as usize..][..8], *b"a\0\0\0\0\0\0\0");
    }

    #[test]
    fn no_constants_take_no_map() {
        assert!(Constants::default().into_bytes().is_empty());
    }
}
