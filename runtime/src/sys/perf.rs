//! Kprobes and uprobes as perf events: they vanish with their descriptor, unlike those of tracefs.

use super::{check, own};
use aya_obj::generated::perf_event_attr;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use tapster_compiler::image::{Counted, PerfEvent, Rate};

/// Where the kernel says the type number of its kprobe PMU; missing without `CONFIG_KPROBE_EVENTS`.
pub const KPROBE_TYPE: &str = "/sys/bus/event_source/devices/kprobe/type";

/// The type of a PMU, from its file in sysfs.
pub fn pmu_type(path: &str) -> io::Result<u32> {
    fs::read_to_string(path)?.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// Where the kernel says the type number of its uprobe PMU; missing without `CONFIG_UPROBE_EVENTS`.
pub const UPROBE_TYPE: &str = "/sys/bus/event_source/devices/uprobe/type";

/// A place for [`open_uprobe`].
#[derive(Clone, Copy, Debug)]
pub struct UprobeSpec<'a> {
    /// The file.
    pub path: &'a CStr,
    /// The offset in it.
    pub offset: u64,
    /// The offset of a semaphore, 0 for none.
    pub semaphore: u64,
    /// The only process.
    pub pid: Option<u32>,
    /// Where the function returns.
    pub on_return: bool,
}

/// Opens a uprobe, on all CPUs.
pub fn open_uprobe(pmu: u32, place: &UprobeSpec<'_>) -> io::Result<OwnedFd> {
    // SAFETY: the structure is plain numbers, for which zero is valid.
    let mut attr: perf_event_attr = unsafe { mem::zeroed() };
    attr.type_ = pmu;
    attr.size = size_of::<perf_event_attr>() as u32;
    // kernel/events/core.c: bit 0 of `config` is the return, the upper half the semaphore's offset.
    attr.config = u64::from(place.on_return) | place.semaphore << 32;
    attr.__bindgen_anon_3.uprobe_path = place.path.as_ptr() as u64;
    attr.__bindgen_anon_4.probe_offset = place.offset;
    open(&attr, place.pid)
}

/// Where a kprobe stands.
#[derive(Clone, Copy, Debug)]
pub enum KprobePlace<'a> {
    /// So many bytes behind a function's start.
    Function(&'a CStr, u64),
    /// At an instruction.
    Address(u64),
}

/// Opens a kprobe at a place or where the function there returns, on all CPUs and for all processes.
pub fn open_kprobe(pmu: u32, place: KprobePlace<'_>, at_return: bool) -> io::Result<OwnedFd> {
    // SAFETY: the structure is plain numbers, for which zero is valid.
    let mut attr: perf_event_attr = unsafe { mem::zeroed() };
    attr.type_ = pmu;
    attr.size = size_of::<perf_event_attr>() as u32;
    // As for uprobes.
    attr.config = at_return.into();
    match place {
        KprobePlace::Function(name, offset) => {
            attr.__bindgen_anon_3.kprobe_func = name.as_ptr() as u64;
            attr.__bindgen_anon_4.probe_offset = offset;
        }
        KprobePlace::Address(address) => attr.__bindgen_anon_4.kprobe_addr = address,
    }
    open(&attr, None)
}

/// Opens the event of a probe. The names it points to live through the call.
fn open(attr: &perf_event_attr, pid: Option<u32>) -> io::Result<OwnedFd> {
    // With pid -1 one CPU must be named; a probe fires on all of them nevertheless (kernel/events/core.c,
    // perf_kprobe_event_init).
    let (pid, cpu) = pid.map_or((-1, 0), |pid| (pid as i32, -1));
    // SAFETY: `attr` lives through the call, and what it points to by the caller's word.
    own(unsafe { libc::syscall(libc::SYS_perf_event_open, std::ptr::from_ref(attr), pid, cpu, -1, CLOEXEC) })
}

