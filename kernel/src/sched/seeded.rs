//! A schedule that only a seed decides, for tests that must be replayable.

use super::policy::{Choice, Policy, Runnable, Turn, Why};

/// Pseudo-random numbers (SplitMix64): the same from the same seed, everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        match bound {
            0 => 0,
            _ => self.next_u64() % bound,
        }
    }
}

/// Runs whatever can run in an order that its seed decides. Knows no weights and no caps.
#[derive(Debug)]
pub struct Seeded<T> {
    random: Random,
    slice_ns: u64,
    waiting: Vec<T>,
}

impl<T> Seeded<T> {
    /// An empty queue. Turns are up to `slice_ns` long.
    #[must_use]
    pub fn new(seed: u64, slice_ns: u64) -> Seeded<T> {
        Seeded { random: Random::new(seed), slice_ns, waiting: Vec::new() }
    }
}

impl<T: Runnable + Send> Policy<T> for Seeded<T> {
    fn ready(&mut self, thread: T, _: Why, _: u64) {
        self.waiting.push(thread);
    }

    fn next(&mut self, now_ns: u64) -> Choice<T> {
        match self.steal(now_ns) {
            Some(thread) => {
                let slice_ns = 1 + self.random.below(self.slice_ns);
                Choice::Run(Turn { thread, slice_ns, limit_ns: None })
            }
            None => Choice::Nobody,
        }
    }

    fn steal(&mut self, _: u64) -> Option<T> {
        let count = self.waiting.len() as u64;
        let index = self.random.below(count) as usize;
        (count > 0).then(|| self.waiting.swap_remove(index))
    }

    fn reached(&mut self, _: u64) {}

    fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn earliest(&self) -> Option<u64> {
        (!self.waiting.is_empty()).then_some(0)
    }

    fn first(&self) -> Option<u64> {
        self.earliest()
    }

    fn held_until_ns(&self) -> Option<u64> {
        None
    }

    fn expedite(&mut self) {}

    fn drain(&mut self) -> Vec<T> {
        std::mem::take(&mut self.waiting)
    }
}
