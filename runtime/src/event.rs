//! What kernel handlers send: errors and `exit()` on the control ring, prints on the event ring.
//!
//! Prints of different CPUs come nearly in order of time; each drain puts them in order before it renders them.

use crate::fault::Raised;
use crate::load::LoadError;
use crate::output::format::{self, Arguments};
use crate::run::{Handles, Run};
use crate::sys::bpf::Map;
use aya::maps::{MapData, RingBuf};
use std::os::fd::{AsFd, BorrowedFd};
use tapster_compiler::image::{Image, MapRole};
use tapster_runtime_ebpf::record::{self, Fault, Kind};

/// Bytes of prints that are put in order at once.
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

/// What stands on the control ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// What to wait for.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.control, &self.events].into_iter().flatten().map(|ring| ring.0.as_fd())
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

    /// Renders prints, up to a batch of them. Gives whether there may be more.
    pub fn render(&mut self, run: &mut Run) -> bool {
        let Some(ring) = &mut self.events else { return false };
        let mut more = true;
        while self.batch.bytes.len() < BATCH {
            let Some(item) = ring.0.next() else {
                more = false;
                break;
            };
            self.batch.push(&item);
        }
        self.batch.render(run);
        more
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

    fn render(&mut self, run: &mut Run) {
        // Nearly sorted, which this sort is fast on; records of one time stay in the order of the ring.
        self.records.sort_by_key(|(time, ..)| *time);
        for (_, start, len) in self.records.drain(..) {
            let record = &self.bytes[start as usize..(start + len) as usize];
            let is_print = half(record, record::KIND).and_then(Kind::from_number) == Some(Kind::Print);
            if let (true, Some(index)) = (is_print, half(record, record::INDEX)) {
                run.print(index as usize, |format, handles, out| {
                    let rest = record.get(record::HEADER as usize..).unwrap_or_default();
                    format::render(format, &mut Record { rest, handles }, out);
                });
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

fn control(record: &[u8]) -> Option<Control> {
    match Kind::from_number(half(record, record::KIND)?)? {
        Kind::Exit => Some(Control::Exit),
        Kind::Error => Some(Control::Error(Raised {
            fault: Fault::from_number(half(record, record::INDEX)?)?,
            detail: word(record, record::HEADER)?,
            position: word(record, record::HEADER + 8)? as u32,
        })),
        Kind::Print => None,
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
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        &text[..end]
    }

    fn stack(&mut self, out: &mut Vec<u8>) {
        let handle = self.long() as u64;
        self.handles.stack(handle, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let raised = Raised { fault: Fault::KernelStringFault, detail: 0x10, position: 99 };
        let fault = Fault::KernelStringFault as u32;
        assert_eq!(control(&record(Kind::Error, fault, 0, &[0x10, 99])), Some(Control::Error(raised)));
        assert_eq!(control(&record(Kind::Error, fault, 0, &[0x10])), None);
        assert_eq!(control(&[1, 2]), None);
    }
}
