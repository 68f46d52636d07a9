//! Calls that were traced, on their way to whoever reads them: a bounded queue, in which the oldest give way.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A call that was traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEvent {
    /// Which of the tree's edges it went over.
    pub edge: u32,
    /// When it began, by the clock of the machine that runs the tree; nanoseconds.
    pub began_ns: u64,
    /// How long it took.
    pub took_ns: u64,
    /// Its arguments as WAVE, in parentheses; cut where they are long ([`crate::limits::TRACED_CHARS`]).
    pub args: Box<str>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this, as WAVE; nothing, if the function has no result.
    Returned(Option<Box<str>>),
    /// It trapped, or was ended: why.
    Trapped(Box<str>),
}

/// What one reader wants and has not read yet.
#[derive(Debug)]
pub(in super::super) struct Feed {
    /// For each edge, whether it is wanted.
    wanted: Box<[bool]>,
    /// How many calls it holds; none if calls are only counted.
    room: usize,
    queue: Mutex<VecDeque<CallEvent>>,
    came: Condvar,
    lost: AtomicU64,
}

impl Feed {
    /// A feed of calls over some edges, `room` of them at a time.
    pub fn new(wanted: Box<[bool]>, room: usize) -> Feed {
        Feed { wanted, room, queue: Mutex::default(), came: Condvar::new(), lost: AtomicU64::new(0) }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<CallEvent>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether calls over an edge are wanted.
    pub fn wants(&self, edge: usize) -> bool {
        self.wanted.get(edge).copied().unwrap_or(false)
    }

    /// Whether calls are told one by one.
    pub fn traces(&self) -> bool {
        self.room > 0
    }

    /// Adds a call; the oldest is lost if there is no room.
    pub fn push(&self, event: CallEvent) {
        let mut queue = self.queue();
        if queue.len() >= self.room {
            queue.pop_front();
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        queue.push_back(event);
        drop(queue);
        self.came.notify_one();
    }

    /// The calls that have come, in the order in which they ended; waits for the first one.
    pub fn wait(&self, timeout: Duration) -> Vec<CallEvent> {
        let waited = self.came.wait_timeout_while(self.queue(), timeout, |queue| queue.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.drain(..).collect()
    }

    /// How many were lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
