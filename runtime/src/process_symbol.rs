//! Names of addresses in processes: from their maps and the symbols of the files in them.
//!
//! A process's maps are read when it is first asked for, and again where an address is in none of them, but not many
//! times a second; it may be gone by then, and what is known of it stays.

use crate::binary;
use crate::library::symbols::{Known, Place};
use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tapster_compiler::elf::Elf;
use tapster_compiler::separate;

/// Processes that are kept in mind; what is beyond starts anew.
const PROCESSES_MAX: usize = 1024;
/// Addresses that are kept in mind.
const PLACES_MAX: usize = 1 << 18;

/// So long the maps of a process are taken for complete.
const MAPS_AGE: Duration = Duration::from_millis(100);

/// A part of a process's memory that shows a file.
#[derive(Clone, Debug)]
struct Mapping {
    addresses: Range<u64>,
    /// Byte offset in the file where it begins.
    offset: u64,
    path: Rc<str>,
}

/// A function in a file: byte offset, size, name.
#[derive(Clone, Debug)]
struct Function {
    offset: u64,
    size: u64,
    name: String,
}

/// What is known of processes.
#[derive(Debug, Default)]
pub struct Processes {
    /// And when they were read.
    maps: HashMap<i64, (Vec<Mapping>, Instant)>,
    files: HashMap<Rc<str>, Vec<Function>>,
    /// Where debug information may be, beside where packages put it.
    debug_places: Vec<String>,
    /// Addresses of processes, once found in a file.
    places: HashMap<(i64, u64), Rc<Known>>,
}

/// One of them.
pub struct Process<'a> {
    pid: i64,
    all: &'a mut Processes,
}

impl Processes {
    /// None yet, with symbols in these files and folders, too.
    pub fn with_debug_places(debug_places: Vec<String>) -> Processes {
        Processes { debug_places, ..Processes::default() }
    }

    /// The process with an id.
    pub fn of(&mut self, pid: i64) -> Process<'_> {
        if self.maps.len() >= PROCESSES_MAX {
            self.maps.clear();
        }
        if self.places.len() >= PLACES_MAX {
            self.places.clear();
        }
        Process { pid, all: self }
    }
}

impl Process<'_> {
    /// What an address is.
    pub fn known(&mut self, address: u64) -> Rc<Known> {
        if let Some(known) = self.all.places.get(&(self.pid, address)) {
            return Rc::clone(known);
        }
        let known = Rc::new(Known::new(self.look_up(address)));
        if known.place.module.is_some() {
            self.all.places.insert((self.pid, address), Rc::clone(&known));
        }
        known
    }

    fn look_up(&mut self, address: u64) -> Place {
        let Some(Mapping { addresses, offset, path }) = self.mapping(address) else {
            return Place { address, ..Place::default() };
        };
        let within = address - addresses.start + offset;
        let pid = self.pid;
        let Processes { files, debug_places, .. } = &mut *self.all;
        let functions = files.entry(Rc::clone(&path)).or_insert_with(|| functions(pid, &path, debug_places));
        let before = functions.partition_point(|function| function.offset <= within);
        let nearest = before.checked_sub(1).map(|at| &functions[at]);
        let found = nearest.filter(|function| within < function.offset + function.size.max(1));
        let function = found.map(|function| (function.name.clone(), within - function.offset, function.size));
        Place { address, function, module: Some((path.to_string(), within)) }
    }

    fn mapping(&mut self, address: u64) -> Option<Mapping> {
        let find = |maps: &[Mapping]| maps.iter().find(|mapping| mapping.addresses.contains(&address)).cloned();
        if let Some((known, read)) = self.all.maps.get(&self.pid) {
            let found = find(known);
            if found.is_some() || read.elapsed() < MAPS_AGE {
                return found;
            }
        }
        let fresh = maps(&fs::read_to_string(format!("/proc/{}/maps", self.pid)).unwrap_or_default());
        let found = find(&fresh);
        let (known, read) = self.all.maps.entry(self.pid).or_insert_with(|| (Vec::new(), Instant::now()));
        *read = Instant::now();
        if !fresh.is_empty() {
            *known = fresh;
            self.all.places.retain(|(pid, _), _| *pid != self.pid);
        }
        found
    }
}

/// Reads `/proc/PID/maps` (proc_pid_maps(5)).
fn maps(text: &str) -> Vec<Mapping> {
    let mapping = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let (_, offset) = (fields.next()?, fields.next()?);
        let path = line.find(['/', '[']).map(|at| &line[at..])?;
        let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        Some(Mapping { addresses: hex(start)?..hex(end)?, offset: hex(offset)?, path: path.into() })
    };
    text.lines().filter_map(mapping).collect()
}

/// The functions of a file that a process has mapped, in the order of their places; those that the file was stripped of
/// may be in one with its debug information.
fn functions(pid: i64, path: &str, debug_places: &[String]) -> Vec<Function> {
    // The process may see other files under that name than we do.
    let bytes = fs::read(format!("/proc/{pid}/root{path}")).or_else(|_| fs::read(path)).unwrap_or_default();
    let Some(elf) = Elf::new(&bytes) else { return Vec::new() };
    let function = |function: tapster_compiler::elf::Function| {
        let offset = elf.offset(function.address)?;
        Some(Function { offset, size: function.size, name: function.name })
    };
    let mut all = elf.all_functions();
    for place in separate::places(path, &elf, debug_places) {
        let Some(bytes) = binary::bytes(&place) else { continue };
        let other = Elf::new(bytes.bytes()).filter(|other| separate::is_of(&elf, &place, other));
        if let Some(other) = other {
            all.extend(other.all_functions());
            break;
        }
    }
    let mut functions: Vec<Function> = all.into_iter().filter_map(function).collect();
    functions.sort_by_key(|function| function.offset);
    functions.dedup_by_key(|function| function.offset);
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function of our own whose address we know.
    #[inline(never)]
    extern "C" fn landmark() -> u32 {
        std::hint::black_box(7)
    }

    #[test]
    fn an_address_of_this_process_has_its_file_and_its_function() {
        landmark();
        let address = landmark as *const () as u64;
        let mut processes = Processes::default();
        let known = processes.of(std::process::id().into()).known(address);
        let place = &known.place;
        let program = std::env::current_exe().expect("Linux says");
        let (module, _) = place.module.clone().expect("it is mapped");
        assert_eq!(module, program.display().to_string());
        // Release builds may be stripped; where there are symbols, the right one is found.
        if let Some((name, offset, _)) = &place.function {
            assert!(name.contains("landmark") && *offset == 0, "{name}+{offset}");
        }
        assert_eq!(processes.of(std::process::id().into()).known(8).place, Place { address: 8, ..Place::default() });
    }

    #[test]
    fn lines_of_maps_are_read() {
        let text = "55d0-55e0 r-xp 00002000 08:01 42   /bin/a b\n7ffc-7ffd rw-p 0 00:00 0  [stack]\n1-2 r 0 0 0\n";
        let maps = maps(text);
        assert_eq!(maps.iter().map(|m| &*m.path).collect::<Vec<_>>(), ["/bin/a b", "[stack]"]);
        assert_eq!((maps[0].addresses.clone(), maps[0].offset), (0x55d0..0x55e0, 0x2000));
    }
}
