//! Who waits gets its turn, whoever else there is: ways in which a thread could be kept from running, or from ending.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use abi::fault::Trap;

use super::account::{Share, WEIGHT_ONE};
use super::handoff::{Errand, Handed, Order, Terms, Witness, hand_off};
use super::lock::ParkingLock;
use super::machine_tests::{Guest, MIX, SOON, machine, start, start_call};
use super::park::{self, Waiter};
use super::thread::{Body, Next};
use crate::jit::engine::Engine;
use crate::mem::stack::StackBounds;

fn by_a_test() -> Trap {
    Trap::Killed("by a test".to_owned())
}

/// Waits until something holds.
fn soon(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_cap_lets_go_on_beside_a_loop_that_is_alone_otherwise() {
    let engine = Engine::new().unwrap();
    let machine = machine(1);
    let capped = Share { weight: WEIGHT_ONE, cap: Some(200) };
    let (computes, _result) = start_call(&machine, &engine, Share::default(), "spin");
    soon("it runs", || computes.0.state.is_running());
    let (capped, _result) = start_call(&machine, &engine, capped, "spin");
    // Its bucket, empty at first, is filled again and again.
    soon("the capped thread goes on", || capped.account().used_ns() > 100_000_000);
}

/// Hardly ever in its own code.
const FILLER: &str = r#"(module (memory 64)
  (func (export "fill") (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x400000)) (br $l)))
  (func (export "copy")
    (loop $l (memory.copy (i32.const 1) (i32.const 0) (i32.const 0x3ff000)) (br $l))))"#;

#[test]
fn those_that_only_copy_and_fill_end_when_they_are_condemned() {
    let engine = Engine::new().unwrap();
    let machine = machine(1);
    let threads = ["fill", "copy"].repeat(4).into_iter().map(|name| {
        let mut guest = Guest::new(&engine, FILLER);
        let (send, result) = mpsc::channel();
        let work = move || send.send(guest.call(name, &[], &mut []).unwrap_err()).unwrap();
        (start(&machine, Share::default(), work), result)
    });
    for (thread, result) in threads.collect::<Vec<_>>() {
        soon("it runs", || thread.account().used_ns() > 0);
        thread.condemn(by_a_test());
        assert_eq!(result.recv_timeout(SOON).unwrap().trap, by_a_test());
    }
}

#[test]
fn who_is_condemned_while_it_waits_for_a_lock_lets_the_holder_run() {
    let machine = machine(1);
    let lock = Arc::new(ParkingLock::new(()));
    let (held, let_go) = (Arc::clone(&lock), Arc::new(AtomicBool::new(false)));
    let (taken, is_taken) = mpsc::channel();
    let waits = Arc::clone(&let_go);
    let holder = start(&machine, Share::default(), move || {
        let _held = held.lock();
        taken.send(Waiter::current()).unwrap();
        while !waits.load(Ordering::SeqCst) {
            park::park(None).unwrap();
        }
    });
    let wakes_holder = is_taken.recv_timeout(SOON).unwrap();
    let waiting = start(&machine, Share::default(), move || drop(lock.lock()));
    soon("it waits", || waiting.is_idle());
    waiting.condemn(by_a_test());
    std::thread::sleep(Duration::from_millis(5));
    let_go.store(true, Ordering::SeqCst);
    wakes_holder.wake();
    soon("the holder gives the lock back", || holder.is_done());
    soon("the other one has had it", || waiting.is_done());
}

/// A body that ends the guest's endless loop when it is told to, thinks nothing of it and waits for more.
struct Unmoved(Guest);

impl Body for Unmoved {
    fn run(&mut self) -> Next {
        let _ = self.0.call("spin", &[], &mut []);
        park::current_thread().unwrap().pardon();
        Next::Idle
    }
}

struct Idler;

impl Body for Idler {
    fn run(&mut self) -> Next {
        Next::Idle
    }
}

