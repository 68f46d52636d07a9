//! Values as text, as messages and as what a fuzzer varies: read as they were written, or refused in words.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atoll_fuzz::forms::check(data));
