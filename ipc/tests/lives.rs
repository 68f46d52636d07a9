//! Domains that end and begin again: what is lost with a life, and what is not.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use abi::fault::Trap;
use abi::state::ProcessState;
use abi::value::Value;
use atoll_ipc::actor::CallLimits;
use atoll_ipc::launched::Launched;
use atoll_ipc::system::{Placement, System};
use kernel::component::executable::Executable;
use kernel::component::link::{Isolate, LinkOptions};
use kernel::component::port::{EdgePolicy, OnFault};
use kernel::host::Imports;
use kernel::jit::engine::Engine;
use kernel::quota::Quota;
use kernel::sched::machine::{Machine, MachineOptions};

/// A bank of counters, which are resources; a clerk that keeps one in each of its lives, and asks for it.
const BANK: &str = r#"
(component
  (component $Bank
    (core module $m
      (global $drops (mut i32) (i32.const 0))
      (global $calls (mut i32) (i32.const 0))
      (func (export "dtor") (param i32) (global.set $drops (i32.add (global.get $drops) (i32.const 1))))
      (func (export "drops") (result i32) (global.get $drops))
      (func (export "get") (param $rep i32) (result i32) (local.get $rep))
      (func (export "flaky") (param $n i32) (result i32)
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (if (i32.lt_u (global.get $calls) (local.get $n)) (then (unreachable)))
        (global.get $calls))
      (func (export "slow") (param $rep i32) (result i32)
        (loop $l (br $l)) (unreachable))
      (func (export "down") (param $n i32) (result i32) (call $down (local.get $n)))
      (func $down (param $n i32) (result i32)
        (if (result i32) (i32.eqz (local.get $n)) (then (i32.const 0))
          (else (i32.add (i32.const 1) (call $down (i32.sub (local.get $n) (i32.const 1))))))))
    (core instance $i (instantiate $m))
    (type $counter (resource (rep i32) (dtor (core func $i "dtor"))))
    (core func $new (canon resource.new $counter))
    (core module $maker
      (import "" "new" (func $new (param i32) (result i32)))
      (func (export "make") (param $rep i32) (result i32) (call $new (local.get $rep))))
    (core instance $j (instantiate $maker (with "" (instance (export "new" (func $new))))))
    (export $c "counter" (type $counter))
    (func (export "make") (param "rep" u32) (result (own $c)) (canon lift (core func $j "make")))
    (func (export "get") (param "self" (borrow $c)) (result u32) (canon lift (core func $i "get")))
    (func (export "slow") (param "self" (borrow $c)) (result (result)) (canon lift (core func $i "slow")))
    (func (export "drops") (result u32) (canon lift (core func $i "drops")))
    (func (export "flaky") (param "n" u32) (result u32) (canon lift (core func $i "flaky")))
    (func (export "down") (param "n" u32) (result u32) (canon lift (core func $i "down"))))
  (instance $bank (instantiate $Bank))
  (alias export $bank "counter" (type $counter))
  (component $Clerk
    (import "counter" (type $counter (sub resource)))
    (import "make" (func $make (param "rep" u32) (result (own $counter))))
    (import "get" (func $get (param "self" (borrow $counter)) (result u32)))
    (import "flaky" (func $flaky (param "n" u32) (result u32)))
    (import "slow" (func $slow (param "self" (borrow $counter)) (result (result))))
    (core func $slow' (canon lower (func $slow)))
    (core func $make' (canon lower (func $make)))
    (core func $get' (canon lower (func $get)))
    (core func $flaky' (canon lower (func $flaky)))
    (core func $drop' (canon resource.drop $counter))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "get" (func $get (param i32) (result i32)))
      (import "" "flaky" (func $flaky (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (import "" "slow" (func $slow (param i32) (result i32)))
      (func (export "wait") (result i32) (call $slow (global.get $kept)))
      (global $kept (mut i32) (i32.const 0))
      (func (export "keep") (param i32) (global.set $kept (call $make (local.get 0))))
      (func (export "ask") (result i32) (call $get (global.get $kept)))
      (func (export "lose") (call $drop (global.get $kept)))
      (func (export "flaky") (param i32) (result i32) (call $flaky (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make')) (export "get" (func $get')) (export "drop" (func $drop'))
      (export "flaky" (func $flaky')) (export "slow" (func $slow'))))))
    (func (export "keep") (param "rep" u32) (canon lift (core func $i "keep")))
    (func (export "ask") (result u32) (canon lift (core func $i "ask")))
    (func (export "wait") (result u32) (canon lift (core func $i "wait")))
    (func (export "lose") (canon lift (core func $i "lose")))
    (func (export "flaky") (param "n" u32) (result u32) (canon lift (core func $i "flaky"))))
  (instance $clerk (instantiate $Clerk
    (with "counter" (type $counter))
    (with "make" (func $bank "make")) (with "get" (func $bank "get")) (with "flaky" (func $bank "flaky")) (with "slow" (func $bank "slow"))))
  (export "keep" (func $clerk "keep"))
  (export "ask" (func $clerk "ask"))
  (export "lose" (func $clerk "lose"))
  (export "flaky" (func $clerk "flaky"))
  (export "wait" (func $clerk "wait"))
  (export "down" (func $bank "down"))
  (export "drops" (func $bank "drops")))
"#;

fn system() -> System {
    System::start(MachineOptions { workers: Some(2), ..MachineOptions::default() }).unwrap()
}

fn bank(system: &System, on_fault: OnFault, limits: CallLimits) -> Launched {
    bank_with(system, EdgePolicy { on_fault, deadline_ns: None }, limits)
}

fn bank_with(system: &System, edge: EdgePolicy, limits: CallLimits) -> Launched {
    let engine = Engine::new().unwrap();
    let executable = Executable::parse(&engine, &wat::parse_str(BANK).unwrap()).unwrap();
    let options = LinkOptions { isolate: Isolate::All, edge, ..LinkOptions::new("town") };
    let linked = Arc::new(executable.link(&Imports::default(), &options).unwrap());
    system.launch(&engine, linked, Box::new(()), Placement { limits, ..Placement::default() }).unwrap()
}

fn ask(launched: &Launched, name: &str, args: &[u32]) -> Result<Option<u32>, Trap> {
    let args = args.iter().map(|arg| Value::U32(*arg)).collect();
    match launched.call(&launched.func(&[name]).unwrap(), args) {
        Ok(Some(Value::U32(value))) => Ok(Some(value)),
        Ok(Some(other)) => panic!("{other:?}"),
        Ok(None) => Ok(None),
        Err(fault) => Err(fault.trap),
    }
}

fn process(launched: &Launched, path: &str) -> (usize, u32) {
    let tree = launched.tree();
    let index = tree.linked().processes().iter().position(|process| process.path == path).unwrap();
    (index, tree.linked().processes()[index].place.domain)
}

#[test]
fn handles_into_a_life_that_has_ended_lead_nowhere() {
    let system = system();
    let launched = bank(&system, OnFault::Trap, CallLimits::default());
    let (index, domain) = process(&launched, "/town/bank");
    ask(&launched, "keep", &[41]).unwrap();
    assert_eq!(ask(&launched, "ask", &[]), Ok(Some(41)));
    launched.restart(domain, "by a test").unwrap();
    assert_eq!(ask(&launched, "drops", &[]), Ok(Some(0)), "a life knows nothing of the one before");
    assert_eq!(launched.tree().processes()[index].id.generation, 1);
    assert!(matches!(ask(&launched, "ask", &[]), Err(Trap::Gone(_))));
}

#[test]
fn a_handle_that_leads_nowhere_can_be_dropped_and_its_holder_lives() {
    let system = system();
    let launched = bank(&system, OnFault::Trap, CallLimits::default());
    let (_, domain) = process(&launched, "/town/bank");
    ask(&launched, "keep", &[41]).unwrap();
    launched.restart(domain, "by a test").unwrap();
    assert_eq!(ask(&launched, "lose", &[]), Ok(None));
    ask(&launched, "keep", &[42]).unwrap();
    assert_eq!(ask(&launched, "ask", &[]), Ok(Some(42)));
    assert_eq!(ask(&launched, "lose", &[]), Ok(None));
    assert_eq!(ask(&launched, "drops", &[]), Ok(Some(1)), "only the second one was of this life");
}

#[test]
fn what_a_domain_held_is_given_back_when_it_ends() {
    let system = system();
    let launched = bank(&system, OnFault::Trap, CallLimits::default());
    let (_, clerk) = process(&launched, "/town/clerk");
    ask(&launched, "keep", &[41]).unwrap();
    assert_eq!(ask(&launched, "drops", &[]), Ok(Some(0)));
    launched.kill(clerk, "by a test").unwrap();
    launched.wait(clerk).unwrap();
    assert_eq!(ask(&launched, "drops", &[]), Ok(Some(1)));
    assert!(matches!(ask(&launched, "ask", &[]), Err(Trap::Gone(_))));
}

#[test]
fn a_message_is_delivered_again_to_a_domain_that_is_started_again() {
    let system = system();
    let launched = bank(&system, OnFault::Retry(2), CallLimits::default());
    let (index, domain) = process(&launched, "/town/bank");
    assert_eq!(ask(&launched, "flaky", &[1]), Ok(Some(1)));
    // Every life counts from 0, so two calls are never enough for one that wants three.
    assert_eq!(ask(&launched, "flaky", &[2]), Ok(Some(2)), "the second call in its first life");
    launched.restart(domain, "by a test").unwrap();
    assert_eq!(ask(&launched, "flaky", &[2]), Err(Trap::Unreachable), "each life faults at its first call");
    let view = launched.tree().processes().swap_remove(index);
    assert_eq!((view.id.generation, view.meters.faults), (3, 3));
}

#[test]
fn restarts_under_calls_lose_no_reply() {
    let system = system();
    let launched = Arc::new(bank(&system, OnFault::Retry(1), CallLimits::default()));
    let (index, domain) = process(&launched, "/town/bank");
    let callers: Vec<_> = (0..6)
        .map(|caller| {
            let launched = Arc::clone(&launched);
            std::thread::spawn(move || {
                // Half of them call the bank, half the clerk, which asks the bank again if that has ended meanwhile.
                let (name, arg) = if caller % 2 == 0 { ("down", 200) } else { ("flaky", 1) };
                let answers = (0..300).map(|_| ask(&launched, name, &[arg]));
                answers.filter(Result::is_ok).count()
            })
        })
        .collect();
    for _ in 0..100 {
        launched.restart(domain, "by a test").unwrap();
        std::thread::yield_now();
    }
    let answered: Vec<usize> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    assert_eq!(ask(&launched, "down", &[5]), Ok(Some(5)), "{answered:?}");
    // A life that was ended before it had begun is none.
    assert!(launched.tree().processes()[index].id.generation > 0);
    assert!(answered.iter().step_by(2).all(|count| *count > 0), "{answered:?}");
}

/// Found by `supervisor_schedule`: a life that had been ended while it waited for the end of the one before it did begin,
/// after the one that followed it, and took that along when it ended.
#[test]
fn a_life_that_was_ended_before_it_began_does_not_begin_later() {
    for seed in 0..200 {
        let system = System::on(Machine::simulate(seed).unwrap());
        let launched = bank(&system, OnFault::Trap, CallLimits::default());
        let (_, clerk) = process(&launched, "/town/clerk");
        let mut context = Context::from_waker(Waker::noop());
        let steps = |count| (0..count).all(|_| system.machine().step());
        let mut ask = |name: &str, args: &[u32], most: u64| {
            let args = args.iter().map(|arg| Value::U32(*arg)).collect();
            let func = launched.func(&[name]).unwrap();
            let mut call = Box::pin(launched.start_call(&func, args).unwrap());
            let _ = call.as_mut().poll(&mut context);
            steps(most);
            call.as_mut().poll(&mut context)
        };
        // The clerk waits for the bank, or is about to.
        let _ = ask("keep", &[7], 1 + seed % 6);
        for _ in 0..3 {
            launched.restart(clerk, "by a test").unwrap();
            steps(seed / 6 % 4);
        }
        let kept = ask("keep", &[8], u64::MAX);
        assert!(matches!(kept, Poll::Ready(Ok(None))), "seed {seed}: {kept:?}");
        let answer = ask("ask", &[], u64::MAX);
        assert!(matches!(answer, Poll::Ready(Ok(Some(Value::U32(8))))), "seed {seed}: {answer:?}");
    }
}

#[test]
fn a_fault_names_every_process_on_the_chain() {
    let system = system();
    let launched = bank(&system, OnFault::Trap, CallLimits::default());
    let fault = launched.call(&launched.func(&["flaky"]).unwrap(), vec![Value::U32(9)]).unwrap_err();
    assert_eq!((fault.trap, &*fault.process_name), (Trap::Unreachable, "/town/bank"));
    let mut names: Vec<_> = fault.frames.iter().map(|frame| &*frame.process_name).collect();
    names.dedup();
    assert_eq!(names, ["/town/bank", "/town/clerk"]);
    let kept = launched.tree().faults();
    assert_eq!(kept.len(), 2, "one in each domain");
}

#[test]
fn what_is_lent_to_a_call_that_nobody_waits_for_stays_lent_until_it_ends() {
    let system = system();
    let edge = EdgePolicy { on_fault: OnFault::Error, deadline_ns: Some(10_000_000) };
    let launched = bank_with(&system, edge, CallLimits::default());
    ask(&launched, "keep", &[41]).unwrap();
    assert_eq!(ask(&launched, "wait", &[]), Ok(Some(1)), "an `err`");
    assert_eq!(ask(&launched, "lose", &[]), Err(Trap::StillLent { index: 1, lends: 1 }));

    let launched = bank_with(&system, edge, CallLimits::default());
    ask(&launched, "keep", &[41]).unwrap();
    assert_eq!(ask(&launched, "wait", &[]), Ok(Some(1)));
    let (_, bank) = process(&launched, "/town/bank");
    let (views, processes) = (launched.domains(), launched.tree().processes());
    let spinning = &views[bank as usize];
    assert_eq!((&*spinning.name, spinning.calls, spinning.is_idle), ("/town/bank", 2, false));
    assert!(processes.iter().any(|process| process.state == ProcessState::Running));
    launched.kill(bank, "by a test").unwrap();
    launched.wait(bank).unwrap();
    let [used, sampled] =
        [launched.domains()[bank as usize].cpu_ns, launched.account(bank).unwrap().samples()[0]];
    assert!(used > 0 && sampled > 0, "{used} {sampled}");
    assert_eq!(ask(&launched, "lose", &[]), Ok(None));
}

#[test]
fn functions_have_rust_types() {
    let system = system();
    let launched = bank(&system, OnFault::Trap, CallLimits::default());
    let down = launched.typed_func::<(u32,), u32>(&["down"]).unwrap();
    assert_eq!(down.call(&launched, (7,)).unwrap(), 7);
    let wrong = launched.typed_func::<(u32, String), u32>(&["down"]).unwrap_err().to_string();
    assert_eq!(wrong, "`down` is func(n: u32) -> u32, not func(_: u32, _: string) -> u32");
    let unknown = launched.typed_func::<(), ()>(&["up"]).unwrap_err().to_string();
    assert_eq!(unknown, "the tree exports no function `up`");
}

#[test]
fn limits_are_named_with_their_value() {
    let system = system();
    let limits = CallLimits { message_bytes: Some(3), ..CallLimits::default() };
    let launched = bank(&system, OnFault::Trap, limits);
    let message = ask(&launched, "keep", &[1]);
    assert_eq!(message, Err(Trap::Limit { limit: "bytes of a message", value: 4, allowed: 3 }));
    let launched = bank(&system, OnFault::Trap, CallLimits::default());
    assert_eq!(ask(&launched, "down", &[1000]), Ok(Some(1000)));
    let (bank_index, _) = process(&launched, "/town/bank");
    let (clerk_index, _) = process(&launched, "/town/clerk");
    let quota = Quota { stack_bytes: Some(16 << 10), ..Quota::default() };
    launched.tree().set_quota(bank_index, quota).unwrap();
    assert_eq!(ask(&launched, "down", &[10]), Ok(Some(10)));
    let deep = ask(&launched, "down", &[100_000]);
    assert!(matches!(deep, Err(Trap::Limit { limit: "bytes of a process's stack", allowed: 0x4000, .. })));
    let quota = Quota { handles: Some(1), ..Quota::default() };
    launched.tree().set_quota(clerk_index, quota).unwrap();
    let launched = bank(&system, OnFault::Trap, CallLimits::default());
    launched.tree().set_quota(clerk_index, quota).unwrap();
    ask(&launched, "keep", &[1]).unwrap();
    assert_eq!(ask(&launched, "keep", &[2]), Err(Trap::HandlesExhausted { limit: 1 }));
}
