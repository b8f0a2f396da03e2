//! Functions of SystemTap's library that are not here, each with what to use instead.

/// Functions that cannot be had, or have no meaning.
pub const REFUSED: &[(&str, &str)] = &[
    ("print_regs", "name the registers: register(\"rip\")"),
    ("stack_size", "no program of eBPF sees the stack that the kernel runs on; print_backtrace() says what is on it"),
    ("stack_unused", "no program of eBPF sees the stack that the kernel runs on; print_backtrace() says what is on it"),
    ("stack_used", "no program of eBPF sees the stack that the kernel runs on; print_backtrace() says what is on it"),
    ("task_backtrace", "SystemTap has it no more since 1.6; backtrace() is that of the current task"),
    ("umodaddr", "usymdata() gives an address by its function and file"),
    ("umodbuildid", "umodname() gives the file, and `readelf -n FILE` its number"),
];

/// How names of functions of SystemTap's guru mode begin and end, and what is said of them.
const OF_GURU_MODE: &[(&str, &str, &str)] = &[
    ("set_kernel_", "", "programs of eBPF cannot write to the kernel's memory"),
    ("set_user_", "", "Tapster writes to no memory of processes"),
    ("set_", "_arg", "a probe of Tapster looks on: it changes no arguments"),
    ("set_returnval", "", "a probe of Tapster looks on: it changes no results"),
    ("panic", "", "a probe of Tapster looks on: it does not stop the kernel"),
    ("mdelay", "", "programs of eBPF cannot wait"),
    ("udelay", "", "programs of eBPF cannot wait"),
];

/// What to use instead of a function that is not here.
pub fn instead(name: &str) -> Option<&'static str> {
    let known = REFUSED.iter().find(|(known, _)| *known == name).map(|(_, instead)| *instead);
    let fits = |row: &&(&str, &str, &str)| name.starts_with(row.0) && name.ends_with(row.1);
    known.or_else(|| OF_GURU_MODE.iter().find(fits).map(|(.., why)| *why))
}
