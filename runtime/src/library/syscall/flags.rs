//! What numbers in the arguments of system calls mean: names of `<fcntl.h>`, `<sys/mman.h>` and their kind.

use super::names::*;
use std::fmt::Write as _;

/// How the names of a set make up a number.
enum Set {
    /// One of them.
    One(Names),
    /// Any of them, joined by `|`.
    Bits(Names),
    /// The bits below a mask are one of the first, the others any of the second.
    Both(i64, Names, Names),
    /// Any of them, and the bits below a mask in octal.
    Mode(i64, Names),
}

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
        b"eventfd" => Set::Bits(names![EFD_NONBLOCK EFD_CLOEXEC EFD_SEMAPHORE]),
        b"renameat2" => Set::Bits(names![RENAME_NOREPLACE RENAME_EXCHANGE RENAME_WHITEOUT]),
        b"bpf" => Set::One(BPF),
        b"module" => Set::Bits(names![O_NONBLOCK O_TRUNC]),
        b"pipe2" => Set::Bits(names![O_NONBLOCK O_CLOEXEC O_DIRECT]),
        b"epoll_create1" => Set::Bits(names![EPOLL_CLOEXEC]),
        b"signalfd" => Set::Bits(names![SFD_NONBLOCK SFD_CLOEXEC]),
        b"inotify_init" => Set::Bits(names![IN_NONBLOCK IN_CLOEXEC]),
        b"timerfd" => Set::Bits(names![TFD_TIMER_ABSTIME TFD_TIMER_CANCEL_ON_SET TFD_CLOEXEC TFD_NONBLOCK]),
        b"faccessat2" => Set::Bits(names![AT_SYMLINK_NOFOLLOW AT_EACCESS AT_EMPTY_PATH]),
        b"fanotify_init" => Set::Both(0xc, FAN_CLASS, FAN_INIT),
        b"fanotify_mark" => Set::Bits(FAN_MARK),
        b"fanotify_mask" => Set::Bits(FAN_MASK),
        b"finit_module" => Set::Bits(MODULE_INIT),
        b"xattr" => Set::Bits(names![XATTR_CREATE XATTR_REPLACE]),
        b"mempolicy" => Set::Bits(MEMPOLICY),
        b"mempolicy_mode" => Set::Both(0xfff, MEMPOLICY_MODE, MEMPOLICY_MODE_FLAGS),
        b"mbind" => Set::Bits(MBIND),
        b"getrandom" => Set::Bits(names![GRND_NONBLOCK GRND_RANDOM GRND_INSECURE]),
        b"inotify" => Set::Bits(INOTIFY),
        b"ioprio_who" => Set::One(IOPRIO_WHO),
        b"kcmp" => Set::One(KCMP),
        b"kexec" => Set::Bits(KEXEC),
        b"kexec_file" => Set::Bits(KEXEC_FILE),
        b"ipcctl" => Set::One(MESSAGE_CONTROL),
        b"semctl" => Set::One(SEMAPHORE_CONTROL),
        b"shmctl" => Set::One(SHARED_CONTROL),
        b"ipcflags" => Set::Mode(0o777, IPC_FLAGS),
        b"shmget" => Set::Mode(0o777, SHARED_FLAGS),
        b"shmat" => Set::Bits(ATTACH_FLAGS),
        b"keyctl" => Set::One(KEYCTL),
        b"membarrier" => Set::One(MEMBARRIER),
        b"memfd" => Set::Bits(MEMFD),
        b"mlock2" => Set::Bits(names![MLOCK_ONFAULT]),
        b"perf" => Set::Bits(PERF),
        b"pkey" => Set::Bits(PKEY),
        b"prctl" => Set::One(PRCTL),
        b"arch_prctl" => Set::One(ARCH_PRCTL),
        b"rwf" => Set::Bits(READ_WRITE),
        b"ptrace" => Set::One(PTRACE),
        b"reboot_magic" => Set::One(REBOOT_MAGIC),
        b"reboot" => Set::One(REBOOT),
        b"seccomp" => Set::One(SECCOMP),
        b"seccomp_flags" => Set::Bits(SECCOMP_FLAGS),
        b"splice" => Set::Bits(names![SPLICE_F_MOVE SPLICE_F_NONBLOCK SPLICE_F_MORE SPLICE_F_GIFT]),
        b"statx" => Set::Bits(STATX),
        b"swapon" => Set::Bits(SWAP),
        b"sync_file_range" => {
            Set::Bits(names![SYNC_FILE_RANGE_WAIT_BEFORE SYNC_FILE_RANGE_WRITE SYNC_FILE_RANGE_WAIT_AFTER])
        }
        b"userfaultfd" => Set::Bits(USERFAULT),
        b"close_range" => Set::Bits(CLOSE_RANGE),
        b"adjtimex" => Set::Bits(names![
            ADJ_OFFSET ADJ_FREQUENCY ADJ_MAXERROR ADJ_ESTERROR ADJ_STATUS ADJ_TIMECONST ADJ_TAI ADJ_SETOFFSET ADJ_MICRO
            ADJ_NANO ADJ_TICK ADJ_OFFSET_SINGLESHOT ADJ_OFFSET_SS_READ
        ]),
        b"sigaction" => Set::Bits(ACTION),
        b"sigcode" => Set::One(CODES),
        b"sigstack" => Set::One(names![SS_ONSTACK SS_DISABLE]),
        _ => return None,
    })
}

