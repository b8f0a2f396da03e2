//! Bytes to the parser.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| tapster_fuzz::parse(text));
