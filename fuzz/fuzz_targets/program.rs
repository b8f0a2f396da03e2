//! Bytes for a program that a script probes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tapster_fuzz::program(bytes));
