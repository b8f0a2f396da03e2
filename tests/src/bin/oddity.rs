//! Does odd things, each once, as a process called `tpodd`: names a folder by a text that ends where its memory does, and
//! asks for its process group as somebody else.
//!
//! Cases compare what they see with what stands here.

use std::io::Error;

const PAGE: usize = 4096;

fn main() -> std::io::Result<()> {
    // SAFETY: the name lives through the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"tpodd".as_ptr()) };
    unterminated()?;
    // SAFETY: no memory is involved; the real and the saved user stay.
    unsafe {
        libc::getpgid(0);
        libc::seteuid(65534);
        libc::getpgid(0);
        libc::seteuid(libc::getuid());
    }
    Ok(())
}

/// `tail` stands in the last four bytes of a page, and nothing behind it: the kernel refuses the name.
fn unterminated() -> std::io::Result<()> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: two new pages, the second of which is given back; what is written lies in the first.
    let refused = unsafe {
        let pages = libc::mmap(std::ptr::null_mut(), 2 * PAGE, access, kind, -1, 0);
        if pages == libc::MAP_FAILED || libc::munmap(pages.byte_add(PAGE), PAGE) != 0 {
            return Err(Error::last_os_error());
        }
        let tail = pages.byte_add(PAGE - 4);
        std::ptr::copy_nonoverlapping(b"tail".as_ptr(), tail.cast(), 4);
        libc::chdir(tail.cast()) == -1 && Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
    };
    assert!(refused, "a name without an end is none");
    Ok(())
}
