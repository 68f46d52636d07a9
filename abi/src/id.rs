//! Names of what runs. An id carries a generation, so that what is dead is never mistaken for what replaced it.

use std::fmt;

/// A process: a component instance that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// The slot, printed as the pid.
    pub index: u32,
    /// How many processes had this slot before.
    pub generation: u32,
}

/// A domain: a set of processes that fault, are killed and restart together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId {
    /// The slot.
    pub index: u32,
    /// How many domains had this slot before.
    pub generation: u32,
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/gen{}", self.index, self.generation)
    }
}

impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/gen{}", self.index, self.generation)
    }
}
