//! Runs a program to its end, or to the end of patience, and keeps what it printed.

pub mod privilege;

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::case::expect::Printed;

/// A started program whose streams are being read.
///
/// Dropping it kills it: no test leaves a tracer behind.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
    stderr_lines: Receiver<String>,
}

impl Running {
    /// Starts it with closed standard input.
    pub fn start(command: &mut Command) -> io::Result<Running> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        die_with_parent(command);
        command.process_group(0);
        let mut child = command.spawn()?;
        let (sender, stderr_lines) = channel();
        let mut stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let read_stdout = thread::spawn(move || {
            let mut bytes = vec![];
            // A pipe that fails has told all that it will.
            let _ = stdout.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let read_stderr = thread::spawn(move || {
            let mut all = String::new();
            let mut reader = io::BufReader::new(stderr);
            let mut line = vec![];
            while io::BufRead::read_until(&mut reader, b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                all += &text;
                // Nobody need listen.
                let _ = sender.send(text);
                line.clear();
            }
            all
        });
        Ok(Running { child, stdout: Some(read_stdout), stderr: Some(read_stderr), stderr_lines })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of standard error that begins with `prefix`; gives the lines before it.
    ///
    /// If it does not come, the program is ended and the error carries its output.
    pub fn until_line(self, prefix: &str, patience: Duration) -> Result<(Running, Vec<String>), String> {
        let deadline = Instant::now() + patience;
        let mut before = vec![];
        let why = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.stderr_lines.recv_timeout(left) {
                Ok(line) if line.starts_with(prefix) => return Ok((self, before)),
                Ok(line) => before.push(line),
                Err(RecvTimeoutError::Timeout) => break format!("no line `{prefix}…` in {patience:?}"),
                Err(RecvTimeoutError::Disconnected) => break format!("ended without a line `{prefix}…`"),
            }
        };
        let printed = self.finish(Duration::from_secs(1));
        Err(printed.map_or_else(|e| format!("{why}; {e}"), |p| format!("{why}\n{}", p.transcript())))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: no memory is involved; the child has not been waited for, so its id is its own.
        unsafe { libc::kill(self.pid() as i32, signal) };
    }

    /// Waits for the end; when patience ends first, the program is killed and the error carries its output.
    pub fn finish(mut self, patience: Duration) -> Result<Printed, String> {
        let deadline = Instant::now() + patience;
        let mut status = None;
        while status.is_none() && Instant::now() < deadline {
            status = self.child.try_wait().map_err(|e| format!("wait: {e}"))?;
            if status.is_none() {
                sleep(Duration::from_millis(2));
            }
        }
        let late = status.is_none();
        let status = match status {
            Some(status) => status,
            None => self.kill().map_err(|e| format!("wait: {e}"))?,
        };
        let printed = self.printed(status);
        if late { Err(format!("still running after {patience:?}\n{}", printed.transcript())) } else { Ok(printed) }
    }

    fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    fn printed(&mut self, status: ExitStatus) -> Printed {
        // What it started and left behind would keep the pipes open for ever.
        // SAFETY: no memory is involved; the group is the child's own, see `start`.
        unsafe { libc::kill(-(self.pid() as i32), libc::SIGKILL) };
        let join = |reader: Option<JoinHandle<String>>| reader.and_then(|r| r.join().ok()).unwrap_or_default();
        Printed {
            exit: status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)),
            stdout: join(self.stdout.take()),
            stderr: join(self.stderr.take()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.kill();
    }
}

/// Lets the kernel end the program with the thread that started it, should a suite be interrupted.
pub fn die_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
}
