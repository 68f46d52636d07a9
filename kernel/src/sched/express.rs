//! Calls to a thread that is bound to another worker, while that looks for work: past the queues.
//!
//! The caller's code writes what is to be done into a [`Line`] and looks at it until it is done, without leaving the processor.
//! The worker, which looks at the same line, gives the callee's thread a stack and runs that on it. Nobody sleeps, nobody is put
//! into a queue, and what both write is one cache line.
//!
//! ```text
//!   caller's worker                 callee's worker
//!   guest … Line::call ──────────▶ Worker::receive ─▶ turn ─▶ commission … guest
//!           watch ◀─────────── done ───────────────────────────────┘
//! ```
//!
//! Neither is in front of anybody. The worker refuses a call while somebody waits for a processor; the caller leaves the
//! processor, and waits as for a message, as soon as somebody could use it or the answer takes long. It is not charged for
//! looking: a worker that finds nothing to do would have looked as long.
//!
//! As with [`super::handoff`] the callee has had nothing to do, so waiting for it closes no cycle; who waits is entered in the
//! table of waits when the caller leaves the processor, or before the callee waits.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abi::fault::Trap;
use corosensei::Coroutine;

use super::handoff::{Witness, note_callers, put_back};
use super::hatch::{Mark, Met, Outcome};
use super::park::{self, Waiter};
use super::thread::{Fiber, Next, Record, Thread};
use super::worker::{self, Worker, work_off};
use crate::arch::cycles;
use crate::mem::stack::{GuestStack, StackBounds};

/// What a thread does for somebody at another worker, once or often.
///
/// It runs guest code, so it keeps to what [`super::thread::Body`] says.
pub(crate) trait Commission: Send + 'static {
    /// What comes of it.
    type Outcome: Send + 'static;
    /// What it needs that is seldom needed, or seldom changes.
    type Rest: Send + 'static;

    /// Does it, on the stack of these bounds.
    fn run(&self, rest: &Self::Rest, stack: StackBounds) -> Self::Outcome;
}

/// What became of a call.
pub(crate) enum Called<R> {
    /// It is done.
    Done(R),
    /// Nobody does it: the callee is busy, or its worker has others to run.
    Refused,
    /// The callee's thread has ended without having done it: a panic.
    Lost,
    /// The caller is condemned.
    Condemned(Trap),
}

/// What the worker knows of a line. The first two cache lines hardly ever change; behind them is what does.
#[repr(C)]
pub(super) struct Slip {
    callee: *const Record,
    from: u32,
    /// The callee has left the processor in the middle of it: the worker looks at it no more. Only that touches this.
    left: Cell<bool>,
    begin: unsafe fn(NonNull<Slip>, GuestStack) -> Fiber,
    free: unsafe fn(NonNull<Slip>),
    /// What the caller is in the table of waits as, or [`UNNOTED`].
    entry: AtomicU64,
    /// The caller's until it waits.
    waiter: UnsafeCell<Option<Waiter>>,
    /// Who is told if others have to know; keeps the callee.
    witness: Arc<dyn Witness>,
    apart: [u64; 6],
    mark: Mark,
}

/// It is in no table.
const UNNOTED: u64 = u64::MAX;

const _: () = assert!(std::mem::offset_of!(Slip, mark) == 128, "what changes is on cache lines of its own");

/// All of it. The caller writes the commission and reads the outcome, while nothing is under way.
#[repr(C, align(128))]
struct Sheet<C: Commission> {
    slip: Slip,
    commission: UnsafeCell<C>,
    outcome: UnsafeCell<MaybeUninit<C::Outcome>>,
    /// None once the caller is gone.
    rest: UnsafeCell<Option<C::Rest>>,
}

/// A caller's way to one thread that is bound to another worker.
pub(crate) struct Line<C: Commission> {
    sheet: NonNull<Sheet<C>>,
    home: usize,
    /// The callee's domain.
    to: u32,
    /// How long calls take, in cycles, so that the caller does not look before that: each look takes the cache line from the
    /// worker, which is about to write it.
    usual: Cell<u64>,
}

/// The longest that a caller waits before it looks, in cycles.
const MOST_USUAL: u64 = 4096;

// SAFETY: what is in it is sent, one call at a time; the callee's record is kept by the witness, which anybody may drop.
unsafe impl<C: Commission> Send for Line<C> {}

