//! One call as tracing has seen it.

use bincode::{Decode, Encode};
use serde::Serialize;

/// A call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct CallLine {
    /// When it began: nanoseconds since 1970.
    pub began_ns: u64,
    /// The path of the process that calls.
    pub caller: String,
    /// The path of the process that is called, or the interface of a system server.
    pub callee: String,
    /// `interface#function`.
    pub function: String,
    /// Its arguments in WAVE, long ones cut.
    pub arguments: String,
    /// Its result in WAVE, long ones cut; or the trap that it ended in.
    pub outcome: Outcome,
    /// How long it took, nanoseconds.
    pub took_ns: u64,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It returned, with a value in WAVE or nothing.
    Returned(Option<String>),
    /// It trapped.
    Trapped(String),
}

impl Default for Outcome {
    fn default() -> Outcome {
        Outcome::Returned(None)
    }
}
