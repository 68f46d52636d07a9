//! Core modules by atoll and by Wasmtime: the same results, traps, globals, tables and memories.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atoll_fuzz::differ::check(data));
