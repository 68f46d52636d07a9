//! `wasi:io/poll` and the clocks.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use abi::typed::{Borrow, Own};
use servers::bindings::wasi::cli::{stdin, stdout};
use servers::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use servers::bindings::wasi::io::poll::{self, HostPollable, Pollable};
use servers::bindings::wasi::io::streams::{HostInputStream, HostOutputStream};
use servers::turn::Turn;
use servers::{Input, SimulatedClock, Wasi};

fn all(pollables: &[&Own<Pollable>]) -> Vec<Borrow<Pollable>> {
    pollables.iter().map(|pollable| Borrow::new(pollable.rep)).collect()
}

#[test]
fn a_simulated_sleep_takes_no_time() {
    let mut wasi = Wasi::builder().monotonic_clock(SimulatedClock { now_ns: 100 }).build().unwrap();
    let hour = 3_600_000_000_000;
    let soon = monotonic_clock::Host::subscribe_duration(&mut wasi, hour).unwrap();
    let late = monotonic_clock::Host::subscribe_duration(&mut wasi, 2 * hour).unwrap();
    let past = monotonic_clock::Host::subscribe_instant(&mut wasi, 50).unwrap();
    assert!(!HostPollable::ready(&mut wasi, Borrow::new(soon.rep)).unwrap());
    assert_eq!(
        <Wasi as poll::Host>::poll(&mut Turn::alone(&mut wasi), all(&[&late, &past, &soon])).unwrap(),
        [1]
    );
    assert_eq!(<Wasi as poll::Host>::poll(&mut Turn::alone(&mut wasi), all(&[&late, &soon])).unwrap(), [1]);
    assert_eq!(monotonic_clock::Host::now(&mut wasi).unwrap(), 100 + hour);
    <Wasi as HostPollable>::block(&mut Turn::alone(&mut wasi), Borrow::new(late.rep)).unwrap();
    assert_eq!(monotonic_clock::Host::now(&mut wasi).unwrap(), 100 + 2 * hour);
    assert_eq!(
        <Wasi as poll::Host>::poll(&mut Turn::alone(&mut wasi), all(&[&soon, &soon, &late])).unwrap(),
        [0, 1, 2]
    );
    let never = monotonic_clock::Host::subscribe_duration(&mut wasi, u64::MAX).unwrap();
    assert!(!HostPollable::ready(&mut wasi, Borrow::new(never.rep)).unwrap());
}

#[test]
fn a_real_sleep_is_not_shorter_than_asked() {
    let mut wasi = Wasi::builder().build().unwrap();
    let began = Instant::now();
    let soon = monotonic_clock::Host::subscribe_duration(&mut wasi, 20_000_000).unwrap();
    <Wasi as HostPollable>::block(&mut Turn::alone(&mut wasi), Borrow::new(soon.rep)).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(20));
    assert!(monotonic_clock::Host::resolution(&mut wasi).unwrap() > 0);
    let now = wall_clock::Host::now(&mut wasi).unwrap();
    assert!(now.seconds > 1_700_000_000 && now.nanoseconds < 1_000_000_000);
    assert!(wall_clock::Host::resolution(&mut wasi).unwrap().seconds == 0);
}

#[test]
fn input_is_waited_for_beside_a_timer() {
    let (reader, mut writer) = io::pipe().unwrap();
    let mut wasi = Wasi::builder().stdin(Input::fd(reader.into())).build().unwrap();
    let stream = stdin::Host::stdin(&mut wasi).unwrap();
    let input = HostInputStream::subscribe(&mut wasi, Borrow::new(stream.rep)).unwrap();
    let soon = monotonic_clock::Host::subscribe_duration(&mut wasi, 10_000_000).unwrap();
    assert!(!HostPollable::ready(&mut wasi, Borrow::new(input.rep)).unwrap());
    assert_eq!(<Wasi as poll::Host>::poll(&mut Turn::alone(&mut wasi), all(&[&input, &soon])).unwrap(), [1]);
    let later = monotonic_clock::Host::subscribe_duration(&mut wasi, 60_000_000_000).unwrap();
    let writes = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(10));
        writer.write_all(b"x").unwrap();
        writer
    });
    assert_eq!(<Wasi as poll::Host>::poll(&mut Turn::alone(&mut wasi), all(&[&later, &input])).unwrap(), [1]);
    assert_eq!(wasi.read(Borrow::new(stream.rep), 5).unwrap(), Ok(b"x".to_vec()));
    assert!(!HostPollable::ready(&mut wasi, Borrow::new(input.rep)).unwrap());
    // The end of the input is worth waking for, and so is the end of the stream.
    drop(writes.join().unwrap());
    <Wasi as HostPollable>::block(&mut Turn::alone(&mut wasi), Borrow::new(input.rep)).unwrap();
    HostInputStream::dropped(&mut wasi, stream).unwrap();
    assert!(HostPollable::ready(&mut wasi, Borrow::new(input.rep)).unwrap());
}

#[test]
fn a_simulated_clock_still_waits_for_input() {
    let (reader, mut writer) = io::pipe().unwrap();
    let builder = Wasi::builder().stdin(Input::fd(reader.into()));
    let mut wasi = builder.monotonic_clock(SimulatedClock::default()).build().unwrap();
    let stream = stdin::Host::stdin(&mut wasi).unwrap();
    let input = HostInputStream::subscribe(&mut wasi, Borrow::new(stream.rep)).unwrap();
    let soon = monotonic_clock::Host::subscribe_duration(&mut wasi, 10).unwrap();
    writer.write_all(b"x").unwrap();
    assert_eq!(<Wasi as poll::Host>::poll(&mut Turn::alone(&mut wasi), all(&[&soon, &input])).unwrap(), [1]);
    assert_eq!(monotonic_clock::Host::now(&mut wasi).unwrap(), 0);
}

#[test]
fn what_is_always_ready_is_ready() {
    let mut wasi = Wasi::builder().build().unwrap();
    let stream = stdin::Host::stdin(&mut wasi).unwrap();
    let input = HostInputStream::subscribe(&mut wasi, Borrow::new(stream.rep)).unwrap();
    let out = stdout::Host::stdout(&mut wasi).unwrap();
    let output = HostOutputStream::subscribe(&mut wasi, Borrow::new(out.rep)).unwrap();
    assert_eq!(
        <Wasi as poll::Host>::poll(&mut Turn::alone(&mut wasi), all(&[&input, &output])).unwrap(),
        [0, 1]
    );
    HostPollable::dropped(&mut wasi, input).unwrap();
    assert!(<Wasi as poll::Host>::poll(&mut Turn::alone(&mut wasi), Vec::new()).is_err());
}
