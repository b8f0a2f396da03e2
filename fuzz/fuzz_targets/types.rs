//! Bytes for the kernel's types.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tapster_fuzz::types(bytes));
