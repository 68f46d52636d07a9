//! Any bytes from a client of the control socket: answered or hung up on; what is sent arrives.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atoll_fuzz::talk::check(data));
