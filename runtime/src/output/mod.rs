//! What the user sees: standard output, buffered, and standard error.
//!
//! Rendering appends to one buffer, which is written when a turn of the session ends or it has grown. A reader that
//! went away is remembered, so that the session can end quietly.

pub mod format;
pub mod histogram;
pub mod json;
pub mod stack;

use std::fmt;
use std::io::{self, Write};

/// Bytes at which the buffer is written in the middle of a turn.
const FULL: usize = 64 << 10;

/// The sinks of a session.
pub struct Output {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    buffer: Vec<u8>,
    /// For machines: what was printed since the last record.
    printed: Option<Vec<u8>>,
    closed: bool,
    failed: bool,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("buffered", &self.buffer.len()).field("closed", &self.closed).finish()
    }
}

impl Output {
    /// Writes to these.
    pub fn new(out: Box<dyn Write>, err: Box<dyn Write>) -> Output {
        Output { out, err, buffer: Vec::new(), printed: None, closed: false, failed: false }
    }

    /// The same for machines: every print, warning and error is a record.
    pub fn for_machines(mut self) -> Output {
        self.printed = Some(Vec::new());
        self
    }

    /// Whether machines read it.
    pub fn is_for_machines(&self) -> bool {
        self.printed.is_some()
    }

    /// Where to render.
    pub fn text(&mut self) -> &mut Vec<u8> {
        self.printed.as_mut().unwrap_or(&mut self.buffer)
    }

    /// Writes a record.
    pub fn record(&mut self, line: &str) {
        self.close_print();
        self.buffer.extend_from_slice(line.as_bytes());
        self.rendered();
    }

    /// Makes a record of what was printed.
    fn close_print(&mut self) {
        if let Some(printed) = self.printed.as_mut().filter(|printed| !printed.is_empty()) {
            let line = json::record("print", |out| json::text("text", printed, out));
            self.buffer.extend_from_slice(line.as_bytes());
            printed.clear();
        }
    }

    /// Writes what has grown large.
    pub fn rendered(&mut self) {
        self.close_print();
        if self.buffer.len() >= FULL {
            self.flush();
        }
    }

    /// Writes everything.
    pub fn flush(&mut self) {
        self.close_print();
        if self.buffer.is_empty() {
            return;
        }
        if !self.closed {
            let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
            if let Err(error) = written {
                self.fail(&error);
            }
        }
        self.buffer.clear();
    }

    /// Nothing more can be written. A reader that went away had seen enough; anything else is an error.
    fn fail(&mut self, error: &io::Error) {
        self.closed = true;
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.failed = true;
            let _ = writeln!(self.err, "ERROR: cannot write output: {error}");
        }
    }

    /// Whether output was lost for another reason than that nobody reads it.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether nobody reads the output any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Throws away what has not been written.
    pub fn discard(&mut self) {
        self.buffer.clear();
        self.printed.iter_mut().for_each(Vec::clear);
    }

    /// Writes a line to standard error, after all output so far.
    pub fn note(&mut self, line: impl fmt::Display) {
        self.note_bytes(format!("{line}").as_bytes());
    }

    /// Writes a line that may be no UTF-8 to standard error, after all output so far. Nothing can be done where that
    /// fails.
    pub fn note_bytes(&mut self, line: &[u8]) {
        self.flush();
        let _ = self.err.write_all(&[line, b"\n"].concat());
    }

    /// Says a warning.
    pub fn warn(&mut self, text: impl fmt::Display) {
        self.warn_bytes(format!("{text}").as_bytes());
    }

    /// Says a warning that may be no UTF-8.
    pub fn warn_bytes(&mut self, text: &[u8]) {
        self.say("warning", b"WARNING: ", text, None);
    }

    /// Warns of something that happened so many times.
    pub fn warn_of(&mut self, count: u64, text: &str) {
        self.say("warning", b"WARNING: ", text.as_bytes(), Some(count));
    }

    /// Says a run-time error.
    pub fn error(&mut self, text: &[u8]) {
        self.say("error", b"ERROR: ", text, None);
    }

    fn say(&mut self, kind: &str, prefix: &[u8], text: &[u8], count: Option<u64>) {
        if !self.is_for_machines() {
            return self.note_bytes(&[prefix, text].concat());
        }
        self.record(&json::record(kind, |out| {
            json::text("text", text, out);
            count.into_iter().for_each(|count| json::number("count", count as i64, out));
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(io::ErrorKind);
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(self.0))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_closes_the_output() {
        let mut output = Output::new(Box::new(Broken(io::ErrorKind::BrokenPipe)), Box::new(io::sink()));
        output.text().extend_from_slice(b"x");
        assert!(!output.is_closed());
        output.flush();
        assert!(output.is_closed() && !output.has_failed());
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut output = Output::new(Box::new(Broken(io::ErrorKind::StorageFull)), Box::new(io::sink()));
        output.text().extend_from_slice(b"x");
        output.flush();
        assert!(output.is_closed() && output.has_failed());
    }
}
