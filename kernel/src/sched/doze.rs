//! Falling asleep without missing what comes.
//!
//! Who brings work writes that there is some, then looks whether somebody looks for it or sleeps; who falls asleep says so, then
//! looks for work. Each has a fence between the two, so one of them at least sees what the other wrote. Who still looks
//! around says that too: it will look again, and need not be woken.

use super::atomics::{AtomicU8, Ordering, fence};

const AWAKE: u8 = 0;
const LOOKING: u8 = 1;
const ASLEEP: u8 = 2;

/// Whether somebody sleeps, or is about to, or looks around before that.
#[derive(Debug)]
pub struct Doze(AtomicU8);

/// Whom somebody who brought work has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roused {
    /// Nobody, or somebody else was there first.
    Nobody,
    /// One who looks for work, and finds it.
    Looking,
    /// One who sleeps, whom the caller, and nobody else, is now to wake.
    Asleep,
}

impl Default for Doze {
    fn default() -> Doze {
        Doze(AtomicU8::new(AWAKE))
    }
}

impl Doze {
    /// The caller is going to look for work once more, at least.
    pub fn look(&self) {
        self.0.store(LOOKING, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The caller is going to sleep, unless what it looks at from here on says that there is something to do.
    pub fn begin(&self) {
        self.0.store(ASLEEP, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The caller is awake, and sees what everybody brought who counts on it.
    pub fn rise(&self) {
        self.0.swap(AWAKE, Ordering::Acquire);
    }

    /// The caller is awake.
    pub fn end(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }

    /// Finds somebody for what there is to do, which was written before. Each is found once.
    pub fn rouse(&self) -> Roused {
        fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) == AWAKE {
            return Roused::Nobody;
        }
        match self.0.swap(AWAKE, Ordering::Relaxed) {
            AWAKE => Roused::Nobody,
            LOOKING => Roused::Looking,
            _ => Roused::Asleep,
        }
    }
}
