//! The kernel's helper functions by number (include/uapi/linux/bpf.h, `___BPF_FUNC_MAPPER`).
#![expect(missing_docs, reason = "each constant is the helper of its name")]

pub const MAP_LOOKUP_ELEM: u32 = 1;
pub const MAP_UPDATE_ELEM: u32 = 2;
pub const MAP_DELETE_ELEM: u32 = 3;
pub const KTIME_GET_NS: u32 = 5;
pub const GET_SMP_PROCESSOR_ID: u32 = 8;
pub const GET_CURRENT_PID_TGID: u32 = 14;
pub const GET_CURRENT_UID_GID: u32 = 15;
pub const GET_CURRENT_COMM: u32 = 16;
pub const GET_CURRENT_TASK: u32 = 35;
pub const GET_STACK: u32 = 67;
pub const PROBE_READ_USER: u32 = 112;
pub const PROBE_READ_KERNEL: u32 = 113;
pub const PROBE_READ_USER_STR: u32 = 114;
pub const PROBE_READ_KERNEL_STR: u32 = 115;
pub const JIFFIES64: u32 = 118;
pub const RINGBUF_OUTPUT: u32 = 130;
pub const RINGBUF_RESERVE: u32 = 131;
pub const RINGBUF_SUBMIT: u32 = 132;
pub const RINGBUF_DISCARD: u32 = 133;
pub const GET_CURRENT_TASK_BTF: u32 = 158;
pub const SNPRINTF: u32 = 165;
pub const GET_ATTACH_COOKIE: u32 = 174;
pub const LOOP: u32 = 181;
pub const MAP_LOOKUP_PERCPU_ELEM: u32 = 195;
