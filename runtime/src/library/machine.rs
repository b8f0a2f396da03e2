//! What the machine is asked when a script asks: time zone, load, other processes; and what is written to the kernel.

use super::Refusal;
use crate::sys::clock;
use std::fs;
use std::io::Write;

/// Seconds that the session's time zone is behind UTC, and its name.
pub fn zone() -> (i64, Vec<u8>) {
    let (ahead, name) = clock::zone();
    (-ahead, name)
}

/// The widest range of [`random`].
const RANDOM_MAX: i64 = 1 << 20;

/// A random number below a limit.
pub fn random(limit: i64) -> Result<i64, Refusal> {
    if !(0..=RANDOM_MAX).contains(&limit) {
        return Err("range too wide".into());
    }
    Ok(if limit == 0 { 0 } else { (clock::random() % limit as u64) as i64 })
}

/// The name of a task; empty where there is none.
pub fn name_of(pid: i64) -> Vec<u8> {
    let mut name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.truncate(name.trim_ascii_end().len());
    name
}

/// `HZ` of the kernel.
pub fn ticks_per_second() -> i64 {
    // CLOCK_MONOTONIC_COARSE steps once a tick.
    1_000_000_000 / clock::tick().max(1)
}

/// A load average without its fraction.
pub fn load_average(index: i64) -> Result<i64, Refusal> {
    let unknown = || Refusal::from(format!("Invalid loadavg index {index} specified."));
    let index = usize::try_from(index).ok().filter(|index| *index < 3).ok_or_else(unknown)?;
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let average = averages.split_whitespace().nth(index).and_then(|average| average.split('.').next());
    Ok(average.and_then(|whole| whole.parse().ok()).unwrap_or(0))
}

/// Bytes of a page.
pub fn page_size() -> i64 {
    clock::page_size()
}

/// A variable of the environment that a process was started with; empty where it has none.
pub fn environment(pid: i64, name: &[u8]) -> Vec<u8> {
    let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let value = |variable: &[u8]| variable.strip_prefix(name)?.strip_prefix(b"=").map(<[u8]>::to_vec);
    variables.split(|byte| *byte == 0).find_map(value).unwrap_or_default()
}

/// Writes a line into the kernel's trace buffer.
pub fn write_trace(text: &[u8]) -> Result<(), Refusal> {
    // Both may be there, and are the same.
    let written = append("/sys/kernel/tracing/trace_marker", text)
        .or_else(|_| append("/sys/kernel/debug/tracing/trace_marker", text));
    written.map_err(|error| format!("ftrace: {error}").into())
}

/// Writes a line into the kernel's log.
pub fn write_log(level: i64, text: &[u8]) -> Result<(), Refusal> {
    // Without an end the kernel keeps a line to itself, as somebody might go on with it.
    let line = [format!("<{}>", level.clamp(0, 7)).as_bytes(), text, b"\n"].concat();
    append("/dev/kmsg", &line).map_err(|error| format!("printk: {error}").into())
}

fn append(path: &str, text: &[u8]) -> std::io::Result<()> {
    fs::OpenOptions::new().write(true).open(path)?.write_all(text)
}
