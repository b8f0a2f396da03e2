//! Does what shells do not, each once, as a process called `tpworks`: `works signals`, `works sockets`, `works heap`,
//! `works busy`, `works files FOLDER`, `works dirty FILE`, and `works share FOLDER`.
//!
//! `works busy` is called `tpbusy`.
//!
//! Cases compare what they see with what stands here, and with what it leaves in a file: see `TOLD`.

use std::ffi::{CString, c_int, c_long};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::{env, fs, io, net, ptr};

/// What it was given by the kernel, for scripts to read.
const TOLD: &str = "/tmp/tapster works";

fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let name = if words.first().is_some_and(|word| word == "busy") { c"tpbusy" } else { c"tpworks" };
    // SAFETY: the name lives through the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["signals"] => signals(),
        ["sockets"] => sockets(),
        ["heap"] => heap(),
        ["busy"] => busy(),
        ["share", folder] => share(Path::new(folder)),
        ["dirty", file] => dirty(Path::new(file)),
        ["files", folder] => files(Path::new(folder)),
        _ => Err(io::Error::other("works signals|sockets|heap|busy|files FOLDER|dirty FILE|share FOLDER")),
    }
}

/// Makes a call; gives its result, an error as the kernel gives it.
fn call(number: c_long, args: &[i64]) -> i64 {
    let arg = |nth: usize| args.get(nth).copied().unwrap_or(0);
    // SAFETY: the arguments are numbers, or addresses of what lives in the caller.
    let result = unsafe { libc::syscall(number, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };
    if result == -1 { -i64::from(io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { result }
}

fn wanted(what: &str, result: i64, wanted: i64) -> io::Result<()> {
    if result == wanted { Ok(()) } else { Err(io::Error::other(format!("{what}: {result}, not {wanted}"))) }
}

/// Grows the heap by five pages, and tells where they begin.
fn heap() -> io::Result<()> {
    const MORE: i64 = 5 * 4096;
    let end = call(libc::SYS_brk, &[0]);
    // The kernel counts whole pages.
    let begin = (end + 4095) & !4095;
    wanted("brk", call(libc::SYS_brk, &[begin + MORE]), begin + MORE)?;
    fs::write(TOLD, format!("{begin}\n"))
}

/// Calculates until it has had a CPU for 0.7 s.
fn busy() -> io::Result<()> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    while time.tv_sec == 0 && time.tv_nsec < 700_000_000 {
        (0..100_000).fold(0_u64, |sum, number| std::hint::black_box(sum + number));
        // SAFETY: the time lives here.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    }
    Ok(())
}

extern "C" fn handle(_: c_int) {}

/// Sets handlers, sends itself signals by each call there is, has one pending, one from a timer, and a child that dies as
/// its handler has no stack.
fn signals() -> io::Result<()> {
    let handler = handle as extern "C" fn(c_int) as libc::sighandler_t;
    // SAFETY: the handler does nothing.
    let set = |signal| unsafe { libc::signal(signal, handler) };
    for signal in [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2] {
        set(signal);
    }
    let (pid, tid) = (i64::from(std::process::id()), call(libc::SYS_gettid, &[]));
    wanted("tkill", call(libc::SYS_tkill, &[tid, libc::SIGUSR1.into()]), 0)?;
    wanted("tgkill", call(libc::SYS_tgkill, &[pid, tid, libc::SIGUSR2.into()]), 0)?;
    wanted("kill 0", call(libc::SYS_kill, &[pid, 0]), 0)?;
    wanted("kill 127", call(libc::SYS_kill, &[pid, 0x7f]), -i64::from(libc::EINVAL))?;
    wanted("tkill 127", call(libc::SYS_tkill, &[tid, 0x7f]), -i64::from(libc::EINVAL))?;
    wanted("tgkill 127", call(libc::SYS_tgkill, &[pid, tid, 0x7f]), -i64::from(libc::EINVAL))?;
    // struct sigaction, as the kernel has it: no handler may be set for SIGKILL.
    let action = [handler as i64, 0, 0, 0];
    let set = call(libc::SYS_rt_sigaction, &[libc::SIGKILL.into(), action.as_ptr() as i64, 0, 8]);
    wanted("rt_sigaction", set, -i64::from(libc::EINVAL))?;
    let hangup = [1_i64 << (libc::SIGHUP - 1)];
    let mask = |how: i64| call(libc::SYS_rt_sigprocmask, &[how, hangup.as_ptr() as i64, 0, 8]);
    wanted("rt_sigprocmask 77", mask(77), -i64::from(libc::EINVAL))?;
    wanted("rt_sigprocmask", mask(libc::SIG_BLOCK.into()), 0)?;
    wanted("kill", call(libc::SYS_kill, &[pid, libc::SIGHUP.into()]), 0)?;
    let mut pending = [0_i64];
    wanted("rt_sigpending", call(libc::SYS_rt_sigpending, &[pending.as_mut_ptr() as i64, 8]), 0)?;
    wanted("pending", pending[0], hangup[0])?;
    wanted("rt_sigprocmask", mask(libc::SIG_UNBLOCK.into()), 0)?;
    timer()?;
    die_without_stack()
}

/// A timer sends this, which nobody else uses.
const FROM_TIMER: c_int = 61;

fn timer() -> io::Result<()> {
    // SAFETY: all that is pointed to lives here, and what the kernel is given is zero where nothing else stands.
    let received = unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigaddset(&mut set, FROM_TIMER);
        libc::sigprocmask(libc::SIG_BLOCK, &set, ptr::null_mut());
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = FROM_TIMER;
        let mut timer: libc::timer_t = ptr::null_mut();
        libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer);
        let mut when: libc::itimerspec = std::mem::zeroed();
        when.it_value.tv_nsec = 1_000_000;
        libc::timer_settime(timer, 0, &when, ptr::null_mut());
        let mut signal = 0;
        libc::sigwait(&set, &mut signal);
        libc::timer_delete(timer);
        signal
    };
    wanted("sigwait", received.into(), FROM_TIMER.into())
}

/// A child handles SIGUSR1 on a stack that is no memory: the kernel sends SIGSEGV instead.
fn die_without_stack() -> io::Result<()> {
    let mut status = 0;
    // SAFETY: the child does nothing but calls, and ends; what they are given lives in this frame.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let stack = libc::stack_t { ss_sp: 0x1000 as *mut _, ss_flags: 0, ss_size: 1 << 16 };
            libc::sigaltstack(&stack, ptr::null_mut());
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handle as extern "C" fn(c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(libc::SIGUSR1, &action, ptr::null_mut());
            // Rust handles it, on the same stack.
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            libc::raise(libc::SIGUSR1);
            libc::_exit(0);
        }
        libc::waitpid(child, &mut status, 0);
    }
    wanted("the child", (status & 0x7f).into(), libc::SIGSEGV.into())
}

