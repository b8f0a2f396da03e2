//! The ELF object, read by those it is for. A tool that is not installed is named on stderr.
use crate::build::{HELPER, MAP_VALUE, Names, SUBPROGRAM, flags, function};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, SourceLoc};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use tapster_compiler::bpf::btf_writer::SourceLine;
use tapster_compiler::bpf::object::{Contents, Function, Map, ObjectError, Program, write};
use tapster_compiler::bpf::{Linked, Options, link};

const MAPS: [Map; 3] = [
    Map { name: "counts", kind: 5, key_size: 16, value_size: 8, max_entries: 2048, flags: 0 },
    Map { name: "events", kind: 27, key_size: 0, value_size: 0, max_entries: 4096, flags: 0 },
    Map { name: "state", kind: 2, key_size: 4, value_size: 64, max_entries: 1, flags: 1024 },
];

/// Two programs that share a subprogram and the maps.
fn linked() -> [Linked; 2] {
    let entry = |line: u32, offset: i64| {
        function(1, move |b, names, params| {
            b.set_srcloc(SourceLoc::new(line));
            let state = names.symbol(b, MAP_VALUE, 2);
            let counter = b.ins().iadd_imm_s(state, offset);
            let old = b.ins().load(I64, flags(), counter, 0);
            let new = b.ins().iadd_imm_s(old, 1);
            b.ins().store(flags(), new, counter, 0);
            let key = b.create_sized_stack_slot(crate::build::slot(16));
            let zero = b.ins().iconst(I64, 0);
            b.ins().stack_store(I64, zero, key, 0);
            b.ins().stack_store(I64, zero, key, 8);
            let (map, key) = (names.map(b, 0), b.ins().stack_addr(I64, key, 0));
            names.call(b, HELPER, 1, &[map, key]);
            let arg = b.ins().load(I64, flags(), params[0], 0);
            let result = names.call(b, SUBPROGRAM, 2, &[arg]);
            let result = b.ins().band_imm_s(result, 0);
            b.ins().return_(&[result]);
        })
    };
    let shared = function(1, |b, _, params| {
        b.set_srcloc(SourceLoc::new(9));
        let doubled = b.ins().iadd(params[0], params[0]);
        b.ins().return_(&[doubled]);
    });
    let functions = [entry(3, 8), entry(5, 16), shared];
    let code = functions.map(|f| Names::compile(&f, &Options::default()).expect("it compiles"));
    [link(&code, 0), link(&code, 1)]
}

fn object(linked: &[Linked; 2], maps: &[Map]) -> Result<Vec<u8>, ObjectError> {
    let name = |name| Function { name, args: 1 };
    let programs = [
        Program { name: "on_alloc", section: "raw_tp/kmem_cache_alloc", linked: &linked[0] },
        Program { name: "on_free", section: "raw_tp/kmem_cache_free", linked: &linked[1] },
    ];
    write(&Contents {
        maps,
        functions: &[name("first"), name("second"), name("twice")],
        programs: &programs,
        source: &|line| SourceLine { file: "slab.stp", text: "größe[execname()] <<< $s->size", line, column: 3 },
        license: "GPL",
    })
}

/// Runs a tool on the object, or says that it cannot.
fn tool(test: &str, program: &str, args: &[&str]) -> Option<String> {
    let path: PathBuf = std::env::temp_dir().join(format!("tapster-{test}-{}.o", std::process::id()));
    std::fs::write(&path, object(&linked(), &MAPS).expect("the object is written")).expect("there is room in /tmp");
    let args = args.iter().map(|arg| if *arg == "OBJECT" { path.as_os_str() } else { arg.as_ref() });
    let output = Command::new(program).args(args).output();
    let _ = std::fs::remove_file(&path);
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
            Some(text)
        }
        Err(e) => {
            // Written past the test harness, which swallows what a passing test prints.
            let line = format!("SKIPPED object::{test}: {program}: {e}\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            None
        }
    }
}

#[test]
fn llvm_objdump_reads_it() {
    let Some(text) = tool("llvm_objdump_reads_it", "llvm-objdump", &["-dr", "OBJECT"]) else { return };
    let expected = [
        "section .text:",
        "section raw_tp/kmem_cache_alloc:",
        "<on_alloc>:",
        "<on_free>:",
        "<twice>:",
        "R_BPF_64_64\tcounts",
        "R_BPF_64_64\tstate",
        "R_BPF_64_32\ttwice",
        "call 1",
    ];
    for part in expected {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert_eq!(text.matches("<twice>:").count(), 1, "{text}");
}

#[test]
fn bpftool_reads_its_types() {
    let Some(text) = tool("bpftool_reads_its_types", "bpftool", &["btf", "dump", "file", "OBJECT"]) else { return };
    for part in ["FUNC 'on_alloc'", "FUNC 'twice'", "DATASEC '.maps'", "VAR 'counts'", "'max_entries'"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn libbpf_opens_it() {
    let Some(text) = tool("libbpf_opens_it", "bpftool", &["gen", "skeleton", "OBJECT", "name", "tapster"]) else {
        return;
    };
    for part in ["struct bpf_map *counts;", "struct bpf_program *on_alloc;", "struct bpf_program *on_free;"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn a_map_both_addressed_and_passed_is_refused() {
    let mut linked = linked();
    for reloc in &mut linked[0].map_relocs {
        if let tapster_compiler::bpf::Reloc::Map(map) = &mut reloc.1 {
            *map = 2;
        }
    }
    assert_eq!(object(&linked, &MAPS), Err(ObjectError::DirectMap("state".to_owned())));
}
