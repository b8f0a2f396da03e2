//! Names of kernel addresses, from `/proc/kallsyms`.
//!
//! The file is read in one stream for all addresses wanted so far: 200,000 lines pass through one buffer. Whoever holds
//! stacks decides when; programs must still be loaded then, as their names vanish with them. Only for a script that asks
//! for one address after the other a table of all symbols is kept.

use crate::privilege;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// Bytes read at once.
const BUFFER: usize = 64 << 10;
/// No function is this large: an address so far behind a symbol is not that symbol's (JIT code that is gone, say).
const FUNCTION_MAX: u64 = 256 << 10;

/// The function that an address lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its name; the first in the file where several names have one address, as the kernel itself chooses.
    pub name: Box<str>,
    /// Its address.
    pub start: u64,
    /// Bytes to the next symbol, 0 where there is none.
    pub size: u64,
    /// Its module; `kernel` for the core kernel, `bpf` for eBPF programs and trampolines.
    pub module: Box<str>,
}

/// What is known of kernel addresses.
#[derive(Debug, Default)]
pub struct Symbols {
    known: HashMap<u64, Option<Symbol>>,
    hidden: bool,
    /// Single addresses that were asked for, and all symbols once they were many.
    asked: u32,
    all: Option<Table>,
}

/// Single questions that are answered by a pass over the file each.
const PASSES: u32 = 2;
/// The address of a symbol of the kernel.
pub fn address_of(name: &str) -> io::Result<u64> {
    let none = || io::Error::from_raw_os_error(libc::ENOENT);
    for line in BufReader::new(File::open("/proc/kallsyms")?).lines() {
        let line = line?;
        let mut words = line.split_ascii_whitespace();
        if let (Some(address), Some(_), Some(found)) = (words.next(), words.next(), words.next())
            && found == name
        {
            return u64::from_str_radix(address, 16).ok().filter(|address| *address != 0).ok_or_else(none);
        }
    }
    Err(none())
}

/// Calls `each` with the module, the name and the address of every function of modules.
pub fn of_modules(mut each: impl FnMut(&str, &str, u64)) -> io::Result<()> {
    lines(File::open("/proc/kallsyms")?, |line| {
        let Some((start, kind, rest)) = split(line).filter(|(start, ..)| *start != 0) else { return };
        let (name, module) = name_and_module(rest);
        let module = module.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]"));
        if let (Some(module), Ok(name), true) =
            (module, str::from_utf8(name), is_function(kind) && rest.len() > name.len())
            && let Ok(module) = str::from_utf8(module)
        {
            each(module, name, start);
        }
    })
}

impl Symbols {
    /// Learns the names of those addresses that are not known yet.
    pub fn learn(&mut self, addresses: impl Iterator<Item = u64>) -> io::Result<()> {
        let mut wanted: Vec<u64> = addresses.filter(|address| !self.known.contains_key(address)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() || self.hidden {
            return Ok(());
        }
        self.learn_from(File::open("/proc/kallsyms")?, &wanted)
    }

    /// The function that an address lies in, learned if need be.
    pub fn find(&mut self, address: u64) -> Option<&Symbol> {
        if !self.known.contains_key(&address) {
            self.asked += 1;
            let table = match (&self.all, self.asked > PASSES && !self.hidden) {
                (None, true) => std::fs::read("/proc/kallsyms").ok().map(Table::new),
                _ => self.all.take(),
            };
            match &table {
                Some(table) => drop(self.known.insert(address, table.get(address))),
                // What cannot be read names nothing.
                None => drop(self.learn([address].into_iter())),
            }
            self.all = table;
        }
        self.get(address)
    }

    /// Learns from a text in place of the machine's.
    #[cfg(test)]
    pub(crate) fn learn_text(&mut self, kallsyms: &str, addresses: &[u64]) {
        let mut wanted = addresses.to_vec();
        wanted.sort_unstable();
        self.learn_from(kallsyms.as_bytes(), &wanted).expect("a slice can be read");
    }

    fn learn_from(&mut self, file: impl Read, wanted: &[u64]) -> io::Result<()> {
        let mut search = Search::new(wanted);
        lines(file, |line| search.line(line))?;
        self.hidden = search.highest == 0;
        if !self.hidden {
            self.known.extend(search.finish());
        }
        Ok(())
    }

    /// The function that an address lies in, where it has been learned.
    pub fn get(&self, address: u64) -> Option<&Symbol> {
        self.known.get(&address)?.as_ref()
    }

    /// Makes an address known that lies in the same function as another.
    pub fn same_function(&mut self, address: u64, other: u64) {
        let symbol = self.known.get(&other).cloned().flatten();
        self.known.entry(address).or_insert(symbol);
    }

    /// Why no address has a name, where the kernel hides its addresses.
    pub fn hidden(&self) -> Option<&'static str> {
        self.hidden.then(|| match privilege::may_see_addresses() {
            true => "addresses in /proc/kallsyms are hidden (kernel.kptr_restrict=2): stacks are printed without names",
            false => {
                "CAP_SYSLOG is missing, so addresses in /proc/kallsyms are hidden: stacks are printed without names"
            }
        })
    }
}

