//! Domains: what faults, is killed and restarts together.

use bincode::{Decode, Encode};
use serde::Serialize;

/// A domain, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct DomainRow {
    /// Its number in the tree.
    pub domain: u32,
    /// How many lives it had before.
    pub generation: u32,
    /// The path of the process that it begins with.
    pub begins_with: String,
    /// Processor time in all its lives, nanoseconds.
    pub cpu_ns: u64,
    /// The most that it may use, in thousandths of a core, if there is a limit.
    pub cpu_cap: Option<u32>,
    /// Calls that wait for it.
    pub waiting: u32,
    /// The most that did, in this life.
    pub most_waiting: u32,
    /// Calls and messages of this life.
    pub calls: u64,
    /// Whether it has nothing to do, or waits.
    pub is_idle: bool,
    /// The path of the process with which the domain begins that it waits for, if it does.
    pub waits_for: Option<String>,
    /// Why it ends or has ended, if it does.
    pub ended: Option<String>,
}
