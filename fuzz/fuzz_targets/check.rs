//! Bytes to the compiler, to the end of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| tapster_fuzz::check(text));
