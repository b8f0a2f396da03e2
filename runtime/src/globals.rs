//! The script's arrays and statistics, wherever they lie: in a map, in user space, or one half in each.
//!
//! A user handler sees one moment: what it reads of a map stays the same until it ends or changes the array itself.
//! Plain scalars lie in the state block, which generated code reaches by itself.

use crate::map;
use crate::sys::bpf::Map;
use crate::sys::process::{Clock, now};
use crate::table::Table;
use crate::walk::Slice;
use std::io;
use std::rc::Rc;
use tapster_compiler::image::{Array, Image, MapRole, Storage, Value};
use tapster_runtime_ebpf::aggregate::Layout;
use tapster_runtime_ebpf::record::Fault;

/// All globals, by their number in the image.
#[derive(Debug)]
pub struct Globals {
    maps: Vec<Map>,
    all: Vec<Global>,
    /// The map of the scalar statistics, and what was read of it in this handler.
    scalars: Option<usize>,
    scalars_read: Option<Vec<u8>>,
    /// The kernel's answer to a single lookup.
    answer: Vec<u8>,
    merged: Vec<u8>,
    failures: Failures,
}

/// System calls on maps that failed for no reason the language knows.
#[derive(Debug, Default)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// The last one.
    pub last: Option<io::Error>,
}

#[derive(Debug)]
enum Global {
    /// In the code or in the state block.
    Plain,
    Statistic(Statistic),
    Array(Elements),
}

#[derive(Debug)]
struct Statistic {
    offset: u32,
    layout: Layout,
    in_kernel: bool,
    /// What user handlers added.
    added: Vec<u8>,
}

#[derive(Debug)]
struct Elements {
    array: Array,
    /// All elements where the kernel has none; of a statistic in a map, what user handlers added.
    own: Rc<Table>,
    /// The map and the own part as one, where a walk has asked for it.
    snapshot: Option<Rc<Table>>,
}

impl Failures {
    fn note<T: Default>(&mut self, result: io::Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.count += 1;
            self.last = Some(error);
            T::default()
        })
    }
}

impl Globals {
    /// The globals of an image, and the maps they may lie in.
    pub fn new(image: &Image, maps: Vec<Map>) -> Globals {
        let all = image.globals.iter().map(|global| match &global.storage {
            Storage::Constant | Storage::Long { .. } | Storage::Text { .. } => Global::Plain,
            Storage::ScalarAggregate { offset, layout, in_kernel } => Global::Statistic(Statistic {
                offset: *offset,
                layout: *layout,
                in_kernel: *in_kernel,
                added: vec![0; layout.size() as usize],
            }),
            Storage::Array(array) => Global::Array(Elements {
                own: Rc::new(Table::new(array.key_size as usize, array.value.size() as usize)),
                array: array.clone(),
                snapshot: None,
            }),
        });
        Globals {
            all: all.collect(),
            scalars: image.maps.iter().position(|map| map.role == MapRole::ScalarAggregates),
            scalars_read: None,
            maps,
            answer: Vec::new(),
            merged: Vec::new(),
            failures: Failures::default(),
        }
    }

    /// The maps, in the image's order.
    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// What went wrong.
    pub fn failures(&self) -> &Failures {
        &self.failures
    }

    /// A handler starts: it sees the maps as they are now.
    pub fn look_again(&mut self) {
        self.scalars_read = None;
        for global in &mut self.all {
            if let Global::Array(elements) = global {
                elements.snapshot = None;
            }
        }
    }

    /// The layout of an array.
    #[inline]
    pub fn array(&self, global: usize) -> Option<&Array> {
        match self.all.get(global)? {
            Global::Array(elements) => Some(&elements.array),
            _ => None,
        }
    }

    /// The layout of a statistic, scalar or array.
    pub fn layout(&self, global: usize) -> Option<Layout> {
        match self.all.get(global)? {
            Global::Statistic(statistic) => Some(statistic.layout),
            Global::Array(Elements { array: Array { value: Value::Aggregate(layout), .. }, .. }) => Some(*layout),
            _ => None,
        }
    }

