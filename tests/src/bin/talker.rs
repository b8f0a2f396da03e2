//! Talks to itself on the loopback device, as a process called `tptalker`: over TCP 13 bytes one way, 29 the other.
//! `talker more` then asks what the kernel knows of the connection (`TCP_INFO`), and sends 6 bytes over UDP from 127.0.0.3 to
//! 127.0.0.2.
//!
//! Cases compare what they see with what stands here.

use std::io::{Error, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

/// Where it listens.
const PLACE: &str = "127.0.0.1:17462";
/// Where datagrams come from, and where they go to.
const DATAGRAM: [&str; 2] = ["127.0.0.3:17463", "127.0.0.2:17464"];

fn main() -> std::io::Result<()> {
    // SAFETY: the name lives through the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"tptalker".as_ptr()) };
    let listener = TcpListener::bind(PLACE)?;
    let mut one = TcpStream::connect(PLACE)?;
    let (mut other, _) = listener.accept()?;
    one.write_all(&[1; 13])?;
    other.read_exact(&mut [0; 13])?;
    other.write_all(&[2; 29])?;
    one.read_exact(&mut [0; 29])?;
    if std::env::args().nth(1).as_deref() == Some("more") { more(&one) } else { Ok(()) }
}

fn more(connection: &TcpStream) -> std::io::Result<()> {
    ask(connection)?;
    let [from, to] = DATAGRAM.map(UdpSocket::bind);
    let (from, to) = (from?, to?);
    from.send_to(b"packet", DATAGRAM[1])?;
    to.recv(&mut [0; 6]).map(drop)
}

/// Asks the kernel of a connection.
fn ask(connection: &TcpStream) -> std::io::Result<()> {
    let mut info = [0_u8; 104];
    let mut size = libc::socklen_t::try_from(info.len()).expect("a hundred bytes");
    // SAFETY: the kernel writes at most as many bytes as the buffer has.
    let result = unsafe {
        let place = info.as_mut_ptr().cast();
        libc::getsockopt(connection.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, place, &mut size)
    };
    if result == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}
