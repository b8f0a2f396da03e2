//! From bytes to an image, on a made-up machine: everything but loading.

pub mod program;
pub mod world;

use tapster_compiler::check::{Options, check};
use tapster_compiler::compile;
use tapster_compiler::host::{HostFn, HostTable};
use tapster_compiler::image::Image;
use tapster_compiler::library;
use tapster_compiler::world::World;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::Environment;
use tapster_lang::{Diagnostic, SourceMap};

/// Compiles a user's script as the command line does; what is wrong comes with the texts it points into.
pub fn image(
    text: &[u8],
    environment: &Environment,
    world: &dyn World,
    options: &Options,
) -> (SourceMap, Result<Image, Vec<Diagnostic>>) {
    let mut sources = SourceMap::new();
    let result = steps(text, &mut sources, environment, world, options);
    (sources, result)
}

fn steps(
    text: &[u8],
    sources: &mut SourceMap,
    environment: &Environment,
    world: &dyn World,
    options: &Options,
) -> Result<Image, Vec<Diagnostic>> {
    let macros = library::macros(text, sources, environment)?;
    let file = sources.add_bytes("<input>", text);
    let parsed = parse(file, sources, environment, &macros)?;
    let mut scripts = vec![parsed.script];
    library::complete(&mut scripts, sources, environment)?;
    let mut checked = check(&scripts, world, options)?;
    let lowered = compile::lower_checked(&mut checked, options)?;
    compile::image(&checked, lowered, sources, world, &host())
}

/// A table of host functions that nobody calls: what is compiled here is never run.
fn host() -> HostTable {
    extern "C" fn nowhere() {}
    HostTable(vec![nowhere as *const u8; HostFn::ALL.len()])
}
