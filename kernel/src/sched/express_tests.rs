//! Lines between threads at two workers: what is done over them, and what becomes of them when somebody goes away.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use abi::fault::Trap;

use super::account::Share;
use super::express::{Called, Commission, Line};
use super::fair::{Fair, FairOptions, VirtualTime};
use super::handoff::Witness;
use super::machine::Machine;
use super::machine_tests::SOON;
use super::park::{self, Waiter};
use super::pool::Numbers;
use super::thread::{Body, Next, Thread};
use crate::mem::stack::StackBounds;

/// What the callee is to do.
#[derive(Clone, Copy, PartialEq)]
enum Task {
    Add(u64),
    /// Waits until it is let go, and gives 7.
    Wait,
    /// Is woken as if for its body, and does not notice.
    Overhear,
    /// The same without leaving the processor.
    Stay,
    /// Computes for a while.
    Grind,
    Panic,
}

/// What both sides know.
#[derive(Default)]
struct Scene {
    /// How often the callee's body looked for work.
    looks: AtomicU64,
    let_go: AtomicBool,
    stays: AtomicBool,
    waits: Mutex<Vec<Waiter>>,
    /// Who is in the table of waits.
    entered: Mutex<Vec<u64>>,
    entries: AtomicU64,
    /// How many lines have not been freed.
    lines: AtomicU64,
}

impl Scene {
    fn let_go(&self) {
        self.let_go.store(true, Ordering::SeqCst);
        self.waits.lock().unwrap().drain(..).for_each(|waiter| waiter.wake());
    }
}

struct Table(Arc<Scene>);

impl Witness for Table {
    fn waits(&self, _: u32) {}
    fn is_back(&self, _: u32) {}
    fn enter(&self, from: u32, waits: &dyn Fn() -> bool) -> Option<u64> {
        let mut entered = self.0.entered.lock().unwrap();
        waits().then(|| {
            self.0.entries.fetch_add(1, Ordering::SeqCst);
            if !entered.contains(&u64::from(from)) {
                entered.push(u64::from(from));
            }
            u64::from(from)
        })
    }
    fn leave(&self, entry: u64) {
        self.0.entered.lock().unwrap().retain(|other| *other != entry);
    }
}

struct Errand(Task);
struct Rest(Arc<Scene>);

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.lines.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Commission for Errand {
    type Outcome = Box<u64>;
    type Rest = Rest;

    fn run(&self, rest: &Rest, _: StackBounds) -> Box<u64> {
        match self.0 {
            Task::Add(number) => Box::new(number + 1),
            Task::Wait => {
                super::handoff::note_callers();
                while !rest.0.let_go.load(Ordering::SeqCst) {
                    rest.0.waits.lock().unwrap().push(Waiter::current());
                    let _ = park::park(None);
                }
                Box::new(7)
            }
            Task::Overhear => {
                let thread = park::current_thread().unwrap();
                thread.wake();
                park::park(None).unwrap();
                Box::new(8)
            }
            Task::Stay => {
                rest.0.stays.store(true, Ordering::SeqCst);
                while !rest.0.let_go.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                Box::new(6)
            }
            Task::Grind => {
                let until = Instant::now() + Duration::from_millis(20);
                while Instant::now() < until {}
                Box::new(9)
            }
            Task::Panic => panic!("a test"),
        }
    }
}

struct Callee(Arc<Scene>);

impl Body for Callee {
    fn run(&mut self) -> Next {
        self.0.looks.fetch_add(1, Ordering::SeqCst);
        Next::Idle
    }
}

struct Caller<F>(Option<F>);

impl<F: FnOnce() + Send> Body for Caller<F> {
    fn run(&mut self) -> Next {
        self.0.take().unwrap()();
        Next::End
    }
}

/// Two workers that look for so long that the other one gets a processor meanwhile, however busy all of them are.
fn machine() -> Machine {
    let patience_ns = [20_000_000; 2];
    let numbers = Numbers { slice_ns: 1_000_000, sample_ns: 10_000_000, cores: 2, patience_ns };
    let (fair, time) = (FairOptions::of_slice(numbers.slice_ns), VirtualTime::default());
    Machine::start_numbered(2, numbers, &move || Box::new(Fair::new(fair, time.clone()))).unwrap()
}

fn soon(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "{what} does not happen");
        std::thread::yield_now();
    }
}

fn callee(machine: &Machine, scene: &Arc<Scene>) -> Thread {
    machine.spawn_at(0, machine.account(Share::default()), Box::new(Callee(Arc::clone(scene))))
}

