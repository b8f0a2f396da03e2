//! Runs a tool until it is ready, or to its end, and takes what that cost from the kernel's books.
//!
//! Time counts from just before the fork. Processor time is user and system time of the whole process, its ended threads
//! included. Memory is the peak of the resident set: `VmHWM` at the moment it is ready, or `ru_maxrss` at its end, which
//! is never below this benchmark's own peak, for the kernel carries that over exec (2 MB or so).

use std::fs;
use std::io::{self, PipeReader, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A tool that has said nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A tool that was asked to end is asked again after so long, and so often: bpftrace 0.17 misses a signal that does not
/// find it waiting.
const ASK_AGAIN: (Duration, u32) = (Duration::from_millis(500), 40);

/// Bytes of output that are kept.
const KEPT: usize = 1 << 20;

/// A tool that is up may not have gone to wait yet.
const SETTLE: Duration = Duration::from_millis(200);

/// What to run, and how far.
#[derive(Debug)]
pub struct Run {
    /// The tool.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The beginning of the line, on either stream, that says that it is ready; to the end, if none.
    pub ready: Option<&'static str>,
}

/// What it cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Milliseconds on the clock.
    pub wall_ms: f64,
    /// Milliseconds of a processor.
    pub cpu_ms: f64,
    /// Peak memory in units of 10⁶ bytes.
    pub memory_mb: f64,
}

impl Run {
    /// A program with its arguments.
    pub fn new(program: &Path, arguments: &[&str], ready: Option<&'static str>) -> Run {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Run { program: program.to_owned(), arguments, ready }
    }

    /// Runs it once.
    pub fn measure(&self) -> Result<Cost, String> {
        let (mut started, start) = self.spawn()?;
        let cost = match self.ready {
            Some(ready) => started.until(ready, start)?,
            None => return started.until_end(start),
        };
        started.interrupt()?;
        Ok(cost)
    }

    /// Runs it until it is ready.
    pub fn start(&self) -> Result<Started, String> {
        let (mut started, start) = self.spawn()?;
        started.until(self.ready.unwrap_or_default(), start)?;
        Ok(started)
    }

    fn spawn(&self) -> Result<(Started, Instant), String> {
        let fail = |what: &str, error: io::Error| format!("{}: {what}: {error}", self.program.display());
        let (output, writer) = io::pipe().map_err(|e| fail("pipe", e))?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null());
        command.stdout(writer.try_clone().map_err(|e| fail("pipe", e))?).stderr(writer);
        // What it starts itself ends with it.
        command.process_group(0);
        let start = Instant::now();
        let child = command.spawn().map_err(|e| fail("start", e))?;
        // It holds the pipe's other end, and with it the end of the file.
        drop(command);
        Ok((Started { child, output, said: vec![], waited_for: false }, start))
    }
}

/// A running tool; dropped before its end, it is killed.
pub struct Started {
    child: Child,
    output: PipeReader,
    said: Vec<u8>,
    waited_for: bool,
}

enum Heard {
    Words,
    Nothing,
    End,
}

impl Started {
    fn until(&mut self, ready: &str, start: Instant) -> Result<Cost, String> {
        self.hear(ready)?;
        let wall = start.elapsed();
        Ok(Cost { wall_ms: millis(wall), cpu_ms: self.cpu_ms()?, memory_mb: self.memory_mb()? })
    }

    /// Ends it as by ^C. Gives what it cost from then on, by the clock until it said a line that begins so, and all that
    /// it has said.
    pub fn end(mut self, last: &str) -> Result<(Cost, String), String> {
        std::thread::sleep(SETTLE);
        let (before, start) = (self.cpu_ms()?, Instant::now());
        self.signal();
        self.hear(last)?;
        let wall_ms = millis(start.elapsed());
        let usage = self.interrupt()?;
        let memory_mb = megabytes(usage.ru_maxrss as f64);
        Ok((Cost { wall_ms, cpu_ms: cpu_ms(&usage) - before, memory_mb }, self.transcript()))
    }

    /// Ends it as by ^C; gives all that it has said.
    pub fn stop(mut self) -> Result<String, String> {
        self.interrupt()?;
        Ok(self.transcript())
    }

    fn signal(&self) {
        // SAFETY: no memory is involved; the child has not been waited for, so its id is its own.
        unsafe { libc::kill(self.pid(), libc::SIGINT) };
    }

    fn until_end(&mut self, start: Instant) -> Result<Cost, String> {
        while self.hear_more()? {}
        let (status, usage) = self.wait()?;
        let wall = start.elapsed();
        if status != 0 {
            return Err(format!("it ended with status {status:#x}: {}", self.transcript()));
        }
        Ok(Cost { wall_ms: millis(wall), cpu_ms: cpu_ms(&usage), memory_mb: megabytes(usage.ru_maxrss as f64) })
    }

