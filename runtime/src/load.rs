//! An image's maps, BTF and programs, into the kernel.
//!
//! Loading stops at the first failure, and whatever was made until then vanishes with its descriptors. Attaching is
//! [`crate::attach`]'s business.

use crate::privilege::{self, Denied};
use crate::sys::bpf::{self, DebugInfo, Map, MapSpec, ProgramKind, ProgramSpec, Refused};
use crate::sys::memory::StateBlock;
use crate::sys::{btf, errno_name, perf};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use tapster_compiler::image::{Attach, Counted, Image, MapKind, MapRole, Moment, Program};
use tapster_runtime_ebpf::constants;

/// What to do where an event is not counted.
pub const NO_SUCH_EVENTS: &str = "this machine does not count such events; virtual ones often have perf.sw.* alone";

/// Why an image could not be loaded.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "fields are what the messages name")]
pub enum LoadError {
    /// This process lacks capabilities.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The kernel refuses in spite of the capabilities.
    #[error(
        "the kernel refuses {what} (EPERM) although CAP_BPF and CAP_PERFMON are in effect: look for lockdown in \
         /sys/kernel/security/lockdown, for a security module, or for a container's seccomp filter"
    )]
    Forbidden { what: String, source: io::Error },
    /// A map.
    #[error("cannot create the map {name} of {bytes} bytes ({}): {cure}", errno_name(.source))]
    Map { name: String, bytes: u64, cure: &'static str, source: io::Error },
    /// The state block.
    #[error("cannot map the script's globals into memory ({})", errno_name(.source))]
    State { source: io::Error },
    /// The constants.
    #[error("cannot fill the map of the constants ({})", errno_name(.source))]
    Constants { source: io::Error },
    /// A ring buffer.
    #[error("cannot read the ring buffer {name}")]
    Ring { name: String, source: aya::maps::MapError },
    /// An event that `@perf` reads.
    #[error(
        "cannot count perf events of type {kind}, config {config} ({}): {NO_SUCH_EVENTS}",
        errno_name(.source)
    )]
    Counter { kind: u32, config: u64, source: io::Error },
    /// Our BTF.
    #[error("internal error: the kernel refuses the BTF of the programs ({})", errno_name(.source))]
    Btf { source: io::Error },
    /// The verifier rejected a program: our bug.
    #[error(transparent)]
    Rejected(Box<Rejection>),
    /// The kernel refused a program before looking at its instructions; other rungs may do instead of these.
    #[error("the kernel refuses a program for {probe} as {place} ({}): {cure}", errno_name(.source))]
    Program { probe: String, place: String, rungs: Vec<String>, cure: &'static str, source: io::Error },
    /// Attaching.
    #[error("cannot attach {probe} as {place} ({}): {cure}", errno_name(.source))]
    Attach { probe: String, place: String, cure: &'static str, source: io::Error },
    /// Counting for `-t`.
    #[error("the kernel does not count what programs take ({}): -t needs Linux 5.8 and CAP_SYS_ADMIN", errno_name(.source))]
    Timing { source: io::Error },
    /// Files that the script serves.
    #[error("cannot serve files below /run/tapster ({})", errno_name(.source))]
    Served { source: io::Error },
    /// What is to be given up.
    #[error("cannot give up capabilities ({})", errno_name(.source))]
    Privilege { source: io::Error },
    /// The session's own machinery.
    #[error("cannot wait for signals ({})", errno_name(.source))]
    Signals { source: io::Error },
    /// The number of CPUs.
    #[error("cannot read {path}")]
    Cpus { path: &'static str, source: io::Error },
}

/// A program that the verifier did not accept. Never the user's fault.
#[derive(Debug, thiserror::Error)]
#[error("internal error: the verifier rejected the handler of {probe} ({}): {}", errno_name(.source), last_word(.log))]
pub struct Rejection {
    /// The program's name in the kernel.
    pub program: String,
    /// The probe it serves.
    pub probe: String,
    /// Where it stands; then those of other programs that were rejected.
    pub places: Vec<String>,
    /// The instruction that the verifier stopped at, where its log tells.
    pub instruction: Option<u32>,
    /// The place in the script that the instruction was made for; 0 where unknown.
    pub position: u32,
    /// The verifier's log.
    pub log: String,
    /// The error it came with.
    pub source: io::Error,
}

impl Rejection {
    /// The verifier's last word: the line behind the last instruction it prints.
    pub fn reason(&self) -> &str {
        last_word(&self.log)
    }

    /// The last lines of the log.
    pub fn tail(&self, lines: usize) -> &str {
        let log = self.log.trim_end();
        let from = log.rmatch_indices('\n').nth(lines.saturating_sub(1)).map_or(0, |(at, _)| at + 1);
        &log[from..]
    }
}

fn last_word(log: &str) -> &str {
    let said = log.lines().rev().filter(|line| !line.is_empty() && !line.starts_with("processed "));
    said.take_while(|line| instruction_of(line).is_none()).last().unwrap_or("no reason given")
}

/// What an image became.
#[derive(Debug)]
pub struct Loaded {
    /// Its maps, in its order.
    pub maps: Vec<Map>,
    /// Its programs, in its order.
    pub programs: Vec<OwnedFd>,
    /// Its state block.
    pub state: StateBlock,
}

/// How many files the programs of an image are for this process, once they are attached.
pub fn descriptors(image: &Image) -> usize {
    let cpus = possible_cpus().unwrap_or(1);
    let of = |attach: &Attach| match attach {
        Attach::Kprobe { functions, .. } => 2 * functions.len(),
        Attach::Uprobe(uprobes) if !uprobes.multi => 2 * uprobes.places.len(),
        Attach::Perf(_) | Attach::Breakpoint { .. } => 2 * cpus,
        _ => 1,
    };
    image.maps.len() + image.programs.iter().map(|program| 1 + of(&program.attach)).sum::<usize>()
}

/// Loads an image.
pub fn load(image: &Image) -> Result<Loaded, LoadError> {
    let asks = |map: &tapster_compiler::image::Map| is_per_cpu(map.kind) || map.kind == MapKind::PerfEventArray;
    let cpus = if image.maps.iter().any(asks) { possible_cpus()? } else { 1 };
    let maps: Vec<Map> = image.maps.iter().map(|map| create_map(map, cpus)).collect::<Result<_, _>>()?;
    start_counters(image, &maps)?;
    fill_constants(image, &maps, cpus).map_err(|source| LoadError::Constants { source })?;
    let state = state_block(image, &maps)?;
    let btf = if image.programs.is_empty() || image.btf.is_empty() { None } else { Some(load_btf(&image.btf)?) };
    let btf = btf.as_ref().map(AsFd::as_fd);
    let programs = load_programs(&image.programs, &maps, btf)?;
    Ok(Loaded { maps, programs, state })
}

fn is_per_cpu(kind: MapKind) -> bool {
    matches!(kind, MapKind::PercpuHash | MapKind::PercpuArray | MapKind::LruPercpuHash)
}

/// How many values a per-CPU element has (kernel/bpf/syscall.c: one a possible CPU).
fn possible_cpus() -> Result<usize, LoadError> {
    aya::util::nr_cpus().map_err(|(path, source)| LoadError::Cpus { path, source })
}

fn create_map(map: &tapster_compiler::image::Map, cpus: usize) -> Result<Map, LoadError> {
    let spec = MapSpec {
        name: &map.name,
        kind: map.kind as u32,
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: if map.kind == MapKind::PerfEventArray { cpus as u32 } else { map.max_entries },
        flags: match map.role {
            MapRole::Constants => bpf::READ_ONLY_FOR_PROGRAMS,
            _ if map.mmapable => bpf::MMAPABLE,
            _ => 0,
        },
        per_cpu: is_per_cpu(map.kind).then_some(cpus),
    };
    Map::create(&spec).map_err(|source| {
        let bytes = match map.kind {
            MapKind::Ringbuf => u64::from(map.max_entries),
            _ => {
                let value = u64::from(map.value_size) * spec.per_cpu.unwrap_or(1) as u64;
                u64::from(map.max_entries) * (u64::from(map.key_size) + value)
            }
        };
        let cure = match source.raw_os_error() {
            Some(libc::E2BIG) => "its elements or its size are more than the kernel takes, give the array fewer",
            Some(libc::ENOMEM) => "no memory for it, give the array fewer elements",
            _ => "this kernel may lack the map type",
        };
        denied_or(source, &format!("the map {}", map.name), |source| LoadError::Map {
            name: map.name.clone(),
            bytes,
            cure,
            source,
        })
    })
}

/// Has each CPU count what is read; the maps hold the counters.
fn start_counters(image: &Image, maps: &[Map]) -> Result<(), LoadError> {
    for (spec, map) in image.maps.iter().zip(maps) {
        let MapRole::Counter(event) = spec.role else { continue };
        let cpus = aya::util::online_cpus().map_err(|(path, source)| LoadError::Cpus { path, source })?;
        for cpu in cpus {
            let count = || {
                let counter = perf::open_counting(event, cpu)?;
                map.update(&cpu.to_ne_bytes(), &counter.as_raw_fd().to_ne_bytes(), 0)
            };
            let Counted { kind, config } = event;
            count().map_err(|source| LoadError::Counter { kind, config, source })?;
        }
    }
    Ok(())
}

/// Says who forbids it where the error is EPERM, and what else went wrong otherwise.
fn denied_or(error: io::Error, what: &str, other: impl FnOnce(io::Error) -> LoadError) -> LoadError {
    if error.raw_os_error() != Some(libc::EPERM) {
        return other(error);
    }
    match privilege::check() {
        Err(denied) => LoadError::Denied(denied),
        Ok(()) => LoadError::Forbidden { what: what.into(), source: error },
    }
}

fn state_block(image: &Image, maps: &[Map]) -> Result<StateBlock, LoadError> {
    let size = image.state_size as usize;
    let place = image.maps.iter().position(|map| map.role == MapRole::State);
    let state = match place.and_then(|at| maps.get(at)) {
        Some(map) => StateBlock::map(map.as_fd(), size).map_err(|source| LoadError::State { source })?,
        None => StateBlock::private(size),
    };
    for (offset, bytes) in &image.state_init {
        if !state.write(*offset, bytes) {
            return Err(LoadError::State { source: io::Error::from_raw_os_error(libc::ERANGE) });
        }
    }
    Ok(state)
}

/// Writes the constants and has the kernel take them for what they are: the verifier then knows their values.
fn fill_constants(image: &Image, maps: &[Map], cpus: usize) -> io::Result<()> {
    let place = image.maps.iter().position(|map| map.role == MapRole::Constants);
    let Some(map) = place.and_then(|at| maps.get(at)) else { return Ok(()) };
    let mut bytes = image.constants.clone();
    bytes[constants::CPUS as usize..][..8].copy_from_slice(&(cpus as u64).to_ne_bytes());
    map.update(&[0; 4], &bytes, 0)?;
    map.freeze()
}

fn load_btf(btf: &[u8]) -> Result<OwnedFd, LoadError> {
    bpf::load_btf(btf).map_err(|source| denied_or(source, "BTF", |source| LoadError::Btf { source }))
}

/// Loads programs until one is refused; where the verifier rejects it, those behind it are tried for what it says of them.
fn load_programs(programs: &[Program], maps: &[Map], btf: Option<BorrowedFd<'_>>) -> Result<Vec<OwnedFd>, LoadError> {
    let mut loaded = Vec::with_capacity(programs.len());
    let mut all = programs.iter().map(|program| load_program(program, maps, btf));
    for program in all.by_ref() {
        match program {
            Ok(program) => loaded.push(program),
            Err(LoadError::Rejected(mut first)) => {
                let others = all.filter_map(|program| match program {
                    Err(LoadError::Rejected(other)) => Some(other.places),
                    _ => None,
                });
                first.places.extend(others.flatten());
                return Err(LoadError::Rejected(first));
            }
            Err(other) => return Err(other),
        }
    }
    Ok(loaded)
}

fn load_program(program: &Program, maps: &[Map], btf: Option<BorrowedFd<'_>>) -> Result<OwnedFd, LoadError> {
    let functions: Vec<[u32; 2]> = program.func_info.iter().map(|f| [f.insn_off, f.type_id]).collect();
    let line = |l: &tapster_compiler::image::LineInfo| [l.insn_off, l.file_name_off, l.line_off, l.line_col];
    let lines: Vec<[u32; 4]> = program.line_info.iter().map(line).collect();
    let code = patched(program, maps);
    let debug = btf.map(|btf| DebugInfo { btf, functions: &functions, lines: &lines });
    let module = module_of(&program.attach).map_err(|error| refused_program(program, Refused::unasked(error)))?;
    let (kind, module) = (kind(&program.attach), module.as_ref().map(AsFd::as_fd));
    let spec = ProgramSpec { name: &program.name, kind, code: &code, module, debug };
    bpf::load_program(&spec).map_err(|refused| refused_program(program, refused))
}

/// The BTF of the module that a program's place is in.
fn module_of(attach: &Attach) -> io::Result<Option<OwnedFd>> {
    match attach {
        Attach::Fentry { ty, .. } | Attach::BtfTracepoint { ty, .. } => {
            ty.module.as_deref().map(btf::of_module).transpose()
        }
        _ => Ok(None),
    }
}

fn kind(attach: &Attach) -> ProgramKind {
    match attach {
        Attach::Fentry { ty, moment: Moment::Entry, .. } => ProgramKind::Fentry(ty.id),
        Attach::Fentry { ty, moment: Moment::Return, .. } => ProgramKind::Fexit(ty.id),
        Attach::BtfTracepoint { ty, .. } => ProgramKind::BtfTracepoint(ty.id),
        Attach::RawTracepoint { .. } => ProgramKind::RawTracepoint,
        Attach::Kprobe { .. } => ProgramKind::Kprobe,
        Attach::KprobeMulti { .. } => ProgramKind::KprobeMulti,
        Attach::Uprobe(uprobes) if uprobes.multi => ProgramKind::UprobeMulti,
        Attach::Uprobe(_) => ProgramKind::Kprobe,
        Attach::Perf(_) | Attach::Breakpoint { .. } => ProgramKind::PerfEvent,
        Attach::Netfilter(_) => ProgramKind::Netfilter,
    }
}

/// The instructions as words, with descriptors in place of map numbers.
fn patched(program: &Program, maps: &[Map]) -> Vec<u64> {
    /// `BPF_PSEUDO_MAP_FD`, `BPF_PSEUDO_MAP_VALUE`: what the source register of an `ld_imm64` says of its immediate.
    const MAP_FD: u8 = 1;
    const MAP_VALUE: u8 = 2;
    let mut insns = program.insns.clone();
    for reference in &program.map_refs {
        let insn = &mut insns[reference.insn as usize];
        let source = if reference.value { MAP_VALUE } else { MAP_FD };
        insn.regs = insn.regs & 0xf | source << 4;
        insn.imm = maps[reference.map].as_fd().as_raw_fd();
    }
    let word = |code: u8, regs: u8, off: i16, imm: i32| {
        u64::from(code) | u64::from(regs) << 8 | u64::from(off as u16) << 16 | u64::from(imm as u32) << 32
    };
    insns.iter().map(|insn| word(insn.code, insn.regs, insn.off, insn.imm)).collect()
}

fn refused_program(program: &Program, refused: Refused) -> LoadError {
    let place = program.attach.describe();
    // Behind these the verifier was content, or never had its say.
    let others = [libc::EPERM, libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EAGAIN, libc::EINTR];
    let was_verifier = !refused.error.raw_os_error().is_some_and(|error| others.contains(&error));
    if was_verifier && !refused.log.trim().is_empty() {
        let instruction = refused.log.lines().rev().find_map(instruction_of);
        let position = instruction.map_or(program.span.start, |at| position_of(program, at));
        return LoadError::Rejected(Box::new(Rejection {
            program: program.name.clone(),
            probe: program.probe.clone(),
            places: vec![place],
            instruction,
            position,
            log: refused.log,
            source: refused.error,
        }));
    }
    denied_or(refused.error, &format!("a program for {}", program.probe), |source| {
        let cure = match source.raw_os_error() {
            Some(libc::EINVAL) => "this kernel cannot attach there, another rung (--attach) may do",
            Some(libc::ENOENT) => "this kernel has no such place",
            Some(libc::E2BIG) => "the handler is too large, split it",
            Some(libc::EMFILE) => "this process may not have so many files open (ulimit -n), probe fewer places",
            Some(libc::ENOMEM) => "no memory for it, probe fewer places",
            _ => "another rung (--attach) may do",
        };
        let of_program = [libc::E2BIG, libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EAGAIN, libc::EINTR];
        let is_of_place = !source.raw_os_error().is_some_and(|error| of_program.contains(&error));
        let rungs = if is_of_place { program.attach.rungs() } else { Vec::new() };
        LoadError::Program { probe: program.probe.clone(), place, rungs, cure, source }
    })
}

/// The number of the instruction that a line of the verifier's log prints: `12: (79) r1 = *(u64 *)(r1 +0)`.
fn instruction_of(line: &str) -> Option<u32> {
    let (number, rest) = line.split_once(": (")?;
    let is_code =
        rest.len() > 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit) && rest[2..].starts_with(')');
    if is_code { number.parse().ok() } else { None }
}

/// The place in the script that an instruction was made for.
fn position_of(program: &Program, instruction: u32) -> u32 {
    let behind = program.positions.partition_point(|(insn, _)| *insn <= instruction);
    behind.checked_sub(1).map_or(program.span.start, |at| program.positions[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
0: R1=ctx() R10=fp0
; probe kernel.trace(\"kmem_cache_alloc\") {
0: (79) r6 = *(u64 *)(r1 +16)
11: (79) r8 = *(u64 *)(r7 +96)
R7 invalid mem access 'scalar'
processed 12 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
";

    fn rejection() -> Rejection {
        Rejection {
            program: "slab".into(),
            probe: "kernel.trace(\"kmem_cache_alloc\")".into(),
            places: Vec::new(),
            instruction: LOG.lines().rev().find_map(instruction_of),
            position: 0,
            log: LOG.into(),
            source: io::Error::from_raw_os_error(libc::EACCES),
        }
    }

    #[test]
    fn the_failing_instruction_and_the_reason_stand_in_the_log() {
        let rejection = rejection();
        assert_eq!(rejection.instruction, Some(11));
        assert_eq!(rejection.reason(), "R7 invalid mem access 'scalar'");
        assert!(rejection.tail(2).starts_with("R7 invalid") && rejection.tail(99).starts_with("0: R1"));
        assert!(rejection.to_string().contains("EACCES"), "{rejection}");
    }

    #[test]
    fn an_instruction_belongs_to_the_last_position_before_it() {
        let program = Program {
            name: "p".into(),
            probe: "p".into(),
            sites: Vec::new(),
            lenient: false,
            attach: Attach::Kprobe { functions: vec!["f".into()], moment: Moment::Entry },
            why: Vec::new(),
            span: tapster_lang::Span { start: 5, end: 9 },
            insns: Vec::new(),
            map_refs: Vec::new(),
            func_info: Vec::new(),
            line_info: Vec::new(),
            positions: vec![(2, 20), (10, 30)],
        };
        let at = [0, 2, 9, 10, 99].map(|insn| position_of(&program, insn));
        assert_eq!(at, [5, 20, 20, 30, 30]);
    }
}