fn caller(machine: &Machine, work: impl FnOnce() + Send + 'static) -> Thread {
    let thread = machine.spawn_at(1, machine.account(Share::default()), Box::new(Caller(Some(work))));
    thread.wake();
    thread
}

fn line(scene: &Arc<Scene>, callee: &Thread) -> Line<Errand> {
    scene.lines.fetch_add(1, Ordering::SeqCst);
    let parts = (Errand(Task::Add(0)), Rest(Arc::clone(scene)));
    Line::new((callee, 4), 3, Arc::new(Table(Arc::clone(scene))), parts).unwrap()
}

/// A machine, a callee at its first worker, and a line to that.
fn stage() -> (Machine, Arc<Scene>, Thread, Line<Errand>) {
    let (machine, scene) = (machine(), Arc::new(Scene::default()));
    let served = callee(&machine, &scene);
    let way = line(&scene, &served);
    (machine, scene, served, way)
}

/// Wakes the callee's worker, which looks around when the callee has nothing to do any more.
fn rouse(callee: &Thread) {
    callee.wake();
    while !callee.is_idle() && park::checkpoint().is_ok() {
        std::hint::spin_loop();
    }
}

/// Calls until the call is taken: the callee's worker is woken for that, and looks around afterwards.
fn call(line: Option<Line<Errand>>, callee: &Thread, task: Task) -> (Called<Box<u64>>, Option<Line<Errand>>) {
    let mut line = line;
    loop {
        let (called, back) = line.take().unwrap().call(|errand, _| errand.0 = task);
        match called {
            Called::Refused => {
                line = back;
                rouse(callee);
            }
            called => return (called, back),
        }
    }
}

#[test]
fn calls_over_a_line_are_done_by_the_callees_thread() {
    const CALLS: u64 = 2_000;
    let (machine, scene, served, way) = stage();
    let (mut way, other) = (Some(way), served.clone());
    let (send, receive) = mpsc::channel();
    caller(&machine, move || {
        for number in 0..CALLS {
            let (called, back) = call(way.take(), &other, Task::Add(number));
            assert!(matches!(called, Called::Done(sum) if *sum == number + 1));
            way = back;
        }
        send.send(other.visits()).unwrap();
    });
    assert_eq!(receive.recv_timeout(SOON), Ok(CALLS));
    soon("the line is freed", || scene.lines.load(Ordering::SeqCst) == 0);
    assert!(served.is_idle() && scene.entered.lock().unwrap().is_empty());
}

