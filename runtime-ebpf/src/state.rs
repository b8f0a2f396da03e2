//! The state block: one value of one mmapable array map, shared by kernel handlers, native handlers and the printer.
//!
//! It starts with the loss counters (64 bits each, in the order of the image's loss table); plain scalars follow, each
//! at an offset the compiler chose. Counters are added to atomically, as any CPU may lose something.

/// Byte offset of a loss counter.
pub const fn loss(index: u32) -> u32 {
    8 * index
}