impl<C: Commission> Line<C> {
    /// A line from domain `from` to this thread of domain `to`, which `witness` keeps; none if the thread is bound to no worker.
    pub fn new(
        (callee, to): (&Thread, u32),
        from: u32,
        witness: Arc<dyn Witness>,
        (commission, rest): (C, C::Rest),
    ) -> Option<Line<C>> {
        let home = callee.0.home?;
        let slip = Slip {
            callee: &raw const *callee.0,
            from,
            left: Cell::new(false),
            begin: begin::<C>,
            free: free::<C>,
            entry: AtomicU64::new(UNNOTED),
            waiter: UnsafeCell::new(None),
            witness,
            apart: [0; 6],
            mark: Mark::default(),
        };
        let (commission, outcome, rest) = (
            UnsafeCell::new(commission),
            UnsafeCell::new(MaybeUninit::uninit()),
            UnsafeCell::new(Some(rest)),
        );
        let sheet = NonNull::from(Box::leak(Box::new(Sheet { slip, commission, outcome, rest })));
        Some(Line { sheet, home, to, usual: Cell::new(0) })
    }

    /// Has a commission done, which `write` writes, if the callee's worker looks for work and is another one. With
    /// [`Called::Condemned`] the line is gone.
    #[inline]
    pub fn call(self, write: impl FnOnce(&mut C, &mut C::Rest)) -> (Called<C::Outcome>, Option<Line<C>>) {
        let worker = worker::here();
        if worker.is_null() {
            return (Called::Refused, Some(self));
        }
        // SAFETY: the worker of this OS thread lives while we run on it, and our frames keep us on it.
        let worker = unsafe { &*worker };
        let caller = worker.running();
        // The callee is not looked at: every line of it would have to come here, and go back.
        // SAFETY: who runs a turn holds its thread.
        let caller = unsafe { caller.as_ref() };
        let Some(caller) = caller.filter(|caller| self.home != worker.index && !caller.account.is_capped())
        else {
            return (Called::Refused, Some(self));
        };
        // Those who wait for us are to be found by whoever waits for us because of the callee.
        note_callers();
        // SAFETY: no call is under way, so nobody else touches this.
        unsafe {
            let sheet = self.sheet.as_ref();
            if let Some(rest) = &mut *sheet.rest.get() {
                write(&mut *sheet.commission.get(), rest);
            }
        }
        caller.visiting.store(self.to + 1, Ordering::Relaxed);
        let called = self.follow(worker);
        caller.visiting.store(0, Ordering::Relaxed);
        called
    }

    fn follow(self, worker: &Worker) -> (Called<C::Outcome>, Option<Line<C>>) {
        // Kept as long as the call is under way, also where our stack is unwound meanwhile.
        let line = ManuallyDrop::new(self);
        // SAFETY: it is not freed before we are gone.
        let sheet = unsafe { line.sheet.as_ref() };
        let slip = &sheet.slip;
        if !slip.mark.call() {
            slip.mark.prepare();
            if !worker.pool.seats[line.home].hatch.put(line.sheet.cast()) {
                slip.mark.withdraw();
                return (Called::Refused, Some(ManuallyDrop::into_inner(line)));
            }
        }
        if !worker.watch(&slip.mark, &line.usual)
            && let Err(trap) = slip.wait()
        {
            // It is the worker's.
            return (Called::Condemned(trap), None);
        }
        slip.is_back();
        let called = match slip.mark.outcome() {
            Outcome::Served | Outcome::Finished => {
                // SAFETY: the callee wrote it, for us, and nobody reads it again. That is not written down: the line is on its way.
                let outcome = unsafe { (*sheet.outcome.get()).assume_init_read() };
                Called::Done(outcome)
            }
            Outcome::Refused => Called::Refused,
            Outcome::Lost => Called::Lost,
        };
        (called, Some(ManuallyDrop::into_inner(line)))
    }
}

impl<C: Commission> Drop for Line<C> {
    fn drop(&mut self) {
        // SAFETY: it is not freed before we are gone, and no call is under way.
        let slip = unsafe {
            // At once: whoever looks at the line frees it some time.
            drop((*self.sheet.as_ref().rest.get()).take());
            &self.sheet.as_ref().slip
        };
        if !slip.mark.hang_up() {
            // SAFETY: nobody looks at it.
            unsafe { free::<C>(self.sheet.cast()) };
        }
    }
}

