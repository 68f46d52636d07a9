//! Trees whose domains have threads of their own: what crosses a boundary, and what a boundary stops.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

mod executor;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use abi::fault::Trap;
use abi::value::Value;
use atoll_ipc::actor::CallLimits;
use atoll_ipc::launched::Launched;
use atoll_ipc::system::{Place, Placement, System};
use executor::block_on;
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::linked::ExportedFunc;
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::component::tree::Tree;
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::quota::Quotas;
use kernel::sched::machine::{Machine, MachineOptions};

/// The store traps when it is asked for more than 9, and never answers when it is asked for 7. The cart asks it, and tells
/// a price, or minus the length of what it was told instead.
const SHOP: &str = r#"
(component
  (component $Store
    (core module $m
      (memory (export "mem") 1)
      (func (export "stock") (param $item i32) (result i32)
        (if (i32.gt_u (local.get $item) (i32.const 9)) (then (unreachable)))
        (if (i32.eq (local.get $item) (i32.const 7)) (then (loop $l (br $l))))
        (i32.store8 (i32.const 16) (i32.const 0))
        (i32.store (i32.const 20) (i32.mul (local.get $item) (i32.const 10)))
        (i32.const 16)))
    (core instance $i (instantiate $m))
    (func (export "stock") (param "item" u32) (result (result u32 (error string)))
      (canon lift (core func $i "stock") (memory (core memory $i "mem")))))
  (component $Cart
    (import "stock" (func $stock (param "item" u32) (result (result u32 (error string)))))
    (core module $libc
      (memory (export "mem") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
    (core instance $libc (instantiate $libc))
    (core func $stock' (canon lower (func $stock)
      (memory (core memory $libc "mem")) (realloc (core func $libc "realloc"))))
    (core module $m
      (import "" "stock" (func $stock (param i32 i32)))
      (import "" "mem" (memory 1))
      (func (export "order") (param $item i32) (result i32)
        (call $stock (local.get $item) (i32.const 64))
        (if (result i32) (i32.load8_u (i32.const 64))
          (then (i32.sub (i32.const 0) (i32.load (i32.const 72))))
          (else (i32.load (i32.const 68))))))
    (core instance $i (instantiate $m (with "" (instance
      (export "stock" (func $stock')) (export "mem" (memory $libc "mem"))))))
    (func (export "order") (param "item" u32) (result s32) (canon lift (core func $i "order"))))
  (instance $store (instantiate $Store))
  (instance $cart (instantiate $Cart (with "stock" (func $store "stock"))))
  (export "order" (func $cart "order")))
"#;

fn shop(on_fault: OnFault) -> Tree {
    shop_with(EdgePolicy { on_fault, deadline_ns: None })
}

fn shop_with(edge: EdgePolicy) -> Tree {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(SHOP).unwrap()).unwrap();
    let options = LinkOptions { isolate: Isolate::All, edge, ..LinkOptions::new("shop") };
    let linked = executable.link(&Imports::default(), &options).unwrap();
    executable.launch(&Arc::new(linked), Box::new(())).unwrap()
}

fn placement(limits: CallLimits) -> Placement {
    Placement { mailbox: 2, limits, ..Placement::default() }
}

fn system() -> System {
    System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() }).unwrap()
}

fn order(launched: &Launched) -> Arc<ExportedFunc> {
    launched.func(&["order"]).unwrap()
}

fn ask(launched: &Launched, item: u32) -> Result<Option<Value>, Trap> {
    launched.call(&order(launched), vec![Value::U32(item)]).map_err(|fault| fault.trap)
}

/// The number of the domain of a process.
fn domain(launched: &Launched, path: &str) -> u32 {
    let tree = launched.tree();
    tree.linked().processes().iter().find(|process| process.path == path).unwrap().place.domain
}

fn told(trap: &Trap) -> Result<Option<Value>, Trap> {
    Ok(Some(Value::S32(-i32::try_from(trap.to_string().len()).unwrap())))
}

#[test]
fn calls_cross_and_faults_stop_at_the_boundary() {
    let system = system();
    let launched = system.run(shop(OnFault::Error), placement(CallLimits::default()));
    assert_eq!(ask(&launched, 4), Ok(Some(Value::S32(40))));
    assert_eq!(ask(&launched, 10), told(&Trap::Unreachable));
    assert_eq!(ask(&launched, 4), told(&Trap::CannotEnter));
    assert_eq!(launched.domain(domain(&launched, "/shop/store")).unwrap().calls(), 3);
}

#[test]
fn a_domain_dies_alone_in_the_middle_of_a_call() {
    let system = system();
    let launched = Arc::new(system.run(shop(OnFault::Error), placement(CallLimits::default())));
    let asking = thread::spawn({
        let launched = Arc::clone(&launched);
        move || ask(&launched, 7)
    });
    let store = domain(&launched, "/shop/store");
    while launched.domain(store).unwrap().calls() == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    let killed = Trap::Killed("by a test".to_owned());
    launched.kill(store, "by a test").unwrap();
    launched.wait(store).unwrap();
    assert_eq!(asking.join().unwrap(), told(&killed));
    // The cart lives, and is told what became of the store.
    assert_eq!(ask(&launched, 4), told(&Trap::Gone(killed.to_string())));
    assert_eq!(launched.tree().faults().len(), 1);
}

#[test]
fn a_call_ends_at_its_deadline_and_its_callee_at_its_limit() {
    let system = system();
    let limit = |trap: &Trap| match trap {
        Trap::Limit { limit, .. } => *limit,
        other => panic!("{other}"),
    };
    let deadline = EdgePolicy { on_fault: OnFault::Trap, deadline_ns: Some(20_000_000) };
    let launched = system.run(shop_with(deadline), placement(CallLimits::default()));
    assert_eq!(limit(&ask(&launched, 7).unwrap_err()), "deadline of a call in ns");
    let wall_clock = CallLimits { wall_clock_ns: Some(20_000_000), message_bytes: None };
    let launched = system.run(shop(OnFault::Trap), placement(wall_clock));
    assert_eq!(limit(&ask(&launched, 7).unwrap_err()), "wall-clock time of a call in ns");
}

#[test]
fn more_callers_than_room_are_all_served() {
    let system = system();
    let launched = Arc::new(system.run(shop(OnFault::Trap), placement(CallLimits::default())));
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let launched = Arc::clone(&launched);
            thread::spawn(move || {
                for item in 0..50 {
                    let item = (caller + item) % 7;
                    assert_eq!(ask(&launched, item), Ok(Some(Value::S32(item as i32 * 10))));
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    assert!(launched.domain(domain(&launched, "/shop/cart")).unwrap().mailbox().peak() <= 2);
}

#[test]
fn calls_are_futures_too() {
    let system = system();
    let launched = system.run(shop(OnFault::Trap), placement(CallLimits::default()));
    let func = order(&launched);
    let calls: Vec<_> =
        (0..5).map(|item| launched.start_call(&func, vec![Value::U32(item)]).unwrap()).collect();
    for (item, call) in calls.into_iter().enumerate() {
        assert_eq!(block_on(call, || ()).unwrap(), Some(Value::S32(item as i32 * 10)));
    }
}

#[test]
fn no_answer_is_lost_whatever_the_schedule() {
    for seed in 0..200 {
        let system = System::on(Machine::simulate(seed).unwrap());
        let launched = system.run(shop(OnFault::Error), placement(CallLimits::default()));
        let func = order(&launched);
        let mut calls: Vec<_> = (0..6)
            .map(|item| Box::pin(launched.start_call(&func, vec![Value::U32(item)]).unwrap()))
            .collect();
        let killed_after = seed as usize % 20;
        let mut context = Context::from_waker(Waker::noop());
        let mut answers = 0;
        for step in 0..400 {
            calls.retain_mut(|call| {
                let answered = call.as_mut().poll(&mut context).is_ready();
                answers += usize::from(answered);
                !answered
            });
            if step == killed_after {
                launched.kill(domain(&launched, "/shop/store"), "by a test").unwrap();
            }
            if !system.machine().step() && calls.is_empty() {
                break;
            }
        }
        assert_eq!(answers, 6, "seed {seed}");
        drop(launched);
        system.machine().run_until_idle();
        assert_eq!(system.machine().thread_count(), 0, "seed {seed}");
    }
}

#[test]
fn a_domain_stays_at_the_worker_that_it_was_placed_at() {
    let system = system();
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(SHOP).unwrap()).unwrap();
    let options = LinkOptions { isolate: Isolate::All, ..LinkOptions::new("shop") };
    let linked = Arc::new(executable.link(&Imports::default(), &options).unwrap());
    let at = |place| Placement { place, ..Placement::default() };
    let launched = system
        .launch_within(&engine, Arc::clone(&linked), Box::new(()), Quotas::default(), |number, _| {
            at(Place::Worker(number as usize % 2))
        })
        .unwrap();
    let homes = |launched: &Launched| -> Vec<Option<usize>> {
        (0..3).map(|number| launched.domain(number).unwrap().thread().unwrap().home()).collect()
    };
    assert_eq!(ask(&launched, 4), Ok(Some(Value::S32(40))));
    launched.restart(1, "by a test").unwrap();
    assert_eq!(ask(&launched, 5), Ok(Some(Value::S32(50))));
    assert_eq!(homes(&launched), [Some(0), Some(1), Some(0)]);
    let refused = |place| {
        let launched = system.launch(&engine, Arc::clone(&linked), Box::new(()), at(place));
        launched.err().unwrap().to_string()
    };
    assert_eq!(
        refused(Place::Worker(2)),
        "the domain of /shop has no place: it is to run at worker 2, but the machine has 2, counted from 0"
    );
    // What was launched here does not move.
    let launched = system.run(shop(OnFault::Trap), at(Place::OwnProcess));
    let trap = ask(&launched, 4).unwrap_err().to_string();
    assert!(trap.contains("an OS process of its own, but was launched in this one"), "{trap}");
}
