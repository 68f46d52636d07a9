//! Values of any type through a compiled adapter, there and back, as the interpreter says.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atoll_fuzz::chain::check(data));
