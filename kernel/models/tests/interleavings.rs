//! What holds whatever the order of the steps, and whatever each processor sees of the others' writes.

#![allow(clippy::unwrap_used, reason = "a test that has nothing to unwrap has failed")]

use std::ptr::NonNull;

use atoll_models::atomics::{AtomicU32, AtomicU64, Ordering};
use atoll_models::doze::{Doze, Roused};
use atoll_models::gate;
use atoll_models::hatch::{Hatch, Mark, Met, Outcome};
use atoll_models::lock::ParkingLock;
use atoll_models::order::{NEVER, Order};
use atoll_models::phase::{State, Then};
use atoll_models::verdict::Verdict;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::sync::{Arc, Notify};
use loom::thread::{self, JoinHandle};

/// A number that only one at a time may touch, and see what the last one wrote: the model checker watches over it.
#[derive(Debug, Default)]
struct Plain(UnsafeCell<usize>);

// SAFETY: the model checker stops at the first access that races with another.
unsafe impl Sync for Plain {}

impl Plain {
    fn get(&self) -> usize {
        // SAFETY: valid for the closure, and nobody writes it meanwhile: see above.
        self.0.with(|value| unsafe { *value })
    }

    fn set(&self, value: usize) {
        // SAFETY: valid for the closure, and nobody touches it meanwhile: see above.
        self.0.with_mut(|place| unsafe { *place = value });
    }
}

/// A thread as workers see it: its state, how many queues it is in, what it is woken for and what it has seen of that.
#[derive(Default)]
struct Sleeper {
    state: State,
    queued: AtomicUsize,
    sent: AtomicUsize,
    /// Only who runs it touches this.
    seen: Plain,
}

impl Sleeper {
    fn enqueue(&self) {
        assert_eq!(self.queued.fetch_add(1, Ordering::AcqRel), 0, "in two queues");
    }

    fn wake(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if self.state.wake() == Then::Enqueue {
            self.enqueue();
        }
    }

    /// Whether it was in a queue; if so, gives it a turn, after which `leave` says how it leaves.
    fn turn(&self, leave: fn(&State) -> Then) -> bool {
        if self.queued.compare_exchange(1, 0, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return false;
        }
        self.state.begin();
        // Relaxed: that it sees what was sent before a wake is what the state is for.
        self.seen.set(self.sent.load(Ordering::Relaxed));
        if leave(&self.state) == Then::Enqueue {
            self.enqueue();
        }
        true
    }

    /// Runs it until it is in no queue; what it has seen by then.
    fn settle(&self) -> usize {
        while self.turn(State::park) {}
        assert!(self.state.is_idle());
        self.seen.get()
    }
}

/// Tries all interleavings, where that takes less than a few seconds.
fn all(model: impl Fn() + Send + Sync + 'static) {
    loom::model(model);
}

/// Tries all interleavings in which no more than three times somebody is stopped who could go on.
fn most(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(builder.preemption_bound.unwrap_or(3));
    builder.check(model);
}

fn spawn<T: Send + Sync + 'static>(shared: &Arc<T>, work: impl FnOnce(&T) + 'static) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || work(&shared))
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn no_wake_is_lost_and_no_thread_is_in_two_queues() {
    most(|| {
        let sleeper = Arc::new(Sleeper::default());
        let worker = spawn(&sleeper, |sleeper| {
            sleeper.turn(State::park);
        });
        let waker = spawn(&sleeper, Sleeper::wake);
        sleeper.wake();
        join([worker, waker]);
        assert_eq!(sleeper.settle(), 2);
    });
}

#[test]
fn no_wake_is_lost_over_a_pre_emption() {
    most(|| {
        let sleeper = Arc::new(Sleeper::default());
        sleeper.wake();
        // Two workers: what the first one leaves, the second one may go on with at once.
        let workers = [
            spawn(&sleeper, |sleeper| {
                sleeper.turn(State::preempt);
            }),
            spawn(&sleeper, |sleeper| {
                sleeper.turn(State::park);
            }),
        ];
        sleeper.wake();
        join(workers);
        assert_eq!(sleeper.settle(), 2);
    });
}

#[test]
fn no_wake_is_lost_where_the_processor_is_handed_over() {
    most(|| {
        let sleeper = Arc::new(Sleeper::default());
        // Two callers that find it idle, perhaps, and somebody who wakes it.
        let visit = |sleeper: &Sleeper| {
            if sleeper.state.claim() {
                // The model checker stops if somebody else does so meanwhile.
                sleeper.seen.set(sleeper.sent.load(Ordering::Relaxed));
                if sleeper.state.park() == Then::Enqueue {
                    sleeper.enqueue();
                }
            }
        };
        let callers = [spawn(&sleeper, visit), spawn(&sleeper, visit)];
        sleeper.wake();
        join(callers);
        assert_eq!(sleeper.settle(), 1);
    });
}

