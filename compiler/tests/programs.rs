//! No program breaks the compiler: whatever is wrong with its ELF, its DWARF or its marks, a script that asks for places
//! in it compiles, or is an error that says why.

mod common;

use common::world::Small;
use std::process::Command;
use std::time::{Duration, Instant};
use tapster_compiler::check::Options;
use tapster_compiler::world::{Features, KernelType, Refusal, Rung, SlabCache, World};
use tapster_lang::preprocess::Environment;

/// Asks for everything that there is.
const SCRIPT: &str = "
probe process(\"/program\").function(\"*\") ? { println($$parms, pp()) }
probe process(\"/program\").function(\"sum\") ? { println($p$$, $p->next->range->low) }
probe process(\"/program\").function(\"*@*:1-99999\").return ? { println(pp()) }
probe process(\"/program\").function(\"sum\").return ? { println($return, @entry($label)) }
probe process(\"/program\").statement(\"*@*:*\") ? { println($$vars) }
probe process(\"/program\").statement(0x1200) ? { println(pp()) }
probe process(\"/program\").mark(\"*\") ? { println($$vars, pp()) }
probe process(\"/program\").plt(\"*\") ? { println(pp()) }
probe process(\"/program\").library(\"*\").function(\"*\") ? { println(pp()) }
probe begin { exit() }
";
/// Far more than any of them takes.
const LIMIT: Duration = Duration::from_secs(20);
/// Damaged copies of each program.
const COPIES: u64 = 150;

/// A machine that has one program.
struct Holding {
    kernel: Small,
    program: Vec<u8>,
}

impl World for Holding {
    fn release(&self) -> &str {
        self.kernel.release()
    }

    fn btf(&self, module: &str) -> Option<&[u8]> {
        self.kernel.btf(module)
    }

    fn features(&self) -> Features {
        self.kernel.features()
    }

    fn offers(&self, rung: Rung, function: &str, ty: &KernelType) -> Result<(), Refusal> {
        self.kernel.offers(rung, function, ty)
    }

    fn offers_uprobe_multi(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn file(&self, path: &str) -> Option<&[u8]> {
        (path == "/program").then_some(&self.program)
    }

    fn executable(&self, name: &str) -> Option<String> {
        (name == "/program").then(|| name.to_owned())
    }

    fn program_of(&self, _: u32) -> Option<String> {
        None
    }

    fn identity(&self, _: &str) -> Option<(u32, u64)> {
        Some((1, 2))
    }

    fn library(&self, _: &str, _: &[String]) -> Option<String> {
        Some("/program".into())
    }

    fn has_unmerged_slab_cache(&self, name: &str) -> bool {
        self.kernel.has_unmerged_slab_cache(name)
    }

    fn slab_caches(&self) -> Option<Vec<SlabCache>> {
        self.kernel.slab_caches()
    }
}

/// Compiles the script against a program; gives how many programs came of it, or the first error.
fn compile(program: Vec<u8>) -> Result<usize, String> {
    let start = Instant::now();
    let world = Holding { kernel: Small::new(), program };
    let (_, image) = common::image(SCRIPT.as_bytes(), &Environment::default(), &world, &Options::default());
    assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    image.map(|image| image.programs.len()).map_err(|errors| format!("{}: {}", errors[0].code, errors[0].message))
}

/// A program of the tests' with its debug information; `None` where there is no compiler for it.
fn program(name: &str) -> Option<Vec<u8>> {
    let source = format!("{}/../tests/programs/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let made = std::env::temp_dir().join(format!("tapster-{name}-{}", std::process::id()));
    let status = Command::new("gcc").args(["-g", "-O2", "-pthread", "-o"]).arg(&made).arg(source).status().ok()?;
    assert!(status.success());
    let bytes = std::fs::read(&made).expect("was made");
    std::fs::remove_file(&made).expect("was made");
    Some(bytes)
}

/// xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 1) as usize
}

/// A copy with some bytes changed, or with its end missing.
fn damaged(program: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut copy = program.to_vec();
    if seed.is_multiple_of(16) {
        copy.truncate(random(&mut state) % program.len());
        return copy;
    }
    for _ in 0..1 + random(&mut state) % 40 {
        let at = random(&mut state) % copy.len();
        copy[at] = match random(&mut state) % 4 {
            0 => 0xff,
            1 => 0,
            _ => random(&mut state) as u8,
        };
    }
    copy
}

#[test]
fn damaged_programs_compile_or_say_why() {
    for name in ["tpcalls", "tpmarks"] {
        let Some(program) = program(name) else { return };
        let whole = compile(program.clone()).expect("the script is right");
        assert!(whole > 3, "{name}: {whole} programs");
        for seed in 1..=COPIES {
            // Whatever comes of it, it comes, and soon.
            let _ = compile(damaged(&program, seed));
        }
    }
}

#[test]
fn what_is_no_program_is_refused() {
    for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &[0x7f; 4096], &[0; 64]] {
        let error = common::image(
            b"probe process(\"/program\").function(\"main\") { exit() }",
            &Environment::default(),
            &Holding { kernel: Small::new(), program: bytes.to_vec() },
            &Options::default(),
        );
        assert_eq!(error.1.map(drop).map_err(|errors| errors[0].code), Err("probe::not-elf"));
    }
}
