//! Past the queues: how a worker that looks for work is called by another one, over one cache line.
//!
//! A *line* between two workers lasts for many calls. The first one is handed in at the worker's hatch; from then on, for as long
//! as it looks around, the worker looks at the line itself.
//!
//! ```text
//!                                         finish
//!            put: by the hatch  ┌───────────────────────────────▶ DONE ──┐ close
//!   CLOSED ───────────────▶ CALLED ──┐ finish, of what is not looked at  ▼ any more
//!      ▲      ◀──────call── │        ├─────────────────────────▶ CLOSED
//!      └─ is the caller's   │ wait   │ refuse
//!         alone             ▼        ├─────────────────▶ REFUSED, LOST: the caller's alone
//!                         WAITED ────┘
//!                           │ leave
//!                           └──▶ GONE, the worker's alone ◀── hang_up ── DONE
//! ```

use std::ptr::{self, NonNull};

use super::atomics::{AtomicPtr, AtomicU8, Ordering};

/// Where one worker takes what is handed in. It lies alone on its cache lines: whoever waits at it has those to himself.
#[derive(Debug)]
#[repr(align(128))]
pub struct Hatch<T>(AtomicPtr<T>);

/// Nobody looks.
const fn shut<T>() -> *mut T {
    ptr::null_mut()
}

/// Its worker looks, and there is nothing. No address of anything.
const fn open<T>() -> *mut T {
    ptr::without_provenance_mut(1)
}

impl<T> Default for Hatch<T> {
    fn default() -> Hatch<T> {
        Hatch(AtomicPtr::new(shut()))
    }
}

impl<T> Hatch<T> {
    /// Hands something in, if a worker looks for it and nobody was there first; whether that was so.
    pub fn put(&self, thing: NonNull<T>) -> bool {
        self.0.compare_exchange(open(), thing.as_ptr(), Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Its worker, which is the caller, looks from here on.
    pub fn open(&self) {
        self.0.store(open(), Ordering::Relaxed);
    }

    /// Whether something was handed in to its worker, which is the caller, and looks.
    pub fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed) != open()
    }

    /// Its worker, which is the caller, looks no more; what was handed in.
    pub fn shut(&self) -> Option<NonNull<T>> {
        let thing = self.0.swap(shut(), Ordering::Acquire);
        if thing == open() { None } else { NonNull::new(thing) }
    }
}

/// Nobody looks at the line. It is the caller's, and what the last call came to is in it, if there was one.
const CLOSED: u8 = 0;
/// The call was not taken. The line is the caller's.
const REFUSED: u8 = 1;
/// The call was taken, and nothing came of it. The line is the caller's.
const LOST: u8 = 2;
/// The call is done; the worker looks at the line.
const DONE: u8 = 3;
/// The worker is to do what is in the line, or does; the caller looks at it.
const CALLED: u8 = 4;
/// The same, but the caller sleeps.
const WAITED: u8 = 5;
/// The caller is gone: the line is the worker's, once it is done.
const GONE: u8 = 6;

/// What goes on on a line.
#[derive(Debug)]
pub struct Mark(AtomicU8);

/// How a worker leaves a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has done what it was to do, and looks for the next call.
    Served,
    /// It has done it, and looks at the line no more.
    Finished,
    /// It has not begun it, and looks at the line no more.
    Refused,
    /// It has not done it, and looks at the line no more.
    Lost,
}

/// Whom a worker has found when it was done.
#[derive(Debug, PartialEq, Eq)]
pub enum Met<W> {
    /// A caller who looks at the line.
    Seen,
    /// One who sleeps, and is now to be woken.
    Asleep(W),
    /// Nobody: the line is the worker's.
    Gone,
}

impl Default for Mark {
    fn default() -> Mark {
        Mark(AtomicU8::new(CLOSED))
    }
}

impl Mark {
    fn change(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The caller calls, if the worker looks at the line; whether that was so. To be asked when no call is under way.
    #[must_use]
    pub fn call(&self) -> bool {
        self.change(DONE, CALLED)
    }

    /// The caller, whose line is closed, is going to hand it in.
    pub fn prepare(&self) {
        self.0.store(CALLED, Ordering::Relaxed);
    }

    /// It could not be handed in.
    pub fn withdraw(&self) {
        self.0.store(CLOSED, Ordering::Relaxed);
    }

    /// Whether the call is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire) < CALLED
    }

    /// How the call ended that is over.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.0.load(Ordering::Relaxed) {
            REFUSED => Outcome::Refused,
            LOST => Outcome::Lost,
            CLOSED => Outcome::Finished,
            _ => Outcome::Served,
        }
    }

    /// The caller, who has left word whom to wake, looks no more; false if the call is over.
    #[must_use]
    pub fn wait(&self) -> bool {
        self.change(CALLED, WAITED)
    }

    /// The caller, who sleeps, is gone; false if the call is over. Else the line is the worker's.
    #[must_use]
    pub fn leave(&self) -> bool {
        self.change(WAITED, GONE)
    }

    /// The caller, who has no call under way, is gone; false if nobody looks at the line: then it is the caller's to free. Else it
    /// is the worker's.
    #[must_use]
    pub fn hang_up(&self) -> bool {
        self.change(DONE, GONE)
    }

    /// Whether there is something for the worker that looks at the line: a call, or that its caller is gone.
    #[must_use]
    pub fn rings(&self) -> bool {
        self.0.load(Ordering::Acquire) > DONE
    }

    /// Whether the caller is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::Acquire) == GONE
    }

    /// The worker is done with a call; `waiter` gives whom to wake.
    pub fn finish<W>(&self, outcome: Outcome, waiter: impl FnOnce() -> W) -> Met<W> {
        let to = match outcome {
            Outcome::Served => DONE,
            Outcome::Finished => CLOSED,
            Outcome::Refused => REFUSED,
            Outcome::Lost => LOST,
        };
        if self.change(CALLED, to) {
            return Met::Seen;
        }
        if self.0.load(Ordering::Acquire) == WAITED {
            // Before the line is the caller's again.
            let waiter = waiter();
            if self.change(WAITED, to) {
                return Met::Asleep(waiter);
            }
        }
        Met::Gone
    }

    /// The worker looks at the line no more; false if it rings.
    #[must_use]
    pub fn close(&self) -> bool {
        self.change(DONE, CLOSED)
    }
}
