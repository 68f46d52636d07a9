//! Machines with guest code on them: what pre-emption, condemnation, caps and waiting do to it.

use std::io::Write;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use abi::fault::{Fault, Trap};

use super::account::{Share, WEIGHT_ONE};
use super::machine::{Machine, MachineOptions};
use super::park::{self, Interest, Waiter};
use super::thread::{Body, Next, Thread};
use crate::domain::externs::Func;
use crate::domain::{Domain, DomainOptions};
use crate::instance::InstanceIndex;
use crate::jit::engine::Engine;
use crate::jit::valtype::CoreFuncType;

/// State in general, float and vector registers, over calls too deep to inline.
pub(super) const MIX: &str = r#"(module
  (memory 1)
  (func $step (param $h i64) (param $i i64) (result i64)
    (i64.rotl (i64.mul (i64.xor (local.get $h) (local.get $i)) (i64.const 0x100000001b3)) (i64.const 13)))
  (func (export "mix") (param $n i64) (result i64)
    (local $i i64) (local $h i64) (local $f f64) (local $v v128)
    (local.set $h (i64.const 0x1e3779b97f4a7c15))
    (loop $next
      (local.set $h (call $step (local.get $h) (local.get $i)))
      (local.set $f (f64.add (f64.mul (local.get $f) (f64.const 0.999)) (f64.convert_i64_s (local.get $i))))
      (local.set $v (i32x4.add (i32x4.mul (local.get $v) (i32x4.splat (i32.const 17)))
        (i32x4.splat (i32.wrap_i64 (local.get $h)))))
      (i64.store (i32.and (i32.wrap_i64 (local.get $h)) (i32.const 0xfff8)) (local.get $h))
      (br_if $next (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (local.get $n))))
    (i64.xor (i64.xor (local.get $h) (i64.reinterpret_f64 (local.get $f)))
      (i64.xor (i64x2.extract_lane 0 (local.get $v)) (i64.load (i32.const 64)))))
  (func (export "spin") (loop $l (br $l)))
  (func $down (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (loop $l (br $l)) (i32.const 1))
      (else (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))))
  (func (export "deep") (drop (call $down (i32.const 100)))))"#;

pub(super) struct Guest {
    domain: Domain,
    instance: InstanceIndex,
}

impl Guest {
    pub(super) fn new(engine: &Engine, text: &str) -> Guest {
        let library = engine.library(&wat::parse_str(text).unwrap()).unwrap();
        let mut domain = Domain::new(engine, DomainOptions::default());
        let instance = domain.instantiate(&library, &[], None).unwrap();
        Guest { domain, instance }
    }

    fn func(&self, name: &str) -> Func {
        self.domain.export(self.instance, name).unwrap().func().unwrap()
    }

    pub(super) fn call(&mut self, name: &str, args: &[u128], results: &mut [u128]) -> Result<(), Fault> {
        let func = self.func(name);
        self.domain.call(&func, args, results)
    }
}

/// A body that does one thing and ends.
struct Once<F>(Option<F>);

impl<F: FnOnce() + Send> Body for Once<F> {
    fn run(&mut self) -> Next {
        self.0.take().unwrap()();
        Next::End
    }
}

pub(super) fn machine(workers: usize) -> Machine {
    Machine::start(MachineOptions { workers: Some(workers), ..MachineOptions::default() }).unwrap()
}

pub(super) fn start(machine: &Machine, share: Share, work: impl FnOnce() + Send + 'static) -> Thread {
    let thread = machine.spawn(machine.account(share), Box::new(Once(Some(work))));
    thread.wake();
    thread
}

#[test]
fn pre_emption_changes_no_bit() {
    const ROUNDS: u128 = 20_000_000;
    let engine = Engine::new().unwrap();
    let run = |engine: &Engine| {
        let mut result = [0];
        Guest::new(engine, MIX).call("mix", &[ROUNDS], &mut result).unwrap();
        result[0]
    };
    let expected = run(&engine);
    let options = MachineOptions { workers: Some(2), slice_ns: 50_000, ..MachineOptions::default() };
    let machine = Machine::start(options).unwrap();
    let (send, receive) = mpsc::channel();
    for _ in 0..8 {
        let (send, engine) = (send.clone(), engine.clone());
        start(&machine, Share::default(), move || send.send(run(&engine)).unwrap());
    }
    for _ in 0..8 {
        assert_eq!(receive.recv_timeout(Duration::from_secs(120)).unwrap(), expected);
    }
    let turns = machine.turns();
    assert!(turns > 1000, "only {turns} turns: was anything pre-empted?");
}

