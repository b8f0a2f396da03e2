//! Makes the kernel allocate: `storm [--seconds N | --rounds N] [--workers N]`.
//!
//! Workers called `tpstorm0`, `tpstorm1`, … sit on a CPU each and go round: fork, exec, files, pipes, sockets, threads,
//! mappings. A child that execs is called `tpstorm`, after the link it starts from. With `--rounds` each worker does
//! exactly so many, so two runs cause the same system calls. When `storm` ends, all its processes have ended.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for terminals and pipes")]

use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

/// How long to go on.
#[derive(Clone, Copy)]
enum Limit {
    Rounds(u64),
    Until(Instant),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if arguments.iter().any(|argument| argument == "--leaf") {
        return ExitCode::SUCCESS;
    }
    let limit = match (value("--rounds"), value("--seconds")) {
        (Some(rounds), _) => Limit::Rounds(rounds),
        (None, seconds) => Limit::Until(Instant::now() + Duration::from_secs(seconds.unwrap_or(10))),
    };
    let done = match value("--worker") {
        Some(number) => work(number, limit),
        None => lead(&arguments, value("--workers").unwrap_or(cpus())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("storm: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the workers from a link called `tpstorm` and waits for them.
fn lead(arguments: &[String], workers: u64) -> io::Result<()> {
    let folder = std::env::temp_dir().join(format!("tpstorm-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let link = folder.join("tpstorm");
    symlink(std::env::current_exe()?, &link)?;
    let start = |number: u64| {
        let mut command = Command::new(&link);
        command.args(arguments).args(["--worker", &number.to_string()]).current_dir(&folder).spawn()
    };
    let workers: Vec<_> = (0..workers).map(start).collect::<io::Result<_>>()?;
    let mut well = true;
    for mut worker in workers {
        well &= worker.wait()?.success();
    }
    fs::remove_dir_all(&folder)?;
    if well { Ok(()) } else { Err(io::Error::other("a worker failed")) }
}

/// One worker: rounds until the limit.
fn work(number: u64, limit: Limit) -> io::Result<()> {
    name_and_pin(number)?;
    let link = CString::new(std::env::current_dir()?.join("tpstorm").as_os_str().as_bytes())?;
    let file = PathBuf::from(format!("file{number}"));
    let mut round = 0;
    loop {
        let more = match limit {
            Limit::Rounds(rounds) => round < rounds,
            Limit::Until(end) => Instant::now() < end,
        };
        if !more {
            break;
        }
        files(&file)?;
        pipes()?;
        mapping()?;
        child((round % 4 == 0).then_some(&link))?;
        if round % 8 == 0 {
            // Threads are gone when joined, so the next fork is of a process with one thread again.
            thread::spawn(|| ()).join().expect("an empty thread does not panic");
        }
        round += 1;
    }
    println!("tpstorm{number} rounds {round}");
    Ok(())
}

fn name_and_pin(number: u64) -> io::Result<()> {
    let name = CString::new(format!("tpstorm{number}"))?;
    // SAFETY: the name ends in NUL and outlives the call; the CPU set is initialised by zeroed and CPU_SET.
    let pinned = unsafe {
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET((number % cpus()) as usize, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    if pinned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn files(file: &Path) -> io::Result<()> {
    let other = file.with_extension("new");
    for _ in 0..4 {
        fs::write(file, b"storm")?;
        fs::metadata(file)?;
        fs::rename(file, &other)?;
        fs::read(&other)?;
        fs::remove_file(&other)?;
        // Not there: a negative dentry.
        let _ = fs::metadata(file);
    }
    fs::read_dir("/proc/self/fd")?.for_each(drop);
    fs::read("/proc/self/status").map(drop)
}

fn pipes() -> io::Result<()> {
    let (mut reader, mut writer) = io::pipe()?;
    writer.write_all(b"storm")?;
    reader.read_exact(&mut [0; 5])?;
    let (mut left, mut right) = UnixStream::pair()?;
    filter(&left)?;
    left.write_all(b"storm")?;
    right.read_exact(&mut [0; 5])
}

/// Gives a socket a filter that lets all pass. On every kernel this is a kmalloc() of constant size, `struct sk_filter`
/// of 32 bytes (net/core/filter.c, __sk_attach_prog).
fn filter(socket: &UnixStream) -> io::Result<()> {
    let mut pass = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: u32::MAX };
    let program = libc::sock_fprog { len: 1, filter: &raw mut pass };
    let size = size_of_val(&program) as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
    // SAFETY: the kernel copies the program and its one instruction, which outlive the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const program).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn mapping() -> io::Result<()> {
    const BYTES: usize = 64 << 10;
    // SAFETY: a fresh private mapping, written within its bounds and unmapped before anybody else could see it.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let at = libc::mmap(std::ptr::null_mut(), BYTES, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        for page in (0..BYTES).step_by(4096) {
            at.cast::<u8>().add(page).write(1);
        }
        libc::munmap(at, BYTES);
    }
    Ok(())
}

/// Forks a child that exits at once, or becomes the program behind `exec`.
fn child(exec: Option<&CString>) -> io::Result<()> {
    let arguments = [c"tpstorm".as_ptr(), c"--leaf".as_ptr(), std::ptr::null()];
    // SAFETY: this process has one thread; the child calls nothing but execv and _exit, on memory made before.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: as above.
        unsafe {
            if let Some(path) = exec {
                libc::execv(path.as_ptr(), arguments.as_ptr());
                libc::_exit(1);
            }
            libc::_exit(0);
        }
    }
    let mut status = 0;
    // SAFETY: the status is written to a local.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if waited < 0 {
        return Err(io::Error::last_os_error());
    }
    if status == 0 { Ok(()) } else { Err(io::Error::other(format!("a child ended with {status}"))) }
}

fn cpus() -> u64 {
    thread::available_parallelism().map_or(1, |n| n.get() as u64)
}
