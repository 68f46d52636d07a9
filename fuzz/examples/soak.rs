//! A target without libFuzzer: random inputs by number, so any compiler will do.
//!
//! `cargo run -p atoll-fuzz --example soak -- plan_movers 0 100000`

use std::panic::AssertUnwindSafe;
use std::time::Instant;

/// The longest input, bytes.
const INPUT_BYTES: u64 = 4096;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [target, from, to] = args.as_slice() else { panic!("usage: soak TARGET FROM TO") };
    let check = check(target);
    let (from, to): (u64, u64) = (from.parse().expect("a number"), to.parse().expect("a number"));
    let began = Instant::now();
    let mut findings = 0;
    for number in from..to {
        let input = input(number);
        if std::panic::catch_unwind(AssertUnwindSafe(|| check(&input))).is_err() {
            findings += 1;
            eprintln!("finding: {target} {number}");
        }
        if (number + 1 - from).is_multiple_of(1000) {
            eprintln!("{} inputs, {findings} findings, {:?}", number + 1 - from, began.elapsed());
        }
    }
    println!("{} inputs, {findings} findings, {:?}", to - from, began.elapsed());
}

fn check(target: &str) -> fn(&[u8]) {
    match target {
        "module_diff" => atoll_fuzz::differ::check,
        "component_bytes" => atoll_fuzz::raw::check,
        "plan_movers" => atoll_fuzz::pair::movers,
        "manifest" => atoll_fuzz::manifests::check,
        "control_protocol" => atoll_fuzz::talk::check,
        "hostile_guest" => atoll_fuzz::pair::hostile,
        other => panic!("no target {other}"),
    }
}

fn input(number: u64) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    };
    let length = next() % INPUT_BYTES;
    (0..length).map(|_| (next() & 0xff) as u8).collect()
}
