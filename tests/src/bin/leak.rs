//! Keeps objects of the kernel, or only takes and gives them back: `leak keep|churn ITEMS SECONDS [KIND]`.
//!
//! `keep` makes so many and holds them, `churn` makes and removes one so often, and waits until the kernel has freed what
//! it frees a moment later; both then say `kept` on standard error and stay for so many seconds. Kinds: `epoll` (items of one epoll instance, the default), `pipes` (kept with a byte in each),
//! `keys` (in the keyring of the process); only to be kept: `files` (made in the current folder, closed and opened again),
//! `scattered` (so many MiB of pages that nobody can move, every other one given back; then tables of 20 KiB, which take
//! eight pages in a row, until there is no room for one; the kernel is asked to kill this process before any other); only to be churned: `packets` (sent through the loopback device and received), `connections` (to port 9 of this machine,
//! where nobody listens), `unheard` (connections to somebody who hears nothing).
#![expect(clippy::print_stderr, reason = "a program for terminals and pipes")]

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::ExitCode;
use std::thread::{self, sleep};
use std::time::Duration;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |nth: usize| arguments.get(nth).and_then(|text| text.parse::<u64>().ok());
    let (Some(how), Some(items), Some(seconds)) = (arguments.first(), number(1), number(2)) else {
        eprintln!(
            "usage: leak keep|churn ITEMS SECONDS [epoll|pipes|keys|files|scattered|packets|connections|unheard]"
        );
        return ExitCode::FAILURE;
    };
    let kind = arguments.get(3).map_or("epoll", String::as_str);
    let stay = || {
        eprintln!("kept");
        sleep(Duration::from_secs(seconds));
    };
    let done = match (how.as_str(), kind) {
        ("keep", "epoll") => keep_items(items).map(|_held| stay()),
        ("keep", "pipes") => keep_pipes(items).map(|_held| stay()),
        ("keep", "keys") => keep_keys(items).map(|()| stay()),
        ("keep", "files") => keep_files(items).map(|_held| stay()),
        ("keep", "scattered") => keep_scattered(items).map(|_held| stay()),
        ("churn", "epoll") => churn_items(items).and_then(|()| settle()).map(|()| stay()),
        ("churn", "pipes") => {
            (0..items).try_for_each(|_| io::pipe().map(drop)).and_then(|()| settle()).map(|()| stay())
        }
        ("churn", "connections") => {
            (0..items).for_each(|_| drop(TcpStream::connect("127.0.0.1:9")));
            stay();
            Ok(())
        }
        ("churn", "unheard") => unheard(items).map(|_waiting| stay()),
        ("churn", "packets") => churn_packets(items).and_then(|()| settle()).map(|()| stay()),
        _ => Err(io::Error::other(format!("cannot {how} {kind}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn keep_items(items: u64) -> io::Result<Vec<OwnedFd>> {
    raise_limit(items + 64)?;
    let epoll = epoll()?;
    let watched = eventfd()?;
    // One file, so many descriptors of it: an item is by descriptor.
    let mut held = (0..items).map(|_| watched.try_clone()).collect::<io::Result<Vec<OwnedFd>>>()?;
    held.iter().try_for_each(|copy| control(&epoll, libc::EPOLL_CTL_ADD, copy))?;
    held.push(epoll);
    Ok(held)
}

fn keep_pipes(pipes: u64) -> io::Result<Vec<(io::PipeReader, io::PipeWriter)>> {
    raise_limit(2 * pipes + 64)?;
    let filled = |_| {
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(b"x").map(|()| (reader, writer))
    };
    (0..pipes).map(filled).collect()
}

/// They go with the process.
fn keep_keys(keys: u64) -> io::Result<()> {
    for key in 0..keys {
        let name = CString::new(format!("tapster-{key}"))?;
        let kind = c"user";
        // SAFETY: both names end with NUL, the payload has the length that is said.
        let id = unsafe {
            libc::syscall(
                libc::SYS_add_key,
                kind.as_ptr(),
                name.as_ptr(),
                name.as_ptr(),
                name.as_bytes().len(),
                libc::KEY_SPEC_PROCESS_KEYRING,
            )
        };
        if id < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Closed first: it is then that the kernel puts a name on the list of those that it may forget.
fn keep_files(files: u64) -> io::Result<Vec<File>> {
    raise_limit(files + 64)?;
    let name = |file| format!("f{file}");
    (0..files).try_for_each(|file| File::create(name(file)).map(drop))?;
    (0..files).map(|file| File::open(name(file))).collect()
}

/// A pipe has a table of its buffers in one piece, 40 bytes each, and takes a page for each when it is written to.
fn keep_scattered(mib: u64) -> io::Result<Vec<(io::PipeReader, io::PipeWriter)>> {
    fs::write("/proc/self/oom_score_adj", "1000")?;
    raise_limit(200_000)?;
    let wide = |pages: i32| {
        let pipe = io::pipe()?;
        // SAFETY: takes numbers only; the pipe is open.
        checked(unsafe { libc::fcntl(pipe.1.as_raw_fd(), libc::F_SETPIPE_SZ, pages << 12) }).map(|_| pipe)
    };
    let (mut held, mut given_back) = (vec![], vec![]);
    for _ in 0..mib / 2 {
        let mut pair = [wide(256)?, wide(256)?];
        for _ in 0..256 {
            pair.iter_mut().try_for_each(|(_, writer)| writer.write_all(&[7; 4096]))?;
        }
        let [kept, given] = pair;
        held.push(kept);
        given_back.push(given);
    }
    drop(given_back);
    eprintln!("scattered");
    loop {
        held.push(wide(512)?);
    }
}

fn churn_items(items: u64) -> io::Result<()> {
    let epoll = epoll()?;
    let watched = eventfd()?;
    for _ in 0..items {
        control(&epoll, libc::EPOLL_CTL_ADD, &watched)?;
        control(&epoll, libc::EPOLL_CTL_DEL, &watched)?;
    }
    Ok(())
}

/// Until the objects of all caches become fewer no more; what others make meanwhile ends the wait a little early.
fn settle() -> io::Result<()> {
    let mut before = u64::MAX;
    for _ in 0..30 {
        let text = fs::read_to_string("/proc/slabinfo")?;
        let active = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
        let now = text.lines().skip(2).filter_map(active).sum();
        if now + 50 > before {
            break;
        }
        before = now;
        sleep(Duration::from_secs(1));
    }
    Ok(())
}

fn churn_packets(packets: u64) -> io::Result<()> {
    let (from, to) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    let mut packet = [7; 700];
    for _ in 0..packets {
        from.send_to(&packet, to.local_addr()?)?;
        to.recv(&mut packet)?;
    }
    Ok(())
}

/// Connections to somebody who hears nothing: what comes in is thrown away before it is a connection.
fn unheard(connections: u64) -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut keep_nothing = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let filter = libc::sock_fprog { len: 1, filter: &raw mut keep_nothing };
    let (level, name, size) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, size_of_val(&filter) as u32);
    // SAFETY: the filter and its instruction outlive the call; the socket is open.
    checked(unsafe { libc::setsockopt(listener.as_raw_fd(), level, name, (&raw const filter).cast(), size) })?;
    let address = listener.local_addr()?;
    // Their threads end with the program.
    (0..connections).for_each(|_| {
        drop(thread::spawn(move || TcpStream::connect(address).map(|held| (held, sleep(Duration::MAX)))))
    });
    Ok(listener)
}

fn raise_limit(files: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: files, rlim_max: files };
    // SAFETY: the limit is valid for the call.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }).map(drop)
}

fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: it is new, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
    // SAFETY: it is new, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn control(epoll: &OwnedFd, operation: i32, fd: &OwnedFd) -> io::Result<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
    let fd: BorrowedFd = std::os::fd::AsFd::as_fd(fd);
    // SAFETY: both descriptors are open, the event is valid for the call.
    checked(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event) }).map(drop)
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
