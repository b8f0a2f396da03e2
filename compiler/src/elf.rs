//! Programs and libraries: what an ELF file says of itself, without its debug information.
//!
//! Addresses are those the file was linked for; the kernel wants offsets in the file. Nothing in a file is taken for
//! granted: what cannot be read is not there.

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH};
use object::read::elf::ElfFile64;
use object::{Architecture, Object, ObjectSection, ObjectSegment, ObjectSymbol, SymbolKind};
use object::{RelocationTarget, SegmentFlags};
use std::borrow::Cow;
use std::collections::HashMap;

/// A program, a library or a file of debug information.
pub struct Elf<'a> {
    file: ElfFile64<'a>,
}

/// A function by its symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, without a version.
    pub name: String,
    /// Where it begins.
    pub address: u64,
    /// Its bytes; 0 where the symbol does not say.
    pub size: u64,
    /// Whether other files can call it.
    pub global: bool,
}

/// A place that the author of a program has marked, from a note of `.note.stapsdt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Whose it is.
    pub provider: String,
    /// Its name.
    pub name: String,
    /// What the assembler wrote of its arguments.
    pub arguments: String,
    /// Where it is.
    pub address: u64,
    /// Where the program looks whether anybody watches.
    pub semaphore: Option<u64>,
}

/// `PF_X` of a segment's flags.
const EXECUTABLE: u32 = 1;

impl<'a> Elf<'a> {
    /// Of a file's bytes; `None` where it is no ELF file of this machine.
    pub fn new(bytes: &'a [u8]) -> Option<Elf<'a>> {
        let file = ElfFile64::parse(bytes).ok()?;
        let here = match file.architecture() {
            Architecture::X86_64 => cfg!(target_arch = "x86_64"),
            Architecture::Aarch64 => cfg!(target_arch = "aarch64"),
            _ => false,
        };
        here.then_some(Elf { file })
    }

    /// The offset in the file of an address that is executed.
    pub fn offset(&self, address: u64) -> Option<u64> {
        self.file.segments().find_map(|segment| {
            let SegmentFlags::Elf { p_flags } = segment.flags() else { return None };
            let (start, size) = segment.file_range();
            let within = address.checked_sub(segment.address())?;
            (p_flags & EXECUTABLE != 0 && within < size).then(|| start.checked_add(within)).flatten()
        })
    }

    /// Functions by their symbols, with all their names.
    pub fn all_functions(&self) -> Vec<Function> {
        let full = self.file.symbols().filter_map(function);
        let dynamic = self.file.dynamic_symbols().filter_map(function);
        let mut functions: Vec<Function> = full.collect();
        if functions.is_empty() {
            functions = dynamic.collect();
        }
        functions
    }

    /// Stubs through which the file calls functions of others: name and address.
    pub fn plt(&self) -> Vec<(String, u64)> {
        let slots = self.slots();
        let sections = self.file.sections().filter(|section| section.name().is_ok_and(|name| name.starts_with(".plt")));
        let mut stubs: Vec<(String, u64)> = Vec::new();
        for section in sections {
            let Ok(code) = section.data() else { continue };
            let found = stub::targets(code, section.address());
            stubs.extend(found.filter_map(|(address, slot)| Some((slots.get(&slot)?.clone(), address))));
        }
        stubs.sort_by_key(|(_, address)| *address);
        stubs
    }

    /// The functions of others whose addresses the loader writes down, by where it does.
    fn slots(&self) -> HashMap<u64, String> {
        let relocations = self.file.dynamic_relocations().into_iter().flatten();
        let named = relocations.filter_map(|(slot, relocation)| {
            let RelocationTarget::Symbol(index) = relocation.target() else { return None };
            let symbol = object::ObjectSymbolTable::symbol_by_index(&self.file.dynamic_symbol_table()?, index).ok()?;
            let name = symbol.name().ok().filter(|name| !name.is_empty())?;
            Some((slot, name.to_owned()))
        });
        named.collect()
    }

    /// A section's bytes, unpacked where they are compressed; empty where there is none.
    pub fn section(&self, name: &str) -> Cow<'a, [u8]> {
        let section = self.file.section_by_name(name);
        section.and_then(|section| section.uncompressed_data().ok()).unwrap_or_default()
    }