/// Runs `name` of the mix on a thread of its own; the result comes through the channel.
pub(super) fn start_call(
    machine: &Machine,
    engine: &Engine,
    share: Share,
    name: &'static str,
) -> (Thread, mpsc::Receiver<Fault>) {
    let (send, receive) = mpsc::channel();
    let mut guest = Guest::new(engine, MIX);
    let thread =
        start(machine, share, move || send.send(guest.call(name, &[], &mut []).unwrap_err()).unwrap());
    (thread, receive)
}

pub(super) const SOON: Duration = Duration::from_secs(20);

#[test]
fn endless_loops_end_when_they_are_condemned() {
    let engine = Engine::new().unwrap();
    for workers in [1, 2] {
        for loops in [1, 2, 5] {
            let machine = machine(workers);
            let threads: Vec<_> =
                (0..loops).map(|_| start_call(&machine, &engine, Share::default(), "deep")).collect();
            std::thread::sleep(Duration::from_millis(20));
            for (thread, result) in &threads {
                let began = Instant::now();
                thread.condemn(Trap::Killed("by a test".to_owned()));
                let fault = result.recv_timeout(SOON).unwrap();
                eprintln!("{workers} workers, {loops} loops: ended after {:?}", began.elapsed());
                assert_eq!(fault.trap, Trap::Killed("by a test".to_owned()));
                assert_eq!(fault.frames.len(), 64);
            }
        }
    }
}

#[test]
fn a_machine_that_is_dropped_ends_its_threads() {
    let engine = Engine::new().unwrap();
    let machine = machine(2);
    let loops: Vec<_> = (0..4).map(|_| start_call(&machine, &engine, Share::default(), "spin")).collect();
    let waiting = start(&machine, Share::default(), || while park::park(None).is_ok() {});
    // A drop does not wait for ever, which a busy machine may take.
    assert!(machine.end_all(&Trap::Killed("by a test".to_owned()), 6 * SOON));
    drop(machine);
    for (thread, result) in loops {
        assert!(matches!(result.try_recv().unwrap().trap, Trap::Killed(_)) && thread.is_done());
    }
    assert!(waiting.is_done());
}

#[test]
fn who_calls_now_and_then_is_served_beside_loops() {
    let engine = Engine::new().unwrap();
    let machine = machine(2);
    let loops: Vec<_> = (0..8).map(|_| start_call(&machine, &engine, Share::default(), "spin")).collect();
    let (send, receive) = mpsc::channel();
    let mut guest = Guest::new(&engine, MIX);
    start(&machine, Share::default(), move || {
        for _ in 0..200 {
            let wanted_ns = park::now_ns() + 3_000_000;
            while park::now_ns() < wanted_ns {
                park::park(Some(wanted_ns)).unwrap();
            }
            guest.call("mix", &[1000], &mut [0]).unwrap();
            send.send(park::now_ns() - wanted_ns).unwrap();
        }
    });
    let mut late: Vec<u64> = receive.iter().collect();
    late.sort_unstable();
    eprintln!("median {} µs, p99 {} µs, worst {} µs", late[100] / 1000, late[198] / 1000, late[199] / 1000);
    assert_eq!(late.len(), 200);
    for (thread, result) in loops {
        thread.condemn(Trap::Killed("by a test".to_owned()));
        result.recv_timeout(SOON).unwrap();
    }
}

#[test]
fn a_cap_holds_beside_nobody_and_beside_loops() {
    const PERMILLE: u32 = 200;
    let engine = Engine::new().unwrap();
    for beside in [0, 3] {
        let machine = machine(2);
        let capped = Share { weight: WEIGHT_ONE, cap: Some(PERMILLE) };
        let (thread, _result) = start_call(&machine, &engine, capped, "spin");
        let _loops: Vec<_> =
            (0..beside).map(|_| start_call(&machine, &engine, Share::default(), "spin")).collect();
        let began = Instant::now();
        std::thread::sleep(Duration::from_secs(2));
        let (used, passed) = (thread.account().used_ns(), began.elapsed().as_nanos() as u64);
        eprintln!("{} of 1000 used beside {beside} loops", used * 1000 / passed);
        assert!(used * 1000 / passed < u64::from(PERMILLE) + 20);
    }
}

/// What is called by `outer` of this module: a host function that calls `inner`, over and over.
const NESTED: &str = r#"(module
  (import "" "again" (func $again))
  (func (export "outer") (loop $l (call $again) (br $l)))
  (func (export "inner") (loop $l (br $l))))"#;

