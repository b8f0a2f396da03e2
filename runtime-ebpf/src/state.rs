//! The state block: one value of one mmapable array map, shared by kernel handlers, native handlers and the printer.
//!
//! It starts with [`STOPPING`], [`WALL`], [`ZERO`] and the loss counters (64 bits each, in the order of the image's loss table); plain
//! scalars follow, each at an offset the compiler chose. Counters are added to atomically, as any CPU may lose something.

/// Byte offset of a word that is not zero once a kernel handler has called `exit()` or failed: the handlers that follow
/// do nothing, as the session is over for them.
pub const STOPPING: u32 = 0;

/// Byte offset of what the wall clock (`CLOCK_REALTIME`) is ahead of the monotonic one, nanoseconds: user space keeps it.
pub const WALL: u32 = 8;

/// Byte offset of a word that stays zero, which the verifier does not know.
pub const ZERO: u32 = 16;

/// Byte offset of a loss counter.
pub const fn loss(index: u32) -> u32 {
    24 + 8 * index
}