    /// Where a section lies.
    pub fn section_address(&self, name: &str) -> Option<u64> {
        self.file.section_by_name(name).map(|section| section.address())
    }

    /// The marks.
    pub fn marks(&self) -> Vec<Mark> {
        /// The type of such a note.
        const STAPSDT: u32 = 3;
        let notes = self.section(".note.stapsdt");
        let (mut marks, mut rest) = (Vec::new(), &notes[..]);
        // Where the section with this name was when the notes were written: prelink moves it.
        let base = self.section_address(".stapsdt.base");
        while let Some((note, behind)) = note(rest) {
            rest = behind;
            if note.kind == STAPSDT && note.owner == b"stapsdt\0" {
                marks.extend(mark(note.content, base));
            }
        }
        marks
    }

    /// What identifies the build that a file comes from.
    pub fn build_id(&self) -> Option<&'a [u8]> {
        self.file.build_id().ok().flatten()
    }

    /// The name of the file with the debug information.
    pub fn debug_link(&self) -> Option<&'a str> {
        let (name, _) = self.file.gnu_debuglink().ok().flatten()?;
        core::str::from_utf8(name).ok()
    }

    /// The offset in the file of an address that is read or written.
    pub fn data_offset(&self, address: u64) -> Option<u64> {
        self.file.segments().find_map(|segment| {
            let (start, size) = segment.file_range();
            let within = address.checked_sub(segment.address())?;
            (within < size).then(|| start.checked_add(within)).flatten()
        })
    }

    /// The address of a symbol of any kind.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        let named = |symbol: object::read::elf::ElfSymbol64<'a, '_>| {
            (symbol.is_definition() && symbol.name() == Ok(name)).then(|| symbol.address())
        };
        self.file.symbols().find_map(named).or_else(|| self.file.dynamic_symbols().find_map(named))
    }

    /// Names of the libraries that it needs, and where it says they are to be looked for.
    pub fn needed(&self) -> (Vec<String>, Vec<String>) {
        let (mut needed, mut paths) = (Vec::new(), Vec::new());
        for (tag, text) in self.dynamic_strings() {
            match tag == DT_NEEDED {
                true => needed.push(text),
                false => paths.extend(text.split(':').map(str::to_owned)),
            }
        }
        (needed, paths)
    }

    fn dynamic_strings(&self) -> Vec<(i64, String)> {
        let Ok(table) = self.file.elf_dynamic_table() else { return Vec::new() };
        let wanted = [DT_NEEDED, DT_RPATH, DT_RUNPATH];
        let text = |entry: object::read::elf::Dynamic| {
            let text = wanted.contains(&entry.tag).then(|| table.string(entry).ok()).flatten()?;
            Some((entry.tag, String::from_utf8_lossy(text).into_owned()))
        };
        table.iter().filter_map(text).collect()
    }
}

/// What identifies a build, among the notes of a program that runs.
pub fn build_of(notes: &[u8]) -> Option<&[u8]> {
    /// `NT_GNU_BUILD_ID`
    const BUILD: u32 = 3;
    let mut rest = notes;
    while let Some((note, behind)) = note(rest) {
        rest = behind;
        if note.kind == BUILD && note.owner == b"GNU\0" {
            return Some(note.content);
        }
    }
    None
}

/// Bytes as builds are written.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A note of a section.
struct Note<'n> {
    kind: u32,
    owner: &'n [u8],
    content: &'n [u8],
}

