//! Makes system calls whose arguments are known, each once, in this order, as a process called `tpcaller`.
//!
//! Cases compare what they see with what stands here. A call that fails is one that shall fail.

use std::ffi::{CString, c_long};
use std::{fs, io};

/// A string in memory that has been written to: it can be read at any moment.
fn text(text: &str) -> CString {
    CString::new(text.to_owned()).expect("no NUL")
}

/// Makes a call; gives its result, an error as the kernel gives it.
fn call(number: c_long, args: &[i64]) -> i64 {
    let arg = |nth: usize| args.get(nth).copied().unwrap_or(0);
    // SAFETY: the arguments are numbers, or addresses of what lives until `main` ends.
    let result = unsafe { libc::syscall(number, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };
    if result == -1 { -i64::from(io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { result }
}

/// Sends itself SIGUSR2, and handles it.
fn signal_itself() {
    extern "C" fn handle(_: libc::c_int) {}
    // SAFETY: the handler does nothing.
    unsafe { libc::signal(libc::SIGUSR2, handle as extern "C" fn(libc::c_int) as libc::sighandler_t) };
    call(libc::SYS_kill, &[std::process::id().into(), libc::SIGUSR2.into()]);
}

/// Maps four pages at a known address, writes to each, and unmaps them.
fn write_pages() {
    const PLACE: i64 = 0x1_0000_0000;
    const PAGE: i64 = 4096;
    let (write, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let fixed = private | libc::MAP_FIXED_NOREPLACE;
    let place = call(libc::SYS_mmap, &[PLACE, 4 * PAGE, write.into(), fixed.into(), -1, 0]);
    assert_eq!(place, PLACE, "nothing else lies there");
    for page in 0..4 {
        // SAFETY: the page was mapped above.
        unsafe { ((place + page * PAGE) as *mut u8).write_volatile(1) };
    }
    call(libc::SYS_munmap, &[place, 4 * PAGE]);
}

/// Makes a process that ends with status 7, and waits for it.
fn make_child() {
    // SAFETY: the child does nothing but end.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: ends the process.
        unsafe { libc::_exit(7) };
    }
    call(libc::SYS_wait4, &[child.into(), 0, 0, 0]);
}

fn main() {
    let name = text("tpcaller");
    // SAFETY: the name lives through the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    let folder = std::env::temp_dir().join("tapster caller");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir(&folder).expect("a folder for temporary files");
    let path = |name: &str| text(&folder.join(name).display().to_string());
    let (old, new, missing) = (path("old \"one\"\t"), path("new"), path("missing"));
    let data = text("hello\nworld");
    let at = |text: &CString| text.as_ptr() as i64;
    let cwd = i64::from(libc::AT_FDCWD);
    let open = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
    let file = call(libc::SYS_openat, &[cwd, at(&old), open.into(), 0o640]);
    call(libc::SYS_write, &[file, at(&data), 6]);
    call(libc::SYS_lseek, &[file, -2, libc::SEEK_END.into()]);
    call(libc::SYS_ftruncate, &[file, 3]);
    call(libc::SYS_fchmod, &[file, 0o604]);
    call(libc::SYS_renameat2, &[cwd, at(&old), cwd, at(&new), libc::RENAME_NOREPLACE.into()]);
    call(libc::SYS_openat, &[cwd, at(&missing), libc::O_RDONLY.into(), 0]);
    call(libc::SYS_openat, &[cwd, 8, libc::O_RDONLY.into(), 0]);
    call(libc::SYS_unlinkat, &[cwd, at(&new), 0]);
    call(libc::SYS_close, &[999]);
    let socket = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    let socket = call(libc::SYS_socket, &[libc::AF_INET.into(), socket.into(), 0]);
    let address: [u8; 16] = [2, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    call(libc::SYS_connect, &[socket, address.as_ptr() as i64, 16]);
    let datagram = text("a datagram");
    call(libc::SYS_sendto, &[socket, at(&datagram), 10, 0, 0, 0]);
    let pause = [0_i64, 1_500_000];
    call(libc::SYS_nanosleep, &[pause.as_ptr() as i64, 0]);
    let (read, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let memory = call(libc::SYS_mmap, &[0, 8192, read.into(), private.into(), -1, 0]);
    call(libc::SYS_madvise, &[memory, 4096, libc::MADV_DONTNEED.into()]);
    call(libc::SYS_kill, &[0, 0x7f]);
    call(libc::SYS_getppid, &[]);
    signal_itself();
    write_pages();
    make_child();
    let (program, first, second) = (text("/no such program"), text("no such"), text("pro\"gram"));
    let args = [at(&program), at(&first), at(&second), 0];
    call(libc::SYS_execve, &[at(&program), args.as_ptr() as i64, 0]);
    drop(fs::remove_dir_all(&folder));
}
