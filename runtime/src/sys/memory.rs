//! Memory shared with the kernel and others: files read in place, the value of a map.

use super::check;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

/// A mapping of a descriptor; unmapped on drop.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, len: usize, protection: i32, flags: i32) -> io::Result<Mapping> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Mapping { start, len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, and whoever borrowed it has gone before its owner.
        let _ = check(unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) }.into());
    }
}

/// A file's bytes, not written by anybody while they are read: BTF under `/sys/kernel/btf`, programs and libraries.
#[derive(Debug)]
pub enum FileBytes {
    /// In place.
    #[expect(private_interfaces, reason = "only made and read here")]
    Mapped(Mapping),
    /// Where the kernel cannot map it (BTF before Linux 6.16).
    Read(Vec<u8>),
}

impl FileBytes {
    /// Maps a sysfs file, or reads it.
    pub fn open(path: &str) -> io::Result<FileBytes> {
        use std::os::fd::AsFd;
        let mut file = File::open(path)?;
        let len = file.metadata()?.len() as usize;
        if len > 0
            && let Ok(mapping) = Mapping::new(file.as_fd(), len, libc::PROT_READ, libc::MAP_PRIVATE)
        {
            return Ok(FileBytes::Mapped(mapping));
        }
        let mut bytes = Vec::with_capacity(len);
        io::Read::read_to_end(&mut file, &mut bytes)?;
        Ok(FileBytes::Read(bytes))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            // SAFETY: the mapping covers `len` bytes and lives as long as `self`. The BTF of vmlinux is constant as long as
            // the kernel runs. Programs and libraries are replaced, not written: the kernel refuses to write what runs
            // (ETXTBSY), and package managers rename new files over old ones.
            FileBytes::Mapped(mapping) => unsafe { std::slice::from_raw_parts(mapping.start.as_ptr(), mapping.len) },
            FileBytes::Read(bytes) => bytes,
        }
    }
}

/// The state block: memory that generated code, the kernel and this process read and write at any time.
#[derive(Debug)]
pub struct StateBlock {
    start: NonNull<u8>,
    size: usize,
    // Keeps the memory; only ever reached through `start`.
    _memory: Memory,
}

#[derive(Debug)]
enum Memory {
    Shared { _mapping: Mapping },
    Private { _words: Words },
}

/// Zeroed memory that is only reached through a raw pointer; a `Box` would claim to be the only way to it.
#[derive(Debug)]
struct Words(NonNull<[u64]>);

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: made from a box by `StateBlock::private`, and dropped once.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl StateBlock {
    /// Maps the only value of an mmapable array map.
    pub fn map(fd: BorrowedFd<'_>, size: usize) -> io::Result<StateBlock> {
        let len = size.max(1).next_multiple_of(process_page_size());
        let mapping = Mapping::new(fd, len, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED)?;
        Ok(StateBlock { start: mapping.start, size, _memory: Memory::Shared { _mapping: mapping } })
    }

    /// Zeroed memory of this process alone.
    pub fn private(size: usize) -> StateBlock {
        let words = Box::leak(vec![0u64; size.div_ceil(8).max(1)].into_boxed_slice());
        let words = NonNull::from(words);
        StateBlock { start: words.cast(), size, _memory: Memory::Private { _words: Words(words) } }
    }

    /// Its address.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The 64-bit word at a byte offset; 0 outside of the block.
    pub fn read(&self, offset: u32) -> u64 {
        let offset = offset as usize;
        if !offset.is_multiple_of(8) || offset + 8 > self.size {
            return 0;
        }
        // SAFETY: aligned (the block starts on 8 bytes at least) and within the block, as checked. The kernel may write
        // at the same time: hence volatile, and never a reference.
        unsafe { self.start.as_ptr().add(offset).cast::<u64>().read_volatile() }
    }

    /// Copies bytes to an offset; gives `false` where they do not fit.
    #[must_use]
    pub fn write(&self, offset: u32, bytes: &[u8]) -> bool {
        let offset = offset as usize;
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.size) {
            return false;
        }
        // SAFETY: within the block, as checked; `bytes` is no part of it, as nobody ever makes a slice of the block.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(offset), bytes.len()) };
        true
    }
}

fn process_page_size() -> usize {
    // SAFETY: reads a constant.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_block_refuses_what_lies_outside() {
        let block = StateBlock::private(16);
        assert!(block.write(8, &7u64.to_le_bytes()));
        assert!(!block.write(12, &7u64.to_le_bytes()));
        assert_eq!((block.read(0), block.read(8), block.read(16)), (0, 7, 0));
    }

    #[test]
    fn a_file_that_cannot_be_mapped_is_read() {
        let bytes = FileBytes::open("/proc/self/comm").expect("readable");
        assert!(matches!(bytes, FileBytes::Read(_)) && !bytes.bytes().is_empty());
    }
}
