//! The state of a run: what user handlers work on through the host functions, and what printing needs.
//!
//! Its start is what generated code reads ([`ContextHeader`]). Calling handlers, and when, is the session's business.

use crate::fault::Raised;
use crate::globals::Globals;
use crate::interned::Interned;
use crate::load::Loaded;
use crate::output::{Output, histogram};
use crate::sys::bpf::Map;
use crate::sys::memory::StateBlock;
use crate::sys::wait::Signals;
use crate::walk::{self, Walk};
use std::os::fd::OwnedFd;
use tapster_compiler::host::{ContextHeader, Extractor, Sort};
use tapster_compiler::image::{Format, Image};
use tapster_runtime_ebpf::aggregate::{Histogram, read};
use tapster_runtime_ebpf::record::Fault;

/// Host calls between two looks for signals: a look is a system call.
const CALLS_PER_LOOK: u32 = 256;

/// The state of a run.
#[repr(C)]
#[derive(Debug)]
pub struct Run {
    // Generated code reads this through the address of the whole.
    header: ContextHeader,
    /// The script.
    pub(crate) image: Image,
    pub(crate) globals: Globals,
    pub(crate) output: Output,
    pub(crate) target: i64,
    interned: Interned,
    state: StateBlock,
    walks: Vec<Option<Walk>>,
    raised: Vec<Raised>,
    exiting: bool,
    signals: Signals,
    interrupts: u32,
    /// From how many signals on the running handler shall come to an end.
    patience: u32,
    calls: u32,
}

const _: () = assert!(std::mem::offset_of!(Run, header) == 0);

impl Run {
    /// A run of an image that has been loaded; gives the programs beside it.
    pub fn new(image: Image, loaded: Loaded, output: Output, signals: Signals) -> (Box<Run>, Vec<OwnedFd>) {
        let run = Run {
            header: ContextHeader { state: loaded.state.as_ptr() },
            globals: Globals::new(&image, loaded.maps),
            interned: Interned::new(&image),
            image,
            output,
            target: 0,
            state: loaded.state,
            walks: Vec::new(),
            raised: Vec::new(),
            exiting: false,
            signals,
            interrupts: 0,
            patience: u32::MAX,
            calls: 0,
        };
        (Box::new(run), loaded.programs)
    }

    /// A loss counter.
    pub fn loss(&self, index: u32) -> u64 {
        self.state.read(tapster_runtime_ebpf::state::loss(index))
    }

    /// Calls a user handler.
    pub fn call(&mut self, handler: usize) {
        self.globals.look_again();
        self.walks.clear();
        let entry = self.image.native.entry(self.image.handlers[handler].entry);
        let context: *mut Run = self;
        // SAFETY: the code belongs to `self.image`, which lives through the call and is not touched by it; its context
        // is what its host functions expect, and nobody else uses it until the call is over.
        unsafe { entry(context.cast()) };
        self.walks.clear();
    }

    /// Run-time errors since the last call.
    pub fn take_raised(&mut self) -> Vec<Raised> {
        std::mem::take(&mut self.raised)
    }

    /// A run-time error.
    pub fn raise(&mut self, raised: Raised) {
        self.raised.push(raised);
    }

    /// The session shall end.
    pub fn exit(&mut self) {
        self.exiting = true;
    }

    /// Whether the session shall end.
    pub fn is_exiting(&self) -> bool {
        self.exiting
    }

    /// What collects signals.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Takes notice of signals: the first ends the session.
    pub fn look_for_signals(&mut self) {
        self.interrupts += self.signals.take();
        self.exiting |= self.interrupts > 0;
    }

    /// From now on a second signal also ends the running handler.
    pub fn lose_patience(&mut self) {
        self.patience = 2;
    }

    /// Whether the user does not want to see more.
    pub fn is_cut_short(&self) -> bool {
        self.interrupts >= self.patience || self.output.is_closed()
    }

    /// Counts a call that a handler may make without end. Gives whether it shall still do anything.
    fn goes_on(&mut self) -> bool {
        self.calls += 1;
        if self.calls.is_multiple_of(CALLS_PER_LOOK) {
            self.look_for_signals();
        }
        !self.is_cut_short()
    }

