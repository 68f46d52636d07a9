//! A one-shot timer that sends a signal to one thread.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// A timer of the monotonic clock; when it expires, the thread that made it gets its signal.
///
/// The processor-time clocks would stop while the thread does not run, but they are looked at once a scheduler tick:
/// 4 ms on many systems.
#[derive(Debug)]
pub struct SignalTimer {
    id: libc::timer_t,
}

// SAFETY: the id names a timer of the OS process; all of its threads may set it.
unsafe impl Send for SignalTimer {}
// SAFETY: the system serialises what is done to a timer.
unsafe impl Sync for SignalTimer {}

impl SignalTimer {
    /// A timer that is not armed, for the calling thread.
    ///
    /// # Errors
    /// What the system says: too many timers.
    pub fn new(signal: libc::c_int) -> io::Result<SignalTimer> {
        // SAFETY: all zero is a valid `sigevent`.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        event.sigev_notify_thread_id = thread_id();
        let mut id = MaybeUninit::<libc::timer_t>::uninit();
        // SAFETY: reads the event, writes the id.
        match unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, id.as_mut_ptr()) } {
            // SAFETY: the call succeeded, so it was written.
            0 => Ok(SignalTimer { id: unsafe { id.assume_init() } }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Lets it expire `after_ns` from now, and not at the time it was armed for before. 0 is taken for 1.
    ///
    /// Safe to call in a signal handler.
    pub fn arm(&self, after_ns: u64) {
        const SECOND: u64 = 1_000_000_000;
        let after_ns = after_ns.max(1);
        self.set(libc::timespec {
            tv_sec: libc::time_t::try_from(after_ns / SECOND).unwrap_or(libc::time_t::MAX),
            tv_nsec: (after_ns % SECOND) as libc::c_long,
        });
    }

    /// Lets it not expire.
    pub fn disarm(&self) {
        self.set(libc::timespec { tv_sec: 0, tv_nsec: 0 });
    }

    fn set(&self, value: libc::timespec) {
        let once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = libc::itimerspec { it_interval: once, it_value: value };
        // SAFETY: the timer is ours until it is dropped.
        let status = unsafe { libc::timer_settime(self.id, 0, &raw const setting, ptr::null_mut()) };
        debug_assert_eq!(status, 0, "a valid time for a timer that exists");
    }
}

impl Drop for SignalTimer {
    fn drop(&mut self) {
        // SAFETY: nobody else deletes it.
        unsafe { libc::timer_delete(self.id) };
    }
}

/// What the system calls the calling thread.
#[must_use]
pub fn thread_id() -> libc::pid_t {
    // SAFETY: no arguments, no failure.
    unsafe { libc::gettid() }
}

/// Sends `signal` to a thread of this OS process; one that is gone gets nothing.
pub fn send(thread: libc::pid_t, signal: libc::c_int) {
    // SAFETY: a signal that we handle; a thread id of another process is refused by the first argument.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
}

/// Processor time that the calling thread has used, nanoseconds. A system call.
#[must_use]
pub fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    nanoseconds(time)
}

/// Nanoseconds of the monotonic clock. No system call; safe to call in a signal handler.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    nanoseconds(time)
}

fn nanoseconds(time: libc::timespec) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
