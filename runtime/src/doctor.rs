//! What this kernel and this user may do, what each lack costs a script, and how to get it.
//!
//! Everything is found out by trying it; nothing is attached, and nothing stays.

use crate::sys::bpf::{self, Map, MapSpec, ProgramKind, ProgramSpec};
use crate::sys::errno_name;
use crate::sys::perf::{self, UPROBE_TYPE};
use crate::sys::process::{Capability, has_capability};
use crate::world::Machine;
use std::{fs, io};
use tapster_compiler::image::{Counted, MapKind, Moment, PerfEvent, Rate};
use tapster_compiler::kernel::btf::{Btf, Kind};
use tapster_compiler::world::{KernelType, Refusal, Rung, Wanted, World};

/// Something that may be there or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its name, for machines.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Why it is not there.
    pub lack: Option<String>,
    /// What its lack costs a script.
    pub cost: &'static str,
    /// How to get it.
    pub remedy: &'static str,
    /// No script that looks at the kernel runs without it.
    pub essential: bool,
}

/// What is looked at, and how.
struct Check {
    name: &'static str,
    purpose: &'static str,
    essential: bool,
    cost: &'static str,
    remedy: &'static str,
    look: fn(&Machine) -> Result<(), Refusal>,
}

/// A function that every kernel has, to be tried out.
const SOME_FUNCTION: &str = "vfs_read";

/// `PERF_TYPE_HARDWARE` and `PERF_COUNT_HW_CPU_CYCLES` of include/uapi/linux/perf_event.h.
const HARDWARE: u32 = 0;
/// See above.
const CYCLES: u64 = 0;
/// `PERF_TYPE_SOFTWARE` and `PERF_COUNT_SW_CPU_CLOCK`.
const SOFTWARE: u32 = 1;
/// See above.
const CLOCK: u64 = 0;

const AS_ROOT: &str = "run as root, or: setcap cap_bpf,cap_perfmon+ep TAPSTER";
const OTHER_RUNGS: &str = "nothing where fentry, kprobe_multi or kprobe is there; without all three, kernel.function(…) \
                           stands only where a tracepoint stands for the function";

