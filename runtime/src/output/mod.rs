//! What the user sees: standard output, buffered, and standard error.
//!
//! Rendering appends to one buffer, which is written when a turn of the session ends or it has grown. A reader that
//! went away is remembered, so that the session can end quietly.

pub mod format;
pub mod histogram;
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
    closed: bool,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("buffered", &self.buffer.len()).field("closed", &self.closed).finish()
    }
}

impl Output {
    /// Writes to these.
    pub fn new(out: Box<dyn Write>, err: Box<dyn Write>) -> Output {
        Output { out, err, buffer: Vec::new(), closed: false }
    }

    /// Where to render.
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Writes what has grown large.
    pub fn rendered(&mut self) {
        if self.buffer.len() >= FULL {
            self.flush();
        }
    }

    /// Writes everything.
    pub fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        if !self.closed {
            let written = self.out.write_all(&self.buffer).and_then(|()| self.out.flush());
            self.closed = written.is_err_and(|error| self.is_final(&error));
        }
        self.buffer.clear();
    }

    /// Whether nothing more can be written; says so unless the reader just went away.
    fn is_final(&mut self, error: &io::Error) -> bool {
        if error.kind() != io::ErrorKind::BrokenPipe {
            let _ = writeln!(self.err, "ERROR: cannot write output: {error}");
        }
        true
    }

    /// Whether nobody reads the output any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Throws away what has not been written.
    pub fn discard(&mut self) {
        self.buffer.clear();
    }

    /// Writes a line to standard error, after all output so far. Nothing can be done where that fails.
    pub fn note(&mut self, line: impl fmt::Display) {
        self.flush();
        let _ = writeln!(self.err, "{line}");
    }

    /// Writes a `WARNING:` line.
    pub fn warn(&mut self, text: impl fmt::Display) {
        self.note(format_args!("WARNING: {text}"));
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
        assert!(output.is_closed());
    }
}
