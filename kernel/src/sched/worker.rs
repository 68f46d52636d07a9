//! A worker: an OS thread that runs guest threads, one turn after the other.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};

use corosensei::{Coroutine, CoroutineResult};

use super::account::Account;
use super::clock::Clock;
use super::express::Slip;
use super::order::NEVER;
use super::phase::Then;
use super::policy::{Choice, Turn, Why};
use super::pool::Pool;
use super::seat::{Found, Seat};
use super::seeded::Random;
use super::stints::{Stint, Stints};
use super::thread::{Fiber, Left, Next, Record, Thread};
use crate::arch::cycles;
use crate::mem::MemError;
use crate::mem::stack::GuestStack;
use crate::os::timer::thread_cpu_ns;
use crate::trap::activation::Activation;

/// When to look again at a thread that is to leave but is in host code.
pub(super) const RETRY_NS: u64 = 100_000;
/// The longest that this doubles to.
const LONGEST_RETRY_NS: u64 = 2_000_000;
/// How long a worker looks for work before it falls asleep, at least, as a look costs less than the sleep; and at most, which is as
/// long as falling asleep and being woken takes.
pub(super) const PATIENCE_NS: [u64; 2] = [2_000, 50_000];
/// Runs from this length on are measured with the system's help, which costs a system call.
const PRECISE_NS: u64 = 200_000;

thread_local! {
    // Without a destructor, so that a signal handler may use it at any time.
    static WORKER: Cell<*const Worker> = const { Cell::new(ptr::null()) };
}

/// What a worker has for itself.
pub(super) struct Worker {
    pub pool: Arc<Pool>,
    pub index: usize,
    /// The thread that runs; null between turns.
    current: Cell<*const Record>,
    retry_ns: Cell<u64>,
    /// How long it looks for work before it falls asleep.
    patience_ns: Cell<u64>,
    /// When a tick last found the thread that runs, or its turn began.
    sampled_ns: Cell<u64>,
    /// The clock and the cycles when they were last read together.
    looked: Cell<(u64, u64)>,
    /// How far in virtual time the policy was last told somebody is.
    reached_ns: Cell<u64>,
    /// How long a thread that waits for an answer looks for that before it leaves the processor.
    answer_ns: Cell<u64>,
    /// Wall clock and processor time when they were last read together.
    measured: Cell<(u64, u64)>,
    /// Whose part of the turn is how long.
    stints: Stints,
    /// Where nothing ticks: decides at which checkpoints threads leave.
    coin: Option<RefCell<Random>>,
}

/// The worker that the calling code runs at, for this moment: guest threads move.
///
/// Never inlined, so that no function uses the address of a thread-local before and after a thread was switched.
#[inline(never)]
pub(super) fn here() -> *const Worker {
    WORKER.get()
}

/// The same for whoever does not move meanwhile: host code, from where compiled code calls it until it returns.
#[inline]
pub(super) fn here_in_host() -> *const Worker {
    WORKER.get()
}

/// The guest thread that is running; null if the OS thread is no worker, or between turns.
pub(super) fn current() -> *const Record {
    let worker = here();
    // SAFETY: a worker lives as long as its OS thread can see it, and we run on that.
    if worker.is_null() { ptr::null() } else { unsafe { (*worker).current.get() } }
}

/// How long somebody looks for an answer.
pub(super) struct Patience<'c> {
    clock: &'c Clock,
    patience_ns: u64,
    looks: u32,
    began_ns: u64,
}

/// How often it looks before it looks at the clock.
const LOOKS: u32 = 32;

impl Patience<'_> {
    /// Asked once a look.
    pub fn is_over(&mut self) -> bool {
        self.looks += 1;
        if !self.looks.is_multiple_of(LOOKS) {
            return false;
        }
        let now_ns = self.clock.now_ns();
        let looked_ns = now_ns.saturating_sub(self.began_ns.min(now_ns));
        self.began_ns = self.began_ns.min(now_ns);
        looked_ns >= self.patience_ns
    }
}

enum Turned {
    Left(Left),
    Idle,
    Ended,
    /// It has no body any more: a panic, or no stack could be had.
    Lost,
}

impl Worker {
    pub fn new(pool: Arc<Pool>, index: usize, coin: Option<Random>) -> Worker {
        let [_, most_ns] = pool.numbers.patience_ns;
        Worker {
            pool,
            index,
            current: Cell::new(ptr::null()),
            retry_ns: Cell::new(RETRY_NS),
            patience_ns: Cell::new(most_ns),
            sampled_ns: Cell::new(0),
            looked: Cell::new((0, 0)),
            reached_ns: Cell::new(0),
            answer_ns: Cell::new(most_ns),
            measured: Cell::new((0, 0)),
            stints: Stints::default(),
            coin: coin.map(RefCell::new),
        }
    }

