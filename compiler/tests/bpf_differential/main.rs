//! The eBPF back end against Cranelift's own: the same IR, run by the kernel and run natively, must do the same.
//!
//! Programs are loaded as raw tracepoints and run by `BPF_PROG_TEST_RUN`, so this needs a kernel that lets us (root or
//! CAP_BPF). Where it does not, each test says so by name on stderr. `TAPSTER_BPF_RANDOM=N` runs N random programs instead of
//! the usual few hundred, `TAPSTER_BPF_SEED=N` starts at another one, `TAPSTER_BPF_DUMP=1` prints what is compiled.
#![expect(clippy::print_stdout, reason = "what a failing or asked-for test prints")]

mod build;
mod cases;
mod cases_hostile;
mod cases_memory;
mod host;
mod random;
mod sys;

use cranelift_codegen::ir::Function;
use host::Host;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use sys::MapSpec;
use tapster_compiler::bpf::btf_writer::{Btf, Linkage, SourceLine, TypeId};
use tapster_compiler::bpf::disasm::disassemble;
use tapster_compiler::bpf::{Code, CompileError, Linked, Options, Reloc, compile, link};

const RANDOM_PROGRAMS: u64 = 300;
const RUNS_PER_CASE: usize = 300;
const RUNS_PER_RANDOM_PROGRAM: usize = 25;
const TARGETS: [Options; 2] = [Options { cpu_v4: false }, Options { cpu_v4: true }];

/// Map 0 takes results, map 1 holds data, map 2 is keyed by strings.
const MAPS: [MapSpec; 3] = [
    MapSpec { kind: 2, key: 4, value: 64, entries: 1 },
    MapSpec { kind: 2, key: 4, value: 272, entries: 1 },
    MapSpec { kind: 1, key: 16, value: 8, entries: 64 },
];

/// Builds the functions of one program; the first is the entry.
type Build<'a> = &'a dyn Fn(&mut Host) -> Vec<Function>;

/// A deterministic xorshift.
struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        let mut rng = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = rng.bits());
        rng
    }

    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.bits() >> 8) as usize % n
    }

    /// An integer of the kind that finds bugs.
    fn interesting(&mut self) -> u64 {
        const EDGES: [u64; 9] = [0, 1, u64::MAX, 1 << 63, i64::MAX as u64, 1 << 31, 0xffff_ffff, 0x7f, 0x80];
        match self.below(6) {
            0 => self.bits() % 300,
            1 => (self.bits() % 40).wrapping_neg(),
            2 => EDGES[self.below(EDGES.len())],
            3 => self.bits() & 0xffff_ffff,
            _ => self.bits(),
        }
    }
}

/// The maps in the kernel, or none with a word on stderr that a test was skipped.
fn kernel_maps(test: &str) -> Option<Vec<OwnedFd>> {
    match MAPS.iter().map(sys::create_map).collect() {
        Ok(maps) => Some(maps),
        Err(e) => {
            // Written past the test harness, which swallows what a passing test prints.
            let line = format!("SKIPPED {test}: bpf(2) is not permitted here: {e}\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            None
        }
    }
}

fn all_cases() -> impl Iterator<Item = &'static cases::Case> {
    cases::CASES.iter().chain(cases_memory::CASES).chain(cases_hostile::CASES)
}

fn compile_all(host: &Host, functions: &[Function], options: &Options) -> Result<Vec<Code>, CompileError> {
    functions.iter().map(|f| compile(f, &|ns, index| host.symbol(ns, index), options)).collect()
}

/// A linked program with the descriptors of real maps, and with BTF as the runtime would write it.
fn loadable(linked: &Linked, maps: &[OwnedFd]) -> sys::Program {
    let mut insns = linked.insns.clone();
    for (at, reloc) in &linked.map_relocs {
        let (Reloc::Map(map) | Reloc::MapValue { map }) = reloc else { panic!("an open call") };
        insns[*at].imm = maps[*map].as_raw_fd();
    }
    let mut btf = Btf::new();
    let types: Vec<(usize, TypeId)> = linked
        .functions
        .iter()
        .map(|(start, index)| match start {
            0 => (*index, btf.entry("entry", Linkage::Static)),
            _ => (*index, btf.subprogram(&format!("sub {index}"), 2)),
        })
        .collect();
    let type_of = |index| types.iter().find(|ty| ty.0 == index).expect("every function has a type").1;
    let functions = Btf::func_info(linked, &type_of);
    let lines = btf.line_info(linked, &|line| SourceLine { file: "test.stp", text: "größe <<< 1", line, column: 1 });
    sys::Program { insns, btf: btf.to_bytes(), functions, lines }
}

