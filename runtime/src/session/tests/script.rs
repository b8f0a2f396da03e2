//! Images of scripts whose handlers run in user space: the only ones that tests cannot make by hand.

use crate::{Machine, host};
use tapster_compiler::check::{Options, check};
use tapster_compiler::compile;
use tapster_compiler::host::HostTable;
use tapster_compiler::image::{Image, Storage};
use tapster_lang::SourceMap;
use tapster_lang::parse::parse;
use tapster_lang::preprocess::{Environment, Macros};

/// Compiles a script.
pub fn image(text: &str) -> Image {
    image_for(text, &host::table())
}

/// Compiles a script for other host functions.
pub fn image_for(text: &str, host: &HostTable) -> Image {
    let mut sources = SourceMap::new();
    let file = sources.add_bytes("test.stp", text.as_bytes());
    let parsed = parse(file, &mut sources, &Environment::default(), &Macros::default());
    let script = parsed.unwrap_or_else(|errors| panic!("{errors:?}")).script;
    let (machine, options) = (Machine::new(), Options::default());
    let mut checked = check(&[script], &machine, &options).unwrap_or_else(|errors| panic!("{errors:?}"));
    let lowered = compile::lower_checked(&mut checked, &options).unwrap_or_else(|errors| panic!("{errors:?}"));
    let image = compile::image(&checked, lowered, &sources, &machine, host);
    image.unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Where a number lies in the state block.
pub fn offset(image: &Image, name: &str) -> u32 {
    let global = image.globals.iter().find(|global| global.name == name).expect("a global");
    let Storage::Long { offset } = global.storage else { panic!("{name} is no number") };
    offset
}
