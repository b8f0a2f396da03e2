//! What kernel handlers send: errors and `exit()` on the control ring; prints, and what goes on in user space, on the
//! event ring.
//!
//! Events of different CPUs come nearly in order of time; each drain puts them in order before it renders them.

use crate::fault::Raised;
use crate::load::LoadError;
use crate::output::format::{self, Arguments};
use crate::run::Handles;
use crate::runner::Runner;
use crate::sys::bpf::Map;
use aya::maps::{MapData, RingBuf};
use std::os::fd::{AsFd, BorrowedFd};
use tapster_compiler::image::{Image, MapRole};
use tapster_runtime_ebpf::record::{self, Fault, Kind};

/// Bytes of events that are put in order at once.
const BATCH: usize = 1 << 20;

/// The rings of a run.
#[derive(Debug, Default)]
pub struct Rings {
    control: Option<Ring>,
    events: Option<Ring>,
    batch: Batch,
}

struct Ring(RingBuf<MapData>);

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ring({:?})", self.0.as_fd())
    }
}

/// Records taken from the ring and not rendered yet.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Time, start and length of each.
    records: Vec<(u64, u32, u32)>,
}

/// What a drain of the event ring found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Nothing.
    Nothing,
    /// All that there was; whoever waits now is woken by the very next event.
    All,
    /// A batch: there may be more.
    Part,
}

/// What stands on the control ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// `exit()`.
    Exit,
    /// A run-time error.
    Error(Raised),
}

impl Rings {
    /// Opens the rings of an image.
    pub fn open(image: &Image, maps: &[Map]) -> Result<Rings, LoadError> {
        let open = |role| {
            let Some(at) = image.maps.iter().position(|map| map.role == role) else { return Ok(None) };
            ring(&maps[at]).map(Some).map_err(|source| LoadError::Ring { name: image.maps[at].name.clone(), source })
        };
        let (control, events) = (open(MapRole::Control)?, open(MapRole::Events)?);
        Ok(Rings { control, events, batch: Batch::default() })
    }

    /// What to wait for; without `events` only for `exit()` and errors.
    pub fn fds(&self, events: bool) -> impl Iterator<Item = BorrowedFd<'_>> {
        let events = self.events.as_ref().filter(|_| events);
        [self.control.as_ref(), events].into_iter().flatten().map(|ring| ring.0.as_fd())
    }

    /// Takes everything from the control ring.
    pub fn take_control(&mut self, mut each: impl FnMut(Control)) {
        let Some(ring) = &mut self.control else { return };
        while let Some(item) = ring.0.next() {
            if let Some(control) = control(&item) {
                each(control);
            }
        }
    }

    /// Renders prints and calls handlers that are handed to, up to a batch of them.
    pub fn render(&mut self, runner: &mut Runner) -> Drained {
        let Some(ring) = &mut self.events else { return Drained::Nothing };
        let mut drained = Drained::Part;
        while self.batch.bytes.len() < BATCH {
            let Some(item) = ring.0.next() else {
                drained = if self.batch.bytes.is_empty() { Drained::Nothing } else { Drained::All };
                break;
            };
            self.batch.push(&item);
        }
        self.batch.render(runner);
        drained
    }
}

fn ring(map: &Map) -> Result<Ring, aya::maps::MapError> {
    let fd = map
        .as_fd()
        .try_clone_to_owned()
        .map_err(|io_error| aya::maps::MapError::SyscallError(aya::sys::SyscallError { call: "fcntl", io_error }))?;
    RingBuf::try_from(aya::maps::Map::from_map_data(MapData::from_fd(fd)?)?).map(Ring)
}

impl Batch {
    fn push(&mut self, record: &[u8]) {
        let Some(time) = word(record, record::TIME) else { return };
        self.records.push((time as u64, self.bytes.len() as u32, record.len() as u32));
        self.bytes.extend_from_slice(record);
    }