    pub fn seat(&self) -> &Seat {
        &self.pool.seats[self.index]
    }

    /// Makes the OS thread see this worker while `work` runs.
    pub fn while_seated(&self, work: impl FnOnce()) {
        let outer = WORKER.replace(self);
        work();
        WORKER.set(outer);
    }

    /// Works until the pool is stopped.
    pub fn serve(&self) {
        self.measure_from_here();
        while !self.pool.stopping.load(Ordering::SeqCst) {
            let now_ns = self.pool.clock.now_ns();
            let timeout_ns = match self.pool.choose(self.index, now_ns) {
                Choice::Run(turn) => {
                    self.run(turn, now_ns);
                    continue;
                }
                Choice::Wait { until_ns } => Some(until_ns.saturating_sub(now_ns)),
                Choice::Nobody if self.looks_around() => continue,
                Choice::Nobody => None,
            };
            self.seat().silence();
            self.seat().sleep(timeout_ns, || self.pool.has_work(self.index));
            self.learn_from_sleep(now_ns);
            self.measure_from_here();
        }
        self.seat().silence();
    }

    /// Two who answer each other would both sleep, and be woken, each time if only looks counted: a short sleep says that a
    /// longer look would have found what came.
    fn learn_from_sleep(&self, since_ns: u64) {
        let slept_ns = self.pool.clock.now_ns().saturating_sub(since_ns);
        let [_, most_ns] = self.pool.numbers.patience_ns;
        if slept_ns < most_ns + self.patience_ns.get() {
            self.patience_ns.set(most_ns);
        }
    }

    /// Looks longer the next time if something has come, and shorter if not.
    fn learn(&self, patience_ns: &Cell<u64>, came: bool) {
        let [least_ns, most_ns] = self.pool.numbers.patience_ns;
        let next_ns = if came { patience_ns.get() * 2 } else { patience_ns.get() / 2 };
        patience_ns.set(next_ns.clamp(least_ns, most_ns));
    }

    /// Looks for work without sleeping, while another worker runs somebody who may bring it: falling asleep and being woken
    /// takes longer than most calls. Serves what is handed in meanwhile. Whether there is something to do.
    fn looks_around(&self) -> bool {
        if self.pool.numbers.cores < 2 || self.pool.seats.len() < 2 {
            return false;
        }
        self.look_at_clock();
        let mut line = None;
        let found = loop {
            self.seat().hatch.open();
            let found = self.look(line);
            let next = self.seat().hatch.shut();
            if next.is_some() || !matches!(found, Found::Call) {
                // SAFETY: it was handed in here, and this worker looks at it since.
                line.take().into_iter().for_each(|slip| unsafe { Slip::let_go(slip) });
            }
            if !matches!(found, Found::Call) && next.is_none() {
                break found;
            }
            self.pool.timers.fire(self.looked.get().0);
            // SAFETY: as above, and it rings.
            line = next.or(line).and_then(|slip| unsafe { self.receive(slip) });
        };
        matches!(found, Found::Work)
    }

    /// Looks once. The longer it was in vain, the shorter the next time. Nobody is seen to run while a worker takes what was
    /// just brought to it, so a short look does not ask.
    fn look(&self, line: Option<NonNull<Slip>>) -> Found {
        let ((now_ns, _), patience_ns) = (self.looked.get(), self.patience_ns.get());
        let [least_ns, _] = self.pool.numbers.patience_ns;
        let (least_ns, until_ns) = (now_ns + least_ns, now_ns + patience_ns);
        let gives_up = || {
            let now_ns = self.look_at_clock();
            now_ns >= until_ns || now_ns >= least_ns && !self.pool.others_run(self.index)
        };
        // SAFETY: nobody else frees what this worker looks at.
        let line = line.map(|slip| unsafe { &*slip.as_ptr() });
        let found = self.seat().look_around(line, || self.pool.has_work(self.index), gives_up);
        self.learn(&self.patience_ns, !matches!(found, Found::Nothing));
        found
    }

    fn look_at_clock(&self) -> u64 {
        let now_ns = self.pool.clock.now_ns();
        self.looked.set((now_ns, cycles()));
        now_ns
    }