/// What a number means in a set.
pub fn describe(name: &[u8], number: i64) -> String {
    match set(name) {
        _ if name == b"signal" => signal(number),
        _ if name == b"at" && number == i64::from(libc::AT_FDCWD) => "AT_FDCWD".into(),
        _ if name == b"ipckey" && number == 0 => "IPC_PRIVATE".into(),
        // What is asked of socket() has names of its own, for the same numbers.
        _ if name == b"pf" => describe(b"family", number).replace("AF_UNIX", "PF_LOCAL").replace("AF_", "PF_"),
        _ if name == b"ioprio" => format!("{}|{}", describe_one(IOPRIO_CLASS, number >> 13 & 7), number & 0x1fff),
        _ if name == b"mknod" => file_mode(number),
        _ if name == b"quotactl" => quota(number),
        // What they mean is said by another argument, above.
        _ if name == b"optname" => option(number >> 32, number & 0xffff_ffff),
        _ if name == b"protocol" => protocol(number >> 32, i64::from(number as i32)),
        Some(Set::One(names)) => describe_one(names, number),
        Some(Set::Bits(names)) => bits(names, number),
        Some(Set::Both(mask, first, rest)) => both(mask, first, rest, number),
        Some(Set::Mode(mask, names)) => mode(mask, names, number),
        None => number.to_string(),
    }
}

fn describe_one(names: Names, number: i64) -> String {
    // Names of 32 bits are found with and without their sign.
    let same = |known: i64| known == number || known as i32 == number as i32 && number >> 32 == 0;
    let name = names.iter().find(|(_, known)| same(*known)).map(|(name, _)| (*name).to_owned());
    name.unwrap_or_else(|| format!("0x{:x}", short(number)))
}

/// A number of 32 bits with a sign, without it.
fn short(number: i64) -> i64 {
    if i32::try_from(number).is_ok() { number & 0xffff_ffff } else { number }
}

fn one(names: Names, number: i64) -> Option<&'static str> {
    names.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// Names of bits; names of several bits go before those of one of them. What has no name is a number.
fn bits(names: Names, number: i64) -> String {
    if let (0, none) = (number, one(names, 0)) {
        return none.unwrap_or("0x0").into();
    }
    let mut left = short(number);
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
        (Some(name), high) if mask & 0xff == 0xff => format!("{}|{name}", bits(rest, high)),
        (Some(name), high) => format!("{name}|{}", bits(rest, high)),
        (None, high) => bits(rest, high),
    }
}

/// Names of bits, with what is below a mask in octal at the end.
fn mode(mask: i64, names: Names, number: i64) -> String {
    match (number & mask, number & !mask) {
        (low, 0) => octal(low),
        (0, high) => bits(names, high),
        (low, high) => format!("{}|{}", bits(names, high), octal(low)),
    }
}

fn octal(number: i64) -> String {
    if number == 0 { "0".into() } else { format!("0{number:o}") }
}

/// The mode of a file that is made, with its kind.
fn file_mode(number: i64) -> String {
    let kind = number & i64::from(libc::S_IFMT);
    match one(FILES, kind) {
        Some(name) => format!("{name}|{}", octal(number & !kind)),
        None => octal(number),
    }
}

fn quota(number: i64) -> String {
    format!("{}|{}", describe_one(QUOTA, short(number) >> 8), describe_one(QUOTA_KINDS, number & 0xff))
}

/// An option of a socket, which a level has.
fn option(level: i64, number: i64) -> String {
    match i32::try_from(level) {
        Ok(libc::SOL_SOCKET) => describe_one(OPTIONS, number),
        Ok(libc::SOL_TCP) => describe_one(TCP_OPTIONS, number),
        _ => format!("0x{number:x}"),
    }
}

/// A protocol of a family of sockets.
fn protocol(family: i64, number: i64) -> String {
    let name = one(PROTOCOLS, number).filter(|_| matches!(i32::try_from(family), Ok(libc::AF_INET | libc::AF_INET6)));
    name.map_or_else(|| number.to_string(), str::to_owned)
}

/// The signals of a set: SIGHUP is its lowest bit.
pub fn signals(set: i64) -> String {
    let names: Vec<String> = (0..64).filter(|bit| set >> bit & 1 != 0).map(|bit| signal(bit + 1)).collect();
    if names.is_empty() { "[EMPTY]".into() } else { format!("[{}]", names.join("|")) }
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
            if let Kind::Set(name, _) = param.kind {
                let of_its_own = ["signal", "at", "ipckey", "ioprio", "mknod", "quotactl", "optname", "protocol", "pf"]
                    .contains(&name);
                assert!(set(name.as_bytes()).is_some() || of_its_own, "{name}");
            }
        }
    }
}
