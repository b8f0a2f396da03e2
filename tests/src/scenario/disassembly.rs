//! The object that `--emit obj` writes is one that other tools read.

use std::fs;
use std::path::Path;

use crate::facts::{OBJDUMP, Rung};
use crate::job::Env;
use crate::process::Running;
use crate::process::privilege::SharedCopy;

/// Calls of helpers, an aggregate and a stack: something of everything.
const SCRIPT: &str = r#"
global stacks
probe kernel.trace("kmem_cache_alloc") { stacks[execname(), backtrace()] <<< 1 }
probe end { foreach ([exec, bt] in stacks) printf("%s %d\n", exec, @count(stacks[exec, bt])) }
"#;

/// Opcodes of stores of constants, which LLVM reads from version 18 on only, and of `may_goto`, from 19 on.
const YOUNG: &[&str] = &["\t62 ", "\t6a ", "\t72 ", "\t7a ", "\te5 "];

/// LLVM disassembles every instruction of it.
pub fn is_disassembled(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let folder = SharedCopy::of(&[]).map_err(|e| e.to_string())?;
    let object = folder.folder().join("probe.o");
    // The object goes to a file by the shell: it is not text.
    let mut shell = env.bare(Path::new("/bin/sh"));
    shell.args(["-c", "exec \"$1\" --emit obj -e \"$2\" > \"$3\"", "sh"]).arg(&env.tapster).arg(SCRIPT).arg(&object);
    let written = Running::start(&mut shell).map_err(|e| format!("sh: {e}"))?.finish(env.seconds(20))?;
    let bytes = fs::read(&object).map_err(|e| e.to_string())?;
    if written.exit != 0 || !bytes.starts_with(b"\x7fELF") {
        return Err(format!("no ELF file was written\n{}", written.transcript()));
    }
    let mut command = env.bare(Path::new(OBJDUMP));
    let dump = Running::start(command.arg("-d").arg(&object)).map_err(|e| format!("{OBJDUMP}: {e}"))?;
    let dump = dump.finish(env.seconds(20))?;
    let text = &dump.stdout;
    let complete = text.contains("elf64-bpf") && text.contains("call ") && text.contains("exit");
    let unknown = text.lines().find(|line| line.contains("<unknown>") && !YOUNG.iter().any(|op| line.contains(op)));
    match unknown {
        None if dump.exit == 0 && complete => Ok(()),
        _ => Err(format!("llvm-objdump does not understand {unknown:?}\n{}", dump.transcript())),
    }
}