const CHECKS: &[Check] = &[
    Check {
        name: "cap_bpf",
        purpose: "load programs into the kernel",
        essential: true,
        cost: "only begin, end, error and timer probes run",
        remedy: AS_ROOT,
        look: |_| capability(Capability::Bpf),
    },
    Check {
        name: "cap_perfmon",
        purpose: "read kernel memory, attach to kernel events",
        essential: true,
        cost: "only begin, end, error and timer probes run",
        remedy: AS_ROOT,
        look: |_| capability(Capability::Perfmon),
    },
    Check {
        name: "cap_syslog",
        purpose: "see the addresses of kernel symbols",
        essential: false,
        cost: "kernel stacks and symname() show numbers instead of names",
        remedy: "add cap_syslog to the capabilities",
        look: |_| capability(Capability::Syslog),
    },
    Check {
        name: "cap_sys_ptrace",
        purpose: "look into processes of other users",
        essential: false,
        cost: "process(PID) of other users cannot be probed, and their stacks have no names",
        remedy: "add cap_sys_ptrace to the capabilities",
        look: |_| capability(Capability::SysPtrace),
    },
    Check {
        name: "btf",
        purpose: "types of the kernel, /sys/kernel/btf/vmlinux",
        essential: true,
        cost: "no kernel.function, no kernel.trace, no $variables of the kernel",
        remedy: "a kernel built with CONFIG_DEBUG_INFO_BTF=y: every distribution's since about 2020",
        look: |machine| machine.btf("vmlinux").map(drop).ok_or_else(|| refusal("there is no such file")),
    },
    Check {
        name: "ringbuf",
        purpose: "send what kernel handlers print to user space",
        essential: true,
        cost: "kernel handlers cannot print, end the run or raise errors",
        remedy: "Linux 5.8 or newer",
        look: |_| ring(),
    },
    Check {
        name: "raw_tracepoint",
        purpose: "kernel.trace(…), syscall.*, scheduler.* and their kind",
        essential: true,
        cost: "none of these probes",
        remedy: "a kernel built with CONFIG_TRACEPOINTS=y and CONFIG_BPF_EVENTS=y",
        look: |_| loads(ProgramKind::RawTracepoint),
    },
    Check {
        name: "fentry",
        purpose: "kernel.function(…) by trampolines, the cheapest way",
        essential: false,
        cost: OTHER_RUNGS,
        remedy: "a kernel built with CONFIG_FUNCTION_TRACER=y and CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y",
        look: |machine| {
            let btf = machine.btf("vmlinux").and_then(Btf::new);
            let function = btf.as_ref().and_then(|btf| btf.find(Kind::Func, SOME_FUNCTION));
            rung(machine, Rung::Fentry, function.ok_or_else(|| refusal("the kernel's BTF is not there"))?)
        },
    },
    Check {
        name: "kprobe_multi",
        purpose: "kernel.function(\"PATTERN\"), thousands at a time",
        essential: false,
        cost: "attaching to thousands of functions takes a minute instead of two seconds",
        remedy: "Linux 5.18 or newer, built with CONFIG_FPROBE=y",
        look: |machine| rung(machine, Rung::KprobeMulti, 0),
    },
    Check {
        name: "kprobe",
        purpose: "kernel.function(…) and kprobe.function(…) one by one",
        essential: false,
        cost: OTHER_RUNGS,
        remedy: "a kernel built with CONFIG_KPROBES=y and CONFIG_KPROBE_EVENTS=y",
        look: |machine| rung(machine, Rung::Kprobe, 0),
    },
    Check {
        name: "uprobe",
        purpose: "process(…).function, .statement, .mark and .plt",
        essential: false,
        cost: "none of these probes; process.begin, .end and .syscall need none of it",
        remedy: "a kernel built with CONFIG_UPROBES=y and CONFIG_UPROBE_EVENTS=y",
        look: |_| perf::pmu_type(UPROBE_TYPE).map(drop).map_err(|error| io_refusal(&error)),
    },
    Check {
        name: "uprobe_multi",
        purpose: "many places of a program at once",
        essential: false,
        cost: "patterns of many functions attach one by one, some milliseconds each",
        remedy: "Linux 6.6 or newer",
        look: World::offers_uprobe_multi,
    },
    Check {
        name: "perf_event",
        purpose: "timer.profile, perf.*",
        essential: false,
        cost: "none of these probes",
        remedy: "a kernel built with CONFIG_PERF_EVENTS=y; without CAP_PERFMON: sysctl kernel.perf_event_paranoid=-1",
        look: |_| samples(SOFTWARE, CLOCK),
    },
    Check {
        name: "hardware_events",
        purpose: "perf.hw.*, the processor's own counters",
        essential: false,
        cost: "perf.hw.* cannot be probed; perf.sw.* and timer.profile can",
        remedy: "virtual machines have them where their host passes them on (vPMU)",
        look: |_| samples(HARDWARE, CYCLES),
    },
    Check {
        name: "tracefs",
        purpose: "the lists of tracepoints and of functions that can be traced",
        essential: false,
        cost: "patterns take BTF's names alone; kernel.trace(\"system:name\") is not known by its system",
        remedy: "mount -t tracefs tracefs /sys/kernel/tracing",
        look: |machine| machine.events().map(drop).ok_or_else(|| refusal("it is not mounted, or may not be read")),
    },
    Check {
        name: "kallsyms",
        purpose: "addresses of kernel symbols, /proc/kallsyms",
        essential: false,
        cost: "kernel stacks and symname() show numbers; @var and kernel.data(\"name\") know no address",
        remedy: "as root: sysctl kernel.kptr_restrict=1",
        look: |machine| {
            let first = machine.symbols().and_then(|symbols| symbols.split(' ').next()).unwrap_or_default();
            if first.bytes().all(|digit| digit == b'0') { Err(refusal("all addresses are hidden")) } else { Ok(()) }
        },
    },
    Check {
        name: "lockdown",
        purpose: "reading of kernel memory is not locked down",
        essential: false,
        cost: "what handlers read of the kernel's memory comes out as an error",
        remedy: "boot without lockdown=confidentiality (Secure Boot alone takes integrity, which permits it)",
        look: |_| lockdown(&fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default()),
    },
    Check {
        name: "memlock",
        purpose: "memory of arrays is not bound by ulimit -l",
        essential: false,
        cost: "large arrays are refused; -D MAXMAPENTRIES=… makes them smaller",
        remedy: "ulimit -l unlimited, or Linux 5.11 or newer, which counts it for the cgroup",
        look: |_| map(MapKind::Array, 64 << 20),
    },
    Check {
        name: "jit",
        purpose: "programs are compiled to machine code",
        essential: false,
        cost: "handlers in the kernel are interpreted, ten times as slow",
        remedy: "sysctl net.core.bpf_jit_enable=1",
        // A kernel that always compiles has no such file, or none that says 0.
        look: |_| match fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").as_deref().map(str::trim) {
            Ok("0") => Err(refusal("net.core.bpf_jit_enable is 0")),
            _ => Ok(()),
        },
    },
    Check {
        name: "bpf_stats",
        purpose: "what probes take, -t",
        essential: false,
        cost: "-t is refused",
        remedy: "run with CAP_SYS_ADMIN, on Linux 5.8 or newer",
        look: |_| bpf::enable_stats().map(drop).map_err(|error| io_refusal(&error)),
    },
];

