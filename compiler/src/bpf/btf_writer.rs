//! Writes BTF: the types, names and source lines the kernel and its tools show for a program.
//!
//! Only the kinds that programs and their maps need (the kernel's `Documentation/bpf/btf.rst`). Reading the kernel's own BTF is
//! somebody else's work.
use super::link::Linked;
use std::collections::HashMap;

const MAGIC_AND_VERSION: [u8; 4] = [0x9f, 0xeb, 1, 0];
const HEADER_BYTES: u32 = 24;
/// The kernel's limit for names, without the NUL (`KSYM_NAME_LEN` of old kernels).
const NAME_BYTES_MAX: usize = 127;
/// A line number has 22 bits, a column 10.
const LINE_MAX: u32 = (1 << 22) - 1;
const COLUMN_MAX: u32 = (1 << 10) - 1;
/// Bytes that are kept of a line's text, which tools show above its instructions.
const LINE_TEXT_MAX: usize = 512;

const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;

/// A type of one BTF blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`, which every blob has.
    pub const VOID: Self = Self(0);
}

/// Who sees a function or variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Of this object only. Functions that are loaded without an ELF object have it, entries included.
    Static = 0,
    /// Of everybody.
    Global = 1,
}

/// A member of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Where it is, in bytes.
    pub offset: u32,
}

/// A function of a program begins here (`struct bpf_func_info`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// Instruction, from the start of the program.
    pub insn_off: u32,
    /// A `func` type.
    pub type_id: u32,
}

impl FuncInfo {
    /// As the kernel takes it.
    pub fn to_bytes(self) -> [u8; 8] {
        pack([self.insn_off, self.type_id])
    }
}

/// A source line begins here (`struct bpf_line_info`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Instruction, from the start of the program.
    pub insn_off: u32,
    /// Offset of the file's name in the strings.
    pub file_name_off: u32,
    /// Offset of the line's text in the strings.
    pub line_off: u32,
    /// Line number in the upper 22 bits, column in the lower ten.
    pub line_col: u32,
}

impl LineInfo {
    /// As the kernel takes it.
    pub fn to_bytes(self) -> [u8; 16] {
        pack([self.insn_off, self.file_name_off, self.line_off, self.line_col])
    }
}

/// What a source location of the IR stands for.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceLine<'a> {
    /// Name of the script.
    pub file: &'a str,
    /// Text of the line.
    pub text: &'a str,
    /// Line number, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// Turns the bits of a source location into a line.
pub type Source<'a> = &'a dyn Fn(u32) -> SourceLine<'a>;

/// A BTF blob in the making. Equal strings are stored once; types are numbered in the order they are asked for.
#[derive(Debug)]
pub struct Btf {
    types: Vec<u8>,
    count: u32,
    strings: Vec<u8>,
    offsets: HashMap<String, u32>,
    /// `int`, `long` and `void *`, once somebody needs them.
    int: Option<TypeId>,
    long: Option<TypeId>,
    pointer: Option<TypeId>,
}

impl Default for Btf {
    fn default() -> Self {
        Self::new()
    }
}

impl Btf {
    /// A blob with nothing but `void` and the empty string.
    pub fn new() -> Self {
        Self {
            types: vec![],
            count: 0,
            strings: vec![0],
            offsets: HashMap::new(),
            int: None,
            long: None,
            pointer: None,
        }
    }

