//! Writes linked programs and their maps as an ELF object that libbpf, bpftool and `llvm-objdump` read.
//!
//! Entries go into the sections that say where they attach, subprograms into `.text`, maps into `.maps`, where BTF describes them.
//! A map that code addresses directly has no place there: libbpf makes such a map from a section of zeroes, so it becomes one.
use super::Reloc;
use super::btf_writer::{Btf, FuncInfo, LineInfo, Linkage, Member, Source, TypeId, identifier};
use super::isa::{CALL, Insn, JMP, PSEUDO_CALL, PSEUDO_FUNC};
use super::link::Linked;
use ::object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use ::object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};
use std::collections::BTreeMap;
use std::fmt;

/// `R_BPF_64_64`: the constant of a two-slot load.
const RELOC_WIDE: u32 = 1;
/// `R_BPF_64_32`: the distance of a call.
const RELOC_CALL: u32 = 10;
const MAP_ARRAY: u32 = 2;
const INSN_BYTES: u64 = 8;

/// A map.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// Its name.
    pub name: &'a str,
    /// `enum bpf_map_type`.
    pub kind: u32,
    /// Bytes of a key, 0 if the kind has none.
    pub key_size: u32,
    /// Bytes of a value, 0 if the kind has none.
    pub value_size: u32,
    /// Entries, or bytes of a ring.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
}

/// A function that programs are linked from.
#[derive(Clone, Copy, Debug)]
pub struct Function<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many arguments it takes; an entry's are not looked at.
    pub args: usize,
}

/// A linked program.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its name, different from all others.
    pub name: &'a str,
    /// Where it attaches, as libbpf names sections: `tp_btf/kmem_cache_alloc`.
    pub section: &'a str,
    /// Its code.
    pub linked: &'a Linked,
}

/// Everything that goes into an object.
#[derive(Clone, Copy)]
pub struct Contents<'a> {
    /// Maps, by the index that relocations have.
    pub maps: &'a [Map<'a>],
    /// Functions, by the index that [`Linked::functions`] has.
    pub functions: &'a [Function<'a>],
    /// Programs.
    pub programs: &'a [Program<'a>],
    /// What the source locations of the code stand for.
    pub source: Source<'a>,
    /// `GPL` for most helpers.
    pub license: &'a str,
}

/// Why there is no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectError {
    /// A map is addressed directly and passed to helpers, or is not an array of one value: libbpf cannot make it.
    DirectMap(String),
    /// The ELF writer refused.
    Elf(String),
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DirectMap(name) => write!(
                f,
                "map `{name}` cannot be written to an object: only an array of one value that no helper takes can be addressed directly"
            ),
            Self::Elf(reason) => write!(f, "cannot write the object: {reason}"),
        }
    }
}

impl std::error::Error for ObjectError {}

/// Writes an object.
///
/// # Errors
/// A map that libbpf has no way to make.
pub fn write(contents: &Contents) -> Result<Vec<u8>, ObjectError> {
    let mut writer = Writer::new(*contents);
    writer.license();
    writer.maps()?;
    for program in contents.programs {
        writer.program(program);
    }
    writer.relocate()?;
    writer.debug_info();
    writer.object.write().map_err(|e| ObjectError::Elf(e.to_string()))
}

struct Writer<'a> {
    contents: Contents<'a>,
    object: Object<'static>,
    btf: Btf,
    maps: Vec<SymbolId>,
    /// Subprograms already placed, by function index.
    subprograms: BTreeMap<usize, SymbolId>,
    sections: BTreeMap<String, Section>,
    open: Vec<Open>,
}

/// A section of code, with the records `.BTF.ext` has of it.
struct Section {
    id: SectionId,
    functions: Vec<FuncInfo>,
    lines: Vec<LineInfo>,
}

/// A reference that waits until every symbol is there.
struct Open {
    section: SectionId,
    offset: u64,
    to: To,
}

enum To {
    Map(usize),
    Call(usize),
    Address(usize),
}

impl<'a> Writer<'a> {
    fn new(contents: Contents<'a>) -> Self {
        Self {
            contents,
            object: Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little),
            btf: Btf::new(),
            maps: vec![],
            subprograms: BTreeMap::new(),
            sections: BTreeMap::new(),
            open: vec![],
        }
    }

    fn license(&mut self) {
        let section = self.object.add_section(vec![], b"license".to_vec(), SectionKind::Data);
        let mut text = self.contents.license.as_bytes().to_vec();
        text.push(0);
        self.object.append_section_data(section, &text, 1);
    }

    fn symbol(
        &mut self,
        name: &str,
        section: SectionId,
        value: u64,
        size: u64,
        kind: SymbolKind,
        global: bool,
    ) -> SymbolId {
        self.object.add_symbol(Symbol {
            name: identifier(name).into_bytes(),
            value,
            size,
            kind,
            scope: if global { SymbolScope::Dynamic } else { SymbolScope::Compilation },
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        })
    }
}

