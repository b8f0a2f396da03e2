//! Which file a `process` means.

use super::many;
use crate::elf::Elf;
use crate::image::{Attach, UprobePlace, Uprobes};
use crate::probe::site::{Resolver, text};
use crate::world::World;
use tapster_lang::ast::{Component, Literal};
use tapster_lang::preprocess::glob;
use tapster_lang::{Diagnostic, Span};

/// Libraries of a program that are looked at: no program has nearly as many.
const LIBRARIES_MAX: usize = 1000;

/// A program or library.
pub struct Binary<'a> {
    /// Where it lies, free of links.
    pub path: String,
    /// The only process to look at.
    pub pid: Option<u32>,
    /// What it says of itself.
    pub elf: Elf<'a>,
}

impl<'a> Binary<'a> {
    /// The program that the first part of a point names.
    pub fn program(part: &Component, resolver: &Resolver<'a>) -> Result<Binary<'a>, Diagnostic> {
        let world = resolver.world;
        let at = part.arg.as_ref().map_or(part.name.span, |(_, span)| *span);
        let (path, pid) = match &part.arg {
            None => {
                let path = resolver.target.program.clone().or_else(|| world.program_of(resolver.target.pid()?));
                (path.ok_or_else(|| no_target(at))?, None)
            }
            Some((Literal::Number(pid), _)) => {
                let pid = u32::try_from(*pid).map_err(|_| no_process(*pid, at))?;
                (world.program_of(pid).ok_or_else(|| no_process(pid.into(), at))?, Some(pid))
            }
            Some((Literal::String(_), _)) => {
                let (name, at) = text(part)?;
                (world.executable(name).ok_or_else(|| no_file(name, at))?, None)
            }
        };
        Binary::open(path, pid, at, world)
    }

    fn open(path: String, pid: Option<u32>, at: Span, world: &'a dyn World) -> Result<Binary<'a>, Diagnostic> {
        let bytes = world.file(&path).ok_or_else(|| no_file(&path, at))?;
        let elf = Elf::new(bytes).ok_or_else(|| not_elf(&path, bytes, at))?;
        Ok(Binary { path, pid, elf })
    }

    /// The libraries of a program that a part of the point names; a pattern may name several.
    pub fn libraries(&self, part: &Component, resolver: &Resolver<'a>) -> Result<Vec<Binary<'a>>, Diagnostic> {
        let (wanted, at) = text(part)?;
        let world = resolver.world;
        let mut known: Vec<(String, String)> = Vec::new();
        needed(&self.path, &self.elf, world, &mut known);
        let mut next = 0;
        while let Some((_, path)) = known.get(next).cloned() {
            next += 1;
            if let Some(elf) = world.file(&path).and_then(Elf::new) {
                needed(&path, &elf, world, &mut known);
            }
        }
        let is_it = |name: &str, path: &str| match wanted.contains('/') {
            true => matches(wanted, path) || world.executable(wanted).is_some_and(|real| real == path),
            false => matches(wanted, name),
        };
        let found: Vec<&str> =
            known.iter().filter(|(name, path)| is_it(name, path)).map(|(_, path)| path.as_str()).collect();
        // A library that is opened later is not among those a program needs.
        let found: Vec<String> = match (found.as_slice(), world.executable(wanted)) {
            ([], Some(path)) if wanted.contains('/') => vec![path],
            _ => found.into_iter().map(str::to_owned).collect(),
        };
        if found.is_empty() {
            return Err(no_library(&self.path, wanted, known.iter().map(|(name, _)| name.as_str()), at));
        }
        found.into_iter().map(|path| Binary::open(path, self.pid, at, world)).collect()
    }

    /// How to stand at a place of it, which may be one of many.
    pub fn attach(&self, place: UprobePlace, on_return: bool, many: bool, resolver: &Resolver) -> Attach {
        let multi = many && resolver.world.offers_uprobe_multi().is_ok();
        Attach::Uprobe(Uprobes { path: self.path.clone(), places: vec![place], pid: self.pid, on_return, multi })
    }
}

/// Whether a name is what a pattern stands for.
pub fn matches(pattern: &str, name: &str) -> bool {
    glob(pattern.as_bytes(), name.as_bytes())
}

/// Adds the libraries that a file needs: name and path.
fn needed(path: &str, elf: &Elf, world: &dyn World, known: &mut Vec<(String, String)>) {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (names, folders) = elf.needed();
    let folders: Vec<String> =
        folders.iter().map(|path| path.replace("${ORIGIN}", folder).replace("$ORIGIN", folder)).collect();
    for name in names {
        if known.len() >= LIBRARIES_MAX || known.iter().any(|(other, _)| *other == name) {
            continue;
        }
        let found = match root(path) {
            Some(root) => world.library_below(root, &name, &folders),
            None => world.library(&name, &folders),
        };
        known.extend(found.map(|path| (name, path)));
    }
}

/// Where the process that a path goes through has its root.
fn root(path: &str) -> Option<&str> {
    const ROOT: &str = "/root";
    let through = path.strip_prefix("/proc/")?.find("/root/")? + "/proc/".len();
    Some(&path[..through + ROOT.len()])
}

fn no_target(at: Span) -> Diagnostic {
    Diagnostic::error("probe::no-target", "unspecified process probe is invalid without a -c COMMAND or -x PID")
        .label(at, "which process?")
        .help("name a program, `process(\"PATH\")`, or give -c COMMAND or -x PID")
}

/// A process that is not there.
pub fn no_process(pid: i64, at: Span) -> Diagnostic {
    Diagnostic::error("probe::no-process", format!("process {pid} does not exist, or its program cannot be read"))
        .label(at, "no such process")
}

/// A program that is not there.
pub fn no_file(name: &str, at: Span) -> Diagnostic {
    if many::is_build(name) {
        return Diagnostic::error("probe::no-file", format!("no program or library of the build {name}"))
            .label(at, "no package links to it, and no process runs it")
            .help("a process that runs it, or its path, would do");
    }
    let error =
        Diagnostic::error("probe::no-file", format!("no program `{name}`")).label(at, "no such file, or not readable");
    match name.contains('/') {
        true => error,
        false => error.help("a name without a slash is looked for in $PATH"),
    }
}

fn not_elf(path: &str, bytes: &[u8], at: Span) -> Diagnostic {
    let error = Diagnostic::error("probe::not-elf", format!("`{path}` is no program of this machine"))
        .label(at, "not an ELF file that can run here");
    match bytes.strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next()) {
        Some(line) => {
            let line = String::from_utf8_lossy(line);
            let interpreter = line.split_whitespace().next().unwrap_or_default();
            error.help(format!("it is a script: its interpreter is what runs, `process(\"{interpreter}\")`"))
        }
        None => error,
    }
}

fn no_library<'n>(path: &str, wanted: &str, known: impl Iterator<Item = &'n str>, at: Span) -> Diagnostic {
    let known: Vec<&str> = known.collect();
    let error = Diagnostic::error("probe::no-library", format!("`{path}` needs no library `{wanted}`"))
        .label(at, "not among its libraries");
    match known.is_empty() {
        true => error.help("it needs none that can be found"),
        false => error.help(format!("it needs {}", known.join(" "))),
    }
}
