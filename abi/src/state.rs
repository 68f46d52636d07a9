//! What a process is doing, in the words the console prints.

use std::fmt;

/// The state of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// Linked, its core instances not all started yet.
    Starting,
    /// Instantiated; no thread runs in it.
    Ready,
    /// A thread has a frame in it.
    Running,
    /// A trap ended it: it never runs again.
    Faulted,
    /// It ended on purpose.
    Exited,
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProcessState::Starting => "starting",
            ProcessState::Ready => "ready",
            ProcessState::Running => "running",
            ProcessState::Faulted => "faulted",
            ProcessState::Exited => "exited",
        })
    }
}
