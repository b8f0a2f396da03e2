//! What handles stand for: strings and stacks that lie once in a map of their own.
//!
//! Strings are fetched one by one and kept, as generated code holds their addresses. Stacks are fetched all at once, so
//! that one pass over the kernel's symbols names all their frames.

use crate::map;
use crate::output::stack;
use crate::symbol::Symbols;
use crate::sys::bpf::Map;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use tapster_compiler::image::{Image, MapRole};
use tapster_runtime_ebpf::intern;

/// The texts and stacks behind handles.
#[derive(Debug)]
pub struct Interned {
    strings: Option<usize>,
    stacks: Option<usize>,
    texts: HashMap<u64, Box<[u8]>>,
    frames: Vec<u64>,
    /// Where a stack lies in `frames`, and the process it is of.
    known: HashMap<u64, Known>,
    pub(crate) symbols: Symbols,
    /// Functions whose entry is probed.
    probed: Vec<String>,
    warned: bool,
}

#[derive(Clone, Debug)]
struct Known {
    range: Range<usize>,
    process: u32,
}

/// A stack.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack<'a> {
    /// Its addresses, innermost first.
    pub frames: &'a [u64],
    /// The process that addresses of programs belong to; 0 where there are none.
    pub process: u32,
}

impl Interned {
    /// Knows which of an image's maps hold strings and stacks; reads nothing yet.
    pub fn new(image: &Image) -> Interned {
        let with_role = |role| image.maps.iter().position(|map| map.role == role);
        let mut probed = Vec::new();
        for program in &image.programs {
            let functions = program.attach.functions().iter();
            probed.extend(functions.map(|name| name.rsplit(':').next().unwrap_or(name).to_owned()));
        }
        Interned {
            strings: with_role(MapRole::Strings),
            stacks: with_role(MapRole::Stacks),
            texts: HashMap::new(),
            frames: Vec::new(),
            known: HashMap::new(),
            symbols: Symbols::default(),
            probed,
            warned: false,
        }
    }

    /// The NUL-terminated string with this handle; it stays where it is. Empty where the kernel does not have it.
    pub fn text(&mut self, maps: &[Map], handle: u64) -> &[u8] {
        if handle == intern::NONE {
            return b"\0";
        }
        let strings = self.strings.and_then(|at| maps.get(at));
        self.texts.entry(handle).or_insert_with(|| {
            let Some(map) = strings else { return Box::from(*b"\0") };
            let mut text = vec![0; map.value_size()];
            if !map.lookup(&handle.to_ne_bytes(), &mut text).unwrap_or(false) {
                text.clear();
            }
            let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
            text.truncate(end);
            text.push(0);
            text.into()
        })
    }

    /// The handle of a text: known from now on, to kernel handlers as well.
    pub fn intern(&mut self, maps: &[Map], text: &[u8]) -> u64 {
        let handle = intern::text(text);
        if handle == intern::NONE || self.texts.contains_key(&handle) {
            return handle;
        }
        if let Some(map) = self.strings.and_then(|at| maps.get(at)) {
            let mut value = vec![0; map.value_size()];
            let len = text.len().min(value.len() - 1);
            value[..len].copy_from_slice(&text[..len]);
            // Where the map is full, kernel handlers count their own attempts as lost; user space has the text anyway.
            let _ = map.update(&handle.to_ne_bytes(), &value, 0);
        }
        let mut kept = text.to_vec();
        kept.push(0);
        self.texts.insert(handle, kept.into());
        handle
    }

    /// Prints a stack as `print_stack` does. Gives a warning to print, at most once.
    pub fn print_stack(&mut self, maps: &[Map], handle: u64, out: &mut Vec<u8>) -> Option<String> {
        let trouble = self.learn(maps, handle).err();
        stack::print(self.stack(handle).frames, &self.symbols, out);
        self.warn_once(trouble)
    }

    /// Writes a stack as `backtrace()` gives it. Gives a warning to print, at most once.
    pub fn stack_text(&mut self, maps: &[Map], handle: u64, out: &mut Vec<u8>) -> Option<String> {
        let trouble = self.learn(maps, handle).err();
        stack::addresses(self.stack(handle).frames, out);
        self.warn_once(trouble)
    }

