//! All workers of a machine, and what they share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use abi::fault::Trap;

use super::account::Account;
use super::clock::Clock;
use super::order::NEVER;
use super::policy::{Choice, Runnable, Turn, Why};
use super::reactor::Reactor;
use super::seat::Seat;
use super::thread::{Body, Record, Thread};
use super::timers::Timers;
use super::worker;

/// Numbers of a machine's scheduler.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub slice_ns: u64,
    pub sample_ns: u64,
    /// Processors that the workers have.
    pub cores: usize,
    /// How long somebody who has nothing to do looks before it sleeps, at least and at most.
    pub patience_ns: [u64; 2],
}

pub(super) struct Pool {
    pub seats: Box<[Seat]>,
    pub clock: Clock,
    pub numbers: Numbers,
    pub timers: Arc<Timers>,
    /// Watches the timers and files; none where time is simulated.
    pub reactor: Option<Arc<Reactor>>,
    pub stopping: AtomicBool,
    /// Threads that are still made are condemned to this.
    closed: OnceLock<Trap>,
    next_seat: AtomicUsize,
    /// Every thread that has not ended: one that waits may be known to nobody else.
    live: Mutex<HashMap<*const Record, Thread>>,
    all_gone: Condvar,
}

// SAFETY: the addresses are keys, and not used as anything else.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    pub fn new(seats: Box<[Seat]>, clock: Clock, numbers: Numbers, reactor: Option<Arc<Reactor>>) -> Pool {
        Pool {
            seats,
            timers: match &reactor {
                Some(reactor) => Arc::clone(reactor.timers()),
                None => Arc::new(Timers::simulated()),
            },
            reactor,
            clock,
            numbers,
            stopping: AtomicBool::new(false),
            closed: OnceLock::new(),
            next_seat: AtomicUsize::new(0),
            live: Mutex::default(),
            all_gone: Condvar::new(),
        }
    }

    pub fn live(&self) -> MutexGuard<'_, HashMap<*const Record, Thread>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new thread, which waits. With a home it runs at that worker only.
    ///
    /// # Panics
    /// If there is no such worker.
    pub fn spawn(
        self: &Arc<Pool>,
        account: Arc<Account>,
        body: Box<dyn Body>,
        home: Option<usize>,
    ) -> Thread {
        assert!(home.is_none_or(|home| home < self.seats.len()), "a home is a worker of the machine");
        let seat = home.unwrap_or_else(|| self.next_seat.fetch_add(1, Ordering::Relaxed) % self.seats.len());
        let thread = Thread::new(account, body, self, seat, home);
        self.live().insert(Arc::as_ptr(&thread.0), thread.clone());
        // After it is among the living: who closes the pool looks at those after that.
        if let Some(trap) = self.closed.get() {
            thread.condemn_for_good(trap.clone());
        }
        thread
    }

    /// Lets no thread live that is made from now on.
    pub fn close(&self, trap: &Trap) {
        let _ = self.closed.set(trap.clone());
    }

    /// A thread has ended.
    pub fn forget(&self, thread: &Thread) {
        let mut live = self.live();
        live.remove(&Arc::as_ptr(&thread.0));
        if live.is_empty() {
            self.all_gone.notify_all();
        }
    }

    /// Condemns every thread for good and waits until all have ended; whether they have.
    pub fn end_all(&self, trap: &Trap, timeout: Duration) -> bool {
        let threads: Vec<Thread> = self.live().values().cloned().collect();
        for thread in threads {
            thread.condemn_for_good(trap.clone());
        }
        let live = self.live();
        let waited = self.all_gone.wait_timeout_while(live, timeout, |live| !live.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }

    /// Puts a thread that was woken where somebody will run it soon.
    pub fn enqueue(&self, thread: Thread, why: Why) {
        let now_ns = self.clock.now_ns();
        let (seat, pinned) = (&self.seats[thread.0.seat.load(Ordering::Relaxed)], thread.pinned());
        seat.push(thread, why, now_ns);
        if seat.wake() || !pinned && self.seats.iter().any(Seat::wake) {
            return;
        }
        // Everybody works: the one whose queue it is in looks at it when its turn is over.
        let soon_ns = now_ns + self.numbers.slice_ns / 8;
        seat.tick_by(seat.turn.slice_end_ns.load(Ordering::Relaxed).max(soon_ns), now_ns);
    }

    /// A thread was condemned: lets whoever has it know.
    pub fn expedite(&self, thread: &Thread) {
        let seat = &self.seats[thread.0.seat.load(Ordering::SeqCst)];
        if thread.0.state.is_running() {
            seat.tick_now();
            return;
        }
        // It is in some queue, or has just left one; then its worker sees the verdict before it runs it.
        for seat in &self.seats {
            seat.with(|queue| queue.expedite());
        }
        let now_ns = self.clock.now_ns();
        if !(seat.wake() || !thread.pinned() && self.seats.iter().any(Seat::wake)) {
            seat.tick_by(now_ns, now_ns);
        }
    }

    /// Whether the worker at `index` could run something.
    pub fn has_work(&self, index: usize) -> bool {
        self.stopping.load(Ordering::SeqCst) || self.somebody_waits(index)
    }

    /// Whether another worker than the one at `index` runs somebody, who may bring work, or is about to.
    pub fn others_run(&self, index: usize) -> bool {
        let mut seats = self.seats.iter().enumerate().filter(|(other, _)| *other != index);
        seats.any(|(_, seat)| seat.turn.busy.load(Ordering::Relaxed) || seat.waiting() > 0)
    }

    /// Whether somebody waits whom the worker at `index` could run.
    pub fn somebody_waits(&self, index: usize) -> bool {
        self.seats[index].waiting() > 0 || self.seats.iter().any(|seat| seat.earliest() != NEVER)
    }

    /// Where the first thread that may move to `index` is in virtual time, and which seat has it.
    pub fn earliest_elsewhere(&self, index: usize) -> Option<(u64, usize)> {
        let others = self.seats.iter().enumerate().filter(|(other, _)| *other != index);
        others.map(|(other, seat)| (seat.earliest(), other)).min().filter(|(at, _)| *at != NEVER)
    }

    /// What the worker at `index` is to do: of all threads that it may run, the one that is least far.
    pub fn choose(&self, index: usize, now_ns: u64) -> Choice<Thread> {
        self.timers.fire(now_ns);
        let seat = &self.seats[index];
        if let Some((at, other)) = self.earliest_elsewhere(index)
            && seat
                .with(|queue| queue.first())
                .is_none_or(|own| at.saturating_add(self.numbers.slice_ns) < own)
            && let Some(stolen) = self.seats[other].with(|queue| queue.steal(now_ns))
        {
            seat.push(stolen, Why::Preempted, now_ns);
        }
        let choice = seat.with(|queue| queue.next(now_ns));
        // Who was pinned when it was woken roused nobody, and the one that it pushed aside may run elsewhere.
        if matches!(choice, Choice::Run(_)) && seat.earliest() != NEVER {
            self.seats.iter().any(Seat::wake);
        }
        choice
    }

    /// Whether the turn of the thread that runs at `index` is over; if not, when to look again.
    ///
    /// Safe to call in a signal handler.
    pub fn is_over(&self, index: usize, now_ns: u64) -> Result<(), u64> {
        let seat = &self.seats[index];
        let limit_ns = seat.turn.limit_end_ns.load(Ordering::Relaxed);
        let slice_ns = seat.turn.slice_end_ns.load(Ordering::Relaxed);
        let held_ns = seat.held_until_ns();
        let wanted = held_ns <= now_ns || self.somebody_waits(index);
        if now_ns >= limit_ns || wanted && now_ns >= slice_ns {
            return Ok(());
        }
        let alarm_ns = self.timers.next_ns();
        if alarm_ns <= now_ns {
            return Ok(()); // between turns it goes off
        }
        let sample_ns = now_ns + self.numbers.sample_ns;
        Err(limit_ns.min(alarm_ns).min(if wanted { slice_ns } else { sample_ns.min(held_ns) }))
    }
}

impl Turn<Thread> {
    /// Sets the times of the seat that is going to run it.
    pub(super) fn begin(&self, pool: &Pool, index: usize, now_ns: u64) {
        let seat = &pool.seats[index];
        seat.turn.slice_end_ns.store(now_ns + self.slice_ns, Ordering::Relaxed);
        let limit_ns = self.limit_ns.map_or(NEVER, |limit| now_ns + limit);
        seat.turn.limit_end_ns.store(limit_ns, Ordering::Relaxed);
        seat.turn.overdue.store(self.thread.0.is_condemned(), Ordering::Relaxed);
        seat.turn.turns.fetch_add(1, Ordering::Relaxed);
        let tick_ns = match self.thread.0.is_condemned() {
            true => now_ns + worker::RETRY_NS,
            false => pool.is_over(index, now_ns).err().unwrap_or(now_ns),
        };
        seat.tick_by(tick_ns, now_ns);
    }
}
