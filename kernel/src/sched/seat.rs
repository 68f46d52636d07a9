//! One worker as the other OS threads see it: its queue, whether it sleeps, its timer.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use super::doze::{Doze, Roused};
use super::express::Slip;
use super::hatch::Hatch;
use super::order::{NEVER, Order};
use super::policy::{Policy, Why};
use super::thread::Thread;
use crate::os::signals::TICK;
use crate::os::timer::{self, SignalTimer};

/// The shared part of a worker.
pub(super) struct Seat {
    queue: Mutex<Box<dyn Policy<Thread>>>,
    summary: Summary,
    /// Where its worker is called past the queue.
    pub hatch: Hatch<Slip>,
    doze: Doze,
    thread: OnceLock<OsThread>,
    tick: Order,
    pub turn: Present,
}

/// What a queue says of itself, for those who don't want to lock it. All look at it who look for work, so it is not beside what
/// changes more often.
#[repr(align(128))]
struct Summary {
    waiting: AtomicUsize,
    earliest: AtomicU64,
    held_until_ns: AtomicU64,
}

/// The turn that is under way. Hardly anybody looks at it but its worker, which changes it all the time.
#[repr(align(128))]
pub(super) struct Present {
    /// When the turn of the thread that runs is over, if others wait.
    pub slice_end_ns: AtomicU64,
    /// When it is over in any case.
    pub limit_end_ns: AtomicU64,
    /// The turn was over while host code ran: the next return to guest code switches.
    pub overdue: AtomicBool,
    /// How many turns were begun here.
    pub turns: AtomicU64,
    /// Whether a turn is under way.
    pub busy: AtomicBool,
}

/// What a worker that looks around finds.
pub(super) enum Found {
    /// Nothing, for as long as it was worth it.
    Nothing,
    /// Somebody waits.
    Work,
    /// The line that was looked at rings, or another one was handed in.
    Call,
}

/// How often a worker that looks around looks at the queues before it asks whether that is worth it.
const LOOKS: u32 = 16;

struct OsThread {
    id: libc::pid_t,
    thread: thread::Thread,
    timer: SignalTimer,
}

impl Seat {
    pub fn new(queue: Box<dyn Policy<Thread>>) -> Seat {
        Seat {
            queue: Mutex::new(queue),
            summary: Summary {
                waiting: AtomicUsize::new(0),
                earliest: AtomicU64::new(NEVER),
                held_until_ns: AtomicU64::new(NEVER),
            },
            hatch: Hatch::default(),
            doze: Doze::default(),
            thread: OnceLock::new(),
            tick: Order::default(),
            turn: Present {
                slice_end_ns: AtomicU64::new(NEVER),
                limit_end_ns: AtomicU64::new(NEVER),
                overdue: AtomicBool::new(false),
                turns: AtomicU64::new(0),
                busy: AtomicBool::new(false),
            },
        }
    }

    /// Makes the calling OS thread the one that sits here, and gives it ticks.
    pub fn take(&self) -> std::io::Result<()> {
        let timer = SignalTimer::new(TICK)?;
        let taken = OsThread { id: timer::thread_id(), thread: thread::current(), timer };
        assert!(self.thread.set(taken).is_ok(), "a worker sits down once");
        Ok(())
    }

    fn queue(&self) -> MutexGuard<'_, Box<dyn Policy<Thread>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the queue.
    pub fn with<R>(&self, work: impl FnOnce(&mut dyn Policy<Thread>) -> R) -> R {
        let mut queue = self.queue();
        let result = work(queue.as_mut());
        // Before the lock is given back, so that these are never older than what another one sees in the queue.
        self.summary.waiting.store(queue.waiting(), Ordering::SeqCst);
        self.summary.earliest.store(queue.earliest().unwrap_or(NEVER), Ordering::SeqCst);
        self.summary.held_until_ns.store(queue.held_until_ns().unwrap_or(NEVER), Ordering::SeqCst);
        result
    }

    /// Puts a thread into the queue.
    pub fn push(&self, thread: Thread, why: Why, now_ns: u64) {
        self.with(|queue| queue.ready(thread, why, now_ns));
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.summary.waiting.load(Ordering::SeqCst)
    }

    /// Where the first that may move is in virtual time, or [`NEVER`].
    pub fn earliest(&self) -> u64 {
        self.summary.earliest.load(Ordering::SeqCst)
    }

    /// When a cap lets one more of its threads wait for a processor, or [`NEVER`].
    pub fn held_until_ns(&self) -> u64 {
        self.summary.held_until_ns.load(Ordering::SeqCst)
    }

    /// Finds its worker for new work if it has none: wakes it, if it sleeps. Whether it was found.
    pub fn wake(&self) -> bool {
        let roused = self.doze.rouse();
        if roused == Roused::Asleep
            && let Some(taken) = self.thread.get()
        {
            taken.thread.unpark();
        }
        roused != Roused::Nobody
    }

    /// Looks for work until `busy` says that there is some, `line` rings, something is handed in, or `gives_up`, which is asked
    /// now and then, that it is not worth it. By its worker only.
    pub fn look_around(
        &self,
        line: Option<&Slip>,
        busy: impl Fn() -> bool,
        gives_up: impl Fn() -> bool,
    ) -> Found {
        let found = 'found: loop {
            self.doze.look();
            for _ in 0..LOOKS {
                if line.is_some_and(Slip::rings) || self.hatch.is_full() {
                    break 'found Found::Call;
                }
                if busy() {
                    break 'found Found::Work;
                }
                std::hint::spin_loop();
            }
            if gives_up() {
                break Found::Nothing;
            }
        };
        self.doze.rise();
        found
    }

    /// Sleeps until woken, or for `timeout_ns`, unless `busy` says that there is something to do. By its worker only.
    pub fn sleep(&self, timeout_ns: Option<u64>, busy: impl FnOnce() -> bool) {
        self.doze.begin();
        if !busy() {
            match timeout_ns {
                Some(timeout_ns) => thread::park_timeout(std::time::Duration::from_nanos(timeout_ns)),
                None => thread::park(),
            }
        }
        self.doze.end();
    }

    /// Sees to it that there is a tick at `at_ns` or before. Safe to call in a signal handler.
    pub fn tick_by(&self, at_ns: u64, now_ns: u64) {
        if let Some(taken) = self.thread.get() {
            self.tick.by(at_ns, now_ns, |at_ns| taken.timer.arm(at_ns.saturating_sub(now_ns)));
        }
    }

    /// The timer has expired.
    pub fn ticked(&self) {
        self.tick.came();
    }

    /// Sends a tick at once.
    pub fn tick_now(&self) {
        if let Some(taken) = self.thread.get() {
            timer::send(taken.id, TICK);
        }
    }

    /// Lets no tick come any more.
    pub fn silence(&self) {
        if let Some(taken) = self.thread.get() {
            self.tick.cancel(|| taken.timer.disarm(), || taken.timer.arm(1));
        }
    }
}
