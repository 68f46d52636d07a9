//! `wasi:clocks`. Time is a parameter: a tree sees what these traits say, and waits as long as
//! [`MonotonicClock::wait_until`] says, so that a run can be replayed.
//!
//! - [`monotonic_clock`], [`wall_clock`], [`timezone`]: one interface each

pub mod monotonic_clock;
pub mod timezone;
pub mod wall_clock;

use std::time::Duration;

use kernel::sched::park;
use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

/// A clock that never goes back, and how to wait for it.
pub trait MonotonicClock: Send {
    /// Nanoseconds since some fixed point.
    fn now_ns(&mut self) -> u64;

    /// Nanoseconds between two ticks.
    fn resolution_ns(&mut self) -> u64;

    /// Somebody has nothing to do before this clock shows `when_ns`: when that is, as [`park::now_ns`] tells the time.
    /// `None` if they need not wait: the clock shows it now.
    fn wait_until(&mut self, when_ns: u64) -> Option<u64> {
        Some(park::now_ns().saturating_add(when_ns.saturating_sub(self.now_ns())))
    }
}

/// A clock that tells the time of day.
pub trait WallClock: Send {
    /// Time since the beginning of 1970, UTC.
    fn now(&mut self) -> Duration;

    /// Time between two ticks.
    fn resolution(&mut self) -> Duration;
}

/// The clocks of the operating system; monotonic time is that of the machine the tree runs on, which may be a simulated
/// one.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl MonotonicClock for SystemClock {
    fn now_ns(&mut self) -> u64 {
        park::now_ns()
    }

    fn resolution_ns(&mut self) -> u64 {
        nanoseconds(duration(clock_getres(ClockId::Monotonic)))
    }
}

impl WallClock for SystemClock {
    fn now(&mut self) -> Duration {
        duration(clock_gettime(ClockId::Realtime))
    }

    fn resolution(&mut self) -> Duration {
        duration(clock_getres(ClockId::Realtime))
    }
}

/// A clock that stands still but for waiting: a guest that sleeps an hour is done at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimulatedClock {
    /// What the clock shows, nanoseconds.
    pub now_ns: u64,
}

impl MonotonicClock for SimulatedClock {
    fn now_ns(&mut self) -> u64 {
        self.now_ns
    }

    fn resolution_ns(&mut self) -> u64 {
        1
    }

    fn wait_until(&mut self, when_ns: u64) -> Option<u64> {
        self.now_ns = self.now_ns.max(when_ns);
        None
    }
}

impl WallClock for SimulatedClock {
    fn now(&mut self) -> Duration {
        Duration::from_nanos(self.now_ns)
    }

    fn resolution(&mut self) -> Duration {
        Duration::from_nanos(1)
    }
}

/// The clocks used here are never before their epoch.
fn duration(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
