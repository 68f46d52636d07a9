//! Sleeping until an index moves, without missing that it did.
//!
//! Who moves it writes it, then looks whether the other side sleeps; who falls asleep says so, then looks at the index. Each
//! has a fence between the two, so one of them at least sees what the other wrote. Both words are in memory that the peer can
//! write at any time: a peer that lies about them deceives itself, or is waited for in vain, as one that never answers.

use super::atomics::{AtomicU32, Ordering, fence};

/// Moves an index to `value`, with everything written before; whether the other side sleeps, and the caller is now to
/// wake it.
pub fn publish(index: &AtomicU32, sleeps: &AtomicU32, value: u32) -> bool {
    index.store(value, Ordering::Release);
    fence(Ordering::SeqCst);
    sleeps.load(Ordering::Relaxed) != 0 && sleeps.swap(0, Ordering::Relaxed) != 0
}

/// The caller is going to sleep until the index moves. Gives where it is now: if that is not where the caller saw it, it
/// must not sleep.
pub fn doze(index: &AtomicU32, sleeps: &AtomicU32) -> u32 {
    sleeps.store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    index.load(Ordering::Acquire)
}

/// The caller is awake.
pub fn rise(sleeps: &AtomicU32) {
    sleeps.store(0, Ordering::Relaxed);
}
