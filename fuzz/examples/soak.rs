//! A target without libFuzzer, so any compiler will do (all but `module_diff`, which has the other engine, and `reference`): random inputs by number, for so many seconds at most if it is said, or
//! those that files hold.
//!
//! `cargo run -p atoll-fuzz --example soak -- plan_movers 0 100000 60`
//! `cargo run -p atoll-fuzz --example soak -- plan_movers fuzz/corpus/plan_movers`

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::{Duration, Instant};

/// The longest input, bytes.
const INPUT_BYTES: u64 = 4096;
/// How often it is told how far it is.
const TELL: Duration = Duration::from_secs(20);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let (target, inputs): (&str, Box<dyn Iterator<Item = (String, Vec<u8>)>>) = match args[..] {
        [target, from, to] | [target, from, to, _] => {
            let numbers = number(from)..number(to);
            (target, Box::new(numbers.map(|number| (number.to_string(), input(number)))))
        }
        [target, folder] => (target, Box::new(files(Path::new(folder)))),
        _ => panic!("usage: soak TARGET FROM TO [SECONDS], or soak TARGET FOLDER"),
    };
    let most = args.get(3).map_or(Duration::MAX, |seconds| Duration::from_secs(number(seconds)));
    let check = check(target);
    let began = Instant::now();
    let (mut count, mut findings, mut told) = (0_u64, 0_u64, Duration::ZERO);
    for (name, input) in inputs {
        if std::panic::catch_unwind(AssertUnwindSafe(|| check(&input))).is_err() {
            findings += 1;
            eprintln!("finding: {target} {name}");
        }
        count += 1;
        if began.elapsed() > most {
            break;
        }
        if began.elapsed() > told + TELL {
            told = began.elapsed();
            eprintln!("{count} inputs, {findings} findings, {told:?}");
        }
    }
    println!("{target}: {count} inputs, {findings} findings, {:?}", began.elapsed());
}

fn check(target: &str) -> fn(&[u8]) {
    match target {
        "component_bytes" => atoll_fuzz::raw::check,
        "plan_movers" => atoll_fuzz::pair::movers,
        "hostile_guest" => atoll_fuzz::pair::hostile,
        "manifest" => atoll_fuzz::manifests::check,
        "control_protocol" => atoll_fuzz::talk::check,
        "segment_ring" => atoll_fuzz::hostile_segment::check,
        "value_forms" => atoll_fuzz::forms::check,
        "supervisor_schedule" => atoll_fuzz::schedules::check,
        other => panic!("no target {other}"),
    }
}

fn files(folder: &Path) -> impl Iterator<Item = (String, Vec<u8>)> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| Some((path.display().to_string(), std::fs::read(&path).ok()?)))
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
