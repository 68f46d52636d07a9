//! The host's clock for guests: a function `tick` that notes how long it is since it was called before.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use abi::fault::Trap;
use abi::types::FuncType;
use kernel::host::{HostCall, HostFunc};

use super::readings::Readings;

/// Notes the time between ticks.
#[derive(Debug)]
pub struct Stopwatch(Mutex<Run>);

#[derive(Debug)]
struct Run {
    last: Option<Instant>,
    readings: Readings,
}

impl Stopwatch {
    /// One that has not run.
    #[must_use]
    pub fn new() -> Stopwatch {
        Stopwatch(Mutex::new(Run { last: None, readings: Readings::new(1) }))
    }

    /// Begins anew; what is between two ticks is `batch` of a thing.
    pub fn reset(&self, batch: u32) {
        *self.run() = Run { last: None, readings: Readings::new(batch) };
    }

    /// What has been noted.
    #[must_use]
    pub fn readings(&self) -> Readings {
        self.run().readings.clone()
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Stopwatch {
    fn default() -> Stopwatch {
        Stopwatch::new()
    }
}

impl HostFunc for Stopwatch {
    fn ty(&self) -> Option<&FuncType> {
        None
    }

    fn call(&self, _: &mut dyn HostCall) -> Result<(), Trap> {
        let now = Instant::now();
        let mut run = self.run();
        if let Some(last) = run.last {
            let ns = now.duration_since(last).as_nanos();
            run.readings.note(u64::try_from(ns).unwrap_or(u64::MAX));
        }
        // What noting takes is nobody's.
        run.last = Some(Instant::now());
        Ok(())
    }
}
