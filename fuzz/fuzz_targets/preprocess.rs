//! Bytes to the preprocessor.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| tapster_fuzz::preprocess(text));
