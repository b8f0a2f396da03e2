//! Writes and reads a file in pieces, sets options of sockets and writes to one as to a file, each once, as a process
//! called `tpvectors`.
//!
//! Cases compare what they see with what stands here.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

fn main() -> io::Result<()> {
    // SAFETY: the name lives through the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"tpvectors".as_ptr()) };
    let path = std::env::temp_dir().join("tapster vectors");
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    let written = file.write_vectored(&[IoSlice::new(b"abc"), IoSlice::new(b"defgh")])?;
    file.seek(SeekFrom::Start(0))?;
    let (mut two, mut four) = ([0; 2], [0; 4]);
    let read = file.read_vectored(&mut [IoSliceMut::new(&mut two), IoSliceMut::new(&mut four)])?;
    std::fs::remove_file(&path)?;
    assert_eq!((written, read, &two, &four), (8, 6, b"ab", b"cdef"));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    TcpStream::connect(listener.local_addr()?)?.set_nodelay(true)?;
    // Sockets send and receive; files are written and read.
    let (one, other) = UnixStream::pair()?;
    let (mut one, mut other) = (File::from(OwnedFd::from(one)), File::from(OwnedFd::from(other)));
    one.write_all(b"eleven char")?;
    other.read_exact(&mut [0; 11])?;
    only_version_6()
}

/// Makes a socket of IP version 6 and leaves version 4 to others.
fn only_version_6() -> io::Result<()> {
    let on: libc::c_int = 1;
    let size = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the option lives through the call, and the socket is closed once.
    let failed = unsafe {
        let socket = libc::socket(libc::AF_INET6, libc::SOCK_STREAM, 0);
        let set = libc::setsockopt(socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, (&raw const on).cast(), size);
        libc::close(socket);
        set != 0
    };
    if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
}