    fn render(&mut self, runner: &mut Runner) {
        // Nearly sorted, which this sort is fast on; records of one time stay in the order of the ring.
        self.records.sort_by_key(|(time, ..)| *time);
        for (_, start, len) in self.records.drain(..) {
            let record = &self.bytes[start as usize..(start + len) as usize];
            let behind = |bytes: u32| record.get(bytes as usize..).unwrap_or_default();
            let Some(index) = half(record, record::INDEX).map(|index| index as usize) else { continue };
            match half(record, record::KIND).and_then(Kind::from_number) {
                Some(Kind::Print) => runner.run.print(index, |format, handles, out| {
                    format::render(format, &mut Record { rest: behind(record::HEADER), handles }, out);
                }),
                Some(Kind::Handoff) => runner.hand_off(index, behind(record::TIME)),
                Some(Kind::Exit | Kind::Error) | None => {}
            }
        }
        self.bytes.clear();
    }
}

fn half(record: &[u8], at: u32) -> Option<u32> {
    let bytes = record.get(at as usize..)?.first_chunk::<4>()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn word(record: &[u8], at: u32) -> Option<i64> {
    let bytes = record.get(at as usize..)?.first_chunk::<8>()?;
    Some(i64::from_ne_bytes(*bytes))
}

fn until_nul(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    &text[..end]
}

fn control(record: &[u8]) -> Option<Control> {
    match Kind::from_number(half(record, record::KIND)?)? {
        Kind::Exit => Some(Control::Exit),
        Kind::Error => {
            let fault = Fault::from_number(half(record, record::INDEX)?)?;
            let (detail, position) = (word(record, record::HEADER)?, word(record, record::HEADER + 8)? as u32);
            Some(Control::Error(match fault {
                Fault::Text => Raised::saying(until_nul(record.get(record::ERROR_SIZE as usize..)?), position),
                fault => Raised::new(fault, detail, position),
            }))
        }
        Kind::Print | Kind::Handoff => None,
    }
}

/// Arguments of a print as they lie in a record. One that is missing reads as zero or empty.
struct Record<'a> {
    rest: &'a [u8],
    handles: Handles<'a>,
}

