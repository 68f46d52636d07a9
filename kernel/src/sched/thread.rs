//! A guest thread: what a scheduler runs.
//!
//! A thread that has something to do gets a stack from the pool; one that has finished what it had to do gives it back
//! and waits as a few hundred bytes. What it does is its [`Body`].
//!
//! Compiled code may be pre-empted between any two instructions and go on at another worker, another OS thread. Rust
//! code must not see that: a thread that has frames of host functions on its stack stays with its worker until they
//! are gone. What is below them (a body, the kernel's way into the guest) is made for it.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use abi::fault::Trap;
use corosensei::{Coroutine, Yielder};

use super::account::Account;
use super::express::Slip;
use super::handoff::Visit;
use super::hold::Hold;
use super::phase::{State, Then};
use super::policy::{Runnable, Why};
use super::pool::Pool;
use super::timers::{Alarm, AlarmKey};
use super::verdict::Verdict;
use crate::mem::stack::GuestStack;
use crate::trap::activation::Activation;

/// What a thread does.
///
/// It may go on at another OS thread wherever it runs guest code, so it must not keep what belongs to one over that.
/// Dropping it is how it ends, also where it ends by force: it answers whoever still waits for it.
pub trait Body: Send {
    /// Works, on a guest stack, until there is nothing to do. Every [`Thread::wake`] from the last look at its work on leads to another call.
    fn run(&mut self) -> Next;
}

/// What a thread wants after its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To wait until it is woken.
    Idle,
    /// To end.
    End,
}

/// Why a thread left the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Its time was up.
    Preempted,
    /// It waits to be woken.
    Parked,
}

/// What its stack runs. When it has nothing to do its body is back in its place, and when it has ended that is gone.
pub(super) type Fiber = Coroutine<(), Left, Next, GuestStack>;

/// A guest thread, as everybody holds it.
#[derive(Clone)]
pub struct Thread(pub(super) Arc<Record>);

/// Alone on its cache lines: threads run at several workers.
#[repr(align(128))]
pub(super) struct Record {
    pub state: State,
    pub account: Arc<Account>,
    pub pool: Weak<Pool>,
    /// The worker that runs it, or did.
    pub seat: AtomicUsize,
    pub pinned: AtomicBool,
    /// The only worker that may run it, if that was said.
    pub home: Option<usize>,
    pub verdict: Verdict<Trap>,
    pub hold: Hold,
    /// How often the processor was handed over to it. Only who runs it counts.
    pub visits: AtomicU64,
    /// The domain that it has handed the processor over to and waits for, plus one; 0 for none.
    pub visiting: AtomicU32,
    /// That it is to end where it next waits for time or input.
    pub asked: Verdict<Trap>,
    pub running: Running,
}

/// What only the worker that runs a thread, or the thread itself, touches.
pub(super) struct Running {
    /// Not while it has a fiber, which has it then, unless that is busy with an errand.
    pub body: UnsafeCell<Option<Box<dyn Body>>>,
    pub fiber: UnsafeCell<Option<Fiber>>,
    /// Gets what comes of an errand that was not finished at once; it keeps alive what the fiber uses.
    pub heir: UnsafeCell<Option<Box<dyn Any + Send>>>,
    /// The call that handed the processor over to it, while that waits for it below it on its worker; else null.
    pub visit: Cell<*const Visit>,
    /// What it does for somebody at another worker, while it does.
    pub slip: Cell<Option<NonNull<Slip>>>,
    /// Whether the line of the one before is still its worker's to look at.
    pub serves: Cell<bool>,
    /// It has waited, or did not need to as it had been woken. If it was not its body that did, the wake-up was perhaps for that.
    pub woken: Cell<bool>,
    pub yielder: Cell<*const Yielder<(), Left>>,
    /// The innermost activation while it does not run.
    pub activation: Cell<*mut Activation>,
}

// SAFETY: only who took the thread out of a queue, or made its state `DONE`, touches it: one at a time. What is on the
// fiber's stack may go to another OS thread, because a thread with host frames on it does not.
unsafe impl Send for Running {}
// SAFETY: as above.
unsafe impl Sync for Running {}

impl Thread {
    pub(super) fn new(
        account: Arc<Account>,
        body: Box<dyn Body>,
        pool: &Arc<Pool>,
        seat: usize,
        home: Option<usize>,
    ) -> Thread {
        Thread(Arc::new(Record {
            state: State::default(),
            account,
            pool: Arc::downgrade(pool),
            seat: AtomicUsize::new(seat),
            pinned: AtomicBool::new(false),
            home,
            verdict: Verdict::default(),
            hold: Hold::default(),
            visits: AtomicU64::new(0),
            visiting: AtomicU32::new(0),
            asked: Verdict::default(),
            running: Running {
                body: UnsafeCell::new(Some(body)),
                fiber: UnsafeCell::new(None),
                heir: UnsafeCell::new(None),
                visit: Cell::new(ptr::null()),
                slip: Cell::new(None),
                serves: Cell::new(false),
                woken: Cell::new(false),
                yielder: Cell::new(ptr::null()),
                activation: Cell::new(ptr::null_mut()),
            },
        }))
    }