/// All symbols.
#[derive(Debug)]
struct Table {
    text: Vec<u8>,
    /// Address, whether it is a function's, and where its name starts: by address, then as they stand in the file.
    symbols: Vec<(u64, bool, u32)>,
}

impl Table {
    fn new(text: Vec<u8>) -> Table {
        let mut symbols = Vec::with_capacity(text.len() / 40);
        let mut at = 0;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let trimmed = line.strip_suffix(b"\n").unwrap_or(line);
            if let Some((start, kind, rest)) = split(trimmed) {
                symbols.push((start, is_function(kind), (at + trimmed.len() - rest.len()) as u32));
            }
            at += line.len();
        }
        symbols.sort_by_key(|(start, ..)| *start);
        Table { text, symbols }
    }

    fn get(&self, address: u64) -> Option<Symbol> {
        let behind = self.symbols.partition_point(|(start, ..)| *start <= address);
        let (nearest, ..) = *self.symbols[..behind].iter().rfind(|(_, function, _)| *function)?;
        let first = self.symbols.partition_point(|(start, ..)| *start < nearest);
        let (start, _, name) = *self.symbols[first..].iter().find(|(_, function, _)| *function)?;
        let above = self.symbols[behind..].first();
        let line = self.text[name as usize..].split(|byte| *byte == b'\n').next().unwrap_or_default();
        let (name, module) = name_and_module(line);
        let below = Candidate { start, name: name.into(), module: module.into() };
        symbol(address, &below, above.map_or(u64::MAX, |(above, ..)| *above))
    }
}

fn is_function(kind: u8) -> bool {
    matches!(kind, b't' | b'T' | b'w' | b'W')
}

/// What stands behind a symbol's type: the name, and behind a tab `[module]`.
fn name_and_module(rest: &[u8]) -> (&[u8], &[u8]) {
    match rest.iter().position(|byte| *byte == b'\t') {
        Some(tab) => (&rest[..tab], rest[tab + 1..].trim_ascii()),
        None => (rest, b"[kernel]"),
    }
}

/// Calls `each` with every line, without its line feed.
fn lines(file: impl Read, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = BufReader::with_capacity(BUFFER, file);
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        each(line.strip_suffix(b"\n").unwrap_or(&line));
        line.clear();
    }
    Ok(())
}

/// The nearest symbols around wanted addresses.
///
/// A symbol is remembered only at the first wanted address at or behind it, and as the end of the last one before it;
/// what lies between two wanted addresses is passed on at the end.
struct Search<'a> {
    wanted: &'a [u64],
    below: Vec<Option<Candidate>>,
    above: Vec<u64>,
    highest: u64,
}

#[derive(Clone, Default)]
struct Candidate {
    start: u64,
    name: Vec<u8>,
    module: Vec<u8>,
}

