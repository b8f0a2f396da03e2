//! The state of a run: what user handlers work on through the host functions, and what printing needs.
//!
//! Its start is what generated code reads ([`ContextHeader`]). Which handlers are called, and when, is the business of
//! [`crate::runner`].

mod print;
mod statistic;
mod view;

pub use print::Handles;

use crate::fault::Raised;
use crate::globals::Globals;
use crate::interned::Interned;
use crate::library::Refusal;
use crate::library::file::Files;
use crate::library::largest::Largest;
use crate::library::process::Commands;
use crate::library::text::Tokens;
use crate::load::Loaded;
use crate::output::Output;
use crate::process_symbol::Processes;
use crate::regex::Regexes;
use crate::sys::memory::StateBlock;
use crate::sys::peek::Peek;
use crate::sys::process;
use crate::sys::wait::Signals;
use crate::walk::{Slice, Sorting, Walk};
use std::cell::OnceCell;
use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use tapster_compiler::host::{ContextHeader, Sort};
use tapster_compiler::image::{Image, function_in};
use tapster_runtime_ebpf::record::event;

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
    pub(crate) regexes: Regexes,
    pub(crate) tokens: Tokens,
    pub(crate) files: Files,
    pub(crate) largest: Largest,
    pub(crate) commands: Commands,
    pub(crate) processes: Processes,
    /// The text of what woke the handler that runs, or of what shall be read.
    pub(crate) event_text: Vec<u8>,
    /// What reads the kernel's memory, once somebody has.
    pub(crate) peek: Option<Peek>,
    pub(crate) interned: Interned,
    state: StateBlock,
    walks: Vec<Option<Walk>>,
    /// The handler that is running.
    running: usize,
    /// By handler: its probe point, as it was resolved and as the script wrote it, and its function, once asked for.
    points: Vec<[OnceCell<CString>; 3]>,
    /// The error that is on its way.
    pending: Option<Raised>,
    raised: Vec<Raised>,
    /// Why a function of the library refused its arguments, until the error is raised.
    refusal: Refusal,
    /// What a kernel handler handed on, in whole words.
    record: Vec<u64>,
    /// A string under construction.
    scratch: Vec<u8>,
    /// Strings that were cut to the place they were for.
    truncations: u64,
    exiting: bool,
    /// A handler of user space has ended the session.
    has_exited: bool,
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
        let state = loaded.state.as_ptr();
        let run = Run {
            header: ContextHeader { state, pending: 0, actions: 0, nesting: 0, record: std::ptr::null() },
            globals: Globals::new(&image, loaded.maps),
            interned: Interned::new(&image),
            output,
            target: 0,
            regexes: Regexes::default(),
            tokens: Tokens::default(),
            files: Files::default(),
            largest: Largest::default(),
            commands: Commands::default(),
            processes: Processes::default(),
            event_text: Vec::new(),
            peek: None,
            state: loaded.state,
            walks: Vec::new(),
            running: 0,
            points: vec![Default::default(); image.handlers.len()],
            image,
            pending: None,
            raised: Vec::new(),
            refusal: Refusal::default(),
            record: Vec::new(),
            scratch: Vec::new(),
            truncations: 0,
            exiting: false,
            has_exited: false,
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

    /// Tells the kernel's handlers what the wall clock is ahead of theirs: it may have been set.
    pub fn keep_time(&mut self) {
        // A block without room for it belongs to a script without such handlers.
        let _ = self.state.write(tapster_runtime_ebpf::state::WALL, &process::ahead().to_ne_bytes());
    }

    /// Has the kernel's handlers run that were held back.
    pub fn let_go(&mut self) {
        // A block without room for it belongs to a script without such handlers.
        let _ = self.state.write(tapster_runtime_ebpf::state::STOPPING, &0_u64.to_ne_bytes());
    }

    /// Whether a handler's condition holds; one without always does.
    pub fn condition_holds(&self, handler: usize) -> bool {
        self.image.handlers[handler].condition.is_none_or(|offset| self.state.read(offset) != 0)
    }

    /// Calls a user handler.
    pub fn call(&mut self, handler: usize) {
        self.header.record = std::ptr::null();
        self.enter(handler, self.image.max_action_interruptible.into());
    }

    /// Calls the handler that a kernel handler hands on to, with what it sent: as much as the handler expects, zeros
    /// where that is more.
    pub fn hand_off(&mut self, handoff: usize, sent: &[u8]) {
        let Some(handoff) = self.image.handoffs.get(handoff).copied() else { return };
        self.record.clear();
        let (words, rest) = sent.as_chunks::<8>();
        self.record.extend(words.iter().map(|word| u64::from_ne_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.record.push(u64::from_ne_bytes(last));
        self.record.resize((handoff.size as usize).div_ceil(8).max(1), 0);
        self.header.record = self.record.as_ptr().cast();
        // It runs in user space, where it holds nobody up.
        self.enter(handoff.handler, self.image.max_action_interruptible.into());
    }

    fn enter(&mut self, handler: usize, actions: i64) {
        (self.header.pending, self.header.actions, self.header.nesting) = (0, actions, 0);
        self.running = handler;
        self.globals.look_again();
        self.files.look_again();
        self.largest.look_again();
        self.walks.clear();
        let entry = self.image.native.entry(self.image.handlers[handler].entry);
        let context: *mut Run = self;
        // SAFETY: the code belongs to `self.image`, which lives through the call and is not touched by it; its context
        // is what its host functions expect, and nobody else uses it until the call is over.
        unsafe { entry(context.cast()) };
        self.walks.clear();
        self.raised.extend(self.pending.take());
        self.commands.start(&mut self.output);
    }

    /// What is known of the event whose handler goes on here, where one does.
    pub(crate) fn event(&self) -> Option<&[u64]> {
        let facts = self.record.get(..event::SIZE as usize / 8)?;
        (!self.header.record.is_null()).then_some(facts)
    }

    /// Run-time errors since the last call.
    pub fn take_raised(&mut self) -> Vec<Raised> {
        std::mem::take(&mut self.raised)
    }

    /// A run-time error is on its way; the first one stays.
    pub fn raise(&mut self, raised: Raised) {
        self.pending.get_or_insert(raised);
        self.header.pending = 1;
    }

    /// A function of the library has refused its arguments: the message of the next [`Fault::Text`].
    ///
    /// [`Fault::Text`]: tapster_runtime_ebpf::record::Fault::Text
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.refusal = refusal;
    }

    /// Takes that message.
    pub(crate) fn take_refusal(&mut self) -> Refusal {
        std::mem::take(&mut self.refusal)
    }

    /// Takes the error that is on its way; gives what it says to a catch block.
    pub fn catch(&mut self) -> Vec<u8> {
        self.header.pending = 0;
        self.pending.take().map_or_else(Vec::new, |raised| raised.what(&self.image))
    }

    /// A handler ends the session.
    pub fn exit(&mut self) {
        self.has_exited = true;
        self.exiting = true;
    }

    /// The session shall end, by no handler of user space.
    pub fn end(&mut self) {
        self.exiting = true;
    }

    /// Whether the session shall end.
    pub fn is_exiting(&self) -> bool {
        self.exiting
    }

    /// Whether a handler of user space has ended the session.
    pub fn has_exited(&self) -> bool {
        self.has_exited
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
    pub(crate) fn goes_on(&mut self) -> bool {
        self.calls += 1;
        if self.calls.is_multiple_of(CALLS_PER_LOOK) {
            self.look_for_signals();
        }
        !self.is_cut_short()
    }

    /// Takes notice of a string that did not fit.
    pub(crate) fn note_truncation(&mut self) {
        self.truncations += 1;
    }

    /// How many strings did not fit.
    pub fn truncations(&self) -> u64 {
        self.truncations
    }

    /// An empty buffer to build a string in, which remembers its room; to be given back.
    pub(crate) fn take_scratch(&mut self) -> Vec<u8> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch
    }

    /// Gives the buffer back.
    pub(crate) fn give_scratch(&mut self, scratch: Vec<u8>) {
        self.scratch = scratch;
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

    /// The running handler's probe point, as it was resolved (0) or as the script wrote it (1), or the function in it
    /// (2); it stays where it is.
    pub fn point(&self, which: usize) -> Option<&CStr> {
        let handler = self.image.handlers.get(self.running)?;
        let text = [&handler.probe, &handler.name, function_in(&handler.probe)].get(which).copied()?;
        let point = self.points.get(self.running)?.get(which)?;
        Some(point.get_or_init(|| CString::new(text).unwrap_or_default()))
    }

    /// Whether a regular expression of the image is found in a text.
    pub fn is_match(&mut self, regex: usize, text: &[u8]) -> bool {
        let pattern = self.image.regexes.get(regex);
        pattern.is_some_and(|pattern| self.regexes.is_match(regex, pattern, text))
    }

    /// Starts a walk; gives its handle.
    pub fn walk_begin(&mut self, global: usize, slice: Option<Slice<'_>>, sort: Sort, limit: Option<usize>) -> usize {
        let walk = self.walk(global, slice, sort, limit);
        self.keep_walk(walk)
    }

    fn walk(&mut self, global: usize, slice: Option<Slice<'_>>, sort: Sort, limit: Option<usize>) -> Option<Walk> {
        let mut table = self.globals.elements(global)?;
        let array = self.globals.array(global)?;
        let (interned, maps) = (&mut self.interned, self.globals.maps());
        let text_of = &mut |handle| interned.text(maps, handle).into();
        // The first of a slice may stand anywhere.
        let in_order = limit.filter(|_| slice.is_none());
        let sorting = Sorting { parts: &array.key, value: array.value, sort, limit: in_order, text_of };
        let stays = sorting.stays();
        let mut rows = sorting.all_rows(&table);
        if stays {
            // Nobody else should hold it, or it is copied.
            drop(table);
            self.globals.reorder(global, rows.clone());
            table = self.globals.elements(global)?;
        }
        if let (Some(slice), Some(array)) = (slice, self.globals.array(global)) {
            rows.retain(|row| slice.has(&array.key, table.key(*row)));
        }
        rows.truncate(limit.unwrap_or(usize::MAX));
        Some(Walk::new(table, rows))
    }

    fn keep_walk(&mut self, walk: Option<Walk>) -> usize {
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

#[cfg(test)]
pub(crate) mod tests;
