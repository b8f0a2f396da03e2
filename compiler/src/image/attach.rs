//! Where kernel handlers stand.

use crate::world::KernelType;

/// Where a kernel handler stands, and as what type of program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// `fentry`, `fexit`: `BPF_PROG_TYPE_TRACING`, `BPF_TRACE_FENTRY`, `BPF_TRACE_FEXIT`.
    Fentry {
        /// The kernel function.
        function: String,
        /// Its type.
        ty: KernelType,
        /// When it acts.
        moment: Moment,
    },
    /// `tp_btf`: `BPF_PROG_TYPE_TRACING`, `BPF_TRACE_RAW_TP`.
    BtfTracepoint {
        /// The tracepoint.
        name: String,
        /// The type `btf_trace_NAME`.
        ty: KernelType,
    },
    /// `raw_tp`: `BPF_PROG_TYPE_RAW_TRACEPOINT`, whose arguments have no types. Such a program can also be run by hand.
    RawTracepoint {
        /// The tracepoint.
        name: String,
    },
    /// `kprobe`: `BPF_PROG_TYPE_KPROBE` through a perf event a function.
    Kprobe {
        /// The kernel functions; those of modules as `MODULE:FUNCTION`, instructions as `FUNCTION+0xOFFSET` or `0xADDRESS`.
        functions: Vec<String>,
        /// When it acts.
        moment: Moment,
    },
    /// `kprobe.multi`: `BPF_PROG_TYPE_KPROBE`, `BPF_TRACE_KPROBE_MULTI`.
    KprobeMulti {
        /// The kernel functions, likewise.
        functions: Vec<String>,
        /// When it acts.
        moment: Moment,
    },
    /// Instructions of a program or a library: `BPF_PROG_TYPE_KPROBE` through perf events, or `BPF_TRACE_UPROBE_MULTI`.
    Uprobe(Uprobes),
    /// An event that is counted on each CPU: `BPF_PROG_TYPE_PERF_EVENT`.
    Perf(PerfEvent),
    /// Accesses to memory of the kernel, by the processor's breakpoints: `BPF_PROG_TYPE_PERF_EVENT`.
    Breakpoint {
        /// Where.
        place: Watched,
        /// Bytes there.
        length: u8,
        /// Reads as well as writes.
        on_reads: bool,
    },
    /// Packets at a hook of the network: `BPF_PROG_TYPE_NETFILTER`. All of them are let pass.
    Netfilter(NetfilterHook),
}

/// A hook of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetfilterHook {
    /// `NFPROTO_*` of include/uapi/linux/netfilter.h.
    pub family: u32,
    /// `NF_INET_*` there.
    pub hook: u32,
    /// Hooks with smaller numbers come before.
    pub priority: i32,
}

/// An event that each CPU counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// `type` of `struct perf_event_attr`.
    pub kind: u32,
    /// Its `config`.
    pub config: u64,
}

/// An event that is counted, and how often the program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerfEvent {
    /// The event.
    pub event: Counted,
    /// How often.
    pub rate: Rate,
}

/// How often a program is run at an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Once so many events.
    Period(u64),
    /// So many times a second.
    Frequency(u64),
    /// At each tick of the kernel's clock.
    Tick,
}

/// Memory that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// At an address.
    Address(u64),
    /// At a symbol of the kernel.
    Symbol(String),
}

/// Places in a file that processes run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uprobes {
    /// The file.
    pub path: String,
    /// The places, at least one; their numbers are their places here.
    pub places: Vec<UprobePlace>,
    /// The only process to look at.
    pub pid: Option<u32>,
    /// Where the function returns to its caller, instead of where it begins.
    pub on_return: bool,
    /// All at once, by `uprobe.multi`.
    pub multi: bool,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UprobePlace {
    /// Byte offset of the instruction in the file.
    pub offset: u64,
    /// Byte offset in the file of 16 bits that count who looks, which a program asks before it prepares arguments.
    pub semaphore: Option<u64>,
}

impl Uprobes {
    /// Whether others are in the same file, for the same process and at the same moment.
    fn is_beside(&self, other: &Uprobes) -> bool {
        let of = |one: &Uprobes| (one.pid, one.on_return, one.multi);
        self.path == other.path && of(self) == of(other)
    }

    fn section(&self) -> String {
        let multi = if self.multi { ".multi" } else { "" };
        let kind = if self.on_return { "uretprobe" } else { "uprobe" };
        let places: Vec<String> = self.places.iter().map(|place| format!("{:#x}", place.offset)).collect();
        format!("{kind}{multi}/{}:{}", self.path, places.join(","))
    }
}

