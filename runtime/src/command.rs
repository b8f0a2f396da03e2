//! The program of `-c`: it has its process before the script is compiled, and becomes the program when all probes stand.

use crate::sys::process::{self, Gate};
use crate::sys::wait::release_signals;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::thread::{self, JoinHandle};

/// What is to be run, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    words: Vec<String>,
}

impl CommandLine {
    /// Reads the text of `-c`. The shell is called where the text needs one, as wordexp(3) decides it.
    pub fn parse(text: &str) -> CommandLine {
        let words = match split(text) {
            Split::Words(words) if !words.is_empty() => words,
            // The shell opens files and puts words together, then becomes the program itself.
            Split::Expand => shell(format!("exec {text}")),
            _ => shell(text.into()),
        };
        CommandLine { words }
    }

    /// The program, a path or a name.
    pub fn program(&self) -> &str {
        &self.words[0]
    }
}

fn shell(text: String) -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into(), text]
}

/// What splitting a text into words comes to.
enum Split {
    Words(Vec<String>),
    /// It is one command, with something to expand.
    Expand,
    /// It is more than one command.
    Script,
}

fn split(text: &str) -> Split {
    let (mut words, mut word, mut quote, mut expands) = (Vec::new(), None::<String>, None, false);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '{' | '}' | '\n') => return Split::Script,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None | Some('"'), '$' | '`') | (None, '*' | '?' | '[' | '~' | '#' | '=') => {
                expands = true;
                word.get_or_insert_default().push(c);
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match (quote, expands) {
        (Some(_), _) => Split::Script,
        (None, true) => Split::Expand,
        (None, false) => Split::Words(words),
    }
}

/// What to say of a program that failed.
pub fn failure(status: io::Result<ExitStatus>) -> Option<String> {
    let status = match status {
        Ok(status) if status.success() => return None,
        Ok(status) => status,
        Err(error) => return Some(format!("Child process cannot be started: {error}")),
    };
    Some(match (status.code(), status.signal()) {
        (None, Some(signal)) => {
            format!("Child process exited with signal {signal} ({})", process::signal_name(signal))
        }
        (code, _) => format!("Child process exited with status {}", code.unwrap_or_default()),
    })
}

/// A process that waits to become the program.
#[derive(Debug)]
pub struct Command {
    pid: u32,
    gate: Option<Gate>,
    ended: OwnedFd,
    starting: Option<JoinHandle<io::Result<Child>>>,
}

impl Command {
    /// Starts the process.
    pub fn start(line: &CommandLine) -> io::Result<Command> {
        let mut command = std::process::Command::new(line.program());
        command.args(&line.words[1..]);
        release_signals(&mut command);
        let (gate, waiting) = process::hold(&mut command)?;
        // Starting returns when the process has become the program, which takes until the gate is opened.
        let starting = thread::Builder::new().spawn(move || command.spawn())?;
        let pid = waiting.pid()?;
        let ended = process::watch(pid)?;
        Ok(Command { pid, gate: Some(gate), ended, starting: Some(starting) })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets it become the program.
    pub fn release(&mut self) {
        self.gate.take().into_iter().for_each(Gate::open);
    }

    /// What can be read when it has ended.
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// How it ended, once it has.
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        let started = self.starting.take().map(|starting| starting.join());
        match started {
            Some(Ok(child)) => child?.wait(),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::wait::readable;
    use std::time::Duration;

    fn words(text: &str) -> Vec<String> {
        CommandLine::parse(text).words
    }

    #[test]
    fn words_are_those_of_the_shell() {
        assert_eq!(words("  a 'b c' \"d'\"e\\ f "), ["a", "b c", "d'e f"]);
        assert_eq!(words("ls *.c"), ["/bin/sh", "-c", "exec ls *.c"]);
        assert_eq!(words("a; b"), ["/bin/sh", "-c", "a; b"]);
        assert_eq!(words("sh -c 'a; b'"), ["sh", "-c", "a; b"]);
        assert_eq!(words("echo 'open"), ["/bin/sh", "-c", "echo 'open"]);
        assert_eq!(words(""), ["/bin/sh", "-c", ""]);
    }

    fn start(text: &str) -> Command {
        Command::start(&CommandLine::parse(text)).expect("starts")
    }

    fn program(pid: u32) -> Option<std::path::PathBuf> {
        std::fs::read_link(format!("/proc/{pid}/exe")).ok()
    }

    #[test]
    fn a_command_is_held_until_it_is_released() {
        let mut command = start("sh -c 'exit 3'");
        let own = program(std::process::id());
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(program(command.pid()), own);
        command.release();
        assert!(readable(&[command.ended()], Some(Duration::from_secs(10))).expect("can wait"));
        assert_eq!(command.status().expect("ran").code(), Some(3));
    }

    #[test]
    fn a_command_that_nobody_releases_goes() {
        let mut command = start("sleep 100");
        let watched = process::watch(command.pid()).expect("is there");
        command.gate = None;
        assert!(readable(&[watched.as_fd()], Some(Duration::from_secs(10))).expect("can wait"));
        assert!(!command.status().expect("was started").success());
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let mut command = start("/nonexistent/program");
        command.release();
        assert_eq!(command.status().expect_err("no such file").kind(), io::ErrorKind::NotFound);
    }
}
