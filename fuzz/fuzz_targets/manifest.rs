//! Any text as a manifest, or one made of lines of good ones: brought together, or refused in words; never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atoll_fuzz::manifests::check(data));