    /// Has it end as by ^C.
    fn interrupt(&mut self) -> Result<libc::rusage, String> {
        for _ in 0..ASK_AGAIN.1 {
            self.signal();
            loop {
                match self.listen(ASK_AGAIN.0)? {
                    Heard::Words => {}
                    Heard::Nothing => break,
                    Heard::End => return self.wait().map(|(_, usage)| usage),
                }
            }
        }
        Err(format!("it does not end: {}", self.transcript()))
    }

    /// Listens until a line begins so.
    fn hear(&mut self, beginning: &str) -> Result<(), String> {
        let mut heard = 0;
        loop {
            if lines(&self.said[heard..]).any(|line| line.starts_with(beginning.as_bytes())) {
                return Ok(());
            }
            // Long output is not kept: this process's size would become that of what it starts next.
            let ended = self.said.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            heard = if ended > KEPT { self.said.drain(..ended).count() - ended } else { ended };
            if !self.hear_more()? {
                return Err(format!("it ended without a line `{beginning}…`: {}", self.transcript()));
            }
        }
    }

    /// False at the end.
    fn hear_more(&mut self) -> Result<bool, String> {
        match self.listen(PATIENCE)? {
            Heard::Words => Ok(true),
            Heard::End => Ok(false),
            Heard::Nothing => Err(format!("it said nothing for {PATIENCE:?}: {}", self.transcript())),
        }
    }

    /// Takes what is said next.
    fn listen(&mut self, patience: Duration) -> Result<Heard, String> {
        let mut poll = libc::pollfd { fd: self.output.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which lives as long as the call.
        if unsafe { libc::poll(&mut poll, 1, patience.as_millis() as i32) } < 1 {
            return Ok(Heard::Nothing);
        }
        let mut buffer = [0; 64 << 10];
        let length = self.output.read(&mut buffer).map_err(|e| format!("pipe: {e}"))?;
        self.said.extend(&buffer[..length]);
        Ok(if length > 0 { Heard::Words } else { Heard::End })
    }

    /// By the process's own clock, which counts nanoseconds.
    fn cpu_ms(&self) -> Result<f64, String> {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both places live as long as the calls.
        let failed = unsafe {
            libc::clock_getcpuclockid(self.pid(), &mut clock) != 0 || libc::clock_gettime(clock, &mut time) != 0
        };
        if failed {
            Err("it has no processor clock any more".into())
        } else {
            Ok(time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6)
        }
    }

    fn memory_mb(&self) -> Result<f64, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).map_err(|e| format!("/proc: {e}"))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        kib.map(megabytes).ok_or_else(|| "/proc gives no VmHWM".into())
    }

    fn wait(&mut self) -> Result<(i32, libc::rusage), String> {
        let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::zeroed());
        // SAFETY: both places live as long as the call; nobody else waits for this child.
        let waited = unsafe { libc::wait4(self.pid(), &mut status, 0, usage.as_mut_ptr()) };
        self.waited_for = waited == self.pid();
        if !self.waited_for {
            return Err(format!("wait4: {}", io::Error::last_os_error()));
        }
        // SAFETY: zeros are a valid `rusage`, and the kernel has filled it in.
        Ok((status, unsafe { usage.assume_init() }))
    }

    fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.said).trim().to_owned()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.waited_for {
            // SAFETY: no memory is involved; the child has not been waited for, so the group is its own.
            unsafe { libc::kill(-self.pid(), libc::SIGKILL) };
            // Already ended is as good.
            let _ = self.child.wait();
        }
    }
}

fn cpu_ms(usage: &libc::rusage) -> f64 {
    let time = |t: libc::timeval| t.tv_sec as f64 * 1e3 + t.tv_usec as f64 / 1e3;
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Lines that have ended.
fn lines(said: &[u8]) -> impl Iterator<Item = &[u8]> {
    said.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn megabytes(kib: f64) -> f64 {
    kib * 1024.0 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str, ready: Option<&'static str>) -> Result<Cost, String> {
        Run::new(Path::new("sh"), &["-c", text], ready).measure()
    }

    #[test]
    fn a_run_to_its_end_is_measured() {
        let cost = shell("exit 0", None).expect("measured");
        assert!(cost.wall_ms > 0.0 && cost.memory_mb > 0.1, "{cost:?}");
    }

    #[test]
    fn a_run_until_a_line_is_measured_and_ended() {
        let cost = shell("sleep 0.1; echo ready >&2; exec sleep 1000", Some("ready")).expect("measured");
        assert!(cost.wall_ms >= 100.0 && cost.cpu_ms < cost.wall_ms, "{cost:?}");
    }

    #[test]
    fn failures_carry_what_was_said() {
        assert!(shell("echo why; exit 3", None).expect_err("status 3").contains("why"));
        assert!(shell("echo why", Some("ready")).expect_err("not ready").contains("why"));
    }
}
