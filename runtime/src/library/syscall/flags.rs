//! What numbers in the arguments of system calls mean: names of `<fcntl.h>`, `<sys/mman.h>` and their kind.

use std::fmt::Write as _;

/// Names with their numbers.
type Names = &'static [(&'static str, i64)];

/// How the names of a set make up a number.
enum Set {
    /// One of them.
    One(Names),
    /// Any of them, joined by `|`.
    Bits(Names),
    /// The bits below a mask are one of the first, the others any of the second.
    Both(i64, Names, Names),
}

macro_rules! names {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name as i64)),*] };
}

const OPEN: Names = names![
    O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DSYNC O_ASYNC O_DIRECT O_LARGEFILE O_TMPFILE
    O_DIRECTORY O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH
];
const CLONE: Names = names![
    CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_PIDFD CLONE_PTRACE CLONE_VFORK CLONE_PARENT CLONE_THREAD
    CLONE_NEWNS CLONE_SYSVSEM CLONE_SETTLS CLONE_PARENT_SETTID CLONE_CHILD_CLEARTID CLONE_DETACHED CLONE_UNTRACED
    CLONE_CHILD_SETTID CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET CLONE_IO
];
const SIGNALS: Names = names![
    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM
    SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO
    SIGPWR SIGSYS
];
const FAMILIES: Names = names![
    AF_UNSPEC AF_UNIX AF_INET AF_AX25 AF_IPX AF_APPLETALK AF_X25 AF_INET6 AF_KEY AF_NETLINK AF_PACKET AF_RDS AF_PPPOX
    AF_LLC AF_IB AF_CAN AF_TIPC AF_BLUETOOTH AF_ALG AF_VSOCK AF_XDP
];
const SOCKETS: Names = names![SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET SOCK_DCCP];
const SOCKET_FLAGS: Names = names![SOCK_CLOEXEC SOCK_NONBLOCK];
const MAP: Names = names![
    MAP_SHARED MAP_PRIVATE MAP_FIXED MAP_ANONYMOUS MAP_GROWSDOWN MAP_DENYWRITE MAP_EXECUTABLE MAP_LOCKED MAP_NORESERVE
    MAP_POPULATE MAP_NONBLOCK MAP_STACK MAP_HUGETLB MAP_SYNC MAP_FIXED_NOREPLACE
];
const MESSAGE: Names = names![
    MSG_OOB MSG_PEEK MSG_DONTROUTE MSG_CTRUNC MSG_TRUNC MSG_DONTWAIT MSG_EOR MSG_WAITALL MSG_FIN MSG_SYN MSG_CONFIRM
    MSG_RST MSG_ERRQUEUE MSG_NOSIGNAL MSG_MORE MSG_WAITFORONE MSG_FASTOPEN MSG_CMSG_CLOEXEC
];
const FCNTL: Names = names![
    F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_SETOWN F_GETOWN F_OFD_GETLK F_OFD_SETLK
    F_OFD_SETLKW F_SETLEASE F_GETLEASE F_NOTIFY F_DUPFD_CLOEXEC F_SETPIPE_SZ F_GETPIPE_SZ F_ADD_SEALS F_GET_SEALS
];
const MOUNT: Names = names![
    MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC MS_NOATIME MS_NODIRATIME
    MS_BIND MS_MOVE MS_REC MS_SILENT MS_POSIXACL MS_UNBINDABLE MS_PRIVATE MS_SLAVE MS_SHARED MS_RELATIME MS_KERNMOUNT
    MS_I_VERSION MS_STRICTATIME MS_LAZYTIME
];
const MADVISE: Names = names![
    MADV_NORMAL MADV_RANDOM MADV_SEQUENTIAL MADV_WILLNEED MADV_DONTNEED MADV_FREE MADV_REMOVE MADV_DONTFORK MADV_DOFORK
    MADV_MERGEABLE MADV_UNMERGEABLE MADV_HUGEPAGE MADV_NOHUGEPAGE MADV_DONTDUMP MADV_DODUMP MADV_WIPEONFORK
    MADV_KEEPONFORK MADV_COLD MADV_PAGEOUT MADV_POPULATE_READ MADV_POPULATE_WRITE MADV_HWPOISON MADV_SOFT_OFFLINE
];
const CLOCKS: Names = names![
    CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID CLOCK_THREAD_CPUTIME_ID CLOCK_MONOTONIC_RAW
    CLOCK_REALTIME_COARSE CLOCK_MONOTONIC_COARSE CLOCK_BOOTTIME CLOCK_REALTIME_ALARM CLOCK_BOOTTIME_ALARM CLOCK_TAI
];
const RESOURCES: Names = names![
    RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC RLIMIT_NOFILE RLIMIT_MEMLOCK
    RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME
];
const AT: Names = names![
    AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_STATX_FORCE_SYNC
    AT_STATX_DONT_SYNC AT_RECURSIVE
];
const LEVELS: Names = names![SOL_IP SOL_SOCKET SOL_TCP SOL_UDP SOL_IPV6 SOL_RAW SOL_PACKET SOL_NETLINK SOL_ALG];
const WAIT: Names = names![WNOHANG WUNTRACED WEXITED WCONTINUED WNOWAIT __WNOTHREAD __WALL __WCLONE];
const FUTEX: Names = names![
    FUTEX_WAIT FUTEX_WAKE FUTEX_FD FUTEX_REQUEUE FUTEX_CMP_REQUEUE FUTEX_WAKE_OP FUTEX_LOCK_PI FUTEX_UNLOCK_PI
    FUTEX_TRYLOCK_PI FUTEX_WAIT_BITSET FUTEX_WAKE_BITSET FUTEX_WAIT_REQUEUE_PI FUTEX_CMP_REQUEUE_PI FUTEX_LOCK_PI2
];
const FALLOCATE: Names = names![
    FALLOC_FL_KEEP_SIZE FALLOC_FL_PUNCH_HOLE FALLOC_FL_COLLAPSE_RANGE FALLOC_FL_ZERO_RANGE FALLOC_FL_INSERT_RANGE
    FALLOC_FL_UNSHARE_RANGE
];
const FADVISE: Names = names![
    POSIX_FADV_NORMAL POSIX_FADV_RANDOM POSIX_FADV_SEQUENTIAL POSIX_FADV_WILLNEED POSIX_FADV_DONTNEED
    POSIX_FADV_NOREUSE
];
/// `AT_EACCESS` and the like have other meanings elsewhere; the kernel's `access` takes only these.
const ACCESS: Names = names![F_OK R_OK W_OK X_OK];

