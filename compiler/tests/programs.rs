//! No program breaks the compiler: whatever is wrong with its ELF, its DWARF or its marks, a script that asks for places
//! in it compiles, or is an error that says why.

#[path = "common/clock.rs"]
mod clock;
mod common;

use clock::spent;
use common::program::{Holding, SCRIPT};
use common::world::Small;
use std::process::Command;
use std::time::Duration;
use tapster_compiler::check::Options;
use tapster_lang::preprocess::Environment;

/// Far more than any of them takes.
const LIMIT: Duration = Duration::from_secs(20);
/// Damaged copies of each program.
const COPIES: u64 = 150;

/// Compiles the script against a program; gives how many programs came of it, or the first error.
fn compile(program: Vec<u8>) -> Result<usize, String> {
    let start = spent();
    let world = Holding { kernel: Small::new(), program, shared: None };
    let (_, image) = common::image(SCRIPT.as_bytes(), &Environment::default(), &world, &Options::default());
    let took = spent() - start;
    assert!(took < LIMIT, "{took:?}");
    image.map(|image| image.programs.len()).map_err(|errors| format!("{}: {}", errors[0].code, errors[0].message))
}

/// A program of the tests' with its debug information; `None` where there is no compiler for it.
fn program(name: &str, more: &[&str]) -> Option<Vec<u8>> {
    let source = format!("{}/../tests/programs/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::temp_dir().join(format!("tapster-{name}{}-{}", more.concat(), std::process::id()));
    std::fs::create_dir_all(&folder).expect("a place to write to");
    let made = folder.join("program");
    let mut gcc = Command::new("gcc");
    let status = gcc
        .args(["-g", "-O2", "-pthread", "-Wl,--defsym=_text=0x1000", "-o"])
        .arg(&made)
        .args(more)
        .arg(source)
        .status()
        .ok()?;
    assert!(status.success());
    let bytes = std::fs::read(&made).expect("was made");
    std::fs::remove_dir_all(&folder).expect("was made");
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
        let Some(program) = program(name, &[]) else { return };
        let whole = compile(program.clone()).expect("the script is right");
        assert!(whole > 3, "{name}: {whole} programs");
        for seed in 1..=COPIES {
            // Whatever comes of it, it comes, and soon.
            let _ = compile(damaged(&program, seed));
        }
    }
}

#[test]
fn debug_information_that_is_not_read_is_named() {
    let Some(program) = program("tpcalls", &["-gsplit-dwarf"]) else { return };
    let world = Holding { kernel: Small::new(), program, shared: None };
    let script = b"probe process(\"/program\").function(\"add\") { println($a) }";
    let error = common::image(script, &Environment::default(), &world, &Options::default()).1.map(drop);
    let error = error.expect_err("its variables are elsewhere").remove(0);
    assert_eq!(error.code, "target::no-variable");
    assert!(error.help.as_ref().is_some_and(|help| help.contains(".dwo")), "{error:?}");
}

/// A program of the tests' and what dwz makes it share with another copy; `None` where there is no dwz.
fn shared(name: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let folder = std::env::temp_dir().join(format!("tapster-shared-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a place to write to");
    let program = program(name, &["-DSHARED"])?;
    let files = ["one", "two"].map(|file| folder.join(file));
    for file in &files {
        std::fs::write(file, &program).expect("is written");
    }
    let mut dwz = Command::new("dwz");
    let status = dwz.args(["-m", "shared", "-M", "/shared"]).args(&files).current_dir(&folder).status().ok()?;
    assert!(status.success());
    let read = |file: &str| std::fs::read(folder.join(file)).expect("dwz made it");
    let both = (read("one"), read("shared"));
    std::fs::remove_dir_all(&folder).expect("was made");
    Some(both)
}

#[test]
fn debug_information_that_programs_share_is_read() {
    let Some((program, other)) = shared("tpcalls") else { return };
    let compile = |script: &str, shared: Option<&Vec<u8>>| {
        let world = Holding { kernel: Small::new(), program: program.clone(), shared: shared.cloned() };
        common::image(script.as_bytes(), &Environment::default(), &world, &Options::default()).1.map(drop)
    };
    let script = "probe process(\"/program\").function(\"sum\") { println($p$$, $p->next->range->low) }";
    compile(script, Some(&other)).expect("types and names are there");
    let error = compile(script, None).expect_err("they are elsewhere").remove(0);
    assert!(error.help.as_ref().is_some_and(|help| help.contains("dwz")), "{error:?}");
}

#[test]
fn what_is_no_program_is_refused() {
    for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &[0x7f; 4096], &[0; 64]] {
        let error = common::image(
            b"probe process(\"/program\").function(\"main\") { exit() }",
            &Environment::default(),
            &Holding { kernel: Small::new(), program: bytes.to_vec(), shared: None },
            &Options::default(),
        );
        assert_eq!(error.1.map(drop).map_err(|errors| errors[0].code), Err("probe::not-elf"));
    }
}
