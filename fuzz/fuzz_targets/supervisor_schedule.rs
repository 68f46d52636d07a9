//! Random trees, calls, faults, kills, deadlines and restarts on a schedule that the input decides: no answer is lost or wrong,
//! supervisors do as OTP's do, and nothing is left.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| atoll_fuzz::schedules::check(data));
