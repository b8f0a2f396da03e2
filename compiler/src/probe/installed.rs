//! The kernel's debug information: where it is installed, and which build it is of.

use super::process::dwarf::Sections;
use super::site::Resolver;
use crate::elf::{Elf, hexadecimal};
use crate::separate;
use crate::world::World;
use std::collections::HashMap;
use tapster_lang::Diagnostic;

/// Debug information of the running kernel.
pub struct Installed<'a> {
    /// Its sections.
    pub sections: Sections<'a>,
}

/// Why there is none: where it was looked for, and what is wrong with what was there.
pub struct Missing {
    looked_for: Vec<String>,
    why: Option<String>,
}

/// Symbols that a file of the kernel and the running one both have, at the start of the code.
const STARTS: [&str; 2] = ["_text", "_stext"];

impl<'a> Installed<'a> {
    /// Looks where packages put it.
    pub fn find(resolver: &Resolver<'a>) -> Result<Installed<'a>, Missing> {
        let world = resolver.world;
        let mut missing = Missing { looked_for: places(world), why: None };
        for path in &missing.looked_for {
            let Some(elf) = world.file(path).and_then(Elf::new) else { continue };
            match Installed::of(&elf, world) {
                Ok(installed) => return Ok(installed),
                Err(why) => missing.why = missing.why.or(Some(format!("{path} {why}"))),
            }
        }
        Err(missing)
    }

    fn of(elf: &Elf<'a>, world: &'a dyn World) -> Result<Installed<'a>, &'static str> {
        let is_other = |id: String| elf.build_id().is_none_or(|other| hexadecimal(other) != id);
        if world.build_id().is_some_and(is_other) {
            return Err("is of another build of the kernel");
        }
        let moved =
            moved(elf, world).ok_or("says where symbols are, and the kernel does not: /proc/kallsyms hides it")?;
        Ok(Installed { sections: Sections::of_kernel(elf, moved).ok_or("has no debug information")? })
    }
}

impl Missing {
    /// Adds it to what is said.
    pub fn say(self, error: Diagnostic) -> Diagnostic {
        match self.why {
            Some(why) => error.note(why),
            None => error.note(format!("looked for {}", self.looked_for.join(", "))),
        }
    }
}

/// Where packages put the debug information of kernels.
fn places(world: &dyn World) -> Vec<String> {
    let release = world.release();
    let by_release = [
        format!("/usr/lib/debug/boot/vmlinux-{release}"),
        format!("/usr/lib/debug/lib/modules/{release}/vmlinux"),
        format!("/usr/lib/debug/usr/lib/modules/{release}/vmlinux"),
        format!("/lib/modules/{release}/build/vmlinux"),
    ];
    let by_build = world.build_id().and_then(|id| separate::of_build(&id));
    // What the user names may be of programs: such a file has another build's number.
    world.debug_places().iter().cloned().chain(by_release).chain(by_build).collect()
}

/// How far the running kernel is from where its file says.
fn moved(elf: &Elf, world: &dyn World) -> Option<u64> {
    let running = |name: &str| {
        let address = |line: &str| {
            let (address, rest) = line.split_once(' ')?;
            (rest.get(2..) == Some(name)).then(|| u64::from_str_radix(address, 16).ok()).flatten()
        };
        world.symbols()?.lines().find_map(address).filter(|address| *address != 0)
    };
    STARTS.iter().find_map(|name| Some(running(name)?.wrapping_sub(elf.symbol(name)?)))
}

/// The functions of the running kernel, without its modules.
pub struct Symbols<'a> {
    by_address: HashMap<u64, Vec<&'a str>>,
    counts: HashMap<&'a str, u32>,
}

impl<'a> Symbols<'a> {
    /// Of its table of symbols.
    pub fn read(world: &'a dyn World) -> Symbols<'a> {
        let mut symbols = Symbols { by_address: HashMap::new(), counts: HashMap::new() };
        for line in world.symbols().unwrap_or_default().lines().filter(|line| !line.contains('\t')) {
            let mut words = line.split(' ');
            let (Some(address), Some("t" | "T" | "w" | "W"), Some(name)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            if let Ok(address) = u64::from_str_radix(address, 16) {
                symbols.by_address.entry(address).or_default().push(name);
                *symbols.counts.entry(name).or_default() += 1;
            }
        }
        symbols
    }

    /// The symbol of a function that the source calls so: the compiler may have added to its name.
    pub fn at(&self, address: u64, name: &str) -> Option<&'a str> {
        let here = self.by_address.get(&address)?;
        let is_it = |symbol: &&&str| super::pattern::source_name(symbol) == name;
        here.iter().find(is_it).or(here.first()).copied()
    }

    /// How many functions have a symbol of this name.
    pub fn count(&self, symbol: &str) -> u32 {
        self.counts.get(symbol).copied().unwrap_or(0)
    }
}
