//! Functions of SystemTap's library that are not here, each with what to use instead.

/// Functions that cannot be had, or have no meaning.
pub const REFUSED: &[(&str, &str)] = &[
    ("ngroups", "the groups are `@cast(task_current(), \"task_struct\")->cred->group_info->ngroups`"),
    ("print_regs", "name the registers: register(\"rip\")"),
    ("probe_type", "pp() says what the handler stands at"),
    ("stack_size", "no program of eBPF sees the stack that the kernel runs on; print_backtrace() says what is on it"),
    ("stack_unused", "no program of eBPF sees the stack that the kernel runs on; print_backtrace() says what is on it"),
    ("stack_used", "no program of eBPF sees the stack that the kernel runs on; print_backtrace() says what is on it"),
    ("task_backtrace", "SystemTap has it no more since 1.6; backtrace() is that of the current task"),
    ("umodaddr", "usymdata() gives an address by its function and file"),
    ("umodbuildid", "umodname() gives the file, and `readelf -n FILE` its number"),
];

/// What to use instead of a function that is not here.
pub fn instead(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(known, _)| *known == name).map(|(_, instead)| *instead)
}
