//! The machine we run on, as the compiler asks for it.
//!
//! Nothing is read before it is asked for, and every answer is kept: a script without kernel handlers costs no look at
//! the kernel. What follows from the facts is the compiler's business.

use crate::binary;
use crate::build;
use crate::configuration::Configuration;
use crate::privilege::{self, Denied};
use crate::slab;
use crate::sys::bpf::{self, ProgramKind, ProgramSpec};
use crate::sys::memory::FileBytes;
use crate::sys::{btf, clock, errno_name, link, perf, process};
use std::cell::OnceCell;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use tapster_compiler::image::Moment;
use tapster_compiler::world::{Features, Refusal, Rung, SlabCache, Wanted, World};

/// `r0 = 0; exit`.
const RETURN_ZERO: [u64; 2] = [0xb7, 0x95];
/// `r0 = 4; r1 = 2; r0 s/= r1; exit`: signed division is an offset of 1 in the division instruction.
const SIGNED_DIVISION: [u64; 4] = [0x04 << 32 | 0xb7, 0x02 << 32 | 0x01b7, 0x01 << 16 | 0x103f, 0x95];
/// `may_goto +0; r0 = 0; exit`
const MAY_GOTO: [u64; 3] = [0xe5, 0xb7, 0x95];

/// The running machine.
#[derive(Debug, Default)]
pub struct Machine {
    release: OnceCell<String>,
    btf: Files,
    files: Files,
    features: OnceCell<Features>,
    traceable: OnceCell<Option<String>>,
    modules: OnceCell<Option<Vec<String>>>,
    symbols: OnceCell<Option<String>>,
    events: OnceCell<Option<Vec<(String, String)>>>,
    configuration: OnceCell<Configuration>,
    debug_places: Vec<String>,
}

/// A file and, behind it, the next one asked for: references into earlier files stay valid.
#[derive(Debug, Default)]
struct Files {
    content: OnceCell<(String, Option<FileBytes>)>,
    next: OnceCell<Box<Files>>,
}

impl Files {
    /// The bytes of the file with this name, which `read` reads once.
    fn get(&self, wanted: &str, read: fn(&str) -> Option<FileBytes>) -> Option<&[u8]> {
        let mut at = self;
        loop {
            let (name, bytes) = at.content.get_or_init(|| (wanted.into(), read(wanted)));
            if name == wanted {
                return bytes.as_ref().map(FileBytes::bytes);
            }
            at = at.next.get_or_init(Box::default);
        }
    }
}

fn read_btf(module: &str) -> Option<FileBytes> {
    if module.is_empty() || module.contains('/') || module.starts_with('.') {
        return None;
    }
    FileBytes::open(&format!("/sys/kernel/btf/{module}")).ok()
}

impl Machine {
    /// The machine; reads nothing yet.
    pub fn new() -> Machine {
        Machine::default()
    }

    /// The machine, as if its kernel could do just this.
    pub fn with_features(features: Features) -> Machine {
        Machine { features: features.into(), ..Machine::default() }
    }

    /// The machine, with debug information in these files and folders, too.
    pub fn with_debug_places(places: &[String]) -> Machine {
        Machine { debug_places: places.to_vec(), ..Machine::default() }
    }

    /// What the kernel was configured with, by an option's name, as conditions of the preprocessor ask for it.
    pub fn option(&self, name: &str) -> Option<String> {
        self.configuration.get_or_init(|| Configuration::read(self.release())).get(name)
    }

    /// Whether this process may load and attach programs; says what it lacks.
    pub fn permits_tracing(&self) -> Result<(), Denied> {
        privilege::check()
    }
}

impl World for Machine {
    fn release(&self) -> &str {
        self.release.get_or_init(process::release)
    }

    fn build_id(&self) -> Option<String> {
        build::of_kernel()
    }

    fn tick(&self) -> u64 {
        clock::tick().unsigned_abs()
    }

    fn btf(&self, module: &str) -> Option<&[u8]> {
        self.btf.get(module, read_btf)
    }

    fn features(&self) -> Features {
        let knows = |code: &[u64]| loads(ProgramKind::SocketFilter, code).is_ok();
        *self.features.get_or_init(|| Features { cpu_v4: knows(&SIGNED_DIVISION), may_goto: knows(&MAY_GOTO) })
    }

