//! A run without a kernel, and what its parts do together.

use super::*;
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use tapster_compiler::host::{Extractor, SortBy};
use tapster_compiler::image::{Array, Global, KeyKind, KeyPart, Storage, Value};
use tapster_runtime_ebpf::aggregate::{Histogram, Layout, Parts};
use tapster_runtime_ebpf::record::Fault;

pub(crate) const ALL: Parts = Parts { count: true, sum: true, min: true, max: true, variance: Some(0) };

impl Run {
    /// Whether generated code sees an error on its way, and which it is.
    pub(crate) fn pending_for_tests(&self) -> (i64, Option<Raised>) {
        (self.header.pending, self.pending.clone())
    }
}

/// Output that a test can read.
#[derive(Clone, Default)]
pub(crate) struct Shown(Rc<RefCell<Vec<u8>>>);

impl Shown {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An array of user space with one number as its key.
pub(crate) fn array(name: &str, value: Value, max_entries: u32) -> Global {
    let key = vec![KeyPart { offset: 0, kind: KeyKind::Long }];
    let array = Array { map: None, key, key_size: 8, value, max_entries, sized: false, wrap: false, ordered: false };
    Global { name: name.into(), storage: Storage::Array(array) }
}

/// A run without kernel handlers, which needs no privilege.
pub(crate) fn run(image: Image) -> (Box<Run>, Shown) {
    let (run, out, _) = run_showing(image);
    (run, out)
}

/// The same, with what it says on standard error.
pub(crate) fn run_showing(image: Image) -> (Box<Run>, Shown, Shown) {
    let (out, err) = (Shown::default(), Shown::default());
    let loaded = crate::load::load(&image).expect("nothing to load");
    let signals = Signals::collect().expect("can be had");
    let output = Output::new(Box::new(out.clone()), Box::new(err.clone()));
    (Run::new(image, loaded, output, signals).0, out, err)
}

fn statistic(histogram: Histogram) -> Image {
    let layout = Layout { parts: ALL, histogram };
    let storage = Storage::ScalarAggregate { offset: 0, layout, in_kernel: false };
    Image { globals: vec![Global { name: "s".into(), storage }], ..Image::default() }
}

#[test]
fn a_scalar_statistic_is_read_reset_and_drawn() {
    let (mut run, shown) = run(statistic(Histogram::Log));
    assert_eq!(run.print_histogram(0, None), Err(Fault::EmptyAggregate));
    assert_eq!(run.aggregate_read(0, None, Extractor::Sum), Ok(0));
    assert_eq!(run.aggregate_read(0, None, Extractor::Min), Err(Fault::EmptyAggregate));
    for value in [4, 6] {
        run.globals.add(0, None, value).expect("a scalar is never full");
    }
    assert_eq!(run.aggregate_read(0, None, Extractor::Avg), Ok(5));
    assert_eq!(run.print_histogram(0, None), Ok(()));
    run.output.flush();
    assert!(shown.text().contains("\n    4 |@@  "), "{}", shown.text());
    run.globals.delete(0, None);
    assert_eq!(run.aggregate_read(0, None, Extractor::Count), Ok(0));
}

#[test]
fn walks_nest_and_their_handles_are_used_again() {
    let (mut run, _) = run(Image { globals: vec![array("a", Value::Long, 9)], ..Image::default() });
    for n in 0..3i64 {
        run.globals.set(0, &n.to_ne_bytes(), &n.to_ne_bytes()).expect("there is room");
    }
    let sort = Sort { by: SortBy::Key(0), descending: true };
    let mut seen = Vec::new();
    let outer = run.walk_begin(0, None, sort, None);
    while let Some(key) = run.walk_next(outer).map(|key| key[0]) {
        let inner = run.walk_begin(0, None, sort, Some(1));
        assert_ne!(inner, outer);
        while let Some(other) = run.walk_next(inner).map(|key| key[0]) {
            seen.push((key, other));
        }
        run.walk_end(inner);
    }
    run.walk_end(outer);
    assert_eq!(seen, [(2, 2), (1, 2), (0, 2)]);
    assert_eq!(run.walk_begin(0, None, sort, None), outer);
}

#[test]
fn patience_ends_walks_and_prints_with_the_second_signal() {
    let (mut run, _) = run(Image { globals: vec![array("a", Value::Long, 9)], ..Image::default() });
    run.globals.set(0, &[0; 8], &[0; 8]).expect("there is room");
    let sort = Sort { by: SortBy::Unsorted, descending: false };
    let walk = |run: &mut Run| {
        let walk = run.walk_begin(0, None, sort, None);
        run.walk_next(walk).is_some()
    };
    run.interrupts = 2;
    assert!(walk(&mut run), "before the end any number only ends the session");
    run.lose_patience();
    assert!(!walk(&mut run));
    run.interrupts = 1;
    assert!(walk(&mut run), "one signal lets end handlers finish");
}

/// The golden run g25: `a[i * 7 % 5, "s" . i]` for 0..6, walked in turn.
#[test]
fn walks_leave_their_order_behind() {
    let mut global = array("a", Value::Long, 100);
    let Storage::Array(a) = &mut global.storage else { unreachable!("it is an array") };
    (a.key, a.key_size) =
        (vec![KeyPart { offset: 0, kind: KeyKind::Long }, KeyPart { offset: 8, kind: KeyKind::Text(8) }], 16);
    let (mut run, _) = run(Image { globals: vec![global], ..Image::default() });
    let key = |x: i64, y: &str| {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&x.to_ne_bytes());
        key[8..8 + y.len()].copy_from_slice(y.as_bytes());
        key
    };
    let set = |run: &mut Run, x, y: &str, value: i64| {
        run.globals.set(0, &key(x, y), &value.to_ne_bytes()).expect("there is room");
    };
    let walked = |run: &mut Run, by, descending| {
        let walk = run.walk_begin(0, None, Sort { by, descending }, None);
        let mut text = String::new();
        while let Some(key) = run.walk_next(walk) {
            let name: String = key[8..].iter().take_while(|b| **b != 0).map(|b| char::from(*b)).collect();
            text += &format!("{}/{name} ", key[0]);
        }
        run.walk_end(walk);
        text
    };
    (0..6).for_each(|i| set(&mut run, i * 7 % 5, &format!("s{i}"), i));
    let (value, first) = (SortBy::Value(Extractor::Count), SortBy::Key(0));
    assert_eq!(walked(&mut run, SortBy::Unsorted, false), "0/s0 2/s1 4/s2 1/s3 3/s4 0/s5 ");
    assert_eq!(walked(&mut run, first, false), "0/s0 0/s5 1/s3 2/s1 3/s4 4/s2 ");
    assert_eq!(walked(&mut run, first, true), "4/s2 3/s4 2/s1 1/s3 0/s0 0/s5 ");
    assert_eq!(walked(&mut run, value, false), "0/s0 2/s1 4/s2 1/s3 3/s4 0/s5 ");
    set(&mut run, 0, "s0", 99);
    run.globals.delete(0, Some(&key(1, "s3")));
    set(&mut run, 50, "new", 1);
    set(&mut run, 51, "new2", 1);
    assert_eq!(walked(&mut run, SortBy::Unsorted, false), "0/s0 2/s1 4/s2 3/s4 0/s5 50/new 51/new2 ");
    assert_eq!(walked(&mut run, value, true), "0/s0 0/s5 3/s4 4/s2 2/s1 50/new 51/new2 ");
    assert_eq!(walked(&mut run, value, false), "2/s1 50/new 51/new2 4/s2 3/s4 0/s5 0/s0 ");
}

