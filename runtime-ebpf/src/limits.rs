//! The limits SystemTap has, with its defaults, and what they mean for the layouts.

/// Bytes of a string with its terminating NUL (`-DMAXSTRINGLEN`).
pub const MAXSTRINGLEN: u32 = 512;
/// Elements of an array that declares no size (`-DMAXMAPENTRIES`).
pub const MAXMAPENTRIES: u32 = 2048;
/// Frames kept of a kernel stack (`-DMAXBACKTRACE`); the kernel itself stops at `kernel.perf_event_max_stack`, 127.
pub const MAXBACKTRACE: u32 = 64;
/// The kernel's own bound on frames.
pub const MAXBACKTRACE_KERNEL: u32 = 127;
/// Statements a handler may run (`-DMAXACTION`).
pub const MAXACTION: u32 = 1000;
/// Places that one probe point may stand for (`-DMAXPROBES`; SystemTap has no such limit).
pub const MAXPROBES: u32 = 40_000;
/// Bytes of a task's name with its NUL: `TASK_COMM_LEN` of include/linux/sched.h.
pub const TASK_COMM_LEN: u32 = 16;
/// Strings up to this bound lie in a key as bytes; wider ones are interned ([`crate::intern`]).
pub const INLINE_KEY_TEXT: u32 = 64;
/// Bytes of a value on one CPU: `PCPU_MIN_UNIT_SIZE` of include/linux/percpu.h.
pub const PERCPU_VALUE: u32 = 32 << 10;
/// Bytes of an eBPF program's stack: `MAX_BPF_STACK` of include/linux/filter.h.
pub const BPF_STACK: u32 = 512;