    /// How long a thread may look for an answer without leaving the processor.
    pub fn patience(&self) -> Patience<'_> {
        Patience { clock: &self.pool.clock, patience_ns: self.answer_ns.get(), looks: 0, began_ns: NEVER }
    }

    /// Whether the thread that runs is to leave the processor rather than to look for something.
    pub fn is_wanted_elsewhere(&self) -> bool {
        self.seat().turn.overdue.load(Ordering::Relaxed) || self.pool.has_work(self.index)
    }

    /// The thread that runs only waits from here on.
    pub fn idle(&self, now: u64) -> Stint {
        self.stints.open(now)
    }

    /// It does not any more, since `now`; whether what it waited for has come.
    pub fn resumed(&self, stint: Stint, now: u64, came: bool) {
        self.stints.close_idle(stint, now);
        self.learn(&self.answer_ns, came);
    }

    /// Runs a thread for one turn that was taken out of a queue.
    pub fn run(&self, turn: Turn<Thread>, now_ns: u64) {
        turn.thread.0.state.begin();
        self.run_claimed(turn, now_ns, None);
    }

    /// Runs a thread for one turn that was given to this worker while it looked around.
    pub fn run_now(&self, thread: Thread) {
        let (looked_ns, looked) = self.looked.get();
        let slice_ns = self.pool.numbers.slice_ns;
        self.run_claimed(Turn { thread, slice_ns, limit_ns: None }, looked_ns, Some(looked));
    }

    /// Runs a thread for one turn. `idle_since` is when `now_ns` was, in cycles, if nobody ran from then until now.
    fn run_claimed(&self, turn: Turn<Thread>, now_ns: u64, idle_since: Option<u64>) {
        // Who condemns it looks for it where its seat is.
        if turn.thread.0.seat.load(Ordering::Relaxed) != self.index {
            turn.thread.0.seat.store(self.index, Ordering::SeqCst);
        }
        self.retry_ns.set(RETRY_NS);
        self.sampled_ns.set(now_ns);
        // First: a tick that comes from here on is this turn's, and orders the next one.
        self.current.set(&raw const *turn.thread.0);
        compiler_fence(Ordering::SeqCst);
        self.seat().turn.busy.store(true, Ordering::Relaxed);
        turn.begin(&self.pool, self.index, now_ns);
        let thread = turn.thread;
        let began = cycles();
        self.stints.begin(idle_since.unwrap_or(began));
        if let Some(since) = idle_since {
            let stint = self.stints.open(since);
            self.stints.close_idle(stint, began);
        }
        let turned = self.resume(&thread);
        self.current.set(ptr::null());
        self.seat().turn.busy.store(false, Ordering::Relaxed);
        let end_ns = self.pool.clock.now_ns();
        let ended = cycles();
        self.looked.set((end_ns, ended));
        self.stints.settle(&thread.0.account, self.used_ns(now_ns, end_ns), ended);
        let (then, why) = match turned {
            Turned::Left(Left::Preempted) => (thread.0.state.preempt(), Why::Preempted),
            Turned::Left(Left::Parked) => (thread.0.state.park(), Why::Woken),
            Turned::Idle => {
                thread.0.pinned.store(false, Ordering::Relaxed);
                (thread.0.state.park(), Why::Woken)
            }
            Turned::Ended | Turned::Lost => return self.end(&thread),
        };
        if then == Then::Enqueue {
            self.seat().push(thread, why, end_ns);
        }
    }

    /// Who was called here gets ahead without a queue: those that wake later are to begin not far behind.
    pub fn tell_how_far(&self, account: &Account) {
        let virtual_ns = account.virtual_ns();
        if virtual_ns > self.reached_ns.get().saturating_add(self.pool.numbers.slice_ns / 2) {
            self.reached_ns.set(virtual_ns);
            self.seat().with(|queue| queue.reached(virtual_ns));
        }
    }

    fn end(&self, thread: &Thread) {
        thread.0.state.end();
        self.pool.forget(thread);
    }

    /// Switches to the thread's stack, and comes back when it leaves the processor.
    fn resume(&self, thread: &Thread) -> Turned {
        let record = &*thread.0;
        // SAFETY: we took the thread out of a queue, so it is ours; what runs on the fiber does not touch this cell.
        let slot = unsafe { &mut *record.running.fiber.get() };
        if slot.is_none() {
            match begin(record) {
                Ok(fiber) => *slot = Some(fiber),
                Err(error) => {
                    eprintln!("atoll: a thread ends because it cannot run: {error}");
                    // SAFETY: the thread is ours. Dropping its body answers whoever waits for it.
                    drop(unsafe { (*record.running.body.get()).take() });
                    return Turned::Lost;
                }
            }
        }
        let fiber = slot.as_mut().expect("just filled");
        let outer = Activation::exchange(record.running.activation.get());
        let result = catch_unwind(AssertUnwindSafe(|| fiber.resume(())));
        record.running.activation.set(Activation::exchange(outer));
        match result {
            Ok(CoroutineResult::Yield(left)) => Turned::Left(left),
            Ok(CoroutineResult::Return(next)) => {
                let stack = slot.take().map(Coroutine::into_stack);
                stack.into_iter().for_each(GuestStack::give);
                match next {
                    Next::Idle => Turned::Idle,
                    Next::End => Turned::Ended,
                }
            }
            Err(_) => {
                // The panic has been reported. Its stack was unwound, and the body with it, if that was there.
                let stack = slot.take().map(Coroutine::into_stack);
                stack.into_iter().for_each(GuestStack::give);
                // SAFETY: the thread is ours, and has no fiber any more.
                drop(unsafe { ((*record.running.heir.get()).take(), (*record.running.body.get()).take()) });
                Turned::Lost
            }
        }
    }

    /// Processor time between two times, as well as it is known: short runs by the clock; long ones without what the
    /// system gave to other OS threads meanwhile.
    fn used_ns(&self, from_ns: u64, to_ns: u64) -> u64 {
        let ran = to_ns.saturating_sub(from_ns);
        if ran < PRECISE_NS || !self.pool.clock.is_system() {
            return ran;
        }
        let (wall, cpu) = self.measured.get();
        let cpu_now = thread_cpu_ns();
        self.measured.set((to_ns, cpu_now));
        let elsewhere = to_ns.saturating_sub(wall).saturating_sub(cpu_now.saturating_sub(cpu));
        ran.saturating_sub(elsewhere)
    }

    fn measure_from_here(&self) {
        self.measured.set((self.pool.clock.now_ns(), thread_cpu_ns()));
    }

    /// How long the thread has run since it was last asked where.
    pub fn since_last_sample(&self) -> u64 {
        let now_ns = self.pool.clock.now_ns();
        now_ns.saturating_sub(self.sampled_ns.replace(now_ns))
    }

    /// How long to wait before the next look at a thread that should leave and cannot.
    pub fn next_retry_ns(&self) -> u64 {
        let now = self.retry_ns.get();
        self.retry_ns.set((now * 2).min(LONGEST_RETRY_NS));
        now
    }

    /// Whether the thread that runs is to leave, now that it is in host code.
    pub fn is_due_in_host(&self) -> bool {
        match &self.coin {
            None => self.seat().turn.overdue.load(Ordering::Relaxed),
            Some(coin) => coin.borrow_mut().below(3) == 0,
        }
    }

    /// Where a seed decides: whether a thread that could be handed over is not.
    pub fn tosses_away(&self) -> bool {
        self.coin.as_ref().is_some_and(|coin| coin.borrow_mut().below(3) == 0)
    }

    /// The thread that runs; null between turns.
    pub fn running(&self) -> *const Record {
        self.current.get()
    }

    /// Another thread goes on in the middle of a turn.
    pub fn lend(&self, to: &Record) -> Stint {
        let stint = self.stints.open(cycles());
        self.current.set(to);
        compiler_fence(Ordering::SeqCst);
        stint
    }

    /// The one that lent is back.
    pub fn take_back(&self, lender: &Record, from: &Record, stint: Stint) {
        compiler_fence(Ordering::SeqCst);
        self.current.set(lender);
        self.stints.close(&from.account, stint, cycles());
    }

    /// The thread that runs is to leave soon.
    #[cold]
    pub fn hurry(&self) {
        self.seat().turn.overdue.store(true, Ordering::Relaxed);
        let now_ns = self.pool.clock.now_ns();
        self.seat().tick_by(now_ns + RETRY_NS, now_ns);
    }

    /// Whether a turn is being taken.
    pub fn is_running(&self) -> bool {
        !self.current.get().is_null()
    }
}

/// Gives a thread a stack, with its body on it.
fn begin(record: &Record) -> Result<Fiber, MemError> {
    let stack = GuestStack::take()?;
    let record: *const Record = record;
    Ok(Coroutine::with_stack(stack, move |yielder, ()| {
        // SAFETY: who resumes this holds the thread.
        let record = unsafe { &*record };
        record.running.yielder.set(yielder);
        // SAFETY: we are the thread, and its body is where it waits.
        unsafe { work_off(record) }
    }))
}

/// Runs the body of a thread on its stack, and puts it back if it has nothing to do.
///
/// # Safety
/// Only by the thread itself, whose body nobody has taken.
pub(super) unsafe fn work_off(record: &Record) -> Next {
    // SAFETY: the thread is the caller.
    let body = unsafe { (*record.running.body.get()).take() };
    let mut body = body.expect("a thread that does not run its body has it");
    match body.run() {
        Next::Idle if !record.verdict.is_for_good() => {
            // SAFETY: as above.
            unsafe { *record.running.body.get() = Some(body) };
            Next::Idle
        }
        // An end may have to wait, so it is the thread that does it, not its worker: the body is dropped here.
        Next::Idle | Next::End => Next::End,
    }
}
