//! What a domain has used of the processors, and what it may use.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The weight that advances virtual time as fast as real time.
pub const WEIGHT_ONE: u32 = 100;
/// A whole core, as a cap.
pub const WHOLE_CORE: u32 = 1000;
/// How much unused time under a cap is kept: the share of this many nanoseconds.
const BURST_WINDOW_NS: i64 = 100_000_000;

/// How a domain shares the processors with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its part when there is not enough for all, relative to the others'. [`WEIGHT_ONE`] is the usual one.
    pub weight: u32,
    /// The most that it may use, in thousandths of a core, even if nobody else wants it.
    pub cap: Option<u32>,
}

impl Default for Share {
    fn default() -> Share {
        Share { weight: WEIGHT_ONE, cap: None }
    }
}

/// The processor time of one domain. Alone on its cache lines: domains run at several workers.
#[derive(Debug)]
#[repr(align(128))]
pub struct Account {
    weight: AtomicU32,
    /// How much of its fair share it has had: real time over weight. Comparable between all domains of a machine.
    virtual_ns: AtomicU64,
    used_ns: AtomicU64,
    capped: AtomicBool,
    allowance: Mutex<Option<Allowance>>,
    /// Where ticks found its threads, by process.
    samples: Mutex<Vec<u64>>,
}

/// A bucket that fills with time and empties with use.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    cap: u32,
    /// What may be used now; negative after a slice that was longer than what was left.
    level_ns: i64,
    filled_at_ns: u64,
}

impl Account {
    /// An account that has used nothing.
    #[must_use]
    pub fn new(share: Share, now_ns: u64) -> Account {
        let account = Account {
            weight: AtomicU32::new(WEIGHT_ONE),
            virtual_ns: AtomicU64::new(0),
            used_ns: AtomicU64::new(0),
            capped: AtomicBool::new(false),
            allowance: Mutex::new(None),
            samples: Mutex::default(),
        };
        account.set_share(share, now_ns);
        account
    }

    /// Changes how it shares; what it has used stays.
    pub fn set_share(&self, share: Share, now_ns: u64) {
        self.weight.store(share.weight.max(1), Ordering::Relaxed);
        self.capped.store(share.cap.is_some(), Ordering::Relaxed);
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        *allowance = share.cap.map(|cap| Allowance { cap: cap.max(1), level_ns: 0, filled_at_ns: now_ns });
    }

    /// Whether it has a cap.
    #[must_use]
    pub fn is_capped(&self) -> bool {
        self.capped.load(Ordering::Relaxed)
    }

    /// Processor time used by all its threads so far. A thread that runs is counted when it is switched out.
    #[must_use]
    pub fn used_ns(&self) -> u64 {
        self.used_ns.load(Ordering::Relaxed)
    }

    /// How far it is in virtual time.
    #[must_use]
    pub fn virtual_ns(&self) -> u64 {
        self.virtual_ns.load(Ordering::Relaxed)
    }

    /// Brings it to at least this virtual time: what it did not use before is forgotten.
    pub fn forget_before(&self, virtual_ns: u64) {
        self.virtual_ns.fetch_max(virtual_ns, Ordering::Relaxed);
    }

    /// Counts time that one of its threads had.
    pub fn charge(&self, ran_ns: u64) {
        self.used_ns.fetch_add(ran_ns, Ordering::Relaxed);
        let weight = u64::from(self.weight.load(Ordering::Relaxed));
        let passed = ran_ns.saturating_mul(u64::from(WEIGHT_ONE)) / weight;
        self.virtual_ns.fetch_add(passed, Ordering::Relaxed);
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(allowance) = allowance.as_mut() {
            allowance.level_ns = allowance.level_ns.saturating_sub(i64::try_from(ran_ns).unwrap_or(i64::MAX));
        }
    }

    /// A tick found one of its threads in the code of a process, `ns` after the tick before.
    pub(super) fn sample(&self, process: u32, ns: u64) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let index = process as usize;
        if samples.len() <= index {
            samples.resize(index + 1, 0);
        }
        samples[index] += ns;
    }

    /// Processor time by process, as ticks saw it: what ran between ticks is not in it.
    #[must_use]
    pub fn samples(&self) -> Vec<u64> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What its cap leaves it now; `None` without a cap.
    ///
    /// # Errors
    /// Nothing is left: when there will be enough for `slice_ns`.
    pub fn allowance(&self, now_ns: u64, slice_ns: u64) -> Result<Option<u64>, u64> {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(allowance) = allowance.as_mut() else { return Ok(None) };
        allowance.fill(now_ns);
        match u64::try_from(allowance.level_ns) {
            Ok(left) if left > 0 => Ok(Some(left)),
            _ => {
                let missing =
                    allowance.level_ns.unsigned_abs().saturating_add(slice_ns.min(allowance.burst() as u64));
                Err(now_ns + missing.saturating_mul(u64::from(WHOLE_CORE)) / u64::from(allowance.cap))
            }
        }
    }
}

impl Allowance {
    fn burst(&self) -> i64 {
        BURST_WINDOW_NS * i64::from(self.cap) / i64::from(WHOLE_CORE)
    }

    fn fill(&mut self, now_ns: u64) {
        let passed = i64::try_from(now_ns.saturating_sub(self.filled_at_ns)).unwrap_or(i64::MAX);
        // More than the window fills it; this also keeps the product small.
        let owed = passed / i64::from(WHOLE_CORE) * i64::from(self.cap)
            + passed % i64::from(WHOLE_CORE) * i64::from(self.cap) / i64::from(WHOLE_CORE);
        self.level_ns = self.level_ns.saturating_add(owed).min(self.burst());
        self.filled_at_ns = now_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn virtual_time_goes_by_weight() {
        let light = Account::new(Share::default(), 0);
        let heavy = Account::new(Share { weight: 3 * WEIGHT_ONE, cap: None }, 0);
        light.charge(MS);
        heavy.charge(3 * MS);
        assert_eq!((light.virtual_ns(), heavy.virtual_ns()), (MS, MS));
        assert_eq!(heavy.used_ns(), 3 * MS);
        heavy.forget_before(10 * MS);
        heavy.forget_before(5 * MS);
        assert_eq!(heavy.virtual_ns(), 10 * MS);
    }

    #[test]
    fn a_cap_leaves_its_share_over_time() {
        let account = Account::new(Share { weight: WEIGHT_ONE, cap: Some(200) }, 0);
        let (mut now, mut used) = (0, 0);
        while now < 10_000 * MS {
            match account.allowance(now, MS) {
                Ok(left) => {
                    let ran = left.unwrap().clamp(MS / 10, MS);
                    account.charge(ran);
                    now += ran;
                    used += ran;
                }
                Err(until) => {
                    assert!(until > now);
                    now = until;
                }
            }
        }
        assert!((1_990 * MS..=2_010 * MS).contains(&used), "{used}");
    }

    #[test]
    fn what_was_not_used_is_kept_for_a_moment_only() {
        let account = Account::new(Share { weight: WEIGHT_ONE, cap: Some(500) }, 0);
        assert_eq!(account.allowance(1 << 62, MS), Ok(Some(50 * MS)));
    }
}
