//! What the jobs of a hunt share: counts, findings, and sequences for each other.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::judge::Kind;
use super::steps::Sequence;

/// What the jobs of a hunt share.
pub struct Shared {
    /// When there was a hunt, ready or not, and when the first job was ready.
    planned: Instant,
    began: OnceLock<Instant>,
    /// Sequences run.
    pub runs: AtomicU64,
    /// Edges taken, and edges that there are, by the job that has most.
    pub edges: [AtomicUsize; 2],
    /// Sequences kept.
    pub kept: AtomicUsize,
    /// Milliseconds from the start to the last new edge or finding.
    pub last_new_ms: AtomicU64,
    /// How often each finding was met, by its key.
    pub(super) known: Mutex<HashMap<String, u64>>,
    pub(super) found: Mutex<Vec<Found>>,
    /// What was kept, with the job that keeps it, for the others to read.
    pub(super) news: Mutex<Vec<(usize, Sequence)>>,
}

/// A finding as it is reported.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Found {
    /// What kind of thing is wrong.
    pub kind: Kind,
    /// What is wrong.
    pub what: String,
    /// Where, if it is known.
    pub place: Option<String>,
    /// The calls that show it.
    pub calls: Vec<String>,
    /// The file that it was written to.
    pub file: PathBuf,
    /// Sequences run when it was found.
    pub runs: u64,
}

impl Shared {
    /// Of a hunt whose jobs compile what they need now.
    #[must_use]
    pub fn new() -> Shared {
        Shared {
            planned: Instant::now(),
            began: OnceLock::new(),
            runs: AtomicU64::new(0),
            edges: Default::default(),
            kept: AtomicUsize::new(0),
            last_new_ms: AtomicU64::new(0),
            known: Mutex::default(),
            found: Mutex::default(),
            news: Mutex::default(),
        }
    }

    /// A job is ready to hunt.
    pub(super) fn begin(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// Time since the first job began to hunt; none while all compile.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.get().map_or(Duration::ZERO, Instant::elapsed)
    }

    /// How long all have been compiling, if no job hunts yet.
    #[must_use]
    pub fn compiling(&self) -> Option<Duration> {
        self.began.get().is_none().then(|| self.planned.elapsed())
    }

    /// What was found so far, in order.
    #[must_use]
    pub fn found(&self) -> Vec<Found> {
        lock(&self.found).clone()
    }

    /// How many findings there are.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.found).len()
    }

    /// Something new was reached or found.
    pub(super) fn touch(&self) {
        self.last_new_ms.store(self.elapsed().as_millis() as u64, Relaxed);
    }
}

impl Default for Shared {
    fn default() -> Shared {
        Shared::new()
    }
}

/// Nothing that is kept here is half written when a job panics.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Duration, Shared};

    #[test]
    fn compiling_is_not_hunting() {
        let shared = Shared::new();
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(shared.elapsed(), Duration::ZERO);
        assert!(shared.compiling().is_some_and(|time| time >= Duration::from_millis(2)));
        shared.begin();
        std::thread::sleep(Duration::from_millis(2));
        assert!(shared.elapsed() >= Duration::from_millis(2));
        assert_eq!(shared.compiling(), None);
    }
}
