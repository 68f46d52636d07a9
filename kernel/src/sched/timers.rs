//! What is to happen at a time: the deadlines of those who wait and of calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use abi::fault::Trap;
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, TimerSetTimeFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use super::order::NEVER;
use super::park::Waiter;
use super::thread::Thread;

/// What happens when a time has come.
#[derive(Debug)]
pub(super) enum Alarm {
    /// Somebody's wait is over.
    Wake(Waiter),
    /// A thread has worked too long on something.
    Condemn(Thread, Trap),
}

/// Names an alarm that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlarmKey {
    at_ns: u64,
    number: u64,
}

/// All alarms of a machine. Workers let them go off between turns; while all sleep, or none has a turn to end, the
/// reactor does.
#[derive(Debug)]
pub(super) struct Timers {
    set: Mutex<Set>,
    /// When the next one is due, for those who only want to know whether that is now.
    next_ns: AtomicU64,
    /// Becomes readable when the next one is due. None where time is simulated.
    file: Option<TimerFd>,
}

#[derive(Debug, Default)]
struct Set {
    alarms: BTreeMap<AlarmKey, Alarm>,
    number: u64,
    /// The file stays readable: whoever reads it is to stop.
    closed: bool,
}

impl Timers {
    /// Alarms of a clock that somebody sets.
    pub fn simulated() -> Timers {
        Timers { set: Mutex::default(), next_ns: AtomicU64::new(NEVER), file: None }
    }

    /// Alarms of the system's clock.
    ///
    /// # Errors
    /// The system has no timer left.
    pub fn of_system() -> nix::Result<Timers> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let file = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        Ok(Timers { file: Some(file), ..Timers::simulated() })
    }

    /// Becomes readable when an alarm is due.
    pub fn file(&self) -> Option<&TimerFd> {
        self.file.as_ref()
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the file become readable at once, and stay so.
    pub fn close(&self) {
        let mut set = self.set();
        self.look_at(&set, 0);
        set.closed = true;
    }

    /// Lets the file become readable at a time; at once if that has passed.
    fn look_at(&self, set: &Set, at_ns: u64) {
        let Some(file) = self.file.as_ref().filter(|_| !set.closed) else { return };
        let at = Expiration::OneShot(TimeSpec::from_duration(Duration::from_nanos(at_ns.max(1))));
        let set = file.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME);
        debug_assert!(set.is_ok(), "a valid time for a timer that exists");
    }

    /// Sets an alarm.
    pub fn add(&self, at_ns: u64, alarm: Alarm) -> AlarmKey {
        let mut set = self.set();
        set.number += 1;
        let key = AlarmKey { at_ns, number: set.number };
        set.alarms.insert(key, alarm);
        if set.alarms.first_key_value().is_some_and(|(first, _)| *first == key) {
            self.next_ns.store(at_ns, Ordering::Release);
            self.look_at(&set, at_ns);
        }
        key
    }

    /// Takes an alarm back. When this returns it has either gone off, all of it, or never will.
    pub fn cancel(&self, key: AlarmKey) {
        let cancelled = self.set().alarms.remove(&key);
        drop(cancelled);
    }

    /// When the next one goes off, or [`NEVER`]; perhaps one that was taken back. Safe to call in a signal handler.
    pub fn next_ns(&self) -> u64 {
        self.next_ns.load(Ordering::Acquire)
    }

    /// Lets go off what is due.
    pub fn fire(&self, now_ns: u64) {
        if self.next_ns() > now_ns {
            return;
        }
        // Under the lock, so that nobody cancels an alarm that goes off after that.
        let mut set = self.set();
        let next_ns = loop {
            let Some(first) = set.alarms.first_entry() else { break NEVER };
            if first.key().at_ns > now_ns {
                break first.key().at_ns;
            }
            match first.remove() {
                Alarm::Wake(waiter) => waiter.wake(),
                Alarm::Condemn(thread, trap) => thread.condemn(trap),
            }
        };
        self.next_ns.store(next_ns, Ordering::Release);
        if next_ns != NEVER {
            self.look_at(&set, next_ns);
        }
    }
}
