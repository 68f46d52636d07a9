//! A lock for whoever may leave the processor while holding it: guest threads park where OS threads block.
//!
//! A mutex of the standard library must be given back by the OS thread that took it, and who waits for it blocks a
//! worker, perhaps the one that its holder is going to need.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;

use super::atomics::{AtomicU8, Mutex, Ordering};
use super::park::{self, Waiter};

/// Nobody has it.
const FREE: u8 = 0;
/// Somebody has it.
const TAKEN: u8 = 1;
/// Somebody has it, and others wait: they are in the list already.
const WANTED: u8 = 2;

/// A value that one at a time may use.
#[derive(Debug)]
pub struct ParkingLock<T: ?Sized> {
    state: AtomicU8,
    waiters: Mutex<Vec<Waiter>>,
    value: UnsafeCell<T>,
}

// SAFETY: one at a time has the value, and it may go to another thread.
unsafe impl<T: Send + ?Sized> Send for ParkingLock<T> {}
// SAFETY: as above.
unsafe impl<T: Send + ?Sized> Sync for ParkingLock<T> {}

/// The value of a lock, until it is dropped. Unlike a mutex's guard it may go to another OS thread.
#[derive(Debug)]
pub struct Held<'l, T: ?Sized> {
    lock: &'l ParkingLock<T>,
    /// Nobody else can ask for it.
    alone: bool,
}

impl<T> ParkingLock<T> {
    /// A lock that nobody has taken.
    #[must_use]
    pub fn new(value: T) -> ParkingLock<T> {
        ParkingLock { state: AtomicU8::new(FREE), waiters: Mutex::default(), value: UnsafeCell::new(value) }
    }
}

impl<T: ?Sized> ParkingLock<T> {
    /// The value, if nobody has it.
    #[must_use]
    pub fn try_lock(&self) -> Option<Held<'_, T>> {
        // Not `swap`: who fails must not write, or it would be between who gives the lock back and who asks next.
        self.change(FREE, TAKEN).then(|| Held { lock: self, alone: false })
    }

    /// As [`Self::try_lock`] for whoever is alone with the lock: the processor need not be told to let nobody between.
    ///
    /// # Safety
    /// No other thread may ask for the value until it is given back.
    #[inline]
    #[must_use]
    pub unsafe fn try_lock_alone(&self) -> Option<Held<'_, T>> {
        (self.state.load(Ordering::Acquire) == FREE).then(|| {
            self.state.store(TAKEN, Ordering::Relaxed);
            Held { lock: self, alone: true }
        })
    }

    /// The value, while somebody else has it.
    ///
    /// # Safety
    /// Somebody has it, and does not use it as long as the reference lives.
    #[must_use]
    pub unsafe fn seen(&self) -> &T {
        // SAFETY: the caller's promise.
        unsafe { &*self.value.get() }
    }

    /// The value, when nobody has it any more. A condemned thread waits too: what it holds is short.
    #[must_use]
    pub fn lock(&self) -> Held<'_, T> {
        loop {
            if let Some(held) = self.try_lock() {
                return held;
            }
            self.waiters.lock().unwrap_or_else(PoisonError::into_inner).push(Waiter::current());
            // Who gives it back looks into the list only if it is wanted; who gave it back before that has left it free.
            while !self.change(TAKEN, WANTED) && self.state.load(Ordering::Acquire) != WANTED {
                // With what empties the list of us.
                if self.change(FREE, WANTED) {
                    return Held { lock: self, alone: false };
                }
            }
            park::park_firmly();
        }
    }

    fn give_back(&self) {
        if self.state.swap(FREE, Ordering::AcqRel) != WANTED {
            return;
        }
        // All of them: some have it already, or went away, and would not pass it on.
        let waiters = std::mem::take(&mut *self.waiters.lock().unwrap_or_else(PoisonError::into_inner));
        waiters.iter().for_each(Waiter::wake);
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl<T: Default> Default for ParkingLock<T> {
    fn default() -> ParkingLock<T> {
        ParkingLock::new(T::default())
    }
}

impl<T: ?Sized> Deref for Held<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: who holds the lock is alone with the value.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for Held<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: who holds the lock is alone with the value.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        match self.alone {
            true => self.lock.state.store(FREE, Ordering::Release),
            false => self.lock.give_back(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn one_at_a_time_has_it() {
        let lock = Arc::new(ParkingLock::new(0_u32));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let lock = Arc::clone(&lock);
                std::thread::spawn(move || {
                    for _ in 0..1000 {
                        let mut held = lock.lock();
                        let before = *held;
                        std::thread::yield_now();
                        *held = before + 1;
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*lock.lock(), 4000);
        let held = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(held);
        assert!(lock.try_lock().is_some());
    }

    #[test]
    fn who_is_alone_has_it_like_everybody() {
        let lock = ParkingLock::new(1_u32);
        // SAFETY: no other thread knows of the lock.
        let held = unsafe { lock.try_lock_alone() };
        *held.unwrap() += 1;
        let held = lock.try_lock();
        assert_eq!(held.as_deref(), Some(&2));
        // SAFETY: as above.
        assert!(unsafe { lock.try_lock_alone() }.is_none());
        drop(held);
        // SAFETY: as above.
        let held = unsafe { lock.try_lock_alone() };
        assert!(held.is_some() && lock.try_lock().is_none());
    }
}
