//! That a thread is to end what it does, and why. Everybody may pass it; the thread and its worker look whether somebody has,
//! also in a signal handler, which must not take a lock.

use std::sync::PoisonError;

use super::atomics::{AtomicBool, Mutex, Ordering};

/// A verdict, or none yet. `T` is a trap.
#[derive(Debug)]
pub struct Verdict<T> {
    /// Whether there is one; changed under the lock, so that who sees it finds the trap.
    passed: AtomicBool,
    for_good: AtomicBool,
    trap: Mutex<Option<T>>,
}

impl<T> Default for Verdict<T> {
    fn default() -> Verdict<T> {
        Verdict { passed: AtomicBool::new(false), for_good: AtomicBool::new(false), trap: Mutex::new(None) }
    }
}

impl<T: Clone> Verdict<T> {
    /// Passes a verdict. The first one counts.
    pub fn pass(&self, trap: T) {
        let mut passed = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        passed.get_or_insert(trap);
        self.passed.store(true, Ordering::SeqCst);
    }

    /// Passes a verdict that nobody takes back, in place of one that could be.
    pub fn pass_for_good(&self, trap: T) {
        let mut passed = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.for_good.load(Ordering::SeqCst) {
            *passed = Some(trap);
        }
        self.for_good.store(true, Ordering::SeqCst);
        self.passed.store(true, Ordering::SeqCst);
    }

    /// Takes it back, unless it is for good. Gives the trap.
    pub fn take_back(&self) -> Option<T> {
        let mut passed = self.trap.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_for_good() {
            return None;
        }
        self.passed.store(false, Ordering::SeqCst);
        passed.take()
    }

    /// Whether there is one. Safe to call in a signal handler.
    pub fn is_passed(&self) -> bool {
        self.passed.load(Ordering::SeqCst)
    }

    /// Whether there is one that nobody takes back.
    pub fn is_for_good(&self) -> bool {
        self.for_good.load(Ordering::SeqCst)
    }

    /// Why, if there is one.
    pub fn trap(&self) -> Option<T> {
        if self.is_passed() { self.trap.lock().unwrap_or_else(PoisonError::into_inner).clone() } else { None }
    }
}
