//! `wasi:clocks`. Time is a parameter: a tree sees what these traits say, and waits only through
//! [`MonotonicClock::wait`], so that a run can be replayed.
//!
//! - [`monotonic_clock`], [`wall_clock`], [`timezone`]: one interface each

pub mod monotonic_clock;
pub mod timezone;
pub mod wall_clock;

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_getres, clock_gettime};

/// A clock that never goes back, and how to wait for it.
pub trait MonotonicClock: Send {
    /// Nanoseconds since some fixed point.
    fn now_ns(&mut self) -> u64;

    /// Nanoseconds between two ticks.
    fn resolution_ns(&mut self) -> u64;

    /// Blocks until a file descriptor is ready or `timeout_ns` nanoseconds have passed; may return early with neither.
    ///
    /// # Errors
    /// The operating system cannot wait for these descriptors.
    fn wait(&mut self, fds: &mut [PollFd<'_>], timeout_ns: Option<u64>) -> io::Result<()> {
        wait_for(fds, timeout_ns)
    }
}

/// A clock that tells the time of day.
pub trait WallClock: Send {
    /// Time since the beginning of 1970, UTC.
    fn now(&mut self) -> Duration;

    /// Time between two ticks.
    fn resolution(&mut self) -> Duration;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl MonotonicClock for SystemClock {
    fn now_ns(&mut self) -> u64 {
        nanoseconds(duration(clock_gettime(ClockId::Monotonic)))
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

    fn wait(&mut self, fds: &mut [PollFd<'_>], timeout_ns: Option<u64>) -> io::Result<()> {
        wait_for(fds, timeout_ns.map(|_| 0))?;
        if fds.iter().all(|fd| fd.revents().is_empty()) {
            self.now_ns = self.now_ns.saturating_add(timeout_ns.unwrap_or(0));
        }
        Ok(())
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

/// Waits as poll(2) does; a signal ends the wait early.
pub(crate) fn wait_for(fds: &mut [PollFd<'_>], timeout_ns: Option<u64>) -> io::Result<()> {
    let timeout = timeout_ns.map(|ns| Timespec {
        tv_sec: (ns / 1_000_000_000).cast_signed(),
        tv_nsec: (ns % 1_000_000_000).cast_signed(),
    });
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR | Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
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
