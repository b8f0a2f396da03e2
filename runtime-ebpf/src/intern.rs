//! Stacks and wide strings as 64-bit handles.
//!
//! A key holds the hash of the bytes; the bytes themselves lie once in a map of their own. Two different texts share a
//! hash with a chance of 2^-64 a pair, which the tool accepts as it accepts a bit flip.

/// Start of every hash.
pub const SEED: u64 = 0xcbf2_9ce4_8422_2325;
/// The odd multiplier (2^64 divided by the golden ratio).
pub const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
/// The handle of nothing: an empty string, a stack the kernel could not take.
pub const NONE: u64 = 0;

/// One step: takes a 64-bit word into the hash.
pub const fn step(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(FACTOR);
    mixed ^ (mixed >> 32)
}

/// The handle of a text without its NUL: eight bytes a step, the last word filled with zeros.
pub fn text(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        return NONE;
    }
    bytes.chunks(8).fold(SEED, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        step(hash, u64::from_le_bytes(word))
    })
}

/// The value of the stack map: the number of frames and the process, then the frames, innermost first.
pub mod stack {
    /// Byte offset of a word with the number of frames in its lower half; of a process's stack its upper half is the
    /// process id, of the kernel's 0.
    pub const COUNT: u32 = 0;
    /// Byte offset of the first frame.
    pub const FRAMES: u32 = 8;

    /// Bytes of a value with room for `frames`.
    pub const fn size(frames: u32) -> u32 {
        FRAMES + 8 * frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_one_byte_have_different_handles() {
        assert_ne!(text(b"dentry"), text(b"dentrz"));
        assert_ne!(text(b"a"), text(b"a\0\0\0\0\0\0\0b"));
        assert_eq!(text(b""), NONE);
    }
}