    fn offers(&self, rung: Rung, wanted: &Wanted) -> Result<(), Refusal> {
        match rung {
            Rung::Fentry => offers_trampoline(wanted),
            Rung::KprobeMulti => offers_kprobe_multi(),
            Rung::Kprobe => match perf::pmu_type(perf::KPROBE_TYPE) {
                Ok(_) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(Refusal("this kernel is built without kprobe events".into()))
                }
                Err(error) => Err(refusal(&error, &format!("when reading {}", perf::KPROBE_TYPE))),
            },
            Rung::Tracepoint => Ok(()),
        }
    }

    fn offers_uprobe_multi(&self) -> Result<(), Refusal> {
        let program = loads(ProgramKind::UprobeMulti, &RETURN_ZERO)
            .map_err(|error| refusal(&error, "when loading a trial program"))?;
        match link::ask_uprobe_multi(program.as_fd()).raw_os_error() {
            // The kernel looks at the path before it takes or refuses anything.
            Some(libc::ENOENT | libc::EBADF | libc::EFAULT) => Ok(()),
            _ => Err(Refusal("this kernel has no uprobe.multi links (before 6.6)".into())),
        }
    }

    fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path, binary::bytes)
    }

    fn debug_places(&self) -> &[String] {
        &self.debug_places
    }

    fn executable(&self, name: &str) -> Option<String> {
        binary::executable(name)
    }

    fn executables(&self, pattern: &str) -> Vec<String> {
        binary::executables(pattern)
    }

    fn of_build(&self, id: &str) -> Option<String> {
        build::file(id)
    }

    fn library_below(&self, root: &str, name: &str, folders: &[String]) -> Option<String> {
        binary::library_below(root, name, folders)
    }

    fn program_of(&self, pid: u32) -> Option<String> {
        binary::program_of(pid)
    }

    fn identity(&self, path: &str) -> Option<(u32, u64)> {
        binary::identity(path)
    }

    fn library(&self, name: &str, folders: &[String]) -> Option<String> {
        binary::library(name, folders)
    }

    fn traceable(&self) -> Option<&str> {
        let read = || tracefs(|folder| fs::read_to_string(format!("{folder}/available_filter_functions")).ok());
        self.traceable.get_or_init(read).as_deref()
    }

    fn modules(&self) -> Option<&[String]> {
        let name = |line: &str| line.split(' ').next().map(str::to_owned);
        let read = || Some(fs::read_to_string("/proc/modules").ok()?.lines().filter_map(name).collect());
        self.modules.get_or_init(read).as_deref()
    }

    fn symbols(&self) -> Option<&str> {
        self.symbols.get_or_init(|| fs::read_to_string("/proc/kallsyms").ok()).as_deref()
    }

    fn event_system(&self, tracepoint: &str) -> Option<String> {
        if tracepoint.is_empty() || tracepoint.contains('/') || tracepoint.starts_with('.') {
            return None;
        }
        tracefs(|folder| {
            let folder = format!("{folder}/events");
            folders(&folder).find(|system| fs::metadata(format!("{folder}/{system}/{tracepoint}")).is_ok())
        })
    }

    fn events(&self) -> Option<&[(String, String)]> {
        let read = || {
            tracefs(|folder| {
                let systems = folders(&format!("{folder}/events"));
                let of = |system: String| {
                    let events = folders(&format!("{folder}/events/{system}"));
                    events.map(move |event| (system.clone(), event)).collect::<Vec<_>>()
                };
                Some(systems.flat_map(of).collect::<Vec<_>>()).filter(|events| !events.is_empty())
            })
        };
        self.events.get_or_init(read).as_deref()
    }

    fn has_unmerged_slab_cache(&self, name: &str) -> bool {
        // A cache that shares its memory is a link there.
        !name.is_empty()
            && !name.contains('/')
            && fs::symlink_metadata(format!("{SLAB_DIRECTORY}/{name}")).is_ok_and(|entry| entry.is_dir())
    }

    fn slab_caches(&self) -> Option<Vec<SlabCache>> {
        let listed = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
        let caches = slab::caches(slab::directory(SLAB_DIRECTORY), slab::listed(&listed));
        (!caches.is_empty()).then_some(caches)
    }
}

/// What the first of the places that tracefs is mounted at gives.
fn tracefs<T>(look: impl Fn(&str) -> Option<T>) -> Option<T> {
    ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"].into_iter().find_map(look)
}

/// Names of the folders in a folder.
fn folders(path: &str) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.filter(is_folder).filter_map(|entry| entry.file_name().into_string().ok())
}

/// The kernel's directory of caches.
const SLAB_DIRECTORY: &str = "/sys/kernel/slab";

fn loads(kind: ProgramKind, code: &[u64]) -> io::Result<OwnedFd> {
    bpf::try_program(&ProgramSpec { name: "tapster_trial", kind, code, module: None, debug: None })
}

fn offers_trampoline(wanted: &Wanted) -> Result<(), Refusal> {
    let program = trampoline_program(wanted).map_err(|error| refusal(&error, "when loading a trial program"))?;
    match wanted.is_wide {
        true => link::open_tracing(program.as_fd())
            .map(drop)
            .map_err(|error| refusal(&error, "when attaching a trial program")),
        false => Ok(()),
    }
}

fn trampoline_program(wanted: &Wanted) -> io::Result<OwnedFd> {
    let ty = &wanted.ty;
    let module = ty.module.as_deref().map(btf::of_module).transpose()?;
    let kind = match wanted.moment {
        Moment::Entry => ProgramKind::Fentry(ty.id),
        Moment::Return => ProgramKind::Fexit(ty.id),
    };
    let (code, module) = (&RETURN_ZERO, module.as_ref().map(AsFd::as_fd));
    bpf::try_program(&ProgramSpec { name: "tapster_trial", kind, code, module, debug: None })
}

fn refusal(error: &io::Error, when: &str) -> Refusal {
    Refusal(format!("{} {when}", errno_name(error)))
}

fn offers_kprobe_multi() -> Result<(), Refusal> {
    let program = loads(ProgramKind::KprobeMulti, &RETURN_ZERO)
        .map_err(|error| refusal(&error, "when loading a trial program"))?;
    let answer = link::ask_kprobe_multi(program.as_fd());
    match answer.raw_os_error() {
        Some(libc::EFAULT) => Ok(()),
        Some(libc::EOPNOTSUPP) => Err(Refusal("this kernel is built without fprobe (EOPNOTSUPP)".into())),
        Some(libc::EINVAL) => Err(Refusal("this kernel has no kprobe.multi links (before 5.18)".into())),
        _ => Err(refusal(&answer, "when asking for a trial link")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_no_name_has_no_btf() {
        let machine = Machine::new();
        assert_eq!(machine.btf("../btf/vmlinux"), None);
        assert_eq!(machine.btf("no_such_module"), None);
    }

    #[test]
    fn btf_stays_where_it_was_when_another_module_is_read() {
        let machine = Machine::new();
        let Some(first) = machine.btf("vmlinux") else { return };
        let _ = machine.btf("no_such_module");
        assert!(std::ptr::eq(first, machine.btf("vmlinux").expect("still there")));
        assert_eq!(first[..2], [0x9f, 0xeb]);
    }
}
