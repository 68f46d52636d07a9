//! Whoever watches over a tree is told what becomes of its domains, and lets them end in order.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use abi::fault::{Fault, Trap};
use abi::value::Value;
use atoll_ipc::fates::{Event, Watch, What};
use atoll_ipc::launched::Launched;
use atoll_ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::host::{HostCall, HostFunc, Import, Imports};
use kernel::jit::engine::Engine;
use kernel::sched::machine::MachineOptions;
use kernel::sched::park::{self, Waiter};
use kernel::sched::thread::Thread;

/// The store counts, traps for 9, asks for the end of the program for 8, waits for time for 7 and spins for 6; front asks
/// it.
const PAIR: &str = r#"
(component
  (import "exit" (func $exit))
  (import "sleep" (func $sleep))
  (component $Store
    (import "exit" (func $exit))
    (import "sleep" (func $sleep))
    (core func $exit' (canon lower (func $exit)))
    (core func $sleep' (canon lower (func $sleep)))
    (core module $m
      (import "" "exit" (func $exit))
      (import "" "sleep" (func $sleep))
      (global $count (mut i32) (i32.const 0))
      (func (export "take") (param $n i32) (result i32)
        (if (i32.eq (local.get $n) (i32.const 9)) (then (unreachable)))
        (if (i32.eq (local.get $n) (i32.const 8)) (then (call $exit)))
        (if (i32.eq (local.get $n) (i32.const 7)) (then (loop $l (call $sleep) (br $l))))
        (if (i32.eq (local.get $n) (i32.const 6)) (then (loop $l (br $l))))
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (global.get $count)))
    (core instance $i (instantiate $m (with "" (instance
      (export "exit" (func $exit')) (export "sleep" (func $sleep'))))))
    (func (export "take") (param "n" u32) (result u32) (canon lift (core func $i "take"))))
  (instance $store (instantiate $Store (with "exit" (func $exit)) (with "sleep" (func $sleep))))
  (component $Front
    (import "take" (func $take (param "n" u32) (result u32)))
    (core func $take' (canon lower (func $take)))
    (core module $m
      (import "" "take" (func $take (param i32) (result i32)))
      (func (export "order") (param i32) (result i32) (call $take (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance (export "take" (func $take'))))))
    (func (export "order") (param "n" u32) (result u32) (canon lift (core func $i "order"))))
  (instance $front (instantiate $Front (with "take" (func $store "take"))))
  (export "take" (func $store "take"))
  (export "order" (func $front "order")))
"#;

struct Exit;

impl HostFunc for Exit {
    fn ty(&self) -> Option<&abi::types::FuncType> {
        None
    }
    fn call(&self, _: &mut dyn HostCall) -> Result<(), Trap> {
        Err(Trap::Exit(3))
    }
}

struct Sleep;

impl HostFunc for Sleep {
    fn ty(&self) -> Option<&abi::types::FuncType> {
        None
    }
    fn call(&self, _: &mut dyn HostCall) -> Result<(), Trap> {
        park::wait(&[], Some(park::now_ns() + 60_000_000_000))
    }
}

fn system() -> System {
    System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() }).unwrap()
}

fn pair(system: &System, on_fault: OnFault) -> Arc<Launched> {
    let mut imports = Imports::default();
    imports.names.insert("exit".to_owned(), Import::Func(Arc::new(Exit)));
    imports.names.insert("sleep".to_owned(), Import::Func(Arc::new(Sleep)));
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(PAIR).unwrap()).unwrap();
    let edge = EdgePolicy { on_fault, deadline_ns: None };
    let options = LinkOptions { isolate: Isolate::All, edge, ..LinkOptions::new("pair") };
    let linked = Arc::new(executable.link(&imports, &options).unwrap());
    assert!(linked.domain_roots().any(|root| root == (STORE, "/pair/store")));
    Arc::new(system.launch(&engine, linked, Box::new(()), Placement::default()).unwrap())
}

/// The number of the store's domain.
const STORE: u32 = 1;

fn ask(launched: &Launched, name: &str, arg: u32) -> Result<u32, Trap> {
    match launched.call(&launched.func(&[name]).unwrap(), vec![Value::U32(arg)]) {
        Ok(Some(Value::U32(value))) => Ok(value),
        Ok(other) => panic!("{other:?}"),
        Err(Fault { trap, .. }) => Err(trap),
    }
}

/// Makes a call on a thread of its own.
fn asking(launched: &Arc<Launched>, arg: u32) -> std::thread::JoinHandle<Result<u32, Trap>> {
    let launched = Arc::clone(launched);
    std::thread::spawn(move || ask(&launched, "take", arg))
}

/// The next event of the store.
fn next(watch: &Watch) -> Event {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(event) = watch.next(Waiter::current) {
            if event.domain.index == STORE {
                return event;
            }
            continue;
        }
        assert!(Instant::now() < end, "nothing is told");
        std::thread::park_timeout(Duration::from_secs(1));
    }
}

fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !what() {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn faults_ends_and_beginnings_are_told() {
    let system = system();
    let launched = pair(&system, OnFault::Trap);
    let store = STORE;
    assert!(ask(&launched, "take", 9).is_err(), "nobody watches yet");
    let unseen = launched.domain(store).unwrap();
    launched.restart(store, "by a test").unwrap();
    assert_eq!(ask(&launched, "take", 1), Ok(1));
    // Its next life answers while the one before is still being cleared away.
    until(|| unseen.thread().is_none_or(Thread::is_done));
    let watch = launched.watch().unwrap();
    assert!(launched.watch().is_none());
    let first = launched.life(store).unwrap();
    assert_eq!(ask(&launched, "take", 9), Err(Trap::Unreachable));
    let event = next(&watch);
    assert_eq!((event.domain.index, event.domain.generation, event.life), (store, 1, first));
    let What::Faulted { fault, processes } = event.what else { panic!("{event:?}") };
    assert_eq!((fault.trap, &*fault.process_name), (Trap::Unreachable, "/pair/store"));
    let names = processes.iter().map(|index| &*launched.tree().linked().processes()[*index as usize].path);
    assert_eq!(names.collect::<Vec<_>>(), ["/pair/store"]);
    // It has faulted already: that it refuses calls is no news.
    assert_eq!(ask(&launched, "take", 1), Err(Trap::CannotEnter));
    let second = launched.restart_life(store, first, "its supervisor").unwrap();
    assert!(second > first);
    let mut events = [next(&watch), next(&watch)];
    events.sort_by_key(|event| event.life);
    assert_eq!(events[0].what, What::Ended(Trap::Killed("its supervisor".to_owned())));
    assert_eq!((&events[1].what, events[1].life, events[1].domain.generation), (&What::Began, second, 2));
    // Another one is begun only if the one that has failed is the present one.
    assert_eq!(launched.restart_life(store, first, "its supervisor").unwrap(), second);
    assert_eq!(ask(&launched, "take", 1), Ok(1));
    launched.kill(store, "by a test").unwrap();
    assert_eq!(next(&watch).what, What::Ended(Trap::Killed("by a test".to_owned())));
    assert_eq!(watch.next(Waiter::current), None);
}

#[test]
fn who_asks_for_the_end_of_the_program_ends_alone() {
    let system = system();
    let launched = pair(&system, OnFault::Trap);
    assert_eq!(ask(&launched, "order", 8), Err(Trap::Exit(3)));
    let launched = pair(&system, OnFault::Retry(1));
    launched.tree().contain_exits();
    let watch = launched.watch().unwrap();
    let gone = ask(&launched, "order", 8).unwrap_err();
    assert_eq!(gone.to_string(), "the domain is gone: it has exited with code 3");
    let event = next(&watch);
    let What::Faulted { fault, .. } = event.what else { panic!("{event:?}") };
    assert_eq!((fault.trap, event.domain.index), (Trap::Exit(3), STORE));
    // Who calls from outside is told as it is.
    let launched = pair(&system, OnFault::Trap);
    launched.tree().contain_exits();
    assert_eq!(ask(&launched, "take", 8), Err(Trap::Exit(3)));
}

#[test]
fn who_is_let_go_answers_those_who_wait_and_takes_no_more() {
    let system = system();
    let launched = pair(&system, OnFault::Retry(3));
    let store = STORE;
    let actor = launched.domain(store).unwrap();
    let watch = launched.watch().unwrap();
    let sleeps = asking(&launched, 7);
    until(|| actor.calls() == 1 && actor.mailbox().is_empty());
    let waits = asking(&launched, 1);
    until(|| actor.mailbox().len() == 1);
    launched.retire(store, "a supervisor", false).unwrap();
    let refused = Trap::Gone("killed: a supervisor".to_owned());
    assert_eq!(ask(&launched, "take", 1), Err(refused.clone()));
    assert_eq!(ask(&launched, "order", 1), Err(refused), "no caller begins its next life");
    // One that waits for time is not ended before it is to wait no more.
    assert_eq!(actor.mailbox().len(), 1);
    assert!(
        matches!(watch.next(Waiter::current), Some(event) if event.domain.index != STORE),
        "front was refused"
    );
    launched.retire(store, "a supervisor", true).unwrap();
    assert_eq!(sleeps.join().unwrap(), Err(Trap::Exit(0)));
    assert_eq!(waits.join().unwrap(), Err(Trap::CannotEnter), "its process has ended");
    assert!(matches!(next(&watch).what, What::Faulted { fault, .. } if fault.trap == Trap::Exit(0)));
    assert_eq!(next(&watch).what, What::Ended(Trap::Killed("a supervisor".to_owned())));
    launched.restart(store, "by a test").unwrap();
    assert_eq!(ask(&launched, "take", 1), Ok(1));
}

#[test]
fn what_waits_is_served_before_the_end() {
    let system = system();
    let launched = pair(&system, OnFault::Trap);
    let store = STORE;
    let actor = launched.domain(store).unwrap();
    let spins = asking(&launched, 6);
    until(|| actor.calls() == 1 && actor.mailbox().is_empty());
    let waits: Vec<_> = (0..3).map(|_| asking(&launched, 1)).collect();
    until(|| actor.mailbox().len() == 3);
    launched.retire(store, "a supervisor", true).unwrap();
    // It never waits, so it does not notice; who has no more patience kills it.
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(actor.mailbox().len(), 3);
    launched.let_go(store, "out of patience").unwrap();
    assert!(spins.join().unwrap().is_err());
    assert!(waits.into_iter().all(|wait| wait.join().unwrap().is_err()));

    launched.restart(store, "by a test").unwrap();
    assert_eq!(ask(&launched, "take", 1), Ok(1));
    launched.retire(store, "a supervisor", true).unwrap();
    launched.wait(store).unwrap();
    assert!(matches!(ask(&launched, "take", 1), Err(Trap::Gone(_))));
}