    /// A stack and what names the kernel's part of it. Gives a warning to print, at most once.
    pub fn frames(&mut self, maps: &[Map], handle: u64) -> (Stack<'_>, &Symbols, Option<String>) {
        let trouble = self.learn(maps, handle).err();
        let warning = self.warn_once(trouble);
        (self.stack(handle), &self.symbols, warning)
    }

    fn warn_once(&mut self, trouble: Option<io::Error>) -> Option<String> {
        let text = match (trouble, self.symbols.hidden()) {
            (Some(error), _) => format!("cannot read stacks or their symbols: {error}"),
            (None, Some(hidden)) => hidden.into(),
            (None, None) => return None,
        };
        (!std::mem::replace(&mut self.warned, true)).then_some(text)
    }

    /// A stack without the frames of the tracer.
    fn stack(&self, handle: u64) -> Stack<'_> {
        let stack = |known: &Known| Stack { frames: &self.frames[known.range.clone()], process: known.process };
        self.known.get(&handle).map_or_else(Stack::default, stack)
    }

    /// Makes a stack known: all that the kernel has by now are read with it, and their addresses named.
    fn learn(&mut self, maps: &[Map], handle: u64) -> io::Result<()> {
        if handle == intern::NONE || self.known.contains_key(&handle) {
            return Ok(());
        }
        let Some(map) = self.stacks.and_then(|at| maps.get(at)) else { return Ok(()) };
        let (mut new, first_frame) = (Vec::new(), self.frames.len());
        map::for_each(map, |key, value| {
            let handle = word(key, 0);
            if !self.known.contains_key(&handle) {
                let start = self.frames.len();
                self.frames.extend(frames(value));
                let process = (word(value, intern::stack::COUNT) >> 32) as u32;
                self.known.insert(handle, Known { range: start..self.frames.len(), process });
                new.push(handle);
            }
        })?;
        let new_frames = self.frames[first_frame..].iter().copied();
        let learned = self.symbols.learn(new_frames.filter(|address| *address >= stack::KERNEL));
        new.into_iter().for_each(|handle| self.trim(handle));
        learned
    }

    /// Takes the tracer's frames off a stack.
    fn trim(&mut self, handle: u64) {
        let Some(Known { range, .. }) = self.known.get_mut(&handle) else { return };
        let probed: Vec<&str> = self.probed.iter().map(String::as_str).collect();
        range.start += stack::tracer_frames(&self.frames[range.clone()], &self.symbols, &probed);
        if let Some(first) = self.frames[range.clone()].first_mut() {
            *first = stack::entry(*first, &mut self.symbols, &probed);
        }
    }
}

fn word(bytes: &[u8], at: u32) -> u64 {
    tapster_runtime_ebpf::aggregate::read(bytes, at) as u64
}

/// The frames in a value of the stack map.
fn frames(value: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let count = word(value, intern::stack::COUNT) as u32 as usize;
    let (words, _) = value[intern::stack::FRAMES as usize..].as_chunks::<8>();
    words.iter().take(count).map(|frame| u64::from_ne_bytes(*frame)).take_while(|frame| *frame != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_ends_at_its_count() {
        let words: [u64; 5] = [77 << 32 | 2, 0xa, 0xb, 0xc, 0];
        let value: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(frames(&value).collect::<Vec<_>>(), [0xa, 0xb]);
    }

    #[test]
    fn an_interned_text_is_remembered() {
        let mut interned = Interned::new(&Image::default());
        let handle = interned.intern(&[], b"dentry");
        assert_eq!(handle, intern::text(b"dentry"));
        assert_eq!(interned.text(&[], handle), b"dentry\0");
        assert_eq!(interned.intern(&[], b""), intern::NONE);
    }

    #[test]
    fn the_handle_of_nothing_is_an_empty_text_and_an_empty_stack() {
        let mut interned = Interned::new(&Image::default());
        assert_eq!(interned.text(&[], intern::NONE), b"\0");
        assert_eq!(interned.text(&[], 7), b"\0");
        let mut out = Vec::new();
        assert_eq!(interned.print_stack(&[], intern::NONE, &mut out), None);
        assert!(out.is_empty());
    }
}