/// The first of a section's notes, and what is behind it.
fn note(bytes: &[u8]) -> Option<(Note<'_>, &[u8])> {
    let word = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let (owner, content) = (word(0)? as usize, word(4)? as usize);
    let from = 12 + owner.checked_next_multiple_of(4)?;
    let behind = from.checked_add(content)?.checked_next_multiple_of(4)?.min(bytes.len());
    let content = bytes.get(from..from.checked_add(content)?)?;
    let owner = bytes.get(12..12 + owner)?;
    Some((Note { kind: word(8)?, owner, content }, &bytes[behind..]))
}

/// What a note says of a mark; `base` is where the section that it was written relative to lies now.
fn mark(content: &[u8], base: Option<u64>) -> Option<Mark> {
    let word = |nth: usize| Some(u64::from_le_bytes(*content.get(8 * nth..)?.first_chunk()?));
    let moved = base.zip(word(1)).map_or(0, |(now, then)| now.wrapping_sub(then));
    let mut texts = content.get(24..)?.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let semaphore = word(2)?;
    Some(Mark {
        provider: texts.next()?.into_owned(),
        name: texts.next()?.into_owned(),
        arguments: texts.next()?.into_owned(),
        address: word(0)?.wrapping_add(moved),
        semaphore: (semaphore != 0).then(|| semaphore.wrapping_add(moved)),
    })
}

fn function<'a>(symbol: impl ObjectSymbol<'a>) -> Option<Function> {
    if !symbol.is_definition() || symbol.kind() != SymbolKind::Text {
        return None;
    }
    let name = symbol.name().ok()?.split('@').next().filter(|name| !name.is_empty())?;
    Some(Function { name: name.to_owned(), address: symbol.address(), size: symbol.size(), global: symbol.is_global() })
}

/// Stubs of the procedure linkage table: code that jumps to where a slot points.
mod stub {
    /// Address and slot of every stub in a section's code.
    #[cfg(target_arch = "x86_64")]
    pub fn targets(code: &[u8], address: u64) -> impl Iterator<Item = (u64, u64)> {
        /// `endbr64`.
        const LANDING: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
        let stub = move |start: usize| {
            let mut at = start;
            if code[at..].starts_with(LANDING) {
                at += LANDING.len();
            }
            // `bnd`
            if code.get(at) == Some(&0xf2) {
                at += 1;
            }
            // `jmp *distance(%rip)`
            let jump = code.get(at..at + 6)?;
            let distance = i32::from_le_bytes(*jump.strip_prefix(&[0xff, 0x25])?.first_chunk()?);
            let behind = address.wrapping_add(at as u64 + 6);
            Some((address.wrapping_add(start as u64), behind.wrapping_add_signed(distance.into())))
        };
        // Stubs have 16 bytes, those of functions whose address is taken as well 8.
        (0..code.len()).step_by(8).filter_map(stub)
    }

    /// Address and slot of every stub in a section's code.
    #[cfg(target_arch = "aarch64")]
    pub fn targets(code: &[u8], address: u64) -> impl Iterator<Item = (u64, u64)> {
        let word = |at: usize| Some(u32::from_le_bytes(*code.get(at..)?.first_chunk()?));
        let stub = move |start: usize| {
            // `bti c`
            let at = if word(start)? == 0xd503_245f { start + 4 } else { start };
            let (page, load) = (word(at)?, word(at + 4)?);
            // `adrp x16, page`, `ldr x17, [x16, #offset]`
            if page & 0x9f00_001f != 0x9000_0010 || load & 0xffc0_03ff != 0xf940_0211 {
                return None;
            }
            let pages = i64::from((page >> 5 & 0x7_ffff) << 2 | page >> 29 & 3) << 43 >> 43;
            let base = (address.wrapping_add(at as u64) & !0xfff).wrapping_add_signed(pages << 12);
            Some((address.wrapping_add(start as u64), base.wrapping_add(u64::from(load >> 10 & 0xfff) * 8)))
        };
        (0..code.len()).step_by(8).filter_map(stub)
    }
}
