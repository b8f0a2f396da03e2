//! The constants: bytes that kernel handlers only read, in the only value of one array map. The loader fills and freezes
//! it before it loads a program, so that the verifier knows them, too.

/// Byte offset of the number of possible CPUs, 64 bits. The loader knows it.
pub const CPUS: u32 = 0;
/// Byte offset of the first constant that the compiler placed.
pub const FIRST: u32 = 8;
