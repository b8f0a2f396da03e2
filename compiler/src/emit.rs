//! Writes the representations out: what `--emit` shows, with the printers that tests use.

use crate::assemble::source_line;
use crate::bpf::disasm::disassemble;
use crate::bpf::{Linked, Reloc, object};
use crate::image::{Image, KeyKind, Program, Storage, Value};
use crate::lower::Lowered;
use std::fmt::Write;
use tapster_lang::SourceMap;

/// The Cranelift IR of all handlers.
pub fn clif(lowered: &Lowered) -> String {
    let kernel = lowered.kernel.iter().flat_map(|handler| core::iter::once(&handler.func).chain(&handler.callbacks));
    let kernel = kernel.map(|func| ("kernel", func));
    let user = lowered.user.iter().map(|handler| ("user", &handler.func));
    let mut text = String::new();
    for (side, func) in kernel.chain(user) {
        let _ = writeln!(text, "; {side}\n{func}");
    }
    text
}

/// The eBPF instructions of all kernel handlers, with the script's lines between them.
pub fn bpf(image: &Image, sources: &SourceMap) -> String {
    let mut text = String::new();
    for program in &image.programs {
        let _ = writeln!(text, "{}: {} instructions, {}", program.name, program.insns.len(), program.attach.describe());
        let mut lines = program.positions.iter().peekable();
        let mut insn = 0;
        for line in disassemble(&program.insns) {
            if let Some((_, position)) = lines.next_if(|(at, _)| *at as usize == insn) {
                let at = source_line(sources, *position);
                let _ = writeln!(text, "; {}:{}: {}", at.file, at.line, at.text.trim());
            }
            let map = program.map_refs.iter().find(|r| r.insn as usize == insn);
            let map = map.map_or(String::new(), |r| format!(" ; {}", image.maps[r.map].name));
            let _ = writeln!(text, "  {line}{map}");
            insn += 1 + usize::from(program.insns[insn].is_wide());
        }
        text.push('\n');
    }
    text
}

/// The image as text.
pub fn image(image: &Image) -> String {
    let mut text = String::new();
    for (number, map) in image.maps.iter().enumerate() {
        let _ = writeln!(
            text,
            "map {number} {}: {:?} key {} value {} entries {} ({:?})",
            map.name, map.kind, map.key_size, map.value_size, map.max_entries, map.role
        );
    }
    for global in &image.globals {
        let _ = writeln!(text, "global {}: {}", global.name, storage(&global.storage));
    }
    for (number, loss) in image.losses.iter().enumerate() {
        let _ = writeln!(text, "loss {number}: {loss:?}");
    }
    for program in &image.programs {
        let _ = writeln!(text, "program {}: {} at {}", program.name, program.probe, program.attach.describe());
        let _ = writeln!(text, "  {} instructions, {} lines", program.insns.len(), program.line_info.len());
    }
    for handler in &image.handlers {
        let _ = writeln!(text, "handler {}: {} {:?}", handler.entry, handler.probe, handler.when);
    }
    for (number, format) in image.formats.iter().enumerate() {
        let _ = writeln!(text, "format {number}: {} pieces", format.pieces.len());
    }
    let _ = writeln!(text, "state: {} bytes", image.state_size);
    text
}

fn storage(storage: &Storage) -> String {
    match storage {
        Storage::Constant => "constant".into(),
        Storage::Long { offset } => format!("long at state+{offset}"),
        Storage::Text { offset, size } => format!("string of {size} bytes at state+{offset}"),
        Storage::ScalarAggregate { offset, layout, in_kernel } => {
            format!("statistic of {} bytes at +{offset}{}", layout.size(), if *in_kernel { ", per CPU" } else { "" })
        }
        Storage::Array(array) => {
            let keys: Vec<String> = array.key.iter().map(|part| key(part.kind)).collect();
            let value = match array.value {
                Value::Long => "long".into(),
                Value::Text(size) => format!("string[{size}]"),
                Value::Stack => "stack".into(),
                Value::Aggregate(layout) => format!("statistic of {} bytes", layout.size()),
            };
            let place = array.map.map_or_else(|| "user space".into(), |map| format!("map {map}"));
            let order = if array.ordered { ", ordered" } else { "" };
            format!("{value} [{}] in {place}, {} entries{order}", keys.join(", "), array.max_entries)
        }
    }
}

fn key(kind: KeyKind) -> String {
    match kind {
        KeyKind::Long => "long".into(),
        KeyKind::Text(size) => format!("string[{size}]"),
        KeyKind::Interned => "string".into(),
        KeyKind::Stack => "stack".into(),
    }
}

/// The kernel handlers as an ELF object.
pub fn object(image: &Image, sources: &SourceMap) -> Result<Vec<u8>, object::ObjectError> {
    let maps: Vec<object::Map> = image.maps.iter().map(object_map).collect();
    let names: Vec<(String, usize)> = image.programs.iter().flat_map(functions_of).collect();
    let mut first = 0;
    let linked: Vec<Linked> = image.programs.iter().map(|program| relink(&mut first, program)).collect();
    let sections: Vec<String> = image.programs.iter().map(|program| program.attach.section()).collect();
    let programs: Vec<object::Program> = image
        .programs
        .iter()
        .zip(&linked)
        .zip(&sections)
        .map(|((program, linked), section)| object::Program { name: &program.name, section, linked })
        .collect();
    let functions: Vec<object::Function> =
        names.iter().map(|(name, args)| object::Function { name, args: *args }).collect();
    let source = |position| source_line(sources, position);
    object::write(&object::Contents {
        maps: &maps,
        functions: &functions,
        programs: &programs,
        source: &source,
        license: "GPL",
    })
}

fn object_map(map: &crate::image::Map) -> object::Map<'_> {
    /// `BPF_F_MMAPABLE` of include/uapi/linux/bpf.h.
    const MMAPABLE: u32 = 1 << 10;
    object::Map {
        name: &map.name,
        kind: map.kind as u32,
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        flags: if map.mmapable { MMAPABLE } else { 0 },
    }
}

/// The name and the number of arguments of a program and of its loops.
fn functions_of(program: &Program) -> impl Iterator<Item = (String, usize)> {
    let loops = (1..program.func_info.len()).map(|nth| (format!("{}_{}", program.name, nth - 1), 2));
    core::iter::once((program.name.clone(), 1)).chain(loops)
}

/// A program as it was linked; its functions are numbered from `first` on.
fn relink(first: &mut usize, program: &Program) -> Linked {
    let reloc = |r: &crate::image::MapRef| {
        let reloc = if r.value { Reloc::MapValue { map: r.map } } else { Reloc::Map(r.map) };
        (r.insn as usize, reloc)
    };
    let number = |info: &crate::image::FuncInfo| {
        *first += 1;
        (info.insn_off as usize, *first - 1)
    };
    Linked {
        insns: program.insns.clone(),
        map_relocs: program.map_refs.iter().map(reloc).collect(),
        functions: program.func_info.iter().map(number).collect(),
        lines: program.positions.iter().map(|(insn, position)| (*insn as usize, *position)).collect(),
        stack_bytes: 0,
    }
}
