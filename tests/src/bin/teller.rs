//! Makes system calls that fail or do no harm, as a process called `tpteller`, and prints each as SystemTap tells of it:
//! its name, and its arguments as one text.
//!
//! Texts are written by hand, from the flags and numbers passed; names of flags are those of the C library, which strace
//! has as well. A descriptor is 999, a process 999999, a path one that is not there.

#![expect(clippy::print_stdout, reason = "for people; cases read a file")]

use std::ffi::{CString, c_long};
use std::{env, fmt};

const FD: i64 = 999;
const PID: i64 = 999_999;
const PATH: &str = "/proc/none/tp";

/// What was made so far.
struct Teller(Vec<String>);

impl Teller {
    fn call(&mut self, number: c_long, args: &[i64], told: impl fmt::Display) {
        let arg = |nth: usize| args.get(nth).copied().unwrap_or(0);
        // SAFETY: addresses among the arguments are of what lives until the call is over, or of nothing.
        unsafe { libc::syscall(number, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)) };
        self.0.push(told.to_string());
    }

    fn of_files(&mut self, path: &CString) {
        let at = path.as_ptr() as i64;
        let cwd = i64::from(libc::AT_FDCWD);
        let data = *b"some data\n";
        let text = data.as_ptr() as i64;
        self.call(libc::SYS_read, &[FD, 8, 10], "read(999, 0x8, 10)");
        self.call(libc::SYS_write, &[FD, text, 10], r#"write(999, "some data\n", 10)"#);
        self.call(libc::SYS_write, &[FD, text, 4], r#"write(999, "some", 4)"#);
        self.call(libc::SYS_pread64, &[FD, 8, 10, -5], "pread(999, 0x8, 10, -5)");
        self.call(libc::SYS_pwrite64, &[FD, text, 4, 7], r#"pwrite(999, "some", 4, 7)"#);
        self.call(libc::SYS_readv, &[FD, 8, 2], "readv(999, 0x8, 2)");
        self.call(libc::SYS_preadv, &[FD, 8, 1, 16], "preadv(999, 0x8, 1, 0x10)");
        let flags = libc::O_WRONLY | libc::O_APPEND;
        self.call(
            libc::SYS_openat,
            &[cwd, at, flags.into(), 0o777],
            format!("openat(AT_FDCWD, \"{PATH}\", O_WRONLY|O_APPEND)"),
        );
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        let told = format!("openat(-7, \"{PATH}\", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600)");
        self.call(libc::SYS_openat, &[-7, at, flags.into(), 0o600], told);
        self.call(libc::SYS_lseek, &[FD, 5, libc::SEEK_CUR.into()], "lseek(999, 5, SEEK_CUR)");
        self.call(libc::SYS_ioctl, &[FD, 5, 7], "ioctl(999, 5, 0x7)");
        self.call(libc::SYS_fcntl, &[FD, libc::F_SETFD.into(), 1], "fcntl(999, F_SETFD, 0x1)");
        let lock = libc::LOCK_EX | libc::LOCK_NB;
        self.call(libc::SYS_flock, &[FD, lock.into()], "flock(999, LOCK_EX|LOCK_NB)");
        self.call(libc::SYS_truncate, &[at, 5], format!("truncate(\"{PATH}\", 5)"));
        self.call(
            libc::SYS_fallocate,
            &[FD, libc::FALLOC_FL_KEEP_SIZE.into(), 16, 7],
            "fallocate(999, FALLOC_FL_KEEP_SIZE, 0x10, 7)",
        );
        self.call(
            libc::SYS_fadvise64,
            &[FD, 1, 2, libc::POSIX_FADV_WILLNEED.into()],
            "fadvise64(999, 1, 2, POSIX_FADV_WILLNEED)",
        );
        self.call(libc::SYS_dup3, &[FD, 5, libc::O_CLOEXEC.into()], "dup3(999, 5, O_CLOEXEC)");
        self.call(libc::SYS_mkdirat, &[cwd, at, 0o755], format!("mkdirat(AT_FDCWD, \"{PATH}\", 0755)"));
        let mode = libc::S_IFIFO | 0o600;
        self.call(
            libc::SYS_mknodat,
            &[cwd, at, mode.into(), 0],
            format!("mknodat(AT_FDCWD, \"{PATH}\", S_IFIFO|0600, 0)"),
        );
        let nofollow = i64::from(libc::AT_SYMLINK_NOFOLLOW);
        let told = format!("fchownat(AT_FDCWD, \"{PATH}\", 1, -1, AT_SYMLINK_NOFOLLOW)");
        self.call(libc::SYS_fchownat, &[cwd, at, 1, -1, nofollow], told);
        self.call(
            libc::SYS_newfstatat,
            &[cwd, at, 8, nofollow],
            format!("fstatat(AT_FDCWD, \"{PATH}\", 0x8, AT_SYMLINK_NOFOLLOW)"),
        );
        let told = format!("linkat(AT_FDCWD, \"{PATH}\", 5, \"{PATH}\", AT_SYMLINK_FOLLOW)");
        self.call(libc::SYS_linkat, &[cwd, at, 5, at, libc::AT_SYMLINK_FOLLOW.into()], told);
        self.call(libc::SYS_symlinkat, &[at, cwd, at], format!("symlinkat(\"{PATH}\", AT_FDCWD, \"{PATH}\")"));
        self.call(libc::SYS_readlinkat, &[cwd, at, 8, 16], format!("readlinkat(AT_FDCWD, \"{PATH}\", 0x8, 16)"));
        self.call(libc::SYS_fchmodat, &[cwd, at, 0o4755], format!("fchmodat(AT_FDCWD, \"{PATH}\", 04755)"));
        self.call(libc::SYS_faccessat, &[cwd, at, 3], format!("faccessat(AT_FDCWD, \"{PATH}\", W_OK|X_OK)"));
        let mask = libc::STATX_SIZE | libc::STATX_INO;
        let told = format!("statx(AT_FDCWD, \"{PATH}\", AT_SYMLINK_NOFOLLOW, STATX_INO|STATX_SIZE, 0x8)");
        self.call(libc::SYS_statx, &[cwd, at, nofollow, mask.into(), 8], told);
        let value = c"value".as_ptr() as i64;
        let name = CString::new("user.name".to_owned()).expect("no NUL");
        let told = format!("setxattr(\"{PATH}\", \"user.name\", \"value\", 5, XATTR_CREATE)");
        self.call(libc::SYS_setxattr, &[at, name.as_ptr() as i64, value, 5, 1], told);
        self.call(
            libc::SYS_getxattr,
            &[at, name.as_ptr() as i64, 8, 5],
            format!("getxattr(\"{PATH}\", \"user.name\", 0x8, 5)"),
        );
        let flags = libc::SPLICE_F_MOVE | libc::SPLICE_F_MORE;
        self.call(
            libc::SYS_splice,
            &[FD, 0, 998, 0, 7, flags.into()],
            "splice(999, 0x0, 998, 0x0, 7, SPLICE_F_MOVE|SPLICE_F_MORE)",
        );
        self.call(libc::SYS_sendfile, &[FD, 998, 0, 7], "sendfile(999, 998, 0x0, 7)");
        self.call(libc::SYS_copy_file_range, &[FD, 0, 998, 0, 5, 0], "copy_file_range(999, 0x0, 998, 0x0, 5, 0x0)");
        self.call(libc::SYS_sync_file_range, &[FD, 0, 5, 2], "sync_file_range(999, 0, 5, SYNC_FILE_RANGE_WRITE)");
        let mask = libc::IN_MODIFY | libc::IN_CREATE;
        self.call(
            libc::SYS_inotify_add_watch,
            &[FD, at, mask.into()],
            format!("inotify_add_watch(999, \"{PATH}\", IN_MODIFY|IN_CREATE)"),
        );
        let mask = (libc::FAN_MODIFY | libc::FAN_OPEN) as i64;
        let told = format!("fanotify_mark(999, FAN_MARK_ADD, FAN_MODIFY|FAN_OPEN, AT_FDCWD, \"{PATH}\")");
        self.call(libc::SYS_fanotify_mark, &[FD, libc::FAN_MARK_ADD.into(), mask, cwd, at], told);
        let (source, kind, options) = (c"source".to_owned(), c"tmpfs".to_owned(), c"size=1".to_owned());
        let flags = libc::MS_RDONLY | libc::MS_NOSUID;
        let told = format!("mount(\"source\", \"{PATH}\", \"tmpfs\", MS_RDONLY|MS_NOSUID, \"size=1\")");
        let args = [source.as_ptr() as i64, at, kind.as_ptr() as i64, flags as i64, options.as_ptr() as i64];
        self.call(libc::SYS_mount, &args, told);
        self.call(libc::SYS_umount2, &[at, libc::MNT_DETACH.into()], format!("umount(\"{PATH}\", MNT_DETACH)"));
        let pipe = [7_i32, 8];
        let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
        self.call(libc::SYS_pipe2, &[pipe.as_ptr() as i64, flags.into()], "pipe2([7, 8], O_NONBLOCK|O_CLOEXEC)");
    }

    fn of_memory(&mut self) {
        self.call(libc::SYS_mprotect, &[1, 4096, 5], "mprotect(0x1, 4096, PROT_READ|PROT_EXEC)");
        self.call(libc::SYS_munmap, &[1, 4096], "munmap(0x1, 4096)");
        self.call(libc::SYS_msync, &[1, 4096, libc::MS_ASYNC.into()], "msync(0x1, 4096, MS_ASYNC)");
        self.call(libc::SYS_mremap, &[1, 4096, 8192, 1, 0], "mremap(0x1, 4096, 8192, MREMAP_MAYMOVE, 0x0)");
        self.call(libc::SYS_madvise, &[1, 4096, libc::MADV_WILLNEED.into()], "madvise(0x1, 4096, MADV_WILLNEED)");
        self.call(libc::SYS_mlockall, &[4], "mlockall(MCL_ONFAULT)");
        self.call(libc::SYS_get_mempolicy, &[0, 0, 0, 8, 1], "get_mempolicy(0x0, 0x0, 0, 0x8, MPOL_F_NODE)");
        self.call(
            libc::SYS_mbind,
            &[1, 4096, 2, 0, 0, 3],
            "mbind(0x1, 4096, MPOL_BIND, 0x0, 0, MPOL_MF_STRICT|MPOL_MF_MOVE)",
        );
        self.call(libc::SYS_pkey_alloc, &[1, 2], "pkey_alloc(1, PKEY_DISABLE_WRITE)");
        self.call(libc::SYS_shmget, &[77, 0, 0o2640], "shmget(77, 0, IPC_EXCL|0640)");
        self.call(libc::SYS_shmctl, &[-1, 2, 8], "shmctl(-1, IPC_STAT, 0x8)");
        self.call(libc::SYS_shmat, &[-1, 0, 0o10000], "shmat(-1, 0x0, SHM_RDONLY)");
        self.call(libc::SYS_semctl, &[-1, 2, 12, 8], "semctl(-1, 2, GETVAL, 0x8)");
        self.call(libc::SYS_msgctl, &[-1, 0, 8], "msgctl(-1, IPC_RMID, 0x8)");
        self.call(libc::SYS_process_vm_readv, &[PID, 8, 1, 16, 1, 0], "process_vm_readv(999999, 0x8, 1, 0x10, 1, 0)");
    }

    fn of_sockets(&mut self) {
        let (family, kind) = (libc::AF_INET.into(), i64::from(libc::SOCK_STREAM | libc::SOCK_NONBLOCK));
        self.call(libc::SYS_socket, &[family, kind, 6], "socket(PF_INET, SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP)");
        let kind = libc::SOCK_DGRAM.into();
        self.call(
            libc::SYS_socketpair,
            &[libc::AF_UNIX.into(), kind, 0, 8],
            "socketpair(PF_LOCAL, SOCK_DGRAM, 0, 0x8)",
        );
        // SAFETY: zeros are an address of no family.
        let mut unix: libc::sockaddr_un = unsafe { core::mem::zeroed() };
        unix.sun_family = libc::AF_UNIX as u16;
        unix.sun_path.iter_mut().zip(b"/nonexistent/s").for_each(|(to, from)| *to = *from as core::ffi::c_char);
        let address = &raw const unix as i64;
        self.call(libc::SYS_connect, &[FD, address, 110], r#"connect(999, {AF_UNIX, "/nonexistent/s"}, 110)"#);
        let bytes = [2_u8, 0, 0, 80, 10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0];
        self.call(libc::SYS_bind, &[FD, bytes.as_ptr() as i64, 16], "bind(999, {AF_INET, 10.1.2.3, 80}, 16)");
        let bytes = [16_u8, 0, 0, 0, 9, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0];
        self.call(
            libc::SYS_bind,
            &[FD, bytes.as_ptr() as i64, 12],
            "bind(999, {AF_NETLINK, pid=9, groups=00000201}, 12)",
        );
        self.call(libc::SYS_accept4, &[FD, 0, 0, libc::SOCK_CLOEXEC.into()], "accept4(999, 0x0, 0x0, SOCK_CLOEXEC)");
        self.call(libc::SYS_listen, &[FD, 5], "listen(999, 5)");
        let data = *b"some data";
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let told = r#"sendto(999, "some data", 9, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0)"#;
        self.call(libc::SYS_sendto, &[FD, data.as_ptr() as i64, 9, flags.into(), 0, 0], told);
        self.call(
            libc::SYS_recvfrom,
            &[FD, 8, 4, libc::MSG_PEEK.into(), 0, 0],
            "recvfrom(999, 0x8, 4, MSG_PEEK, 0x0, 0x0)",
        );
        self.call(libc::SYS_recvmsg, &[FD, 8, libc::MSG_TRUNC.into()], "recvmsg(999, 0x8, MSG_TRUNC)");
        let (level, option) = (libc::SOL_SOCKET.into(), libc::SO_REUSEADDR.into());
        self.call(
            libc::SYS_setsockopt,
            &[FD, level, option, 8, 4],
            "setsockopt(999, SOL_SOCKET, SO_REUSEADDR, 0x8, 4)",
        );
        let (level, option) = (libc::SOL_TCP.into(), libc::TCP_NODELAY.into());
        self.call(
            libc::SYS_getsockopt,
            &[FD, level, option, 8, 16],
            "getsockopt(999, SOL_TCP, TCP_NODELAY, 0x8, 0x10)",
        );
        self.call(libc::SYS_shutdown, &[FD, libc::SHUT_WR.into()], "shutdown(999, SHUT_WR)");
    }

    fn of_processes(&mut self) {
        let flags = libc::WNOHANG | libc::WUNTRACED;
        self.call(libc::SYS_wait4, &[PID, 0, flags.into(), 0], "wait4(999999, 0x0, WNOHANG|WUNTRACED, 0x0)");
        let flags = libc::WNOHANG | libc::WEXITED;
        self.call(libc::SYS_waitid, &[1, PID, 0, flags.into(), 0], "waitid(P_PID, 999999, 0x0, WNOHANG|WEXITED, 0x0)");
        self.call(libc::SYS_kill, &[PID, 10], "kill(999999, SIGUSR1)");
        self.call(libc::SYS_tgkill, &[PID, PID, 12], "tgkill(999999, 999999, SIGUSR2)");
        let signal = [10_i64, 0xffff_ffff, 6 << 32 | 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let told = "rt_sigqueueinfo(999999, SIGUSR1, {si_signo=SIGUSR1, si_code=SI_QUEUE, si_pid=5, si_uid=6})";
        self.call(libc::SYS_rt_sigqueueinfo, &[PID, 10, signal.as_ptr() as i64], told);
        let action = [0x1234_i64, 0x1400_0000, 0x5678, 3];
        let told = "rt_sigaction(SIGUSR1, {0x1234, SA_RESTART|SA_RESTORER, 0x5678, [SIGHUP|SIGINT]}, 0x0, 8)";
        self.call(libc::SYS_rt_sigaction, &[10, action.as_ptr() as i64, 0, 8], told);
        let ignored = [1_i64, 0, 0, 0];
        self.call(
            libc::SYS_rt_sigaction,
            &[12, ignored.as_ptr() as i64, 0, 8],
            "rt_sigaction(SIGUSR2, {SIG_IGN}, 0x0, 8)",
        );
        let set = [1_i64 << 9 | 1 << 11];
        self.call(
            libc::SYS_rt_sigprocmask,
            &[0, set.as_ptr() as i64, 0, 8],
            "rt_sigprocmask(SIG_BLOCK, [SIGUSR1|SIGUSR2], 0x0, 8)",
        );
        self.call(libc::SYS_rt_sigprocmask, &[1, 0, 8, 8], "rt_sigprocmask(SIG_UNBLOCK, NULL, 0x8, 8)");
        let stack = [16_i64, 2, 5];
        let told = "sigaltstack({ss_sp=0x10, ss_flags=SS_DISABLE, ss_size=5}, 0x0)";
        self.call(libc::SYS_sigaltstack, &[stack.as_ptr() as i64, 0], told);
        self.call(libc::SYS_setpriority, &[0, PID, 5], "setpriority(PRIO_PROCESS, 999999, 5)");
        self.call(libc::SYS_getrlimit, &[7, 8], "getrlimit(RLIMIT_NOFILE, 0x8)");
        let limits = [5_i64, -1];
        let told = "prlimit64(999999, RLIMIT_CORE, [5,RLIM_INFINITY], 0x0)";
        self.call(libc::SYS_prlimit64, &[PID, 4, limits.as_ptr() as i64, 0], told);
        self.call(libc::SYS_getrusage, &[0, 8], "getrusage(RUSAGE_SELF, 0x8)");
        self.call(libc::SYS_sched_setscheduler, &[PID, 3, 8], "sched_setscheduler(999999, SCHED_BATCH, 0x8)");
        let attributes = [3_i64 << 32 | 48, 1, 5 << 32 | 4, 6, 7, 8];
        let told = "sched_setattr(999999, {size=48, sched_policy=3, sched_flags=1, sched_nice=4, sched_priority=5, \
                    sched_runtime=6, sched_deadline=7, sched_period=8}, 0)";
        self.call(libc::SYS_sched_setattr, &[PID, attributes.as_ptr() as i64, 0], told);
        self.call(
            libc::SYS_ioprio_set,
            &[1, PID, 2 << 13 | 4],
            "ioprio_set(IOPRIO_WHO_PROCESS, 999999, IOPRIO_CLASS_BE|4)",
        );
        self.call(libc::SYS_kcmp, &[PID, PID, 2, 0, 0], "kcmp(999999, 999999, KCMP_FILES, 0, 0)");
        self.call(libc::SYS_setns, &[FD, libc::CLONE_NEWNET.into()], "setns(999, CLONE_NEWNET)");
        self.call(libc::SYS_unshare, &[libc::CLONE_FS.into()], "unshare(CLONE_FS)");
        self.call(libc::SYS_umask, &[0o22], "umask(022)");
        self.call(libc::SYS_setregid, &[-1, -1], "setregid(-1, -1)");
        self.call(libc::SYS_seccomp, &[2, 0, 8], "seccomp(SECCOMP_GET_ACTION_AVAIL, 0x0, 0x8)");
        self.call(libc::SYS_membarrier, &[0, 0], "membarrier(MEMBARRIER_CMD_QUERY, 0)");
        self.call(libc::SYS_reboot, &[1, 2, 0, 0], "reboot(0x1, 0x2, LINUX_REBOOT_CMD_CAD_OFF, 0x0)");
        let module = c"tpnone".to_owned();
        let told = r#"delete_module("tpnone", O_NONBLOCK)"#;
        self.call(libc::SYS_delete_module, &[module.as_ptr() as i64, libc::O_NONBLOCK.into()], told);
        let (kind, text) = (c"tptype".to_owned(), c"about".to_owned());
        let told = r#"add_key("tptype", "about", "some", 4, -3)"#;
        let data = *b"some data";
        let args = [kind.as_ptr() as i64, text.as_ptr() as i64, data.as_ptr() as i64, 4, -3];
        self.call(libc::SYS_add_key, &args, told);
        self.call(libc::SYS_bpf, &[1, 8, 0], "bpf(BPF_MAP_LOOKUP_ELEM, 0x8, 0)");
        let environment = [kind.as_ptr() as i64, text.as_ptr() as i64, 0];
        let args = [text.as_ptr() as i64, kind.as_ptr() as i64, 0];
        let args = [text.as_ptr() as i64, args.as_ptr() as i64, environment.as_ptr() as i64];
        self.call(libc::SYS_execve, &args, r#"execve("about", ["about", "tptype"], [/* 2 vars */])"#);
    }

    fn of_time(&mut self, path: &CString) {
        let at = path.as_ptr() as i64;
        let cwd = i64::from(libc::AT_FDCWD);
        self.call(libc::SYS_clock_gettime, &[4, 8], "clock_gettime(CLOCK_MONOTONIC_RAW, 0x8)");
        let past = [1_i64, 2];
        let told = "clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, [1.000000002], 0x0)";
        self.call(libc::SYS_clock_nanosleep, &[0, 1, past.as_ptr() as i64, 0], told);
        let none = [0_i64; 4];
        let told = "setitimer(ITIMER_PROF, [0.000000,0.000000], 0x0)";
        self.call(libc::SYS_setitimer, &[2, none.as_ptr() as i64, 0], told);
        let times = [3_i64, 4, 5, 6];
        let told = "timerfd_settime(999, TFD_TIMER_ABSTIME, [3.000000004,5.000000006], 0x0)";
        self.call(libc::SYS_timerfd_settime, &[FD, 1, times.as_ptr() as i64, 0], told);
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        self.call(
            libc::SYS_timerfd_create,
            &[1, flags.into()],
            "timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC|TFD_NONBLOCK)",
        );
        let times = [0, libc::UTIME_NOW, 1, 2];
        let told = format!("utimensat(AT_FDCWD, \"{PATH}\", [UTIME_NOW][1.000000002], AT_SYMLINK_NOFOLLOW)");
        self.call(libc::SYS_utimensat, &[cwd, at, times.as_ptr() as i64, 0x100], told);
        let impossible = [1_i64, 2_000_000];
        self.call(libc::SYS_settimeofday, &[impossible.as_ptr() as i64, 0], "settimeofday([1.2000000], NULL)");
        let spent = [1_i64, 2, 3, 4];
        let told = "times({tms_utime=1, tms_stime=2, tms_cutime=3, tms_cstime=4})";
        self.call(libc::SYS_times, &[spent.as_ptr() as i64], told);
        // The kernel writes what is left of a time there.
        let (short, other, third) = ([0_i64, 1], [0_i64, 1], [0_i64, 1]);
        self.call(libc::SYS_ppoll, &[0, 0, short.as_ptr() as i64, 0, 0], "ppoll(0x0, 0, [0.000000001], 0x0, 0)");
        self.call(
            libc::SYS_pselect6,
            &[0, 0, 0, 0, other.as_ptr() as i64, 0],
            "pselect6(0, 0x0, 0x0, 0x0, [0.000000001], 0x0)",
        );
        let word = [5_i32];
        let at = word.as_ptr() as i64;
        self.call(libc::SYS_futex, &[at, 129, 1], format!("futex(0x{at:x}, FUTEX_WAKE|FUTEX_PRIVATE_FLAG, 1)"));
        self.call(
            libc::SYS_futex,
            &[at, 0, 6, third.as_ptr() as i64],
            format!("futex(0x{at:x}, FUTEX_WAIT, 6, [0.000000001])"),
        );
        let told = format!("futex(0x{at:x}, FUTEX_CMP_REQUEUE, 1, 2, 0x{at:x}, 3)");
        self.call(libc::SYS_futex, &[at, 4, 1, 2, at, 3], told);
    }

    fn of_events(&mut self) {
        self.call(libc::SYS_epoll_ctl, &[FD, 1, 998, 8], "epoll_ctl(999, EPOLL_CTL_ADD, 998, 0x8)");
        self.call(libc::SYS_epoll_create1, &[libc::EPOLL_CLOEXEC.into()], "epoll_create1(EPOLL_CLOEXEC)");
        let flags = libc::EFD_NONBLOCK | libc::EFD_SEMAPHORE;
        self.call(libc::SYS_eventfd2, &[3, flags.into()], "eventfd2(3, EFD_NONBLOCK|EFD_SEMAPHORE)");
        let flags = libc::IN_NONBLOCK | libc::IN_CLOEXEC;
        self.call(libc::SYS_inotify_init1, &[flags.into()], "inotify_init1(IN_NONBLOCK|IN_CLOEXEC)");
        self.call(libc::SYS_signalfd4, &[-1, 8, 8, libc::SFD_CLOEXEC.into()], "signalfd4(-1, 0x8, 8, SFD_CLOEXEC)");
        let name = c"tpmemory".to_owned();
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        let told = r#"memfd_create("tpmemory", MFD_CLOEXEC|MFD_ALLOW_SEALING)"#;
        self.call(libc::SYS_memfd_create, &[name.as_ptr() as i64, flags.into()], told);
        self.call(libc::SYS_getrandom, &[8, 0, 1], "getrandom(0x8, 0, GRND_NONBLOCK)");
        self.call(libc::SYS_pidfd_open, &[PID, 0], "pidfd_open(999999, 0x0)");
        self.call(libc::SYS_close_range, &[7, 6, 4], "close_range(7, 6, CLOSE_RANGE_CLOEXEC)");
    }
}

/// Asks for its number as programs of 32 bits do, in a process of its own: not every kernel has such calls. The number
/// is another call's, `writev`, for programs of 64 bits.
#[cfg(target_arch = "x86_64")]
fn call_as_of_32_bits() {
    // SAFETY: the child makes one call that changes nothing, and ends.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            core::arch::asm!("int 0x80", inlateout("eax") 20 => _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
            libc::_exit(0);
        }
        libc::waitpid(child, core::ptr::null_mut(), 0);
    }
}

fn main() {
    // SAFETY: the name is a string.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"tpteller".as_ptr()) };
    let path = CString::new(PATH).expect("no NUL");
    let mut teller = Teller(Vec::new());
    teller.of_files(&path);
    teller.of_memory();
    teller.of_sockets();
    teller.of_processes();
    teller.of_time(&path);
    teller.of_events();
    #[cfg(target_arch = "x86_64")]
    call_as_of_32_bits();
    let said = teller.0.join("\n") + "\n";
    match env::args().nth(1) {
        Some(file) => std::fs::write(file, said).expect("a file for what was told"),
        None => print!("{said}"),
    }
}