// Maps.
impl Writer<'_> {
    fn maps(&mut self) -> Result<(), ObjectError> {
        let is_direct = self.direct_maps()?;
        let section = self.object.add_section(vec![], b".maps".to_vec(), SectionKind::Data);
        let mut vars = vec![];
        for (map, is_direct) in self.contents.maps.iter().zip(is_direct) {
            let symbol = if is_direct { self.direct_map(map) } else { self.described_map(section, map, &mut vars) };
            self.maps.push(symbol);
        }
        if let Some((_, offset, size)) = vars.last() {
            self.btf.datasec(".maps", offset + size, &vars);
        }
        Ok(())
    }

    /// Which maps are addressed directly.
    fn direct_maps(&self) -> Result<Vec<bool>, ObjectError> {
        let count = self.contents.maps.len();
        let (mut direct, mut passed) = (vec![false; count], vec![false; count]);
        for (_, reloc) in self.contents.programs.iter().flat_map(|program| &program.linked.map_relocs) {
            match reloc {
                Reloc::Map(map) => passed[*map] = true,
                Reloc::MapValue { map } => direct[*map] = true,
                Reloc::Subprogram(_) | Reloc::FuncAddr(_) => {}
            }
        }
        for (i, map) in self.contents.maps.iter().enumerate() {
            let is_section = map.kind == MAP_ARRAY && map.max_entries == 1 && !passed[i];
            if direct[i] && !is_section {
                return Err(ObjectError::DirectMap(map.name.to_owned()));
            }
        }
        Ok(direct)
    }

    fn direct_map(&mut self, map: &Map) -> SymbolId {
        // A `.bss` of its own would take no space, but libbpf 1.1 passes over it.
        let name = format!(".data.{}", identifier(map.name)).into_bytes();
        let section = self.object.add_section(vec![], name, SectionKind::Data);
        self.object.append_section_data(section, &vec![0; map.value_size as usize], 8);
        self.symbol(map.name, section, 0, u64::from(map.value_size), SymbolKind::Data, true)
    }

    /// A variable of a structure whose members say, by the lengths of arrays they point to, what to create.
    fn described_map(&mut self, section: SectionId, map: &Map, vars: &mut Vec<(TypeId, u32, u32)>) -> SymbolId {
        let int = self.btf.plain_int();
        let fields = [
            ("type", map.kind),
            ("key_size", map.key_size),
            ("value_size", map.value_size),
            ("max_entries", map.max_entries),
            ("map_flags", map.flags),
        ];
        let mut members: Vec<Member> = vec![];
        for (name, value) in fields.into_iter().filter(|(_, value)| *value != 0) {
            let array = self.btf.array(int, int, value);
            let ty = self.btf.ptr(array);
            members.push(Member { name, ty, offset: 8 * members.len() as u32 });
        }
        let size = 8 * members.len() as u32;
        let structure = self.btf.structure("", size, &members);
        let var = self.btf.var(map.name, structure, Linkage::Global);
        let offset = self.object.append_section_data(section, &vec![0; size as usize], 8);
        vars.push((var, offset as u32, size));
        self.symbol(map.name, section, offset, u64::from(size), SymbolKind::Data, true)
    }
}

