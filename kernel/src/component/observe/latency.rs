//! How long calls took: a histogram whose steps grow with the time, so that every figure is right to a sixteenth.
//!
//! ```text
//!   0 … 15 ns      one bucket each
//!  16 … 31 ns      16 buckets of 1 ns
//!  32 … 63 ns      16 buckets of 2 ns
//!   …
//!  2^35 … 2^36     16 buckets of 2^31 ns; what is longer (69 s) is in the last one
//! ```
//!
//! One thread at a time records, and any may read meanwhile.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Buckets of one octave, and their logarithm.
const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 4;
/// The octave that the last buckets are of: 2^35 to 2^36 ns.
const LAST_OCTAVE: u32 = 35;
const BUCKETS: usize = ((LAST_OCTAVE - STEP_BITS + 2) as usize) << STEP_BITS;

/// A histogram of times in nanoseconds.
#[derive(Debug)]
pub struct Latency {
    buckets: [AtomicU32; BUCKETS],
    max_ns: AtomicU64,
}

/// What a histogram says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// How many times are in it.
    pub samples: u64,
    /// Half of them were not longer, nanoseconds.
    pub p50_ns: u64,
    /// Nine of ten were not longer.
    pub p90_ns: u64,
    /// 99 of a hundred were not longer.
    pub p99_ns: u64,
    /// The longest, exactly.
    pub max_ns: u64,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency { buckets: [const { AtomicU32::new(0) }; BUCKETS], max_ns: AtomicU64::new(0) }
    }
}

impl Latency {
    /// Puts a time into it. By one thread at a time: a count that two would change at once may be lost.
    pub fn record(&self, ns: u64) {
        let bucket = &self.buckets[bucket_of(ns)];
        bucket.store(bucket.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        if ns > self.max_ns.load(Ordering::Relaxed) {
            self.max_ns.store(ns, Ordering::Relaxed);
        }
    }

    /// What it says now.
    #[must_use]
    pub fn percentiles(&self) -> Percentiles {
        let counts: Vec<u64> =
            self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed).into()).collect();
        let (samples, max_ns) = (counts.iter().sum::<u64>(), self.max_ns.load(Ordering::Relaxed));
        let at = |hundredths: u64| {
            let wanted = (samples * hundredths).div_ceil(100);
            let mut seen = 0;
            let bucket = counts.iter().position(|count| {
                seen += count;
                seen >= wanted
            });
            bucket.map_or(0, |bucket| longest_in(bucket).min(max_ns))
        };
        match samples {
            0 => Percentiles::default(),
            _ => Percentiles { samples, p50_ns: at(50), p90_ns: at(90), p99_ns: at(99), max_ns },
        }
    }
}

fn bucket_of(ns: u64) -> usize {
    if ns < STEPS {
        return ns as usize;
    }
    let octave = ns.ilog2();
    if octave > LAST_OCTAVE {
        return BUCKETS - 1;
    }
    let shift = octave - STEP_BITS;
    let step = (ns >> shift) & (STEPS - 1);
    (((shift + 1) << STEP_BITS) as usize) + step as usize
}

/// The longest time that goes into a bucket.
fn longest_in(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let (shift, step) = ((bucket >> STEP_BITS) - 1, bucket & (STEPS - 1));
    ((STEPS + step + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Latency, Percentiles, bucket_of, longest_in};

    #[test]
    fn every_time_has_its_bucket_and_every_bucket_its_times() {
        for bucket in 0..BUCKETS {
            let longest = longest_in(bucket);
            assert_eq!(bucket_of(longest), bucket);
            assert_eq!(bucket_of(longest + 1), (bucket + 1).min(BUCKETS - 1));
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        for ns in (1..4_000_000_000).step_by(9_999_991) {
            let off = longest_in(bucket_of(ns)) - ns;
            assert!(off * 16 <= ns, "{ns} is told as {off} more");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_times() {
        let latency = Latency::default();
        assert_eq!(latency.percentiles(), Percentiles::default());
        (1..=1000).for_each(|ns| latency.record(ns * 1000));
        let Percentiles { samples, p50_ns, p90_ns, p99_ns, max_ns } = latency.percentiles();
        assert_eq!((samples, max_ns), (1000, 1_000_000));
        for (told, right) in [(p50_ns, 500_000), (p90_ns, 900_000), (p99_ns, 990_000)] {
            assert!(told >= right && told <= right + right / 16, "{told} for {right}");
        }
    }
}
