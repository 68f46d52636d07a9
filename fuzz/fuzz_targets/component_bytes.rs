//! Any bytes as a component: parsed, linked, launched, or refused; never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atoll_fuzz::raw::check(data));
