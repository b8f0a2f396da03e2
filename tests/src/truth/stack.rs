//! Reads printed stacks and holds them against the kernel's own symbols.

use std::collections::BTreeMap;
use std::fs;

use regex_lite::Regex;

/// One line of `print_stack`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Return address.
    pub address: u64,
    /// The symbol that covers it.
    pub symbol: String,
    /// Distance from the symbol's start.
    pub offset: u64,
    /// The symbol's size.
    pub size: u64,
    /// Module, or `kernel`.
    pub module: String,
}

/// Symbols at which a kernel stack may begin, so where its last frame lies: prefixes, and who is there.
const ENTRIES: &[(&str, &str)] = &[
    ("entry_SYSCALL", "system call"),
    ("entry_SYSENTER", "system call, 32 bit"),
    ("entry_INT80", "system call, 32 bit"),
    ("asm_", "interrupt or exception"),
    ("ret_from_fork", "first return of a new task, or a kernel thread"),
    ("kthread", "kernel thread"),
    ("secondary_startup", "idle task"),
    ("start_secondary", "idle task"),
    ("cpu_startup_entry", "idle task"),
    ("common_startup", "idle task"),
    ("x86_64_start_kernel", "boot CPU's idle task"),
    ("common_interrupt_return", "return to user space"),
    ("swapgs_restore_regs_and_return_to_usermode", "return to user space"),
    ("exit_to_user", "return to user space"),
    ("call_usermodehelper", "helper started by the kernel"),
];

/// Frames that belong to a tracer, which no stack may show; `#` is a hexadecimal digit, as in the names of
/// what is compiled at run time.
const TRACER: &[&str] = &[
    "bpf_trampoline_####",
    "bpf_prog_################",
    "__bpf_prog_enter",
    "bpf_trace_run",
    "__traceiter_",
    "ftrace_trampoline",
];

/// The kernel's walk ends here: deeper stacks have no entry.
const FRAMES_MAX: usize = 127;

/// Reads ` 0xADDRESS : symbol+0xOFFSET/0xSIZE [module]`.
pub fn parse_frame(line: &str) -> Option<Frame> {
    let regex = Regex::new(r"^ 0x([0-9a-f]+) : (\S+)\+0x([0-9a-f]+)/0x([0-9a-f]+) \[(\S*)\]$").expect("a constant");
    let parts = regex.captures(line)?;
    let hex = |i: usize| u64::from_str_radix(&parts[i], 16).ok();
    Some(Frame {
        address: hex(1)?,
        symbol: parts[2].to_owned(),
        offset: hex(3)?,
        size: hex(4)?,
        module: parts[5].to_owned(),
    })
}

/// The kernel's symbols by address.
#[derive(Debug)]
pub struct Symbols(BTreeMap<u64, Vec<String>>);

impl Symbols {
    /// Those of the running kernel; addresses need root.
    pub fn running() -> Result<Symbols, String> {
        let text = fs::read_to_string("/proc/kallsyms").map_err(|e| format!("/proc/kallsyms: {e}"))?;
        let symbols = Symbols::parse(&text);
        if symbols.0.len() < 1000 { Err("/proc/kallsyms shows no addresses".into()) } else { Ok(symbols) }
    }

