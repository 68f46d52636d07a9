//! Trees that run and are supervised: what the rules order is what is done. Most run on a simulated machine, in an order that a
//! seed decides.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use abi::fault::{Fault, Trap};
use abi::value::Value;
use ipc::launched::Launched;
use ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::options::{Isolate, LinkOptions};
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::sched::machine::{Machine, MachineOptions};

use super::child_spec::{Child, Restart, Spec, Strategy};
use super::driver::{Driver, Undrivable};
use super::overseer::Outcome;
use super::tended::Tended;
use crate::steward::{Steward, Ward};

/// `a`, `b` and `c` count, trap for 9 and spin for 6; `d` asks `a`. What `ok` and `bad` have to run ends at once.
const TREE: &str = r#"
(component
  (component $Counter
    (core module $m
      (global $count (mut i32) (i32.const 0))
      (func (export "poke") (param $n i32) (result i32)
        (if (i32.eq (local.get $n) (i32.const 9)) (then (unreachable)))
        (if (i32.eq (local.get $n) (i32.const 6)) (then (loop $l (br $l))))
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (global.get $count)))
    (core instance $i (instantiate $m))
    (func (export "poke") (param "n" u32) (result u32) (canon lift (core func $i "poke"))))
  (component $Asker
    (import "poke" (func $poke (param "n" u32) (result u32)))
    (core func $poke' (canon lower (func $poke)))
    (core module $m
      (import "" "poke" (func $poke (param i32) (result i32)))
      (func (export "poke") (param i32) (result i32) (call $poke (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance (export "poke" (func $poke'))))))
    (func (export "poke") (param "n" u32) (result u32) (canon lift (core func $i "poke"))))
  (component $Runner
    (core module $m
      (func (export "ok") (result i32) (i32.const 0))
      (func (export "bad") (result i32) (i32.const 1)))
    (core instance $i (instantiate $m))
    (func (export "ok") (result (result)) (canon lift (core func $i "ok")))
    (func (export "bad") (result (result)) (canon lift (core func $i "bad"))))
  (instance $a (instantiate $Counter))
  (instance $b (instantiate $Counter))
  (instance $c (instantiate $Counter))
  (instance $d (instantiate $Asker (with "poke" (func $a "poke"))))
  (instance $ok (instantiate $Runner))
  (instance $bad (instantiate $Runner))
  (export "a" (func $a "poke")) (export "b" (func $b "poke")) (export "c" (func $c "poke"))
  (export "d" (func $d "poke"))
  (export "ok" (func $ok "ok")) (export "bad" (func $bad "bad")))
"#;

struct Rig {
    system: System,
    launched: Arc<Launched>,
    driver: Driver,
    steward: Tended,
    told: Arc<Mutex<Vec<String>>>,
    /// What is added to the machine's time.
    later_ns: u64,
}

const SHUTDOWN_NS: u64 = 1_000_000_000;

fn child(name: &str, restart: Restart) -> Child {
    Child::Process { path: format!("/t/{name}"), restart, shutdown_ns: SHUTDOWN_NS }
}

fn abc(strategy: Strategy) -> Spec {
    let children = ["a", "b", "c"].map(|name| child(name, Restart::Permanent)).into();
    Spec { name: "t".to_owned(), strategy, intensity: 3, period_ns: 1 << 40, children }
}

fn launch(system: &System, on_fault: OnFault) -> Arc<Launched> {
    let engine = Engine::new().expect("this machine is known");
    let binary = wat::parse_str(TREE).expect("it is written well");
    let executable = Executable::parse(&engine, &binary).expect("it is valid");
    let edge = EdgePolicy { on_fault, deadline_ns: None };
    let options = LinkOptions { isolate: Isolate::All, edge, ..LinkOptions::new("t") };
    let linked = Arc::new(executable.link(&Imports::default(), &options).expect("it imports nothing"));
    Arc::new(system.launch(&engine, linked, Box::new(()), Placement::default()).expect("it fits"))
}

impl Rig {
    fn new(spec: &Spec, on_fault: OnFault) -> Rig {
        let system = System::on(Machine::simulate(7).expect("time can be simulated"));
        let launched = launch(&system, on_fault);
        let told = Arc::<Mutex<Vec<String>>>::default();
        let notes = Arc::clone(&told);
        let tell = move |happening: &super::happening::Happening| {
            let subject = happening.subject().unwrap_or("tree").trim_start_matches("/t/").to_owned();
            notes.lock().expect("nobody panics").push(format!("{subject} {happening}"));
        };
        let run_of = |path: &str| match path {
            "/t/ok" => launched.func(&["ok"]).ok(),
            "/t/bad" => launched.func(&["bad"]).ok(),
            _ => None,
        };
        let mut driver = Driver::new(&launched, spec, &run_of, Box::new(tell)).expect("all begin domains");
        let steward = Tended::new(Ward::new("t", "t.wat", &launched, &Arc::default()), &driver);
        driver.begin(0);
        let mut rig = Rig { system, launched, driver, steward, told, later_ns: 0 };
        rig.settle();
        rig.heard();
        rig
    }

    /// Lets everything happen that is going to.
    fn settle(&mut self) {
        let mut calm = 0;
        for _ in 0..100_000 {
            let now_ns = self.system.machine().clock().now_ns() + self.later_ns;
            self.driver.turn(now_ns, Waker::noop());
            calm = if self.system.machine().step() { 0 } else { calm + 1 };
            if calm == 3 {
                return;
            }
        }
        // Somebody spins.
    }

    /// What was told since the last time.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().expect("nobody panics"))
    }

    fn poke(&mut self, name: &str, n: u32) -> Result<u32, Trap> {
        let func = self.launched.func(&[name]).expect("it is exported");
        let call = self.launched.start_call(&func, vec![Value::U32(n)]).expect("it is short");
        let mut call = Box::pin(call);
        for _ in 0..100_000 {
            let mut context = std::task::Context::from_waker(Waker::noop());
            if let std::task::Poll::Ready(answer) = Future::poll(call.as_mut(), &mut context) {
                return answer.map(number).map_err(|fault: Fault| fault.trap);
            }
            let now_ns = self.system.machine().clock().now_ns() + self.later_ns;
            self.driver.turn(now_ns, Waker::noop());
            self.system.machine().step();
        }
        panic!("{name}({n}) is not answered");
    }

    /// How often each of `a`, `b` and `c` has counted, this time included.
    fn counts(&mut self) -> [u32; 3] {
        ["a", "b", "c"].map(|name| self.poke(name, 0).expect("it is up"))
    }
}

fn number(value: Option<Value>) -> u32 {
    match value {
        Some(Value::U32(number)) => number,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_is_restarted_has_fresh_state_and_the_next_generation() {
    let restarted = [
        (Strategy::OneForOne, [3, 1, 3]),
        (Strategy::RestForOne, [3, 1, 1]),
        (Strategy::OneForAll, [1, 1, 1]),
    ];
    for (strategy, counts) in restarted {
        let mut rig = Rig::new(&abc(strategy), OnFault::Trap);
        assert_eq!((rig.counts(), rig.counts()), ([1; 3], [2; 3]));
        assert_eq!(rig.poke("b", 9), Err(Trap::Unreachable));
        rig.settle();
        assert_eq!(rig.counts(), counts, "{strategy}");
        let heard = rig.heard();
        assert_eq!(heard[0], "b FAULT: wasm `unreachable` instruction executed in m!poke of /t/b (gen0)");
        assert!(heard[1].contains("(restart 1 of 3 within"), "{heard:?}");
        assert!(heard.contains(&"b started (gen1)".to_owned()), "{heard:?}");
        let supervised = rig.steward.supervised("/t/b").expect("it is supervised");
        assert_eq!((supervised.restarts, supervised.given_up), (1, false));
    }
}

#[test]
fn who_is_killed_comes_back_and_who_is_terminated_does_not() {
    let mut rig = Rig::new(&abc(Strategy::OneForOne), OnFault::Trap);
    rig.steward.kill("/t/b", "by a test").expect("it is there");
    rig.settle();
    assert_eq!(rig.heard()[0], "b ended: killed: by a test (gen0)");
    assert_eq!(rig.counts(), [1; 3]);
    rig.steward.terminate("/t/b", "by a test").expect("it is there");
    rig.settle();
    assert_eq!(rig.heard()[0], "b is asked to end");
    assert!(matches!(rig.poke("b", 0), Err(Trap::Gone(_))));
    assert!(rig.steward.supervised("/t/b").is_some_and(|b| b.given_up && b.restarts == 1));
    for _ in 0..5 {
        rig.steward.restart("/t/b", "by a test").expect("it is there");
        rig.settle();
        assert_eq!(rig.poke("b", 0), Ok(1), "no restart of a person's is counted");
    }
    assert_eq!(rig.heard().last().map(String::as_str), Some("b started (gen6)"));
    assert!(rig.steward.kill("/t/nobody", "by a test").is_err());
    assert!(rig.steward.supervised("/t").is_none());
}

#[test]
fn more_restarts_than_intensity_end_the_tree() {
    let mut rig = Rig::new(&abc(Strategy::OneForOne), OnFault::Trap);
    for _ in 0..3 {
        assert!(rig.poke("b", 9).is_err());
        rig.settle();
        assert_eq!(rig.driver.over(), None);
    }
    assert!(rig.poke("b", 9).is_err());
    rig.settle();
    assert_eq!(rig.driver.over(), Some(Outcome::GaveUp));
    let heard = rig.heard();
    assert!(heard.iter().any(|line| line.starts_with("t gives up: more than 3 restarts")), "{heard:?}");
    for name in ["a", "b", "c"] {
        assert!(matches!(rig.poke(name, 0), Err(Trap::Gone(_))), "{name} is left");
    }
}

#[test]
fn what_is_run_ends_as_its_restart_type_says() {
    let spec = |restart| {
        let children = ["ok", "bad"].map(|name| child(name, restart)).into();
        Spec { intensity: 2, children, ..abc(Strategy::OneForOne) }
    };
    let rig = Rig::new(&spec(Restart::Temporary), OnFault::Trap);
    assert_eq!((rig.driver.over(), rig.driver.has_failed()), (Some(Outcome::Finished), true));
    let rig = Rig::new(&spec(Restart::Transient), OnFault::Trap);
    assert_eq!(rig.driver.over(), Some(Outcome::GaveUp), "`bad` never does better");
    let only_ok = Spec { children: vec![child("ok", Restart::Transient)], ..abc(Strategy::OneForOne) };
    let mut rig = Rig::new(&only_ok, OnFault::Trap);
    assert_eq!((rig.driver.over(), rig.driver.has_failed()), (Some(Outcome::Finished), false));
    rig.settle();
    let kept = Spec { children: vec![child("ok", Restart::Permanent)], ..abc(Strategy::OneForOne) };
    assert_eq!(Rig::new(&kept, OnFault::Trap).driver.over(), Some(Outcome::GaveUp), "it returns each time");
}

#[test]
fn a_caller_that_tries_again_begins_the_next_life_and_its_supervisor_counts_it() {
    let children = ["a", "d"].map(|name| child(name, Restart::Permanent)).into();
    let mut rig = Rig::new(&Spec { children, ..abc(Strategy::OneForOne) }, OnFault::Retry(1));
    assert_eq!((rig.poke("d", 0), rig.poke("d", 0)), (Ok(1), Ok(2)));
    // Both lives that are asked trap, and d with them.
    assert_eq!(rig.poke("d", 9), Err(Trap::Unreachable));
    rig.settle();
    assert_eq!(rig.poke("d", 0), Ok(1));
    assert_eq!(rig.driver.over(), None);
    let restarts = rig.steward.supervised("/t/a").expect("it is supervised").restarts;
    assert!((1..=2).contains(&restarts), "{restarts}");
    rig.steward.terminate("/t/a", "by a test").expect("it is there");
    rig.settle();
    assert!(rig.poke("d", 0).is_err());
    rig.settle();
    assert!(rig.steward.supervised("/t/a").is_some_and(|a| a.given_up), "no caller brings it back");
}

#[test]
fn a_tree_is_shut_down_in_reverse_order_within_its_times() {
    let mut rig = Rig::new(&abc(Strategy::OneForOne), OnFault::Trap);
    let func = rig.launched.func(&["b"]).expect("it is exported");
    let spins = rig.launched.start_call(&func, vec![Value::U32(6)]).expect("it is short");
    let mut spins = Box::pin(spins);
    let mut context = std::task::Context::from_waker(Waker::noop());
    assert!(Future::poll(spins.as_mut(), &mut context).is_pending());
    rig.steward.shut_down("a test");
    let now_ns = rig.system.machine().clock().now_ns();
    rig.driver.turn(now_ns, Waker::noop());
    // A simulated machine does not interrupt who spins, so nothing is stepped before it is to be killed.
    assert!(rig.driver.over().is_none());
    rig.launched.let_go(1, "by a test").ok();
    rig.steward.kill("/t/b", "by a test").expect("it is there");
    rig.later_ns = 2 * SHUTDOWN_NS;
    rig.settle();
    assert_eq!(rig.driver.over(), Some(Outcome::ShutDown));
    let heard = rig.heard();
    let asked: Vec<&str> = heard.iter().filter_map(|line| line.strip_suffix(" is asked to end")).collect();
    assert_eq!(heard[0], "tree shuts down (a test)");
    // Whether `b` ends before its turn comes is up to the machine's seed.
    assert!([vec!["c", "b", "a"], vec!["c", "a"]].contains(&asked), "{asked:?}");
}

#[test]
fn who_spins_is_killed_when_its_time_is_up() {
    let system = System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() });
    let system = system.expect("there is a machine");
    let launched = launch(&system, OnFault::Trap);
    let children = vec![Child::Process {
        path: "/t/b".to_owned(),
        restart: Restart::Permanent,
        shutdown_ns: 20_000_000,
    }];
    let spec = Spec { children, ..abc(Strategy::OneForOne) };
    let mut driver = Driver::new(&launched, &spec, &|_| None, Box::new(|_| {})).expect("it begins a domain");
    let again = Driver::new(&launched, &spec, &|_| None, Box::new(|_| {})).err();
    assert_eq!(again, Some(Undrivable::Taken));
    let steward = Tended::new(Ward::new("t", "t.wat", &launched, &Arc::default()), &driver);
    let spins = {
        let launched = Arc::clone(&launched);
        std::thread::spawn(move || {
            launched.call(&launched.func(&["b"]).expect("it is there"), vec![Value::U32(6)])
        })
    };
    while launched.domains().iter().all(|domain| domain.calls == 0) {
        std::thread::yield_now();
    }
    steward.shut_down("a test");
    assert_eq!(driver.run(), Outcome::ShutDown);
    assert!(spins.join().expect("it does not panic").is_err());
}

/// How long whoever has called may wait for an answer once nothing is restarted any more.
const LAST_ANSWERS: Duration = Duration::from_secs(60);

/// `ATOLL_RESTARTS` sets how many.
#[test]
fn restarts_under_calls_lose_no_reply() {
    let count: u64 = std::env::var("ATOLL_RESTARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let system = System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() });
    let system = system.expect("there is a machine");
    let launched = launch(&system, OnFault::Trap);
    let spec = Spec { intensity: u32::MAX, ..abc(Strategy::RestForOne) };
    let mut driver = Driver::new(&launched, &spec, &|_| None, Box::new(|_| {})).expect("all begin domains");
    let steward = Arc::new(Tended::new(Ward::new("t", "t.wat", &launched, &Arc::default()), &driver));
    let drives = std::thread::spawn(move || driver.run());
    let enough = Arc::new(AtomicBool::new(false));
    // Every call returns: with what was asked for, or with why not. The last caller asks for what traps.
    let callers = [("a", 0), ("b", 0), ("c", 0), ("b", 9)].map(|(name, asked)| {
        let (launched, enough) = (Arc::clone(&launched), Arc::clone(&enough));
        std::thread::spawn(move || {
            let func = launched.func(&[name]).expect("it is exported");
            let (mut calls, mut results) = (0, 0);
            while !enough.load(Ordering::Relaxed) {
                calls += 1;
                results += u64::from(launched.call(&func, vec![Value::U32(asked)]).is_ok());
            }
            (calls, results)
        })
    });
    let restarts = |path| steward.supervised(path).expect("it is supervised").restarts;
    while restarts("/t/b") < count {
        steward.kill("/t/b", "by a test").expect("it is there");
        std::thread::sleep(Duration::from_millis(1));
    }
    enough.store(true, Ordering::Relaxed);
    let end = Instant::now() + LAST_ANSWERS;
    let answered = callers.map(|caller| {
        while !caller.is_finished() {
            assert!(Instant::now() < end, "a call is not answered");
            std::thread::sleep(Duration::from_millis(1));
        }
        caller.join().expect("no panic")
    });
    eprintln!("{} restarts of b; (calls, results) of a, b, c, what traps: {answered:?}", restarts("/t/b"));
    let [a, b, c, traps] = answered;
    assert_eq!((a.0, restarts("/t/a")), (a.1, 0), "a is never restarted");
    assert!(b.1 > 0 && c.1 > 0, "between restarts they are up");
    assert_eq!(traps.1, 0);
    // Whatever has happened: it is up again.
    let end = Instant::now() + LAST_ANSWERS;
    for name in ["b", "c"] {
        let func = launched.func(&[name]).expect("it is exported");
        while launched.call(&func, vec![Value::U32(0)]).is_err() {
            assert!(Instant::now() < end, "{name} does not come back");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    steward.shut_down("a test");
    assert_eq!(drives.join().expect("it does not panic"), Outcome::ShutDown);
}
