//! Calls whose callee runs at once, on the caller's worker: they give what a message gives, and stop what a message stops.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use abi::fault::Trap;
use abi::state::ProcessState;
use abi::value::Value;
use atoll_ipc::launched::Launched;
use atoll_ipc::system::{Place, Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::quota::{Quota, Quotas};
use kernel::sched::account::Share;
use kernel::sched::machine::MachineOptions;

/// The mill does what its functions say, and takes its time to allocate if it is told to. The front passes on what it is
/// given, right or wrong.
const MILL: &str = r#"
(component
  (component $Mill
    (core module $m
      (memory (export "mem") 4)
      (global $slow (mut i32) (i32.const 0))
      (global $done (mut i32) (i32.const 0))
      (global $next (mut i32) (i32.const 65536))
      (func $wait (param $n i32)
        (loop $l (br_if $l (i32.ge_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0)))))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (call $wait (global.get $slow))
        (if (i32.eq (global.get $slow) (i32.const -2)) (then (return (i32.const -1))))
        (i32.const 65536))
      (func (export "slow") (param i32) (global.set $slow (local.get 0)))
      (func (export "done") (result i32) (global.get $done))
      (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
      (func (export "not") (param i32) (result i32) (i32.eqz (local.get 0)))
      (func (export "same") (param i32) (result i32) (local.get 0))
      (func (export "half") (param f64 f32) (result f32)
        (f32.mul (f32.demote_f64 (local.get 0)) (local.get 1)))
      (func (export "wide") (param i64) (result i64) (i64.add (local.get 0) (i64.const 1)))
      (func $sum (export "sum") (param $at i32) (param $count i32) (result i32) (local $sum i32)
        (block $end (loop $l
          (br_if $end (i32.eqz (local.get $count)))
          (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (i32.load8_u (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $count (i32.sub (local.get $count) (i32.const 1)))
          (br $l)))
        (global.set $done (i32.add (global.get $done) (i32.const 1)))
        (local.get $sum))
      (func (export "words") (param i32 i32) (result i32)
        (call $sum (local.get 0) (i32.mul (local.get 1) (i32.const 4))))
      (func (export "echo") (param i32 i32) (result i32)
        (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16))
      (func (export "seventeen") (param i32) (result i32) (call $sum (local.get 0) (i32.const 68)))
      (func (export "maybe") (param i32 i32) (result i32)
        (if (result i32) (local.get 0) (then (local.get 1)) (else (i32.const 7))))
      (func (export "grind") (param $n i32) (result i32)
        (call $wait (local.get $n))
        (global.set $done (i32.add (global.get $done) (i32.const 1)))
        (i32.const 1))
      (func (export "try") (param $n i32) (result i32)
        (if (i32.eqz (local.get $n)) (then (unreachable)))
        (i32.const 0)))
    (core instance $i (instantiate $m))
    (alias core export $i "mem" (core memory $mem))
    (alias core export $i "realloc" (core func $realloc))
    (func (export "slow") (param "n" u32) (canon lift (core func $i "slow")))
    (func (export "done") (result u32) (canon lift (core func $i "done")))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (func (export "not") (param "v" bool) (result bool) (canon lift (core func $i "not")))
    (func (export "small") (param "v" s8) (result u16) (canon lift (core func $i "same")))
    (func (export "char") (param "v" char) (result char) (canon lift (core func $i "same")))
    (func (export "half") (param "a" f64) (param "b" f32) (result f32) (canon lift (core func $i "half")))
    (func (export "wide") (param "v" u64) (result u64) (canon lift (core func $i "wide")))
    (func (export "text") (param "v" string) (result u32)
      (canon lift (core func $i "sum") (memory $mem) (realloc $realloc)))
    (func (export "bytes") (param "v" (list u8)) (result u32)
      (canon lift (core func $i "sum") (memory $mem) (realloc $realloc)))
    (func (export "words") (param "v" (list u32)) (result u32)
      (canon lift (core func $i "words") (memory $mem) (realloc $realloc)))
    (func (export "echo") (param "v" string) (result string)
      (canon lift (core func $i "echo") (memory $mem) (realloc $realloc)))
    (func (export "seventeen")
      (param "a" u32) (param "b" u32) (param "c" u32) (param "d" u32) (param "e" u32) (param "f" u32)
      (param "g" u32) (param "h" u32) (param "i" u32) (param "j" u32) (param "k" u32) (param "l" u32)
      (param "m" u32) (param "n" u32) (param "o" u32) (param "p" u32) (param "q" u32) (result u32)
      (canon lift (core func $i "seventeen") (memory $mem) (realloc $realloc)))
    (func (export "maybe") (param "v" (option u32)) (result u32) (canon lift (core func $i "maybe")))
    (func (export "grind") (param "n" u32) (result u32) (canon lift (core func $i "grind")))
    (func (export "try") (param "n" u32) (result (result)) (canon lift (core func $i "try"))))
  (component $Front
    (import "mill" (instance $mill
      (export "slow" (func (param "n" u32)))
      (export "done" (func (result u32)))
      (export "add" (func (param "a" u32) (param "b" u32) (result u32)))
      (export "not" (func (param "v" bool) (result bool)))
      (export "small" (func (param "v" s8) (result u16)))
      (export "char" (func (param "v" char) (result char)))
      (export "half" (func (param "a" f64) (param "b" f32) (result f32)))
      (export "wide" (func (param "v" u64) (result u64)))
      (export "text" (func (param "v" string) (result u32)))
      (export "bytes" (func (param "v" (list u8)) (result u32)))
      (export "words" (func (param "v" (list u32)) (result u32)))
      (export "echo" (func (param "v" string) (result string)))
      (export "seventeen" (func
        (param "a" u32) (param "b" u32) (param "c" u32) (param "d" u32) (param "e" u32) (param "f" u32)
        (param "g" u32) (param "h" u32) (param "i" u32) (param "j" u32) (param "k" u32) (param "l" u32)
        (param "m" u32) (param "n" u32) (param "o" u32) (param "p" u32) (param "q" u32) (result u32)))
      (export "maybe" (func (param "v" (option u32)) (result u32)))
      (export "grind" (func (param "n" u32) (result u32)))
      (export "try" (func (param "n" u32) (result (result))))))
    (core module $libc
      (memory (export "mem") 4)
      (data (i32.const 256) "All letters, and then some: \c3\a9\e2\82\ac\f0\9f\a6\80 done")
      (data (i32.const 512) "\ff\fe")
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 131072)))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "mem" (core memory $mem))
    (alias core export $libc "realloc" (core func $realloc))
    (core func $slow (canon lower (func $mill "slow")))
    (core func $done (canon lower (func $mill "done")))
    (core func $add (canon lower (func $mill "add")))
    (core func $not (canon lower (func $mill "not")))
    (core func $small (canon lower (func $mill "small")))
    (core func $char (canon lower (func $mill "char")))
    (core func $half (canon lower (func $mill "half")))
    (core func $wide (canon lower (func $mill "wide")))
    (core func $text (canon lower (func $mill "text") (memory $mem)))
    (core func $bytes (canon lower (func $mill "bytes") (memory $mem)))
    (core func $words (canon lower (func $mill "words") (memory $mem)))
    (core func $echo (canon lower (func $mill "echo") (memory $mem) (realloc $realloc)))
    (core func $seventeen (canon lower (func $mill "seventeen") (memory $mem)))
    (core func $maybe (canon lower (func $mill "maybe")))
    (core func $grind (canon lower (func $mill "grind")))
    (core func $try (canon lower (func $mill "try")))
    (core module $m
      (import "" "mem" (memory 4))
      (import "" "half" (func $half (param f64 f32) (result f32)))
      (import "" "wide" (func $wide (param i64) (result i64)))
      (import "" "echo" (func $echo (param i32 i32 i32)))
      (func (export "half") (param i32 i32) (result i32)
        (i32.reinterpret_f32
          (call $half (f64.convert_i32_u (local.get 0)) (f32.reinterpret_i32 (local.get 1)))))
      (func (export "wide") (param i32 i32) (result i32)
        (i32.wrap_i64 (i64.shr_u
          (call $wide (i64.or (i64.extend_i32_u (local.get 0))
            (i64.shl (i64.extend_i32_u (local.get 1)) (i64.const 32)))) (i64.const 16))))
      (func (export "again") (param $n i32) (result i32) (local $sum i32)
        (loop $l
          (call $echo (i32.const 256) (i32.and (local.get $n) (i32.const 15)) (i32.const 64))
          (local.set $sum (i32.add (local.get $sum) (i32.add (i32.load (i32.const 68))
            (i32.wrap_i64 (call $wide (i64.extend_i32_u (local.get $n)))))))
          (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))
      (func (export "echo") (param i32 i32) (result i32)
        (call $echo (local.get 0) (local.get 1) (i32.const 64))
        (i32.add (i32.load (i32.const 68)) (i32.load8_u (i32.load (i32.const 64))))))
    (core instance $i (instantiate $m (with "" (instance
      (export "mem" (memory $mem)) (export "half" (func $half)) (export "wide" (func $wide))
      (export "echo" (func $echo))))))
    (func (export "slow") (param "n" u32) (canon lift (core func $slow)))
    (func (export "done") (result u32) (canon lift (core func $done)))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $add)))
    (func (export "not") (param "v" u32) (result u32) (canon lift (core func $not)))
    (func (export "small") (param "v" u32) (result u32) (canon lift (core func $small)))
    (func (export "char") (param "v" u32) (result u32) (canon lift (core func $char)))
    (func (export "half") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "half")))
    (func (export "wide") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "wide")))
    (func (export "text") (param "at" u32) (param "n" u32) (result u32) (canon lift (core func $text)))
    (func (export "bytes") (param "at" u32) (param "n" u32) (result u32) (canon lift (core func $bytes)))
    (func (export "words") (param "at" u32) (param "n" u32) (result u32) (canon lift (core func $words)))
    (func (export "echo") (param "at" u32) (param "n" u32) (result u32) (canon lift (core func $i "echo")))
    (func (export "again") (param "n" u32) (result u32) (canon lift (core func $i "again")))
    (func (export "seventeen") (param "at" u32) (result u32) (canon lift (core func $seventeen)))
    (func (export "maybe") (param "case" u32) (param "n" u32) (result u32) (canon lift (core func $maybe)))
    (func (export "grind") (param "n" u32) (result u32) (canon lift (core func $grind)))
    (func (export "try") (param "n" u32) (result u32) (canon lift (core func $try))))
  (instance $mill (instantiate $Mill))
  (instance $front (instantiate $Front (with "mill" (instance $mill))))
  (export "front" (instance $front)))
