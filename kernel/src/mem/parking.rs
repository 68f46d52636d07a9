//! Threads that wait on an address of a shared memory (threads proposal, `memory.atomic.wait` and `notify`).

use std::collections::HashMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Who waits where, in the order they came. Addresses are the host's: memories never share one.
static LOT: LazyLock<Mutex<HashMap<usize, Vec<Arc<Waiter>>>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Waiter {
    wake: Condvar,
}

/// How a wait ended; the numbers are the instruction's results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Waited {
    /// Another thread woke it.
    Woken = 0,
    /// The value was another one.
    NotEqual = 1,
    /// Nobody woke it in time.
    TimedOut = 2,
}

fn lot() -> MutexGuard<'static, HashMap<usize, Vec<Arc<Waiter>>>> {
    LOT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks the thread until another one wakes `address`, if `is_expected` still holds once a wake-up cannot be
/// missed.
pub fn wait(address: usize, timeout: Option<Duration>, is_expected: impl FnOnce() -> bool) -> Waited {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut lot = lot();
    if !is_expected() {
        return Waited::NotEqual;
    }
    let waiter = Arc::new(Waiter::default());
    lot.entry(address).or_default().push(Arc::clone(&waiter));
    let waits = |lot: &HashMap<usize, Vec<Arc<Waiter>>>| {
        lot.get(&address).is_some_and(|waiters| waiters.iter().any(|other| Arc::ptr_eq(other, &waiter)))
    };
    while waits(&lot) {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        lot = match left {
            Some(Duration::ZERO) => {
                remove(&mut lot, address, &waiter);
                return Waited::TimedOut;
            }
            Some(left) => waiter.wake.wait_timeout(lot, left).unwrap_or_else(PoisonError::into_inner).0,
            None => waiter.wake.wait(lot).unwrap_or_else(PoisonError::into_inner),
        };
    }
    Waited::Woken
}

fn remove(lot: &mut HashMap<usize, Vec<Arc<Waiter>>>, address: usize, waiter: &Arc<Waiter>) {
    if let Some(waiters) = lot.get_mut(&address) {
        waiters.retain(|other| !Arc::ptr_eq(other, waiter));
        if waiters.is_empty() {
            lot.remove(&address);
        }
    }
}

/// Wakes up to `count` threads that wait on `address`, the longest waiting first, and returns how many.
pub fn notify(address: usize, count: u32) -> u32 {
    let mut lot = lot();
    let Some(waiters) = lot.get_mut(&address) else { return 0 };
    let woken = waiters.len().min(count as usize);
    for waiter in waiters.drain(..woken) {
        waiter.wake.notify_one();
    }
    if waiters.is_empty() {
        lot.remove(&address);
    }
    u32::try_from(woken).expect("at most `count`")
}

#[cfg(test)]
mod tests {
    use super::{Duration, Waited, lot, notify, wait};

    #[test]
    fn waits_until_woken_or_late_or_not_at_all() {
        assert_eq!(wait(1, None, || false), Waited::NotEqual);
        assert_eq!(wait(1, Some(Duration::from_millis(2)), || true), Waited::TimedOut);
        assert_eq!(wait(1, Some(Duration::ZERO), || true), Waited::TimedOut);
        assert_eq!(notify(1, 1), 0);
        let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(|| wait(2, None, || true))).collect();
        let mut woken = 0;
        while woken < 3 {
            woken += notify(2, 2);
        }
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == Waited::Woken));
        assert!(!lot().contains_key(&2));
    }
}