#[test]
fn a_visit_that_leaves_is_in_one_queue() {
    most(|| {
        let sleeper = Arc::new(Sleeper::default());
        let caller = spawn(&sleeper, |sleeper| {
            if sleeper.state.claim() && sleeper.state.preempt() == Then::Enqueue {
                sleeper.enqueue();
            }
        });
        let worker = spawn(&sleeper, |sleeper| {
            sleeper.turn(State::park);
        });
        sleeper.wake();
        join([caller, worker]);
        assert_eq!(sleeper.settle(), 1);
    });
}

#[test]
fn who_ends_is_not_woken_again() {
    all(|| {
        let sleeper = Arc::new(Sleeper::default());
        sleeper.wake();
        let worker = spawn(&sleeper, |sleeper| {
            sleeper.turn(|state| {
                state.end();
                Then::Nothing
            });
        });
        sleeper.wake();
        join([worker]);
        assert!(sleeper.state.is_done());
        assert!(!sleeper.turn(State::park));
    });
}

#[test]
fn a_pardon_leaves_no_half_of_a_verdict() {
    all(|| {
        let verdict = Arc::new(Verdict::default());
        verdict.pass(1);
        let other = spawn(&verdict, |verdict| verdict.pass(2));
        let taken = verdict.take_back();
        assert!(matches!(taken, Some(1)));
        join([other]);
        assert_eq!(verdict.trap().is_some(), verdict.is_passed());
    });
}

#[test]
fn what_is_for_good_outlives_a_pardon() {
    all(|| {
        let verdict = Arc::new(Verdict::default());
        verdict.pass(1);
        let other = spawn(&verdict, |verdict| verdict.pass_for_good(2));
        verdict.take_back();
        join([other]);
        assert!(verdict.is_passed() && verdict.is_for_good() && verdict.take_back().is_none());
        assert_eq!(verdict.trap(), Some(2));
    });
}

/// A worker that sleeps, and its queue.
#[derive(Default)]
struct Bed {
    doze: Doze,
    work: AtomicUsize,
    roused: AtomicUsize,
}

#[test]
fn nobody_sleeps_over_work() {
    all(|| {
        let bed = Arc::new(Bed::default());
        let bring = |bed: &Bed| {
            bed.work.fetch_add(1, Ordering::Relaxed);
            if bed.doze.rouse() == Roused::Asleep {
                bed.roused.fetch_add(1, Ordering::Relaxed);
            }
        };
        let pushers = [spawn(&bed, bring), spawn(&bed, bring)];
        bed.doze.begin();
        let stays_awake = bed.work.load(Ordering::Relaxed) > 0;
        join(pushers);
        let roused = bed.roused.load(Ordering::Relaxed);
        assert!(stays_awake || roused > 0, "it sleeps, and there is work");
        assert!(roused < 2, "one sleep is ended once");
    });
}

#[test]
fn who_looks_around_first_sleeps_over_nothing() {
    most(|| {
        let bed = Arc::new(Bed::default());
        let pusher = spawn(&bed, |bed| {
            bed.work.fetch_add(1, Ordering::Relaxed);
            if bed.doze.rouse() == Roused::Asleep {
                bed.roused.fetch_add(1, Ordering::Relaxed);
            }
        });
        bed.doze.look();
        let mut stays_awake = bed.work.load(Ordering::Relaxed) > 0;
        if stays_awake {
            bed.doze.end();
        } else {
            bed.doze.begin();
            stays_awake = bed.work.load(Ordering::Relaxed) > 0;
        }
        join([pusher]);
        assert!(stays_awake || bed.roused.load(Ordering::Relaxed) > 0, "it sleeps, and there is work");
    });
}

/// A worker's timer and the tick that is ordered.
struct Clock {
    order: Order,
    /// When the timer expires. The system does one thing after the other to it, and each sees what came before.
    timer: AtomicU64,
}

impl Clock {
    fn new() -> Arc<Clock> {
        Arc::new(Clock { order: Order::default(), timer: AtomicU64::new(NEVER) })
    }

    fn set(&self, at_ns: u64) {
        self.timer.swap(at_ns, Ordering::AcqRel);
    }

    fn by(&self, at_ns: u64) {
        self.order.by(at_ns, 0, |at_ns| self.set(at_ns));
    }