"#;

const FRONT: u32 = 2;
const MILLER: u32 = 1;

fn system() -> System {
    System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() }).unwrap()
}

fn launch(system: &System, edge: EdgePolicy, place: impl Fn(u32) -> Placement) -> Launched {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(MILL).unwrap()).unwrap();
    let options = LinkOptions { isolate: Isolate::All, edge, ..LinkOptions::new("town") };
    let linked = Arc::new(executable.link(&Imports::default(), &options).unwrap());
    let path = |index: u32| linked.domain_roots().nth(index as usize).unwrap().1.to_owned();
    assert_eq!((path(MILLER), path(FRONT)), ("/town/mill".to_owned(), "/town/front".to_owned()));
    let linked = Arc::clone(&linked);
    system.launch_within(&engine, linked, Box::new(()), Quotas::default(), |number, _| place(number)).unwrap()
}

fn near(system: &System, edge: EdgePolicy) -> Launched {
    launch(system, edge, |_| Placement::default())
}

fn far(system: &System, edge: EdgePolicy) -> Launched {
    let place = |number| Place::Worker((number == FRONT).into());
    launch(system, edge, |number| Placement { place: place(number), ..Placement::default() })
}

fn ask(town: &Launched, name: &str, args: &[u32]) -> Result<u32, Trap> {
    let args = args.iter().map(|arg| Value::U32(*arg)).collect();
    match town.call(&town.func(&["front", name]).unwrap(), args) {
        Ok(Some(Value::U32(value))) => Ok(value),
        Ok(None) => Ok(0),
        Ok(other) => panic!("{other:?}"),
        Err(fault) => Err(fault.trap),
    }
}