/// The golden run g27: statistics of "x" and "y", sorted by count first.
#[test]
fn statistics_are_walked_youngest_first_whatever_was_sorted_before() {
    let layout = Layout { parts: ALL, histogram: Histogram::None };
    let (mut run, _) = run(Image { globals: vec![array("a", Value::Aggregate(layout), 9)], ..Image::default() });
    for (key, value) in [(b'x', 10), (b'x', 20), (b'y', 5)] {
        run.globals.add(0, Some(&i64::from(key).to_ne_bytes()), value).expect("there is room");
    }
    let mut walked = |by, descending| {
        let walk = run.walk_begin(0, None, Sort { by, descending }, None);
        std::iter::from_fn(|| run.walk_next(walk).map(|key| key[0])).collect::<Vec<u8>>()
    };
    assert_eq!(walked(SortBy::Value(Extractor::Count), true), b"xy");
    assert_eq!(walked(SortBy::Unsorted, false), b"yx");
}

#[test]
fn an_array_may_change_under_a_walk() {
    let (mut run, _) = run(Image { globals: vec![array("a", Value::Long, 9)], ..Image::default() });
    let number = |n: i64| n.to_ne_bytes();
    (0..5).for_each(|n| run.globals.set(0, &number(n), &number(n)).expect("there is room"));
    let sort = Sort { by: SortBy::Value(Extractor::Count), descending: true };
    let walk = run.walk_begin(0, None, sort, None);
    let mut seen = Vec::new();
    while let Some(key) = run.walk_next(walk).map(|key| key[0]) {
        seen.push(key);
        run.globals.delete(0, Some(&number(key.into())));
        run.globals.set(0, &number(100 + i64::from(key)), &number(0)).expect("there is room");
    }
    assert_eq!(seen, [4, 3, 2, 1, 0]);
    assert_eq!(run.globals.elements(0).map(|table| table.len()), Some(5));
}