impl Arguments for Record<'_> {
    fn long(&mut self) -> i64 {
        let value = word(self.rest, 0).unwrap_or(0);
        self.rest = self.rest.get(8..).unwrap_or_default();
        value
    }

    fn text(&mut self, bound: u32) -> &[u8] {
        let (text, rest) = self.rest.split_at(self.rest.len().min(bound as usize));
        self.rest = rest;
        until_nul(text)
    }

    fn stack(&mut self, out: &mut Vec<u8>) {
        let handle = self.long() as u64;
        self.handles.stack(handle, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;
    use crate::run::tests::{Shown, run_showing};
    use crate::session::tests::script;
    use std::cell::RefCell;
    use tapster_compiler::host::{ContextHeader, HostFn, HostTable};
    use tapster_compiler::image::{Format, Handoff, Piece, When};

    fn record(kind: Kind, index: u32, time: u64, rest: &[i64]) -> Vec<u8> {
        let mut record = Vec::new();
        record.extend_from_slice(&(kind as u32).to_ne_bytes());
        record.extend_from_slice(&index.to_ne_bytes());
        record.extend_from_slice(&time.to_ne_bytes());
        rest.iter().for_each(|word| record.extend_from_slice(&word.to_ne_bytes()));
        record
    }

    #[test]
    fn the_control_ring_carries_exit_and_errors() {
        assert_eq!(control(&record(Kind::Exit, 0, 0, &[])), Some(Control::Exit));
        let raised = Raised::new(Fault::KernelStringFault, 0x10, 99);
        let fault = Fault::KernelStringFault as u32;
        assert_eq!(control(&record(Kind::Error, fault, 0, &[0x10, 99])), Some(Control::Error(raised)));
        assert_eq!(control(&record(Kind::Error, fault, 0, &[0x10])), None);
        let boom = record(Kind::Error, Fault::Text as u32, 0, &[0, 0, i64::from_ne_bytes(*b"boom\0xyz")]);
        assert_eq!(control(&boom), Some(Control::Error(Raised::saying(b"boom", 0))));
        assert_eq!(control(&[1, 2]), None);
    }

    /// A run of a script whose handlers are handed to, the n-th by handoff n, with 12 bytes each.
    fn runner(text: &str, host: &HostTable) -> (Runner, Shown, Shown) {
        let mut image = script::image_for(text, host);
        image.max_action_interruptible = 10_000;
        image.handlers.iter_mut().for_each(|handler| handler.when = When::Handoff);
        image.handoffs = (0..image.handlers.len()).map(|handler| Handoff { handler, size: 12 }).collect();
        image.formats.push(Format { pieces: vec![Piece::Literal(b"from the kernel\n".to_vec())] });
        let (run, out, err) = run_showing(image);
        (Runner::new(run, 0, false, Box::new(|_| String::new())), out, err)
    }

    fn render(runner: &mut Runner, records: &[Vec<u8>]) {
        let mut batch = Batch::default();
        records.iter().for_each(|record| batch.push(record));
        batch.render(runner);
        runner.run.output.flush();
    }

    #[test]
    fn handlers_are_handed_to_in_order_of_time_until_one_ends_the_session() {
        let text = "probe begin { printf(\"first\\n\") } probe begin { printf(\"second\\n\"); exit() }";
        let (mut runner, out, _) = runner(text, &host::table());
        let print = runner.run.image.formats.len() as u32 - 1;
        let (handoff, print) =
            (|index, time| record(Kind::Handoff, index, time, &[7, 8]), |time| record(Kind::Print, print, time, &[]));
        render(&mut runner, &[print(5), handoff(1, 4), handoff(0, 1), print(2), handoff(0, 3), handoff(0, 6)]);
        assert_eq!(out.text(), "first\nfrom the kernel\nfirst\nsecond\nfrom the kernel\n");
        assert!(runner.is_over());
    }

    #[test]
    fn what_is_handed_to_may_fail() {
        let text = "probe begin { z = 0; printf(\"%d\\n\", 1 / z) } probe begin { printf(\"second\\n\") }";
        let (mut runner, out, err) = runner(text, &host::table());
        render(&mut runner, &[record(Kind::Handoff, 0, 1, &[]), record(Kind::Handoff, 1, 2, &[])]);
        render(&mut runner, &[record(Kind::Handoff, 1, 3, &[])]);
        assert_eq!((out.text(), err.text()), (String::new(), "ERROR: division by 0\n".into()));
        assert!(runner.has_failed() && runner.errors() == 1);
    }

    #[test]
    fn a_session_that_is_stopped_still_takes_what_was_handed_on() {
        let (mut runner, out, _) = runner("probe begin { printf(\"x\\n\") }", &host::table());
        runner.run.end();
        render(&mut runner, &[record(Kind::Handoff, 0, 1, &[]), record(Kind::Handoff, 99, 1, &[])]);
        assert_eq!(out.text(), "x\n");
    }

    thread_local! {
        static SEEN: RefCell<Vec<[i64; 5]>> = const { RefCell::new(Vec::new()) };
    }

    /// Stands in for `exit()`: remembers what generated code sees.
    unsafe extern "C" fn look(context: *const ContextHeader) -> i64 {
        // SAFETY: generated code passes on its context; a record has 16 bytes at least.
        let seen = unsafe {
            let header = &*context;
            let words = header.record.cast::<[i64; 2]>();
            let [first, second] = if words.is_null() { [-1, -1] } else { *words };
            [first, second, header.pending, header.actions, header.nesting]
        };
        SEEN.with_borrow_mut(|all| all.push(seen));
        0
    }

    #[test]
    fn a_handler_sees_what_was_handed_on_as_long_as_it_expects() {
        let mut host = host::table();
        host.0[HostFn::exit as usize] = look as *const u8;
        let (mut runner, ..) = runner("probe begin { exit() }", &host);
        let mut short = record(Kind::Handoff, 0, 2, &[i64::MIN | 3]);
        short.truncate(record::HEADER as usize + 3);
        render(&mut runner, &[record(Kind::Handoff, 0, 1, &[3, i64::MIN, 5]), short]);
        runner.call(0);
        let budget = |actions| [0, actions, 0];
        let seen = SEEN.take();
        assert_eq!(seen.iter().map(|seen| [seen[0], seen[1]]).collect::<Vec<_>>(), [[1, 3], [2, 3], [-1, -1]]);
        // `exit()` is a statement: one may have been counted already.
        assert!(seen.iter().all(|seen| { [budget(10_000), budget(9_999)].contains(&[seen[2], seen[3], seen[4]]) }));
    }
}