    /// Lets it run: its body has something to do, or what it waits for may have come.
    pub fn wake(&self) {
        if self.0.state.wake() == Then::Enqueue {
            match self.0.pool.upgrade() {
                Some(pool) => pool.enqueue(self.clone(), Why::Woken),
                None => self.0.state.end(),
            }
        }
    }

    /// Ends what it is doing with this trap: guest code at once, host code when it waits or returns to the guest. The
    /// first verdict counts. Its body goes on unless it sees to it that it doesn't.
    pub fn condemn(&self, trap: Trap) {
        self.0.verdict.pass(trap);
        self.look_up();
    }

    /// The same, and ends the thread when its body has nothing to do: nobody can pardon it.
    pub fn condemn_for_good(&self, trap: Trap) {
        self.0.verdict.pass_for_good(trap);
        self.look_up();
    }

    /// Ends what it is doing with this trap when it next waits for time or input ([`super::park::wait`]): not in the
    /// midst of something, and never if it does not wait.
    pub fn ask_to_end(&self, trap: Trap) {
        self.0.asked.pass(trap);
        self.wake();
    }

    pub(super) fn look_up(&self) {
        self.wake();
        if let Some(pool) = self.0.pool.upgrade() {
            pool.expedite(self);
        }
    }

    /// Condemns it at a time, unless that is cancelled before. `None` once its machine is gone.
    #[must_use]
    pub fn condemn_at(&self, at_ns: u64, trap: Trap) -> Option<AlarmKey> {
        let pool = self.0.pool.upgrade()?;
        Some(pool.timers.add(at_ns, Alarm::Condemn(self.clone(), trap)))
    }

    /// Takes an alarm back. When this returns it has either gone off, all of it, or never will.
    pub fn cancel(&self, alarm: AlarmKey) {
        if let Some(pool) = self.0.pool.upgrade() {
            pool.timers.cancel(alarm);
        }
    }

    /// Why it is condemned, if it is.
    #[must_use]
    pub fn verdict(&self) -> Option<Trap> {
        self.0.verdict()
    }

    /// Whether it is condemned for good: not only what it does ends, but the thread.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.0.verdict.is_for_good()
    }

    /// Takes the verdict back, once what it ended has ended, unless it is for good. Gives the trap.
    pub fn pardon(&self) -> Option<Trap> {
        self.0.verdict.take_back()
    }

    /// Whether it has ended, and its body is gone.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.state.is_done()
    }

    /// Whether it waits for something.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.0.state.is_idle()
    }

    /// How often it was given the processor by a caller who handed it over.
    #[must_use]
    pub fn visits(&self) -> u64 {
        self.0.visits.load(Ordering::Relaxed)
    }

    /// The domain that it has handed the processor over to, if it waits for that.
    #[must_use]
    pub fn visiting(&self) -> Option<u32> {
        self.0.visiting.load(Ordering::Relaxed).checked_sub(1)
    }

    /// The processor time of whoever it works for.
    #[must_use]
    pub fn account(&self) -> &Arc<Account> {
        &self.0.account
    }

    /// The only worker that may run it, if it has one.
    #[must_use]
    pub fn home(&self) -> Option<usize> {
        self.0.home
    }

    /// Whether both are the same thread.
    #[must_use]
    pub fn is(&self, other: &Thread) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Record {
    pub fn is_condemned(&self) -> bool {
        self.verdict.is_passed()
    }

    pub fn verdict(&self) -> Option<Trap> {
        self.verdict.trap()
    }

    /// Whether it was woken since it last waited; forgets that. By the thread itself.
    pub fn take_token(&self) -> bool {
        let taken = self.state.take_token();
        if taken {
            self.running.woken.set(true);
        }
        taken
    }

    /// Leaves the processor; returns when a worker has switched back.
    ///
    /// # Safety
    /// Only by the thread itself, on its stack.
    pub unsafe fn leave(&self, why: Left) {
        if why == Left::Parked {
            self.running.woken.set(true);
        }
        // SAFETY: the fiber stored it when it began, and lives as long as its stack, which we are on.
        unsafe { (*self.running.yielder.get()).suspend(why) }
    }
}

impl Runnable for Thread {
    fn account(&self) -> &Account {
        &self.0.account
    }
    fn pinned(&self) -> bool {
        self.0.home.is_some() || self.0.pinned.load(Ordering::Relaxed)
    }
    fn condemned(&self) -> bool {
        self.0.is_condemned()
    }
}

impl std::fmt::Debug for Thread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Thread").field("state", &self.0.state).finish_non_exhaustive()
    }
}
