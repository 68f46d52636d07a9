//! Sleeping on a word that OS processes share.

use std::sync::atomic::AtomicU32;

/// Sleeps until somebody wakes `word`, or for `timeout_ns`, if it still is `expected`. May return without a reason.
pub fn wait(word: &AtomicU32, expected: u32, timeout_ns: Option<u64>) {
    const SECOND: u64 = 1_000_000_000;
    let timeout = timeout_ns.map(|after_ns| libc::timespec {
        tv_sec: libc::time_t::try_from(after_ns / SECOND).unwrap_or(libc::time_t::MAX),
        tv_nsec: (after_ns % SECOND) as libc::c_long,
    });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word lives for the call, which only reads it; the timeout is null or valid.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, timeout) };
}

/// Wakes up to `count` of those who sleep on `word`.
pub fn wake(word: &AtomicU32, count: u32) {
    // SAFETY: takes the word's address for a name and does not touch it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn sleeps_until_woken_late_or_not_at_all() {
        let word = Arc::new(AtomicU32::new(0));
        wait(&word, 1, None);
        wait(&word, 0, Some(1_000_000));
        let sleeper = Arc::clone(&word);
        let thread = std::thread::spawn(move || {
            while sleeper.load(Ordering::Acquire) == 0 {
                wait(&sleeper, 0, None);
            }
        });
        word.store(1, Ordering::Release);
        wake(&word, 1);
        thread.join().unwrap();
    }
}