/// The set with this name in the table of calls.
fn set(name: &[u8]) -> Option<Set> {
    Some(match name {
        b"open" => Set::Both(libc::O_ACCMODE.into(), names![O_RDONLY O_WRONLY O_RDWR], OPEN),
        b"clone" => Set::Both(0xff, SIGNALS, CLONE),
        b"family" => Set::One(FAMILIES),
        b"socktype" => Set::Both(0xf, SOCKETS, SOCKET_FLAGS),
        b"sockflags" => Set::Bits(SOCKET_FLAGS),
        b"map" => Set::Bits(MAP),
        b"prot" => Set::Bits(names![PROT_NONE PROT_READ PROT_WRITE PROT_EXEC PROT_GROWSDOWN PROT_GROWSUP]),
        b"msg" => Set::Bits(MESSAGE),
        b"fcntl" => Set::One(FCNTL),
        b"mount" => Set::Bits(MOUNT),
        b"umount" => Set::Bits(names![MNT_FORCE MNT_DETACH MNT_EXPIRE UMOUNT_NOFOLLOW]),
        b"madvise" => Set::One(MADVISE),
        b"clock" => Set::One(CLOCKS),
        b"resource" => Set::One(RESOURCES),
        b"atflags" => Set::Bits(AT),
        b"level" => Set::One(LEVELS),
        b"wait" => Set::Bits(WAIT),
        b"futex" => Set::Both(0x7f, FUTEX, names![FUTEX_PRIVATE_FLAG FUTEX_CLOCK_REALTIME]),
        b"fallocate" => Set::Bits(FALLOCATE),
        b"fadvise" => Set::One(FADVISE),
        b"access" => Set::Bits(ACCESS),
        b"whence" => Set::One(names![SEEK_SET SEEK_CUR SEEK_END SEEK_DATA SEEK_HOLE]),
        b"epollop" => Set::One(names![EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD]),
        b"priority" => Set::One(names![PRIO_PROCESS PRIO_PGRP PRIO_USER]),
        b"rusage" => Set::One(names![RUSAGE_SELF RUSAGE_CHILDREN RUSAGE_THREAD]),
        b"policy" => Set::One(names![SCHED_OTHER SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_IDLE SCHED_DEADLINE]),
        b"shut" => Set::One(names![SHUT_RD SHUT_WR SHUT_RDWR]),
        b"sighow" => Set::One(names![SIG_BLOCK SIG_UNBLOCK SIG_SETMASK]),
        b"itimer" => Set::One(names![ITIMER_REAL ITIMER_VIRTUAL ITIMER_PROF]),
        b"idtype" => Set::One(names![P_ALL P_PID P_PGID P_PIDFD]),
        b"timer" => Set::Bits(names![TIMER_ABSTIME]),
        b"msync" => Set::Bits(names![MS_ASYNC MS_INVALIDATE MS_SYNC]),
        b"mremap" => Set::Bits(names![MREMAP_MAYMOVE MREMAP_FIXED MREMAP_DONTUNMAP]),
        b"mlockall" => Set::Bits(names![MCL_CURRENT MCL_FUTURE MCL_ONFAULT]),
        b"flock" => Set::Bits(names![LOCK_SH LOCK_EX LOCK_NB LOCK_UN]),
        b"eventfd" => Set::Bits(names![EFD_SEMAPHORE EFD_CLOEXEC EFD_NONBLOCK]),
        b"renameat2" => Set::Bits(names![RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT]),
        _ => return None,
    })
}

