//! Looking again and again before sleeping, as long as that pays.
//!
//! To sleep and be woken costs several microseconds, and so it pays to look for about as long if the peer mostly answers
//! meanwhile. Where it does not (it works long, or there is no processor for it), the time to look shrinks to nothing; now and
//! then it is tried again for the whole time, because a peer that sleeps too takes some of it to wake up.

use std::hint::spin_loop;
use std::thread::available_parallelism;

use kernel::sched::park::now_ns;

use crate::limits::SPIN_NS;

/// Looks between two questions for the time.
const LOOKS: u32 = 32;
/// The shortest time that is worth looking, nanoseconds.
const SHORTEST_NS: u64 = SPIN_NS / 16;
/// Waits without looking before it is tried again.
const TRY_EVERY: u32 = 64;

/// How long to look.
#[derive(Debug)]
pub struct Spin {
    ns: u64,
    skipped: u32,
    alone: bool,
}

impl Default for Spin {
    fn default() -> Spin {
        Spin::new()
    }
}

impl Spin {
    /// Has yet to find out. With one processor it never looks: the peer can't run meanwhile.
    #[must_use]
    pub fn new() -> Spin {
        let alone = available_parallelism().is_ok_and(|processors| processors.get() == 1);
        Spin { ns: SPIN_NS, skipped: 0, alone }
    }

    /// Looks whether it `came`; whether it did.
    pub fn until(&mut self, came: impl Fn() -> bool) -> bool {
        let most_ns = self.most_ns();
        if most_ns == 0 {
            return came();
        }
        let (began_ns, mut now) = (now_ns(), 0);
        while now <= most_ns {
            for _ in 0..LOOKS {
                if came() {
                    self.ns = (most_ns * 2).min(SPIN_NS);
                    return true;
                }
                spin_loop();
            }
            now = now_ns().saturating_sub(began_ns);
        }
        self.ns /= 2;
        false
    }

    /// How long to look this time.
    fn most_ns(&mut self) -> u64 {
        if self.alone {
            return 0;
        }
        if self.ns >= SHORTEST_NS {
            return self.ns;
        }
        self.skipped = (self.skipped + 1) % TRY_EVERY;
        if self.skipped == 0 { SPIN_NS } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn looks_as_long_as_it_pays() {
        let mut spin = Spin { ns: SPIN_NS, skipped: 0, alone: false };
        let looks = Cell::new(0);
        let late = |after: u32| {
            let looks = &looks;
            looks.set(0);
            move || {
                looks.set(looks.get() + 1);
                looks.get() > after
            }
        };
        assert!(spin.until(late(10)));
        assert_eq!(spin.ns, SPIN_NS);
        for _ in 0..8 {
            assert!(!spin.until(|| false));
        }
        assert!(spin.ns < SHORTEST_NS);
        // The last of these were not looked for any more.
        spin.skipped = 0;
        assert!(!spin.until(late(1)), "looks once");
        // But now and then for as long as it takes to wake somebody up.
        let found = (2..=TRY_EVERY).map(|_| spin.until(late(10)));
        assert_eq!(found.filter(|found| *found).count(), 1);
        assert_eq!(spin.ns, SPIN_NS);
        spin.alone = true;
        assert!(!spin.until(late(1)));
    }
}
