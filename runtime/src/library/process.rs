//! Commands that a script starts.

use crate::output::Output;
use crate::sys::wait::release_signals;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};
use std::thread;

/// Commands to be started when the handler is through (function::system(3stap)).
#[derive(Debug, Default)]
pub struct Commands(Vec<Box<[u8]>>);

impl Commands {
    /// One more.
    pub fn add(&mut self, command: &[u8]) {
        self.0.push(command.into());
    }

    /// Starts them all, behind what was printed before them. Nobody waits for them but a thread that sees them off.
    pub fn start(&mut self, output: &mut Output) {
        for command in self.0.drain(..) {
            output.flush();
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(OsStr::from_bytes(&command)).stdin(Stdio::null());
            release_signals(&mut shell);
            let started = shell.spawn().and_then(|mut child| thread::Builder::new().spawn(move || child.wait()));
            if let Err(error) = started {
                output.warn(format_args!("cannot start {}: {error}", command.escape_ascii()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::wait::Signals;
    use std::time::{Duration, Instant};

    /// The names of this thread's children, those that are gone but not seen off as well.
    fn children() -> String {
        let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        let name = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        children.split_whitespace().map(name).collect()
    }

    /// Runs a command that writes to a file; gives what it wrote, when it is gone.
    fn ran(name: &str, command: impl FnOnce(&str) -> String) -> String {
        let path = std::env::temp_dir().join(format!("tapster-{name}-{}", std::process::id()));
        let mut output = Output::new(Box::new(std::io::sink()), Box::new(std::io::sink()));
        let mut commands = Commands::default();
        commands.add(command(&path.display().to_string()).as_bytes());
        commands.start(&mut output);
        commands.start(&mut output);
        let end = Instant::now() + Duration::from_secs(10);
        let written = || std::fs::read_to_string(&path).unwrap_or_default();
        let going_on = || children().contains("sh") || !written().ends_with('\n');
        while Instant::now() < end && going_on() {
            thread::sleep(Duration::from_millis(5));
        }
        let text = written();
        std::fs::remove_file(&path).expect("was written");
        text
    }

    #[test]
    fn a_command_runs_beside_the_session_and_leaves_nothing() {
        assert_eq!(ran("system", |path| format!("echo one two >> {path}")), "one two\n");
        assert!(!children().contains("sh"), "{}", children());
    }

    #[test]
    fn a_command_may_be_interrupted() {
        let _signals = Signals::collect().expect("can be had");
        assert_eq!(
            ran("trap", |path| format!("trap 'echo term > {path}; exit' TERM; kill -TERM $$; sleep 1")),
            "term\n"
        );
    }
}
