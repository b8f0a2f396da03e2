//! Elements of an array in user space: keys and values in two flat buffers, in order of insertion.
//!
//! It serves arrays that the kernel does not know, what user handlers add to those it does, and snapshots of maps. The
//! index is built when the first key is looked up: a walk needs none. A sorted walk leaves its order behind.

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
    /// Rows in the order of walks, where that is not their own; those left out are dead.
    order: Option<Vec<u32>>,
    /// How many rows at the front of that order are dead for sure.
    gone: usize,
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
            order: None,
            gone: 0,
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

    #[inline]
    fn rows(&self) -> usize {
        self.keys.len() / self.key_size
    }

    #[inline]
    fn is_dead(&self, row: u32) -> bool {
        self.dead.get(row as usize).copied().unwrap_or(false)
    }

    /// The rows of all elements: oldest first, or as the last sorted walk has left them and younger ones behind.
    pub fn live_rows(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.listed().map(|(_, row)| row)
    }

    /// The same as a list.
    pub fn listed_rows(&self) -> Vec<u32> {
        match self.order {
            None if self.dead.is_empty() => (0..self.rows() as u32).collect(),
            _ => self.live_rows().collect(),
        }
    }

    /// Those rows with their places in the order of walks.
    fn listed(&self) -> impl DoubleEndedIterator<Item = (usize, u32)> + '_ {
        let all = self.order.as_ref().map_or(self.rows(), Vec::len);
        let row = |at: usize| self.order.as_ref().map_or(at as u32, |order| order[at]);
        (self.gone..all).map(move |at| (at, row(at))).filter(|(_, row)| !self.is_dead(*row))
    }

    /// Makes this the order of walks; `rows` are those of all elements.
    pub fn reorder(&mut self, rows: Vec<u32>) {
        debug_assert_eq!(rows.len(), self.live, "an order has all elements");
        self.order = Some(rows);
        self.gone = 0;
    }

    /// The key in a row.
    #[inline]
    pub fn key(&self, row: u32) -> &[u8] {
        let at = row as usize * self.key_size;
        &self.keys[at..at + self.key_size]
    }

    #[inline]
    fn key_of(&self, row: u32) -> Option<&[u8]> {
        self.keys.get(row as usize * self.key_size..)?.get(..self.key_size)
    }

    /// The value in a row.
    #[inline]
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
    #[inline]
    pub fn expect(&self, row: u32) {
        self.hint.set(row);
    }

    /// The row of a key.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        let hint = self.hint.get();
        if self.key_of(hint).is_some_and(|there| same(there, key)) && !self.is_dead(hint) {
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
        if let Some(order) = &mut self.order {
            order.push(row);
        }
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
        let row = self.find(key);
        row.into_iter().for_each(|row| self.remove_row(row));
        row.is_some()
    }

    /// Removes the element that a walk would visit first.
    pub fn remove_first(&mut self) {
        let Some((at, row)) = self.listed().next() else { return };
        self.gone = at + 1;
        self.remove_row(row);
    }

    fn remove_row(&mut self, row: u32) {
        if self.dead.len() <= row as usize {
            self.dead.resize(row as usize + 1, false);
        }
        self.dead[row as usize] = true;
        self.live -= 1;
        // Rows that nobody needs cost memory and time: half of them is when to clear up.
        if self.rows() > 2 * self.live + 16 {
            self.compact();
        }
    }

    /// Writes all elements anew, in the order of walks.
    fn compact(&mut self) {
        let mut table = self.emptied();
        for row in self.live_rows() {
            let to = table.push(self.key(row));
            table.value_mut(to).copy_from_slice(self.value(row));
        }
        *self = table;
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
                row if same(table.key(row), key) && !table.is_dead(row) => return Some(row),
                _ => at = (at + 1) & mask,
            }
        }
    }
}

/// Whether two keys of one size are the same. A number is compared as one: a call to compare memory takes longer.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    match (a.as_array::<8>(), b.as_array::<8>()) {
        (Some(a), Some(b)) => u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b),
        _ => a == b,
    }
}

#[inline]
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
    fn an_order_stays_and_younger_elements_stand_behind_it() {
        let mut table = Table::new(8, 8);
        for n in 0..4 {
            table.push(&number(n));
        }
        let keys = |table: &Table| table.live_rows().map(|row| table.key(row)[0]).collect::<Vec<u8>>();
        table.reorder(vec![2, 0, 3, 1]);
        table.remove(&number(0));
        table.push(&number(0));
        assert_eq!(keys(&table), [2, 3, 1, 0]);
        table.remove_first();
        assert_eq!(keys(&table), [3, 1, 0]);
        assert!(table.find(&number(2)).is_none() && table.find(&number(0)).is_some());
        for n in 4..100 {
            table.push(&number(n));
            table.remove_first();
        }
        assert_eq!(keys(&table), [97, 98, 99]);
        assert!(table.rows() < 50, "dead rows go");
        (0..4).for_each(|_| table.remove_first());
        assert!(table.is_empty());
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
