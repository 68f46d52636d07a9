//! Handing the processor over to the thread of whoever is called, at the caller's worker, without a queue.
//!
//! The callee's thread, which has nothing to do, gets a stack and is resumed by the caller's code. If it is done before it
//! leaves the processor, that is all that happens. If it leaves, the caller's code goes on: it gives the thread to the
//! scheduler as one like any other, and waits.
//!
//! ```text
//!   worker's stack        caller's stack              callee's stack
//!   Worker::run ─resume─▶ guest … hand_off ─resume──▶ errand … guest
//!                                   ◀──────── done ───────┘
//!               ◀──parks──┘         ◀──────── left ───────┘  from here on it is an ordinary thread
//! ```
//!
//! While it is handed over, a thread is running as any other is: verdicts, ticks and processor time are its own. Whoever is
//! below it on the worker waits for it, and a tick also takes it off when one of those is condemned or has waited long enough.

use std::any::Any;
use std::cell::Cell;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{Ordering, compiler_fence};

use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::order::NEVER;
use super::phase::Then;
use super::policy::Why;
use super::thread::{Fiber, Left, Next, Record, Thread};
use super::worker::{self, Worker, work_off};
use crate::mem::stack::{GuestStack, StackBounds};
use crate::trap::activation::Activation;

/// What a thread does for somebody who hands the processor over to it.
///
/// It runs guest code, so it keeps to what [`Body`] says.
pub(crate) trait Errand {
    /// What comes of it.
    type Outcome: Send + 'static;

    /// Does it, on the stack of these bounds.
    fn run(self, stack: StackBounds) -> Self::Outcome;
}

/// Whoever keeps account of who waits for whom.
pub trait Witness: Send + Sync {
    /// Domain `from` waits for the one that this is about.
    fn waits(&self, from: u32);
    /// It does not any more.
    fn is_back(&self, from: u32);
    /// The same, where who waits and who notes that are at two workers: `waits` says whether it waits still, and is asked when
    /// nobody else changes the table. Gives what it is entered as, if it was.
    fn enter(&self, from: u32, waits: &dyn Fn() -> bool) -> Option<u64>;
    /// What was entered does not wait any more.
    fn leave(&self, entry: u64);
}

/// Who hands over to whom.
pub(crate) struct Terms<'t> {
    /// The thread that is to run.
    pub callee: &'t Thread,
    /// Its domain.
    pub to: u32,
    /// The domain of the thread that waits.
    pub from: u32,
    /// Until when that waits at most.
    pub deadline_ns: Option<u64>,
    /// Who is told if others have to know.
    pub witness: &'t dyn Witness,
}

/// A handing over that has not come back; on the stack of the thread that waits.
pub(super) struct Visit {
    /// Who waits.
    pub caller: *const Record,
    /// Until when it does.
    pub deadline_ns: u64,
    from: u32,
    noted: Cell<bool>,
    witness: *const dyn Witness,
}

/// What became of handing over.
pub(crate) enum Handed<R: Send + 'static> {
    /// It could not be: the errand is where it was.
    Refused,
    /// It is done, and its outcome is there.
    Done,
    /// The callee has left the processor.
    Left(Away<R>),
    /// The callee's thread has ended without having done it: a panic.
    Lost,
}

/// A thread that has left the processor in the middle of its errand. It goes on once there is somebody who takes what comes
/// of that: nobody does, if this is dropped.
pub(crate) struct Away<R: Send + 'static> {
    thread: Option<Thread>,
    left: Left,
    outcome: PhantomData<fn(R)>,
}

/// Who takes what comes of an errand whose caller waits no more on the stack below.
struct Heir<R>(Box<dyn FnOnce(R) + Send>);

/// An errand, and where its outcome goes if it is done before its callee leaves the processor.
///
/// Both stay where they are and are reached by their address: what was just written word by word and is copied as a block is
/// waited for.
pub(crate) struct Order<E: Errand> {
    /// Taken by whoever runs it.
    errand: Option<E>,
    outcome: Option<E::Outcome>,
}

impl<E: Errand> Order<E> {
    /// An errand that is to be run.
    #[inline]
    pub fn new(errand: E) -> Order<E> {
        Order { errand: Some(errand), outcome: None }
    }

    /// The errand, if it was refused.
    #[inline]
    pub fn errand(self) -> Option<E> {
        self.errand
    }

    /// What came of it, if it is done.
    #[inline]
    pub fn outcome(self) -> Option<E::Outcome> {
        self.outcome
    }
}

