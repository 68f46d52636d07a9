//! Falling asleep without missing what comes.
//!
//! Who brings work writes that there is some, then looks whether somebody sleeps; who falls asleep says so, then looks for
//! work. Each has a fence between the two, so one of them at least sees what the other wrote.

use super::atomics::{AtomicBool, Ordering, fence};

/// Whether somebody sleeps, or is about to.
#[derive(Debug, Default)]
pub struct Doze {
    sleeping: AtomicBool,
}

impl Doze {
    /// The caller is going to sleep, unless what it looks at from here on says that there is something to do.
    pub fn begin(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The caller is awake.
    pub fn end(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Whether somebody sleeps whom the caller, and nobody else, is now to wake. What there is to do was written before.
    pub fn rouse(&self) -> bool {
        fence(Ordering::SeqCst);
        self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed)
    }
}
