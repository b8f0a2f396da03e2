//! What this kernel and this user can do, found out by doing it.
//!
//! Whether a case runs is decided from these facts and never from Tapster's own opinion: a Tapster that wrongly
//! believes it cannot attach must fail, not skip.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::bpf::btf::{self, Btf};
use crate::bpf::insn;
use crate::bpf::sys::{self, ProgramKind};
use crate::lab::image::FAMILIES;

/// Something a case can ask for with `needs:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// A kernel to trace at all: root, bpf(2) and BTF.
    Live,
    /// Effective uid 0.
    Root,
    /// A rung of the attach ladder.
    Rung(Rung),
    /// Typed raw tracepoints.
    TpBtf,
    /// Uprobes.
    Uprobe,
    /// LLVM's disassembler.
    Objdump,
    /// A terminal without a person.
    Tmux,
    /// SystemTap's own library.
    SystemTap,
    /// The C programs of `tests/programs`, compiled.
    Programs,
    /// The modules of the lab, loaded.
    Modules,
    /// Modules that families of aliases stand in, which a test may load.
    Families,
    /// A machine of which a test may use up all memory.
    Small,
}

/// A way to attach to a kernel function, by the name that `--attach` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// BPF trampolines.
    Fentry,
    /// Many functions through fprobe.
    KprobeMulti,
    /// Breakpoints.
    Kprobe,
    /// The tracepoint that stands for the function.
    Tracepoint,
}

impl Rung {
    const ALL: [Rung; 4] = [Rung::Fentry, Rung::KprobeMulti, Rung::Kprobe, Rung::Tracepoint];

    /// The name in directives, trial names and Tapster's options.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Fentry => "fentry",
            Rung::KprobeMulti => "kprobe.multi",
            Rung::Kprobe => "kprobe",
            Rung::Tracepoint => "tracepoint",
        }
    }

    /// Reads [`Rung::name`].
    pub fn parse(name: &str) -> Result<Rung, String> {
        let rung = Rung::ALL.into_iter().find(|rung| rung.name() == name);
        rung.ok_or_else(|| format!("no rung is called `{name}`"))
    }
}

impl Fact {
    const PLAIN: [(&str, Fact); 11] = [
        ("live", Fact::Live),
        ("root", Fact::Root),
        ("tp_btf", Fact::TpBtf),
        ("uprobe", Fact::Uprobe),
        ("objdump", Fact::Objdump),
        ("tmux", Fact::Tmux),
        ("systemtap", Fact::SystemTap),
        ("programs", Fact::Programs),
        ("modules", Fact::Modules),
        ("families", Fact::Families),
        ("small", Fact::Small),
    ];

    /// Reads the word of a `needs:` directive.
    pub fn parse(word: &str) -> Result<Fact, String> {
        let plain = Fact::PLAIN.iter().find(|row| row.0 == word).map(|row| row.1);
        plain
            .or_else(|| Rung::parse(word).ok().map(Fact::Rung))
            .ok_or_else(|| format!("nothing that can be needed is called `{word}`"))
    }
}

/// The facts of one kernel and user; a fact that does not hold has a reason.
#[derive(Debug, Clone)]
pub struct Facts {
    /// `uname -r`
    pub release: String,
    lacking: BTreeMap<Fact, String>,
}

impl Facts {
    /// Finds out, in a few milliseconds: loads and attaches programs that do nothing.
    pub fn probe() -> Facts {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        let checks: [(Fact, Check); 15] = [
            (Fact::Root, root),
            (Fact::Live, live),
            (Fact::TpBtf, tp_btf),
            (Fact::Uprobe, || exists("/sys/bus/event_source/devices/uprobe", "no uprobes on this kernel")),
            (Fact::Objdump, || exists(OBJDUMP, "llvm-objdump is not installed")),
            (Fact::Tmux, || exists(TMUX, "tmux is not installed")),
            (Fact::SystemTap, || exists(SYSTEMTAP, "SystemTap's library is not installed")),
            (Fact::Programs, programs),
            (Fact::Modules, || exists("/sys/kernel/config/nullb", "the module null_blk is not loaded")),
            (Fact::Families, || exists(FAMILIES, "no guest of the lab, which has modules to load")),
            (Fact::Small, small),
            (Fact::Rung(Rung::Fentry), fentry),
            (Fact::Rung(Rung::KprobeMulti), kprobe_multi),
            (Fact::Rung(Rung::Kprobe), || exists("/sys/bus/event_source/devices/kprobe", "no kprobes on this kernel")),
            (Fact::Rung(Rung::Tracepoint), tracepoint),
        ];
        let mut lacking = BTreeMap::new();
        for (fact, check) in checks {
            if let Err(why) = check() {
                lacking.insert(fact, why);
            }
        }
        Facts { release, lacking }
    }

    /// Why this fact does not hold, if it does not.
    pub fn lacks(&self, fact: Fact) -> Option<&str> {
        self.lacking.get(&fact).map(String::as_str)
    }

    /// `major.minor` of the kernel.
    pub fn version(&self) -> Version {
        Version::parse(&self.release).unwrap_or(Version(0, 0))
    }
}

/// A terminal without a person.
pub const TMUX: &str = "/usr/bin/tmux";
/// SystemTap's library, of Debian's package `systemtap-common`.
pub const SYSTEMTAP: &str = "/usr/share/systemtap/tapset";
/// LLVM's disassembler.
pub const OBJDUMP: &str = "/usr/bin/llvm-objdump";

type Check = fn() -> Result<(), String>;

