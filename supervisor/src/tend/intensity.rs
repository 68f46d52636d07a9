//! How many restarts a supervisor has made lately, and whether that is too many.

use std::collections::VecDeque;

use crate::limits::RESTARTS_COUNTED;

/// The restarts within a period. OTP's window: a restart counts until more than the period has passed since.
#[derive(Clone, Debug)]
pub struct Intensity {
    most: usize,
    period_ns: u64,
    /// When they were, oldest first: those that count, and no more than one above the limit.
    restarts: VecDeque<u64>,
}

impl Intensity {
    /// No restarts, of which there may be `most` within `period_ns`.
    #[must_use]
    pub fn new(most: u32, period_ns: u64) -> Intensity {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(RESTARTS_COUNTED);
        Intensity { most, period_ns, restarts: VecDeque::new() }
    }

    /// Counts a restart at this time; whether it may be made. The times that are given never go back.
    pub fn allows(&mut self, now_ns: u64) -> bool {
        let oldest_ns = now_ns.saturating_sub(self.period_ns);
        self.restarts.push_back(now_ns);
        while self.restarts.front().is_some_and(|at_ns| *at_ns < oldest_ns) {
            self.restarts.pop_front();
        }
        let allowed = self.restarts.len() <= self.most;
        if !allowed {
            // Whoever asks again all the same does not make it longer.
            self.restarts.pop_front();
        }
        allowed
    }

    /// How many restarts counted the last time that one was made.
    #[must_use]
    pub fn counted(&self) -> usize {
        self.restarts.len()
    }

    /// Forgets all of them: whose they are begins anew.
    pub fn clear(&mut self) {
        self.restarts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Intensity;

    /// "If more than MaxR number of restarts occur in the last MaxT seconds, the supervisor terminates".
    #[test]
    fn more_than_intensity_within_period_are_too_many() {
        let mut window = Intensity::new(2, 10);
        assert!(window.allows(0));
        assert!(window.allows(5));
        assert!(!window.allows(9));
        let mut window = Intensity::new(2, 10);
        assert!(window.allows(0));
        assert!(window.allows(5));
        assert!(window.allows(11), "the first one is longer ago than the period");
        assert!(!window.allows(15), "one that is exactly a period ago counts still");
        window.clear();
        assert!(window.allows(15));
    }

    /// "intensity 0": no restart is allowed at all.
    #[test]
    fn an_intensity_of_none_allows_none() {
        assert!(!Intensity::new(0, 5).allows(100));
        assert!(!Intensity::new(0, 0).allows(100));
    }

    #[test]
    fn a_period_of_none_counts_what_is_at_the_same_time() {
        let mut window = Intensity::new(1, 0);
        assert!(window.allows(7));
        assert!(window.allows(8));
        assert!(!window.allows(8));
    }
}