/// Runs an errand on the thread of whoever is to do it, at this worker, now, unless that cannot be: the callee is busy, must
/// run elsewhere, or would be in front of others that wait.
///
/// # Safety
/// Whatever the errand refers to must live until it is done: as long as the caller's frame, and if that gets [`Handed::Left`]
/// as long as what it gives to [`Away::go_on`].
#[inline]
pub(crate) unsafe fn hand_off<E: Errand>(terms: &Terms<'_>, order: &mut Order<E>) -> Handed<E::Outcome> {
    let worker = worker::here();
    if worker.is_null() {
        return Handed::Refused;
    }
    // SAFETY: the worker of this OS thread lives while we run on it.
    let worker = unsafe { &*worker };
    let (caller, callee) = (worker.running(), &*terms.callee.0);
    let may_be_here = callee.home.is_none_or(|home| home == worker.index);
    if caller.is_null() || !may_be_here || callee.account.is_capped() || !callee.state.claim() {
        return Handed::Refused;
    }
    // From here on the callee is ours, as if we had taken it out of a queue.
    // SAFETY: who runs a turn holds its thread.
    let stack = match admits(worker, unsafe { &*caller }, callee) {
        true => GuestStack::take().ok(),
        false => None,
    };
    let Some(stack) = stack else {
        put_back(worker, terms.callee);
        return Handed::Refused;
    };
    let (from, deadline_ns) = (terms.from, terms.deadline_ns.unwrap_or(NEVER));
    // SAFETY: only the lifetime is another: who looks at a visit does so before we return.
    let witness = unsafe {
        std::mem::transmute::<*const (dyn Witness + '_), *const (dyn Witness + 'static)>(terms.witness)
    };
    let visit = Visit { caller, deadline_ns, from, noted: Cell::new(false), witness };
    // SAFETY: the caller's promise.
    unsafe { visit_with(worker, &visit, terms, stack, order) }
}

/// Whether a thread that nobody else runs may run now, on behalf of `caller`.
fn admits(worker: &Worker, caller: &Record, callee: &Record) -> bool {
    // One that waits in the middle of something has a stack already.
    // SAFETY: the callee is ours.
    let is_at_rest = unsafe { (*callee.running.fiber.get()).is_none() };
    let slice_ns = worker.pool.numbers.slice_ns;
    let ahead = callee.account.virtual_ns() > caller.account.virtual_ns().saturating_add(slice_ns);
    let makes_way = || ahead && worker.pool.somebody_waits(worker.index) || worker.tosses_away();
    is_at_rest && !callee.is_condemned() && !makes_way()
}

/// Lets a thread wait again that was ours.
pub(super) fn put_back(worker: &Worker, thread: &Thread) {
    if thread.0.state.park() == Then::Enqueue {
        worker.pool.enqueue(thread.clone(), Why::Woken);
    }
}