fn nested(engine: &Engine, calls: &Arc<AtomicU64>, stubborn: bool) -> Guest {
    let mut domain = Domain::new(engine, DomainOptions::default());
    let library = engine.library(&wat::parse_str(NESTED).unwrap()).unwrap();
    let calls = Arc::clone(calls);
    let again = Box::new(move |domain: &mut crate::domain::host_items::Reentry<'_>, _: &mut [u128]| {
        calls.fetch_add(1, Ordering::Relaxed);
        let inner = domain.export(InstanceIndex(0), "inner").unwrap().func().unwrap();
        let result = domain.call(&inner, &[], &mut []);
        if stubborn { Ok(()) } else { result.map_err(|fault| fault.trap) }
    });
    let again = domain.host_func_reentrant(&CoreFuncType::default(), again).unwrap();
    let instance = domain.instantiate(&library, &[again], None).unwrap();
    Guest { domain, instance }
}

#[test]
fn condemnation_reaches_through_host_functions() {
    let engine = Engine::new().unwrap();
    let machine = machine(2);
    for stubborn in [false, true] {
        let calls = Arc::new(AtomicU64::new(0));
        let mut guest = nested(&engine, &calls, stubborn);
        let (send, receive) = mpsc::channel();
        let thread = start(&machine, Share::default(), move || {
            send.send(guest.call("outer", &[], &mut []).unwrap_err()).unwrap();
        });
        while calls.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        thread.condemn(Trap::Killed("by a test".to_owned()));
        let fault = receive.recv_timeout(SOON).unwrap();
        assert_eq!(fault.trap, Trap::Killed("by a test".to_owned()));
    }
}

#[test]
fn waiting_ends_when_a_file_is_ready_a_time_has_come_or_somebody_wakes() {
    let machine = machine(1);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (send, receive) = mpsc::channel();
    let (woken, waiter) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
    let seen = Arc::clone(&woken);
    start(&machine, Share::default(), move || {
        let at_ns = park::now_ns() + 5_000_000;
        while park::now_ns() < at_ns {
            park::wait(&[(reader.as_fd(), Interest::Readable)], Some(at_ns)).unwrap();
        }
        send.send("time").unwrap();
        park::wait(&[(reader.as_fd(), Interest::Readable)], None).unwrap();
        send.send("file").unwrap();
        waiter.0.send(Waiter::current()).unwrap();
        while !seen.load(Ordering::SeqCst) {
            park::park(None).unwrap();
        }
        send.send("waker").unwrap();
    });
    // The only worker is free for others meanwhile.
    let (other, done) = mpsc::channel();
    start(&machine, Share::default(), move || other.send(()).unwrap());
    done.recv_timeout(SOON).unwrap();
    assert_eq!(receive.recv_timeout(SOON).unwrap(), "time");
    std::thread::sleep(Duration::from_millis(5));
    assert!(receive.try_recv().is_err());
    writer.write_all(b"x").unwrap();
    assert_eq!(receive.recv_timeout(SOON).unwrap(), "file");
    let waiter = waiter.1.recv_timeout(SOON).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    assert!(receive.try_recv().is_err());
    woken.store(true, Ordering::SeqCst);
    waiter.wake();
    assert_eq!(receive.recv_timeout(SOON).unwrap(), "waker");
}

#[test]
fn a_panic_ends_its_thread_and_no_other() {
    let machine = machine(1);
    let thread = start(&machine, Share::default(), || panic!("a test"));
    let (send, receive) = mpsc::channel();
    start(&machine, Share::default(), move || send.send(()).unwrap());
    receive.recv_timeout(SOON).unwrap();
    assert!(thread.is_done());
}

#[test]
fn a_seed_decides_everything() {
    let run = |seed| {
        let machine = Machine::simulate(seed).unwrap();
        let (send, receive) = mpsc::channel();
        for name in 0..5_u64 {
            let send = send.clone();
            start(&machine, Share::default(), move || {
                for step in 0..5 {
                    park::checkpoint().unwrap();
                    send.send((name, step, park::now_ns())).unwrap();
                    if step == 2 {
                        park::park(Some(park::now_ns() + name * 1_000_000)).unwrap();
                    }
                }
            });
        }
        machine.run_until_idle();
        assert_eq!(machine.thread_count(), 0);
        receive.try_iter().collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_eq!(run(1).len(), 25);
    assert_ne!(run(1), run(2));
}