/// Compiles a program both ways and runs it on the same inputs; an error says what differs.
fn agree(build: Build, options: &Options, maps: &[OwnedFd], runs: usize, seed: u64) -> Result<usize, String> {
    let mut host = Host::new();
    let functions = build(&mut host);
    let code = compile_all(&host, &functions, options).map_err(|e| format!("compile: {e}"))?;
    let linked = link(&code, 0);
    if std::env::var_os("TAPSTER_BPF_DUMP").is_some() {
        functions.iter().for_each(|f| println!("{}", f.display()));
        disassemble(&linked.insns).for_each(|line| println!("{line}"));
    }
    let program = sys::load(&loadable(&linked, maps), 1).map_err(|e| format!("rejected: {}", tail(&e)))?.0;
    let entry = host.finish(&functions);
    let mut rng = Rng(seed | 1);
    let mut result = Ok(linked.insns.len());
    for run in 0..runs {
        let args = [rng.interesting(), rng.interesting(), rng.interesting(), rng.interesting()];
        let data = initial_data(&mut rng, run);
        host.models[0].array.fill(0);
        host.models[1].array.copy_from_slice(&data);
        sys::write(&maps[0], &[0; 4], &[0; 64]);
        sys::write(&maps[1], &[0; 4], &data);
        // SAFETY: the host lives until the end of this function, and the entry reads four words of context.
        let native = unsafe { entry(args.as_ptr()) } as u32;
        let kernel = sys::run(&program, &args).map_err(|e| format!("test run: {e}"))?;
        let (mut results, mut after) = (vec![0; 64], vec![0; 272]);
        sys::read(&maps[0], &[0; 4], &mut results);
        sys::read(&maps[1], &[0; 4], &mut after);
        if native != kernel || results != host.models[0].array || after != host.models[1].array {
            result = Err(format!(
                "run {run} of {args:x?}: native returns {native}, eBPF {kernel}\n native {}\n eBPF   {}\n data agrees: {}",
                words(&host.models[0].array),
                words(&results),
                after == host.models[1].array
            ));
            break;
        }
    }
    let key = host::current_comm();
    let mut value = [0; 8];
    let kernel = sys::read(&maps[2], &key, &mut value).then(|| value.to_vec());
    let native = host.models[2].hash.get(&key[..]).map(|value| value.to_vec());
    sys::delete(&maps[2], &key);
    if result.is_ok() && kernel != native {
        result = Err(format!("hash map: native {native:x?}, eBPF {kernel:x?}"));
    }
    result
}

/// The end of a verifier log, where it says why.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

fn initial_data(rng: &mut Rng, run: usize) -> Vec<u8> {
    let mut byte = || if rng.below(7) == 0 { 0 } else { (rng.bits() >> 9) as u8 };
    let mut data: Vec<u8> = (0..272).map(|_| byte()).collect();
    if run.is_multiple_of(2) {
        data[40..45].copy_from_slice(b"bash\0");
        data[3..8].copy_from_slice(b"bash\0");
    }
    data
}