fn root() -> Result<(), String> {
    // SAFETY: no memory is involved.
    if unsafe { libc::geteuid() } == 0 { Ok(()) } else { Err("not root".into()) }
}

/// A guest of the lab; nobody else's machine is so small.
fn small() -> Result<(), String> {
    // SAFETY: no memory is involved.
    let (pages, page) = unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    let small = pages.saturating_mul(page) < 2 << 30;
    if small { Ok(()) } else { Err("2 GB of memory or more, which others may need".into()) }
}

fn live() -> Result<(), String> {
    root()?;
    exists("/sys/kernel/btf/vmlinux", "no BTF on this kernel")?;
    load(sys::PROG_RAW_TRACEPOINT, 0, 0).map(drop).map_err(|e| format!("bpf(2) refuses a program: {e}"))
}

fn tp_btf() -> Result<(), String> {
    let id = btf_id(btf::TYPEDEF, "btf_trace_sched_switch")?;
    let program = load(sys::PROG_TRACING, sys::ATTACH_TP_BTF, id).map_err(|e| format!("tp_btf refused: {e}"))?;
    sys::raw_tracepoint_open(&program, None).map(drop).map_err(|e| format!("tp_btf refused: {e}"))
}

fn fentry() -> Result<(), String> {
    let id = btf_id(btf::FUNC, "kmem_cache_free")?;
    let program = load(sys::PROG_TRACING, sys::ATTACH_FENTRY, id).map_err(|e| format!("fentry refused: {e}"))?;
    sys::raw_tracepoint_open(&program, None).map(drop).map_err(|e| format!("fentry refused: {e}"))
}

fn kprobe_multi() -> Result<(), String> {
    let program = load(sys::PROG_KPROBE, sys::ATTACH_KPROBE_MULTI, 0).map_err(|e| format!("kprobe refused: {e}"))?;
    sys::kprobe_multi(&program, "kmem_cache_free").map(drop).map_err(|e| format!("kprobe.multi refused: {e}"))
}

fn tracepoint() -> Result<(), String> {
    let program = load(sys::PROG_RAW_TRACEPOINT, 0, 0).map_err(|e| format!("raw tracepoints refused: {e}"))?;
    let link = sys::raw_tracepoint_open(&program, Some("kmem_cache_alloc"));
    link.map(drop).map_err(|e| format!("raw tracepoints refused: {e}"))
}

fn load(program: u32, attach: u32, btf_id: u32) -> std::io::Result<std::os::fd::OwnedFd> {
    sys::load(ProgramKind { program, attach, btf_id }, &[insn::mov(0, 0), insn::exit()])
}

fn btf_id(kind: u32, name: &str) -> Result<u32, String> {
    let btf = Btf::vmlinux().ok_or("no BTF on this kernel")?;
    btf.find(kind, name).ok_or_else(|| format!("BTF has no `{name}`"))
}

fn programs() -> Result<(), String> {
    if crate::workspace::compiled().is_empty() { Err("gcc is not installed".into()) } else { Ok(()) }
}

fn exists(path: &str, otherwise: &str) -> Result<(), String> {
    if Path::new(path).exists() { Ok(()) } else { Err(otherwise.into()) }
}

/// `major.minor`
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    fn parse(text: &str) -> Option<Version> {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(Version(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

/// Bounds on the kernel's version, all of which must hold: `>=6.1 <6.10`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionRange(Vec<(String, Version)>);

impl VersionRange {
    /// Reads the value of a `kernels:` directive.
    pub fn parse(text: &str) -> Result<VersionRange, String> {
        let bound = |word: &str| {
            let digits = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
            let (operator, number) = word.split_at(digits);
            let version = Version::parse(number).filter(|_| [">=", "<", "="].contains(&operator));
            let version = version.ok_or_else(|| format!("`{word}` is not >=X.Y, <X.Y or =X.Y"))?;
            Ok((operator.to_owned(), version))
        };
        text.split_whitespace().map(bound).collect::<Result<_, String>>().map(VersionRange)
    }

    /// The bound that a kernel breaks, if any.
    pub fn broken_by(&self, version: Version) -> Option<String> {
        let holds = |operator: &str, bound: Version| match operator {
            ">=" => version >= bound,
            "<" => version < bound,
            _ => version == bound,
        };
        let (operator, bound) = self.0.iter().find(|(operator, bound)| !holds(operator, *bound))?;
        Some(format!("kernel {}.{} is not {operator}{}.{}", version.0, version.1, bound.0, bound.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_all_kinds_have_a_version() {
        for (release, version) in
            [("6.18.44-fc", Version(6, 18)), ("6.1.0-50-cloud-amd64", Version(6, 1)), ("7.2+deb14", Version(7, 2))]
        {
            assert_eq!(Version::parse(release), Some(version));
        }
    }

    #[test]
    fn ranges_bound_kernels() {
        let range = VersionRange::parse(">=6.1 <6.10").expect("reads");
        assert_eq!(range.broken_by(Version(6, 1)), None);
        assert_eq!(range.broken_by(Version(6, 12)), Some("kernel 6.12 is not <6.10".into()));
        assert_eq!(range.broken_by(Version(5, 15)), Some("kernel 5.15 is not >=6.1".into()));
        assert!(VersionRange::parse("~6.1").is_err());
    }

    #[test]
    fn facts_have_names() {
        assert_eq!(Fact::parse("kprobe.multi"), Ok(Fact::Rung(Rung::KprobeMulti)));
        assert_eq!(Fact::parse("live"), Ok(Fact::Live));
        assert!(Fact::parse("kprobes").is_err());
    }
}