/// What a number means in a set.
pub fn describe(name: &[u8], number: i64) -> String {
    match set(name) {
        _ if name == b"signal" => signal(number),
        _ if name == b"at" && number == i64::from(libc::AT_FDCWD) => "AT_FDCWD".into(),
        Some(Set::One(names)) => one(names, number).map_or_else(|| format!("0x{number:x}"), str::to_owned),
        Some(Set::Bits(names)) => bits(names, number),
        Some(Set::Both(mask, first, rest)) => both(mask, first, rest, number),
        None => number.to_string(),
    }
}

fn one(names: Names, number: i64) -> Option<&'static str> {
    names.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// Names of bits; names of several bits go before those of one of them. What has no name is a number.
fn bits(names: Names, number: i64) -> String {
    if let (0, none) = (number, one(names, 0)) {
        return none.unwrap_or("0x0").into();
    }
    let mut left = number;
    let mut found: Vec<(usize, &str)> = Vec::new();
    let mut wide: Vec<(usize, &(&str, i64))> = names.iter().enumerate().filter(|(_, (_, known))| *known != 0).collect();
    wide.sort_by_key(|(_, (_, known))| core::cmp::Reverse(known.count_ones()));
    for (place, (name, known)) in wide {
        if left & known == *known {
            left &= !known;
            found.push((place, name));
        }
    }
    found.sort_unstable();
    let mut text = found.iter().map(|(_, name)| *name).collect::<Vec<_>>().join("|");
    if left != 0 {
        let bar = if text.is_empty() { "" } else { "|" };
        write!(text, "{bar}0x{left:x}").expect("memory");
    }
    text
}

fn both(mask: i64, first: Names, rest: Names, number: i64) -> String {
    let (low, high) = (number & mask, number & !mask);
    let name = one(first, low).map(str::to_owned);
    // What is 0 and has no name is not there.
    let name = if low == 0 { name } else { Some(name.unwrap_or_else(|| format!("0x{low:x}"))) };
    match (name, high) {
        (Some(name), 0) => name,
        (Some(name), high) if mask == 0xff => format!("{}|{name}", bits(rest, high)),
        (Some(name), high) => format!("{name}|{}", bits(rest, high)),
        (None, high) => bits(rest, high),
    }
}

/// The name of a signal.
fn signal(number: i64) -> String {
    /// The first real-time signal of the kernel; the C library keeps two of them for itself.
    const SIGRTMIN: i64 = 32;
    match one(SIGNALS, number) {
        Some(name) => name.into(),
        None if (SIGRTMIN..=64).contains(&number) => format!("SIGRTMIN+{}", number - SIGRTMIN),
        None => format!("0x{number:x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_strace_says() {
        let open = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
        assert_eq!(describe(b"open", open.into()), "O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC");
        assert_eq!(describe(b"open", 0), "O_RDONLY");
        assert_eq!(describe(b"open", libc::O_TMPFILE.into()), "O_RDONLY|O_TMPFILE");
        assert_eq!(describe(b"socktype", (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC).into()), "SOCK_DGRAM|SOCK_CLOEXEC");
        assert_eq!(describe(b"futex", 129), "FUTEX_WAKE|FUTEX_PRIVATE_FLAG");
        assert_eq!(describe(b"clone", 0x0120_0011), "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD");
        assert_eq!(describe(b"at", -100), "AT_FDCWD");
        assert_eq!(describe(b"at", 3), "3");
        assert_eq!(describe(b"prot", 0), "PROT_NONE");
        assert_eq!(describe(b"map", 0x22 | 1 << 40), "MAP_PRIVATE|MAP_ANONYMOUS|0x10000000000");
        assert_eq!(describe(b"signal", 9), "SIGKILL");
        assert_eq!(describe(b"access", 0), "F_OK");
    }

    #[test]
    fn every_set_of_the_table_is_known() {
        use tapster_compiler::syscall::{Kind, calls};
        for param in calls().flat_map(|call| call.params) {
            if let Kind::Set(name) = param.kind {
                assert!(set(name.as_bytes()).is_some() || matches!(name, "signal" | "at"), "{name}");
            }
        }
    }
}
