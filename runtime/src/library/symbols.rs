//! Addresses of stacks and of processes as names, in SystemTap's formats (function::symdata(3stap) and its neighbours).

use crate::process_symbol::Process;
use crate::symbol::{Symbol, Symbols};
use std::cell::OnceCell;

/// What an address is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The address.
    pub address: u64,
    /// The function: its name, the offset in it, its size.
    pub function: Option<(String, u64, u64)>,
    /// The module or file, and the offset in it.
    pub module: Option<(String, u64)>,
}

impl Place {
    fn name(&self) -> String {
        self.function.as_ref().map_or_else(|| format!("{:#x}", self.address), |(name, ..)| name.clone())
    }

    fn module(&self) -> String {
        self.module.as_ref().map_or_else(|| "<unknown>".into(), |(module, _)| module.clone())
    }

    /// `name+0x1/0x10 [module]`; `[module+0x1234]` stands behind the address of what has no name.
    fn data(&self) -> String {
        match (&self.function, &self.module) {
            (Some((name, offset, size)), Some((module, _))) => format!("{name}+{offset:#x}/{size:#x} [{module}]"),
            (Some((name, offset, size)), None) => format!("{name}+{offset:#x}/{size:#x}"),
            (None, Some((module, offset))) => format!("{:#x} [{module}+{offset:#x}]", self.address),
            (None, None) => format!("{:#x}", self.address),
        }
    }
}

/// How a place becomes a line.
#[derive(Clone, Copy, Debug)]
pub enum Line {
    /// ` 0x00007f… : name+0x1/0x10 [module]`
    Full,
    /// `name+0x1 [module]`
    Simple,
}

impl Line {
    fn of(self, place: &Place) -> String {
        match self {
            Line::Full => full(place),
            Line::Simple => simple(place),
        }
    }
}

fn full(place: &Place) -> String {
    let address = place.address;
    match (&place.function, &place.module) {
        (Some(_), _) => format!(" {address:#018x} : {}\n", place.data()),
        (None, Some((module, offset))) => format!(" {address:#018x} [{module}+{offset:#x}]\n"),
        (None, None) => format!(" {address:#018x}\n"),
    }
}

fn simple(place: &Place) -> String {
    match (&place.function, &place.module) {
        (Some((name, offset, _)), Some((module, _))) => format!("{name}+{offset:#x} [{module}]\n"),
        (Some((name, offset, _)), None) => format!("{name}+{offset:#x}\n"),
        (None, _) => place.data() + "\n",
    }
}

/// A place that many stacks have, with its lines once they were made.
#[derive(Debug)]
pub struct Known {
    /// The place.
    pub place: Place,
    lines: [OnceCell<String>; 2],
}

impl Known {
    /// A place.
    pub fn new(place: Place) -> Known {
        Known { place, lines: Default::default() }
    }

    fn line(&self, line: Line) -> &str {
        self.lines[line as usize].get_or_init(|| line.of(&self.place))
    }
}

/// The addresses in a stack's text.
fn addresses(stack: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let words = stack.split(u8::is_ascii_whitespace);
    words.filter_map(|word| u64::from_str_radix(std::str::from_utf8(word).ok()?.strip_prefix("0x")?, 16).ok())
}

/// An address of a stack, from 0 on; 0 where it has fewer.
pub fn nth_address(stack: &[u8], number: i64) -> i64 {
    let nth = usize::try_from(number).ok().and_then(|number| addresses(stack).nth(number));
    nth.unwrap_or(0) as i64
}

/// A line for each address of a stack of the kernel.
pub fn kernel_lines(symbols: &mut Symbols, stack: &[u8], line: Line) -> Vec<u8> {
    addresses(stack).flat_map(|address| line.of(&place_of(address, symbols.find(address))).into_bytes()).collect()
}

/// What an address of the kernel is.
pub fn place_of(address: u64, symbol: Option<&Symbol>) -> Place {
    let function = symbol.map(|symbol| (symbol.name.to_string(), address - symbol.start, symbol.size));
    let module = symbol.map(|symbol| (symbol.module.to_string(), 0));
    Place { address, function, module }
}

impl Process<'_> {
    /// The function at an address.
    pub fn name(&mut self, address: i64) -> Vec<u8> {
        self.known(address as u64).place.name().into()
    }

    /// The same with offset, size and file.
    pub fn data(&mut self, address: i64) -> Vec<u8> {
        self.known(address as u64).place.data().into()
    }

    /// The file.
    pub fn module(&mut self, address: i64) -> Vec<u8> {
        self.known(address as u64).place.module().into()
    }

    /// A line for each address of a stack.
    pub fn lines(&mut self, stack: &[u8], line: Line) -> Vec<u8> {
        let mut text = Vec::new();
        addresses(stack).for_each(|address| text.extend_from_slice(self.known(address).line(line).as_bytes()));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forms of function::symdata(3stap) and function::print_ustack(3stap).
    #[test]
    fn places_look_as_systemtap_prints_them() {
        let module = Some(("/bin/app".into(), 0x1234));
        let known = Place { address: 0x40_1234, function: Some(("main".into(), 4, 16)), module: module.clone() };
        assert_eq!((known.name(), known.module()), ("main".into(), "/bin/app".into()));
        assert_eq!(full(&known), " 0x0000000000401234 : main+0x4/0x10 [/bin/app]\n");
        assert_eq!(simple(&known), "main+0x4 [/bin/app]\n");
        let unknown = Place { address: 0x40_1234, function: None, module };
        assert_eq!(full(&unknown), " 0x0000000000401234 [/bin/app+0x1234]\n");
        assert_eq!(Place { address: 16, ..Place::default() }.data(), "0x10");
        assert_eq!([0, 1, 2].map(|nth| nth_address(b"0x10 0xff", nth)), [16, 255, 0]);
    }
}