impl<'a> Search<'a> {
    fn new(wanted: &'a [u64]) -> Search<'a> {
        Search { wanted, below: vec![None; wanted.len()], above: vec![u64::MAX; wanted.len()], highest: 0 }
    }

    /// Takes `ffffffff81000000 T _text`, behind a tab `[module]`.
    fn line(&mut self, line: &[u8]) {
        let Some((start, kind, rest)) = split(line) else { return };
        self.highest = self.highest.max(start);
        let at = self.wanted.partition_point(|address| *address < start);
        if let Some(above) = at.checked_sub(1).map(|before| &mut self.above[before]) {
            *above = (*above).min(start);
        }
        if !is_function(kind) || at == self.wanted.len() {
            return;
        }
        let best = &mut self.below[at];
        if best.as_ref().is_some_and(|best| best.start >= start) {
            return;
        }
        let (name, module) = name_and_module(rest);
        // The allocations of the last candidate are used again: the file is sorted, so each is replaced many times.
        let best = best.get_or_insert_default();
        best.start = start;
        best.name.clear();
        best.name.extend_from_slice(name);
        best.module.clear();
        best.module.extend_from_slice(module);
    }

    fn finish(mut self) -> impl Iterator<Item = (u64, Option<Symbol>)> {
        for at in 1..self.wanted.len() {
            let (before, from) = self.below.split_at_mut(at);
            let nearer = |here: &Candidate| before[at - 1].as_ref().is_none_or(|there| there.start <= here.start);
            if !from[0].as_ref().is_some_and(nearer) {
                from[0].clone_from(&before[at - 1]);
            }
        }
        for at in (1..self.wanted.len()).rev() {
            self.above[at - 1] = self.above[at - 1].min(self.above[at]);
        }
        let found = self.wanted.iter().zip(self.below).zip(self.above);
        found.map(|((address, below), above)| (*address, below.and_then(|below| symbol(*address, &below, above))))
    }
}

fn symbol(address: u64, below: &Candidate, above: u64) -> Option<Symbol> {
    if address - below.start >= FUNCTION_MAX {
        return None;
    }
    let module = below.module.strip_prefix(b"[").and_then(|m| m.strip_suffix(b"]")).unwrap_or(&below.module);
    Some(Symbol {
        name: String::from_utf8_lossy(&below.name).into(),
        start: below.start,
        size: if above == u64::MAX { 0 } else { above - below.start },
        module: String::from_utf8_lossy(module).into(),
    })
}

fn split(line: &[u8]) -> Option<(u64, u8, &[u8])> {
    let digits = line.iter().position(|byte| *byte == b' ')?;
    let mut start = 0;
    for digit in &line[..digits] {
        start = start << 4 | u64::from(char::from(*digit).to_digit(16)?);
    }
    let [kind, b' ', rest @ ..] = &line[digits + 1..] else { return None };
    Some((start, *kind, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000100 t helper.isra.0
ffffffff81000180 d data_inside
ffffffff81000200 W weak
ffffffff81000300 T last
ffffffff82000000 D data
ffffffffc0100000 t mod_init\t[ext4]
ffffffffc0000000 t other\t[nvme]
ffffffffc0000080 t other2\t[nvme]
ffffffffc0200000 t bpf_prog_6deef7357e7b4530_slab\t[bpf]
";

    fn learned(text: &str, wanted: &[u64]) -> Symbols {
        let mut symbols = Symbols::default();
        symbols.learn_from(text.as_bytes(), wanted).expect("a slice can be read");
        symbols
    }

    fn shown(symbols: &Symbols, address: u64) -> String {
        symbols
            .get(address)
            .map_or("?".into(), |s| format!("{}+{:#x}/{:#x} [{}]", s.name, address - s.start, s.size, s.module))
    }

    #[test]
    fn an_address_gets_the_first_name_of_the_text_symbol_below_it() {
        let wanted = [0xffff_ffff_8100_0010, 0xffff_ffff_8100_0190, 0xffff_ffff_8100_0200, 0xffff_ffff_c000_0010];
        let symbols = learned(KALLSYMS, &wanted);
        assert_eq!(shown(&symbols, wanted[0]), "_stext+0x10/0x100 [kernel]");
        assert_eq!(shown(&symbols, wanted[1]), "helper.isra.0+0x90/0x100 [kernel]");
        assert_eq!(shown(&symbols, wanted[2]), "weak+0x0/0x100 [kernel]");
        assert_eq!(shown(&symbols, wanted[3]), "other+0x10/0x80 [nvme]");
    }

    #[test]
    fn a_table_says_the_same() {
        let table = Table::new(KALLSYMS.into());
        let addresses =
            [0x8100_0010, 0x8100_0190, 0x8100_0200, 0xc000_0010, 0x8100_0103, 0x1000, 0xa000_0000, 0xc020_0010];
        let wanted = addresses.map(|low| 0xffff_ffff_0000_0000 | low);
        let symbols = learned(KALLSYMS, &{
            let mut sorted = wanted;
            sorted.sort_unstable();
            sorted
        });
        for address in wanted {
            assert_eq!(table.get(address).as_ref(), symbols.get(address), "{address:#x}");
        }
    }

    #[test]
    fn several_addresses_in_one_function_all_get_its_name() {
        let wanted = [0xffff_ffff_8100_0101, 0xffff_ffff_8100_0102, 0xffff_ffff_8100_0103];
        let symbols = learned(KALLSYMS, &wanted);
        for address in wanted {
            assert_eq!(shown(&symbols, address), format!("helper.isra.0+{:#x}/0x80 [kernel]", address & 0xff));
        }
    }

    #[test]
    fn an_address_far_behind_every_symbol_has_no_name() {
        let wanted = [0x1000, 0xffff_ffff_a000_0000, 0xffff_ffff_c020_0010];
        let symbols = learned(KALLSYMS, &wanted);
        assert_eq!(shown(&symbols, wanted[0]), "?");
        assert_eq!(shown(&symbols, wanted[1]), "?");
        assert_eq!(shown(&symbols, wanted[2]), "bpf_prog_6deef7357e7b4530_slab+0x10/0x0 [bpf]");
    }

    #[test]
    fn hidden_addresses_are_noticed() {
        let hidden = KALLSYMS.lines().map(|line| format!("{:016x}{}\n", 0, &line[16..])).collect::<String>();
        let symbols = learned(&hidden, &[0xffff_ffff_8100_0010]);
        assert!(symbols.hidden().is_some());
        assert!(learned(KALLSYMS, &[1]).hidden().is_none());
    }

    #[test]
    fn lines_are_whole_wherever_reads_end() {
        struct Dribble<'a>(&'a [u8]);
        impl Read for Dribble<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let len = self.0.len().min(7).min(buffer.len());
                buffer[..len].copy_from_slice(&self.0[..len]);
                self.0 = &self.0[len..];
                Ok(len)
            }
        }
        let mut seen = Vec::new();
        lines(Dribble(KALLSYMS.trim_end().as_bytes()), |line| seen.push(String::from_utf8_lossy(line).into_owned()))
            .expect("reads");
        assert_eq!(seen, KALLSYMS.lines().collect::<Vec<_>>());
    }
}
