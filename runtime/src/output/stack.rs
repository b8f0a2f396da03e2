//! Kernel stacks as SystemTap prints them.
//!
//! Frames that belong to the tracer are dropped here, by name and by place, for every way in which stacks are shown.

use crate::symbol::{Symbol, Symbols};
use std::io::Write;

/// From here on addresses are the kernel's (Documentation/arch/x86/x86_64/mm.rst).
pub const KERNEL: u64 = 1 << 63;
/// How far from the top a frame of the tracer may lie.
const TRACER_FRAMES: usize = 8;

/// Where a stack really begins: the number of leading frames that belong to the tracer.
///
/// With `fentry` the program and its trampoline come first, then the probed function; with tracepoints the program,
/// `bpf_trace_run`, and `__traceiter_` where others probe the same tracepoint. Code of programs and trampolines has a
/// name only where `net.core.bpf_jit_kallsyms` is on, and trampolines only while they are attached: so leading frames
/// outside of the core kernel also go where a frame follows that can only come next.
pub fn tracer_frames(frames: &[u64], symbols: &Symbols, probed: &[&str]) -> usize {
    let mut skip = 0;
    for (at, address) in frames.iter().enumerate().take(TRACER_FRAMES) {
        match symbols.get(*address) {
            Some(symbol) if is_tracer(symbol) => skip = at + 1,
            Some(symbol) if probed.contains(&&*symbol.name) => return at,
            // Behind a program, the name of a module's function may be that of code long gone.
            Some(symbol) if is_kernel(symbol) || skip == 0 => return skip,
            // Passed over only if what can only come next follows.
            Some(_) | None => {}
        }
    }
    skip
}

/// The address that a probe at a function's entry really stands at.
///
/// A kprobe reports the instruction behind its breakpoint, `fentry` the one behind the call of its trampoline (behind
/// `endbr64` where the kernel has it); SystemTap prints the function itself.
pub fn entry(address: u64, symbols: &mut Symbols, probed: &[&str]) -> u64 {
    /// Bytes of `endbr64` and a call.
    const BEHIND: u64 = 9;
    match symbols.get(address) {
        Some(symbol) if probed.contains(&&*symbol.name) && address - symbol.start <= BEHIND => {
            let start = symbol.start;
            symbols.same_function(start, address);
            start
        }
        _ => address,
    }
}

fn is_kernel(symbol: &Symbol) -> bool {
    &*symbol.module == "kernel"
}

fn is_tracer(symbol: &Symbol) -> bool {
    const KERNEL: [&str; 5] = ["bpf_trace_run", "__bpf_trace_", "__traceiter_", "__bpf_prog_enter", "bpf_get_stack"];
    if is_kernel(symbol) {
        KERNEL.iter().any(|prefix| symbol.name.starts_with(prefix))
    } else {
        &*symbol.module == "bpf"
    }
}

/// Prints a stack, one frame a line.
pub fn print(frames: &[u64], symbols: &Symbols, out: &mut Vec<u8>) {
    for address in frames {
        let written = match symbols.get(*address) {
            Some(symbol) => {
                let (name, module) = (&symbol.name, &symbol.module);
                let offset = address - symbol.start;
                writeln!(out, " {address:#018x} : {name}+{offset:#x}/{:#x} [{module}]", symbol.size)
            }
            None => writeln!(out, " {address:#018x}"),
        };
        written.expect("memory takes everything");
    }
}

/// Writes a stack as `backtrace()` gives it: addresses in hex, blanks between.
pub fn addresses(frames: &[u64], out: &mut Vec<u8>) {
    for (at, address) in frames.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"0x" } else { b" 0x" });
        push_hex(*address, out);
    }
}