    /// Prints a format; `render` knows where its arguments are.
    pub fn print(&mut self, index: usize, render: impl FnOnce(&Format, Handles<'_>, &mut Vec<u8>)) {
        if !self.goes_on() {
            return;
        }
        let Some(format) = self.image.formats.get(index) else { return };
        let mut warning = None;
        let handles = Handles { interned: &mut self.interned, maps: self.globals.maps(), warning: &mut warning };
        render(format, handles, self.output.text());
        self.output.rendered();
        if let Some(warning) = warning {
            self.output.warn(warning);
        }
    }

    /// Prints a stack, one symbol a line.
    pub fn print_stack(&mut self, handle: u64) {
        if !self.goes_on() {
            return;
        }
        let warning = self.interned.print_stack(self.globals.maps(), handle, self.output.text());
        self.output.rendered();
        if let Some(warning) = warning {
            self.output.warn(warning);
        }
    }

    /// A stack as a string of addresses.
    pub fn stack_text(&mut self, handle: u64, out: &mut Vec<u8>) {
        if let Some(warning) = self.interned.stack_text(self.globals.maps(), handle, out) {
            self.output.warn(warning);
        }
    }

    /// The NUL-terminated string with this handle; it stays where it is.
    pub fn text_of(&mut self, handle: u64) -> &[u8] {
        self.interned.text(self.globals.maps(), handle)
    }

    /// The handle of a text, which is remembered.
    pub fn intern(&mut self, text: &[u8]) -> u64 {
        self.interned.intern(self.globals.maps(), text)
    }

    /// Prints the histogram of a statistic.
    pub fn print_histogram(&mut self, global: usize, key: Option<&[u8]>) -> Result<(), Fault> {
        let layout = self.globals.layout(global).ok_or(Fault::EmptyAggregate)?;
        let buckets = layout.histogram.buckets();
        let value = self.globals.statistic(global, key).ok_or(Fault::EmptyAggregate)?;
        let counts: Vec<i64> = (0..buckets).map(|n| read(value, layout.buckets() + 8 * n)).collect();
        if layout.histogram == Histogram::None || counts.iter().all(|count| *count == 0) {
            return Err(Fault::EmptyAggregate);
        }
        if self.goes_on() {
            histogram::print(layout.histogram, &counts, self.output.text());
            self.output.rendered();
        }
        Ok(())
    }

    /// Reads an extractor of a statistic.
    pub fn aggregate_read(&mut self, global: usize, key: Option<&[u8]>, extractor: Extractor) -> Result<i64, Fault> {
        let layout = self.globals.layout(global).ok_or(Fault::EmptyAggregate)?;
        let value = self.globals.statistic(global, key);
        match value.map(|value| walk::extract(&layout, value, extractor)) {
            Some(read) => read.ok_or(Fault::EmptyAggregate),
            None if matches!(extractor, Extractor::Count | Extractor::Sum) => Ok(0),
            None => Err(Fault::EmptyAggregate),
        }
    }

    /// Starts a walk; gives its handle.
    pub fn walk_begin(&mut self, global: usize, sort: Sort, limit: Option<usize>) -> usize {
        let walk = self.globals.elements(global).zip(self.globals.array(global)).map(|(table, array)| {
            let (interned, maps) = (&mut self.interned, self.globals.maps());
            Walk::new(table, array, sort, limit, &mut |handle| interned.text(maps, handle).into())
        });
        let free = self.walks.iter().position(Option::is_none).unwrap_or(self.walks.len());
        if free == self.walks.len() {
            self.walks.push(None);
        }
        self.walks[free] = walk;
        free
    }

    /// The next key of a walk; it stays where it is until the walk ends.
    pub fn walk_next(&mut self, handle: usize) -> Option<&[u8]> {
        if !self.goes_on() {
            return None;
        }
        self.walks.get_mut(handle)?.as_mut()?.next_key()
    }

    /// Ends a walk.
    pub fn walk_end(&mut self, handle: usize) {
        if let Some(walk) = self.walks.get_mut(handle) {
            *walk = None;
        }
    }
}

/// What handles in a print's arguments stand for.
pub struct Handles<'a> {
    interned: &'a mut Interned,
    maps: &'a [Map],
    warning: &'a mut Option<String>,
}

impl Handles<'_> {
    /// Appends a stack as text.
    pub fn stack(&mut self, handle: u64, out: &mut Vec<u8>) {
        let warning = self.interned.stack_text(self.maps, handle, out);
        if self.warning.is_none() {
            *self.warning = warning;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::io::{self, Write};
    use std::rc::Rc;
    use tapster_compiler::host::SortBy;
    use tapster_compiler::image::{Array, Global, KeyKind, KeyPart, Storage, Value};
    use tapster_runtime_ebpf::aggregate::{Layout, Parts};

    pub(crate) const ALL: Parts = Parts { count: true, sum: true, min: true, max: true };

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
        let array = Array { map: None, key, key_size: 8, value, max_entries, sized: false };
        Global { name: name.into(), storage: Storage::Array(array) }
    }

    /// A run without kernel handlers, which needs no privilege.
    pub(crate) fn run(image: Image) -> (Box<Run>, Shown) {
        let shown = Shown::default();
        let loaded = crate::load::load(&image).expect("nothing to load");
        let signals = Signals::collect().expect("can be had");
        let output = Output::new(Box::new(shown.clone()), Box::new(io::sink()));
        (Run::new(image, loaded, output, signals).0, shown)
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
        let outer = run.walk_begin(0, sort, None);
        while let Some(key) = run.walk_next(outer).map(|key| key[0]) {
            let inner = run.walk_begin(0, sort, Some(1));
            assert_ne!(inner, outer);
            while let Some(other) = run.walk_next(inner).map(|key| key[0]) {
                seen.push((key, other));
            }
            run.walk_end(inner);
        }
        run.walk_end(outer);
        assert_eq!(seen, [(2, 2), (1, 2), (0, 2)]);
        assert_eq!(run.walk_begin(0, sort, None), outer);
    }

    #[test]
    fn patience_ends_walks_and_prints_with_the_second_signal() {
        let (mut run, _) = run(Image { globals: vec![array("a", Value::Long, 9)], ..Image::default() });
        run.globals.set(0, &[0; 8], &[0; 8]).expect("there is room");
        let sort = Sort { by: SortBy::Unsorted, descending: false };
        let walk = |run: &mut Run| {
            let walk = run.walk_begin(0, sort, None);
            run.walk_next(walk).is_some()
        };
        run.interrupts = 2;
        assert!(walk(&mut run), "before the end any number only ends the session");
        run.lose_patience();
        assert!(!walk(&mut run));
        run.interrupts = 1;
        assert!(walk(&mut run), "one signal lets end handlers finish");
    }
}
