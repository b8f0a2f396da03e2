//! Puts an image together: both back ends are run here, and what they leave open is filled in.

use crate::bpf::btf_writer::{Btf, Linkage, SourceLine};
use crate::bpf::{self, CompileError, Linked, Pseudo, Reloc, STACK_BYTES_MAX, Symbol};
use crate::hir;
use crate::host::HostTable;
use crate::image::{Handoff, Image, Loss, Map, MapKind, MapRef, MapRole, Program, UserHandler, When};
use crate::lower::kernel::{MAY_GOTO, PTRADD, namespace};
use crate::lower::{KernelHandler, Lowered, home_size, map_name};
use crate::native;
use crate::world::Features;
use tapster_lang::{Diagnostic, SourceMap};
use tapster_runtime_ebpf::limits;
use tapster_runtime_ebpf::record::event;

/// Compiles every handler and makes the image.
pub fn assemble(
    program: &hir::Program,
    lowered: Lowered,
    sources: &SourceMap,
    features: Features,
    host: &HostTable,
) -> Result<Image, Vec<Diagnostic>> {
    let Lowered { plan, kernel, user, functions } = lowered;
    let max_string = plan.max_string;
    let mut image = Image {
        maps: plan.maps,
        globals: plan.globals,
        state_size: plan.state_size,
        state_init: plan.state_init,
        losses: plan.losses,
        formats: program.formats.clone(),
        served: program.served.clone(),
        max_string,
        regexes: program.regexes.iter().map(|regex| regex.text.clone()).collect(),
        stack_frames: plan.stack_frames,
        max_action_interruptible: plan.max_action_interruptible,
        ..Image::default()
    };
    image.constants = plan.constants.into_bytes();
    image.maps.extend(constants_map(&image.constants));
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
    // Lowering knows probes, of which not all are programs.
    for loss in &mut image.losses {
        if let Loss::EventsFull(probe) | Loss::Nested(probe) = loss {
            *probe = kernel.iter().position(|handler| handler.probe == *probe).unwrap_or(usize::MAX);
        }
    }
    image.btf = btf.to_bytes();
    image.asks_kernel = native::asks_kernel(&user, &functions);
    image.native = native::compile(&user, &functions, host);
    image.handlers = user
        .iter()
        .enumerate()
        .map(|(entry, handler)| {
            let probe = &program.probes[handler.probe];
            UserHandler {
                when: handler.when,
                probe: probe.point.clone(),
                name: probe.name.clone(),
                entry,
                span: probe.span,
                condition: None,
            }
        })
        .collect();
    let rests = image.handlers.iter().enumerate().filter(|(_, handler)| handler.when == When::Handoff);
    image.handoffs = rests
        .zip(&program.handoffs)
        .map(|((handler, _), handoff)| Handoff { handler, size: handoff_size(handoff, max_string) })
        .collect();
    Ok(image)
}

/// Bytes behind the header of a handoff's record.
fn handoff_size(handoff: &hir::Handoff, max_string: u32) -> u32 {
    let size = |local: &usize| home_size(handoff.handler.locals[*local].slot, max_string);
    event::SIZE + handoff.captures.iter().map(size).sum::<u32>()
}

/// The map of the constants, if there are any.
fn constants_map(bytes: &[u8]) -> Option<Map> {
    (!bytes.is_empty()).then(|| Map {
        name: "constants".into(),
        kind: MapKind::Array,
        key_size: 4,
        value_size: bytes.len() as u32,
        max_entries: 1,
        mmapable: false,
        role: MapRole::Constants,
    })
}

fn kernel_program(
    program: &hir::Program,
    handler: &KernelHandler,
    image: &Image,
    btf: &mut Btf,
    sources: &SourceMap,
    features: Features,
) -> Result<Program, CompileError> {
    let place = |role| image.maps.iter().position(|map| map.role == role).unwrap_or(0);
    let (state, constants) = (place(MapRole::State), place(MapRole::Constants));
    let resolve = |space: u32, index: u32| match space {
        namespace::HELPER => Symbol::Helper(index),
        namespace::KFUNC => Symbol::Kfunc(index),
        namespace::MAP => Symbol::Map(index as usize),
        namespace::STATE => Symbol::MapValue { map: state, offset: index },
        namespace::CONSTANTS => Symbol::MapValue { map: constants, offset: index },
        namespace::CALLBACK => Symbol::Subprogram(1 + index as usize),
        _ if index == PTRADD => Symbol::Pseudo(Pseudo::PtrAdd),
        _ if index == MAY_GOTO => Symbol::Pseudo(Pseudo::MayGoto),
        _ => Symbol::Pseudo(Pseudo::PtrChk),
    };
    if handler.memory > limits::PERCPU_VALUE {
        return Err(CompileError::Memory { bytes: handler.memory });
    }
    let options = bpf::Options { cpu_v4: features.cpu_v4 };
    let functions = core::iter::once(&handler.func).chain(&handler.callbacks);
    let codes: Vec<bpf::Code> =
        functions.map(|func| bpf::compile(func, &resolve, &options)).collect::<Result<_, _>>()?;
    let linked = bpf::link(&codes, 0);
    if linked.stack_bytes > STACK_BYTES_MAX {
        return Err(CompileError::stack(&codes));
    }
    let probe = &program.probes[handler.probe];
    let hir::Place::Kernel { attach, why } = &probe.place else { unreachable!("only kernel handlers come here") };
    let name = map_name(&format!("p{}_{}", handler.probe, target_name(attach)));
    let entry = btf.entry(&name, Linkage::Static);
    let callbacks: Vec<_> =
        (0..handler.callbacks.len()).map(|nth| btf.subprogram(&format!("{name}_{nth}"), 2)).collect();
    let func_info = Btf::func_info(&linked, &|nth| if nth == 0 { entry } else { callbacks[nth - 1] });
    let line_info = btf.line_info(&linked, &|position| source_line(sources, position));
    Ok(Program {
        name,
        probe: probe.point.clone(),
        sites: probe.sites.clone(),
        lenient: probe.lenient,
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
        Attach::BtfTracepoint { name, .. } | Attach::RawTracepoint { name } => name,
        Attach::Uprobe(uprobes) => uprobes.path.rsplit('/').next().unwrap_or("uprobe"),
        _ => attach.functions().first().map_or("probe", String::as_str),
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
