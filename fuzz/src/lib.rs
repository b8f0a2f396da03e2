//! What the fuzzer does with bytes: each function takes a script that may be anything, and must come back.
//!
//! Whatever is wrong with the bytes is the user's fault and becomes a diagnostic, and every diagnostic can be shown.
#![forbid(unsafe_code)]

#[path = "../../compiler/tests/common/mod.rs"]
mod common;

use common::program::{Holding, SCRIPT};
use common::world::{Bare, MODULE, Small};
use std::sync::OnceLock;
use tapster_compiler::check::Options;
use tapster_compiler::emit;
use tapster_compiler::world::World;
use tapster_lang::diagnostic::{Format, render_all};
use tapster_lang::preprocess::{Environment, Macros};
use tapster_lang::{Diagnostic, SourceMap};

/// Runs the preprocessor.
pub fn preprocess(text: &[u8]) {
    let args = arguments();
    let mut sources = SourceMap::new();
    let file = sources.add_bytes("<input>", text);
    match tapster_lang::preprocess::preprocess(file, &mut sources, &environment(&args), &Macros::default()) {
        Ok(expanded) => show(&expanded.warnings, &sources),
        Err(errors) => show(&errors, &sources),
    }
}

/// Parses, and prints the tree.
pub fn parse(text: &[u8]) {
    let args = arguments();
    let mut sources = SourceMap::new();
    let file = sources.add_bytes("<input>", text);
    match tapster_lang::parse::parse(file, &mut sources, &environment(&args), &Macros::default()) {
        Ok(parsed) => {
            let _ = parsed.script.to_string();
            show(&parsed.warnings, &sources);
        }
        Err(errors) => show(&errors, &sources),
    }
}

/// Compiles to the end, for a machine with BTF and for one without, and prints the results.
pub fn check(text: &[u8]) {
    static SMALL: OnceLock<Small> = OnceLock::new();
    compile(text, SMALL.get_or_init(Small::new));
    if text.windows(6).any(|word| word == b"kernel") {
        compile(text, &Bare);
    }
}

/// Compiles a script that asks for everything a program has, against a program that may be anything.
pub fn program(bytes: &[u8]) {
    compile(SCRIPT.as_bytes(), &Holding { kernel: Small::new(), program: bytes.to_vec(), shared: None });
}

/// Compiles a script against a kernel whose types may be anything: the bytes themselves, or what they change in types
/// that are good, a place, a byte there, and so on; then lists what there is.
pub fn types(bytes: &[u8]) {
    let good = Small::new();
    let [kernel, module] = ["vmlinux", MODULE].map(|name| good.btf(name).unwrap_or_default());
    let mut kernel_and_module = [kernel, module].concat();
    if let [0x9f, 0xeb, ..] = bytes {
        kernel_and_module.splice(..kernel.len(), bytes.iter().copied());
    } else {
        for [low, high, byte] in bytes.as_chunks::<3>().0 {
            let at = usize::from(u16::from_le_bytes([*low, *high])) % kernel_and_module.len();
            kernel_and_module[at] = *byte;
        }
    }
    let module = kernel_and_module.split_off(kernel_and_module.len() - module.len());
    let world = Small::with(kernel_and_module, module);
    compile(
        include_str!("../../compiler/tests/data/typed.stp").replace("println($prev->nothing)", "").as_bytes(),
        &world,
    );
    let args = arguments();
    let mut sources = SourceMap::new();
    let file = sources
        .add_bytes("<input>", b"probe kernel.function(\"*\"), kernel.trace(\"*\"), module(\"*\").function(\"*\") {}");
    if let Ok(parsed) = tapster_lang::parse::parse(file, &mut sources, &environment(&args), &Macros::default()) {
        let _ = tapster_compiler::check::places(&[parsed.script], &world, &Options::default(), true);
    }
}

fn compile(text: &[u8], world: &dyn World) {
    let args = arguments();
    // Half of all texts are compiled as `-u` does.
    let options = Options { elide: text.len() % 2 == 0, ..Options::default() };
    let (sources, result) = common::image(text, &environment(&args), world, &options);
    match result {
        Ok(image) => {
            let _ = emit::bpf(&image, &sources);
            let _ = emit::image(&image);
            let _ = emit::object(&image, &sources);
        }
        Err(errors) => show(&errors, &sources),
    }
}

fn arguments() -> [Vec<u8>; 3] {
    [b"42".to_vec(), b"$1 \"x".to_vec(), b"\xff\n".to_vec()]
}

fn environment(args: &[Vec<u8>]) -> Environment<'_> {
    Environment { args, guru: true, ..Environment::default() }
}

/// Shows what was found, as people and machines read it; what all have in common is seen in the first few.
fn show(found: &[Diagnostic], sources: &SourceMap) {
    for format in [Format::Fancy, Format::Stap, Format::Json] {
        let _ = render_all(&found[..found.len().min(3)], sources, format, true, 80);
    }
}