fn words(bytes: &[u8]) -> String {
    let word = |chunk: &[u8]| format!("{:x}", u64::from_le_bytes(chunk.try_into().expect("eight bytes")));
    bytes.chunks(8).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn hand_written_functions_agree_with_native_code() {
    let Some(maps) = kernel_maps("hand_written_functions_agree_with_native_code") else { return };
    let only = std::env::var("TAPSTER_BPF_CASE").unwrap_or_default();
    let mut failures = vec![];
    for (name, build) in all_cases().filter(|case| case.0.contains(&only)) {
        for options in &TARGETS {
            match agree(build, options, &maps, RUNS_PER_CASE, 0x9e37_79b9_7f4a_7c15) {
                Ok(insns) => println!("{name}, {options:?}: {insns} instructions"),
                Err(e) => failures.push(format!("{name}, {options:?}: {e}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn far_jumps_go_where_short_ones_would() {
    let Some(maps) = kernel_maps("far_jumps_go_where_short_ones_would") else { return };
    let build = |host: &mut Host| build::entry(host, |p| cases::long(p, 20_000));
    let short = agree(&build, &Options { cpu_v4: false }, &maps, 1, 1);
    assert!(short.as_ref().is_err_and(|e| e.contains("a jump does not reach its target")), "{short:?}");
    agree(&build, &Options { cpu_v4: true }, &maps, 40, 1).expect("the two agree");
}

#[test]
fn random_functions_agree_with_native_code() {
    let Some(maps) = kernel_maps("random_functions_agree_with_native_code") else { return };
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let first = number("TAPSTER_BPF_SEED").unwrap_or(1);
    let count = number("TAPSTER_BPF_RANDOM").unwrap_or(RANDOM_PROGRAMS);
    let mut failures = vec![];
    for seed in first..first + count {
        for options in &TARGETS {
            let build = |host: &mut Host| random::program(host, seed);
            if let Err(e) = agree(&build, options, &maps, RUNS_PER_RANDOM_PROGRAM, seed * 7919) {
                failures.push(format!("seed {seed}, {options:?}: {e}"));
            }
        }
    }
    let shown = failures.iter().take(3).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(failures.is_empty(), "{} of {count} programs:\n{shown}", failures.len());
}

#[test]
fn disassembly_reads_as_the_verifiers_log() {
    let Some(maps) = kernel_maps("disassembly_reads_as_the_verifiers_log") else { return };
    let mut compared = 0;
    for (_, build) in all_cases() {
        for options in &TARGETS {
            let mut host = Host::new();
            let functions = build(&mut host);
            let linked = link(&compile_all(&host, &functions, options).expect("the case compiles"), 0);
            let (_, log) = sys::load(&loadable(&linked, &maps), 2).expect("the case loads");
            compared += compare_with_log(&disassemble(&linked.insns).collect::<Vec<_>>(), &log);
        }
    }
    assert!(compared > 500, "only {compared} lines of the log were understood");
}

/// Finds every instruction of the verifier's log, `12: (79) r1 = *(u64 *)(r6 +8)        ; R1_w=scalar()`, in ours.
fn compare_with_log(ours: &[String], log: &str) -> usize {
    let mut compared = 0;
    for line in log.lines() {
        let Some((at, rest)) = line.split_once(": (").filter(|(at, _)| at.bytes().all(|c| c.is_ascii_digit())) else {
            continue;
        };
        let text = rest.split_once(") ").map_or("", |(_, text)| text).split(';').next().unwrap_or("").trim_end();
        let start = format!("{at}: ");
        let own = ours.iter().find(|own| own.starts_with(&start)).expect("the log is of this program");
        // The log names maps and functions; we print what the loader is to fill in.
        if own.contains("map_fd[") || own.contains("map_value[") || own.contains("func pc") {
            continue;
        }
        assert_eq!(*own, format!("{at}: {text}"));
        compared += 1;
    }
    compared
}

/// The two example probes, compiled; clang -O2 makes 27 and 60 instructions of them.
fn example_probes() -> Vec<(&'static str, Host, Vec<Function>)> {
    let example = |name, write: fn(&mut build::Body)| {
        let mut host = Host::new();
        let functions = build::entry(&mut host, write);
        (name, host, functions)
    };
    vec![example("agg", cases_memory::aggregate), example("probe60", cases_memory::probe60)]
}

#[test]
fn example_probes_stay_small() {
    for ((name, host, functions), most) in example_probes().into_iter().zip([26, 53]) {
        let code = compile_all(&host, &functions, &Options::default()).expect("the probe compiles");
        let listing = || disassemble(&code[0].insns).collect::<Vec<_>>().join("\n");
        assert!(code[0].insns.len() <= most, "{name} has {} instructions:\n{}", code[0].insns.len(), listing());
        assert_eq!(code[0].spills, 0, "{name} spills:\n{}", listing());
    }
}

/// Prints how long the example probes take; run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn compile_times() {
    for (name, host, functions) in example_probes() {
        let mut micros: Vec<f64> = (0..5000)
            .map(|_| {
                let start = std::time::Instant::now();
                std::hint::black_box(compile_all(&host, &functions, &Options::default()).expect("the probe compiles"));
                start.elapsed().as_nanos() as f64 / 1000.0
            })
            .collect();
        micros.sort_by(f64::total_cmp);
        let code = compile_all(&host, &functions, &Options::default()).expect("the probe compiles");
        let (ir, insns) = (functions[0].dfg.num_insts(), code[0].insns.len());
        println!(
            "{name}: {ir} IR instructions, {insns} of eBPF, {:.1} us (median), {:.1} us (best)",
            micros[2500], micros[0]
        );
    }
    for rounds in [1_000, 10_000, 100_000] {
        let mut host = Host::new();
        let functions = build::entry(&mut host, |p| cases::long(p, rounds));
        let start = std::time::Instant::now();
        let code = compile_all(&host, &functions, &Options { cpu_v4: true }).expect("it compiles");
        let per_insn = start.elapsed().as_nanos() as usize / code[0].insns.len();
        println!("{} instructions: {per_insn} ns each", code[0].insns.len());
    }
}