/// Sends six bytes over UDP from a socket that is connected, then is no more; so is one of TCP.
fn sockets() -> io::Result<()> {
    let to = net::UdpSocket::bind("127.0.0.2:17466")?;
    let from = net::UdpSocket::bind("127.0.0.3:17467")?;
    from.connect("127.0.0.2:17466")?;
    from.send(b"packet")?;
    wanted("recv", to.recv(&mut [0; 100])? as i64, 6)?;
    to.set_nonblocking(true)?;
    wanted("recv", call(libc::SYS_recvfrom, &[to.as_raw_fd().into(), 0, 0, 0, 0, 0]), -i64::from(libc::EAGAIN))?;
    disconnect(from.as_raw_fd())?;
    let listener = net::TcpListener::bind("127.0.0.2:17468")?;
    let connection = net::TcpStream::connect("127.0.0.2:17468")?;
    disconnect(connection.as_raw_fd())?;
    drop(listener);
    route_groups()
}

/// Routes packets to groups, for a moment: the kernel makes a device `pimreg` for that, opens it, and takes it away.
fn route_groups() -> io::Result<()> {
    // include/uapi/linux/mroute.h: MRT_INIT, MRT_DONE, MRT_ADD_VIF with VIFF_REGISTER.
    let (begin, end, add, on) = (200_i64, 201_i64, 202_i64, [1_i32]);
    // struct vifctl
    let device: [u8; 16] = [0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (raw, group) = (i64::from(libc::SOCK_RAW), i64::from(libc::IPPROTO_IGMP));
    let socket = call(libc::SYS_socket, &[libc::AF_INET.into(), raw, group]);
    let set = |what: i64, value: i64, size: i64| call(libc::SYS_setsockopt, &[socket, 0, what, value, size]);
    wanted("MRT_INIT", set(begin, on.as_ptr() as i64, 4), 0)?;
    wanted("MRT_ADD_VIF", set(add, device.as_ptr() as i64, 16), 0)?;
    wanted("MRT_DONE", set(end, on.as_ptr() as i64, 4), 0)?;
    wanted("close", call(libc::SYS_close, &[socket]), 0)
}

/// Connects to an address of no family.
fn disconnect(socket: c_int) -> io::Result<()> {
    let address = [0_u8; 16];
    wanted("connect", call(libc::SYS_connect, &[socket.into(), address.as_ptr() as i64, 16]), 0)
}

/// Writes a file, splices it, maps it, and opens one that is not there.
fn files(folder: &Path) -> io::Result<()> {
    let path = folder.join("spliced");
    let name = CString::new(path.to_string_lossy().into_owned())?;
    let at = |path: &CString| path.as_ptr() as i64;
    let (cwd, flags) = (i64::from(libc::AT_FDCWD), libc::O_RDWR | libc::O_CREAT | libc::O_EXCL);
    let file = call(libc::SYS_openat, &[cwd, at(&name), flags.into(), 0o640]);
    let text = [b'x'; 5000];
    wanted("pwrite", call(libc::SYS_pwrite64, &[file, text.as_ptr() as i64, 5000, 0]), 5000)?;
    let mut pipe: [c_int; 2] = [0; 2];
    wanted("pipe", call(libc::SYS_pipe2, &[pipe.as_mut_ptr() as i64, 0]), 0)?;
    let (mut from, mut to) = ([100_i64], [6000_i64]);
    let splice = |args: [i64; 6]| call(libc::SYS_splice, &args);
    wanted("splice", splice([file, from.as_mut_ptr() as i64, pipe[1].into(), 0, 700, 0]), 700)?;
    wanted("splice", splice([pipe[0].into(), 0, file, to.as_mut_ptr() as i64, 700, 0]), 700)?;
    let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
    let place = call(libc::SYS_mmap, &[0, 8192, read.into(), shared.into(), file, 0]);
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path)?);
    fs::write(TOLD, format!("{inode}\n{place}\n"))?;
    wanted("fsync", call(libc::SYS_fsync, &[file]), 0)?;
    wanted("munmap", call(libc::SYS_munmap, &[place, 8192]), 0)?;
    wanted("close", call(libc::SYS_close, &[file]), 0)
}

