//! Who runs next, for how long: the interface of whoever decides that.

use super::account::Account;

/// What a policy sees of a thread.
pub trait Runnable {
    /// Whose time it uses.
    fn account(&self) -> &Account;
    /// Whether it must stay with its worker.
    fn pinned(&self) -> bool;
    /// Whether it is to be ended: it goes before all others, and its cap does not hold it up.
    fn condemned(&self) -> bool;
}

/// Why a thread can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It waited for something, which has come.
    Woken,
    /// Its time was up, or it let others go first.
    Preempted,
}

/// What a policy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<T> {
    /// This one.
    Run(Turn<T>),
    /// Nobody before this time, unless somebody is woken: caps hold them up.
    Wait {
        /// The time.
        until_ns: u64,
    },
    /// Nobody.
    Nobody,
}

/// A thread and how long it may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn<T> {
    /// The thread.
    pub thread: T,
    /// How long it may run while others wait.
    pub slice_ns: u64,
    /// How long it may run at most.
    pub limit_ns: Option<u64>,
}

/// The queue of one worker. The worker holds a lock while it asks; nothing here may block.
pub trait Policy<T: Runnable>: Send {
    /// A thread can run.
    fn ready(&mut self, thread: T, why: Why, now_ns: u64);

    /// Takes the thread that is to run now.
    fn next(&mut self, now_ns: u64) -> Choice<T>;

    /// Takes a thread that may move, for another worker.
    fn steal(&mut self, now_ns: u64) -> Option<T>;

    /// Somebody is this far in virtual time who was not taken from a queue.
    fn reached(&mut self, virtual_ns: u64);

    /// How many wait for a processor; those held up by a cap are not among them.
    fn waiting(&self) -> usize;

    /// Where the first that waits is in virtual time: of all workers' first ones, the smallest should run.
    fn first(&self) -> Option<u64>;

    /// The same for the one that [`Policy::steal`] would take.
    fn earliest(&self) -> Option<u64>;

    /// When a cap lets the first of those that it holds up go on.
    fn held_until_ns(&self) -> Option<u64>;

    /// Some threads have become condemned: looks for them.
    fn expedite(&mut self);

    /// Takes out everything, to end it.
    fn drain(&mut self) -> Vec<T>;
}