/// When a probe of a function acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// As the function begins.
    Entry,
    /// As it returns.
    Return,
}

impl Moment {
    fn of<'n>(self, entry: &'n str, exit: &'n str) -> &'n str {
        if self == Moment::Entry { entry } else { exit }
    }
}

impl Attach {
    /// The section an object file puts such a program in (libbpf's names).
    pub fn section(&self) -> String {
        match self {
            Attach::Fentry { function, moment, .. } => format!("{}/{function}", moment.of("fentry", "fexit")),
            Attach::BtfTracepoint { name, .. } => format!("tp_btf/{name}"),
            Attach::RawTracepoint { name } => format!("raw_tp/{name}"),
            Attach::Kprobe { functions, moment } => {
                format!("{}/{}", moment.of("kprobe", "kretprobe"), functions.join(","))
            }
            Attach::KprobeMulti { functions, moment } => {
                format!("{}/{}", moment.of("kprobe.multi", "kretprobe.multi"), functions.join(","))
            }
            Attach::Uprobe(uprobes) => uprobes.section(),
            Attach::Perf(PerfEvent { event: Counted { kind, config }, .. }) => format!("perf_event/{kind}:{config}"),
            // libbpf's name has no more; the rest tells places apart.
            Attach::Netfilter(NetfilterHook { family, hook, priority }) => {
                format!("netfilter/{family}:{hook}:{priority}")
            }
            Attach::Breakpoint { place: Watched::Symbol(name), .. } => format!("perf_event/{name}"),
            Attach::Breakpoint { place: Watched::Address(address), .. } => format!("perf_event/{address:#x}"),
        }
    }

    /// What `-v` calls it.
    pub fn describe(&self) -> String {
        let mut short = self.clone();
        let more = match &mut short {
            Attach::Kprobe { functions, .. } | Attach::KprobeMulti { functions, .. } if functions.len() > 4 => {
                functions.drain(3..).count()
            }
            _ => 0,
        };
        let text = short.section().replacen('/', ":", 1);
        if more > 0 { format!("{text} and {more} more") } else { text }
    }

    /// What each of its places is called alone, where others might stand in for it: functions of the kernel.
    pub fn rungs(&self) -> Vec<String> {
        let each = |of: &dyn Fn(Vec<String>) -> Attach| {
            self.functions().iter().map(|function| of(vec![function.clone()]).describe()).collect()
        };
        match self {
            Attach::Fentry { .. } => vec![self.describe()],
            Attach::Kprobe { moment, .. } => each(&|functions| Attach::Kprobe { functions, moment: *moment }),
            Attach::KprobeMulti { moment, .. } => each(&|functions| Attach::KprobeMulti { functions, moment: *moment }),
            _ => Vec::new(),
        }
    }

    /// When it acts, where it stands at functions.
    pub fn moment(&self) -> Moment {
        match self {
            Attach::Fentry { moment, .. } | Attach::Kprobe { moment, .. } | Attach::KprobeMulti { moment, .. } => {
                *moment
            }
            _ => Moment::Entry,
        }
    }

    /// The functions of a kprobe.
    pub fn functions(&self) -> &[String] {
        match self {
            Attach::Kprobe { functions, .. } | Attach::KprobeMulti { functions, .. } => functions,
            Attach::Fentry { function, .. } => core::slice::from_ref(function),
            _ => &[],
        }
    }

    /// Takes over the place of another program, where one program can stand at both.
    pub fn join(&mut self, other: &Attach) -> bool {
        match (self, other) {
            (Attach::Kprobe { functions, moment }, Attach::Kprobe { functions: more, moment: other })
            | (Attach::KprobeMulti { functions, moment }, Attach::KprobeMulti { functions: more, moment: other })
                if moment == other =>
            {
                functions.extend_from_slice(more);
                true
            }
            (Attach::Uprobe(uprobes), Attach::Uprobe(more)) if uprobes.is_beside(more) => {
                uprobes.places.extend_from_slice(&more.places);
                true
            }
            _ => false,
        }
    }
}

/// The function that a resolved probe point names, as `ppfunc()` says it: `f` of `….function("f@file").…` and of
/// `….callee("f")`, `….statement("f+0x10")`; empty where it names none.
pub fn function_in(point: &str) -> &str {
    let named = [".callee(\"", ".function(\"", ".statement(\""].iter().find_map(|part| point.split_once(part));
    let name = named.map_or("", |(_, rest)| rest.split(['"', '@']).next().unwrap_or_default());
    name.split_once("+0x").map_or(name, |(name, _)| name)
}
