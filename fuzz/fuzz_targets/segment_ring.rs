//! A process that scribbles over the segment it shares with us, and says what no process of ours says: a fault of its
//! domain, never a panic, never a wait without an end.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atoll_fuzz::hostile_segment::check(data));
