//! Elements of an array in user space: keys and values in two flat buffers, in order of insertion.
//!
//! It serves arrays that the kernel does not know, what user handlers add to those it does, and snapshots of maps. The
//! index is built when the first key is looked up: a walk needs none.

use std::cell::{Cell, OnceCell};
use tapster_runtime_ebpf::intern;

/// Elements of one key size and one value size.
#[derive(Clone, Debug)]
pub struct Table {
    key_size: usize,
    value_size: usize,
    keys: Vec<u8>,
    values: Vec<u8>,
    /// By row; shorter than the rows where no later one is dead.
    dead: Vec<bool>,
    live: usize,
    index: OnceCell<Index>,
    /// The row that a walk stands at, and that its body will most likely ask for.
    hint: Cell<u32>,
}

impl Table {
    /// No elements.
    pub fn new(key_size: usize, value_size: usize) -> Table {
        assert!(key_size > 0 && value_size > 0, "elements have a key and a value");
        Table {
            key_size,
            value_size,
            keys: Vec::new(),
            values: Vec::new(),
            dead: Vec::new(),
            live: 0,
            index: OnceCell::new(),
            hint: Cell::new(0),
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    fn rows(&self) -> usize {
        self.keys.len() / self.key_size
    }

    fn is_dead(&self, row: u32) -> bool {
        self.dead.get(row as usize).copied().unwrap_or(false)
    }

    /// The rows of all elements, oldest first.
    pub fn live_rows(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.rows() as u32).filter(|row| !self.is_dead(*row))
    }

    /// The key in a row.
    pub fn key(&self, row: u32) -> &[u8] {
        let at = row as usize * self.key_size;
        &self.keys[at..at + self.key_size]
    }

    /// The value in a row.
    pub fn value(&self, row: u32) -> &[u8] {
        let at = row as usize * self.value_size;
        &self.values[at..at + self.value_size]
    }

    /// The value in a row, to be changed.
    pub fn value_mut(&mut self, row: u32) -> &mut [u8] {
        let at = row as usize * self.value_size;
        &mut self.values[at..at + self.value_size]
    }

    /// Says which row will probably be looked up next.
    pub fn expect(&self, row: u32) {
        self.hint.set(row);
    }

    /// The row of a key.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        let hint = self.hint.get();
        if (hint as usize) < self.rows() && self.key(hint) == key && !self.is_dead(hint) {
            return Some(hint);
        }
        self.index.get_or_init(|| Index::of(self)).find(self, key)
    }

    /// Appends an element whose key is not there yet; the value is zero.
    pub fn push(&mut self, key: &[u8]) -> u32 {
        assert_eq!(key.len(), self.key_size, "keys have the table's size");
        let row = self.rows() as u32;
        self.keys.extend_from_slice(key);
        self.values.resize(self.values.len() + self.value_size, 0);
        self.live += 1;
        if let Some(index) = self.index.get_mut() {
            index.insert(hash(key), row);
            if index.is_crowded() {
                self.index = OnceCell::new();
            }
        }
        row
    }

    /// The row of a key, which is appended with a zero value where it is missing.
    pub fn find_or_push(&mut self, key: &[u8]) -> u32 {
        self.find(key).unwrap_or_else(|| self.push(key))
    }

    /// Removes an element; gives whether there was one.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let Some(row) = self.find(key) else { return false };
        if self.dead.len() <= row as usize {
            self.dead.resize(row as usize + 1, false);
        }
        self.dead[row as usize] = true;
        self.live -= 1;
        // Rows that nobody needs cost memory and time: half of them is when to clear up.
        if self.rows() > 2 * self.live + 16 {
            self.compact();
        }
        true
    }

    fn compact(&mut self) {
        let mut kept = 0;
        for row in 0..self.rows() {
            if !self.is_dead(row as u32) {
                self.keys.copy_within(row * self.key_size..(row + 1) * self.key_size, kept * self.key_size);
                self.values.copy_within(row * self.value_size..(row + 1) * self.value_size, kept * self.value_size);
                kept += 1;
            }
        }
        self.keys.truncate(kept * self.key_size);
        self.values.truncate(kept * self.value_size);
        self.dead.clear();
        self.index = OnceCell::new();
    }

    /// A table of the same sizes without elements.
    pub fn emptied(&self) -> Table {
        Table::new(self.key_size, self.value_size)
    }
}

/// Rows by the hash of their key: open addressing, linear probing. Slots of dead rows stay until the next rebuild.
#[derive(Clone, Debug)]
struct Index {
    slots: Vec<u32>,
    used: usize,
}

const EMPTY: u32 = u32::MAX;

impl Index {
    fn of(table: &Table) -> Index {
        let slots = (table.live.max(8) * 3).next_power_of_two();
        let mut index = Index { slots: vec![EMPTY; slots], used: 0 };
        for row in table.live_rows() {
            index.insert(hash(table.key(row)), row);
        }
        index
    }

    fn insert(&mut self, hash: u64, row: u32) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = row;
        self.used += 1;
    }

    fn is_crowded(&self) -> bool {
        self.used * 4 > self.slots.len() * 3
    }

    fn find(&self, table: &Table, key: &[u8]) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = hash(key) as usize & mask;
        loop {
            match self.slots[at] {
                EMPTY => return None,
                row if table.key(row) == key && !table.is_dead(row) => return Some(row),
                _ => at = (at + 1) & mask,
            }
        }
    }
}

fn hash(key: &[u8]) -> u64 {
    let (words, rest) = key.as_chunks::<8>();
    let hash = words.iter().fold(intern::SEED, |hash, word| intern::step(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| intern::step(hash, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u64) -> [u8; 8] {
        n.to_le_bytes()
    }

    #[test]
    fn elements_are_found_and_keep_their_order() {
        let mut table = Table::new(8, 8);
        for n in (0..1000).rev() {
            let row = table.find_or_push(&number(n));
            table.value_mut(row).copy_from_slice(&number(n * 2));
        }
        assert_eq!(table.len(), 1000);
        for n in 0..1000 {
            let row = table.find(&number(n)).expect("was pushed");
            assert_eq!(table.value(row), number(n * 2));
        }
        assert_eq!(table.find(&number(1000)), None);
        assert_eq!(table.live_rows().next().map(|row| table.key(row).to_vec()), Some(number(999).to_vec()));
    }

    #[test]
    fn an_element_removed_and_set_again_is_the_youngest() {
        let mut table = Table::new(8, 8);
        for n in 0..100 {
            table.push(&number(n));
        }
        assert!(table.remove(&number(7)) && !table.remove(&number(7)));
        assert_eq!((table.len(), table.find(&number(7))), (99, None));
        table.find_or_push(&number(7));
        assert_eq!(table.live_rows().last().map(|row| table.key(row)[0]), Some(7));
        for n in 0..90 {
            table.remove(&number(n));
        }
        let left: Vec<u8> = table.live_rows().map(|row| table.key(row)[0]).collect();
        assert_eq!(left, (90..100).collect::<Vec<u8>>());
        assert!((90..100).all(|n| table.find(&number(n)).is_some()));
    }

    #[test]
    fn a_walk_needs_no_index() {
        let mut table = Table::new(8, 8);
        table.push(&number(1));
        table.push(&number(2));
        table.expect(1);
        assert_eq!(table.find(&number(2)), Some(1));
        assert!(table.index.get().is_none());
        assert_eq!(table.find(&number(1)), Some(0));
    }
}
