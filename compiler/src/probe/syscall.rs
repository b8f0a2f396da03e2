//! `syscall.NAME`: what is no alias of a system call (`crate::syscall`) is none of this architecture's calls.

use super::RESULT;
use super::site::{Arg, Context, Resolver, Sites, mismatch, no_more};
use super::tracepoint;
use crate::kernel::renames;
use crate::suggest::did_you_mean;
use crate::syscall::calls;
use tapster_lang::Diagnostic;
use tapster_lang::ast::ProbePoint;

/// Calls that other architectures, or programs of 32 bits, have; SystemTap knows them everywhere.
const ELSEWHERE: &[&str] = &[
    "_llseek",
    "bdflush",
    "chown16",
    "compat_*",
    "fadvise64_64",
    "fchown16",
    "fcntl64",
    "fork",
    "fstatfs64",
    "ftruncate64",
    "getgroups16",
    "gethostname",
    "ipc",
    "lchown16",
    "llseek",
    "mmap",
    "mmap2",
    "mmap32",
    "nfsservctl",
    "ni_syscall",
    "nice",
    "old*",
    "pause",
    "pipe32",
    "pselect7",
    "pwrite32",
    "readdir",
    "recv",
    "rt_sigaction32",
    "send",
    "setregid16",
    "setresgid16",
    "setresuid16",
    "setreuid16",
    "settimeofday32",
    "sgetmask",
    "sigaction",
    "sigaction32",
    "signal",
    "sigpending",
    "sigprocmask",
    "sigreturn",
    "sigsuspend",
    "socketcall",
    "ssetmask",
    "statfs64",
    "stime",
    "sysctl32",
    "timerfd",
    "tux",
    "umount2",
    "ustat32",
    "vfork",
    "vm86_warning",
    "waitpid",
];

/// `syscall.NAME`, `nd_syscall.NAME` and their kind
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let names: Vec<&str> = calls().flat_map(|call| call.names).collect();
    let Some(part) = point.components.get(1) else {
        return Err(mismatch(point, 1, ["NAME", "*"]));
    };
    let name = part.name.name.as_str();
    if ELSEWHERE.iter().any(|known| renames::matches(known, name)) {
        resolver.note(format!("{name} is no system call of this architecture: nothing passes there"));
        return Ok(Vec::new());
    }
    let error = Diagnostic::error(
        "probe::no-match",
        format!("no system call `{name}` on {}", if cfg!(target_arch = "aarch64") { "arm64" } else { "x86-64" }),
    )
    .label(part.name.span, "matches nothing");
    Err(match did_you_mean(name, names) {
        Some(help) => error.help(help),
        None => error.help("`syscall.*` stands for all of them"),
    })
}

/// What the points start with that system calls' aliases stand at.
pub const PASS: &str = "__syscall";

/// `__syscall.enter` and `__syscall.exit`: where all calls pass. The exit is the return of the function that a call is.
pub fn pass(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    let part = point.components.get(1).ok_or_else(|| mismatch(point, 1, ["enter", "exit"]))?;
    no_more(point, 2)?;
    let name = if part.name.name == "enter" { "sys_enter" } else { "sys_exit" };
    let mut site = tracepoint::named(name, resolver, part.name.span)?;
    let Context { args, result, entry, of_calls, .. } = &mut site.context;
    if let Some(ret) = args.iter().find(|arg| arg.name == "ret").cloned() {
        *result = Some(ret.source.clone());
        args.push(Arg { name: RESULT.into(), ..ret });
    }
    *of_calls = true;
    entry.iter_mut().for_each(|entry| entry.context.of_calls = true);
    Ok(vec![site])
}