#[test]
fn a_machine_that_is_dropped_ends_bodies_that_would_go_on() {
    let engine = Engine::new().unwrap();
    let machine = machine(2);
    let account = || machine.account(Share::default());
    let idler = machine.spawn(account(), Box::new(Idler));
    let unmoved = machine.spawn(account(), Box::new(Unmoved(Guest::new(&engine, MIX))));
    unmoved.wake();
    soon("it runs", || unmoved.0.state.is_running());
    drop(machine);
    assert!(idler.is_done() && unmoved.is_done());
}

#[test]
fn who_is_pushed_aside_by_a_pinned_thread_goes_to_a_worker_that_sleeps() {
    let engine = Engine::new().unwrap();
    let machine = machine(2);
    let (here, is_here) = mpsc::channel();
    let (go, end) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (goes, ends) = (Arc::clone(&go), Arc::clone(&end));
    let pinned = start(&machine, Share::default(), move || {
        here.send(Waiter::current()).unwrap();
        while !goes.load(Ordering::SeqCst) {
            park::park(None).unwrap();
        }
        while !ends.load(Ordering::SeqCst) {
            park::checkpoint().unwrap();
        }
    });
    let wakes_pinned = is_here.recv_timeout(SOON).unwrap();
    soon("it waits", || pinned.is_idle());
    let seat = pinned.0.seat.load(Ordering::SeqCst);
    // One that computes, at the worker that the pinned one must go on at.
    let (computes, _result) = loop {
        let (thread, result) = start_call(&machine, &engine, Share::default(), "spin");
        soon("it runs", || thread.0.state.is_running());
        if thread.0.seat.load(Ordering::SeqCst) == seat {
            break (thread, result);
        }
        thread.condemn(by_a_test());
        soon("it ends", || thread.is_done());
    };
    go.store(true, Ordering::SeqCst);
    wakes_pinned.wake();
    soon("it moves", || computes.0.seat.load(Ordering::SeqCst) != seat);
    end.store(true, Ordering::SeqCst);
}

struct Counting(Arc<AtomicU64>);

impl Body for Counting {
    fn run(&mut self) -> Next {
        self.0.fetch_add(1, Ordering::SeqCst);
        Next::Idle
    }
}

struct Overhears;

impl Errand for Overhears {
    type Outcome = ();

    /// Is woken as if for its body, and takes that for its own.
    fn run(self, _: StackBounds) {
        park::current_thread().unwrap().wake();
        park::park(None).unwrap();
    }
}

struct Nobody;

impl Witness for Nobody {
    fn waits(&self, _: u32) {}
    fn is_back(&self, _: u32) {}
    fn enter(&self, _: u32, _: &dyn Fn() -> bool) -> Option<u64> {
        None
    }
    fn leave(&self, _: u64) {}
}

#[test]
fn a_wake_up_that_comes_while_a_thread_is_visited_reaches_its_body() {
    let (machine, runs) = (machine(1), Arc::new(AtomicU64::new(0)));
    let callee = machine.spawn(machine.account(Share::default()), Box::new(Counting(Arc::clone(&runs))));
    start(&machine, Share::default(), move || {
        let terms = Terms { callee: &callee, to: 1, from: 2, deadline_ns: None, witness: &Nobody };
        // SAFETY: the errand refers to nothing.
        let handed = unsafe { hand_off(&terms, &mut Order::new(Overhears)) };
        assert!(matches!(handed, Handed::Done));
    });
    soon("its body runs", || runs.load(Ordering::SeqCst) == 1);
}

#[test]
fn who_is_condemned_before_its_worker_sits_down_ends_too() {
    let engine = Engine::new().unwrap();
    for _ in 0..100 {
        let machine = machine(2);
        let loops: Vec<_> = (0..3).map(|_| start_call(&machine, &engine, Share::default(), "spin")).collect();
        loops.iter().for_each(|(thread, _)| thread.condemn(by_a_test()));
        for (_, result) in loops {
            assert_eq!(result.recv_timeout(SOON).unwrap().trap, by_a_test());
        }
    }
}
