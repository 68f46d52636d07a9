//! Holding a thread where it is, so that somebody else can look at what it works on.
//!
//! A thread that is wanted stops at the next place where everything it works on is in order: compiled code at a tick, host
//! code that serves a guest's call when it waits or is done. It leaves the processor there, others run on its worker, and
//! it goes on when it is let go.
//!
//! ```text
//!   asker                         thread
//!   wanted = true, look up! ───▶  tick, or the end of a wait
//!   waits                    ◀─── stands = where
//!   looks at its stack            (off the processor)
//!   wanted = false, wake     ───▶ goes on
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::thread::{Record, Thread};
use crate::arch::Suspended;
use crate::trap::activation::Activation;

/// Whether somebody wants a thread to stand, and whether it does.
#[derive(Debug, Default)]
pub(super) struct Hold {
    wanted: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Somebody asks; others wait until they can.
    asked: bool,
    stands: Option<Place>,
}

/// Where a thread stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Its innermost stretch of guest code; null if it is in none.
    pub activation: *const Activation,
    /// Where its compiled code was interrupted; null in host code.
    pub suspended: *const Suspended,
}

// SAFETY: addresses on the stack of a thread that stands there.
unsafe impl Send for Place {}

impl Hold {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the thread is to stand. Safe to call in a signal handler.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
}

/// Stands for as long as somebody wants it. To be called by the thread itself, where it may be looked at; `leave` takes it
/// off the processor until it is woken.
pub(super) fn stand(record: &Record, suspended: *const Suspended, leave: impl Fn(&Record)) {
    while record.hold.is_wanted() {
        record.hold.state().stands = Some(Place { activation: Activation::current(), suspended });
        record.hold.changed.notify_all();
        if !record.take_token() {
            leave(record);
        }
    }
}

/// A thread that stands until this is dropped.
#[derive(Debug)]
pub struct Standstill<'t> {
    thread: &'t Thread,
    place: Place,
}

impl Thread {
    /// Holds it: waits until it stands, `timeout` at most. `None` if it did not come to a place where it can, has nothing
    /// to do, or is the thread that asks.
    ///
    /// Deadlines go on while it stands, and who ends it waits until it is let go.
    #[must_use]
    pub fn hold(&self, timeout: Duration) -> Option<Standstill<'_>> {
        let hold = &self.0.hold;
        let until = Instant::now() + timeout;
        let left = || until.saturating_duration_since(Instant::now());
        let asked = hold.changed.wait_timeout_while(hold.state(), left(), |state| state.asked);
        let mut state = asked.unwrap_or_else(PoisonError::into_inner).0;
        if state.asked || super::park::current_thread().is_some() {
            return None;
        }
        (state.asked, state.stands) = (true, None);
        hold.wanted.store(true, Ordering::SeqCst);
        drop(state);
        self.look_up();
        let stood = hold.changed.wait_timeout_while(hold.state(), left(), |state| state.stands.is_none());
        let state = stood.unwrap_or_else(PoisonError::into_inner).0;
        let place = state.stands;
        drop(state);
        if place.is_none() {
            self.let_go();
        }
        place.map(|place| Standstill { thread: self, place })
    }

    fn let_go(&self) {
        let mut state = self.0.hold.state();
        self.0.hold.wanted.store(false, Ordering::SeqCst);
        (state.asked, state.stands) = (false, None);
        drop(state);
        self.0.hold.changed.notify_all();
        self.wake();
    }
}

impl Standstill<'_> {
    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Whether it is in host code: it waits there.
    #[must_use]
    pub fn is_in_host(&self) -> bool {
        self.place.suspended.is_null()
    }
}

impl Drop for Standstill<'_> {
    fn drop(&mut self) {
        self.thread.let_go();
    }
}
