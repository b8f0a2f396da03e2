//! Names of error numbers, as the manual pages have them.

macro_rules! names {
    ($($name:ident)*) => {
        /// The name of an error number.
        pub fn name(number: i32) -> Option<&'static str> {
            // The kernel's own ENOTSUPP (include/linux/errno.h), which leaks from the verifier and from attaching.
            const ENOTSUPP: i32 = 524;
            match number {
                $(libc::$name => Some(stringify!($name)),)*
                ENOTSUPP => Some("ENOTSUPP"),
                _ => None,
            }
        }
    };
}

// include/uapi/asm-generic/errno-base.h and errno.h, without the second names of EAGAIN and EDEADLK.
names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV
    ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE
    EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI
    EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG EREMOTE ENOLINK
    EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX
    ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT
    ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET
    ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN
    EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE
    ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_that_the_kernel_uses_has_a_name() {
        // 41 and 58 stand for no error of their own (asm-generic/errno.h).
        let nameless: Vec<i32> = (1..=133).filter(|number| name(*number).is_none()).collect();
        assert_eq!(nameless, [41, 58]);
        assert_eq!(
            [name(1), name(34), name(35), name(133)].map(Option::unwrap_or_default),
            ["EPERM", "ERANGE", "EDEADLK", "EHWPOISON"]
        );
    }
}