/// Appends a number's digits: formatting takes several times as long, and stacks are many numbers.
fn push_hex(number: u64, out: &mut Vec<u8>) {
    let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
    out.extend((0..digits).rev().map(|nth| b"0123456789abcdef"[(number >> (4 * nth) & 0xf) as usize]));
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "\
ffffffff81316340 T kmem_cache_alloc
ffffffff81316640 T bpf_trace_run3
ffffffff81316700 T __traceiter_kmem_cache_alloc
ffffffff81316800 T bpf_prog_alloc
ffffffff8109182b T vm_area_alloc
ffffffff8109187b T fork
ffffffffc0000000 t bpf_prog_6deef7357e7b4530_slab\t[bpf]
ffffffffc0001000 t bpf_trampoline_6442\t[bpf]
ffffffffc0002000 t ext4_alloc_inode\t[ext4]
ffffffffc0003000 t ext4_exit\t[ext4]
";
    const PROGRAM: u64 = 0xffff_ffff_c000_0123;
    const TRAMPOLINE: u64 = 0xffff_ffff_c000_1042;
    const NAMELESS: u64 = 0xffff_ffff_c100_0000;
    const TRACE_RUN: u64 = 0xffff_ffff_8131_6650;
    const ITERATE: u64 = 0xffff_ffff_8131_6710;
    const ALLOC: u64 = 0xffff_ffff_8131_6340;
    const PROG_ALLOC: u64 = 0xffff_ffff_8131_6810;
    const CALLER: u64 = 0xffff_ffff_8109_183a;
    const EXT4: u64 = 0xffff_ffff_c000_2010;

    fn skipped(frames: &[u64]) -> usize {
        let mut symbols = Symbols::default();
        symbols.learn_text(KALLSYMS, frames);
        tracer_frames(frames, &symbols, &["kmem_cache_alloc"])
    }

    #[test]
    fn a_stack_begins_behind_the_tracer() {
        assert_eq!(skipped(&[PROGRAM, TRAMPOLINE, ALLOC + 5, CALLER]), 2);
        assert_eq!(skipped(&[PROGRAM, TRACE_RUN, CALLER]), 2);
        assert_eq!(skipped(&[PROGRAM, TRACE_RUN, ITERATE, ALLOC]), 3);
        assert_eq!(skipped(&[ITERATE, CALLER]), 1);
        assert_eq!(skipped(&[ALLOC, CALLER]), 0);
    }

    #[test]
    fn nameless_code_goes_where_the_tracer_or_the_probed_function_follows() {
        assert_eq!(skipped(&[NAMELESS, NAMELESS, ALLOC + 5, CALLER]), 2);
        assert_eq!(skipped(&[NAMELESS, TRACE_RUN, CALLER]), 2);
        assert_eq!(skipped(&[PROGRAM, NAMELESS, ALLOC + 5]), 2);
        assert_eq!(skipped(&[NAMELESS, CALLER]), 0);
    }

    #[test]
    fn functions_with_a_tracers_name_stay() {
        assert_eq!(skipped(&[PROGRAM, TRACE_RUN, PROG_ALLOC, CALLER]), 2);
        assert_eq!(skipped(&[EXT4, CALLER]), 0);
        assert_eq!(skipped(&[EXT4, ALLOC + 9]), 0);
        assert_eq!(skipped(&[]), 0);
    }

    #[test]
    fn an_entry_probe_stands_at_its_function() {
        let mut symbols = Symbols::default();
        symbols.learn_text(KALLSYMS, &[ALLOC + 5, CALLER]);
        assert_eq!(entry(ALLOC + 5, &mut symbols, &["kmem_cache_alloc"]), ALLOC);
        assert_eq!(symbols.get(ALLOC).map(|symbol| &*symbol.name), Some("kmem_cache_alloc"));
        assert_eq!(entry(ALLOC + 5, &mut symbols, &["other"]), ALLOC + 5);
        assert_eq!(entry(CALLER, &mut symbols, &["vm_area_alloc"]), CALLER);
    }

    #[test]
    fn frames_look_as_systemtap_prints_them() {
        let mut symbols = Symbols::default();
        symbols.learn_text(KALLSYMS, &[ALLOC, CALLER]);
        let mut out = Vec::new();
        print(&[ALLOC, CALLER, NAMELESS], &symbols, &mut out);
        let expected = [
            " 0xffffffff81316340 : kmem_cache_alloc+0x0/0x300 [kernel]",
            " 0xffffffff8109183a : vm_area_alloc+0xf/0x50 [kernel]",
            " 0xffffffffc1000000",
        ];
        assert_eq!(String::from_utf8_lossy(&out).lines().collect::<Vec<_>>(), expected);
        out.clear();
        addresses(&[ALLOC, CALLER, 0, 0x10], &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "0xffffffff81316340 0xffffffff8109183a 0x0 0x10");
    }
}
