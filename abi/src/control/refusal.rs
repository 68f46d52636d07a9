//! What is answered to what cannot be done.

use bincode::{Decode, Encode};
use serde::Serialize;

/// Why not, and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct Refusal {
    /// The exit code that this ends a command with.
    pub exit: u8,
    /// What cannot be done.
    pub what: String,
    /// What led to it.
    pub cause: Option<String>,
    /// What to do.
    pub advice: Vec<String>,
}
