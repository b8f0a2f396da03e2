//! `-D NAME=VALUE`: SystemTap's limits, those that mean something here and those that do not.

use crate::args::Options;
use tapster_compiler::check;
use tapster_compiler::suggest::did_you_mean;
use tapster_runtime_ebpf::limits;

/// A limit that is kept.
struct Limit {
    name: &'static str,
    least: u32,
    most: u32,
    set: fn(&mut Options, u32),
}

const MOST_ACTIONS: u32 = u32::MAX / 16;

const LIMITS: &[Limit] = &[
    Limit { name: "MAXMAPENTRIES", least: 1, most: 1 << 26, set: |o, n| o.check.max_entries = n },
    Limit { name: "MAXSTRINGLEN", least: 16, most: 4096, set: |o, n| o.check.max_string = n },
    Limit { name: "MAXBACKTRACE", least: 1, most: limits::MAXBACKTRACE_KERNEL, set: |o, n| o.check.max_backtrace = n },
    Limit { name: "MAXACTION", least: 1, most: MOST_ACTIONS, set: |o, n| o.check.max_action = n },
    Limit {
        name: "MAXACTION_INTERRUPTIBLE",
        least: 1,
        most: u32::MAX,
        set: |o, n| o.check.max_action_interruptible = Some(n),
    },
    Limit { name: "MAXNESTING", least: 1, most: 4096, set: |o, n| o.check.max_nesting = Some(n) },
    Limit { name: "MAXPROBES", least: 1, most: 1 << 20, set: |o, n| o.check.max_sites = n },
    Limit { name: "MAXERRORS", least: 0, most: u32::MAX, set: |o, n| o.errors_max = n },
];

/// Names of SystemTap's runtime that nothing here depends on, and why; `…` at the end stands for any more letters.
const IDLE: &[(&str, &str)] = &[
    ("MAXSKIPPED", "what was lost is said at the end, and --strict makes it a failure"),
    ("MAXTRYLOCK", "handlers wait for no lock"),
    ("TRYLOCKDELAY", "handlers wait for no lock"),
    ("MINSTACKSPACE", "the kernel gives eBPF programs their stack"),
    ("INTERRUPTIBLE", "handlers never hold off interrupts"),
    ("KRETACTIVE", "the kernel makes room for returns"),
    ("MAPHASHBIAS", "the kernel's hash tables size themselves"),
    ("MAXUPROBES", "the kernel makes room for user probes"),
    ("STP_…", "it steers SystemTap's kernel module, and there is none"),
    ("DEBUG_…", "it debugs SystemTap's kernel module, and there is none"),
];

/// What `--help` says.
pub fn help() -> String {
    let names: Vec<&str> = LIMITS.iter().map(|limit| limit.name).collect();
    format!("Set a limit: {}; SystemTap's others are taken and change nothing", names.join(", "))
}

/// Takes one `-D NAME=VALUE`. As in C, a name alone is 1.
pub fn define(options: &mut Options, define: &str) -> Result<(), String> {
    let (name, value) = define.split_once('=').unwrap_or((define, "1"));
    if let Some(limit) = LIMITS.iter().find(|limit| limit.name == name) {
        let number = check::Options::number(value).ok_or_else(|| format!("-D {define}: {value} is not a number"))?;
        let number = u32::try_from(number).ok().filter(|number| (limit.least..=limit.most).contains(number));
        let number =
            number.ok_or_else(|| format!("-D {define}: {name} goes from {} to {}", limit.least, limit.most))?;
        (limit.set)(options, number);
        return Ok(());
    }
    let matches = |known: &str| known.strip_suffix('…').map_or(known == name, |start| name.starts_with(start));
    let (_, why) = IDLE.iter().find(|(known, _)| matches(known)).ok_or_else(|| unknown(define, name))?;
    options.idle.push(format!("-D {define} changes nothing: {why}"));
    Ok(())
}

/// Takes the limits of statements away, as far as they can be.
pub fn unlimited(check: &mut check::Options) {
    check.max_action = MOST_ACTIONS;
    check.max_action_interruptible = Some(u32::MAX);
}

fn unknown(define: &str, name: &str) -> String {
    let known = LIMITS.iter().map(|limit| limit.name).chain(IDLE.iter().map(|(name, _)| *name));
    let help = did_you_mean(name, known).map_or(String::new(), |help| format!(", {help}"));
    format!("-D {define}: unknown limit{help}")
}