    /// All elements of an array as they are now.
    pub fn elements(&mut self, global: usize) -> Option<Rc<Table>> {
        let Some(Global::Array(elements)) = self.all.get_mut(global) else { return None };
        let Some(map) = elements.array.map else { return Some(Rc::clone(&elements.own)) };
        if elements.snapshot.is_none() {
            let snapshot = map::snapshot(&self.maps[map], &elements.array, &elements.own);
            let mut table = snapshot.unwrap_or_else(|error| {
                self.failures.note::<()>(Err(error));
                elements.own.emptied()
            });
            if let Value::Aggregate(_) = elements.array.value {
                for row in elements.own.live_rows() {
                    if table.find(elements.own.key(row)).is_none() {
                        let to = table.push(elements.own.key(row));
                        table.value_mut(to).copy_from_slice(elements.own.value(row));
                    }
                }
            }
            elements.snapshot = Some(Rc::new(table));
        }
        elements.snapshot.clone()
    }

    /// Leaves the order of a walk behind. What lies in a map keeps it until it is read again.
    pub fn reorder(&mut self, global: usize, rows: Vec<u32>) {
        let Some(Global::Array(elements)) = self.all.get_mut(global) else { return };
        let table = match (&mut elements.snapshot, elements.array.map) {
            (Some(snapshot), Some(_)) => snapshot,
            _ => &mut elements.own,
        };
        Rc::make_mut(table).reorder(rows);
    }

    /// An element's value: of statistics what all CPUs and user handlers added. `None` where there is no element.
    pub fn element(&mut self, global: usize, key: &[u8]) -> Option<&[u8]> {
        let Some(Global::Array(elements)) = self.all.get(global) else { return None };
        let table = match (&elements.snapshot, elements.array.map) {
            (Some(snapshot), _) => snapshot,
            (None, None) => &elements.own,
            (None, Some(map)) => {
                let map = &self.maps[map];
                self.answer.resize(map.value_size(), 0);
                let in_map = self.failures.note(map.lookup(key, &mut self.answer));
                let own = elements.own.find(key).map(|row| elements.own.value(row));
                if !in_map {
                    return own;
                }
                self.merged.clear();
                self.merged.resize(elements.array.value.size() as usize, 0);
                map::merge(elements.array.value, map.stride(), &self.answer, own, &mut self.merged);
                return Some(&self.merged);
            }
        };
        table.find(key).map(|row| table.value(row))
    }

    /// Whether any element's key is in a slice.
    pub fn has_slice(&mut self, global: usize, slice: Slice<'_>) -> bool {
        let Some((table, array)) = self.elements(global).zip(self.array(global)) else { return false };
        table.live_rows().any(|row| slice.has(&array.key, table.key(row)))
    }

    /// Deletes all elements whose keys are in a slice.
    pub fn delete_slice(&mut self, global: usize, slice: Slice<'_>) {
        let Some((table, array)) = self.elements(global).zip(self.array(global)) else { return };
        let rows: Vec<u32> = table.live_rows().filter(|row| slice.has(&array.key, table.key(*row))).collect();
        rows.into_iter().for_each(|row| self.delete(global, Some(table.key(row))));
    }

    /// Sets an element. Gives a fault where the array is full. In the kernel an array that wraps is a map that makes room
    /// by itself (`BPF_MAP_TYPE_LRU_HASH`), and any of its elements may be gone the next time.
    pub fn set(&mut self, global: usize, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let Some(Global::Array(elements)) = self.all.get_mut(global) else { return Ok(()) };
        let Some(map) = elements.array.map else {
            let row = elements.own_row(key)?;
            Rc::make_mut(&mut elements.own).value_mut(row).copy_from_slice(value);
            return Ok(());
        };
        elements.snapshot = None;
        let map = &self.maps[map];
        self.merged.clear();
        self.merged.extend_from_slice(value);
        if elements.array.ordered {
            self.answer.resize(map.value_size(), 0);
            let stamp = match self.failures.note(map.lookup(key, &mut self.answer)) {
                true => map::stamp(elements.array.value, &self.answer),
                false => now(Clock::Monotonic),
            };
            self.merged.extend_from_slice(&stamp.to_ne_bytes());
        }
        match map.update(key, &self.merged, 0) {
            Err(error) if error.raw_os_error() == Some(libc::E2BIG) => Err(Fault::ArrayOverflow),
            result => {
                self.failures.note(result);
                Ok(())
            }
        }
    }