fn visits(town: &Launched) -> u64 {
    town.domain(MILLER).unwrap().thread().unwrap().visits()
}

fn state(town: &Launched, path: &str) -> ProcessState {
    town.tree().processes().into_iter().find(|process| process.info.path == path).unwrap().state
}

fn soon(what: &str, mut has_come: impl FnMut() -> bool) {
    let start = Instant::now();
    while !has_come() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Calls with values that are right, of every way that values go.
const RIGHT: [(&str, &[u32]); 22] = [
    ("add", &[3, 4]),
    ("add", &[u32::MAX, 2]),
    ("not", &[0]),
    ("not", &[2]),
    ("not", &[256]),
    ("small", &[0x1ff]),
    ("small", &[0x7f]),
    ("char", &[0x1f980]),
    ("char", &[0xe000]),
    ("half", &[9, 0x3f00_0000]),
    ("wide", &[u32::MAX, 5]),
    ("text", &[256, 28]),
    ("text", &[256, 37]),
    ("text", &[0, 0]),
    ("bytes", &[250, 300]),
    ("bytes", &[65536, 0]),
    ("words", &[256, 40]),
    ("echo", &[256, 42]),
    ("echo", &[256, 0]),
    ("seventeen", &[256]),
    ("maybe", &[0, 5]),
    ("maybe", &[1, 5]),
];

/// Calls with values that are wrong.
const WRONG: [(&str, &[u32]); 12] = [
    ("char", &[0xd800]),
    ("char", &[0x11_0000]),
    ("text", &[512, 2]),
    ("text", &[256, 36]),
    ("text", &[4 * 65536 - 4, 5]),
    ("text", &[u32::MAX, u32::MAX]),
    ("bytes", &[4 * 65536 - 4, 5]),
    ("bytes", &[u32::MAX, u32::MAX]),
    ("words", &[2, 1]),
    ("words", &[0, 1 << 30]),
    ("seventeen", &[258]),
    ("maybe", &[2, 0]),
];

#[test]
fn an_idle_callee_gets_no_message_and_answers_the_same() {
    let system = system();
    let (near, far) = (near(&system, EdgePolicy::default()), far(&system, EdgePolicy::default()));
    for (name, args) in RIGHT {
        assert_eq!(ask(&near, name, args), ask(&far, name, args), "{name} {args:?}");
    }
    assert_eq!(visits(&near), RIGHT.len() as u64);
    assert_eq!(near.domain(MILLER).unwrap().mailbox().peak(), 0);
    for domain in [MILLER, FRONT] {
        assert_eq!(near.domain(domain).unwrap().calls(), far.domain(domain).unwrap().calls());
    }
    // What is counted is the same too.
    let meters = |town: &Launched| -> Vec<(u64, u64, u64, u64)> {
        let processes = town.tree().processes();
        let meters = processes.iter().map(|process| process.meters);
        meters.map(|m| (m.calls, m.host_calls, m.bytes_in, m.bytes_out)).collect()
    };
    assert_eq!(meters(&near), meters(&far));
}

#[test]
fn calls_in_a_row_to_another_worker_go_over_a_line_and_give_the_same() {
    const CALLS: u32 = 500;
    let system = system();
    let far = far(&system, EdgePolicy::default());
    let sum = (1..=CALLS).map(|n| (n & 15) + n + 1).sum();
    let mut rounds = 0;
    soon("a call goes over a line", || {
        assert_eq!(ask(&far, "again", &[CALLS]), Ok(sum));
        rounds += 1;
        visits(&far) > 100
    });
    assert_eq!(far.domain(MILLER).unwrap().calls(), rounds * u64::from(2 * CALLS));
}

#[test]
fn either_end_of_a_line_can_be_ended_and_the_other_one_is_told() {
    let system = system();
    let town = far(&system, EdgePolicy::default());
    for victim in [MILLER, FRONT].repeat(5) {
        let before = visits(&town);
        thread::scope(|scope| {
            // So often that it has no end.
            let asks = scope.spawn(|| ask(&town, "again", &[0]));
            soon("calls go over a line", || visits(&town) > before + 100 || asks.is_finished());
            town.kill(victim, "by a test").unwrap();
            assert!(matches!(asks.join().unwrap(), Err(Trap::Killed(_) | Trap::Gone(_))));
        });
        for domain in [MILLER, FRONT] {
            town.restart(domain, "by a test").unwrap();
        }
        assert_eq!(ask(&town, "again", &[3]), Ok(3 + 2 + 1 + 4 + 3 + 2));
    }
}

#[test]
fn values_that_are_wrong_end_the_caller_and_not_the_callee() {
    let system = system();
    let (near, far) = (near(&system, EdgePolicy::default()), far(&system, EdgePolicy::default()));
    for (name, args) in WRONG {
        let (here, there) = (ask(&near, name, args), ask(&far, name, args));
        assert!(here.is_err(), "{name} {args:?}");
        assert_eq!(here, there, "{name} {args:?}");
        for town in [&near, &far] {
            assert_eq!(state(town, "/town/mill"), ProcessState::Ready, "{name} {args:?}");
            assert_eq!(state(town, "/town/front"), ProcessState::Faulted, "{name} {args:?}");
            town.restart(FRONT, "by a test").unwrap();
            assert_eq!(ask(town, "add", &[1, 1]), Ok(2));
        }
    }
    assert_eq!(near.tree().faults().len(), far.tree().faults().len());
    assert!(visits(&near) >= WRONG.len() as u64);
}

#[test]
fn what_the_callee_does_wrong_ends_the_callee() {
    let system = system();
    let edge = EdgePolicy { on_fault: OnFault::Error, deadline_ns: None };
    for town in [near(&system, edge), far(&system, edge)] {
        assert_eq!(ask(&town, "try", &[1]), Ok(0));
        assert_eq!(ask(&town, "try", &[0]), Ok(1));
        assert_eq!(state(&town, "/town/mill"), ProcessState::Faulted);
        assert_eq!(state(&town, "/town/front"), ProcessState::Ready);
        assert_eq!(ask(&town, "try", &[1]), Ok(1));
        town.restart(MILLER, "by a test").unwrap();
        assert_eq!(ask(&town, "try", &[1]), Ok(0));
        // An allocation that lies: no `err` can be had of a string, so the front goes too.
        ask(&town, "slow", &[-2_i32 as u32]).unwrap();
        let trap = ask(&town, "text", &[256, 4]).unwrap_err();
        assert!(matches!(trap, Trap::ReallocOutOfBounds { .. }), "{trap}");
        assert_eq!(state(&town, "/town/mill"), ProcessState::Faulted);
        assert_eq!(state(&town, "/town/front"), ProcessState::Faulted);
    }
}

/// Turns of a loop that take far longer than any slice.
const LONG: u32 = 400_000_000;

#[test]
fn a_caller_that_is_killed_leaves_its_callee_to_finish() {
    let system = system();
    let calls = |town: &Launched| town.domain(MILLER).unwrap().calls();
    // In the middle of the callee's work, and while the callee still reads what the caller has.
    for (name, args) in [("grind", &[LONG][..]), ("bytes", &[0, 150_000])] {
        for town in [near(&system, EdgePolicy::default()), far(&system, EdgePolicy::default())] {
            let town = Arc::new(town);
            if name == "bytes" {
                ask(&town, "slow", &[LONG]).unwrap();
            }
            let before = calls(&town);
            let asking = thread::spawn({
                let town = Arc::clone(&town);
                move || ask(&town, name, args)
            });
            soon("it is called", || calls(&town) > before);
            // A message may wait still, and is not served then.
            soon("it is served", || state(&town, "/town/mill") == ProcessState::Running);
            town.kill(FRONT, "by a test").unwrap();
            assert_eq!(asking.join().unwrap(), Err(Trap::Killed("by a test".to_owned())), "{name}");
            town.wait(FRONT).unwrap();
            assert_eq!(town.domains()[MILLER as usize].ended, None);
            town.restart(FRONT, "by a test").unwrap();
            // It waits for the callee, which has done what it was asked for.
            assert_eq!(ask(&town, "done", &[]), Ok(1), "{name}");
        }
    }
}

#[test]
fn a_callee_that_is_killed_or_late_lets_its_caller_go() {
    let system = system();
    let edge = EdgePolicy { on_fault: OnFault::Error, deadline_ns: Some(20_000_000) };
    let town = near(&system, edge);
    let trap = ask(&town, "grind", &[LONG]).unwrap_err();
    assert!(matches!(trap, Trap::Limit { limit: "deadline of a call in ns", .. }), "{trap}");
    let town = Arc::new(near(&system, EdgePolicy { on_fault: OnFault::Error, deadline_ns: None }));
    let asking = thread::spawn({
        let town = Arc::clone(&town);
        move || ask(&town, "grind", &[u32::MAX >> 1])
    });
    soon("it is called", || visits(&town) > 0);
    let views = town.domains();
    assert_eq!(views[FRONT as usize].waits_for.as_deref(), Some("/town/mill"));
    town.kill(MILLER, "by a test").unwrap();
    assert_eq!(asking.join().unwrap(), Err(Trap::Killed("by a test".to_owned())));
}

#[test]
fn who_must_not_run_now_gets_a_message() {
    let system = system();
    let share = Share { cap: Some(500), ..Share::default() };
    let town = launch(&system, EdgePolicy::default(), |_| Placement { share, ..Placement::default() });
    assert_eq!(ask(&town, "add", &[1, 2]), Ok(3));
    assert_eq!(visits(&town), 0);
    let edge = EdgePolicy { on_fault: OnFault::Retry(1), deadline_ns: None };
    let town = near(&system, edge);
    assert_eq!(ask(&town, "add", &[1, 2]), Ok(3));
    assert_eq!(visits(&town), 0);
}

#[test]
fn time_is_whose_thread_it_was() {
    let system = system();
    let town = near(&system, EdgePolicy::default());
    assert_eq!(ask(&town, "grind", &[LONG]), Ok(1));
    let used = |domain| town.account(domain).unwrap().used_ns();
    soon("the turn is over", || used(MILLER) > 0);
    assert!(used(MILLER) > 10 * used(FRONT), "{} {}", used(MILLER), used(FRONT));
}

#[test]
fn a_stack_that_is_too_small_is_the_callees_fault() {
    let system = system();
    let town = near(&system, EdgePolicy::default());
    let mill = town.tree().linked().processes().iter().position(|process| process.path == "/town/mill");
    town.tree().set_quota(mill.unwrap(), Quota { stack_bytes: Some(16), ..Quota::default() }).unwrap();
    let trap = ask(&town, "text", &[256, 4]).unwrap_err();
    assert!(matches!(trap, Trap::Limit { limit: "bytes of a process's stack", .. }), "{trap}");
    assert_eq!(state(&town, "/town/mill"), ProcessState::Faulted);
}
