//! Values of any type through compiled adapters and whole components, as the interpreter says.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atoll_fuzz::pair::movers(data));
