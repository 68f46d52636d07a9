//! Time as the scheduler sees it: a parameter, so that a schedule can be replayed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::os::timer;

/// Where the time comes from, in nanoseconds from a point that never changes.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's monotonic clock.
    System,
    /// A number that somebody sets.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that stands at 0 until it is advanced.
    #[must_use]
    pub fn manual() -> Clock {
        Clock::Manual(Arc::new(AtomicU64::new(0)))
    }

    /// What time it is. Safe to call in a signal handler.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        match self {
            Clock::System => timer::monotonic_ns(),
            Clock::Manual(now) => now.load(Ordering::Acquire),
        }
    }

    /// Sets a manual clock forward to `to_ns`; it never goes back. The system's clock does not obey.
    pub fn advance_to(&self, to_ns: u64) {
        if let Clock::Manual(now) = self {
            now.fetch_max(to_ns, Ordering::AcqRel);
        }
    }

    /// Whether it goes by itself.
    #[must_use]
    pub fn is_system(&self) -> bool {
        matches!(self, Clock::System)
    }
}