    /// Adds a value to a statistic; without a key to a scalar one. Gives a fault where the array is full.
    pub fn add(&mut self, global: usize, key: Option<&[u8]>, value: i64) -> Result<(), Fault> {
        match (self.all.get_mut(global), key) {
            (Some(Global::Statistic(statistic)), None) => statistic.layout.add(&mut statistic.added, value),
            (Some(Global::Array(elements)), Some(key)) => {
                let Value::Aggregate(layout) = elements.array.value else { return Ok(()) };
                elements.snapshot = None;
                let row = elements.own_row(key)?;
                layout.add(Rc::make_mut(&mut elements.own).value_mut(row), value);
            }
            _ => {}
        }
        Ok(())
    }

    /// A statistic's value; without a key that of a scalar one. `None` where an array has no such element.
    pub fn statistic(&mut self, global: usize, key: Option<&[u8]>) -> Option<&[u8]> {
        if let Some(key) = key {
            return self.element(global, key);
        }
        let Some(Global::Statistic(statistic)) = self.all.get(global) else { return None };
        let (true, Some(map)) = (statistic.in_kernel, self.scalars) else { return Some(&statistic.added) };
        let map = &self.maps[map];
        let cpus = self.scalars_read.get_or_insert_with(|| {
            let mut cpus = vec![0; map.value_size()];
            self.failures.note(map.lookup(&0u32.to_ne_bytes(), &mut cpus));
            cpus
        });
        let (from, size) = (statistic.offset as usize, statistic.layout.size() as usize);
        let cpus = cpus.chunks_exact(map.stride()).map(|cpu| &cpu[from..from + size]);
        self.merged.clear();
        self.merged.resize(size, 0);
        statistic.layout.merge(&mut self.merged, cpus.chain([&statistic.added[..]]));
        Some(&self.merged)
    }

    /// Deletes an element; without a key all of them, or what a scalar statistic holds.
    pub fn delete(&mut self, global: usize, key: Option<&[u8]>) {
        match self.all.get_mut(global) {
            Some(Global::Array(elements)) => {
                elements.snapshot = None;
                let map = elements.array.map.map(|map| &self.maps[map]);
                let deleted = match (map, key) {
                    (Some(map), Some(key)) => map.delete(key).map(drop),
                    (Some(map), None) => map::clear(map),
                    (None, _) => Ok(()),
                };
                self.failures.note(deleted);
                match key {
                    Some(key) if elements.own.find(key).is_none() => {}
                    Some(key) => drop(Rc::make_mut(&mut elements.own).remove(key)),
                    None => elements.own = Rc::new(elements.own.emptied()),
                }
            }
            Some(Global::Statistic(_)) => self.reset(global),
            _ => {}
        }
    }

    /// Empties a scalar statistic. What kernel handlers add to any scalar statistic in these microseconds is lost: the
    /// kernel only takes back the whole value.
    fn reset(&mut self, global: usize) {
        let Some(Global::Statistic(statistic)) = self.all.get_mut(global) else { return };
        statistic.added.fill(0);
        self.scalars_read = None;
        let (true, Some(map)) = (statistic.in_kernel, self.scalars) else { return };
        let map = &self.maps[map];
        let (key, from, size) = (0u32.to_ne_bytes(), statistic.offset as usize, statistic.layout.size() as usize);
        let mut cpus = vec![0; map.value_size()];
        if self.failures.note(map.lookup(&key, &mut cpus)) {
            cpus.chunks_exact_mut(map.stride()).for_each(|cpu| cpu[from..from + size].fill(0));
            self.failures.note(map.update(&key, &cpus, 0));
        }
    }
}

