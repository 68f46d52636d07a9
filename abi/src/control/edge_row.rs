//! Edges of the tree: who calls which function of whom, over which rung, how often, how long.

use bincode::{Decode, Encode};
use serde::Serialize;

use super::process_row::last_name;

/// One function that one process calls of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct EdgeRow {
    /// The path of the process that calls.
    pub caller: String,
    /// The path of the process that is called, or the interface of a system server.
    pub callee: String,
    /// `interface#function`.
    pub function: String,
    /// What carries the calls: `fused`, `handoff`, `channel`, `segment`, `host`.
    pub rung: String,
    /// Calls so far; none where they are not counted.
    pub calls: Option<u64>,
    /// Those that the callee failed in.
    pub failures: u64,
    /// How long calls took, of those that were sampled.
    pub latency: Option<Latency>,
}

impl EdgeRow {
    /// Both ends, as they are printed: `cart → store`.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{} → {}", end(&self.caller), end(&self.callee))
    }
}

/// The name of an end: of a path the last name, of an interface all of it.
fn end(end: &str) -> &str {
    if end.starts_with('/') { last_name(end) } else { end }
}

/// How long calls took, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Latency {
    /// How many calls were measured.
    pub samples: u64,
    /// Half of them took at most so long.
    pub p50_ns: u64,
    /// Nine of ten.
    pub p90_ns: u64,
    /// Ninety-nine of a hundred.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}