#[test]
fn a_caller_whose_callee_waits_sleeps_and_is_in_the_table_meanwhile() {
    let (machine, scene, served, way) = stage();
    let other = served.clone();
    let (send, receive) = mpsc::channel();
    let waiting = caller(&machine, move || {
        let (called, way) = call(Some(way), &other, Task::Wait);
        assert!(matches!(called, Called::Done(seven) if *seven == 7));
        // The line is as good as before.
        let (called, _) = call(way, &other, Task::Add(1));
        send.send(matches!(called, Called::Done(two) if *two == 2)).unwrap();
    });
    soon("both sleep", || waiting.is_idle() && served.is_idle() && waiting.visiting() == Some(4));
    assert_eq!(*scene.entered.lock().unwrap(), [3]);
    scene.let_go();
    assert_eq!(receive.recv_timeout(SOON), Ok(true));
    assert!(scene.entered.lock().unwrap().is_empty() && scene.entries.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_caller_that_is_condemned_leaves_and_the_callee_goes_on() {
    let (machine, scene, served, way) = stage();
    let other = served.clone();
    let (send, receive) = mpsc::channel();
    let leaving = caller(&machine, move || {
        let (called, way) = call(Some(way), &other, Task::Wait);
        send.send((matches!(called, Called::Condemned(Trap::Killed(_))), way.is_none())).unwrap();
    });
    soon("it is served", || !scene.waits.lock().unwrap().is_empty());
    leaving.condemn(Trap::Killed("by a test".to_owned()));
    assert_eq!(receive.recv_timeout(SOON), Ok((true, true)));
    assert!(scene.entered.lock().unwrap().is_empty());
    assert_eq!(scene.lines.load(Ordering::SeqCst), 1);
    let looks = scene.looks.load(Ordering::SeqCst);
    scene.let_go();
    soon("the line is freed", || scene.lines.load(Ordering::SeqCst) == 0);
    soon("it looks for what it was woken for", || scene.looks.load(Ordering::SeqCst) > looks);
}

#[test]
fn a_wake_up_that_comes_during_a_call_reaches_the_body() {
    let (machine, scene, served, way) = stage();
    let (other, seen) = (served.clone(), Arc::clone(&scene));
    let (send, receive) = mpsc::channel();
    caller(&machine, move || {
        // Over the line alone: nothing else wakes it.
        let mut way = call(Some(way), &other, Task::Add(1)).1;
        let looks = loop {
            let looks = seen.looks.load(Ordering::SeqCst);
            let (called, back) = way.take().unwrap().call(|errand, _| errand.0 = Task::Overhear);
            if matches!(called, Called::Done(_)) {
                break looks;
            }
            way = call(back, &other, Task::Add(1)).1;
        };
        send.send(looks).unwrap();
    });
    let looks = receive.recv_timeout(SOON).unwrap();
    soon("its body looks", || scene.looks.load(Ordering::SeqCst) > looks);
}

#[test]
fn a_panic_on_a_line_ends_the_callees_thread_and_answers_the_caller() {
    let (machine, scene, served, way) = stage();
    let other = served.clone();
    let (send, receive) = mpsc::channel();
    caller(&machine, move || {
        let (called, way) = call(Some(way), &other, Task::Panic);
        let (again, _) = way.unwrap().call(|errand, _| errand.0 = Task::Add(1));
        send.send((matches!(called, Called::Lost), matches!(again, Called::Refused))).unwrap();
    });
    assert_eq!(receive.recv_timeout(SOON), Ok((true, true)));
    soon("it is gone", || served.is_done() && scene.lines.load(Ordering::SeqCst) == 0);
}

#[test]
fn who_is_ready_at_the_callers_worker_runs_while_that_waits() {
    let (machine, scene, served, way) = stage();
    let other = served.clone();
    caller(&machine, move || drop(call(Some(way), &other, Task::Wait)));
    soon("it is served", || !scene.waits.lock().unwrap().is_empty());
    let (send, receive) = mpsc::channel();
    caller(&machine, move || send.send(()).unwrap());
    receive.recv_timeout(SOON).unwrap();
    scene.let_go();
}

#[test]
fn a_worker_that_serves_a_call_takes_no_other_one() {
    let (machine, scene) = (machine(), Arc::new(Scene::default()));
    let (served, second) = (callee(&machine, &scene), callee(&machine, &scene));
    let (other, way, next) = (served.clone(), line(&scene, &served), line(&scene, &second));
    caller(&machine, move || drop(call(Some(way), &other, Task::Stay)));
    soon("it is served", || scene.stays.load(Ordering::SeqCst));
    let (send, receive) = mpsc::channel();
    caller(&machine, move || {
        let (called, _) = next.call(|errand, _| errand.0 = Task::Add(1));
        send.send(matches!(called, Called::Refused)).unwrap();
    });
    // While it is under way: whoever is refused sends a message, which is queued, and orders a tick.
    assert_eq!(receive.recv_timeout(SOON), Ok(true));
    scene.let_go();
}

#[test]
fn who_was_called_a_lot_does_not_wait_for_all_that_beside_a_newcomer() {
    let (machine, scene, served, way) = stage();
    let other = served.clone();
    let (send, receive) = mpsc::channel();
    caller(&machine, move || {
        let mut way = Some(way);
        while other.account().used_ns() < 300_000_000 {
            way = call(way, &other, Task::Grind).1;
        }
        send.send(()).unwrap();
    });
    receive.recv_timeout(SOON).unwrap();
    let account = machine.account(Share::default());
    let (paid, seen) = (Arc::clone(&account), Arc::clone(&scene));
    let looks = scene.looks.load(Ordering::SeqCst);
    let work = move || {
        served.wake();
        while seen.looks.load(Ordering::SeqCst) == looks && park::checkpoint().is_ok() {}
    };
    let newcomer = machine.spawn_at(0, paid, Box::new(Caller(Some(work))));
    newcomer.wake();
    soon("the callee runs", || newcomer.is_done());
    assert!(account.used_ns() < 150_000_000, "it waited for {} ns", account.used_ns());
}

#[test]
fn a_machine_that_is_dropped_ends_both_ends_of_a_line() {
    let (machine, scene, served, way) = stage();
    let other = served.clone();
    let calling = caller(&machine, move || {
        let mut way = Some(way);
        while park::checkpoint().is_ok() {
            let (called, back) = way.unwrap().call(|errand, _| errand.0 = Task::Add(1));
            way = back;
            if matches!(called, Called::Refused) {
                rouse(&other);
            }
        }
    });
    soon("it is called", || served.visits() > 100);
    drop(machine);
    assert!(calling.is_done() && served.is_done());
    soon("the line is freed", || scene.lines.load(Ordering::SeqCst) == 0);
}