// Code.
impl Writer<'_> {
    /// Takes a linked program apart again: its entry goes to its section, its subprograms to `.text`, each only once.
    fn program(&mut self, program: &Program) {
        let linked = program.linked;
        let ends = linked.functions.iter().skip(1).map(|f| f.0).chain([linked.insns.len()]);
        for (position, ((start, index), end)) in linked.functions.iter().zip(ends).enumerate() {
            let range = *start..end;
            if position == 0 {
                let ty = self.btf.entry(program.name, Linkage::Global);
                self.function(program.section, program.name, ty, linked, range);
            } else if !self.subprograms.contains_key(index) {
                let function = self.contents.functions[*index];
                let ty = self.btf.subprogram(function.name, function.args);
                let symbol = self.function(".text", function.name, ty, linked, range);
                self.subprograms.insert(*index, symbol);
            }
        }
    }

    fn function(
        &mut self,
        section: &str,
        name: &str,
        ty: TypeId,
        linked: &Linked,
        range: std::ops::Range<usize>,
    ) -> SymbolId {
        let id = self.section(section).id;
        let (code, open) = unlink(linked, range.clone());
        let base = self.object.append_section_data(id, &code, INSN_BYTES);
        for (at, to) in open {
            self.open.push(Open { section: id, offset: base + at as u64 * INSN_BYTES, to });
        }
        let lines = Linked { lines: lines_within(linked, &range), ..Linked::default() };
        let mut lines = self.btf.line_info(&lines, self.contents.source);
        lines.iter_mut().for_each(|line| line.insn_off = base as u32 + line.insn_off * INSN_BYTES as u32);
        let section = self.section(section);
        section.functions.push(FuncInfo { insn_off: base as u32, type_id: ty.0 });
        section.lines.append(&mut lines);
        let is_entry = range.start == 0;
        self.symbol(name, id, base, code.len() as u64, SymbolKind::Text, is_entry)
    }

    fn section(&mut self, name: &str) -> &mut Section {
        self.sections.entry(name.to_owned()).or_insert_with(|| Section {
            id: self.object.add_section(vec![], name.as_bytes().to_vec(), SectionKind::Text),
            functions: vec![],
            lines: vec![],
        })
    }

    fn relocate(&mut self) -> Result<(), ObjectError> {
        for open in std::mem::take(&mut self.open) {
            let (symbol, r_type) = match open.to {
                To::Map(map) => (self.maps.get(map), RELOC_WIDE),
                To::Call(function) => (self.subprograms.get(&function), RELOC_CALL),
                To::Address(function) => (self.subprograms.get(&function), RELOC_WIDE),
            };
            let symbol = *symbol.ok_or_else(|| ObjectError::Elf("a reference to an entry function".to_owned()))?;
            let reloc = Relocation { offset: open.offset, symbol, addend: 0, flags: RelocationFlags::Elf { r_type } };
            self.object.add_relocation(open.section, reloc).map_err(|e| ObjectError::Elf(e.to_string()))?;
        }
        Ok(())
    }

    fn debug_info(&mut self) {
        let (mut functions, mut lines) = (8u32.to_le_bytes().to_vec(), 16u32.to_le_bytes().to_vec());
        for (name, section) in &self.sections {
            let name = self.btf.string(name);
            let records = section.functions.iter().map(|record| record.to_bytes());
            append_records(&mut functions, name, records);
            append_records(&mut lines, name, section.lines.iter().map(|record| record.to_bytes()));
        }
        let (function_bytes, line_bytes) = (functions.len() as u32, lines.len() as u32);
        let mut extension = vec![0x9f, 0xeb, 1, 0];
        for field in [32, 0, function_bytes, function_bytes, line_bytes, function_bytes + line_bytes, 0] {
            extension.extend_from_slice(&u32::to_le_bytes(field));
        }
        extension.extend_from_slice(&functions);
        extension.extend_from_slice(&lines);
        for (name, bytes) in [(".BTF", self.btf.to_bytes()), (".BTF.ext", extension)] {
            let section = self.object.add_section(vec![], name.as_bytes().to_vec(), SectionKind::Other);
            self.object.append_section_data(section, &bytes, 8);
        }
    }
}

/// The records of one section: its name, their number, and they.
fn append_records<const N: usize>(out: &mut Vec<u8>, section: u32, records: impl ExactSizeIterator<Item = [u8; N]>) {
    if records.len() > 0 {
        out.extend_from_slice(&section.to_le_bytes());
        out.extend_from_slice(&(records.len() as u32).to_le_bytes());
        records.for_each(|record| out.extend_from_slice(&record));
    }
}

fn lines_within(linked: &Linked, range: &std::ops::Range<usize>) -> Vec<(usize, u32)> {
    within(&linked.lines, range).iter().map(|(at, location)| (at - range.start, *location)).collect()
}

/// The part of an ascending list that belongs to some instructions.
fn within<'a, T>(list: &'a [(usize, T)], range: &std::ops::Range<usize>) -> &'a [(usize, T)] {
    let start = list.partition_point(|(at, _)| *at < range.start);
    let end = list.partition_point(|(at, _)| *at < range.end);
    &list[start..end]
}

/// The code of one function as an object has it, and what its references are to, by instruction.
fn unlink(linked: &Linked, range: std::ops::Range<usize>) -> (Vec<u8>, Vec<(usize, To)>) {
    let mut insns = linked.insns[range.clone()].to_vec();
    let mut open = vec![];
    for (at, reloc) in within(&linked.map_relocs, &range) {
        let at = at - range.start;
        insns[at].regs &= 0xf;
        match *reloc {
            // The offset in the value is the addend, and that is the first immediate.
            Reloc::MapValue { map } => {
                insns[at].imm = std::mem::take(&mut insns[at + 1].imm);
                open.push((at, To::Map(map)));
            }
            Reloc::Map(map) => open.push((at, To::Map(map))),
            Reloc::Subprogram(_) | Reloc::FuncAddr(_) => {}
        }
    }
    let mut is_second = false;
    for (at, insn) in insns.iter_mut().enumerate() {
        let is_call = insn.code == JMP | CALL && insn.src() == PSEUDO_CALL;
        let is_address = insn.is_wide() && insn.src() == PSEUDO_FUNC;
        if !is_second && (is_call || is_address) {
            let target = (range.start + at) as i64 + 1 + i64::from(insn.imm);
            if let Ok(callee) = linked.functions.binary_search_by_key(&target, |f| f.0 as i64) {
                let index = linked.functions[callee].1;
                open.push((at, if is_call { To::Call(index) } else { To::Address(index) }));
                // A call counts from the instruction behind it.
                insn.imm = if is_call { -1 } else { 0 };
            }
        }
        is_second = !is_second && insn.is_wide();
    }
    (insns.iter().flat_map(bytes).collect(), open)
}

fn bytes(insn: &Insn) -> [u8; 8] {
    let ([o0, o1], [i0, i1, i2, i3]) = (insn.off.to_le_bytes(), insn.imm.to_le_bytes());
    [insn.code, insn.regs, o0, o1, i0, i1, i2, i3]
}