    fn silence(&self) {
        self.order.cancel(|| self.set(NEVER), || self.set(1));
    }

    /// The timer expires, if it is set; `next` is what the handler orders.
    fn expire(&self, next: u64) {
        if self.timer.swap(NEVER, Ordering::AcqRel) != NEVER {
            self.order.came();
            self.by(next);
        }
    }

    fn armed(&self) -> u64 {
        self.timer.load(Ordering::Relaxed)
    }
}

#[test]
fn of_all_ticks_that_are_ordered_the_earliest_comes() {
    most(|| {
        let clock = Clock::new();
        let others = [spawn(&clock, |clock| clock.by(30)), spawn(&clock, |clock| clock.by(10))];
        clock.by(20);
        join(others);
        assert_eq!(clock.armed(), 10);
    });
}

#[test]
fn a_tick_that_comes_meanwhile_leaves_what_it_orders() {
    all(|| {
        let clock = Clock::new();
        clock.by(30);
        let others = [spawn(&clock, |clock| clock.expire(20)), spawn(&clock, |clock| clock.by(10))];
        join(others);
        // The 10 counts if it was ordered after the tick; before, the handler has seen what it was for.
        assert!(clock.armed() <= 20, "{}", clock.armed());
    });
}

#[test]
fn who_silences_a_timer_does_not_silence_a_later_order() {
    all(|| {
        let clock = Clock::new();
        clock.by(30);
        let other = spawn(&clock, |clock| clock.by(10));
        clock.silence();
        let ordered = clock.armed();
        join([other]);
        clock.by(10); // as the one that is woken would, once it is awake
        assert!(clock.armed() <= 10, "{} and {ordered}", clock.armed());
    });
}

#[test]
fn one_at_a_time_has_a_lock_and_all_get_it() {
    all(|| {
        let lock = Arc::new(ParkingLock::new(Plain::default()));
        let add = |lock: &ParkingLock<Plain>| {
            let held = lock.lock();
            held.set(held.get() + 1);
        };
        let other = spawn(&lock, add);
        add(&lock);
        join([other]);
        assert_eq!(lock.lock().get(), 2);
    });
}

#[test]
fn a_lock_that_is_only_tried_is_given_back() {
    all(|| {
        let lock = Arc::new(ParkingLock::new(Plain::default()));
        let tried = Arc::new(AtomicBool::new(false));
        let other = spawn(&lock, {
            let tried = Arc::clone(&tried);
            move |lock| {
                if let Some(held) = lock.try_lock() {
                    held.set(held.get() + 1);
                    tried.store(true, Ordering::Relaxed);
                }
            }
        });
        let held = lock.lock();
        held.set(held.get() + 1);
        drop(held);
        join([other]);
        let expected = if tried.load(Ordering::Relaxed) { 2 } else { 1 };
        assert_eq!(lock.lock().get(), expected);
    });
}

/// A line from a caller to a worker, and that worker's hatch.
struct Wire {
    hatch: Hatch<Mark>,
    mark: Mark,
    asked: Plain,
    answered: Plain,
    /// Whose the line is in the end.
    freed: AtomicUsize,
    bell: Notify,
}

impl Wire {
    fn new() -> Arc<Wire> {
        Arc::new(Wire {
            hatch: Hatch::default(),
            mark: Mark::default(),
            asked: Plain::default(),
            answered: Plain::default(),
            freed: AtomicUsize::new(0),
            bell: Notify::new(),
        })
    }

    /// Calls, over the line or by the hatch; whether the call is under way.
    fn call(&self, number: usize) -> bool {
        self.asked.set(number);
        if self.mark.call() {
            return true;
        }
        self.mark.prepare();
        let put = self.hatch.put(NonNull::from(&self.mark));
        if !put {
            self.mark.withdraw();
        }
        put
    }

    /// Waits for the answer: what is asked for, plus 100.
    fn answer(&self) -> Option<usize> {
        if self.mark.wait() {
            while !self.mark.is_over() {
                self.bell.wait();
            }
        }
        assert!(self.mark.is_over());
        matches!(self.mark.outcome(), Outcome::Served | Outcome::Finished).then(|| self.answered.get())
    }