    fn parse(text: &str) -> Symbols {
        let mut symbols: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            // Per-CPU symbols are offsets, not addresses.
            let address = u64::from_str_radix(address, 16).unwrap_or(0);
            if address != 0 && !kind.eq_ignore_ascii_case("a") {
                symbols.entry(address).or_default().push(name.to_owned());
            }
        }
        Symbols(symbols)
    }

    /// Whether some symbol is called so.
    pub fn contains(&self, name: &str) -> bool {
        self.0.values().flatten().any(|symbol| symbol == name)
    }

    /// Start and names of the symbol that covers an address.
    fn covering(&self, address: u64) -> Option<(u64, &[String])> {
        self.0.range(..=address).next_back().map(|(start, names)| (*start, names.as_slice()))
    }

    /// Says what is wrong with a frame.
    fn check_frame(&self, frame: &Frame) -> Result<(), String> {
        if frame.offset >= frame.size {
            return Err(format!("offset beyond the symbol's size: {frame:x?}"));
        }
        let start = frame.address.wrapping_sub(frame.offset);
        match self.covering(frame.address) {
            Some((covering, names)) if covering == start && names.contains(&frame.symbol) => Ok(()),
            Some((covering, names)) => {
                Err(format!("{frame:x?} but kallsyms has {} at {covering:#x}", names.join(", ")))
            }
            None => Err(format!("kallsyms has nothing at {frame:x?}")),
        }
    }

    /// Says what is wrong with a stack, innermost frame first, that was taken in a function whose name begins
    /// with one of `leaves`.
    pub fn check_stack(&self, stack: &[Frame], leaves: &[&str]) -> Result<(), String> {
        stack.iter().try_for_each(|frame| self.check_frame(frame))?;
        let first = stack.first().ok_or("an empty stack")?;
        if !leaves.iter().any(|leaf| first.symbol.starts_with(leaf)) {
            return Err(format!("begins at {} and not at {}", first.symbol, leaves.join(", ")));
        }
        if let Some(frame) = stack.iter().find(|frame| is_tracer(&frame.symbol)) {
            return Err(format!("shows the tracer's frame {}", frame.symbol));
        }
        let last = stack.last().expect("not empty");
        let is_entry = ENTRIES.iter().any(|row| last.symbol.starts_with(row.0));
        if is_entry || stack.len() >= FRAMES_MAX {
            return Ok(());
        }
        Err(format!("ends at {}, where no kernel stack begins", last.symbol))
    }
}

fn is_tracer(symbol: &str) -> bool {
    let begins = |pattern: &str| {
        let same = |(p, c): (char, char)| p == c || p == '#' && c.is_ascii_hexdigit();
        symbol.len() >= pattern.len() && pattern.chars().zip(symbol.chars()).all(same)
    };
    TRACER.iter().any(|pattern| begins(pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "0000000000000000 A fixed_percpu_data\nffffffff81000000 T entry_SYSCALL_64\n\
        ffffffff81000000 T alias\nffffffff81000100 T kmem_cache_alloc\nffffffff81000200 t bpf_trampoline_6442\t[bpf]\n";

    fn frame(line: &str) -> Frame {
        parse_frame(line).expect("a frame")
    }

    fn check(lines: &[&str]) -> Result<(), String> {
        let stack: Vec<Frame> = lines.iter().map(|line| frame(line)).collect();
        Symbols::parse(KALLSYMS).check_stack(&stack, &["kmem_cache_alloc"])
    }

    #[test]
    fn lines_become_frames() {
        let frame = frame(" 0xffffffff8109183a : vm_area_alloc+0x1a/0x50 [kernel]");
        assert_eq!((frame.address, frame.offset, frame.size), (0xffff_ffff_8109_183a, 0x1a, 0x50));
        assert_eq!((frame.symbol.as_str(), frame.module.as_str()), ("vm_area_alloc", "kernel"));
        assert_eq!(parse_frame(" 0xffffffff8109183a"), None);
    }

    #[test]
    fn functions_of_the_kernel_are_no_tracer() {
        for (symbol, tracer) in
            [("bpf_prog_load", false), ("bpf_prog_3918c82a5f4c0360_jury", true), ("bpf_trampoline_update", false)]
        {
            assert_eq!(is_tracer(symbol), tracer, "{symbol}");
        }
    }

    #[test]
    fn stacks_are_held_against_symbols() {
        let leaf = " 0xffffffff81000110 : kmem_cache_alloc+0x10/0x100 [kernel]";
        let entry = " 0xffffffff81000020 : entry_SYSCALL_64+0x20/0x100 [kernel]";
        assert_eq!(check(&[leaf, entry]), Ok(()));
        for (lines, why) in [
            (vec![], "empty"),
            (vec![entry], "begins at"),
            (vec![leaf], "ends at"),
            (vec![leaf, " 0xffffffff81000120 : alias+0x120/0x200 [kernel]"], "kallsyms has kmem_cache_alloc"),
            (vec![leaf, " 0xffffffff81000020 : entry_SYSCALL_64+0x20/0x20 [kernel]"], "beyond"),
            (vec![leaf, " 0xffffffff81000210 : bpf_trampoline_6442+0x10/0x20 [bpf]", entry], "tracer"),
        ] {
            let error = check(&lines).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }
}