impl Worker {
    /// Looks until a call is over, for as long as nobody else needs the processor and that is worth it; whether it is.
    fn watch(&self, mark: &Mark, usual: &Cell<u64>) -> bool {
        let began = cycles();
        let stint = self.idle(began);
        let (mut patience, mut looks) = (self.patience(), 0);
        let (over, now) = loop {
            // Read before: nothing is left to do after.
            let now = cycles();
            if now.wrapping_sub(began) >= usual.get() {
                if mark.is_over() {
                    break (true, now);
                }
                looks += 1;
            }
            if self.is_wanted_elsewhere() || patience.is_over() {
                break (false, now);
            }
            std::hint::spin_loop();
        };
        // Where the first look finds it, it may have been there for long.
        usual.set(match looks {
            0 => usual.get() - usual.get() / 64,
            _ => (usual.get() + usual.get() / 16 + 16).min(MOST_USUAL),
        });
        self.resumed(stint, now, over);
        over
    }

    /// Serves a call, if its thread may run now. Gives the line if it is to be looked at from now on.
    ///
    /// # Safety
    /// It rings; it was handed in here, and is served here by nobody else.
    pub unsafe fn receive(&self, slip: NonNull<Slip>) -> Option<NonNull<Slip>> {
        // SAFETY: its caller does not free it as long as it rings.
        let this = unsafe { slip.as_ref() };
        if this.mark.is_gone() {
            // SAFETY: it is ours.
            unsafe { (this.free)(slip) };
            return None;
        }
        let Some((thread, stack)) = self.admit(this.callee) else {
            if this.finish(Outcome::Refused) {
                // SAFETY: it is ours.
                unsafe { (this.free)(slip) };
            }
            return None;
        };
        let callee = &*thread.0;
        callee.visits.store(callee.visits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        // SAFETY: the thread is ours, has no fiber, and runs this one, which was made for its slip.
        unsafe { *callee.running.fiber.get() = Some((this.begin)(slip, stack)) };
        callee.running.slip.set(Some(slip));
        self.run_now(thread.clone());
        self.tell_how_far(&callee.account);
        // Bound to this worker, the thread has not run since.
        if callee.running.slip.get().is_some() {
            this.left.set(true);
            return None;
        }
        callee.running.serves.get().then_some(slip)
    }

    /// Takes a thread that waits, and a stack for it, if it may run here before anybody else.
    fn admit(&self, callee: *const Record) -> Option<(Thread, GuestStack)> {
        // SAFETY: the witness keeps it; this makes one more holder.
        let thread = unsafe {
            Arc::increment_strong_count(callee);
            Thread(Arc::from_raw(callee))
        };
        let record = &*thread.0;
        if self.pool.has_work(self.index) || record.account.is_capped() || !record.state.claim() {
            return None;
        }
        // One that waits in the middle of something has a stack already.
        // SAFETY: the thread is ours.
        let is_at_rest = unsafe { (*record.running.fiber.get()).is_none() };
        if is_at_rest
            && !record.is_condemned()
            && let Ok(stack) = GuestStack::take()
        {
            return Some((thread, stack));
        }
        put_back(self, &thread);
        None
    }
}

impl Slip {
    /// Whether it rings.
    pub fn rings(&self) -> bool {
        self.mark.rings()
    }

    /// Its worker looks at it no more, and refuses what is called at the last moment.
    ///
    /// # Safety
    /// The worker looked at it until now.
    pub unsafe fn let_go(slip: NonNull<Slip>) {
        // SAFETY: nobody else frees what a worker looks at.
        let this = unsafe { slip.as_ref() };
        let free = this.free;
        if !this.mark.close() && (this.mark.is_gone() || this.finish(Outcome::Refused)) {
            // SAFETY: it is ours.
            unsafe { free(slip) };
        }
    }

    /// Its worker is done with a call; whether the caller is gone, and the line is the worker's.
    #[must_use]
    fn finish(&self, outcome: Outcome) -> bool {
        // SAFETY: who waits has left word before it said so.
        match self.mark.finish(outcome, || unsafe { (*self.waiter.get()).take() }) {
            Met::Seen => false,
            Met::Asleep(waiter) => {
                waiter.iter().for_each(Waiter::wake);
                false
            }
            Met::Gone => true,
        }
    }

