//! When the next tick of a worker is to come. Its own OS thread, its signal handler and all other workers order ticks at the
//! same time; there is one timer, which knows only what it was told last.

use super::atomics::{AtomicU64, Ordering};

/// A time that never comes.
pub const NEVER: u64 = u64::MAX;

/// How late a tick may be before it is taken for lost.
const MISSING_NS: u64 = 2_000_000;

/// The tick that is ordered.
#[derive(Debug)]
pub struct Order {
    /// When the timer expires, or does soon: whoever changes this arms it then. [`NEVER`] without one.
    at_ns: AtomicU64,
}

impl Default for Order {
    fn default() -> Order {
        Order { at_ns: AtomicU64::new(NEVER) }
    }
}

impl Order {
    /// Sees to it that there is a tick at `at_ns` or before; `arm` sets the timer to a time. Safe to call in a signal handler.
    pub fn by(&self, at_ns: u64, now_ns: u64, arm: impl Fn(u64)) {
        let mut armed = self.at_ns.load(Ordering::SeqCst);
        loop {
            let missing = armed.saturating_add(MISSING_NS) < now_ns;
            if at_ns == NEVER || armed <= at_ns && !missing {
                return;
            }
            match self.at_ns.compare_exchange(armed, at_ns, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(actual) => armed = actual,
            }
        }
        let mut wanted = at_ns;
        loop {
            arm(wanted);
            // Who ordered an earlier one meanwhile may have set the timer before we did.
            let actual = self.at_ns.load(Ordering::SeqCst);
            if actual == wanted || actual == NEVER {
                return;
            }
            wanted = actual;
        }
    }

    /// A tick has come. Whoever gets it looks at everything there is to do, and orders the next one.
    pub fn came(&self) {
        self.at_ns.store(NEVER, Ordering::SeqCst);
    }

    /// Takes the order back.
    pub fn cancel(&self, disarm: impl FnOnce(), arm_at_once: impl FnOnce()) {
        if self.at_ns.swap(NEVER, Ordering::SeqCst) != NEVER {
            disarm();
            // Who armed it between the two believes that it is.
            if self.at_ns.load(Ordering::SeqCst) != NEVER {
                arm_at_once();
            }
        }
    }
}
