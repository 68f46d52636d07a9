//! How often an edge was called, how often that failed, and of some calls how long they took.

use std::mem::offset_of;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::latency::{Latency, Percentiles};
use crate::sched::park::now_ns;
use crate::vm::tally;

/// The first calls are all timed, so that an edge that is seldom used has figures too.
const ALL_TIMED: u64 = 64;
/// From then on one of so many, on average.
const TIMED_EVERY: u64 = 64;

/// The counters of one edge. Only whoever executes the domain that counts changes them, so nothing is locked; anybody
/// may read them.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Tally {
    calls: AtomicU64,
    /// From how many calls on the next one is timed.
    next: AtomicU64,
    failures: AtomicU64,
    latency: OnceLock<Box<Latency>>,
    /// What is done with its calls ([`super::watcher::mode`]).
    mode: AtomicU8,
}

const _: () = {
    assert!(offset_of!(Tally, calls) == tally::CALLS as usize);
    assert!(offset_of!(Tally, next) == tally::NEXT as usize);
};

/// A call that was counted; when it began, if it is timed.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Begun(Option<u64>);

impl Tally {
    /// From one of a tree's tallies to the next.
    pub const BYTES: u32 = size_of::<Tally>() as u32;

    /// Counts a call.
    #[inline]
    pub fn begin(&self) -> Begun {
        let calls = self.calls.load(Ordering::Relaxed);
        self.calls.store(calls.wrapping_add(1), Ordering::Relaxed);
        Begun(if calls < self.next.load(Ordering::Relaxed) { None } else { self.time(calls) })
    }

    /// The distance to the next one varies, so that calls that take turns are all seen.
    #[cold]
    fn time(&self, calls: u64) -> Option<u64> {
        let now_ns = now_ns();
        let skip = match calls {
            0..ALL_TIMED => 1,
            _ => 1 + scatter(calls ^ now_ns) % (2 * TIMED_EVERY - 1),
        };
        self.next.store(calls.wrapping_add(skip), Ordering::Relaxed);
        Some(now_ns)
    }

    /// The call is over.
    #[inline]
    pub fn end(&self, begun: Begun, failed: bool) {
        if failed {
            self.fail();
        }
        if let Begun(Some(began_ns)) = begun {
            self.took(now_ns().saturating_sub(began_ns));
        }
    }

    /// A call that was counted has failed.
    pub fn fail(&self) {
        self.failures.store(self.failures.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    #[cold]
    fn took(&self, ns: u64) {
        self.latency.get_or_init(Box::default).record(ns);
    }

    /// What is done with its calls ([`super::watcher::mode`]).
    #[inline]
    pub fn mode(&self) -> u8 {
        self.mode.load(Ordering::Relaxed)
    }

    /// Has something else done with its calls.
    pub fn set_mode(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }

    /// Calls and failures so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.failures.load(Ordering::Relaxed))
    }

    /// How long the calls took that were timed; none was as long as nobody called.
    pub fn percentiles(&self) -> Option<Percentiles> {
        self.latency.get().map(|latency| latency.percentiles())
    }
}

/// The finaliser of SplitMix64: bits of which each depends on all.
fn scatter(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::{ALL_TIMED, TIMED_EVERY, Tally};

    #[test]
    fn all_calls_are_counted_and_some_are_timed() {
        let tally = Tally::default();
        const CALLS: u64 = 100_000;
        for call in 0..CALLS {
            let begun = tally.begin();
            tally.end(begun, call % 10 == 0);
        }
        assert_eq!(tally.counts(), (CALLS, CALLS / 10));
        let samples = tally.percentiles().unwrap().samples;
        let expected = ALL_TIMED + (CALLS - ALL_TIMED) / TIMED_EVERY;
        assert!((expected * 9 / 10..expected * 11 / 10).contains(&samples), "{samples}, not {expected}");
    }
}