    /// Enters its caller in the table of waits, if it waits still. To be called by the callee's thread before that waits itself,
    /// or by the caller.
    pub fn note(&self) {
        if self.entry.load(Ordering::Acquire) == UNNOTED
            // Who goes away says so before it looks into the table.
            && let Some(entry) = self.witness.enter(self.from, &|| !self.mark.is_gone())
        {
            self.entry.store(entry, Ordering::Release);
        }
    }

    /// The caller is back.
    fn is_back(&self) {
        if self.entry.load(Ordering::Acquire) != UNNOTED {
            self.witness.leave(self.entry.swap(UNNOTED, Ordering::AcqRel));
        }
    }

    /// Leaves the processor until the call is over.
    ///
    /// # Errors
    /// The verdict, if the caller is condemned: then the line is the worker's.
    #[cold]
    fn wait(&self) -> Result<(), Trap> {
        self.note();
        // SAFETY: the worker looks at it once the mark says that we wait.
        unsafe { *self.waiter.get() = Some(Waiter::current()) };
        if !self.mark.wait() {
            return Ok(());
        }
        let (witness, entry) = (Arc::clone(&self.witness), self.entry.load(Ordering::Acquire));
        while !self.mark.is_over() {
            if let Err(trap) = park::park(None)
                && self.mark.leave()
            {
                witness.leave(entry);
                return Err(trap);
            }
        }
        Ok(())
    }
}

/// What is to happen when a commission is done, or cannot be.
struct Under<C: Commission> {
    slip: NonNull<Slip>,
    done: bool,
    commission: PhantomData<C>,
}

impl<C: Commission> Drop for Under<C> {
    fn drop(&mut self) {
        // SAFETY: it is the callee's thread's as long as it is not finished, and that is us.
        let slip = unsafe { self.slip.as_ref() };
        let left = slip.left.get();
        if left {
            slip.left.set(false); // not written else: the caller looks at what is beside it
        }
        let outcome = match (self.done, left) {
            (false, _) => Outcome::Lost,
            (true, true) => Outcome::Finished,
            (true, false) => Outcome::Served,
        };
        // SAFETY: who runs holds its thread, which may outlive the slip.
        let callee = unsafe { &(*slip.callee).running };
        callee.slip.set(None);
        let is_gone = slip.finish(outcome);
        callee.serves.set(!is_gone && outcome == Outcome::Served);
        if !is_gone {
            return;
        }
        if self.done {
            // SAFETY: it was written, and nobody is left who reads it.
            unsafe { (*self.slip.cast::<Sheet<C>>().as_ref().outcome.get()).assume_init_drop() };
        }
        // SAFETY: nobody else has it.
        unsafe { free::<C>(self.slip) };
    }
}

/// A stack for the callee's thread, with a commission on it.
///
/// # Safety
/// The slip is that of a [`Sheet`] of this commission, and its call is the worker's to do. The callee's thread is to run this next.
unsafe fn begin<C: Commission>(slip: NonNull<Slip>, stack: GuestStack) -> Fiber {
    let bounds = stack.bounds();
    Coroutine::with_stack(stack, move |yielder, ()| {
        let mut under = Under::<C> { slip, done: false, commission: PhantomData };
        // SAFETY: nobody frees it before it is finished.
        let sheet = unsafe { slip.cast::<Sheet<C>>().as_ref() };
        // SAFETY: whoever resumes this holds the thread.
        let record = unsafe { &*sheet.slip.callee };
        record.running.yielder.set(yielder);
        record.running.woken.set(false);
        // SAFETY: the caller writes nothing while a call is under way.
        let (commission, rest) = unsafe { (&*sheet.commission.get(), &*sheet.rest.get()) };
        if let Some(rest) = rest {
            let outcome = commission.run(rest, bounds);
            // SAFETY: the caller looks at it when it is finished.
            unsafe { (*sheet.outcome.get()).write(outcome) };
            under.done = true;
        }
        drop(under);
        // A wake-up that ended a wait of the commission may have been for the body.
        if record.running.woken.get() || record.is_condemned() {
            // SAFETY: the thread is its own, and we are it; its body was left where it is.
            return unsafe { work_off(record) };
        }
        Next::Idle
    })
}

/// # Safety
/// The slip is that of a [`Sheet`] of this commission, and nobody else's any more.
unsafe fn free<C: Commission>(slip: NonNull<Slip>) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(slip.cast::<Sheet<C>>().as_ptr()) });
}