/// Looks at everything.
pub fn examine(machine: &Machine) -> Vec<Finding> {
    let of = |check: &Check| Finding {
        name: check.name,
        purpose: check.purpose,
        lack: (check.look)(machine).err().map(|Refusal(why)| why),
        cost: check.cost,
        remedy: check.remedy,
        essential: check.essential,
    };
    CHECKS.iter().map(of).collect()
}

fn refusal(why: &str) -> Refusal {
    Refusal(why.into())
}

fn io_refusal(error: &io::Error) -> Refusal {
    Refusal(format!("the kernel says {}", errno_name(error)))
}

/// CAP_SYS_ADMIN includes all but one of those that are asked for.
fn capability(wanted: Capability) -> Result<(), Refusal> {
    let included = wanted != Capability::SysPtrace && has_capability(Capability::SysAdmin);
    if included || has_capability(wanted) { Ok(()) } else { Err(refusal("this process does not have it")) }
}

fn rung(machine: &Machine, rung: Rung, btf_id: u32) -> Result<(), Refusal> {
    let ty = KernelType { module: None, id: btf_id };
    machine.offers(rung, &Wanted { function: SOME_FUNCTION, ty, moment: Moment::Entry, is_wide: false })
}

fn loads(kind: ProgramKind) -> Result<(), Refusal> {
    // `r0 = 0; exit`
    let spec = ProgramSpec { name: "tapster_trial", kind, code: &[0xb7, 0x95], module: None, debug: None };
    bpf::try_program(&spec).map(drop).map_err(|error| io_refusal(&error))
}

fn ring() -> Result<(), Refusal> {
    map(MapKind::Ringbuf, 4096)
}

/// A map of so many bytes.
fn map(kind: MapKind, bytes: u32) -> Result<(), Refusal> {
    let (key_size, value_size, max_entries) = if kind == MapKind::Ringbuf { (0, 0, bytes) } else { (4, bytes, 1) };
    let name = "tapster_trial";
    let spec = MapSpec { name, kind: kind as u32, key_size, value_size, max_entries, flags: 0, per_cpu: None };
    Map::create(&spec).map(drop).map_err(|error| io_refusal(&error))
}

fn samples(kind: u32, config: u64) -> Result<(), Refusal> {
    let event = PerfEvent { event: Counted { kind, config }, rate: Rate::Frequency(1) };
    perf::open_counter(&event, 0).map(drop).map_err(|error| io_refusal(&error))
}

/// `none [integrity] confidentiality`; nothing where the kernel has no such thing.
fn lockdown(modes: &str) -> Result<(), Refusal> {
    if modes.contains("[confidentiality]") { Err(refusal("it is: confidentiality")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_confidentiality_keeps_from_reading() {
        for (modes, permits) in
            [("none [integrity] confidentiality\n", true), ("none integrity [confidentiality]\n", false), ("", true)]
        {
            assert_eq!(lockdown(modes).is_ok(), permits, "{modes}");
        }
    }

    #[test]
    fn names_are_different() {
        let names: std::collections::BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
    }
}
