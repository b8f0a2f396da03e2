//! The judge is judged: what the other scenarios rely on is shown to hold, and to fail when it should.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;

use super::load::{agree, storm};
use crate::bpf::sys::{self, ProgramKind};
use crate::bpf::{insn, loaded};
use crate::facts::Rung;
use crate::job::Env;
use crate::process::privilege::SharedCopy;
use crate::truth::counter::{Counter, Event};

/// Two counters of one storm see the same.
pub fn counters_agree(env: &Env, _: Option<Rung>) -> Result<(), String> {
    let event = Event::RawTracepoint("kmem_cache_alloc".into());
    let counters = [Counter::start(&event, "tpstorm")?, Counter::start(&event, "tpstorm")?];
    storm(env, 2)?;
    let [a, b] = [counters[0].read()?, counters[1].read()?];
    if a.events == 0 {
        return Err("no event of the storm was counted".into());
    }
    agree(a, b)
}

/// A program that nobody holds is found, and one that is gone is not.
pub fn leak_is_seen(_: &Env, _: Option<Rung>) -> Result<(), String> {
    let before = loaded::ids();
    let kind = ProgramKind { program: sys::PROG_RAW_TRACEPOINT, attach: 0, btf_id: 0 };
    let program = sys::load(kind, &[insn::mov(0, 0), insn::exit()]).map_err(|e| format!("load: {e}"))?;
    let id = sys::program_info(&program).map_err(|e| format!("info: {e}"))?.id;
    if !loaded::held_by(std::process::id()).contains(&id) {
        return Err("a program of this process is not seen as its own".into());
    }
    let folder = SharedCopy::of(&[]).map_err(|e| e.to_string())?;
    // The mount must not be seen by others, so it is made by a thread with a namespace of its own, which ends with it.
    let path = folder.folder().to_owned();
    thread::spawn(move || pinned(&path, &program).map(|()| drop(program)).and_then(|()| seen(&path, &before, id)))
        .join()
        .map_err(|_| "panicked")?
}

fn pinned(folder: &Path, program: &std::os::fd::OwnedFd) -> Result<(), String> {
    let mount = || {
        let path = CString::new(folder.as_os_str().as_bytes())?;
        let none = std::ptr::null();
        // SAFETY: the strings end in NUL and live as long as the calls.
        let result = unsafe {
            libc::unshare(libc::CLONE_NEWNS)
                | libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast())
                | libc::mount(c"bpf".as_ptr(), path.as_ptr(), c"bpf".as_ptr(), 0, none.cast())
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    mount().map_err(|e| format!("bpf file system: {e}"))?;
    let pin = CString::new(folder.join("leak").as_os_str().as_bytes()).map_err(|e| e.to_string())?;
    sys::pin(program, &pin).map_err(|e| format!("pin: {e}"))
}

fn seen(folder: &Path, before: &std::collections::BTreeSet<u32>, id: u32) -> Result<(), String> {
    let is_seen = || loaded::leaked_since(before).iter().any(|program| program.id == id);
    if !is_seen() {
        return Err("a pinned program was not found".into());
    }
    fs::remove_file(folder.join("leak")).map_err(|e| format!("unpin: {e}"))?;
    if is_seen() { Err("a program was found after it was gone".into()) } else { Ok(()) }
}
