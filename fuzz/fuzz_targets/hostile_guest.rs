//! Guests that lie about pointers, memory and handles: the right trap, and nothing changed that is not theirs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atoll_fuzz::pair::hostile(data));
