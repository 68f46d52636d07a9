//! What processes have printed, line by line.

use bincode::{Decode, Encode};
use serde::Serialize;

/// A line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct LogLine {
    /// Its number in the tree; they only grow.
    pub sequence: u64,
    /// When it was printed: nanoseconds since 1970.
    pub time_ns: u64,
    /// The path of the process.
    pub path: String,
    /// Where it came from.
    pub source: Source,
    /// What was printed, without the end of the line.
    pub text: String,
}

/// Where a line came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// Whoever runs the process says what became of it.
    Lifecycle,
}