    /// The worker finds that it rings; whether it looks at the line from now on.
    fn serve(&self, outcome: Outcome) -> bool {
        if self.mark.is_gone() {
            self.freed.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        if outcome != Outcome::Refused {
            self.answered.set(self.asked.get() + 100);
        }
        match self.mark.finish(outcome, || ()) {
            Met::Seen => (),
            Met::Asleep(()) => self.bell.notify(),
            Met::Gone => {
                self.freed.fetch_add(1, Ordering::Relaxed);
                return false;
            }
        }
        outcome == Outcome::Served
    }

    /// The worker looks around, this often, and then no more.
    fn work(&self, looks: usize, outcome: Outcome) {
        self.hatch.open();
        let mut looks_at_it = false;
        for _ in 0..looks {
            let rings = looks_at_it && self.mark.rings();
            if !rings && !self.hatch.is_full() {
                continue;
            }
            let handed_in = self.hatch.shut().is_some();
            assert!(handed_in != rings, "it is looked at and handed in");
            looks_at_it = self.serve(outcome);
            self.hatch.open();
        }
        if self.hatch.shut().is_some() {
            assert!(!looks_at_it, "it is looked at and handed in");
            looks_at_it = self.serve(outcome);
        }
        if looks_at_it && !self.mark.close() {
            self.serve(Outcome::Refused);
        }
    }

    /// The caller wants the line no more.
    fn hang_up(&self) {
        if !self.mark.hang_up() {
            self.freed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn every_call_over_a_line_is_answered_and_the_line_is_freed_once() {
    most(|| {
        let wire = Wire::new();
        let worker = spawn(&wire, |wire| wire.work(2, Outcome::Served));
        for number in 0..2 {
            if wire.call(number)
                && let Some(answer) = wire.answer()
            {
                assert_eq!(answer, number + 100);
            }
        }
        wire.hang_up();
        join([worker]);
        assert_eq!(wire.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_call_that_is_refused_leaves_the_line_to_its_caller() {
    most(|| {
        let wire = Wire::new();
        let worker = spawn(&wire, |wire| wire.work(1, Outcome::Refused));
        for number in 0..2 {
            if wire.call(number) {
                assert_eq!(wire.answer(), None);
            }
        }
        wire.hang_up();
        join([worker]);
        assert_eq!(wire.freed.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn who_leaves_a_call_leaves_the_line_to_the_worker() {
    for outcome in [Outcome::Served, Outcome::Finished, Outcome::Refused] {
        most(move || {
            let wire = Wire::new();
            let worker = spawn(&wire, move |wire| wire.work(1, outcome));
            if !(wire.call(1) && wire.mark.wait() && wire.mark.leave()) {
                wire.hang_up();
            }
            join([worker]);
            assert_eq!(wire.freed.load(Ordering::Relaxed), 1);
        });
    }
}

#[test]
fn who_serves_a_call_has_not_left_work_that_others_count_on() {
    all(|| {
        let bed = Arc::new(Bed::default());
        let pusher = spawn(&bed, |bed| {
            bed.work.fetch_add(1, Ordering::Relaxed);
            if bed.doze.rouse() != Roused::Nobody {
                bed.roused.fetch_add(1, Ordering::Relaxed);
            }
        });
        bed.doze.look();
        bed.doze.rise();
        let sees = bed.work.load(Ordering::Relaxed) > 0;
        join([pusher]);
        // Who has found nobody sees to it that the worker is interrupted.
        assert!(sees || bed.roused.load(Ordering::Relaxed) == 0, "work waits, and nobody knows");
    });
}

/// A ring of one byte, with a reader who sleeps as on a futex: only while the index is where it was seen.
#[derive(Default)]
struct Stream {
    tail: AtomicU32,
    naps: AtomicU32,
    byte: Plain,
    /// Rung when the reader is woken.
    rung: AtomicBool,
}

impl Stream {
    fn write(&self, byte: usize) {
        self.byte.set(byte);
        if gate::publish(&self.tail, &self.naps, 1) {
            self.rung.store(true, Ordering::SeqCst);
        }
    }

    /// What was written, or none if the reader has fallen asleep for good.
    fn read(&self) -> Option<usize> {
        if self.tail.load(Ordering::Acquire) == 0 {
            if gate::doze(&self.tail, &self.naps) == 0 {
                // It sleeps until it is rung, or as long as the model does not go on: then the bell must ring.
                return None;
            }
            gate::rise(&self.naps);
        }
        Some(self.byte.get())
    }
}

#[test]
fn a_reader_sees_what_was_written_or_is_woken() {
    all(|| {
        let stream = Arc::new(Stream::default());
        let writer = spawn(&stream, |stream| stream.write(7));
        let read = stream.read();
        join([writer]);
        match read {
            Some(byte) => assert_eq!(byte, 7),
            None => {
                assert!(stream.rung.load(Ordering::SeqCst), "it sleeps for ever");
                assert_eq!(stream.byte.get(), 7);
            }
        }
    });
}
