//! The component instances of a script: each a tree of processes with a domain of its own.

use std::convert::Infallible;

use super::coreworld::Refusal;

/// Validates and compiles.
pub(super) fn load(_bytes: &[u8]) -> Result<Infallible, Refusal> {
    Err(Refusal::Unsupported("a component: scripts of components do not run yet".to_owned()))
}