/// Opens an event that is counted on a CPU.
pub fn open_counter(event: &PerfEvent, cpu: u32) -> io::Result<OwnedFd> {
    // SAFETY: the structure is plain numbers, for which zero is valid.
    let mut attr: perf_event_attr = unsafe { mem::zeroed() };
    attr.type_ = event.event.kind;
    attr.config = event.event.config;
    match event.rate {
        Rate::Period(events) => attr.__bindgen_anon_1.sample_period = events,
        Rate::Tick => attr.__bindgen_anon_1.sample_period = tick()?,
        Rate::Frequency(hz) => {
            attr.set_freq(1);
            attr.__bindgen_anon_1.sample_freq = hz;
        }
    }
    attr.set_disabled(1);
    open_on(&mut attr, cpu)
}

/// Opens an event that a CPU counts from now on, and that runs nothing.
pub fn open_counting(event: Counted, cpu: u32) -> io::Result<OwnedFd> {
    // SAFETY: the structure is plain numbers, for which zero is valid.
    let mut attr: perf_event_attr = unsafe { mem::zeroed() };
    attr.type_ = event.kind;
    attr.config = event.config;
    open_on(&mut attr, cpu)
}

/// Opens a breakpoint on a CPU.
pub fn open_breakpoint(address: u64, length: u8, on_reads: bool, cpu: u32) -> io::Result<OwnedFd> {
    /// `PERF_TYPE_BREAKPOINT` of include/uapi/linux/perf_event.h.
    const BREAKPOINT: u32 = 5;
    /// `HW_BREAKPOINT_R`, `HW_BREAKPOINT_W` of include/uapi/linux/hw_breakpoint.h.
    const READ: u32 = 1;
    /// See above.
    const WRITE: u32 = 2;
    // SAFETY: the structure is plain numbers, for which zero is valid.
    let mut attr: perf_event_attr = unsafe { mem::zeroed() };
    attr.type_ = BREAKPOINT;
    attr.bp_type = if on_reads { READ | WRITE } else { WRITE };
    attr.__bindgen_anon_3.bp_addr = address;
    attr.__bindgen_anon_4.bp_len = length.into();
    attr.__bindgen_anon_1.sample_period = 1;
    attr.set_disabled(1);
    open_on(&mut attr, cpu)
}

/// Nanoseconds between two ticks of the kernel's clock: what its coarse clock resolves.
fn tick() -> io::Result<u64> {
    // SAFETY: the structure is plain numbers, for which zero is valid.
    let mut resolution: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: the call writes to the structure alone.
    check(unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut resolution) }.into())?;
    Ok(resolution.tv_nsec.unsigned_abs().max(1))
}

/// Opens an event of all processes on one CPU.
fn open_on(attr: &mut perf_event_attr, cpu: u32) -> io::Result<OwnedFd> {
    attr.size = size_of::<perf_event_attr>() as u32;
    // SAFETY: `attr` lives through the call.
    own(unsafe { libc::syscall(libc::SYS_perf_event_open, std::ptr::from_mut(attr), -1, cpu as i32, -1, CLOEXEC) })
}

/// `PERF_FLAG_FD_CLOEXEC` of include/uapi/linux/perf_event.h.
const CLOEXEC: libc::c_ulong = 1 << 3;

/// Arms an event.
pub fn enable(event: BorrowedFd<'_>) -> io::Result<()> {
    /// `_IO('$', 0)` of include/uapi/linux/perf_event.h.
    const ENABLE: libc::c_ulong = 0x2400;
    // SAFETY: the request takes no pointer.
    check(unsafe { libc::ioctl(event.as_raw_fd(), ENABLE as _, 0) }.into()).map(drop)
}

/// Attaches a program to an event, for kernels without links of this kind (before Linux 5.15).
pub fn set_program(event: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    /// `_IOW('$', 8, __u32)`.
    const SET_BPF: libc::c_ulong = 0x4004_2408;
    // SAFETY: the request takes a descriptor by value.
    check(unsafe { libc::ioctl(event.as_raw_fd(), SET_BPF as _, program.as_raw_fd()) }.into()).map(drop)
}
