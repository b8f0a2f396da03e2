//! What the compiler may ask about the machine.
//!
//! The compiler never opens a file or makes a system call: the runtime answers these questions for the real machine,
//! tests answer them from bytes of their own. Answers are facts; what follows from them is decided in here.

use crate::image::Moment;

/// A way to stand at a kernel function, in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rung {
    /// A trampoline at the function's entry; arguments are typed.
    Fentry,
    /// Many functions at once through ftrace; arguments are registers.
    KprobeMulti,
    /// A breakpoint or ftrace site; arguments are registers.
    Kprobe,
    /// The tracepoint that stands for the function; arguments are the tracepoint's.
    Tracepoint,
}

impl Rung {
    /// All rungs, best first.
    pub const LADDER: [Rung; 4] = [Rung::Fentry, Rung::KprobeMulti, Rung::Kprobe, Rung::Tracepoint];

    /// The name that `--attach` takes and `-v` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Rung::Fentry => "fentry",
            Rung::KprobeMulti => "kprobe.multi",
            Rung::Kprobe => "kprobe",
            Rung::Tracepoint => "tracepoint",
        }
    }
}

/// A type of the kernel as bpf(2) wants it named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelType {
    /// The module whose BTF has it; `None` for that of the kernel.
    pub module: Option<String>,
    /// Its number there, 0 for none.
    pub id: u32,
}

/// A function that a handler wants to stand at.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Its name.
    pub function: &'a str,
    /// Its type.
    pub ty: KernelType,
    /// When the handler acts: a function that never returns has no trampoline at its return.
    pub moment: Moment,
    /// More words of arguments than registers hold, or structures: at those the kernel looks as late as a trampoline is
    /// put there (`arch_prepare_bpf_trampoline`).
    pub is_wide: bool,
}

/// Why the kernel does not offer something, in words for `-v` (`"EPERM when loading a trial program"`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

/// A kernel's version, as far as facts depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// 6 in 6.18.44.
    pub major: u32,
    /// 18 in 6.18.44.
    pub minor: u32,
}

impl KernelVersion {
    /// Reads the first two numbers of a release string.
    pub fn parse(release: &str) -> Option<KernelVersion> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(KernelVersion { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
    }
}

/// Instructions a kernel's eBPF may or may not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Signed division, `gotol`: cpu v4, Linux 6.6.
    pub cpu_v4: bool,
    /// `may_goto`, by which loops end: Linux 6.9.
    pub may_goto: bool,
}

/// A slab cache by one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlabCache {
    /// The name.
    pub name: String,
    /// The kernel merges caches of one size: the name that `struct kmem_cache` holds where it is not this one
    /// (a name in /sys/kernel/slab that links to the same directory as one in /proc/slabinfo).
    pub merged_into: Option<String>,
}

/// The machine, as the compiler sees it.
pub trait World {
    /// The kernel's release string, `uname -r`.
    fn release(&self) -> &str;

    /// The number of the kernel's build in hexadecimal digits; `None` where it does not tell (/sys/kernel/notes).
    fn build_id(&self) -> Option<String> {
        None
    }

    /// Nanoseconds between two ticks of the kernel; those of the commonest kernels where nobody may know.
    fn tick(&self) -> u64 {
        4_000_000
    }

    /// The raw BTF of the kernel (`"vmlinux"`) or of a module; `None` where there is none.
    fn btf(&self, module: &str) -> Option<&[u8]>;

    /// What the kernel's eBPF knows.
    fn features(&self) -> Features;

    /// Whether a rung can be taken for a function. May load a trial program, and attach it where the kernel says only
    /// then; asked once a rung, of trampolines once a function.
    fn offers(&self, rung: Rung, wanted: &Wanted) -> Result<(), Refusal>;

    /// Whether one program can stand at many places of a file at once.
    fn offers_uprobe_multi(&self) -> Result<(), Refusal>;

    /// The bytes of a program, a library or a file of debug information; `None` where it cannot be read.
    fn file(&self, path: &str) -> Option<&[u8]>;

    /// Files with debug information, and folders of such, that the user names beside those of packages.
    fn debug_places(&self) -> &[String] {
        &[]
    }

    /// The file behind a name, free of links: a path, or a command that is looked for in `$PATH`.
    fn executable(&self, name: &str) -> Option<String>;

    /// The files behind a pattern of paths, or of commands that are looked for in `$PATH`, free of links and each once.
    fn executables(&self, _pattern: &str) -> Vec<String> {
        Vec::new()
    }

    /// The program or library of this build, by its number in hexadecimal digits: where packages keep such links, or
    /// among what runs.
    fn of_build(&self, _id: &str) -> Option<String> {
        None
    }

    /// The file that a process runs, free of links.
    fn program_of(&self, pid: u32) -> Option<String>;

    /// The device and the number of a file's inode, as the kernel has them.
    fn identity(&self, path: &str) -> Option<(u32, u64)>;

    /// The library with this name, free of links: in these folders, or where the dynamic linker looks for it.
    fn library(&self, name: &str, folders: &[String]) -> Option<String>;

    /// The library with this name where a process has its root (`/proc/PID/root`), as a path of ours.
    fn library_below(&self, _root: &str, _name: &str, _folders: &[String]) -> Option<String> {
        None
    }

    /// The functions that ftrace can stand at, one a line (`name`, or `name [module]`); `None` where nobody may know
    /// (tracefs: available_filter_functions).
    fn traceable(&self) -> Option<&str> {
        None
    }

    /// The modules that are loaded; `None` where the kernel has none (/proc/modules).
    fn modules(&self) -> Option<&[String]> {
        None
    }

    /// The kernel's symbols, one a line (`address kind name`, perhaps a tab and `[module]`); `None` where nobody may
    /// know (/proc/kallsyms).
    fn symbols(&self) -> Option<&str> {
        None
    }

    /// The system of the tracepoint with this name (`sched` of `sched_switch`), answered without listing all events.
    fn event_system(&self, _tracepoint: &str) -> Option<String> {
        None
    }

    /// The tracepoints that have an event, with their systems (`sched`, `sched_switch`), by name; `None` where nobody
    /// may know (tracefs: events).
    fn events(&self) -> Option<&[(String, String)]> {
        None
    }

    /// Whether this kernel has a slab cache of that name, and its memory is its own: the common case, answered without
    /// listing all caches.
    fn has_unmerged_slab_cache(&self, name: &str) -> bool;

    /// The slab caches this kernel has, `None` where they cannot be read.
    fn slab_caches(&self) -> Option<Vec<SlabCache>>;
}
