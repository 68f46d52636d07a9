//! Looking again and again before sleeping, as long as that pays.
//!
//! To sleep and be woken costs several microseconds, and so it pays to look for about as long if the peer mostly answers
//! meanwhile. Where it does not (it works long, or there is no processor for it), the time to look shrinks to nothing, and
//! grows again with a try now and then.

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
        if self.alone || self.rests() {
            return came();
        }
        let (began_ns, mut now) = (now_ns(), 0);
        while now <= self.ns {
            for _ in 0..LOOKS {
                if came() {
                    self.paid();
                    return true;
                }
                spin_loop();
            }
            now = now_ns().saturating_sub(began_ns);
        }
        self.ns /= 2;
        false
    }

    fn rests(&mut self) -> bool {
        if self.ns >= SHORTEST_NS {
            return false;
        }
        self.skipped += 1;
        if self.skipped == TRY_EVERY {
            (self.skipped, self.ns) = (0, SHORTEST_NS);
        }
        true
    }

    fn paid(&mut self) {
        self.ns = (self.ns * 2).clamp(SHORTEST_NS, SPIN_NS);
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
        for _ in 1..TRY_EVERY {
            let _ = spin.until(|| false);
        }
        for _ in 0..20 {
            let _ = spin.until(late(1));
        }
        assert_eq!(spin.ns, SPIN_NS);
        spin.alone = true;
        assert!(!spin.until(late(1)));
    }
}
