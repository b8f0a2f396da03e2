//! The reference programs in C: what a good programmer would write by hand.
//!
//! They are compiled where there is a clang, and loaded by a program of this package through aya: no libbpf.

use std::path::{Path, PathBuf};
use std::process::Command;

use tapster_tests::workspace;

use crate::tool::Run;

/// How clang is asked; `v3` is what every kernel since 5.1 takes.
const CLANG: [&str; 9] = ["-Wall", "-Werror", "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-c", "-o"];

/// Compiles one of them: the object's path.
pub fn object(name: &str) -> Result<PathBuf, String> {
    compiled(name, &format!("{name}.o"), &[])
}

/// Compiles one of them with what the language promises of its handlers (`c/promises.h`).
pub fn with_promises(name: &str) -> Result<PathBuf, String> {
    compiled(name, &format!("{name}_promises.o"), &["-DPROMISES=1"])
}

/// Compiles one of them to look at another cache than `filp`, by the first eight characters of its name.
pub fn of_cache(name: &str, cache: &str) -> Result<PathBuf, String> {
    compiled(name, &format!("{name}_{cache}.o"), &[&format!("-DCACHE=\"{cache}\"")])
}

fn compiled(name: &str, object: &str, more: &[&str]) -> Result<PathBuf, String> {
    let object = target(object)?;
    let mut clang = Command::new("clang");
    clang.args(CLANG).arg(&object).args(more).arg(source(name));
    finished(clang).map(|()| object)
}

/// Compiles a program for this machine, with frame pointers.
pub fn program(name: &str) -> Result<PathBuf, String> {
    let program = target(name)?;
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-o"]).arg(&program).arg(source(name));
    finished(cc).map(|()| program)
}

/// Runs programs of an object, `PROGRAM:PLACE` each.
pub fn run(object: &Path, programs: &[&str]) -> Run {
    let object = object.display().to_string();
    let arguments = [&[object.as_str()], programs].concat();
    Run::new(&loader(), &arguments, Some("attached "))
}

/// What loads them.
pub fn loader() -> PathBuf {
    workspace::binaries().join("reference")
}

fn source(name: &str) -> PathBuf {
    workspace::root().join("benches/c").join(format!("{name}.c"))
}

fn target(name: &str) -> Result<PathBuf, String> {
    let folder = workspace::target().join("bench");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder.join(name))
}

fn finished(mut command: Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("there is no {name} here ({e})"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr))) }
}
