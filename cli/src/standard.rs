//! Standard output, for what is printed at once. A reader that has seen enough is no failure; a full disk is one.

use std::io::{self, ErrorKind, Write};

/// Writes everything. What went wrong is said already where it is false.
pub fn write(bytes: &[u8]) -> bool {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "error: cannot write output: {error}");
            false
        }
        _ => true,
    }
}
