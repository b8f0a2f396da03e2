//! Puts an image together: both back ends are run here, and what they leave open is filled in.

use crate::bpf::btf_writer::{Btf, Linkage, SourceLine};
use crate::bpf::{self, CompileError, Linked, Pseudo, Reloc, Symbol};
use crate::hir;
use crate::host::HostTable;
use crate::image::{Image, MapRef, MapRole, Program, UserHandler};
use crate::lower::kernel::{PTRADD, namespace};
use crate::lower::{KernelHandler, Lowered, map_name};
use crate::native;
use crate::world::Features;
use tapster_lang::{Diagnostic, SourceMap};

/// Compiles every handler and makes the image.
pub fn assemble(
    program: &hir::Program,
    lowered: Lowered,
    sources: &SourceMap,
    features: Features,
    host: &HostTable,
) -> Result<Image, Vec<Diagnostic>> {
    let Lowered { plan, kernel, user } = lowered;
    let mut image = Image {
        maps: plan.maps,
        globals: plan.globals,
        state_size: plan.state_size,
        state_init: plan.state_init,
        losses: plan.losses,
        formats: program.formats.clone(),
        stack_frames: plan.stack_frames,
        ..Image::default()
    };
    let mut btf = Btf::new();
    let mut errors = Vec::new();
    for handler in &kernel {
        match kernel_program(program, handler, &image, &mut btf, sources, features) {
            Ok(compiled) => image.programs.push(compiled),
            Err(error) => errors.push(too_big(&program.probes[handler.probe], &error)),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    image.btf = btf.to_bytes();
    image.native = native::compile(&user, host);
    image.handlers = user
        .iter()
        .enumerate()
        .map(|(entry, handler)| {
            let probe = &program.probes[handler.probe];
            UserHandler { when: handler.when, probe: probe.point.clone(), entry, span: probe.span }
        })
        .collect();
    Ok(image)
}

fn kernel_program(
    program: &hir::Program,
    handler: &KernelHandler,
    image: &Image,
    btf: &mut Btf,
    sources: &SourceMap,
    features: Features,
) -> Result<Program, CompileError> {
    let state = image.maps.iter().position(|map| map.role == MapRole::State).unwrap_or(0);
    let resolve = |space: u32, index: u32| match space {
        namespace::HELPER => Symbol::Helper(index),
        namespace::KFUNC => Symbol::Kfunc(index),
        namespace::MAP => Symbol::Map(index as usize),
        namespace::STATE => Symbol::MapValue { map: state, offset: index },
        _ if index == PTRADD => Symbol::Pseudo(Pseudo::PtrAdd),
        _ => Symbol::Pseudo(Pseudo::PtrChk),
    };
    let code = bpf::compile(&handler.func, &resolve, &bpf::Options { cpu_v4: features.cpu_v4 })?;
    let linked = bpf::link(&[code], 0);
    let probe = &program.probes[handler.probe];
    let hir::Place::Kernel { attach, why } = &probe.place else { unreachable!("only kernel handlers come here") };
    let name = map_name(&format!("p{}_{}", handler.probe, target_name(attach)));
    let entry = btf.entry(&name, Linkage::Static);
    let func_info = Btf::func_info(&linked, &|_| entry);
    let line_info = btf.line_info(&linked, &|position| source_line(sources, position));
    Ok(Program {
        name,
        probe: probe.point.clone(),
        attach: attach.clone(),
        why: why.clone(),
        span: probe.span,
        map_refs: map_refs(&linked),
        positions: linked.lines.iter().map(|(insn, position)| (*insn as u32, *position)).collect(),
        insns: linked.insns,
        func_info,
        line_info,
    })
}

fn target_name(attach: &crate::image::Attach) -> &str {
    use crate::image::Attach;
    match attach {
        Attach::Fentry { function, .. } | Attach::Kprobe { function } => function,
        Attach::BtfTracepoint { name, .. } => name,
        Attach::KprobeMulti { functions } => functions.first().map_or("multi", String::as_str),
    }
}

fn map_refs(linked: &Linked) -> Vec<MapRef> {
    let reference = |(insn, reloc): &(usize, Reloc)| match *reloc {
        Reloc::Map(map) => Some(MapRef { insn: *insn as u32, map, value: false }),
        Reloc::MapValue { map } => Some(MapRef { insn: *insn as u32, map, value: true }),
        Reloc::Subprogram(_) | Reloc::FuncAddr(_) => None,
    };
    linked.map_relocs.iter().filter_map(reference).collect()
}

/// The line of the script that a position is on.
pub fn source_line(sources: &SourceMap, position: u32) -> SourceLine<'_> {
    let location = sources.locate(position);
    SourceLine { file: location.file, text: sources.line_text(position), line: location.line, column: location.column }
}

/// A handler that eBPF cannot hold.
fn too_big(probe: &hir::Probe, error: &CompileError) -> Diagnostic {
    Diagnostic::error("compile::handler", format!("handler of {} cannot be compiled to eBPF", probe.point))
        .label(probe.span, error.to_string())
        .help("split the handler, or use fewer and shorter strings in it")
}