/// # Safety
/// As [`hand_off`]; the callee is ours, and may run at this worker, which is that of the OS thread.
#[inline]
unsafe fn visit_with<E: Errand>(
    worker: &Worker,
    visit: &Visit,
    terms: &Terms<'_>,
    stack: GuestStack,
    order: &mut Order<E>,
) -> Handed<E::Outcome> {
    let callee = &*terms.callee.0;
    let start = Start { record: callee, bounds: stack.bounds(), order };
    // SAFETY: our caller's promise; it is resumed below.
    let mut fiber = unsafe { fiber(stack, &raw const start) };
    // Who condemns it looks for it where its seat is.
    if callee.seat.load(Ordering::Relaxed) != worker.index {
        callee.seat.store(worker.index, Ordering::SeqCst);
    }
    callee.visits.store(callee.visits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    // SAFETY: who runs a turn holds its thread.
    let caller = unsafe { &*visit.caller };
    caller.visiting.store(terms.to + 1, Ordering::Relaxed);
    callee.running.visit.set(visit);
    if visit.deadline_ns != NEVER {
        worker.seat().tick_by(visit.deadline_ns, worker.pool.clock.now_ns());
    }
    compiler_fence(Ordering::SeqCst);
    let stint = worker.lend(callee);
    if callee.is_condemned() {
        worker.hurry(); // whoever condemned it may have looked before it was here
    }
    let outer = Activation::exchange(ptr::null_mut());
    let came = catch_unwind(AssertUnwindSafe(|| match fiber.resume(()) {
        CoroutineResult::Return(_) => None,
        CoroutineResult::Yield(left) => Some(left),
    }));
    callee.running.activation.set(Activation::exchange(outer));
    worker.take_back(caller, callee, stint);
    compiler_fence(Ordering::SeqCst);
    callee.running.visit.set(ptr::null());
    caller.visiting.store(0, Ordering::Relaxed);
    match came {
        Ok(None) => {
            fiber.into_stack().give();
            visit.close();
            if callee.running.woken.get() {
                terms.callee.wake(); // its body looks for what that was
            }
            put_back(worker, terms.callee);
            Handed::Done
        }
        Ok(Some(left)) => {
            // SAFETY: the callee is ours still.
            unsafe { *callee.running.fiber.get() = Some(fiber) };
            Handed::Left(Away { thread: Some(terms.callee.clone()), left, outcome: PhantomData })
        }
        Err(_) => {
            // The panic has been reported, and the stack was unwound.
            fiber.into_stack().give();
            visit.close();
            // SAFETY: the callee is ours still. Dropping its body answers whoever waits for it.
            drop(unsafe { (*callee.running.body.get()).take() });
            callee.state.end();
            worker.pool.forget(terms.callee);
            Handed::Lost
        }
    }
}

/// What a stack begins with: the errand that it is for.
struct Start<E: Errand> {
    record: *const Record,
    bounds: StackBounds,
    order: *mut Order<E>,
}

/// A stack for an errand, which runs it. The outcome goes where the order has room for it, if whoever handed over still waits
/// below; else to the thread's heir, and the thread goes on with its body.
///
/// # Safety
/// As [`hand_off`]; whoever handed over resumes this at once, keeps `start` until then, and the order as long as it waits.
#[inline]
unsafe fn fiber<E: Errand>(stack: GuestStack, start: *const Start<E>) -> Fiber {
    let work = move |yielder: &Yielder<(), Left>, ()| -> Next {
        // SAFETY: we begin: whoever handed over has just resumed this.
        let Start { record, bounds, order } = unsafe { start.read() };
        // SAFETY: whoever resumes this holds the thread.
        let record = unsafe { &*record };
        record.running.yielder.set(yielder);
        record.running.woken.set(false);
        // SAFETY: we begin: whoever handed over waits for us.
        let errand = unsafe { (*order).errand.take() };
        let outcome = errand.expect("an order is run once").run(bounds);
        if !record.running.visit.get().is_null() {
            // SAFETY: whoever waits for us, below us on this worker, keeps it.
            unsafe { (*order).outcome = Some(outcome) };
            return Next::Idle;
        }
        // SAFETY: the thread is its own, and we are it.
        let heir = unsafe { (*record.running.heir.get()).take() };
        if let Some(Ok(heir)) = heir.map(<Box<dyn Any + Send>>::downcast::<Heir<E::Outcome>>) {
            (heir.0)(outcome);
        }
        // SAFETY: as above; its body was left where it is.
        unsafe { work_off(record) }
    };
    // SAFETY: what it borrows lives until it is done: the caller's promise.
    unsafe { Coroutine::with_stack_unchecked(stack, work) }
}

impl Visit {
    fn close(&self) {
        if self.noted.get() {
            // SAFETY: it lives as long as the call that handed over, which has not returned.
            unsafe { (*self.witness).is_back(self.from) };
        }
    }
}

impl<R: Send + 'static> Away<R> {
    /// Lets the thread go on as one like any other; `heir` gets what comes of its errand.
    pub fn go_on(mut self, heir: impl FnOnce(R) + Send + 'static) {
        self.release(Some(Box::new(Heir::<R>(Box::new(heir)))));
    }

    fn release(&mut self, heir: Option<Box<dyn Any + Send>>) {
        let Some(thread) = self.thread.take() else { return };
        // SAFETY: the thread is ours until its state says something else.
        unsafe { *thread.0.running.heir.get() = heir };
        let (then, why) = match self.left {
            Left::Preempted => (thread.0.state.preempt(), Why::Preempted),
            Left::Parked => (thread.0.state.park(), Why::Woken),
        };
        if then == Then::Enqueue
            && let Some(pool) = thread.0.pool.upgrade()
        {
            pool.enqueue(thread, why);
        }
    }
}

impl<R: Send + 'static> Drop for Away<R> {
    fn drop(&mut self) {
        self.release(None);
    }
}

/// Tells those who keep account of it who waits for the thread that runs this: to be called before it waits itself for
/// somebody who may wait for one of them.
pub fn note_callers() {
    let mut record = worker::current();
    // Every step goes to another thread: those that are running are not handed over to.
    while !record.is_null() {
        // SAFETY: the threads below on this worker wait for the one that runs, and with them their frames.
        let visit = unsafe { (*record).running.visit.get() };
        if visit.is_null() {
            // SAFETY: as above. Whoever waits at another worker has noted who waits for it in turn.
            if let Some(slip) = unsafe { (*record).running.slip.get() } {
                // SAFETY: it is not freed before what runs on the thread is done.
                unsafe { slip.as_ref() }.note();
            }
            return;
        }
        // SAFETY: as above.
        let visit = unsafe { &*visit };
        if !visit.noted.replace(true) {
            // SAFETY: it lives as long as the call that handed over, which has not returned.
            unsafe { (*visit.witness).waits(visit.from) };
        }
        record = visit.caller;
    }
}

/// Whether the thread that runs at a worker is to leave because of somebody who waits for it below: condemned, or waiting for
/// too long. If not, when the first of them will have.
///
/// Safe to call in a signal handler.
pub(super) fn is_called_off(record: *const Record, now_ns: u64) -> Result<(), u64> {
    let (mut record, mut first_ns) = (record, NEVER);
    while !record.is_null() {
        // SAFETY: who runs is held by its worker, and so is everybody who waits for it below.
        let this = unsafe { &*record };
        // Who is to be looked at stands once nobody runs on top of it.
        if this.is_condemned() || this.hold.is_wanted() {
            return Ok(());
        }
        let visit = this.running.visit.get();
        if visit.is_null() {
            break;
        }
        // SAFETY: as above.
        let visit = unsafe { &*visit };
        first_ns = first_ns.min(visit.deadline_ns);
        record = visit.caller;
    }
    if first_ns <= now_ns { Ok(()) } else { Err(first_ns) }
}