impl Elements {
    /// The own row of a key, made where there is room.
    fn own_row(&mut self, key: &[u8]) -> Result<u32, Fault> {
        if let Some(row) = self.own.find(key) {
            return Ok(row);
        }
        if self.own.len() >= self.array.max_entries as usize {
            if !self.array.wrap {
                return Err(Fault::ArrayOverflow);
            }
            Rc::make_mut(&mut self.own).remove_first();
        }
        Ok(Rc::make_mut(&mut self.own).push(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapster_compiler::image;
    use tapster_runtime_ebpf::aggregate::{Histogram, Parts, read};

    fn image(value: Value, max_entries: u32, wrap: bool) -> Image {
        let key = vec![image::KeyPart { offset: 0, kind: image::KeyKind::Long }];
        let array = Array { map: None, key, key_size: 8, value, max_entries, sized: false, wrap, ordered: false };
        let global = image::Global { name: "a".into(), storage: Storage::Array(array) };
        Image { globals: vec![global], ..Image::default() }
    }

    fn number(n: i64) -> [u8; 8] {
        n.to_le_bytes()
    }

    #[test]
    fn an_array_of_user_space_takes_its_limit_and_no_more() {
        let mut globals = Globals::new(&image(Value::Long, 2, false), Vec::new());
        assert_eq!(globals.set(0, &number(1), &number(10)), Ok(()));
        assert_eq!(globals.set(0, &number(2), &number(20)), Ok(()));
        assert_eq!(globals.set(0, &number(3), &number(30)), Err(Fault::ArrayOverflow));
        assert_eq!(globals.set(0, &number(2), &number(21)), Ok(()));
        assert_eq!(globals.element(0, &number(2)), Some(&number(21)[..]));
        assert_eq!(globals.element(0, &number(3)), None);
        globals.delete(0, Some(&number(1)));
        assert_eq!(globals.set(0, &number(3), &number(30)), Ok(()));
        globals.delete(0, None);
        assert_eq!(globals.element(0, &number(3)), None);
    }

    #[test]
    fn a_walk_keeps_what_it_saw_while_the_array_changes() {
        let mut globals = Globals::new(&image(Value::Long, 100, false), Vec::new());
        for n in 0..50 {
            globals.set(0, &number(n), &number(n)).expect("there is room");
        }
        let walked = globals.elements(0).expect("an array");
        for row in walked.live_rows() {
            globals.delete(0, Some(walked.key(row)));
            assert_eq!(walked.value(row), walked.key(row));
        }
        assert_eq!((walked.len(), globals.elements(0).expect("an array").len()), (50, 0));
    }

    #[test]
    fn statistics_of_user_space_add_up() {
        let parts = Parts { count: true, sum: true, min: false, max: true, variance: None };
        let layout = Layout { parts, histogram: Histogram::None };
        let mut globals = Globals::new(&image(Value::Aggregate(layout), 2, false), Vec::new());
        for value in [3, 5] {
            globals.add(0, Some(&number(1)), value).expect("there is room");
        }
        let value = globals.statistic(0, Some(&number(1))).expect("was added to");
        assert_eq!([layout.count(), layout.sum(), layout.max()].map(|at| read(value, at)), [2, 8, 5]);
        assert_eq!(globals.statistic(0, Some(&number(2))), None);
    }

    /// `w%` with MAXMAPENTRIES=4 of the golden run g32: ten elements set, `6 7 8 9` left.
    #[test]
    fn an_array_that_wraps_drops_its_oldest_element() {
        let mut globals = Globals::new(&image(Value::Long, 4, true), Vec::new());
        for n in 0..10 {
            assert_eq!(globals.set(0, &number(n), &number(n)), Ok(()));
            assert_eq!(globals.set(0, &number(n), &number(n)), Ok(()), "an element that is there drops none");
        }
        let left = globals.elements(0).expect("an array");
        assert_eq!(left.live_rows().map(|row| left.key(row)[0]).collect::<Vec<u8>>(), [6, 7, 8, 9]);
    }

    #[test]
    fn a_slice_is_found_and_deleted() {
        let part = |offset| image::KeyPart { offset, kind: image::KeyKind::Long };
        let mut image = image(Value::Long, 9, false);
        let Storage::Array(array) = &mut image.globals[0].storage else { unreachable!("it is an array") };
        (array.key, array.key_size) = (vec![part(0), part(8)], 16);
        let mut globals = Globals::new(&image, Vec::new());
        let key = |a, b| [number(a), number(b)].concat();
        for (a, b) in [(1, 1), (1, 2), (2, 1)] {
            globals.set(0, &key(a, b), &number(0)).expect("there is room");
        }
        let (one, three) = (key(1, 0), key(3, 1));
        assert!(globals.has_slice(0, Slice { key: &three, mask: 0b10 }));
        assert!(!globals.has_slice(0, Slice { key: &three, mask: 0b01 }));
        globals.delete_slice(0, Slice { key: &one, mask: 0b01 });
        let left = globals.elements(0).expect("an array");
        assert_eq!(left.live_rows().map(|row| left.key(row).to_vec()).collect::<Vec<_>>(), [key(2, 1)]);
    }
}
