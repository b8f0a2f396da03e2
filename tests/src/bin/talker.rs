//! Talks to itself over TCP on the loopback device, as a process called `tptalker`: 13 bytes one way, 29 the other.
//!
//! Cases compare what they see with what stands here.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// Where it listens.
const PLACE: &str = "127.0.0.1:17462";

fn main() -> std::io::Result<()> {
    // SAFETY: the name lives through the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"tptalker".as_ptr()) };
    let listener = TcpListener::bind(PLACE)?;
    let mut one = TcpStream::connect(PLACE)?;
    let (mut other, _) = listener.accept()?;
    one.write_all(&[1; 13])?;
    other.read_exact(&mut [0; 13])?;
    other.write_all(&[2; 29])?;
    one.read_exact(&mut [0; 29])
}