/// Writes to the first two pages of a file in place.
fn dirty(file: &Path) -> io::Result<()> {
    let file = fs::File::options().read(true).write(true).open(file)?;
    let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    let place = call(libc::SYS_mmap, &[0, 8192, access.into(), shared.into(), file.as_raw_fd().into(), 0]);
    for page in 0..2 {
        // SAFETY: the pages were mapped above.
        unsafe { ((place + page * 4096) as *mut u8).write_volatile(1) };
    }
    wanted("munmap", call(libc::SYS_munmap, &[place, 8192]), 0)?;
    file.sync_all()
}

/// Does to a folder of another machine what one does to files: makes, writes in pieces, reads, maps, locks, renames and
/// removes.
fn share(folder: &Path) -> io::Result<()> {
    env::set_current_dir(folder)?;
    let name = |name: &str| CString::new(name).expect("no NUL");
    let (made, moved, new, missing, inner) =
        (name("made"), name("moved"), name("new"), name("no-such-name"), name("inner"));
    let at = |name: &CString| name.as_ptr() as i64;
    let cwd = i64::from(libc::AT_FDCWD);
    let open = |name: &CString, flags: c_int| call(libc::SYS_openat, &[cwd, at(name), flags.into(), 0o640]);
    wanted("mkdir", call(libc::SYS_mkdirat, &[cwd, at(&inner), 0o750]), 0)?;
    wanted("mknod", call(libc::SYS_mknodat, &[cwd, at(&made), (libc::S_IFREG | 0o600).into(), 0]), 0)?;
    let file = open(&new, libc::O_RDWR | libc::O_CREAT);
    let mut text = [b'x'; 10_000];
    let bytes = text.as_mut_ptr() as i64;
    wanted("pwrite", call(libc::SYS_pwrite64, &[file, bytes, 10_000, 0]), 10_000)?;
    wanted("fsync", call(libc::SYS_fsync, &[file]), 0)?;
    fs::write(TOLD, std::os::unix::fs::MetadataExt::ino(&fs::metadata("new")?).to_string())?;
    let own = |entry: &fs::DirEntry| ["inner", "made", "new"].iter().any(|name| entry.file_name() == *name);
    wanted("entries", fs::read_dir(".")?.flatten().filter(own).count() as i64, 3)?;
    wanted("lseek", call(libc::SYS_lseek, &[file, 3, libc::SEEK_SET.into()]), 3)?;
    lock(file)?;
    wanted("F_SETFL", call(libc::SYS_fcntl, &[file, libc::F_SETFL.into(), libc::O_APPEND.into()]), 0)?;
    wanted("F_SETFL", call(libc::SYS_fcntl, &[file, libc::F_SETFL.into(), 0]), 0)?;
    let forget = || call(libc::SYS_fadvise64, &[file, 0, 0, libc::POSIX_FADV_DONTNEED.into()]);
    wanted("fadvise", forget(), 0)?;
    wanted("pread", call(libc::SYS_pread64, &[file, bytes, 100, 5]), 100)?;
    wanted("fadvise", forget(), 0)?;
    // Parts of pages that are not in memory: the rest of each is read first. Sent, but not to be kept yet.
    for place in [5000, 100] {
        wanted("pwrite", call(libc::SYS_pwrite64, &[file, bytes, 10, place]), 10)?;
    }
    let (before, write, after) = (1, 2, 4);
    wanted("sync_file_range", call(libc::SYS_sync_file_range, &[file, 0, 0, before | write | after]), 0)?;
    wanted("fadvise", forget(), 0)?;
    let place = call(libc::SYS_mmap, &[0, 4096, libc::PROT_READ.into(), libc::MAP_SHARED.into(), file, 0]);
    // SAFETY: the page was mapped above.
    wanted("page", unsafe { (place as *const u8).read_volatile() }.into(), b'x'.into())?;
    wanted("munmap", call(libc::SYS_munmap, &[place, 4096]), 0)?;
    wanted("close", call(libc::SYS_close, &[file]), 0)?;
    wanted("access", call(libc::SYS_faccessat, &[cwd, at(&missing), 0]), -i64::from(libc::ENOENT))?;
    wanted("open", open(&new, libc::O_RDWR | libc::O_APPEND | libc::O_DIRECT), -i64::from(libc::EINVAL))?;
    wanted("rename", call(libc::SYS_renameat2, &[cwd, at(&made), cwd, at(&moved), 0]), 0)?;
    wanted("unlink", call(libc::SYS_unlinkat, &[cwd, at(&moved), 0]), 0)?;
    wanted("unlink", call(libc::SYS_unlinkat, &[cwd, at(&new), 0]), 0)?;
    wanted("rmdir", call(libc::SYS_unlinkat, &[cwd, at(&inner), libc::AT_REMOVEDIR.into()]), 0)
}

/// Locks ten bytes from the fifth on, and lets them go.
fn lock(file: i64) -> io::Result<()> {
    for kind in [libc::F_WRLCK, libc::F_UNLCK] {
        let kind = i16::try_from(kind).expect("a small number");
        let lock = libc::flock { l_type: kind, l_whence: 0, l_start: 5, l_len: 10, l_pid: 0 };
        wanted("F_SETLK", call(libc::SYS_fcntl, &[file, libc::F_SETLK.into(), (&raw const lock) as i64]), 0)?;
    }
    Ok(())
}