    /// The offset of a string. Strings end at the first NUL, so that is where a text with one in it is cut.
    pub fn string(&mut self, text: &str) -> u32 {
        let text = text.split('\0').next().unwrap_or_default();
        if text.is_empty() {
            return 0;
        }
        if let Some(offset) = self.offsets.get(text) {
            return *offset;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        self.offsets.insert(text.to_owned(), offset);
        offset
    }

    /// An integer of `size` bytes.
    pub fn int(&mut self, name: &str, size: u32, signed: bool) -> TypeId {
        let name = self.name(name);
        let id = self.begin(name, KIND_INT, 0, size);
        self.push(&[u32::from(signed) << 24 | (size * 8)]);
        id
    }

    /// A pointer.
    pub fn ptr(&mut self, to: TypeId) -> TypeId {
        self.begin(0, KIND_PTR, 0, to.0)
    }

    /// An array; `index` is the integer type of its indexes.
    pub fn array(&mut self, element: TypeId, index: TypeId, count: u32) -> TypeId {
        let id = self.begin(0, KIND_ARRAY, 0, 0);
        self.push(&[element.0, index.0, count]);
        id
    }

    /// A structure of `size` bytes; without a name if the name is empty.
    pub fn structure(&mut self, name: &str, size: u32, members: &[Member]) -> TypeId {
        let name = self.name(name);
        let names: Vec<u32> = members.iter().map(|member| self.name(member.name)).collect();
        let id = self.begin(name, KIND_STRUCT, members.len(), size);
        for (member, name) in members.iter().zip(names) {
            self.push(&[name, member.ty.0, member.offset * 8]);
        }
        id
    }

    /// The type of a function.
    pub fn func_proto(&mut self, result: TypeId, params: &[(&str, TypeId)]) -> TypeId {
        let names: Vec<u32> = params.iter().map(|(name, _)| self.name(name)).collect();
        let id = self.begin(0, KIND_FUNC_PROTO, params.len(), result.0);
        for ((_, ty), name) in params.iter().zip(names) {
            self.push(&[name, ty.0]);
        }
        id
    }

    /// A function. Characters the kernel does not allow in names become `_`.
    pub fn func(&mut self, name: &str, proto: TypeId, linkage: Linkage) -> TypeId {
        let name = self.name(name);
        self.begin(name, KIND_FUNC, linkage as usize, proto.0)
    }

    /// A variable.
    pub fn var(&mut self, name: &str, ty: TypeId, linkage: Linkage) -> TypeId {
        let name = self.name(name);
        let id = self.begin(name, KIND_VAR, 0, ty.0);
        self.push(&[linkage as u32]);
        id
    }

    /// An ELF section: its variables, each with offset and size in bytes.
    pub fn datasec(&mut self, section: &str, size: u32, vars: &[(TypeId, u32, u32)]) -> TypeId {
        let name = self.string(section);
        let id = self.begin(name, KIND_DATASEC, vars.len(), size);
        for (var, offset, size) in vars {
            self.push(&[var.0, *offset, *size]);
        }
        id
    }

    /// `int`.
    pub fn plain_int(&mut self) -> TypeId {
        self.once(|btf| &mut btf.int, |btf| btf.int("int", 4, true))
    }

    /// An entry function, `int name(void *ctx)`.
    pub fn entry(&mut self, name: &str, linkage: Linkage) -> TypeId {
        let int = self.plain_int();
        let pointer = self.once(|btf| &mut btf.pointer, |btf| btf.ptr(TypeId::VOID));
        let proto = self.func_proto(int, &[("ctx", pointer)]);
        self.func(name, proto, linkage)
    }

    /// A subprogram, `long name(long, ...)`. The verifier judges it by its callers, whatever its parameters are called.
    pub fn subprogram(&mut self, name: &str, args: usize) -> TypeId {
        const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
        let long = self.once(|btf| &mut btf.long, |btf| btf.int("long", 8, true));
        let params: Vec<_> = NAMES.iter().take(args).map(|name| (*name, long)).collect();
        let proto = self.func_proto(long, &params);
        self.func(name, proto, Linkage::Static)
    }

    /// The records of a program's functions; `types` has the `func` type of each, by the function's index.
    pub fn func_info(linked: &Linked, types: &dyn Fn(usize) -> TypeId) -> Vec<FuncInfo> {
        let record = |(at, index): &(usize, usize)| FuncInfo { insn_off: *at as u32, type_id: types(*index).0 };
        linked.functions.iter().map(record).collect()
    }

    /// The records of a program's source lines, one where the line changes.
    pub fn line_info(&mut self, linked: &Linked, source: Source) -> Vec<LineInfo> {
        linked.lines.iter().map(|(at, location)| self.line(*at as u32, source(*location))).collect()
    }

    fn line(&mut self, insn_off: u32, line: SourceLine) -> LineInfo {
        let line_col = line.line.min(LINE_MAX) << 10 | line.column.min(COLUMN_MAX);
        let text = &line.text[..line.text.floor_char_boundary(LINE_TEXT_MAX)];
        LineInfo { insn_off, file_name_off: self.string(line.file), line_off: self.string(text), line_col }
    }

    /// The blob as the kernel takes it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut bytes = MAGIC_AND_VERSION.to_vec();
        for field in [HEADER_BYTES, 0, types, types, strings] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&self.types);
        bytes.extend_from_slice(&self.strings);
        bytes
    }

    fn once(&mut self, slot: fn(&mut Self) -> &mut Option<TypeId>, make: fn(&mut Self) -> TypeId) -> TypeId {
        if let Some(ty) = *slot(self) {
            return ty;
        }
        let ty = make(self);
        *slot(self) = Some(ty);
        ty
    }

    /// `size_or_type` is what the kind makes of it.
    fn begin(&mut self, name: u32, kind: u32, members: usize, size_or_type: u32) -> TypeId {
        self.push(&[name, kind << 24 | members as u32, size_or_type]);
        self.count += 1;
        TypeId(self.count)
    }

    fn push(&mut self, words: &[u32]) {
        words.iter().for_each(|word| self.types.extend_from_slice(&word.to_le_bytes()));
    }

    fn name(&mut self, name: &str) -> u32 {
        self.string(&identifier(name))
    }
}

/// A name as the kernel takes it: ASCII letters, digits and `_`, not too long, no digit in front. Empty stays empty.
pub fn identifier(name: &str) -> String {
    let mut out: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out.truncate(NAME_BYTES_MAX);
    out
}

fn pack<const WORDS: usize, const BYTES: usize>(words: [u32; WORDS]) -> [u8; BYTES] {
    const { assert!(BYTES == 4 * WORDS) };
    let mut bytes = [0; BYTES];
    for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_names_are_what_the_kernel_accepts() {
        let mut btf = Btf::new();
        assert_eq!(btf.string(""), 0);
        let offset = btf.string("a line");
        assert_eq!(btf.string("a line"), offset);
        assert_eq!(btf.string("a line\0 with a hole"), offset);
        assert_eq!(identifier("kernel.function(\"vfs_*\")"), "kernel_function__vfs____");
        assert_eq!(identifier("2nd größe"), "_2nd_gr__e");
        assert_eq!(identifier(&"x".repeat(300)).len(), NAME_BYTES_MAX);
    }

    #[test]
    fn a_blob_starts_with_a_header_and_ends_with_its_strings() {
        let mut btf = Btf::new();
        let entry = btf.entry("probe_0", Linkage::Static);
        assert_eq!(entry, TypeId(4));
        let bytes = btf.to_bytes();
        assert_eq!(&bytes[..8], &[0x9f, 0xeb, 1, 0, 24, 0, 0, 0]);
        assert!(bytes.ends_with(b"\0int\0ctx\0probe_0\0"));
    }
}
